"""Editing a face: the stack of edits, edits by text, and ways that the model itself has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dearpygui.dearpygui as dpg

from app import edit_stack as stack
from app.commands import tip
from app.conversation import Prompt
from app.edit_stack import LOCKS
from app.editing import METHODS, Method
from app.kit import Kit
from app.panels.edit_rows import EditRow
from app.studio import Studio
from app.typed_paths import keep_folder, kept_folder, new_file, whole_path
from engine.editing.directions import NUMBERS_SUFFIX, SUFFIX
from engine.errors import UserError
from engine.export.files import check_writable

#: Of the folder that is remembered.
PURPOSE = "directions"
NOTHING = "Say what should be seen, or take a way of the model: each becomes a slider here."


class EditPanel:
    """See the module's docstring.

    Args:
        kit: what every panel is given.
        show_ways: opens or closes the window with the model's own ways.
    """

    def __init__(self, kit: Kit, show_ways: Callable[[], None]) -> None:
        self._kit, self._show_ways = kit, show_ways
        self._rows: list[EditRow] = []

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._about = kit.text(NOTHING, theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        self._list = int(dpg.add_group(show=False))
        self._text = kit.box(
            "edit_text", hint="What should be seen: smiling", enter=self.add,
            tip="A text, such as smiling, or a person with a beard; Enter adds the edit",
        )  # fmt: skip
        kit.on_release(self._text, self._typed)
        self._neutral = kit.box(
            "edit_neutral", hint="Against: a face", enter=self.add,
            tip="What the text is compared with; empty for a person of whom nothing is said",
        )  # fmt: skip
        kit.on_release(self._neutral, self._typed)
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)):
            self._methods = {
                method: kit.button(
                    title, lambda method=method: self._choose(method),  # type: ignore[misc]
                    f"edit_{method}", about, width=kit.px(126),
                )
                for method, (title, about) in METHODS.items()
            }  # fmt: skip
        with kit.row("May change", "Which layers the new edit may change"):
            self._lock = int(
                dpg.add_combo(
                    list(LOCKS.values()), width=-1,
                    callback=lambda _sender, title: self._set_lock(title),
                )
            )  # fmt: skip
            kit.explain(kit.name("edit_lock", self._lock))
        with dpg.group(horizontal=True, show=False) as keeps:
            self._pose = self._flag(
                "edit_keep_pose",
                "Keep outline",
                "keep_pose",
                "The outline of the head shall stay where it is",
            )
            self._background = self._flag(
                "edit_keep_background", "Keep behind", "keep_background",
                "What lies behind the head shall stay as it is",
            )  # fmt: skip
        self._keeps = int(keeps)
        self._just = self._flag(
            "edit_just_enough", "Just enough for this face", "just_enough",
            "The slider stands where the text encoder sees the text in this face, and no further; "
            "who shows it already stays as they are",
        )  # fmt: skip
        self._add = kit.button(
            "Add by text", self.add, "edit_add", tip("edit_by_text"), theme=kit.themes.primary,
            width=-1,
        )  # fmt: skip
        with dpg.group(show=False) as seeking:
            self._bar = int(dpg.add_progress_bar(width=-1, height=kit.px(6)))
            self._doing = kit.name(
                "edit_doing", kit.text("", theme=kit.themes.muted, font=kit.fonts.small, wrap=0)
            )
            with kit.row():
                self._stop = kit.button(
                    "Stop", self.stop, "edit_stop", tip("edit_stop"), width=kit.px(78)
                )
                self._keep = kit.button(
                    "Keep", self.keep, "edit_keep", tip("edit_keep"), width=kit.px(78)
                )
                self._discard = kit.button(
                    "Discard", self.discard, "edit_discard", tip("edit_discard"), width=-1
                )
        self._seeking = int(seeking)
        with kit.row():
            self._ways = kit.button(
                "Ways of the model ...", self._show_ways, "edit_ways", tip("edit_ways"),
                width=-kit.px(92),
            )  # fmt: skip
            self._load = kit.button("Load", self.ask_load, "edit_load", tip("edit_load"), width=-1)

    def _flag(self, name: str, title: str, field: str, about: str) -> int:
        def change(_sender: int, value: bool) -> None:
            setattr(self._kit.studio.editing, field, bool(value))

        item = int(dpg.add_checkbox(label=title, callback=change))
        self._kit.tip(self._kit.name(name, item), about)
        return item

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, editing, edits = self._kit, studio.editing, studio.document.recipe.edits
        ready, seeking, trial = studio.model is not None, editing.seeking, editing.trial
        kit.show(self._about, not edits and trial is None)
        kit.show(self._list, bool(edits))
        while len(self._rows) < len(edits):
            # Made when they are needed: most faces have no edits.
            row = EditRow(kit, len(self._rows), self.ask_save)
            dpg.push_container_stack(self._list)
            row.build()
            dpg.pop_container_stack()
            self._rows.append(row)
        for index, row in enumerate(self._rows):
            edit = edits[index] if index < len(edits) else None
            row.show(edit, editing.chosen == index, len(edits), studio.capabilities)
        for method, item in self._methods.items():
            chosen = method == editing.method
            dpg.bind_item_theme(item, kit.themes.chosen if chosen else kit.themes.segment)
        kit.show_value(self._lock, LOCKS[editing.lock])
        kit.show(self._keeps, editing.method == "optimise")
        kit.show(self._just, editing.method == "direction")
        kit.show_value(self._just, editing.just_enough)
        kit.show_value(self._pose, editing.keep_pose)
        kit.show_value(self._background, editing.keep_background)
        busy = seeking is not None or trial is not None
        kit.show(self._add, not busy)
        kit.show(self._seeking, busy)
        kit.enable(self._stop, seeking is not None and not seeking.stopping)
        kit.enable(self._keep, trial is not None)
        kit.enable(self._discard, trial is not None)
        dpg.bind_item_theme(self._keep, kit.themes.primary if trial is not None else 0)
        for item in (self._add, self._ways, self._load):
            kit.enable(item, ready)
        if seeking is not None:
            kit.show_value(self._bar, seeking.share)
            doing = seeking.doing
            kit.show_value(self._doing, f"{seeking.text}: {doing[:1].lower()}{doing[1:]}")
        elif trial is not None:
            kit.show_value(self._bar, trial.step / trial.steps)
            said = f"{trial.edit.name}: {trial.step} of {trial.steps} steps. Keep it?"
            kit.show_value(self._doing, said)

    def described(self) -> dict[str, Any]:
        """What it shows, for the tests."""
        editing = self._kit.studio.editing
        seeking, trial = editing.seeking, editing.trial
        return {
            "chosen": editing.chosen,
            "method": editing.method,
            "lock": editing.lock,
            "just_enough": editing.just_enough,
            "seeking": None if seeking is None else [seeking.text, seeking.done, seeking.total],
            "trial": None if trial is None else [trial.step, trial.steps, trial.running],
        }

    # By text ------------------------------------------------------------------------------

    @property
    def text_box(self) -> int:
        """Where the text is typed."""
        return self._text

    def add(self) -> None:
        """Look for an edit by the text that stands there."""
        self._kit.studio.editing.add_by_text(*self._texts())

    def _texts(self) -> tuple[str, str]:
        return str(dpg.get_value(self._text)), str(dpg.get_value(self._neutral))

    def _typed(self) -> None:
        self._kit.studio.editing.look_up(*self._texts())

    def _choose(self, method: Method) -> None:
        self._kit.studio.editing.method = method
        self._kit.studio.touch()

    def _set_lock(self, title: str) -> None:
        editing = self._kit.studio.editing
        editing.lock = next(lock for lock, known in LOCKS.items() if known == title)
        self._kit.studio.touch()

    def stop(self) -> None:
        """No more steps."""
        self._kit.studio.editing.stop()

    def keep(self) -> None:
        """Make what is tried out a part of the document."""
        self._kit.studio.editing.keep()

    def discard(self) -> None:
        """The face as it was before."""
        self._kit.studio.editing.discard()

    def mute_all(self) -> None:
        """All edits off, or all on again."""
        studio = self._kit.studio
        muted = any(not edit.muted for edit in studio.document.recipe.edits)
        studio.edit("Edits off" if muted else "Edits on", lambda d: stack.mute_all(d, muted))

    def clear(self) -> None:
        """No edits."""
        self._kit.studio.editing.chosen = None
        self._kit.studio.edit("Remove all edits", stack.clear)

    # Files --------------------------------------------------------------------------------

    def ask_load(self) -> None:
        """Ask for a direction to add."""
        start = kept_folder(self._kit.studio.settings, PURPOSE)
        self._kit.studio.desk.talk.ask_path(
            Prompt("open direction", "Load a direction", "Load", f"{start}/", self._load_from)
        )

    def _load_from(self, path: str) -> None:
        studio = self._kit.studio
        where = whole_path(path, kept_folder(studio.settings, PURPOSE), f"a {SUFFIX} file")
        studio.editing.load(where)
        keep_folder(studio, PURPOSE, where.parent)
        studio.desk.talk.end()

    def ask_save(self, index: int) -> None:
        """Ask where to save the direction of an edit."""
        studio = self._kit.studio
        edit = studio.document.recipe.edits[index]
        plain = "".join(c if c.isalnum() or c in " -_" else "_" for c in edit.name).strip()
        start = kept_folder(studio.settings, PURPOSE) / f"{plain or 'direction'}{SUFFIX}"

        def save(path: str) -> None:
            where = new_file(path, kept_folder(studio.settings, PURPOSE), SUFFIX)
            if where.with_suffix(NUMBERS_SUFFIX).exists():
                raise UserError(f"{where.with_suffix(NUMBERS_SUFFIX)} exists already.")
            check_writable(where)
            written = studio.editing.save(index, where)
            keep_folder(studio, PURPOSE, where.parent)
            studio.say(f"Saved to {written}", "good", "direction")
            studio.desk.talk.end()

        studio.desk.talk.ask_path(
            Prompt("save direction", "Save the direction of an edit", "Save", str(start), save)
        )
