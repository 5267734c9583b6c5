"""What is remembered between runs: size of the letters, colours, rate while moving, device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dearpygui.dearpygui as dpg

from app.geometry import SCALES
from app.kit import Kit
from app.panels.popup import Popup
from app.settings import THEMES
from app.studio import Studio

SIZE = (380, 282)
RATES: dict[str, float | None] = {
    "Automatic": None, "5 fps": 5.0, "10 fps": 10.0, "15 fps": 15.0, "24 fps": 24.0,
    "30 fps": 30.0, "60 fps": 60.0,
}  # fmt: skip
DEVICES = {"Automatic": "auto", "CPU": "cpu", "GPU (CUDA)": "cuda"}


ENCODER = (
    "What reads texts: empty for the bundled one, or CLIP weights of your own: a file, a folder as "
    "open_clip saves it, the name of an open_clip model with its file, ViT-B-32=FILE, or the name "
    "alone where its weights are on this machine already; nothing is downloaded"
)


class SettingsWindow(Popup):
    """A small window with the remembered choices; each takes effect at once."""

    def __init__(self, kit: Kit, rescale: Callable[[float], None]) -> None:
        super().__init__(kit, SIZE)
        self._rescale = rescale
        self._encoder_shown = ""

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.window(
            label="Settings", show=False, no_resize=True, no_collapse=True,
            width=kit.px(SIZE[0]), height=kit.px(SIZE[1]), no_scrollbar=True,
        ) as window:  # fmt: skip
            with kit.row("Interface size", "Size of letters and controls"):
                scales = [f"{s:.0%}" for s in SCALES]
                self._scale = int(dpg.add_combo(scales, width=-1, callback=self._set_scale))
                kit.explain(kit.name("ui_scale", self._scale))
            with kit.row("Colours", "Dark or light; switches at once"):
                titles = [name.capitalize() for name in THEMES]
                self._theme = int(dpg.add_combo(titles, width=-1, callback=self._set_theme))
                kit.explain(kit.name("theme", self._theme))
            with kit.row("While moving", "Pictures a second to hold by drawing more coarsely"):
                self._rate = int(dpg.add_combo(list(RATES), width=-1, callback=self._set_rate))
                kit.explain(self._rate)
            with kit.row("Device", "Where the engine computes; it starts anew on a change"):
                self._device = int(
                    dpg.add_combo(list(DEVICES), width=-1, callback=self._set_device)
                )
                kit.explain(self._device)
            with kit.row("Text encoder", ENCODER):
                self._encoder = kit.box(
                    "text_encoder", width=-kit.px(56), hint="The bundled one",
                    enter=self._set_encoder,
                )  # fmt: skip
                kit.button("Try", self._set_encoder, "text_encoder_try",
                    "Use it, and see whether it can be read", width=-1,
                )  # fmt: skip
            dpg.add_spacer(height=kit.px(4))
            kit.button("Close", self.close, "settings_close", "Close this window (Esc)", width=-1)
        self.window = int(window)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, settings = self._kit, studio.settings
        kit.show_value(self._scale, f"{settings.ui_scale:.0%}")
        kit.show_value(self._theme, settings.theme.capitalize())
        rates = {v: k for k, v in RATES.items()}
        rate = rates.get(settings.target_fps) or f"{settings.target_fps:g} fps"
        kit.show_value(self._rate, rate)
        if settings.text_encoder != self._encoder_shown:
            # Not each time: a text that is typed is no setting yet.
            self._encoder_shown = settings.text_encoder
            kit.show_value(self._encoder, settings.text_encoder)
        devices = {v: k for k, v in DEVICES.items()}
        kit.show_value(self._device, devices.get(settings.device, settings.device))

    def _set_scale(self, _sender: int, text: str) -> None:
        self._rescale(float(text.rstrip("%")) / 100)

    def switch_theme(self) -> None:
        """From dark to light, or back."""
        other = THEMES[1 - THEMES.index(self._kit.studio.settings.theme)]
        self._set_theme(0, other)

    def _set_theme(self, _sender: int, text: str) -> None:
        studio = self._kit.studio
        studio.change_settings(replace(studio.settings, theme=text.lower()))

    def _set_rate(self, _sender: int, text: str) -> None:
        studio, rate = self._kit.studio, RATES[text]
        studio.client.set_target_fps(rate)
        studio.change_settings(replace(studio.settings, target_fps=rate))

    def _set_device(self, _sender: int, text: str) -> None:
        studio, device = self._kit.studio, DEVICES[text]
        if device != studio.settings.device:
            studio.client.restart(device)
            studio.change_settings(replace(studio.settings, device=device))

    def _set_encoder(self) -> None:
        studio, text = self._kit.studio, str(dpg.get_value(self._encoder)).strip()
        self._encoder_shown = text
        studio.change_settings(replace(studio.settings, text_encoder=text))
        studio.editing.try_encoder()
