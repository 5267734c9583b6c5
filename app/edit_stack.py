"""Edits of the stack of edits: pure functions ``Document -> Document``.

The stack belongs to the face that is shown (``recipe.edits``); what lies in a timeline, in a
favourite or in the reference has its own. Knows neither the toolkit nor torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from app.document import Document
from engine.capabilities import Capabilities
from engine.edits import MAX_STACK, MAX_STRENGTH, Edit, Offset
from engine.errors import UserError

#: What an edit may touch: everything, or one of two halves of the layers.
Lock = Literal["all", "shape", "appearance"]
LOCKS: dict[Lock, str] = {
    "all": "Everything", "shape": "Only the shape", "appearance": "Only the look",
}  # fmt: skip


def add(document: Document, edit: Edit, facts: Capabilities, place: int | None = None) -> Document:
    """One more edit.

    Args:
        facts: of the document's model.
        place: where in the stack; ``None`` is the end.

    Raises:
        UserError: the stack is full, or the model has a w of another size.
    """
    if why := edit.offset.why_not(facts.num_ws, facts.w_dim):
        raise UserError(f"The edit {edit.name!r} cannot be made: {why}.")
    stack = list(document.recipe.edits)
    if len(stack) >= MAX_STACK:
        raise UserError(f"A face can have {MAX_STACK} edits at most; remove one first.")
    stack.insert(len(stack) if place is None else place, edit)
    return _with(document, stack)


def remove(document: Document, index: int) -> Document:
    """Without one of the edits."""
    stack = list(document.recipe.edits)
    del stack[index]
    return _with(document, stack)


def clear(document: Document) -> Document:
    """Without any edit."""
    return _with(document, ())


def move(document: Document, index: int, by: int) -> Document:
    """An edit so many places further down (or up, below 0), within the stack. They add up, so
    that the face stays the same but for rounding."""
    stack = list(document.recipe.edits)
    place = min(max(index + by, 0), len(stack) - 1)
    stack.insert(place, stack.pop(index))
    return _with(document, stack)


def set_strength(document: Document, index: int, strength: float) -> Document:
    """Another strength, clamped to -20 .. 20.

    Raises:
        UserError: it is no number.
    """
    clamped = min(max(float(strength), -MAX_STRENGTH), MAX_STRENGTH)
    return _changed(document, index, strength=clamped)


def set_muted(document: Document, index: int, muted: bool) -> Document:
    """Whether an edit is kept without effect."""
    return _changed(document, index, muted=muted)


def mute_all(document: Document, muted: bool) -> Document:
    """Whether all edits are without effect: the face as it was, to compare with."""
    return _with(document, (replace(edit, muted=muted) for edit in document.recipe.edits))


def rename(document: Document, index: int, name: str) -> Document:
    """An edit under another name.

    Raises:
        UserError: it is empty or too long.
    """
    return _changed(document, index, name=name.strip())


def set_rows(document: Document, index: int, rows: Iterable[int] | None) -> Document:
    """Which rows of w an edit may touch; ``None`` means all."""
    kept = None if rows is None else tuple(sorted(set(rows)))
    return _changed(document, index, rows=kept)


def set_offset(document: Document, index: int, offset: Offset) -> Document:
    """Another direction in the place of an edit's: what an optimisation has reached."""
    return _changed(document, index, offset=offset)


def set_lock(document: Document, index: int, lock: Lock, facts: Capabilities) -> Document:
    """Let an edit touch everything, only the shape or only the look."""
    return set_rows(document, index, lock_rows(lock, facts))


def lock_rows(lock: Lock, facts: Capabilities) -> tuple[int, ...] | None:
    """The rows of a lock: those of appearance are :attr:`Capabilities.look_rows`, those of shape
    all others."""
    look = facts.look_rows
    if lock == "appearance":
        return look
    return None if lock == "all" else tuple(r for r in range(facts.num_ws) if r not in look)


def lock_of(edit: Edit, facts: Capabilities) -> Lock | None:
    """Which lock an edit has; ``None`` for rows that are none of the three."""
    known: tuple[Lock, ...] = ("all", "shape", "appearance")
    return next((lock for lock in known if edit.rows == lock_rows(lock, facts)), None)


def _changed(document: Document, index: int, **changes: object) -> Document:
    stack = list(document.recipe.edits)
    stack[index] = replace(stack[index], **changes)  # type: ignore[arg-type]
    return _with(document, stack)


def _with(document: Document, edits: Iterable[Edit]) -> Document:
    return replace(document, recipe=replace(document.recipe, edits=tuple(edits)).checked())
