"""The open model's own settings: one control for each, and none where it has none."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import dearpygui.dearpygui as dpg

from app import document as edits
from app.commands import tip
from app.kit import Kit
from app.studio import Studio
from engine.capabilities import ModelSetting, SettingValue

#: Widths of the titles in front of a number and of a list, at a scale of 1, pixels.
NUMBER_TITLE, CHOICE_TITLE = 168, 134
#: Whole numbers are given a slider up to so many values; of more, a pixel would skip too many.
MOST_STEPS = 2000
#: Dear PyGui counts in 32 bits, and ImGui keeps half of them free.
FARTHEST = 2**30 - 1


class ModelSettingsPanel:
    """Built anew whenever a model with other settings opens."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._settings: tuple[ModelSetting, ...] = ()
        self._controls: list[SettingControl] = []

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._list = int(dpg.add_group())
        self._reset = kit.button(
            "Reset", self.reset, "settings_reset", tip("model_settings_reset"), width=-1
        )

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        capabilities = studio.capabilities
        settings = capabilities.settings if capabilities else ()
        if settings != self._settings:
            self._rebuild(settings)
        if capabilities is None:
            return
        chosen = capabilities.fitting_settings(dict(studio.document.recipe.settings))
        for control in self._controls:
            control.show(chosen.get(control.setting.name, control.setting.default))
        self._kit.enable(self._reset, bool(chosen))

    def _rebuild(self, settings: tuple[ModelSetting, ...]) -> None:
        kit = self._kit
        kit.clear(self._list)
        self._settings = settings
        self._controls = [_KINDS[setting.kind](kit, setting) for setting in settings]
        for control in self._controls:
            dpg.push_container_stack(self._list)
            control.build()
            dpg.pop_container_stack()

    def reset(self) -> None:
        """All of them back to the model's own defaults."""
        self._kit.studio.edit("Reset model settings", edits.reset_settings)


class SettingControl(ABC):
    """The widgets of one setting.

    Attributes:
        setting: what they change.
        items: those that the kit keeps a note of.
    """

    def __init__(self, kit: Kit, setting: ModelSetting) -> None:
        self._kit, self.setting = kit, setting
        self.name = f"setting_{setting.name}"
        self.items: list[int] = []

    @abstractmethod
    def build(self) -> None:
        """Create the widgets in the container that is open."""

    @abstractmethod
    def show(self, value: SettingValue) -> None:
        """Show the present value."""

    def _change(self, value: SettingValue, gesture: str | None = None) -> None:
        setting = self.setting
        self._kit.studio.edit(
            setting.title, lambda d: edits.set_setting(d, setting, value), gesture
        )


class FlagControl(SettingControl):
    """A check box with the title beside it."""

    def build(self) -> None:
        """Create the widgets."""
        kit, setting = self._kit, self.setting
        self._box = int(
            dpg.add_checkbox(
                label=setting.title, callback=lambda _sender, value: self._change(value)
            )
        )
        kit.tip(kit.name(self.name, self._box), setting.help)
        self.items = [self._box]

    def show(self, value: SettingValue) -> None:
        """Show the present value."""
        self._kit.show_value(self._box, bool(value))


class ChoiceControl(SettingControl):
    """A list to choose from."""

    def build(self) -> None:
        """Create the widgets."""
        kit, setting = self._kit, self.setting
        with kit.row():
            kit.label(setting.title, setting.help, width=CHOICE_TITLE)
            self._list = int(
                dpg.add_combo(
                    list(setting.choices), width=-1,
                    callback=lambda _sender, value: self._change(value),
                )
            )  # fmt: skip
        kit.tip(kit.name(self.name, self._list), setting.help)
        self.items = [self._list]

    def show(self, value: SettingValue) -> None:
        """Show the present value."""
        self._kit.show_value(self._list, str(value))


class NumberControl(SettingControl):
    """A number to drag or to type, and a slider where it has two ends."""

    def build(self) -> None:
        """Create the widgets."""
        kit, setting, name = self._kit, self.setting, self.name
        low, high = max(setting.low, -FARTHEST), min(setting.high, FARTHEST)
        span = high - low
        self._whole = setting.kind == "integer"
        self._digits = 0 if self._whole else digits_for(span)
        form = "%d" if self._whole else f"%.{self._digits}f"
        has_slider = span <= (MOST_STEPS if self._whole else FARTHEST)
        speed = max(span / 400, 0.05) if self._whole else min(span / 400, 0.01)
        with kit.row():
            kit.label(setting.title, setting.help, width=NUMBER_TITLE)
            number = kit.number(
                self._moved, f"{name}_number", low, high, speed, form, whole=self._whole
            )
        kit.tip(number, f"{setting.help} Drag sideways, or double-click to type.")
        self.items = [number]
        if has_slider:
            slider = kit.slider(self._moved, name, low, high, whole=self._whole)
            kit.tip(slider, setting.help)
            self.items.append(slider)

    def show(self, value: SettingValue) -> None:
        """Show the present value."""
        for item in self.items:
            self._kit.show_value(item, int(value) if self._whole else float(value))

    def _moved(self, value: float) -> None:
        setting = self.setting
        near = min(max(round(value, self._digits), setting.low), setting.high)
        self._change(int(near) if self._whole else near, gesture=self.name)


def digits_for(span: float) -> int:
    """Decimal places of a number with a range of ``span``: about a thousand steps, two to six
    places."""
    if not math.isfinite(span) or span <= 0 or span > FARTHEST:
        return 3
    return min(max(3 - math.floor(math.log10(span)), 2), 6)


_KINDS: dict[str, type[SettingControl]] = {
    "flag": FlagControl,
    "choice": ChoiceControl,
    "integer": NumberControl,
    "number": NumberControl,
}
