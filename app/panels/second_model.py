"""Layers of a second model: which model, which of its layers, and how much of them."""

from __future__ import annotations

from pathlib import Path

import dearpygui.dearpygui as dpg

from app import swap_edits as swaps
from app.commands import tip
from app.conversation import Prompt
from app.dialogs import Question, file_patterns
from app.kit import Kit
from app.panels.model import CHECKPOINT_ENDINGS, short_name
from app.studio import Studio
from app.typed_paths import keep_folder, kept_folder, new_file
from engine.assets import Shipped, shipped_generator, shipped_generators
from engine.errors import UserError
from engine.export.files import check_writable
from engine.places import home

#: Layers side by side, and between two of them, pixels at a scale of 1.
COLUMNS, GAP = 5, 4
ABOUT = (
    "Borrow layers of another model of the same build, such as one that was trained on to draw "
    "cartoons."
)
#: Of the folder that is remembered.
PURPOSE = "joined models"
SHARE = "How much of the second model its layers are: 0 % is the open model alone"


class SecondModelPanel:
    """A path box while there is one model; layers and share once there are two."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._layers: tuple[str, ...] = ()
        self._chips: dict[str, int] = {}

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._about = kit.text(ABOUT, theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        self._name = kit.text("", font=kit.fonts.strong, theme=kit.themes.accent, wrap=0)
        self._facts = kit.name(
            "second_facts", kit.text("", theme=kit.themes.muted, font=kit.fonts.small, wrap=0)
        )
        with kit.row():
            self._path = kit.box(
                "second_path", width=-kit.px(86), hint="Path of another model",
                enter=self._typed, tip="A checkpoint to take layers of; Enter takes it",
            )  # fmt: skip
            self._browse = kit.button(
                "Browse", self.browse, "second_browse", tip("second_choose"), width=-1
            )
        self._ours = {
            one: kit.button(
                one.title, lambda key=one.key: kit.studio.second.choose(key),  # type: ignore[misc]
                f"second_{one.key.replace(':', '_')}", one.note, width=-1,
            )
            for one in shipped_generators()
        }  # fmt: skip
        with dpg.group(show=False) as controls:
            with kit.row():
                self._sets = [
                    kit.button(
                        choice.title, lambda title=choice.title: self._choose(title),  # type: ignore[misc]
                        f"second_{choice.title.lower()}", choice.about, width=kit.px(62),
                    )
                    for choice in swaps.choices(())
                ]  # fmt: skip
            with dpg.group() as chips:
                pass
            dpg.bind_item_font(chips, kit.fonts.small)
            self._grid = int(chips)
            with kit.row("Share", SHARE):
                self._number = kit.number(
                    self._move, "second_share_number", 0, 100, 0.5, "%.0f %%", width=-1
                )
            self._share = kit.slider(self._move, "second_share", 0, 100, tip=SHARE)
            with kit.row():
                self._save = kit.button(
                    "Save as a model ...", self.ask_save, "second_save", tip("second_save"),
                    width=-kit.px(86),
                )  # fmt: skip
                kit.button("Remove", self.clear, "second_clear", tip("second_clear"), width=-1)
        self._controls = int(controls)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, second, swap = self._kit, studio.second, studio.document.recipe.swap
        for item in (self._path, self._browse):
            kit.enable(item, not second.why_not)
        for one, item in self._ours.items():
            kit.show(item, swap is None and _may_lend(one, studio))
        kit.show(self._about, swap is None)
        kit.show_value(self._about, second.why_not if studio.model and second.why_not else ABOUT)
        facts = "" if second.reading is None else f"Reading {short_name(second.reading)} ..."
        if swap is not None:
            ours = shipped_generator(swap.model.path)
            name = ours.title if ours else swap.model.name or short_name(swap.model.path)
            kit.show_value(self._name, name)
            count = f"Lends {len(swap.layers)} of {len(second.layers)} layers"
            facts = facts or count
        kit.show(self._name, swap is not None)
        kit.show(self._facts, bool(facts))
        kit.show_value(self._facts, facts)
        kit.show(self._controls, swap is not None)
        if swap is None:
            return
        if second.layers != self._layers:
            self._fill(second.layers)
        chosen, themes = set(swap.layers), kit.themes
        for name, item in self._chips.items():
            dpg.bind_item_theme(item, themes.chosen if name in chosen else themes.segment)
            kit.enable(item, name in second.fitting or name in chosen)
        for item, choice in zip(self._sets, swaps.choices(second.layers), strict=True):
            same = set(choice.layers) & set(second.fitting) == chosen
            dpg.bind_item_theme(item, themes.chosen if same else themes.segment)
        for item in (self._share, self._number):
            kit.show_value(item, 100 * swap.gamma)
        kit.enable(self._save, swap.changes)

    def _fill(self, layers: tuple[str, ...]) -> None:
        """A button for each layer."""
        kit = self._kit
        kit.clear(self._grid)
        self._layers, self._chips = layers, {}
        longest = max((len(name) for name in layers), default=0)
        columns = COLUMNS if longest <= 4 else COLUMNS - 2
        room = 256 - (columns - 1) * GAP
        dpg.push_container_stack(self._grid)
        for start in range(0, len(layers), columns):
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(GAP)):
                for name in layers[start : start + columns]:
                    self._chips[name] = kit.button(
                        name, lambda name=name: self._toggle(name),  # type: ignore[misc]
                        f"second_layer_{name}", f"Layer {name}: from the second model, or not",
                        width=kit.px(room / columns),
                    )  # fmt: skip
        dpg.pop_container_stack()

    # Choosing ---------------------------------------------------------------------------

    def browse(self) -> None:
        """Ask for the second model with the system's dialog.

        Raises:
            UserError: the open model cannot take layers of another.
        """
        studio = self._kit.studio
        if why := studio.second.why_not:
            raise UserError(why)
        recent = studio.settings.recent
        start = Path(recent[0]).parent if recent else home()
        question = Question(
            "Choose a second model", start=start if start.is_dir() else home(),
            patterns=file_patterns(CHECKPOINT_ENDINGS, "Checkpoints"),
        )  # fmt: skip
        self._kit.dialogs.ask(question, self._browsed)

    def _browsed(self, path: Path) -> None:
        dpg.set_value(self._path, str(path))
        self._kit.studio.second.choose(str(path))

    def _typed(self) -> None:
        self._kit.studio.second.choose(dpg.get_value(self._path))

    # Changing ---------------------------------------------------------------------------

    def _choose(self, title: str) -> None:
        second = self._kit.studio.second
        choice = next(c for c in swaps.choices(second.layers) if c.title == title)
        these = set(choice.layers) & set(second.fitting)
        self._kit.studio.edit(
            f"{title} layers" if title != "None" else "No layers",
            lambda d: swaps.set_layers(d, these, second.layers),
        )

    def _toggle(self, name: str) -> None:
        layers = self._kit.studio.second.layers
        self._kit.studio.edit(f"Layer {name}", lambda d: swaps.toggle_layer(d, name, layers))

    def _move(self, percent: float) -> None:
        share = round(percent / 100, 4)
        self._kit.studio.edit(
            "Share of the second model", lambda d: swaps.set_share(d, share), "second-share"
        )

    def clear(self) -> None:
        """The open model alone."""
        self._kit.studio.edit("Remove the second model", swaps.clear)

    # Saving -----------------------------------------------------------------------------

    def ask_save(self) -> None:
        """Ask where to save the two models as one."""
        swap = self._kit.studio.document.recipe.swap
        if swap is None or not swap.changes:
            raise UserError("No layers of a second model are chosen; there is nothing to save.")
        model = self._kit.studio.document.model
        both = f"{model.name or 'model'} with {swap.model.name or 'another'}"
        start = kept_folder(self._kit.studio.settings, PURPOSE) / f"{both}.json"
        self._kit.studio.desk.talk.ask_path(
            Prompt("save model", "Save the two models as one", "Save", str(start), self._save_to)
        )

    def _save_to(self, path: str) -> None:
        studio = self._kit.studio
        where = new_file(path, kept_folder(studio.settings, PURPOSE), ".json")
        if (beside := where.with_suffix(".safetensors")).exists():
            raise UserError(f"{beside} exists already; choose another name.")
        check_writable(where)
        studio.second.save(where)
        keep_folder(studio, PURPOSE, where.parent)
        studio.desk.talk.end()


def _may_lend(one: Shipped, studio: Studio) -> bool:
    """Whether a model that ships has layers for the open one, which is another of its kind that
    ships: a checkpoint of somebody else's has other sizes."""
    model = studio.model
    open_one = None if model is None else shipped_generator(model.ref.path)
    return open_one is not None and open_one.family == one.family and open_one != one
