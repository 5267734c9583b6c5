"""The faces at hand: favourites, others like the present one, and faces as files of numbers."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import document as edits
from app import face_edits as faces
from app.commands import tip
from app.conversation import Prompt
from app.favourites import Favourite
from app.jobs import ExportLatent
from app.kit import Kit
from app.studio import Studio
from app.typed_paths import keep_folder, kept_folder, new_file, whole_path
from engine.errors import UserError
from engine.export.files import check_writable
from engine.latent_files import LATENT_SUFFIX, read_latent

#: Height of a line of the list, and most lines before it scrolls.
LINE, MOST_LINES = 28, 6

#: Of the folder that is remembered.
PURPOSE = "latents"


class FacesPanel:
    """Pin, go to, rename, move and remove favourites; vary; load and save latents."""

    def __init__(self, kit: Kit, show_gallery: Callable[[], None]) -> None:
        self._kit, self._gallery = kit, show_gallery
        self._rows: list[FavouriteRow] = []

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        kit.button("Gallery ...", self._gallery, "gallery", tip("gallery"), width=-1)
        with kit.row():
            self._pin = kit.button(
                "Pin this face", self.pin, "face_pin", tip("face_pin"), width=-kit.px(132)
            )
            self._vary = kit.button(
                "More like this", self.vary, "face_vary", tip("face_vary"), width=-1
            )
        with kit.row("Strength", "How far 'More like this' goes: 0 % is the same face"):
            self._number = kit.number(
                self._set_strength, "face_strength", 0, 100, 0.5, "%.0f %%", width=-1
            )
        dpg.set_value(self._number, kit.studio.gallery.strength)
        self._note = kit.text("", theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        with dpg.child_window(border=False, height=1, show=False) as scroll:
            pass
        dpg.bind_item_theme(scroll, kit.themes.compact)
        dpg.bind_item_font(scroll, kit.fonts.small)
        self._list = int(scroll)
        with kit.row():
            self._load = kit.button(
                "Load latent", self.ask_load, "latent_load", tip("latent_load"),
                width=-kit.px(132),
            )  # fmt: skip
            self._save = kit.button(
                "Save latent", self.ask_save, "latent_save", tip("latent_save"), width=-1
            )

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, document, ready = self._kit, studio.document, studio.model is not None
        kept, here = document.favourites, faces.index_of(document, document.recipe)
        kit.enable(self._pin, here is None)
        for item in (self._vary, self._load, self._save):
            kit.enable(item, ready)
        latent = document.recipe.latent
        text = "Pin a face to find it again here, in this project."
        if latent is not None:
            named = f' "{latent.name}"' if latent.name else ""
            kept_as = "is kept as it is by truncation" if latent.space == "w" else "is truncated"
            text = f"Shown is a face from numbers{named}: it {kept_as}; a seed takes its place."
        kit.show(self._note, latent is not None or not kept)
        kit.show_value(self._note, text)
        kit.show(self._list, bool(kept))
        if kept:
            dpg.configure_item(self._list, height=kit.px(LINE * min(len(kept), MOST_LINES) + 4))
        while len(self._rows) < len(kept):
            with dpg.group(parent=self._list):
                row = FavouriteRow(kit, len(self._rows))
                row.build()
            self._rows.append(row)
        for index, row in enumerate(self._rows):
            row.show(kept[index] if index < len(kept) else None, index == here, len(kept))

    def pin(self) -> None:
        """Keep the present face."""
        self._kit.studio.edit("Pin face", faces.pin)

    def vary(self) -> None:
        """A face at random that is like the present one."""
        studio = self._kit.studio
        share = studio.gallery.strength / 100
        studio.edit("More like this", lambda d: faces.vary(d, share))

    def _set_strength(self, percent: float) -> None:
        self._kit.studio.gallery.set_strength(percent)

    # Files ------------------------------------------------------------------------------

    def ask_load(self) -> None:
        """Ask for a latent to show."""
        start = kept_folder(self._kit.studio.settings, PURPOSE)
        self._kit.studio.desk.talk.ask_path(
            Prompt("open latent", "Load a latent", "Load", f"{start}/", self._load_from)
        )

    def _load_from(self, path: str) -> None:
        studio = self._kit.studio
        where = whole_path(path, kept_folder(studio.settings, PURPOSE), f"a {LATENT_SUFFIX} file")
        latent, facts = read_latent(where), studio.capabilities
        if facts is None:
            raise UserError("Open a model first; a latent is drawn by the model that made it.")
        studio.edit("Load latent", lambda d: edits.set_latent(d, latent, facts))
        keep_folder(studio, PURPOSE, where.parent)
        studio.desk.talk.end()

    def ask_save(self) -> None:
        """Ask where to save the latent of the present face."""
        recipe = self._kit.studio.document.recipe
        name = f"seed{recipe.seed:04d}" if recipe.latent is None else "latent"
        start = kept_folder(self._kit.studio.settings, PURPOSE) / f"{name}{LATENT_SUFFIX}"
        self._kit.studio.desk.talk.ask_path(
            Prompt("save latent", "Save the latent of this face", "Save", str(start), self._save_to)
        )

    def _save_to(self, path: str) -> None:
        studio = self._kit.studio
        where = new_file(path, kept_folder(studio.settings, PURPOSE), LATENT_SUFFIX)
        check_writable(where)
        studio.start_export(ExportLatent(studio.document.recipe, str(where)))
        keep_folder(studio, PURPOSE, where.parent)
        studio.desk.talk.end()


class FavouriteRow:
    """One line of the list: go there, name, up, down, remove."""

    def __init__(self, kit: Kit, index: int) -> None:
        self._kit, self._index = kit, index
        self._name = f"favourite_{index}"
        self._shown: Favourite | None = None

    def build(self) -> None:
        """Create the items."""
        kit, name = self._kit, self._name
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(3)) as line:
            self._go = kit.button("Show", self._chosen, name, "Show this face", width=kit.px(44))
            self._box = kit.box(f"{name}_name", width=-kit.px(88))
            kit.tip(self._box, "Its name; type another one")
            kit.on_release(self._box, self._renamed)
            self._up = self._arrow(dpg.mvDir_Up, -1)
            self._down = self._arrow(dpg.mvDir_Down, 1)
            kit.button("×", self._remove, f"{name}_remove", "No favourite any more", width=-1)
        self._line = int(line)

    def _arrow(self, direction: int, by: int) -> int:
        kit, word = self._kit, "up" if by < 0 else "down"
        item = int(dpg.add_button(arrow=True, direction=direction, callback=lambda: self._move(by)))
        kit.tip(kit.name(f"{self._name}_{word}", item), f"Move it {word}")
        return item

    def show(self, favourite: Favourite | None, here: bool, count: int) -> None:
        """Show a favourite, or nothing."""
        kit, self._shown = self._kit, favourite
        kit.show(self._line, favourite is not None)
        if favourite is None:
            return
        kit.show_value(self._box, favourite.name)
        kit.enable(self._up, self._index > 0)
        kit.enable(self._down, self._index < count - 1)
        dpg.bind_item_theme(self._go, kit.themes.chosen if here else kit.themes.segment)

    def _chosen(self) -> None:
        studio, favourite = self._kit.studio, self._shown
        facts = studio.capabilities
        if facts is None:
            raise UserError("Open a model first; there is nothing to draw a face with.")
        if favourite is not None:
            studio.edit(favourite.name, lambda d: faces.show(d, favourite.who, facts))

    def _renamed(self) -> None:
        studio, index, text = self._kit.studio, self._index, dpg.get_value(self._box)
        if self._shown is None or text.strip() == self._shown.name:
            return
        try:
            studio.edit("Rename favourite", lambda d: faces.rename(d, index, text))
        except UserError:
            dpg.set_value(self._box, self._shown.name)
            raise

    def _move(self, by: int) -> None:
        index = self._index
        self._kit.studio.edit("Move favourite", lambda d: faces.move(d, index, by))

    def _remove(self) -> None:
        index = self._index
        self._kit.studio.edit("Remove favourite", lambda d: faces.unpin(d, index))
