"""How a document came to be: named steps that can be undone and redone.

    history = History(Document())
    history = history.edit("Seed", set_seed(history.document, 7))
    history = history.edit("Orbit", orbit(history.document, 5, 0), gesture="orbit")
    history = history.edit("Orbit", orbit(history.document, 5, 0), gesture="orbit")
    history = history.end_gesture()      # the mouse button went up: one step, not two
    history = history.undo()
    history = history.go_to(2)           # both steps again

Everything is immutable; nothing here knows the window or torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from app.document import Document

#: A step takes about half a kilobyte (documents share what an edit left alone), so that so many
#: take some 60 MB; beyond them the oldest are forgotten. A step a second fills them in 28 hours.
MOST_STEPS = 100_000


@dataclass(frozen=True)
class Step:
    """One entry of the history: what the edit was called and the document beyond it (the
    state before the edit in ``past``, the state after it in ``future``)."""

    name: str
    document: Document


@dataclass(frozen=True)
class History:
    """A document with its undo and redo steps.

    Attributes:
        document: the present state.
        past: steps that can be undone, the latest last.
        future: steps that can be redone, the next one last.
        gesture: key of the drag under way whose edits join one step, or ``None``.
        saved: the state that needs no saving: that of the project's file, or of a new
            project; ``None`` while there is no such state (what was recovered).
        limit: how many steps are kept.
    """

    document: Document = field(default_factory=Document)
    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()
    gesture: str | None = None
    saved: Document | None = field(default_factory=Document)
    limit: int = MOST_STEPS

    @classmethod
    def starting(cls, document: Document, saved: bool = True) -> History:
        """A history without steps.

        Args:
            document: the present state.
            saved: whether it needs no saving.
        """
        return cls(document, saved=document if saved else None)

    @property
    def is_saved(self) -> bool:
        """Whether the present state needs no saving (undo may have come back to it)."""
        return self.document == self.saved

    def mark_saved(self, document: Document) -> History:
        """The history after ``document``, the present state or an earlier one, was saved."""
        return replace(self, saved=document)

    def edit(self, name: str, document: Document, gesture: str | None = None) -> History:
        """The history after an edit.

        Args:
            name: what the step is called in the menu ("Undo orbit").
            document: the new state. If nothing changed, no step is made.
            gesture: edits in a row with the same key join one step until
                :meth:`end_gesture` (a drag of the mouse or of a slider). An edit without
                a key, or with another one, starts a step of its own.
        """
        joins = gesture is not None and gesture == self.gesture and bool(self.past)
        if joins:
            return replace(self, document=document, future=())
        if document == self.document:
            return replace(self, gesture=None)
        kept = (
            self.past
            if len(self.past) < self.limit
            else self.past[len(self.past) + 1 - self.limit :]
        )
        past = (*kept, Step(name, self.document))
        return replace(self, document=document, past=past, future=(), gesture=gesture)

    def end_gesture(self) -> History:
        """The drag is over: the next edit is a step of its own. A drag that came back to
        where it began leaves no step."""
        if self.gesture is None:
            return self
        if self.past and self.past[-1].document == self.document:
            return replace(self, past=self.past[:-1], gesture=None)
        return replace(self, gesture=None)

    def amend(self, document: Document) -> History:
        """Another present state without a step, for what is no edit by the person (the
        hash of the model that has just become known, for instance); it needs no saving that
        was not needed before."""
        saved = document if self.is_saved else self.saved
        return replace(self, document=document, saved=saved)

    def undo(self) -> History:
        """One step back; the same history if there is none."""
        ended = self.end_gesture()
        return ended.go_to(len(ended.past) - 1)

    def redo(self) -> History:
        """One step forward again; the same history if there is none."""
        ended = self.end_gesture()
        return ended.go_to(len(ended.past) + 1)

    def go_to(self, place: int) -> History:
        """As many steps back or forward as lead to a place.

        Args:
            place: 0 is the oldest state, ``len(past)`` the present one, ``len(names)`` the
                latest; beyond the ends nothing changes.
        """
        ended = self.end_gesture()
        past, future, document = list(ended.past), list(ended.future), ended.document
        if not 0 <= place <= len(past) + len(future):
            return ended
        while len(past) > place:
            step = past.pop()
            future.append(Step(step.name, document))
            document = step.document
        while len(past) < place:
            step = future.pop()
            past.append(Step(step.name, document))
            document = step.document
        return replace(ended, document=document, past=tuple(past), future=tuple(future))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all steps, the oldest first; ``len(past)`` of them are done."""
        done = tuple(step.name for step in self.past)
        return done + tuple(step.name for step in reversed(self.future))

    def name_of(self, step: int) -> str:
        """Name of one step, 1 (the oldest) to ``len(past) + len(future)``."""
        done = len(self.past)
        return self.past[step - 1].name if step <= done else self.future[done - step].name

    def document_at(self, place: int) -> Document:
        """The state at a place as :meth:`go_to` counts them, without going there.

        Raises:
            IndexError: there is no such place.
        """
        done = len(self.past)
        if not 0 <= place <= done + len(self.future):
            raise IndexError(f"no step {place}")
        if place == done:
            return self.document
        return (self.past[place] if place < done else self.future[done - place]).document

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self.past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self.future)

    @property
    def undo_name(self) -> str | None:
        """Name of the step that undo would take back."""
        return self.past[-1].name if self.past else None

    @property
    def redo_name(self) -> str | None:
        """Name of the step that redo would bring back."""
        return self.future[-1].name if self.future else None
