"""Style mixing: which layers come from which face."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import mixing_edits as mixing
from app import theme
from app.commands import tip
from app.kit import Kit
from app.panels.identity import read_seed
from app.panels.mixing_canvas import MixingCanvas
from app.runner import early
from app.studio import Studio
from engine.errors import UserError
from engine.identity import StyleSource

#: Widths of the small controls of a face, at a scale of 1, pixels.
CHIP, SEED, SMALL, WEIGHT = 24, 66, 22, 54
CHOOSE = "Presets ..."


class MixingPanel:
    """The list of faces, a grid to paint their layers in, and presets."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._faces = [FaceRow(kit, index, self.select) for index in range(mixing.MAX_SOURCES)]
        self.canvas = MixingCanvas(kit, self.select)
        self._presets: tuple[mixing.Preset, ...] = ()
        self._titles: list[str] = []

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._about = kit.text(
            "Take the shape or the look of other faces.",
            theme=kit.themes.faint, font=kit.fonts.small, wrap=0,
        )  # fmt: skip
        with dpg.group(show=False) as faces:
            with kit.row():
                self._own = kit.button(
                    "A", lambda: self.select(None), "mix_a", "Choose A", width=kit.px(CHIP)
                )
                dpg.add_text("the face above", color=theme.MUTED)
            for face in self._faces:
                face.build()
        dpg.bind_item_theme(faces, kit.themes.compact)
        dpg.bind_item_font(faces, kit.fonts.small)
        self._list = int(faces)
        with kit.row():
            self._add = kit.button(
                "Add face", self.add, "mix_add",
                f"One more face to take layers from, at random; {mixing.MAX_SOURCES} at most",
                width=-kit.px(76),
            )  # fmt: skip
            self._clear = kit.button("Clear", self.clear, "mix_clear", tip("mix_clear"), width=-1)
        with dpg.group(show=False) as tools:
            self._combo = int(
                dpg.add_combo(
                    [], default_value=CHOOSE, width=-1,
                    callback=lambda _sender, title: self._apply(title),
                )
            )  # fmt: skip
            kit.name("mix_preset", self._combo)
            kit.tip(self._combo, "Share all layers out between A and the chosen face")
            self.canvas.build()
        self._tools = int(tools)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, sources = self._kit, studio.document.recipe.mixes
        mixed = bool(sources) and studio.capabilities is not None
        kit.show(self._about, not sources)
        kit.show(self._list, bool(sources))
        kit.show(self._tools, mixed)
        kit.enable(self._add, studio.model is not None and len(sources) < mixing.MAX_SOURCES)
        kit.enable(self._clear, bool(sources))
        chosen = self.canvas.selected
        if chosen is not None and chosen >= len(sources):
            chosen = self.canvas.selected = len(sources) - 1 if sources else None
        themes = kit.themes.faces_chosen if chosen is None else kit.themes.faces
        dpg.bind_item_theme(self._own, themes[0])
        for face, source in zip(self._faces, (*sources, *[None] * len(self._faces)), strict=False):
            face.show(source, chosen)
        if mixed and studio.capabilities is not None:
            self._presets = mixing.presets(studio.capabilities, chosen or 0)
            titles = [preset.title for preset in self._presets]
            if titles != self._titles:
                self._titles = titles
                dpg.configure_item(self._combo, items=titles)
        self.canvas.update(studio)

    @property
    def seed_box(self) -> int:
        """The box of the chosen face's seed; the last one's, where A is chosen."""
        there = len(self._kit.studio.document.recipe.mixes)
        chosen = self.canvas.selected
        return self._faces[there - 1 if chosen is None else min(chosen, there - 1)].seed_box

    def add(self) -> None:
        """One more face."""
        studio = self._kit.studio
        facts = studio.capabilities
        if facts is None:
            raise UserError("Open a model first; there is nothing to mix yet.")
        studio.edit("Add face", lambda d: mixing.add_face(d, facts))
        self.select(len(studio.document.recipe.mixes) - 1)
        added = mixing.letter(self.canvas.selected)
        if not studio.document.recipe.mixes[-1].rows:
            studio.say(
                f"{added} has no layers yet: click a group's name, or paint in the line of {added}.",
                key="mix-empty",
            )

    def select(self, index: int | None) -> None:
        """Choose the face that presets and whole groups go to; ``None`` is A."""
        self.canvas.selected = index
        self._kit.studio.touch()

    def clear(self) -> None:
        """A alone."""
        self._kit.studio.edit("Clear the mix", mixing.clear)

    def _apply(self, title: str) -> None:
        # The list is a menu: it goes back to its name.
        dpg.set_value(self._combo, CHOOSE)
        studio, index = self._kit.studio, self.canvas.selected or 0
        facts = studio.capabilities
        preset = next((p for p in self._presets if p.title == title), None)
        if facts is not None and preset is not None:
            studio.edit(preset.title, lambda d: mixing.apply_preset(d, facts, preset, index))


class FaceRow:
    """One line of the list: letter, seed, neighbours, a face at random, weight, remove."""

    def __init__(self, kit: Kit, index: int, select: Callable[[int | None], None]) -> None:
        self._kit, self._index, self._select = kit, index, select
        self._name = f"mix_{mixing.letter(index).lower()}"

    def build(self) -> None:
        """Create the items."""
        kit, name, letter = self._kit, self._name, mixing.letter(self._index)
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(3), show=False) as line:
            self._chip = kit.button(
                letter, self._chosen, name, f"Choose {letter}: presets and whole groups go to it",
                width=kit.px(CHIP),
            )  # fmt: skip
            self._seed = kit.box(f"{name}_seed", width=kit.px(SEED), auto_select_all=True,
                tip=f"The seed of {letter}",
            )  # fmt: skip
            kit.on_release(self._seed, self._typed)
            kit.arrows(self._step, name, "seed")
            kit.button("?", self._random, f"{name}_random", "A face at random", width=kit.px(SMALL))
            self._weight = int(
                dpg.add_slider_int(
                    min_value=0, max_value=100, format="%d%%", width=kit.px(WEIGHT), clamped=True,
                    callback=early(lambda _sender, value: self._weigh(value)),
                )
            )  # fmt: skip
            kit.gesture(kit.typed(kit.name(f"{name}_weight", self._weight)))
            kit.tip(self._weight, f"How much of {letter}: at 50 % its layers are half A's")
            kit.button("×", self._remove, f"{name}_remove", f"Remove {letter}", width=-1)
        self._line = int(line)

    @property
    def seed_box(self) -> int:
        """The box of its seed."""
        return self._seed

    def show(self, source: StyleSource | None, chosen: int | None) -> None:
        """Show a face, or nothing."""
        kit = self._kit
        kit.show(self._line, source is not None)
        if source is None:
            return
        kit.show_value(self._seed, str(source.seed))
        kit.show_value(self._weight, round(100 * source.weight))
        mine = chosen == self._index
        themes = kit.themes.faces_chosen if mine else kit.themes.faces
        dpg.bind_item_theme(self._chip, themes[self._index + 1])

    def _chosen(self) -> None:
        self._select(self._index)

    def _typed(self) -> None:
        studio, index, text = self._kit.studio, self._index, dpg.get_value(self._seed)
        sources = studio.document.recipe.mixes
        if index >= len(sources):
            return
        try:
            seed = read_seed(text)
        except UserError:
            dpg.set_value(self._seed, str(sources[index].seed))
            raise
        studio.edit(f"Seed of {self._letter}", lambda d: mixing.set_source_seed(d, index, seed))

    def _step(self, by: int) -> None:
        index = self._index
        self._kit.studio.edit(
            f"Seed of {self._letter}",
            lambda d: mixing.set_source_seed(d, index, d.recipe.mixes[index].seed + by),
        )

    def _random(self) -> None:
        index = self._index
        self._kit.studio.edit(
            f"Seed of {self._letter}", lambda d: mixing.random_source_seed(d, index)
        )

    def _weigh(self, percent: float) -> None:
        index = self._index
        self._kit.studio.edit(
            f"Weight of {self._letter}",
            lambda d: mixing.set_weight(d, index, percent / 100), f"mix-weight-{index}",
        )  # fmt: skip

    def _remove(self) -> None:
        index = self._index
        self._kit.studio.edit(f"Remove {self._letter}", lambda d: mixing.remove_source(d, index))

    @property
    def _letter(self) -> str:
        return mixing.letter(self._index)
