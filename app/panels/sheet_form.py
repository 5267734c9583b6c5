"""The options of a sheet: several pictures in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import dearpygui.dearpygui as dpg

from app.jobs import ExportSheet, Job
from app.kit import Kit
from app.panels.export_forms import OWN, Form, read_number, read_seeds, read_size, read_whole
from app.studio import Studio
from engine.export.sheet_options import (
    SHEETS,
    SheetKind,
    SheetOptions,
    check_sheet_name,
    plan_sheet,
    read_angles,
)
from engine.identity import MORPH_MODES, MorphMode
from engine.recipe import Recipe

KINDS: dict[str, SheetKind] = {
    "Mixing matrix": "matrix",
    "Morph strip": "morph",
    "Views": "views",
}
LOOK = "Look"


class SheetForm(Form):
    """Kind of sheet, whose faces, which layers or angles, size."""

    kind, title, stem = "sheet", "Sheet", "sheet"

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self._groups: dict[SheetKind, int] = {}
        self._names: list[str] = []

    @property
    def suffix(self) -> str:
        """Sheets are PNG, which carries the recipe."""
        return ".png"

    def build(self, changed: Callable[[], None]) -> None:
        """Create the items."""
        kit = self._kit
        with kit.row("Kind", "What stands side by side"):
            self._kind = self.combo(list(KINDS), "Mixing matrix", "sheet_kind", self._explain)
        self._about = kit.text("", theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        builders: dict[SheetKind, Callable[[], None]] = {
            "matrix": self._build_matrix,
            "morph": self._build_morph,
            "views": self._build_views,
        }
        for kind, build in builders.items():
            with dpg.group() as group:
                build()
            self._groups[kind] = int(group)
        with kit.row("Each picture", "Side of each picture in pixels, 16 to 8192"):
            self._size = kit.box("sheet_size", hint=OWN)
        with kit.row("Labels"):
            self._labels = kit.name(
                "sheet_labels", int(dpg.add_checkbox(label="Seeds and angles", default_value=True))
            )
            kit.tip(self._labels, "Written beside the pictures, never over them")

    def _build_matrix(self) -> None:
        kit = self._kit
        with kit.row("Rows", "Seeds of the faces at the left, which give all other layers"):
            self._rows = kit.box("sheet_rows", default_value="0, 1, 2, 3")
        with kit.row("Columns", "Seeds of the faces along the top, which the layers come from"):
            self._columns = kit.box("sheet_columns", default_value="4, 5, 6, 7")
        with kit.row("Layers", "Which layers come from the face at the top, and how much of them"):
            self._layers = int(dpg.add_combo([LOOK], default_value=LOOK, width=-kit.px(62)))
            kit.explain(kit.name("sheet_layers", self._layers))
            self._weight = kit.box("sheet_weight", width=-1, default_value="100 %")

    def _build_morph(self) -> None:
        kit = self._kit
        with kit.row("Faces", "Seeds of two or more faces that the strip passes through"):
            self._seeds = kit.box("sheet_seeds", default_value="0, 1")
        ways = "; ".join(f"{m}: {what}" for m, what in MORPH_MODES.items())
        with kit.row("Pictures", f"How many, and along which way ({ways})"):
            self._steps = kit.box("sheet_steps", width=kit.px(48), default_value="8")
            self._mode = self.combo([m.capitalize() for m in MORPH_MODES], "Linear", "sheet_mode")
        self._morph_line = self._per_line("morph")

    def _build_views(self) -> None:
        kit = self._kit
        with kit.row("Angles", "Yaws in degrees, such as -30 0 30; with a pitch: 0,15 30,15"):
            self._angles = kit.box("sheet_angles", default_value="-40 -20 0 20 40")
        self._views_line = self._per_line("views")

    def _per_line(self, kind: str) -> int:
        with self._kit.row("In a line", "Pictures side by side. Empty puts up to eight in a line."):
            return self._kit.box(f"sheet_{kind}_line", hint="All of up to eight")

    @property
    def _chosen(self) -> SheetKind:
        return KINDS[dpg.get_value(self._kind)]

    def update(self, studio: Studio) -> None:
        """Show the model's own size as the hint, and its groups of layers."""
        self._explain()
        facts = studio.capabilities
        if facts is None:
            return
        dpg.configure_item(self._size, hint=f"{facts.resolution} px (the model's own)")
        names = [LOOK, *(group.capitalize() for group in facts.layer_groups), "All"]
        if names != self._names:
            self._names = names
            dpg.configure_item(self._layers, items=names)
            if dpg.get_value(self._layers) not in names:
                dpg.set_value(self._layers, LOOK)

    def _explain(self) -> None:
        chosen = self._chosen
        text = SHEETS[chosen]
        self._kit.show_value(self._about, text[0].upper() + text[1:])
        for kind, group in self._groups.items():
            self._kit.show(group, kind == chosen)

    def job(self, recipe: Recipe, path: Path) -> Job:
        """The sheet with the present model, camera and truncation; views show the present
        face."""
        check_sheet_name(path)
        options = replace(self._options(), cell=read_size(dpg.get_value(self._size)))
        options = replace(options, labels=bool(dpg.get_value(self._labels)))
        facts = self._kit.studio.capabilities
        if facts is not None:
            plan_sheet(recipe, options, facts)
        return ExportSheet(recipe, str(path), asdict(options))

    def _options(self) -> SheetOptions:
        default = SheetOptions(kind=self._chosen)
        if default.kind == "matrix":
            layers = str(dpg.get_value(self._layers))
            weight = dpg.get_value(self._weight).strip().removesuffix("%")
            percent = read_number(weight, "weight in percent")
            return replace(
                default,
                rows=read_seeds(dpg.get_value(self._rows)),
                columns=read_seeds(dpg.get_value(self._columns)),
                layers=None if layers == LOOK else layers.lower(),
                weight=1.0 if percent is None else percent / 100,
            )
        if default.kind == "morph":
            steps = read_whole(dpg.get_value(self._steps), "number of pictures")
            return replace(
                default,
                seeds=read_seeds(dpg.get_value(self._seeds)),
                steps=default.steps if steps is None else steps,
                mode=cast(MorphMode, dpg.get_value(self._mode).lower()),
                per_line=_line(self._morph_line),
            )
        return replace(
            default,
            angles=read_angles(dpg.get_value(self._angles)),
            per_line=_line(self._views_line),
        )


def _line(box: int) -> int | None:
    return read_whole(dpg.get_value(box), "number of pictures in a line")
