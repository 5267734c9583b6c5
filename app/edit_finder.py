"""The process that finds edits: one task after the other, with a model of its own, so that the
live picture goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from app.edit_mailbox import EditMailbox
from app.edit_wire import (
    EditTask,
    FindWays,
    Optimise,
    OrderFaces,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStep,
    TaskStopped,
    TryEncoder,
)
from app.faults import sentence
from app.opening import open_generator, reference
from app.settings import cache_folder
from app.wire import ProcessOptions
from engine.draw import Painter
from engine.editing.cache import Cache
from engine.editing.encoders import OpenEncoder, open_encoder
from engine.editing.optimise import OptimiseOptions, as_direction, optimise
from engine.editing.pca import pca_directions
from engine.editing.samples import COUNT, ModelId
from engine.editing.search import ordered, scores
from engine.editing.sefa import sefa_directions
from engine.editing.strength import enough
from engine.editing.text_direction import encoder_name, text_direction
from engine.editing.texts import weakness
from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken, Generator
from engine.latents import edited
from engine.memory import give_back
from engine.recipe import ModelRef, Recipe

#: Progress is told this often at most, in seconds.
_TELL_EVERY = 0.1
_PEOPLE = "Looking at the model's people"


class Finder:
    """The loop of the process."""

    def __init__(self, mailbox: EditMailbox, options: ProcessOptions) -> None:
        self._mailbox, self._options = mailbox, options
        self._cache = Cache(cache_folder() / "edits")
        self._model = ModelRef()
        self._painter: Painter | None = None
        #: By the setting that names it.
        self._encoders: dict[str, OpenEncoder] = {}
        self._told = 0.0

    def run(self) -> None:
        """Serve until the process ends."""
        while True:
            task = self._mailbox.next_task()
            self._mailbox.send(self._do(task))
            give_back()

    def _do(self, task: EditTask) -> TaskDone | TaskStopped | TaskFailed:
        cancel = CancelToken(lambda: self._mailbox.stopped)
        try:
            cancel.check()
            return self._done(task, cancel)
        except Cancelled:
            return TaskStopped(task.number)
        except Exception as error:
            return TaskFailed(task.number, sentence("finding an edit", error, "edits"))

    def _done(self, task: EditTask, cancel: CancelToken) -> TaskDone:
        wish, number = task.wish, task.number
        if isinstance(wish, TryEncoder):
            return TaskDone(number, note=encoder_name(self._encoder(task).encoder))
        painter, generator = self._open(task)
        cancel.check()
        model = ModelId.of(task.recipe)
        if isinstance(wish, FindWays):
            find = pca_directions if wish.kind == "pca" else sefa_directions
            self._tell(task, 0, 0, _PEOPLE)
            ways = find(generator, model, wish.count, self._cache, cancel)
            return TaskDone(number, tuple(ways))
        encoder = self._encoder(task)
        cancel.check()
        if isinstance(wish, Optimise):
            return self._optimise(task, wish, painter, generator, encoder, cancel)
        if isinstance(wish, OrderFaces):
            return TaskDone(number, order=self._order(task, wish, painter, generator, cancel))
        stages: list[int] = []

        def progress(done: int, total: int) -> None:
            if not stages or total != stages[-1]:
                stages.append(total)
            looking = len(stages) == 1 and total == COUNT
            self._tell(task, done, total, _PEOPLE if looking else "Refining the slider")

        found = text_direction(
            generator, model, encoder.encoder, encoder.identity, wish.text, wish.neutral,
            self._cache, progress, cancel,
        )  # fmt: skip
        if not wish.enough:
            return TaskDone(number, (found.direction,), note=found.note)
        self._tell(task, 0, 0, "Looking at this face")
        start = painter.latent(task.recipe.checked()).clone()
        just = enough(
            generator,
            lambda strength: edited(start, (found.direction.edit(strength, wish.rows),)),
            encoder.encoder, found.level, cancel,
        )  # fmt: skip
        note = found.note or just.note(wish.text)
        return TaskDone(number, (found.direction,), note=note, strength=just.strength)

    def _order(
        self, task: EditTask, wish: OrderFaces, painter: Painter, generator: Generator,
        cancel: CancelToken,
    ) -> tuple[int, ...]:  # fmt: skip
        def face(recipe: Recipe) -> Callable[[], torch.Tensor]:
            return lambda: painter.latent(recipe)

        people = [face(recipe.checked()) for recipe in wish.faces]
        seen = []
        encoder = self._encoder(task).encoder
        self._warn(task, weakness(encoder, wish.text))
        for one in scores(generator, people, encoder, wish.text, cancel=cancel):
            seen.append(one)
            self._tell(task, len(seen), len(people), "Looking at faces")
        return tuple(one.place for one in ordered(seen))

    def _optimise(
        self, task: EditTask, wish: Optimise, painter: Painter, generator: Generator,
        encoder: OpenEncoder, cancel: CancelToken,
    ) -> TaskDone:  # fmt: skip
        with torch.inference_mode():
            start = painter.latent(task.recipe.checked())
        start = start.clone()
        options = OptimiseOptions(wish.text, wish.neutral, rows=wish.rows)
        if not wish.keep_pose:
            options = replace(options, keep_pose=0.0)
        if not wish.keep_background:
            options = replace(options, keep_background=0.0)
        self._warn(task, weakness(encoder.encoder, wish.text, wish.neutral))
        last = None
        for step in optimise(generator, start, encoder.encoder, options, cancel):
            last = step
            self._mailbox.send(
                TaskStep(task.number, step.number, step.steps, step.offset, step.reached)
            )
        if last is None:
            raise UserError("The edit has no steps; nothing was changed.")
        direction = as_direction(last, options, generator, ModelId.of(task.recipe))
        return TaskDone(task.number, (direction,))

    def _open(self, task: EditTask) -> tuple[Painter, Generator]:
        """The model, and what it is with a second model's layers and the recipe's settings.

        Raises:
            UserError: it cannot be opened, or its file was replaced since the window opened it.
        """
        wanted = task.recipe.model
        known, asked = (self._model.path, self._model.sha256), (wanted.path, wanted.sha256)
        if self._painter is None or known != asked:
            self._tell(task, 0, 0, "Opening the model")
            self._painter = None
            painter = Painter(open_generator(wanted.path, self._options))
            found = reference(wanted.path).sha256
            if wanted.sha256 and found and found != wanted.sha256:
                raise UserError(
                    f"The file of the model, {wanted.path}, was replaced since it was opened: what is "
                    "found with it now does not fit what the window shows. Open it again, then try again."
                )
            self._painter, self._model = painter, wanted
        self._painter.generator.adjust(dict(task.recipe.settings))
        return self._painter, self._painter.model(task.recipe)

    def _encoder(self, task: EditTask) -> OpenEncoder:
        known = self._encoders.get(task.encoder)
        if known is None or not known.is_current:
            self._tell(task, 0, 0, "Opening the text encoder")
            device = "cpu" if self._painter is None else self._painter.generator.device
            self._encoders = {task.encoder: open_encoder(task.encoder, device)}
        return self._encoders[task.encoder]

    def _warn(self, task: EditTask, note: str) -> None:
        """Tell a sentence at once, if there is one."""
        if note:
            self._mailbox.send(TaskProgress(task.number, 0, 0, "Beginning", note))

    def _tell(self, task: EditTask, done: int, total: int, doing: str) -> None:
        now = time.monotonic()
        if total and done < total and now - self._told < _TELL_EVERY:
            return
        self._told = now
        self._mailbox.send(TaskProgress(task.number, done, total, doing))
