"""A run in a folder: it paces the loop, obeys, keeps snapshots, and copes with what goes wrong.

==========================  ====================================================================
``run.json``                what was started: model, data, options (:mod:`.start`)
``base.json, .safetensors`` the weights that training started from
``log.jsonl``               events, a line each (:mod:`.logs`); ``tensorboard/`` the same for it
``snapshots/``              see :mod:`.snapshots` and :mod:`.lines`
``samples/``                the same seeds at each snapshot
``model.json, ...``         the average generator when the run was last stopped, and its card
==========================  ====================================================================
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.errors import ExportError, UserError
from engine.generators.base import Generator
from engine.training.gan.events import (
    Event,
    Everybody,
    Finished,
    Listener,
    Notice,
    Returned,
    SamplesDrawn,
    ScoresMeasured,
    SnapshotWritten,
    StepDone,
)
from engine.training.gan.faults import MOST_RETURNS, SLOWER, Diverged, patiently
from engine.training.gan.lines import Lines, Snapshot
from engine.training.gan.lock import Lock, sweep
from engine.training.gan.logs import Journal, tensorboard
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.samples import draw_samples
from engine.training.gan.snapshots import go_to, read_snapshot, write_snapshot

#: Scores of a generator by name, measured at each snapshot.
Scorer = Callable[[Generator], Mapping[str, float]]
#: Steps that the speed is a mean of.
_LATELY = 20


class Run:
    """See the module. :meth:`train` runs in one thread; the other methods may be called from any.

    A run holds its folder from the beginning until :meth:`train` is over.

    Args:
        folder: of the run; it exists.
        loop: where training stands; :meth:`resume` brings it to a snapshot.
        listener: told of everything, in the thread that trains.
        keep: writes the model of the loop's average and says where; ``None`` keeps none.
        scorer, features: scores at each snapshot, and what they are measured with.
        between: called after every step, in the thread that trains: the window draws there.
        clock: seconds, for tests.

    Raises:
        UserError: another process trains in this folder.
    """

    def __init__(
        self,
        folder: Path,
        loop: TrainingLoop,
        listener: Listener = lambda event: None,
        keep: Callable[[], Path] | None = None,
        scorer: Scorer | None = None,
        features: str = "",
        between: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.loop, self.options = folder, loop, loop.options
        self._lock = Lock(folder) if loop.team.leads else None
        self._keep, self._scorer, self._features = keep, scorer, features
        self._between, self._clock = between, clock
        self._stop, self._going = threading.Event(), threading.Event()
        self._going.set()
        self._back: tuple[int, int] | None = None
        self._lines = Lines(folder / "snapshots")
        self._lately: deque[float] = deque(maxlen=_LATELY)
        self._sums: list[dict[str, float]] = []
        self._last_snapshot = (0, 0.0)
        self._good: Path | None = None
        self._returns = 0
        self._listeners = Everybody()
        if loop.team.leads:
            sweep(folder)
            (folder / "snapshots").mkdir(exist_ok=True)
            (folder / "samples").mkdir(exist_ok=True)
            self._listeners.listeners.append(Journal(folder))
            board = tensorboard(folder, line=self._lines.present)
            self._listeners.listeners += [board] if board else []
            self._listeners.listeners.append(listener)
        loop.notify = self._tell

    # ------------------------------------------------------------------ from any thread

    def pause(self) -> None:
        """Stand still after the present step."""
        self._going.clear()

    def go_on(self) -> None:
        """Go on after :meth:`pause`."""
        self._going.set()

    @property
    def paused(self) -> bool:
        """Whether :meth:`pause` was asked for."""
        return not self._going.is_set()

    def stop(self) -> None:
        """Stop after the present step and keep what there is; :meth:`resume` goes on later."""
        self._stop.set()
        self._going.set()

    def back_to(self, step: int, line: int | None = None) -> None:
        """Go to a snapshot after the present step, and train on from there (see :meth:`Lines.find`). What
        there is now is kept in a snapshot and set aside."""
        self._back = step, -1 if line is None else line
        self._going.set()

    def snapshots(self) -> list[Snapshot]:
        """What can be gone back to, oldest first."""
        return self._lines.kept()

    def aside(self) -> list[Snapshot]:
        """What was set aside by going back, and can be gone to as well."""
        return self._lines.aside()

    def delete_aside(self) -> int:
        """Delete that for good; how many snapshots it was."""
        return self._lines.delete_aside()

    # ------------------------------------------------------------------ in the training thread

    def resume(self, step: int | None = None, line: int | None = None) -> int:
        """Bring the loop to a snapshot: that of ``step``, else the newest. What comes after it is set
        aside.

        Args:
            step, line: see :meth:`Lines.find`.

        Returns:
            the step that was reached, 0 where there is no snapshot yet.

        Raises:
            UserError: there is no such snapshot, or it is damaged, or all of them are gone.
        """
        there = self.snapshots()
        if not there and step is None:
            if (made := self.folder / "model.json").exists():
                # Whoever began anew would write over what the run has made.
                raise UserError(
                    f"{self._lines.folder} holds no snapshot any more, so that the run cannot go on; "
                    f"start a new one from {made}."
                )
            return 0
        chosen = there[-1] if step is None else self._lines.find(step, line)
        new = go_to(self.loop, self._lines, chosen)
        self._good = chosen.path
        self._last_snapshot = (chosen.step, self.loop.position.seconds)
        self._sums.clear()
        self._tell(Returned(chosen.step, new, chosen.line))
        return chosen.step

    def drawable(self) -> Generator:
        """The average generator as it is now, to be drawn with; between steps only."""
        return self.loop.training.drawable(self.loop.average)

    def train(self) -> Finished:
        """Train until the budget is used up or :meth:`stop`.

        Raises:
            UserError: it cannot go on; what there is was kept in a snapshot if that was possible.
        """
        try:
            return self._train()
        finally:
            self.close()

    def close(self) -> None:
        """Let another process have the run."""
        if self._lock is not None:
            self._lock.release()

    def _train(self) -> Finished:
        if self._good is None:
            self._snapshot(must=True)
        try:
            why = self._steps()
        except UserError:
            self._try_to_keep()
            raise
        if self._sums:
            self._tell(self._summary())
            self._sums.clear()
        self._snapshot(must=True)
        model = str(self._keep()) if self._keep is not None and self.loop.team.leads else ""
        done = Finished(self.loop.position.step, why, model)
        self._tell(done)
        return done

    def _steps(self) -> str:
        position = self.loop.position
        while True:
            order = self._order()
            if order:
                return order
            started = self._clock()
            try:
                losses = patiently(
                    self.loop.step, self.options.wait_minutes, self._say, self._stop.is_set
                )
            except Diverged as fault:
                self._return(fault)
                continue
            spent = self._clock() - started
            position.seconds += spent
            self._lately.append(spent)
            self._sums.append(losses)
            if position.step % self.options.log_steps == 0:
                self._tell(self._summary())
                self._sums.clear()
            if self._snapshot_due():
                self._snapshot()
            self._between()

    def _order(self) -> str:
        """What to do next; all processes do as the leader says. ``""`` is a step."""
        team = self.loop.team
        while team.leads and not self._going.wait(0.2):
            self._between()
        used = self._budget_used()
        code = team.decide(
            1 if self._stop.is_set() else 2 if used else 3 if self._back is not None else 0
        )
        if code == 3:
            self._go_back()
            return ""
        return {1: "stopped", 2: "budget"}.get(code, "")

    def _go_back(self) -> None:
        """As :meth:`back_to` was told; where something is in the way, training goes on."""
        team, (step, line) = self.loop.team, self._back or (0, -1)
        self._back = None
        step, line = team.decide(step), team.decide(line)
        saved = True
        if team.leads and self.loop.position.step != self._last_snapshot[0]:
            try:
                path = write_snapshot(self.loop, self._lines)
                self._tell(SnapshotWritten(self.loop.position.step, str(path)))
            except ExportError as error:
                saved = False
                self._say(f"{error} Training did not go back: what there is would have been lost.")
        if team.decide(saved):
            try:
                self.resume(step, None if line < 0 else line)
            except UserError as error:
                self._say(str(error))

    def _budget_used(self) -> bool:
        options, position = self.options, self.loop.position
        pairs = (
            (options.steps, position.step),
            (options.images, position.images),
            (options.minutes * 60.0, position.seconds),
        )
        return any(budget and used >= budget for budget, used in pairs)

    def _seconds_left(self) -> float | None:
        options, position = self.options, self.loop.position
        if not self._lately:
            return None
        each = sum(self._lately) / len(self._lately)
        left = []
        if options.steps:
            left.append((options.steps - position.step) * each)
        if options.images:
            left.append((options.images - position.images) / options.batch * each)
        if options.minutes:
            left.append(options.minutes * 60.0 - position.seconds)
        return max(min(left), 0.0) if left else None

    def _summary(self) -> StepDone:
        names = {name: None for losses in self._sums for name in losses}
        means = {}
        for name in names:
            values = [losses[name] for losses in self._sums if name in losses]
            means[name] = sum(values) / len(values)
        position = self.loop.position
        return StepDone(
            step=position.step,
            images=position.images,
            losses=means,
            rates={network: self.loop.rate(network) for network in self.loop.optimisers},
            augmentation=position.strength,
            images_per_second=self.options.batch * len(self._lately) / max(sum(self._lately), 1e-9),
            seconds=position.seconds,
            seconds_left=self._seconds_left(),
        )

    # ------------------------------------------------------------------ snapshots

    def _snapshot_due(self) -> bool:
        """The leader's clock decides; steps are the same for all."""
        step, seconds = self._last_snapshot
        position, options = self.loop.position, self.options
        by_step = options.snapshot_steps and position.step % options.snapshot_steps == 0
        minutes = options.snapshot_minutes
        by_time = bool(minutes) and position.seconds - seconds >= minutes * 60.0
        return bool(self.loop.team.decide(int((by_step or by_time) and position.step != step)))

    def _snapshot(self, must: bool = False) -> None:
        """Write a snapshot; one that fails is told of, unless it ``must`` be."""
        position, team = self.loop.position, self.loop.team
        written = 0
        if team.leads:
            try:
                self._write()
                written = 1
            except ExportError as error:
                if must and team.size == 1:
                    raise ExportError(f"{self._loss()} {error}") from error
                self._say(f"{error} Training goes on, and the next snapshot is tried as usual.")
        if team.decide(written):
            self._good = self._lines.path(position.step)
            self._returns = 0
        self._last_snapshot = (position.step, position.seconds)

    def _loss(self) -> str:
        kept = self.snapshots()
        if not kept:
            return "The run could not start."
        return f"The last steps could not be kept; step {kept[-1].step} is the newest that was."

    def _write(self) -> None:
        step = self.loop.position.step
        if self._good is not None and step == self._last_snapshot[0] and self._good.exists():
            return
        path = write_snapshot(self.loop, self._lines)
        self._lines.prune(self.options.keep)
        self._tell(SnapshotWritten(step, str(path)))
        try:
            self._show(step, path.stem)
        except (UserError, OSError, RuntimeError, MemoryError) as error:
            # Looking is not worth stopping for; memory may do for training and not for this.
            what = " ".join(str(error).split())[:200] or type(error).__name__
            self._say(f"The samples of step {step} could not be drawn or scored: {what}")

    def _show(self, step: int, name: str) -> None:
        if not (self.options.samples or self._scorer):
            return
        generator = self.drawable()
        if self.options.samples:
            path = self.folder / "samples" / f"{name}.png"
            draw_samples(generator, self.options.samples, path)
            self._tell(SamplesDrawn(step, str(path)))
        if self._scorer is not None:
            self._tell(ScoresMeasured(step, dict(self._scorer(generator)), self._features))

    def _return(self, fault: Diverged) -> None:
        """Numbers are no longer finite: back to the last good snapshot, slower from there."""
        self._returns += 1
        before = self.loop.position
        attempt, slower, step = before.attempt + 1, before.rate_scale * SLOWER, before.step
        if self._good is None or self._returns > MOST_RETURNS:
            raise UserError(
                f"Training gave numbers that are not finite {self._returns} times in a row (phase "
                f"{fault.phase}); start again with a lower --rate or other pictures."
            )
        read_snapshot(self.loop, self._good)
        position = self.loop.position
        position.attempt, position.rate_scale = attempt, slower
        self._sums.clear()
        self._tell(Returned(position.step))
        self._say(
            f"Step {step + 1} gave numbers that are not finite (phase {fault.phase}): training went "
            f"back to step {position.step} and goes on with {slower:g} of the learning rate."
        )

    def _try_to_keep(self) -> None:
        """The run cannot go on; the loop is between steps unless memory ran out in one."""
        if self.loop.between_steps:
            try:
                self._snapshot(must=True)
            except UserError as error:
                self._say(str(error))
        self._tell(Finished(self.loop.position.step, "failed"))

    def _say(self, text: str) -> None:
        self._tell(Notice(self.loop.position.step, text))

    def _tell(self, event: Event) -> None:
        self._listeners(event)
