"""One edit of the stack: on or off, name, strength, and the tools of the one that is chosen."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import edit_stack as stack
from app.edit_stack import LOCKS
from app.kit import Kit
from app.runner import early
from app.studio import Studio
from engine.capabilities import Capabilities
from engine.edits import MAX_STRENGTH, Edit
from engine.errors import UserError

#: Strengths that the slider reaches; numbers go further.
REACH = 5.0
#: Widths of the number and of the list of locks, at a scale of 1, pixels.
NUMBER, LOCK = 58, 116
STRENGTH = "How strong: 0 is the face without it, below 0 the opposite. Double-click: back to 0"


class EditRow:
    """One line of the stack.

    Args:
        kit: what every panel is given.
        index: which edit.
        ask_save: asks where to save its direction.
    """

    def __init__(self, kit: Kit, index: int, ask_save: Callable[[int], None]) -> None:
        self._kit, self._index, self._ask_save = kit, index, ask_save
        self._name = f"edit_{index}"
        self._centre = False
        self._shown: Edit | None = None

    def build(self) -> None:
        """Create the items."""
        kit, name = self._kit, self._name
        with dpg.group(show=False) as whole:
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)):
                self._on = int(
                    dpg.add_checkbox(callback=lambda _sender, value: self._switch(bool(value)))
                )
                kit.tip(kit.name(f"{name}_on", self._on), "Count it in, or leave it out for now")
                self._title = kit.button(
                    "", self._choose, name, "Show the tools of this edit, or hide them",
                    width=-kit.px(NUMBER + 4),
                )  # fmt: skip
                self._number = kit.number(
                    self._move, f"{name}_number", -MAX_STRENGTH, MAX_STRENGTH, 0.02, "%+.2f",
                    width=-1, tip="How strong; double-click to type it",
                )  # fmt: skip
            self._slider = self._build_slider()
            self._box = kit.box(f"{name}_name", tip="Its name; type another one", show=False)
            kit.on_release(self._box, self._renamed)
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(4), show=False) as tools:
                self._up = self._arrow(dpg.mvDir_Up, -1)
                self._down = self._arrow(dpg.mvDir_Down, 1)
                self._lock = int(
                    dpg.add_combo(
                        list(LOCKS.values()), width=kit.px(LOCK),
                        callback=lambda _sender, title: self._touch(title),
                    )
                )  # fmt: skip
                kit.tip(kit.name(f"{name}_lock", self._lock), "Which layers it may change")
                kit.button(
                    "Save", lambda: self._ask_save(self._index), f"{name}_save",
                    "Keep its direction as two files, for other faces, projects and people",
                    width=kit.px(50),
                )  # fmt: skip
                kit.button("×", self._remove, f"{name}_remove", "Remove this edit", width=-1)
        self._tools, self._whole = int(tools), int(whole)
        dpg.bind_item_font(self._tools, kit.fonts.small)

    def _build_slider(self) -> int:
        kit = self._kit
        item = int(
            dpg.add_slider_float(
                min_value=-REACH, max_value=REACH, format="", width=-1, clamped=True,
                callback=early(lambda _sender, value: self._move(value)),
            )
        )  # fmt: skip
        kit.typed(kit.name(f"{self._name}_strength", item))
        kit.tip(item, STRENGTH)
        kit.on_release(item, self._released)
        # The same registry: an item has one.
        registry = dpg.get_item_info(item)["handlers"]
        dpg.add_item_double_clicked_handler(0, parent=registry, callback=self._double_clicked)
        return item

    def _arrow(self, direction: int, by: int) -> int:
        kit, word = self._kit, "up" if by < 0 else "down"
        item = int(
            dpg.add_button(arrow=True, direction=direction, callback=lambda: self._shift(by))
        )
        kit.tip(kit.name(f"{self._name}_{word}", item), f"Move it {word} in the list")
        return item

    def show(self, edit: Edit | None, chosen: bool, count: int, facts: Capabilities | None) -> None:
        """Show an edit, or nothing.

        Args:
            edit: which, or ``None``.
            chosen: whether its tools are shown.
            count: of all edits.
            facts: of the open model.
        """
        kit, self._shown = self._kit, edit
        kit.show(self._whole, edit is not None)
        if edit is None:
            return
        kit.show_value(self._on, not edit.muted)
        if dpg.get_item_label(self._title) != edit.name:
            dpg.configure_item(self._title, label=edit.name)
        dpg.bind_item_theme(self._title, kit.themes.chosen if chosen else kit.themes.segment)
        kit.show_value(self._number, edit.strength)
        kit.show_value(self._slider, min(max(edit.strength, -REACH), REACH))
        kit.show(self._tools, chosen)
        kit.show(self._box, chosen)
        kit.show_value(self._box, edit.name)
        kit.enable(self._up, self._index > 0)
        kit.enable(self._down, self._index < count - 1)
        lock = None if facts is None else stack.lock_of(edit, facts)
        kit.show_value(self._lock, "Some layers" if lock is None else LOCKS[lock])

    # What is done with it -----------------------------------------------------------------

    @property
    def _studio(self) -> Studio:
        return self._kit.studio

    def _switch(self, counts: bool) -> None:
        index, word = self._index, "on" if counts else "off"
        self._studio.edit(f"Edit {word}", lambda d: stack.set_muted(d, index, not counts))

    def _choose(self) -> None:
        editing = self._studio.editing
        editing.chosen = None if editing.chosen == self._index else self._index
        self._studio.touch()

    def _renamed(self) -> None:
        index, text, shown = self._index, str(dpg.get_value(self._box)), self._shown
        if shown is None or text.strip() == shown.name:
            return
        try:
            self._studio.edit("Rename an edit", lambda d: stack.rename(d, index, text))
        except UserError:
            dpg.set_value(self._box, shown.name)
            raise

    def _move(self, strength: float) -> None:
        index = self._index
        if index < len(self._studio.document.recipe.edits):
            self._studio.edit(
                "Strength of an edit", lambda d: stack.set_strength(d, index, round(strength, 3)),
                f"edit-strength-{index}",
            )  # fmt: skip

    def _double_clicked(self) -> None:
        self._centre = True

    def _released(self) -> None:
        self._studio.end_gesture()
        if self._centre:
            self._centre = False
            index = self._index
            self._studio.edit("Strength of an edit", lambda d: stack.set_strength(d, index, 0.0))

    def _shift(self, by: int) -> None:
        index, editing = self._index, self._studio.editing
        self._studio.edit("Move an edit", lambda d: stack.move(d, index, by))
        editing.chosen = index + by

    def _touch(self, title: str) -> None:
        index, facts = self._index, self._studio.capabilities
        lock = next((key for key, known in LOCKS.items() if known == title), None)
        if facts is None or lock is None:
            raise UserError("Open a model first; its layers are not known yet.")
        self._studio.edit("Layers of an edit", lambda d: stack.set_lock(d, index, lock, facts))

    def _remove(self) -> None:
        index = self._index
        self._studio.editing.chosen = None
        self._studio.edit("Remove an edit", lambda d: stack.remove(d, index))
