"""The training process: one run at a time, in the main thread; orders are heard in another."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from app.faults import log_failure, sentence
from app.training_wire import (
    SMALL,
    Answer,
    Began,
    Begin,
    DeleteAside,
    Drop,
    GoBack,
    Happened,
    LiveModel,
    LookAt,
    Obey,
    Refused,
    Resume,
    Retold,
    Seen,
    ShowPictures,
    SmallPicture,
    Snapshots,
    Watch,
)
from engine.checkpoints import write_model
from engine.errors import Cancelled, UserError
from engine.generators.registry import open_model
from engine.training.data.decode import Unreadable
from engine.training.data.survey import Survey, survey
from engine.training.gan.adversarial import Adversarial
from engine.training.gan.events import Event, Notice, Returned, SnapshotWritten
from engine.training.gan.families import training_of
from engine.training.gan.logs import read_journal
from engine.training.gan.result import model_source
from engine.training.gan.run import Run
from engine.training.gan.start import resume_run, start_run

#: Name of the model that is written to be looked at, in the run's folder.
LIVE = "live"
#: Seconds between two of them at least, and the share of the time that they may take.
_LIVE_SECONDS, _LIVE_SHARE = 4.0, 0.1

Wish = LookAt | ShowPictures | Drop | Begin | Resume
#: What is told to a run that goes on.
Order = Obey | GoBack | DeleteAside


class Trainer:
    """Serves the window until it closes the pipe.

    Args:
        connection: to the window.
        device: where to train.
    """

    def __init__(self, connection: Connection, device: str) -> None:
        self._connection, self._device = connection, device
        self._sending = threading.Lock()
        self._wishes: queue.SimpleQueue[Wish | None] = queue.SimpleQueue()
        self._looked: Looked | None = None
        self._run: Run | None = None
        #: Orders that came before the run was there.
        self._early: list[Order] = []
        self._watched = self._closed = False
        self._live_due, self._live_step = 0.0, -1
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    def run(self) -> None:
        """Serve until the pipe is closed."""
        while (wish := self._wishes.get()) is not None:
            try:
                if isinstance(wish, (Begin, Resume)):
                    self._train(wish)
                else:
                    self._show(wish)
            except Cancelled:
                return
            except Exception as error:
                self._send(Refused(sentence("training", error, "training")))
            finally:
                self._run = None
                self._early.clear()

    # Orders -----------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            while True:
                message = self._connection.recv()
                if isinstance(message, Watch):
                    self._watched, self._live_due = message.on, 0.0
                elif not isinstance(message, Order):
                    self._wishes.put(message)
                elif self._run is None:
                    self._early.append(message)
                else:
                    self._obey(self._run, message)
        except (EOFError, OSError):
            pass
        except BaseException as error:
            log_failure("training", error)
        # The window is gone. What was learnt is kept; who is not training need not go on.
        self._closed = True
        self._wishes.put(None)
        if self._run is None:
            os._exit(0)
        self._run.stop()

    def _obey(self, run: Run, message: Order) -> None:
        if isinstance(message, GoBack):
            run.back_to(message.step, message.line)
        elif isinstance(message, DeleteAside):
            run.delete_aside()
            self._tell_snapshots(run)
        elif message.order == "pause":
            run.pause()
        elif message.order == "go on":
            run.go_on()
        else:
            run.stop()

    def _send(self, answer: Answer) -> None:
        try:
            with self._sending:
                self._connection.send(answer)
        except (BrokenPipeError, ConnectionError, OSError):
            self._closed = True

    # Looking ----------------------------------------------------------------------------

    def _show(self, wish: LookAt | ShowPictures | Drop) -> None:
        if isinstance(wish, LookAt):
            self._looked = Looked.at(wish, self._device, lambda: self._closed)
            self._send(self._looked.told())
        elif self._looked is None or self._looked.found is None:
            return
        elif isinstance(wish, Drop):
            self._looked.found.drop(wish.names)
            self._looked = self._looked.again()
            self._send(self._looked.told())
        else:
            for name in wish.names:
                self._send(SmallPicture(name, self._looked.small(name)))

    # Training ---------------------------------------------------------------------------

    def _train(self, wish: Begin | Resume) -> None:
        if isinstance(wish, Begin):
            run = start_run(wish.plan, self._device, self._told, self._between)
            past: tuple[Event, ...] = ()
        else:
            folder = Path(wish.folder).expanduser()
            past = tuple(read_journal(folder))
            run = resume_run(folder, self._device, self._told, self._between)
        self._run = run
        self._send(Began(str(run.folder), past))
        self._tell_snapshots(run)
        if isinstance(wish, Begin) and wish.plan.by_text:
            for warning in getattr(run.loop.data, "warnings", ()):
                self._told(Notice(0, warning.text))
        for message in self._early:
            self._obey(run, message)
        run.train()

    def _told(self, event: Event) -> None:
        self._send(Happened(event))
        if isinstance(event, (SnapshotWritten, Returned)) and self._run is not None:
            self._tell_snapshots(self._run)
            if isinstance(event, Returned) and event.line is not None:
                self._send(Retold(tuple(read_journal(self._run.folder))))

    def _tell_snapshots(self, run: Run) -> None:
        aside = tuple((one.step, one.line) for one in run.aside())
        self._send(Snapshots(tuple(one.step for one in run.snapshots()), aside))

    def _between(self) -> None:
        """Between two steps: write the model to look at, if somebody does."""
        run = self._run
        if run is None or not self._watched or time.monotonic() < self._live_due:
            return
        step = run.loop.position.step
        if step == self._live_step:
            return
        started = time.monotonic()
        try:
            loop = run.loop
            source = model_source(cast(Adversarial, loop.training), loop.average, "In training")
            path = write_model(source, run.folder / LIVE)
        except (UserError, OSError) as error:
            # Looking is not worth stopping for.
            self._watched = False
            text = f"The model cannot be shown while it is trained: {error}"
            self._send(Happened(Notice(step, text)))
            return
        self._live_step = step
        spent = time.monotonic() - started
        self._live_due = started + max(_LIVE_SECONDS, spent / _LIVE_SHARE)
        self._send(LiveModel(str(path), step))


@dataclass(frozen=True)
class Looked:
    """Data and model as they were looked at last; no data where a text is to lead."""

    wish: LookAt
    groups: tuple[str, ...]
    resolution: int
    found: Survey | None

    @classmethod
    def at(cls, wish: LookAt, device: str, cancelled: Callable[[], bool]) -> Looked:
        """Open both.

        Raises:
            UserError: one of them is none.
            Cancelled: ``cancelled`` said so.
        """
        training = training_of(open_model(wish.model, device))
        side = training.resolution
        found = None
        if wish.data:
            found = survey(Path(wish.data).expanduser(), side, cancelled=cancelled)
        return cls(wish, tuple(training.layer_groups()), side, found)

    def again(self) -> Looked:
        """The data once more, after pictures were ticked off."""
        return replace(self, found=survey(Path(self.wish.data).expanduser(), self.resolution))

    def told(self) -> Seen:
        """What the window is told."""
        found = self.found
        if found is None:
            return Seen(self.wish.data, self.wish.model, self.groups)
        reasons = {one.name: one.reason for one in found.skipped}
        for warning in found.warnings:
            reasons |= {name: warning.text for name in warning.names if name not in reasons}
        return Seen(
            self.wish.data,
            self.wish.model,
            self.groups,
            tuple(found.summary.sentences()),
            tuple(one.text for one in found.warnings),
            tuple(name for name, seen in found.seen.items() if not seen.trouble),
            found.dropped,
            reasons,
        )

    def small(self, name: str) -> bytes | None:
        """A small picture, or ``None`` where it cannot be shown."""
        try:
            return None if self.found is None else self.found.thumbnail(name, SMALL).tobytes()
        except (Unreadable, OSError, UserError):
            return None
