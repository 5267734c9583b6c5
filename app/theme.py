"""The window's looks: the colours in use, fonts, and the themes made of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dearpygui.dearpygui as dpg
import font_roboto

from app.palettes import PALETTES, Color, rgb

# The colours in use, which :func:`use` sets; read them when drawing, never at import.
BACKGROUND = PANEL = BAR = POPUP = rgb(0)
FIELD = FIELD_HOVER = FIELD_ACTIVE = BUTTON = BUTTON_HOVER = BUTTON_ACTIVE = rgb(0)
LINE = TEXT = MUTED = FAINT = rgb(0)
ACCENT = ACCENT_HOVER = ACCENT_ACTIVE = ON_ACCENT = GOOD = WARNING = ERROR = rgb(0)
AXIS_X = AXIS_Y = AXIS_Z = rgb(0)
#: The faces of a mix: A, the document's own, then B to I.
FACES: tuple[Color, ...] = ()
#: The curves of a plot.
CURVES: tuple[Color, ...] = ()


def use(name: str) -> None:
    """Take the colours of a palette, ``"dark"`` or ``"light"``; what is drawn already keeps its
    own until it is drawn anew."""
    for part, value in vars(PALETTES[name]).items():
        colors = rgb(value) if isinstance(value, int) else tuple(map(rgb, value))
        globals()[part.upper()] = colors


use("dark")


def faded(color: Color, opacity: float) -> Color:
    """A colour with its alpha multiplied by ``opacity`` in ``[0, 1]``."""
    return (*color[:3], round(color[3] * min(max(opacity, 0.0), 1.0)))


def mixed(first: Color, second: Color, share: float) -> Color:
    """The colour that lies ``share`` of the way from ``first`` to ``second``."""
    r, g, b, a = (round(x + (y - x) * share) for x, y in zip(first, second, strict=True))
    return (r, g, b, a)


#: Height of the letters of most texts, and what is free before them in a box, at a scale of 1, pixels.
LETTERS, INDENT = 16, 9


@dataclass(frozen=True)
class Fonts:
    """Font items, loaded at size x scale so that they stay sharp."""

    body: int
    strong: int
    small: int
    title: int
    numerals: int


def load_fonts(scale: float) -> Fonts:
    """Load Roboto at a UI scale."""
    folder = Path(font_roboto.__file__).parent / "files"
    registry = dpg.add_font_registry()

    def font(name: str, size: float) -> int:
        return int(dpg.add_font(str(folder / name), round(size * scale), parent=registry))

    return Fonts(
        body=font("Roboto-Regular.ttf", LETTERS),
        strong=font("Roboto-Medium.ttf", 16),
        small=font("Roboto-Regular.ttf", 14),
        title=font("Roboto-Medium.ttf", 21),
        numerals=font("Roboto-Medium.ttf", 13),
    )


@dataclass(frozen=True)
class Themes:
    """Theme items by what they are for."""

    base: int
    bar: int
    status: int
    canvas: int
    primary: int
    quiet: int
    chosen: int
    segment: int
    label: int
    wordmark: int
    heading: int
    fold: int
    section: int
    grip: int
    floating: int
    muted: int
    faint: int
    accent: int
    good: int
    warning: int
    error: int
    compact: int
    faces: tuple[int, ...]
    faces_chosen: tuple[int, ...]
    toast: dict[str, int]
    curves: int

    def delete(self) -> None:
        """Remove all of them (before building them again at another scale)."""
        items = [v for name, v in vars(self).items() if isinstance(v, int) and name != "curves"]
        registry = dpg.get_item_parent(self.curves)
        for item in [registry, *items, *self.faces, *self.faces_chosen, *self.toast.values()]:
            dpg.delete_item(item)


def make_themes(scale: float) -> Themes:
    """Build every theme at a UI scale."""
    return Themes(
        base=_base(scale),
        bar=_window(BAR, (16 * scale, 9 * scale)),
        status=_window(BAR, (16 * scale, 5 * scale)),
        canvas=_window(BACKGROUND, (0, 0)),
        primary=_button(ACCENT, ACCENT_HOVER, ACCENT_ACTIVE, ON_ACCENT),
        quiet=_button(rgb(0, 0), BUTTON, BUTTON_HOVER, MUTED),
        chosen=_button(FIELD_ACTIVE, FIELD_ACTIVE, FIELD_ACTIVE, ACCENT_HOVER),
        segment=_button(rgb(0, 0), BUTTON, BUTTON_HOVER, TEXT),
        label=_label(MUTED, scale),
        wordmark=_label(TEXT, scale),
        heading=_text(TEXT),
        fold=_fold(scale),
        section=_section(scale),
        grip=_grip(),
        floating=_floating(scale),
        muted=_text(MUTED),
        faint=_text(FAINT),
        accent=_text(ACCENT),
        good=_text(GOOD),
        warning=_text(WARNING),
        error=_text(ERROR),
        compact=_compact(scale),
        faces=tuple(_button(FIELD, FIELD_HOVER, FIELD_ACTIVE, color) for color in FACES),
        faces_chosen=tuple(_button(color, color, color, ON_ACCENT) for color in FACES),
        toast={
            "info": _toast(FAINT, scale),
            "good": _toast(GOOD, scale),
            "warning": _toast(WARNING, scale),
            "error": _toast(ERROR, scale),
        },
        curves=_colormap(CURVES),
    )


def _theme() -> tuple[int, int]:
    theme = int(dpg.add_theme())
    return theme, int(dpg.add_theme_component(dpg.mvAll, parent=theme))


def _color(part: int, target: int, color: Color) -> None:
    dpg.add_theme_color(target, color, category=dpg.mvThemeCat_Core, parent=part)


def _style(part: int, target: int, x: float, y: float = -1.0) -> None:
    dpg.add_theme_style(target, x, y, category=dpg.mvThemeCat_Core, parent=part)


def _base_colors() -> dict[str, Color]:
    return {
        "WindowBg": PANEL, "ChildBg": rgb(0, 0), "PopupBg": POPUP, "MenuBarBg": BAR,
        "Border": LINE, "BorderShadow": rgb(0, 0),
        "Text": TEXT, "TextDisabled": FAINT, "TextSelectedBg": faded(ACCENT, 0.4),
        "FrameBg": FIELD, "FrameBgHovered": FIELD_HOVER, "FrameBgActive": FIELD_ACTIVE,
        "TitleBg": POPUP, "TitleBgActive": POPUP, "TitleBgCollapsed": POPUP,
        "ScrollbarBg": rgb(0, 0), "ScrollbarGrab": BUTTON, "ScrollbarGrabHovered": BUTTON_HOVER,
        "ScrollbarGrabActive": BUTTON_ACTIVE,
        "CheckMark": ACCENT, "SliderGrab": ACCENT_ACTIVE, "SliderGrabActive": ACCENT_HOVER,
        "Button": BUTTON, "ButtonHovered": BUTTON_HOVER, "ButtonActive": BUTTON_ACTIVE,
        "Header": FIELD_ACTIVE, "HeaderHovered": FIELD_HOVER, "HeaderActive": FIELD_ACTIVE,
        "Separator": LINE, "SeparatorHovered": LINE, "SeparatorActive": LINE,
        "Tab": rgb(0, 0), "TabHovered": FIELD_ACTIVE, "TabActive": FIELD_ACTIVE,
        "TabSelectedOverline": ACCENT,
        "TableRowBg": rgb(0, 0), "TableRowBgAlt": faded(TEXT, 0.02),
        "TableBorderLight": LINE, "TableBorderStrong": LINE, "TableHeaderBg": POPUP,
        "PlotHistogram": ACCENT_ACTIVE, "PlotHistogramHovered": ACCENT,
        "ModalWindowDimBg": rgb(0, 140), "NavCursor": ACCENT, "InputTextCursor": ACCENT_HOVER,
    }  # fmt: skip


#: Least length of what one grabs a slider by, at a scale of 1, pixels.
GRAB = 11
_BASE_STYLES: dict[str, tuple[float, float]] = {
    "WindowPadding": (16, 14), "FramePadding": (INDENT, 6), "ItemSpacing": (8, 8),
    "ItemInnerSpacing": (6, 6), "CellPadding": (6, 4), "ScrollbarSize": (11, -1),
    "GrabMinSize": (GRAB, -1),
    # Columns without sections and grips are thinner than the toolkit's own least size.
    "WindowMinSize": (1, 1),
    "WindowRounding": (0, -1), "ChildRounding": (6, -1), "PopupRounding": (6, -1),
    "FrameRounding": (0, -1), "GrabRounding": (0, -1), "ScrollbarRounding": (0, -1),
    "TabRounding": (0, -1), "WindowBorderSize": (1, -1), "ChildBorderSize": (0, -1),
    "PopupBorderSize": (1, -1), "FrameBorderSize": (0, -1), "TabBarBorderSize": (0, -1),
    "DisabledAlpha": (0.45, -1),
}  # fmt: skip


def _base(scale: float) -> int:
    theme, part = _theme()
    for name, color in _base_colors().items():
        _color(part, getattr(dpg, f"mvThemeCol_{name}"), color)
    for name, (x, y) in _BASE_STYLES.items():
        # Everything but the opacity is a length and grows with the scale.
        factor = 1.0 if name == "DisabledAlpha" else scale
        _style(part, getattr(dpg, f"mvStyleVar_{name}"), x * factor, y * factor if y >= 0 else -1)
    # Disabled widgets are drawn by their own component, which inherits nothing.
    for kind in (
        dpg.mvButton, dpg.mvInputText, dpg.mvInputInt, dpg.mvSliderInt, dpg.mvCombo, dpg.mvCheckbox,
    ):  # fmt: skip
        off = int(dpg.add_theme_component(kind, enabled_state=False, parent=theme))
        _color(off, dpg.mvThemeCol_Text, FAINT)
        _color(off, dpg.mvThemeCol_SliderGrab, BUTTON)
        _color(off, dpg.mvThemeCol_SliderGrabActive, BUTTON)
        for state in ("", "Hovered", "Active"):
            _color(off, getattr(dpg, f"mvThemeCol_Button{state}"), FIELD)
            _color(off, getattr(dpg, f"mvThemeCol_FrameBg{state}"), faded(FIELD, 0.6))
    return theme


def _window(background: Color, padding: tuple[float, float]) -> int:
    theme, part = _theme()
    _color(part, dpg.mvThemeCol_WindowBg, background)
    _style(part, dpg.mvStyleVar_WindowBorderSize, 0)
    _style(part, dpg.mvStyleVar_WindowPadding, *padding)
    return theme


def _button(rest: Color, hover: Color, active: Color, text: Color) -> int:
    theme, part = _theme()
    _color(part, dpg.mvThemeCol_Button, rest)
    _color(part, dpg.mvThemeCol_ButtonHovered, hover)
    _color(part, dpg.mvThemeCol_ButtonActive, active)
    _color(part, dpg.mvThemeCol_Text, text)
    off = int(dpg.add_theme_component(dpg.mvButton, enabled_state=False, parent=theme))
    for target in ("Button", "ButtonHovered", "ButtonActive"):
        _color(off, getattr(dpg, f"mvThemeCol_{target}"), faded(rest, 0.3))
    _color(off, dpg.mvThemeCol_Text, FAINT)
    return theme


def _label(color: Color, scale: float) -> int:
    # A button without a body: unlike plain text it stands on the line of the controls.
    theme, part = _theme()
    for target in ("Button", "ButtonHovered", "ButtonActive"):
        _color(part, getattr(dpg, f"mvThemeCol_{target}"), rgb(0, 0))
    _color(part, dpg.mvThemeCol_Text, color)
    _style(part, dpg.mvStyleVar_ButtonTextAlign, 0.0, 0.5)
    _style(part, dpg.mvStyleVar_FramePadding, 0, 6 * scale)
    return theme


def _fold(scale: float) -> int:
    # A heading that can be clicked.
    theme, part = _theme()
    _color(part, dpg.mvThemeCol_Button, rgb(0, 0))
    _color(part, dpg.mvThemeCol_ButtonHovered, BUTTON)
    _color(part, dpg.mvThemeCol_ButtonActive, BUTTON_HOVER)
    _color(part, dpg.mvThemeCol_Text, TEXT)
    _style(part, dpg.mvStyleVar_ButtonTextAlign, 0.0, 0.5)
    _style(part, dpg.mvStyleVar_FramePadding, 2 * scale, 2 * scale)
    return theme


def _section(scale: float) -> int:
    # The small buttons of a heading.
    theme, part = _theme()
    _color(part, dpg.mvThemeCol_Button, rgb(0, 0))
    _color(part, dpg.mvThemeCol_ButtonHovered, BUTTON)
    _color(part, dpg.mvThemeCol_ButtonActive, BUTTON_HOVER)
    _color(part, dpg.mvThemeCol_Text, MUTED)
    _style(part, dpg.mvStyleVar_FramePadding, 2 * scale, 2 * scale)
    return theme


def _grip() -> int:
    # What is dragged to make a column wider: a line that lights up below the mouse.
    theme, part = _theme()
    _color(part, dpg.mvThemeCol_WindowBg, BACKGROUND)
    _color(part, dpg.mvThemeCol_Button, BACKGROUND)
    _color(part, dpg.mvThemeCol_ButtonHovered, ACCENT)
    _color(part, dpg.mvThemeCol_ButtonActive, ACCENT_HOVER)
    _style(part, dpg.mvStyleVar_WindowPadding, 0, 0)
    _style(part, dpg.mvStyleVar_WindowBorderSize, 0)
    return theme


def _floating(scale: float) -> int:
    theme, part = _theme()
    _color(part, dpg.mvThemeCol_Border, BUTTON_HOVER)
    _style(part, dpg.mvStyleVar_WindowBorderSize, 1)
    _style(part, dpg.mvStyleVar_WindowRounding, 7 * scale)
    _style(part, dpg.mvStyleVar_WindowPadding, 12 * scale, 10 * scale)
    return theme


def _text(color: Color) -> int:
    theme, part = _theme()
    # Dear PyGui gives text the height of a control; free-standing text needs no such room.
    _style(part, dpg.mvStyleVar_FramePadding, 0, 0)
    _color(part, dpg.mvThemeCol_Text, color)
    return theme


def _compact(scale: float) -> int:
    # Lists of many small controls.
    theme, part = _theme()
    _style(part, dpg.mvStyleVar_FramePadding, 6 * scale, 3 * scale)
    _style(part, dpg.mvStyleVar_ItemSpacing, 4 * scale, 4 * scale)
    _style(part, dpg.mvStyleVar_GrabMinSize, 5 * scale)
    return theme


def indented(scale: float, by: float) -> int:
    """A theme for a box whose text begins ``by`` pixels farther to the right; the caller's to delete."""
    theme, part = _theme()
    _style(part, dpg.mvStyleVar_FramePadding, INDENT * scale + by, 6 * scale)
    return theme


def _colormap(colors: tuple[Color, ...]) -> int:
    with dpg.colormap_registry():
        return int(dpg.add_colormap([list(color) for color in colors], qualitative=True))


def _toast(edge: Color, scale: float) -> int:
    theme, part = _theme()
    _color(part, dpg.mvThemeCol_WindowBg, faded(POPUP, 0.97))
    _color(part, dpg.mvThemeCol_Border, faded(edge, 0.8))
    _style(part, dpg.mvStyleVar_WindowBorderSize, 1)
    _style(part, dpg.mvStyleVar_WindowRounding, 7 * scale)
    _style(part, dpg.mvStyleVar_WindowPadding, 14 * scale, 11 * scale)
    return theme
