"""The pieces that panels are built from: headings, rows, buttons, number fields.

Panels hold the integer ids of their own items; nothing is found by a global name. The kit
keeps three lists across panels: which widgets can be typed in (shortcuts rest meanwhile), which
texts can be copied, and which widgets have a name for the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import dearpygui.dearpygui as dpg

from app.copying import HINT, Copies
from app.dialogs import Dialogs
from app.held import Held
from app.letters import let_every_name_through
from app.pointer import Pointer
from app.runner import early
from app.studio import Studio
from app.theme import Fonts, Themes
from app.typed_ahead import TypedAhead

#: Width of the labels in front of the controls, at a scale of 1, pixels.
LABEL_WIDTH = 92
#: Kinds of widgets that hold what a person typed or chose.
_HOLDERS = ("mvInputText", "mvCombo", "mvCheckbox")


class Panel(Protocol):
    """A part of the window."""

    def build(self) -> None:
        """Create the items, once, inside the container that is open."""

    def update(self, studio: Studio) -> None:
        """Show the present state; called after each change."""


@dataclass
class Kit:
    """What every panel is given."""

    studio: Studio
    dialogs: Dialogs
    fonts: Fonts
    themes: Themes
    scale: float
    pointer: Pointer
    held: Held
    copies: Copies = field(init=False)
    ahead: TypedAhead = field(init=False)
    named: dict[str, int] = field(default_factory=dict)
    _typed: list[int] = field(default_factory=list)
    _handlers: dict[int, int] = field(default_factory=dict)
    _later: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    _row_tip: str = ""

    def __post_init__(self) -> None:
        let_every_name_through()
        self.copies = Copies(self.studio)
        self.ahead = TypedAhead(self.scale)

    def px(self, pixels: float) -> int:
        """A length at the UI scale."""
        return round(pixels * self.scale)

    @property
    def typing(self) -> bool:
        """Whether some widget holds the keyboard, or is about to."""
        return self.ahead.waits or any(dpg.is_item_active(item) for item in self._typed)

    def typed(self, item: int) -> int:
        """Register a widget that can be typed in."""
        self._typed.append(item)
        return item

    def clear(self, container: int) -> None:
        """Take away what is inside a group or window, and strike it from every list."""
        dpg.delete_item(container, children_only=True)
        self._strike()

    def remove(self, item: int) -> None:
        """Take away a widget or window with all that is inside, and strike it from every list."""
        dpg.delete_item(item)
        self._strike()

    def _strike(self) -> None:
        # By what there still is: nobody needs to know the names of all that stood inside.
        there = set(dpg.get_all_items())
        self._typed = [item for item in self._typed if item in there]
        self.named = {name: item for name, item in self.named.items() if item in there}
        self.copies.keep(there)
        for item in self._handlers.keys() - there:
            dpg.delete_item(self._handlers.pop(item))

    def later(self, action: Callable[[], None]) -> None:
        """Do something once what was changed has been laid out, three frames from now; never where the
        window is built anew before.

        The toolkit's own frame callbacks are not used: it keeps them, and what they refer to, for good.
        """
        self._later.append((dpg.get_frame_count() + 3, action))

    def after_frame(self) -> None:
        """Do what is due; call once after each frame."""
        self.ahead.after_frame()
        now = dpg.get_frame_count()
        while (due := next((one for one in self._later if one[0] <= now), None)) is not None:
            # Taken away first: one that fails leaves the others to the next frame.
            self._later.remove(due)
            due[1]()

    def delete(self) -> None:
        """Take away what does not go with the widgets: themes, and what waits for them to be let
        go, which would keep their panels alive."""
        self.ahead.delete()
        self.themes.delete()
        for registry in self._handlers.values():
            dpg.delete_item(registry)
        self._handlers.clear()
        self._later.clear()

    def is_held(self, item: int) -> bool:
        """Whether the person is changing this widget now, so that it must be left alone."""
        return bool(dpg.get_item_state(item).get("active", False))

    def name(self, name: str, item: int) -> int:
        """Give a widget a name that tests find it by."""
        self.named[name] = item
        return item

    def values(self) -> dict[str, Any]:
        """What stands in the named boxes, lists and check boxes."""
        return {
            name: self._value(item)
            for name, item in self.named.items()
            if dpg.get_item_type(item).rpartition("::")[2] in _HOLDERS
        }

    def _value(self, item: int) -> Any:
        value = dpg.get_value(item)
        return self.ahead.value(item) if isinstance(value, str) else value

    def restore(self, values: dict[str, Any]) -> None:
        """Put :meth:`values` into the widgets of the same names."""
        for name, value in values.items():
            if name in self.named:
                dpg.set_value(self.named[name], value)

    # Text -------------------------------------------------------------------------------

    def text(
        self, text: str = "", theme: int | None = None, font: int | None = None, wrap: int = -1
    ) -> int:
        """A piece of text; ``wrap`` 0 breaks it at the panel's edge."""
        item = int(dpg.add_text(text, wrap=wrap))
        if theme is not None:
            dpg.bind_item_theme(item, theme)
        if font is not None:
            dpg.bind_item_font(item, font)
        return item

    def copied(self, item: int, text: Callable[[], str] | None = None, tip: bool = True) -> int:
        """Let a right click on an item copy its text, or another; returns the item."""
        if tip:
            self.tip(item, HINT)
        return self.copies.offer(item, text)

    def heading(self, text: str, first: bool = False) -> None:
        """The title of a section, with a line above it unless it is the first."""
        if not first:
            dpg.add_spacer(height=self.px(6))
            dpg.add_separator()
            dpg.add_spacer(height=self.px(4))
        self.text(text, theme=self.themes.heading, font=self.fonts.strong)
        dpg.add_spacer(height=self.px(1))

    def label(self, text: str, tip: str = "", width: int = LABEL_WIDTH) -> int:
        """A label that stands on the same line as the control after it."""
        item = int(dpg.add_button(label=text, width=self.px(width)))
        dpg.bind_item_theme(item, self.themes.label)
        if tip:
            self.tip(item, tip)
        return item

    def tip(self, item: int, text: str) -> int:
        """A tooltip; returns the item of its text."""
        with dpg.tooltip(item, delay=0.4):
            return int(dpg.add_text(text, wrap=self.px(320)))

    def tip_of_tab(self, tab: int, text: str) -> int:
        """The tooltip of a tab, shown at its label while another tab is open; call it when all
        that the tab holds is there. Returns the item of its text."""
        # The toolkit asks whether the mouse is over what was drawn last, which for the open tab
        # is the last thing in it: the tooltip would lie over that. No mouse is over what has no
        # width, and what has a place of its own takes no room: a spacer gave the window for training a scroll bar.
        dpg.add_text("", parent=tab, pos=(0, 0))
        return self.tip(tab, text)

    def explain(self, item: int, tip: str = "") -> int:
        """Give a widget just created its tooltip, or that of its row; returns the widget."""
        if tip or self._row_tip:
            self.tip(item, tip or self._row_tip)
        return item

    # Controls ---------------------------------------------------------------------------

    @contextmanager
    def row(self, label: str = "", tip: str = "") -> Iterator[None]:
        """One line: a label and what is added inside. ``tip`` is shown at the label, and at
        the boxes and numbers that have none of their own."""
        outer, self._row_tip = self._row_tip, tip
        with dpg.group(horizontal=True, horizontal_spacing=self.px(6)):
            if label:
                self.label(label, tip)
            yield
        self._row_tip = outer

    def button(
        self,
        label: str,
        action: Callable[[], None],
        name: str = "",
        tip: str = "",
        theme: int | None = None,
        width: int = 0,
    ) -> int:
        """A button; ``width`` is in pixels as given (-1 fills the line)."""
        item = int(dpg.add_button(label=label, width=width, callback=lambda: action()))
        if theme is not None:
            dpg.bind_item_theme(item, theme)
        if tip:
            self.tip(item, tip)
        if name:
            self.name(name, item)
        return item

    def arrows(self, step: Callable[[int], None], name: str, what: str) -> None:
        """Two arrows for the one before and the one after: ``NAME_previous`` and ``NAME_next``.

        Args:
            step: called with -1 or 1.
            name: what their names begin with.
            what: is gone through, for the tooltips: ``"page"``.
        """
        for direction, by, word in (
            (dpg.mvDir_Left, -1, "previous"), (dpg.mvDir_Right, 1, "next"),
        ):  # fmt: skip
            item = int(
                dpg.add_button(
                    arrow=True, direction=direction, user_data=by,
                    callback=lambda _sender, _data, by: step(by),
                )
            )  # fmt: skip
            self.tip(self.name(f"{name}_{word}", item), f"{word.capitalize()} {what}")

    def number(
        self,
        change: Callable[[float], None],
        name: str,
        low: float,
        high: float,
        speed: float,
        form: str,
        width: int = -1,
        whole: bool = False,
        tip: str = "",
    ) -> int:
        """A number that is dragged sideways, or typed after a double-click. ``change`` edits the
        document or another state behind the window, no items (:func:`app.runner.early`)."""
        kind = int if whole else float
        add = dpg.add_drag_int if whole else dpg.add_drag_float
        item = int(
            add(
                min_value=kind(low), max_value=kind(high), speed=speed, format=form, width=width,
                clamped=True, callback=self._moved(change),
            )
        )  # fmt: skip
        return self.explain(self.gesture(self.typed(self.name(name, item))), tip)

    def slider(
        self,
        change: Callable[[float], None],
        name: str,
        low: float,
        high: float,
        whole: bool = False,
        tip: str = "",
    ) -> int:
        """A slider that fills the line and shows no number of its own; ``change`` as for
        :meth:`number`."""
        kind = int if whole else float
        add = dpg.add_slider_int if whole else dpg.add_slider_float
        item = int(
            add(
                min_value=kind(low), max_value=kind(high), format="", width=-1, clamped=True,
                callback=self._moved(change),
            )
        )  # fmt: skip
        return self.explain(self.gesture(self.typed(self.name(name, item))), tip)

    def box(
        self,
        name: str,
        width: int = -1,
        hint: str = "",
        enter: Callable[[], None] | None = None,
        tip: str = "",
        **options: Any,
    ) -> int:
        """A box for text; ``enter`` is called by the Enter key."""
        callback = None if enter is None else (lambda: enter())
        item = int(
            dpg.add_input_text(
                width=width, hint=hint, on_enter=enter is not None, callback=callback, **options
            )
        )
        return self.explain(self.typed(self.name(name, item)), tip)

    def _moved(self, change: Callable[[float], None]) -> Callable[[int, float], None]:
        """What the toolkit calls when it has moved a slider or a number."""

        @early
        def moved(item: int, value: float) -> None:
            self.held.take(item, change)
            change(value)

        return moved

    def gesture(self, item: int) -> int:
        """All that one drag of this widget changes becomes one step of the history."""

        def released() -> None:
            self.held.let_go()
            self.studio.end_gesture()

        self.on_release(item, released)
        return item

    def on_release(self, item: int, action: Callable[[], None]) -> None:
        """Call ``action`` when the person lets go of a widget."""
        with dpg.item_handler_registry() as registry:
            dpg.add_item_deactivated_handler(callback=lambda: action())
        dpg.bind_item_handler_registry(item, registry)
        self._handlers[item] = int(registry)

    def show_value(self, item: int, value: Any) -> None:
        """Set a widget's value unless the person is changing it."""
        # In this order: a value is had for a tenth of what an item's state costs.
        if dpg.get_value(item) != value and not self.is_held(item):
            dpg.set_value(item, value)

    def enable(self, item: int, enabled: bool) -> None:
        """Switch a widget on or off, only if that is a change."""
        if dpg.is_item_enabled(item) != enabled:
            dpg.configure_item(item, enabled=enabled)

    def show(self, item: int, shown: bool) -> None:
        """Show or hide an item, only if that is a change."""
        if dpg.is_item_shown(item) != shown:
            dpg.configure_item(item, show=shown)
