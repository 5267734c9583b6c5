"""The models that there are: here, in a folder, and on their authors' pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.dialogs import Question
from app.folder_search import FolderSearch
from app.kit import Kit
from app.panels.popup import Popup
from app.studio import Studio
from app.typed_paths import nearest
from engine.assets import shipped_generators
from engine.catalogue import Found, Release, releases, size_text

SIZE = (900, 560)
#: Files of a folder that are listed; more would be no list.
MOST_ROWS = 200


class ModelsWindow(Popup):
    """Two tabs: what lies on this computer, and what the authors have released.

    Args:
        kit: what every panel is given.
        search: the search of a folder; it outlives the window.
    """

    def __init__(self, kit: Kit, search: FolderSearch) -> None:
        super().__init__(kit, SIZE, fitted=True)
        self._search = search
        self._listed: tuple[object, ...] | None = None

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with (
            dpg.window(
                label="Models", show=False, no_collapse=True, no_resize=True, no_scrollbar=True,
                width=kit.px(SIZE[0]), height=kit.px(SIZE[1]), no_scroll_with_mouse=True,
            ) as window,
            dpg.tab_bar(),
        ):  # fmt: skip
            with dpg.tab(label="On this computer") as here:
                self._build_here()
            kit.tip_of_tab(int(here), "What was opened before, and what lies in a folder")
            with dpg.tab(label="Released by their authors") as released:
                dpg.add_spacer(height=kit.px(2))
                kit.text(
                    "Checkpoints have their authors' licences. Maquette downloads nothing: get a "
                    "file from its page, then search the folder that it lies in.",
                    theme=kit.themes.muted, wrap=0,
                )  # fmt: skip
                dpg.add_spacer(height=kit.px(4))
                with dpg.child_window(height=-1, border=False):
                    self._released = int(dpg.add_group())
            kit.tip_of_tab(int(released), "What there is, under which licence, and where to get it")
        kit.name("models_tab_here", int(here))
        kit.name("models_tab_released", int(released))
        self.window = int(window)
        dpg.set_value(self._folder, kit.studio.settings.models_folder)

    def _build_here(self) -> None:
        kit = self._kit
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            self._folder = kit.box(
                "models_folder", width=-kit.px(220), hint="A folder with checkpoints",
                enter=self._start, tip="The folder to search, with those below it",
            )  # fmt: skip
            kit.button(
                "Choose folder", self._choose, "models_choose",
                "Search a folder, with those below it, for models", width=kit.px(124),
            )  # fmt: skip
            self._go = kit.button(
                "Search", self._start_or_stop, "models_search", "Begin or stop the search", width=-1
            )
        self._status = kit.name("models_status", kit.text("", theme=kit.themes.muted, wrap=0))
        with dpg.child_window(height=-1, border=False):
            self._here = int(dpg.add_group())

    def toggle(self) -> None:
        """Open or close it."""
        super().toggle()
        if self.is_open:
            self.update(self._kit.studio)

    def poll(self) -> bool:
        """Show what the search has found since; True while it runs. Call once a frame."""
        if self._search.poll():
            if self._search.error:
                self._kit.studio.complain(self._search.error)
            self.update(self._kit.studio)
        return self._search.folder is not None

    def update(self, studio: Studio) -> None:
        """Show the present state, if it can be seen."""
        if not self.is_open:
            return
        kit, search = self._kit, self._search
        running = search.folder is not None
        dpg.configure_item(self._go, label="Stop" if running else "Search")
        if running:
            status = f"Searching {search.folder} ... {search.folders} folders"
        elif search.error:
            status = search.error
        else:
            status = search.result.summary if search.result else "No folder has been searched yet."
        kit.show_value(self._status, status)
        current = studio.model.ref.path if studio.model else ""
        listed = (studio.settings.recent, current, id(search.result))
        if listed != self._listed:
            self._listed = listed
            self._fill_here(studio.settings.recent, current)
            self._fill_released()

    # Searching --------------------------------------------------------------------------

    def _choose(self) -> None:
        start = nearest(str(dpg.get_value(self._folder)))
        question = Question("Choose a folder with models", start=start, folder=True)
        self._kit.dialogs.ask(question, self._chosen)

    def _chosen(self, folder: Path) -> None:
        dpg.set_value(self._folder, str(folder))
        self._start()

    def _start_or_stop(self) -> None:
        if self._search.folder is None:
            self._start()
        else:
            self._search.cancel()
            self.update(self._kit.studio)

    def _start(self) -> None:
        studio, folder = self._kit.studio, str(dpg.get_value(self._folder))
        self._search.start(folder)
        studio.change_settings(replace(studio.settings, models_folder=folder.strip()))
        studio.touch()

    # Rows -------------------------------------------------------------------------------

    def _fill_here(self, recent: tuple[str, ...], current: str) -> None:
        kit, result = self._kit, self._search.result
        kit.clear(self._here)
        found = result.found if result else []
        if result and found:
            # What was asked for comes first: what was opened before can be long.
            dpg.push_container_stack(self._here)
            kit.heading(f"In {result.folder}", first=True)
            dpg.pop_container_stack()
            with _table(self._here, (0.44, 0.56), kit.px(92)):
                for index, one in enumerate(found[:MOST_ROWS]):
                    place = one.path.relative_to(result.folder)
                    title = f"{one.text[:1].upper()}{one.text[1:]}" or "Not in the catalogue"
                    detail = f"{place}  ·  {size_text(one.size)}"
                    path = str(one.path)
                    self._here_row(title, detail, path, f"found_{index}", current, one)
            dpg.push_container_stack(self._here)
            kit.heading("Shipped, and opened before")
            dpg.pop_container_stack()
        with _table(self._here, (0.44, 0.56), kit.px(92)):
            for ours in shipped_generators():
                name = ours.key.replace(":", "_")
                self._here_row(ours.title, ours.note, ours.key, name, current)
            for index, path in enumerate(recent):
                self._here_row(Path(path).name, path, path, f"recent_{index}", current)

    def _here_row(
        self,
        title: str,
        detail: str,
        path: str,
        name: str,
        current: str,
        one: Found | None = None,
    ) -> None:
        kit = self._kit
        with dpg.table_row():
            unknown = one is not None and not one.text
            item = kit.text(title, theme=kit.themes.muted if unknown else None, wrap=0)
            kit.name(f"models_{name}_title", item)
            with dpg.group():
                kit.tip(kit.text(detail, theme=kit.themes.muted, wrap=0), path)
                if one is not None and one.note:
                    kit.text(one.note, theme=kit.themes.warning, font=kit.fonts.small, wrap=0)
            if path == current:
                kit.text("Open now", theme=kit.themes.accent)
            else:
                kit.button("Open", self._opener(path), f"models_{name}", f"Open {path}", width=-1)

    def _fill_released(self) -> None:
        kit = self._kit
        here = {
            release.key: one
            for one in reversed(self._search.result.found if self._search.result else [])
            for release in one.releases
        }
        kit.clear(self._released)
        dpg.push_container_stack(self._released)
        for first, (system, members) in enumerate(groupby(releases(), lambda r: r.system)):
            models = list(members)
            kit.heading(system, first=first == 0)
            self._family_lines(models[0])
            with _table(self._released, (0.34, 0.48, 0.18), kit.px(92)):
                for release in models:
                    self._released_row(release, here.get(release.key))
        dpg.pop_container_stack()

    def _family_lines(self, one: Release) -> None:
        kit = self._kit
        kit.text(f"{one.paper}.  Licence: {one.licence}.", theme=kit.themes.muted, wrap=0)
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            kit.button(
                "Open the page", lambda: self._browse(one.page), f"models_page_{one.family}",
                "Shows it in your browser",
            )  # fmt: skip
            kit.button(
                "Copy its address",
                lambda: self._copy(one.page),
                f"models_copy_{one.family}",
                "Puts the address on the clipboard",
            )
            dpg.add_button(label=one.page.removeprefix("https://"))
            dpg.bind_item_theme(dpg.last_item(), kit.themes.label)

    def _released_row(self, release: Release, one: Found | None) -> None:
        kit = self._kit
        with dpg.table_row():
            kit.text(f"{release.shows}, {release.pixels} px", wrap=0)
            with dpg.group():
                kit.text(release.file or "file name unknown", theme=kit.themes.muted, wrap=0)
                for line in (release.note, release.md5 and f"md5 {release.md5}"):
                    if line:
                        kit.text(line, theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
            kit.text(release.size_text or "size unknown", theme=kit.themes.muted, wrap=0)
            if one is None:
                dpg.add_spacer()
            else:
                name = f"models_released_{release.key}"
                item = kit.button("Open", self._opener(str(one.path)), name, width=-1)
                kit.tip(item, f"{one.path} {one.certainty} it")

    # Doing ------------------------------------------------------------------------------

    def _opener(self, path: str) -> Callable[[], None]:
        def open_it() -> None:
            self._kit.studio.open_model(path)
            self.close()

        return open_it

    def _copy(self, address: str) -> None:
        dpg.set_clipboard_text(address)
        self._kit.studio.say(f"Copied {address}", key="address")

    def _browse(self, address: str) -> None:
        # Some browsers keep the caller waiting until they are closed.
        threading.Thread(target=_show_page, args=(address,), daemon=True).start()
        self._kit.studio.say(f"Opening {address} in your browser ...", key="address")


def _show_page(address: str) -> None:
    import webbrowser

    with suppress(webbrowser.Error, OSError):
        webbrowser.open(address)


@contextmanager
def _table(parent: int, shares: tuple[float, ...], button: int) -> Iterator[None]:
    """A table without lines: columns by their share of the width, and one for a button."""
    with dpg.table(
        parent=parent, header_row=False, policy=dpg.mvTable_SizingStretchProp, pad_outerX=False
    ):
        for share in shares:
            dpg.add_table_column(init_width_or_weight=share)
        dpg.add_table_column(width_fixed=True, init_width_or_weight=button)
        yield
