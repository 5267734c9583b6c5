"""The Edit section's state: what is being looked for, what an optimisation shows before it is
kept, and directions as files.

The stack itself is part of the document (:mod:`app.edit_stack`). It knows neither the toolkit nor
torch; what takes time is done by the process behind :class:`app.edit_tasks.EditTasks`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app import edit_stack as stack
from app.edit_memory import EditMemory, memory_key
from app.edit_stack import Lock
from app.edit_wire import (
    FindDirection,
    Optimise,
    TaskDone,
    TaskEvent,
    TaskFailed,
    TaskProgress,
    TaskStep,
    TaskStopped,
    TryEncoder,
)
from engine.capabilities import Capabilities
from engine.editing.directions import Direction, read_direction, write_direction
from engine.edits import MAX_STACK, Edit, name_of
from engine.errors import UserError
from engine.layer_swap import joined_sha256
from engine.recipe import ModelRef, Recipe

if TYPE_CHECKING:
    from app.studio import Studio

Method = Literal["direction", "optimise"]
METHODS: dict[Method, tuple[str, str]] = {
    "direction": ("Direction", "A way that fits every face, found from the model's own people; "
                  "found once, it comes at once"),
    "optimise": ("Optimise", "This very face is moved, step by step, until its pictures say the "
                 "text; watch it, and keep it or not"),
}  # fmt: skip


@dataclass(frozen=True)
class Seeking:
    """What is being looked for.

    Attributes:
        number: of the task.
        text: that it was asked by.
        lock: what the new edit may touch.
        doing, done, total: how far it is; ``total`` is 0 while that is not known.
        stopping: it was told to stop; what still comes does not count.
    """

    number: int
    text: str
    lock: Lock = "all"
    doing: str = ""
    done: int = 0
    total: int = 0
    stopping: bool = False

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return self.done / self.total if self.total else 0.0


@dataclass(frozen=True)
class Trial:
    """An optimised edit that is seen and not kept yet.

    Attributes:
        edit: as far as it has come.
        step, steps: how far that is.
        reached: how much of the way to the text.
        running: steps are still to come.
    """

    edit: Edit
    step: int
    steps: int
    reached: float
    running: bool = True


class Editing:
    """See the module's docstring.

    Args:
        studio: the state behind the window.
        memory: directions that texts have led to; ``None`` for the program's own.
    """

    def __init__(self, studio: Studio, memory: EditMemory | None = None) -> None:
        self._studio = studio
        self._memory = memory
        self.method: Method = "direction"
        self.lock: Lock = "all"
        self.keep_pose = self.keep_background = True
        #: A new slider stands where the text encoder sees the text in this face, and not further.
        self.just_enough = False
        #: The edit of the stack whose tools are shown.
        self.chosen: int | None = None
        self.seeking: Seeking | None = None
        self.trial: Trial | None = None
        self._trying_encoder: int | None = None
        self._opened: ModelRef | None = None
        self._key = ""

    # What is shown ----------------------------------------------------------------------

    def shown(self, recipe: Recipe) -> Recipe:
        """A recipe as it is drawn: with the edit that is tried out."""
        if self.trial is None:
            return recipe
        return replace(recipe, edits=(*recipe.edits, self.trial.edit))

    @property
    def _facts(self) -> Capabilities:
        facts = self._studio.capabilities
        if facts is None:
            raise UserError("Open a model first; there is nothing to edit yet.")
        return facts

    # By text ----------------------------------------------------------------------------

    def add_by_text(self, text: str, neutral: str) -> None:
        """Look for an edit by a text.

        Raises:
            UserError: there is no text, no model, or something is being looked for.
        """
        studio, facts = self._studio, self._facts
        plain, against = " ".join(text.split()), " ".join(neutral.split())
        if not name_of(plain):
            raise UserError("Write what should be seen, such as smiling, and try again.")
        if self.seeking is not None or self.trial is not None:
            raise UserError("An edit is being made already; keep it, or stop it first.")
        if len(studio.document.recipe.edits) >= MAX_STACK:
            raise UserError(f"A face can have {MAX_STACK} edits at most; remove one first.")
        recipe, encoder = studio.document.recipe, studio.settings.text_encoder
        if self.method == "direction":
            self._key = memory_key(recipe, encoder, plain, against)
            known = self._remembered.get(self._key)
            if known is not None and not self.just_enough:
                self._add(known, self.lock)
                return
            wish = FindDirection(plain, against)
            if self.just_enough:
                wish = replace(wish, enough=True, rows=stack.lock_rows(self.lock, facts))
            number = studio.client.tasks.add(wish, recipe, encoder)
        else:
            rows = stack.lock_rows(self.lock, facts)
            task = Optimise(plain, against, rows, self.keep_pose, self.keep_background)
            number = studio.client.tasks.add(task, recipe, encoder)
        self.seeking = Seeking(number, plain, self.lock, "Starting")
        studio.touch()

    def look_up(self, text: str, neutral: str) -> None:
        """A text is being typed: see whether its direction lies on the disk."""
        studio = self._studio
        if studio.model is not None and text.strip():
            plain, against = " ".join(text.split()), " ".join(neutral.split())
            recipe = studio.document.recipe
            self._remembered.look_up(
                memory_key(recipe, studio.settings.text_encoder, plain, against)
            )

    @property
    def _remembered(self) -> EditMemory:
        if self._memory is None:
            self._memory = EditMemory()
        return self._memory

    def stop(self) -> None:
        """No more steps; what an optimisation has reached stays to be kept or not."""
        if self.seeking is not None and not self.seeking.stopping:
            self._studio.client.tasks.stop(self.seeking.number)
            self.seeking = replace(self.seeking, stopping=True, doing="Stopping")
            self._studio.touch()

    def keep(self) -> None:
        """Make the edit that is tried out a part of the document; it is stopped first."""
        if (trial := self.trial) is None:
            raise UserError("No edit is being tried out.")
        facts = self._facts
        added = stack.add(self._studio.document, trial.edit, facts)  # a full stack loses nothing
        self.stop()
        self.trial = None
        self._studio.edit(f"Edit: {trial.edit.name}", lambda _document: added)
        self.chosen = len(self._studio.document.recipe.edits) - 1

    def discard(self) -> None:
        """The face as it was before."""
        self.stop()
        if self.trial is not None:
            self.trial = None
            self._studio.redraw()

    # From elsewhere -----------------------------------------------------------------------

    def add(self, direction: Direction, strength: float) -> None:
        """One more edit along a direction."""
        facts = self._facts
        studio, recipe = self._studio, self._studio.document.recipe
        joined = joined_sha256(recipe.model, recipe.swap)
        warning = direction.warning(
            facts.family, recipe.model.sha256, facts.num_ws, facts.w_dim, joined
        )
        edit = direction.edit(strength)
        studio.edit(f"Edit: {direction.name}", lambda d: stack.add(d, edit, facts))
        self.chosen = len(studio.document.recipe.edits) - 1
        if warning:
            studio.say(warning, "warning", "edit")

    def load(self, path: Path) -> None:
        """Add a direction from its files.

        Raises:
            UserError: they are no direction, or of a model of another size.
        """
        direction = read_direction(path)
        self.add(direction, direction.usual)

    def save(self, index: int, path: Path) -> Path:
        """Write the direction of an edit; the path of its JSON.

        Raises:
            UserError: it cannot be written.
        """
        edit, family = self._studio.document.recipe.edits[index], self._facts.family
        return write_direction(path, Direction.of_edit(edit, family))

    def try_encoder(self) -> None:
        """Load the text encoder of the settings, and say whether it can be used."""
        studio = self._studio
        tasks = studio.client.tasks
        self._trying_encoder = tasks.add(
            TryEncoder(), studio.document.recipe, studio.settings.text_encoder
        )
        studio.touch()

    # What the process says ----------------------------------------------------------------

    def model_opened(self) -> None:
        """A model is open. Where it is the one that was (the engine has come back, say), what is
        sought or tried out goes on."""
        ref = None if self._studio.model is None else self._studio.model.ref
        if ref != self._opened:
            self._opened = ref
            self.end()

    def end(self) -> None:
        """Another model or document is here: what was sought or tried out for the one before is over."""
        self.stop()
        self.trial = self.chosen = None

    def take(self, event: TaskEvent) -> bool:
        """Take in what was found; ``False`` if it is for somebody else."""
        if event.number == self._trying_encoder:
            self._encoder_tried(event)
            return True
        seeking = self.seeking
        if seeking is None or event.number != seeking.number:
            return False
        match event:
            case TaskProgress() | TaskStep() if seeking.stopping:
                pass
            case TaskProgress():
                self.seeking = replace(
                    seeking, doing=event.doing, done=event.done, total=event.total
                )
                if event.note:
                    self._studio.say(event.note, "warning", "edit")
            case TaskStep():
                self._step(seeking, event)
            case TaskDone():
                self._found(seeking, event)
            case TaskStopped():
                self._ended()
            case TaskFailed():
                self._ended()
                self._studio.say(event.message, "error", "edit")
        return True

    def _step(self, seeking: Seeking, event: TaskStep) -> None:
        self.seeking = replace(
            seeking, doing=f"{event.reached:.0%} of the way", done=event.step, total=event.steps
        )
        model = self._studio.document.model.sha256
        edit = Edit(name_of(seeking.text), event.offset, model=model)
        self.trial = Trial(edit, event.step, event.steps, event.reached)
        self._studio.redraw()

    def _found(self, seeking: Seeking, event: TaskDone) -> None:
        self._ended()
        if event.note:
            self._studio.say(event.note, "warning", "edit")
        if self.trial is None and not seeking.stopping:
            for direction in event.directions:
                self._remembered.keep(self._key, direction)
                self._add(direction, seeking.lock, event.strength)

    def _ended(self) -> None:
        self.seeking = None
        if self.trial is not None:
            self.trial = replace(self.trial, running=False)
            self._studio.redraw()

    def _add(self, direction: Direction, lock: Lock, strength: float | None = None) -> None:
        """A direction that a text led to, as an edit."""
        strength = direction.usual if strength is None else strength
        try:
            facts = self._facts  # the model may have gone meanwhile
            edit = direction.edit(strength, stack.lock_rows(lock, facts))
            self._studio.edit(f"Edit: {direction.name}", lambda d: stack.add(d, edit, facts))
        except UserError as error:
            self._studio.say(str(error), "error", "edit")
            return
        self.chosen = len(self._studio.document.recipe.edits) - 1

    def _encoder_tried(self, event: TaskEvent) -> None:
        if isinstance(event, TaskDone):
            own = self._studio.settings.text_encoder
            which = f"{event.note} from {own}" if own else "the bundled one"
            self._studio.say(f"Texts are read by {which}.", "good", "encoder")
        elif isinstance(event, TaskFailed):
            self._studio.say(event.message, "error", "encoder")
        if not isinstance(event, TaskProgress):
            self._trying_encoder = None
