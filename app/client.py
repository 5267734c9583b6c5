"""The window's end of the engine process.

The client never computes, never blocks and never loads torch. The window calls
:meth:`EngineClient.poll` once a frame from its main loop and acts on the events.
"""

from __future__ import annotations

import atexit
import contextlib
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from app import arrivals
from app.arrivals import Arrivals
from app.child import KERNEL_LEFT_OUT, how_it_ended, spawn
from app.edit_tasks import EditTasks
from app.export_queue import ExportQueue
from app.frames import BUCKETS, FrameRing
from app.jobs import Job, JobState
from app.messages import (
    EngineDied,
    Event,
    MemoryShort,
    ModelFailed,
    ModelLoaded,
    Part,
    RenderFailed,
)
from app.processes import run_engine
from app.restarts import RestartPolicy, died, died_opening, lost, restored
from app.second_reading import SecondReading
from app.thumbnail_queue import ThumbnailQueue
from app.wire import (
    Draw,
    FrameInSlot,
    NeedRing,
    Opened,
    OpenModel,
    ProcessOptions,
    Ready,
    ReleaseSlot,
    SecondAnswer,
    SetTarget,
    Taken,
    ThumbnailDrawn,
    UseRing,
)
from engine.errors import UserError
from engine.recipe import Recipe

#: How long a process may take to end after its pipe has closed.
_END_SECONDS = 2.0


class EngineClient:
    """Starts the engine process, sends it requests, collects its events.

    Usage::

        client = EngineClient(settings.device, target_fps=settings.target_fps)
        client.start()
        client.open_model("bundled")
        while running:
            events = client.poll()  # ModelLoaded, FrameReady, ...
            client.request(document.recipe, moving=mouse_is_down)
        client.close()

    Args:
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        target_fps: pictures a second to hold while moving; ``None`` chooses 15 on a
            processor and 60 on a graphics card.
        opener: ``"module:function"`` that the engine process calls instead of the registry's
            ``open_model``: for tests only, never read from a file.
    """

    def __init__(
        self, device: str = "auto", *, target_fps: float | None = None, opener: str = ""
    ) -> None:
        self._options = ProcessOptions(device, opener, target_fps)
        self._exports = ExportQueue(self._options)
        #: What is looked for to edit faces, in a process of its own.
        self.tasks = EditTasks(lambda: self._options)
        self._events: list[Event] = []
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._ended_at: float | None = None
        self._ring: FrameRing | None = None
        self._ring_number = 0
        self._arrivals = Arrivals()
        self._generation = 0
        self._last: Draw | None = None
        self._unsent: Draw | None = None
        self._awaiting: int | None = None
        self._finished = 0
        #: What pictures are compared with, whether that is seen, and what has come of it.
        self._beside: tuple[Recipe | None, bool] = (None, False)
        self._reference_done: Recipe | None = None
        self._model: ModelLoaded | None = None
        self._serial = 0
        self._opening: OpenModel | None = None
        self._restoring = False
        self._policy = RestartPolicy()
        #: Small pictures that are drawn while nothing else is.
        self.thumbnails = ThumbnailQueue(self._send)
        #: Models that are to lend layers to the open one.
        self.seconds = SecondReading(self._send)
        self._restart_at: float | None = None
        self._closed = False

    # The window's side ----------------------------------------------------------------------

    def start(self) -> None:
        """Spawn the engine process; returns at once.

        Raises:
            UserError: the system has no shared memory left.
        """
        if self._process is None and not self._closed:
            self._spawn()
            atexit.register(self.close)

    def open_model(self, path: str) -> None:
        """Open a checkpoint, a converted model or ``"bundled"``.

        Answered by :class:`~app.messages.ModelLoaded` or :class:`~app.messages.ModelFailed`;
        a newer call supersedes one that is still under way, which is then not answered.
        """
        self._reopen(path)

    def request(self, recipe: Recipe, *, moving: bool) -> int:
        """Ask for a picture. The newest request wins.

        Args:
            recipe: what to draw with the model that is open.
            moving: a drag is under way: a preview is drawn as fast as the target rate asks,
                and the full-quality frame follows by itself 0.2 s after the last request.
                ``False`` draws at full quality at once. Asking for the same again while
                moving changes nothing: the mouse rests.

        Returns:
            the generation that the answering ``FrameReady`` or ``RenderFailed`` carries.
        """
        last = self._last
        generation = self._generation + 1
        if last is not None and last.recipe == recipe:
            same = (last.reference, last.seen) == self._beside
            if same and moving and last.moving:
                return last.generation
            # A drag that ends where it was: what is drawn of it, or being drawn, will do.
            ended = same and last.moving
            if ended or (not same and self._finished >= last.generation):
                generation = last.generation
        self._generation = generation
        self._last = self._unsent = Draw(generation, recipe, moving, *self._beside)
        self._receive()  # the engine may have taken the request before it since the last poll
        self._flush()
        return generation

    def compare(self, recipe: Recipe | None, *, seen: bool = True) -> None:
        """What the pictures asked for from now on are compared with: it comes as a
        ``FrameReady`` of its own. Takes effect with the next :meth:`request`, which may be for
        the same picture; that is not drawn again then.

        Args:
            recipe: of the model that is open; ``None`` for no comparison.
            seen: follow at preview quality while things move; otherwise come at rest.
        """
        self._beside = recipe, seen and recipe is not None

    def poll(self) -> list[Event]:
        """Everything that happened since the last call, in order; never blocks. At most one
        ``FrameReady`` of each part for each model: the newest."""
        if self._closed:
            return []
        self._receive()
        self._watch()
        self._flush()
        if self._connection is not None and self._model is not None and self._opening is None:
            self.thumbnails.flush()
        self._events.extend((*self._exports.poll(), *self.tasks.poll()))
        events, self._events = self._events, []
        return events

    def start_job(self, job: Job) -> int:
        """Put an export into the queue; returns its number. It runs in a process and with a
        model of its own, so that the live picture goes on."""
        return self._exports.add(job)

    def cancel_job(self, job: int) -> None:
        """Stop an export, waiting or running; ``JobCancelled`` follows, unless it is over."""
        self._exports.cancel(job)

    def restart(self, device: str | None = None) -> None:
        """Start the engine process afresh (after it died too often, or to change the
        device); the model and the picture come back by themselves."""
        if device is not None:
            self._options = replace(self._options, device=device)
            self._exports.set_options(self._options)
        self._policy.reset()
        self._end_process()
        self._respawn()

    def set_target_fps(self, target_fps: float | None) -> None:
        """Change the rate that is held while moving."""
        self._options = replace(self._options, target_fps=target_fps)
        self._send(SetTarget(target_fps))

    @property
    def pid(self) -> int | None:
        """Process id of the engine, ``None`` while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def descriptor(self) -> int | None:
        """Of the pipe, for ``select``: it can be read when there is something to poll."""
        return None if self._connection is None else self._connection.fileno()

    @property
    def alive(self) -> bool:
        """Whether the engine process runs."""
        return self._process is not None and self._process.is_alive()

    @property
    def model(self) -> ModelLoaded | None:
        """The model that is open."""
        return self._model

    @property
    def opening(self) -> str | None:
        """Path of the model that is being opened (also again, after the engine died)."""
        return None if self._opening is None else self._opening.path

    @property
    def busy(self) -> bool:
        """Whether a full-quality picture of the last request, or of a reference that is seen,
        is still to come."""
        last = self._last
        if not self.alive or self._model is None or last is None:
            return False
        waits = last.seen and last.reference != self._reference_done
        return waits or self._finished < self._generation

    @property
    def jobs(self) -> tuple[JobState, ...]:
        """Exports that are running or waiting, in order."""
        return self._exports.jobs

    def close(self) -> None:
        """Stop everything: the engine, running exports (which leave no file), the shared
        memory. May be called twice."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._end_process()
        self.tasks.close()
        self._exports.close()

    # The engine's side ----------------------------------------------------------------------

    def _spawn(self) -> None:
        self._ring = self._new_ring(BUCKETS[1] * BUCKETS[1] * 16)
        options = replace(self._options, frugal=self._policy.frugal)
        self._process, self._connection = spawn("maquette-engine", run_engine, options)
        self._events.extend(self.thumbnails.restarted())
        self._ended_at = self._restart_at = None
        self._awaiting = self._reference_done = None
        self._send(UseRing(self._ring.info))
        if self._opening is not None:
            self._send(self._opening)

    def _respawn(self) -> None:
        """A new engine with the same model and the same picture."""
        self._restoring = True
        if self._model is not None:
            self._serial += 1
            self._opening = OpenModel(self._serial, self._model.ref.path)
        try:
            self._spawn()
        except (OSError, UserError) as error:
            self._end_process()
            self._events.append(EngineDied(f"The engine cannot be started: {error}", False))
            return
        if self._last is not None:
            self._last = self._unsent = replace(self._last, moving=False)
            self._finished = min(self._finished, self._last.generation - 1)
            self._flush()

    def _end_process(self) -> None:
        """End the engine process, if there is one, and give back what belonged to it."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.join(0.1)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join(_END_SECONDS)
        if self._ring is not None:
            self._ring.close()
        self._connection = self._process = self._ring = None
        self._arrivals.take()
        self._ended_at = self._restart_at = None

    def _new_ring(self, capacity: int) -> FrameRing:
        self._ring_number += 1
        return FrameRing(self._ring_number, capacity)

    def _send(self, message: object) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):  # its death is noticed by the next poll
                self._connection.send(message)

    def _flush(self) -> None:
        """Send the newest request, unless the engine has not taken the one before yet: the
        pipe must never fill up, or sending would block the window."""
        if self._unsent is not None and self._awaiting is None and self._connection is not None:
            self._awaiting = self._unsent.generation
            request, self._unsent = self._unsent, None
            self._send(request)

    def _receive(self) -> None:
        if self._connection is None:
            return
        try:
            while self._connection.poll():
                self._take(self._connection.recv())
        except (EOFError, OSError):
            if self._ended_at is None:
                self._ended_at = time.monotonic()
        self._show_newest()

    def _take(self, message: object) -> None:
        if isinstance(message, FrameInSlot):
            if (overtaken := self._arrivals.add(message)) is not None:
                self._give_back(overtaken)
            self._policy.succeeded()
            if message.full_quality:
                self._finish(message.part, message.generation, message.recipe)
        elif isinstance(message, Taken):
            self._awaiting = None
        elif isinstance(message, Opened):
            self._show_newest()
            if self._opening is not None and message.serial == self._opening.serial:
                self._opening = None
                self._take_opened(message.result)
        elif isinstance(message, RenderFailed):
            self._show_newest()
            last = self._last
            self._finish(message.part, message.generation, last.reference if last else None)
            self._events.append(message)
        elif isinstance(message, MemoryShort):
            self._events.append(message)
        elif isinstance(message, SecondAnswer):
            self._events.extend(self.seconds.took(message))
        elif isinstance(message, ThumbnailDrawn):
            self._events.append(self.thumbnails.took(message))
        elif isinstance(message, NeedRing):
            self._show_newest()
            self._grow_ring(message.capacity)
        elif isinstance(message, Ready) and self._restoring and self._opening is None:
            self._restored()

    def _finish(self, part: Part, generation: int, recipe: Recipe | None) -> None:
        if part == "present":
            self._finished = max(self._finished, generation)
        else:
            self._reference_done = recipe

    def _take_opened(self, result: ModelLoaded | ModelFailed) -> None:
        returning = self._model.ref.path if self._restoring and self._model is not None else None
        if isinstance(result, ModelLoaded):
            before, self._model, self._reference_done = self._model, result, None
            self.seconds.again()
            came_back = result.ref.path == returning
            replaced = came_back and before is not None and result.ref.sha256 != before.ref.sha256
            # A model that comes back is no news: telling it would reset the window's camera.
            if replaced or not came_back:
                self._events.append(result)
            self._restored(replaced)
            return
        self._events.append(lost(result) if result.path == returning else result)
        if returning is None:
            self._restored()
        elif result.path != returning:
            self._reopen(returning)  # a wish made meanwhile failed: what was open comes back
        else:
            self._model, self._restoring = None, False

    def _reopen(self, path: str) -> None:
        self._serial += 1
        self._opening = OpenModel(self._serial, path)
        self._send(self._opening)

    def _restored(self, replaced: bool = False) -> None:
        if self._restoring:
            self._restoring = False
            self._events.append(restored(replaced))

    def _grow_ring(self, capacity: int) -> None:
        if self._ring is not None:
            self._ring.close()
        try:
            self._ring = self._new_ring(capacity)
        except UserError as error:
            self._ring = None
            self._end_process()
            self._events.append(EngineDied(f"The engine was stopped. {error}", False))
            return
        self._send(UseRing(self._ring.info))

    def _show_newest(self) -> None:
        for frame in self._arrivals.take():
            picture = None if self._ring is None else arrivals.read(self._ring, frame)
            self._give_back(frame)
            if picture is not None:
                self._events.append(picture)

    def _give_back(self, frame: FrameInSlot) -> None:
        self._send(ReleaseSlot(frame.ref.ring, frame.ref.slot))

    # Death and return -----------------------------------------------------------------------

    def _watch(self) -> None:
        now = time.monotonic()
        if self._restart_at is not None and now >= self._restart_at:
            self._respawn()
        elif self._process is not None and self._connection is not None:
            ended = self._process.exitcode is not None
            if ended or (self._ended_at is not None and now - self._ended_at > _END_SECONDS):
                self._died(now)

    def _died(self, now: float) -> None:
        assert self._process is not None
        self._receive()  # what it said last
        code = self._process.exitcode
        how = how_it_ended(code)
        self._end_process()
        path = self.opening
        open_before = None if self._model is None else self._model.ref.path
        if None not in (path, open_before) and not (self._restoring and path == open_before):
            # It may have died of this very model: the one that worked before comes back.
            self._events.append(died_opening(how, str(path)))
            self._opening = None
        pause = self._policy.died(now, code == KERNEL_LEFT_OUT)
        self._events.append(died(how, pause))
        if pause is not None:
            self._restart_at = now + pause
