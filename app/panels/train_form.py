"""What is to be trained, on what, and for how long."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import dearpygui.dearpygui as dpg

from app.kit import Kit
from app.panels.path_box import path_box
from app.panels.train_text import LEADS, TrainText, leads
from app.training import Training
from engine.errors import UserError
from engine.training.gan.options import PRESETS, preset_options
from engine.training.shift.options import ADAPTIVE, shift_training

if TYPE_CHECKING:
    from app.studio import Studio

#: Width of the form, height of what stands below it, at a scale of 1, pixels.
WIDTH, FOOT = 340, 104
SCORES = (
    "Pictures drawn at each snapshot to measure how near the model is to yours, by the bundled text "
    "encoder's features; takes its time, and 0 measures nothing"
)
#: What a group of layers is for, in the words of its tooltip.
GROUPS = {
    "mapping": "Who is who: what a latent becomes",
    "geometry": "Shapes",
    "appearance": "Colours",
    "upsampler": "What makes large pictures of the rendered ones",
    ADAPTIVE: "The layers that the text moves most, which are found when the run starts",
}
_OPEN = "The open model"


class TrainForm:
    """The left side of the window for training.

    Args:
        kit: what every panel is given.
        show_pictures: opens or closes the window with the pictures.
        show_prepare: opens or closes the window that makes pictures of photographs.
    """

    def __init__(
        self, kit: Kit, show_pictures: Callable[[], None], show_prepare: Callable[[], None]
    ) -> None:
        self._kit, self._show_pictures, self._show_prepare = kit, show_pictures, show_prepare
        self._text = TrainText(kit)
        self._boxes: dict[str, int] = {}
        self._built: tuple[str, ...] | None = None

    @property
    def _training(self) -> Training:
        return self._kit.studio.training

    def build(self) -> None:
        """Create the items: a form that scrolls, and below it what is always at hand."""
        kit = self._kit
        with dpg.child_window(height=-kit.px(FOOT), border=False):
            self._build_form()
        self._build_foot()

    def _build_form(self) -> None:
        kit = self._kit
        kit.heading("Learns from", first=True)
        self._leads = leads(kit, lambda by_text: self._edit(by_text=by_text, layers=()))
        self._text.build()
        with dpg.group() as pictures:
            self._data = self._path(
                "train_data", "A folder of pictures, or a zip with a dataset.json",
                lambda plan, text: replace(plan, data=text), folder=True, files=(".zip",),
            )  # fmt: skip
            kit.button(
                "Prepare photographs ...", self._show_prepare, "train_prepare",
                "Find the faces in photographs, cut them, and make a set to train on", width=-1,
            )  # fmt: skip
        kit.heading("Model")
        self._model = self._path(
            "train_model", "A checkpoint of any family; 'bundled' is the one that ships",
            lambda plan, text: replace(plan, model=text), folder=False,
            files=(".pkl", ".pth", ".pt", ".json"),
        )  # fmt: skip
        kit.button(
            _OPEN, self._take_open, "train_open_model", "Train the model that is open now",
            width=-1,
        )  # fmt: skip
        self._look = kit.button(
            "Look at both", lambda: self._training.look(), "train_look",
            "Count the pictures, find what is wrong with them, and ask the model for its layers",
            width=-1,
        )  # fmt: skip
        self._seen = kit.text("", theme=kit.themes.muted, font=kit.fonts.small, wrap=0)
        self._warned = kit.text("", theme=kit.themes.warning, font=kit.fonts.small, wrap=0)
        self._see = kit.button(
            "See the pictures", self._show_pictures, "train_pictures",
            "Page by page, to drop what should take no part", width=-1,
        )  # fmt: skip
        kit.heading("How")
        self._text.build_numbers()
        with dpg.group() as how:
            self._build_how()
        self._by_pictures = (int(pictures), int(how))
        with dpg.group() as layers:
            pass
        self._layers = int(layers)

    def _build_how(self) -> None:
        """What counts where pictures lead."""
        kit = self._kit
        with kit.row("Preset", "A choice of layers, batch and rates"):
            self._preset = int(
                dpg.add_combo(
                    [preset.title for preset in PRESETS.values()], width=-1,
                    callback=lambda _sender, title: self._choose(title),
                )
            )  # fmt: skip
            kit.explain(kit.name("train_preset", self._preset))
        self._about = kit.text("", theme=kit.themes.muted, font=kit.fonts.small, wrap=0)
        with kit.row("Minutes", "Of training; 0 goes on until it is stopped"):
            self._minutes = kit.number(self._set_minutes, "train_minutes", 0, 100_000, 0.2, "%.0f")
        with kit.row("FID and KID", SCORES):
            self._scores = kit.number(
                self._set_scores, "train_scores", 0, 50_000, 2.0, "%.0f pictures"
            )
        self._mirror = int(
            dpg.add_checkbox(
                label="Mirrored pictures, too",
                callback=lambda _sender, on: self._edit(mirror=bool(on)),
            )
        )
        kit.tip(kit.name("train_mirror", self._mirror), "Twice as many pictures of faces")

    def _build_foot(self) -> None:
        kit = self._kit
        dpg.add_separator()
        kit.text("The run is kept in", theme=kit.themes.muted, font=kit.fonts.small)
        self._folder = self._path(
            "train_folder", "A folder in which everything is kept",
            lambda plan, text: replace(plan, folder=text), folder=True, files=(),
        )  # fmt: skip
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            half = kit.px((WIDTH - 6) // 2)
            self._start = kit.button(
                "Start", lambda: self._training.begin(), "train_start",
                "Train as this form says", theme=kit.themes.primary, width=half,
            )  # fmt: skip
            self._resume = kit.button(
                "Go on with it",
                lambda: self._training.resume(self._training.plan.folder),
                "train_resume",
                "Go on with the run that is kept in this folder",
                width=half,
            )

    def _path(
        self,
        name: str,
        tip: str,
        change: Callable[..., object],
        folder: bool,
        files: tuple[str, ...],
    ) -> int:
        """A box for a path of the plan."""
        kit = self._kit

        def told(text: str) -> None:
            self._training.change(lambda plan: change(plan, text))  # type: ignore[arg-type,return-value]

        return path_box(kit, name, tip, told, folder, files)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, training = self._kit, self._training
        plan, seen, idle = training.plan, training.seen, not training.is_busy
        kit.show_value(self._leads, LEADS[plan.by_text])
        self._text.update()
        for part in self._by_pictures:
            kit.show(part, not plan.by_text)
        dpg.configure_item(
            self._look, label="Look at the model" if plan.by_text else "Look at both"
        )
        kit.show_value(self._data, plan.data)
        kit.show_value(self._model, plan.model)
        kit.show_value(self._folder, plan.folder)
        kit.show_value(self._minutes, plan.minutes)
        kit.show_value(self._scores, float(plan.score_samples))
        kit.show_value(self._mirror, plan.mirror)
        preset = PRESETS[plan.preset]
        kit.show_value(self._preset, preset.title)
        kit.show_value(self._about, preset.about)
        looking = training.state == "looking"
        sentences = "Looking ..." if looking else "\n".join(seen.sentences) if seen else ""
        kit.show_value(self._seen, sentences)
        kit.show(self._seen, bool(sentences))
        warnings = "\n".join(seen.warnings) if seen else ""
        kit.show_value(self._warned, warnings)
        kit.show(self._warned, bool(warnings))
        kit.show(self._see, seen is not None and not plan.by_text)
        self._show_groups((*seen.groups, *([ADAPTIVE] if plan.by_text else ())) if seen else ())
        # Where shapes stay, the family knows what colours only.
        kit.show(self._layers, not (plan.by_text and plan.shift.freeze_shape))
        trained = self._trained()
        for group, item in self._boxes.items():
            kit.show_value(item, group in trained)
        for item in (self._start, self._resume, self._look):
            kit.enable(item, idle and not looking)

    def parts_shown(self) -> list[str]:
        """Which parts of the form can be seen, for the tests."""
        parts = {"pictures": self._by_pictures[0], "preset": self._by_pictures[1],
                 "layers": self._layers, **self._text.parts}  # fmt: skip
        return [name for name, item in parts.items() if dpg.is_item_shown(item)]

    def _show_groups(self, groups: tuple[str, ...]) -> None:
        if groups == self._built:
            return
        kit, self._built = self._kit, groups
        kit.clear(self._layers)
        self._boxes.clear()
        if not groups:
            return
        dpg.push_container_stack(self._layers)
        kit.text("Layers that train", theme=kit.themes.muted, font=kit.fonts.small)
        for group in groups:
            self._add_box(group)
        dpg.pop_container_stack()

    def _add_box(self, group: str) -> None:
        kit = self._kit
        item = int(
            dpg.add_checkbox(
                label=group.capitalize(), user_data=group,
                callback=lambda _sender, on, which: self._tick(which, on),
            )
        )  # fmt: skip
        self._boxes[group] = kit.name(f"train_layer_{group}", item)
        kit.tip(item, GROUPS.get(group, f"The layers that the family calls {group}"))

    def _tick(self, group: str, on: bool) -> None:
        chosen = self._trained() | {group} if on else self._trained() - {group}
        if not chosen:
            self._kit.studio.touch()
            raise UserError("One group of layers at least must be trained.")
        self._edit(layers=tuple(one for one in self._built or () if one in chosen))

    def _trained(self) -> set[str]:
        """The groups of layers that are to be trained."""
        groups, plan = self._built or (), self._training.plan
        if plan.layers:
            return set(plan.layers)
        with contextlib.suppress(UserError):  # it is told when the run is started
            if plan.by_text:
                own = replace(plan.shift, encoder=self._kit.studio.settings.text_encoder)
                return set(shift_training(own, groups).layers)
            return set(preset_options(plan.preset, groups).layers or groups)
        return set()

    def _take_open(self) -> None:
        model = self._kit.studio.model
        if model is not None:
            self._edit(model=model.ref.path)

    def _choose(self, title: str) -> None:
        name = next(name for name, preset in PRESETS.items() if preset.title == title)
        minutes = PRESETS[name].options.minutes
        self._edit(preset=name, minutes=minutes, layers=())

    def _set_minutes(self, minutes: float) -> None:
        self._edit(minutes=float(round(minutes)))

    def _set_scores(self, pictures: float) -> None:
        # Of fewer than four there is no distance.
        self._edit(score_samples=0 if pictures < 4 else round(pictures))

    def _edit(self, **changes: object) -> None:
        self._training.change(lambda plan: replace(plan, **changes))  # type: ignore[arg-type]
