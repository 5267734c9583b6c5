"""What the window shows and what can be done in it, without the window.

The :class:`Studio` holds the document with its history, the model that is open, the last
picture, the exports and the notices. Panels read it and call its methods; the main loop calls
:meth:`Studio.poll`. It knows neither Dear PyGui nor torch, so it is tested without a screen.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app import document as edits
from app.client import EngineClient
from app.comparison import Comparison
from app.desk import Desk
from app.document import Document
from app.edit_wire import TaskEvent
from app.editing import Editing
from app.engine_state import EngineState
from app.exports import Export, Kind, outcome
from app.frugality import tell
from app.gallery import Gallery
from app.history import History
from app.job_list import JobList
from app.jobs import Job
from app.messages import (
    EngineDied,
    EngineRestored,
    Event,
    FrameReady,
    JobCancelled,
    JobEvent,
    JobFailed,
    JobFinished,
    JobProgress,
    MemoryShort,
    ModelFailed,
    ModelLoaded,
    RenderFailed,
    SecondFailed,
    SecondRead,
    ThumbnailReady,
)
from app.meter import RateMeter
from app.notices import NoticeBoard, Severity
from app.project import is_project
from app.recovery import Recovery
from app.second_model import SecondModel
from app.settings import Settings
from app.settings_writer import SettingsWriter
from app.training import Training, launch
from app.typed_paths import whole_path
from app.ways import WaysOfModel
from engine.assets import BUNDLED, shipped_generator
from engine.capabilities import Capabilities
from engine.errors import UserError

log = logging.getLogger(__name__)

#: Seconds after which turning the wheel or holding a key counts as finished.
BRIEF_GESTURE = 0.35


class Studio:
    """The state behind the window.

    Args:
        client: the engine.
        settings: as they were loaded.
        clock: a steady clock, seconds.
        recovery: this window's recovery file, if it keeps one.

    ``revision`` grows with every change that can be seen.
    """

    def __init__(
        self,
        client: EngineClient,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        recovery: Recovery | None = None,
    ) -> None:
        self.client = client
        self.settings, self.kept = settings, SettingsWriter(settings)
        self.clock = clock
        self.history = History()
        self.model: ModelLoaded | None = None
        self.frame: FrameReady | None = None
        #: How many frames have come so far.
        self.frames = 0
        self.notices = NoticeBoard()
        self.revision = 0
        self._meter = RateMeter()
        self._gesture_ends: float | None = None
        self._engine_up = True
        self._engine_gave_up = False
        self._was: tuple[object, ...] = ()
        self.jobs = JobList(client, self.touch)
        self.gallery = Gallery(self)
        self.second = SecondModel(self)
        self.editing, self.ways = Editing(self), WaysOfModel(self)
        self.compare = Comparison(self)
        self.training = Training(self, lambda: launch(self.settings.device))
        self.desk = Desk(self, recovery)

    # What panels read -------------------------------------------------------------------

    @property
    def document(self) -> Document:
        """The present document."""
        return self.history.document

    @property
    def capabilities(self) -> Capabilities | None:
        """What the open model can do; ``None`` while none is open."""
        return None if self.model is None else self.model.capabilities

    @property
    def opening(self) -> str | None:
        """Path of the model that is being opened."""
        return self.client.opening

    @property
    def frames_per_second(self) -> float:
        """Pictures that arrived in the last second."""
        return self._meter.rate(self.clock())

    @property
    def engine(self) -> EngineState:
        """What the engine is doing."""
        if self._engine_gave_up:
            return EngineState.DEAD
        if not self._engine_up:
            return EngineState.RESTARTING
        if self.client.opening is not None or self.desk.opening.is_searching:
            return EngineState.STARTING if self.model is None else EngineState.OPENING
        if self.model is None:
            return EngineState.EMPTY
        return EngineState.DRAWING if self.client.busy else EngineState.READY

    @property
    def is_stale(self) -> bool:
        """Whether the picture shown waits for an engine that is away."""
        return not self._engine_up

    # Edits ------------------------------------------------------------------------------

    def edit(
        self,
        name: str,
        change: Callable[[Document], Document],
        gesture: str | None = None,
        lasting: float | None = None,
    ) -> None:
        """Change the document and ask for its picture.

        Args:
            name: what the step is called ("Undo orbit").
            change: a pure function from the present document to the next.
            gesture: key of a drag whose edits are one step; end it with
                :meth:`end_gesture`.
            lasting: the gesture ends by itself so many seconds after its last edit (the
                wheel and held keys have no end of their own).

        Raises:
            UserError: the change is not possible; nothing has changed.
        """
        if self._waits():
            return
        before = self.document
        self.history = self.history.edit(name, change(before), gesture)
        self._gesture_ends = None if lasting is None else self.clock() + lasting
        if self.document != before:
            self._request(moving=gesture is not None)
        self.touch()

    def end_gesture(self) -> None:
        """The drag is over: draw at full quality, and the next edit is a step of its own."""
        self._gesture_ends = None
        if self.history.gesture is None:
            return
        self.history = self.history.end_gesture()
        self._request(moving=False)
        self.touch()

    def undo(self) -> None:
        """One step back."""
        self._travel(self.history.undo())

    def redo(self) -> None:
        """One step forward again."""
        self._travel(self.history.redo())

    def go_to(self, place: int) -> None:
        """To any step of the history; see :meth:`~app.history.History.go_to`."""
        self._travel(self.history.go_to(place))

    def _travel(self, history: History) -> None:
        if self._waits():
            return
        self.history = history
        wanted = history.document.model.path
        if self.model is not None and wanted != self.model.ref.path:
            self.client.open_model(wanted)
        else:
            self._request(moving=False)
        self.touch()

    # Models -----------------------------------------------------------------------------

    def open_model(self, path: str) -> None:
        """Open a checkpoint, a converted model or one that ships with Maquette.

        Raises:
            UserError: the path is empty or there is nothing there.
        """
        text = path.strip()
        if is_project(text):
            self.desk.open(text)
            return
        if not shipped_generator(text):
            where = whole_path(text, None, "a checkpoint")
            if not where.exists():
                raise UserError(f"There is no file at {where}; check the path.")
            text = str(where)
        self.desk.opening.give_up()
        for key in ("model", BUNDLED):
            self.notices.close_key(key)
        self.client.open_model(text)
        self.touch()

    def place(self, document: Document) -> None:
        """Show another document, with a history of its own, on the model that is open. If it
        was made with another model its values are brought into range, and it needs saving."""
        saved = True
        if self.model is not None:
            ref, wanted = self.model.ref, document.model.sha256
            if wanted and wanted == ref.sha256:
                document = replace(document, recipe=replace(document.recipe, model=ref))
            else:
                document = edits.set_model(document, ref, self.model.capabilities)
                saved = not wanted
        self._gesture_ends = None
        self.history = History.starting(document, saved)
        self.editing.end()
        self._request(moving=False)
        self.touch()

    def _waits(self) -> bool:
        """Whether an edit would be lost because another document is about to come."""
        if not self.desk.opening.is_arriving:
            return False
        if not any(notice.key == "wait" for notice in self.notices.notices):
            self.say("The project is being opened; it can be edited once it is there.", key="wait")
        self.touch()  # a slider that was moved goes back
        return True

    def forget(self, path: str) -> None:
        """Take a path out of the recent list."""
        self._remember(self.settings.without_recent(path))

    def restart_engine(self) -> None:
        """Start an engine that has died too often once more."""
        self._engine_gave_up = False
        self.client.restart()
        self.touch()

    # Exports ----------------------------------------------------------------------------

    @property
    def exports(self) -> dict[Kind, Export]:
        """Kind -> the export of it to show; see :attr:`~app.job_list.JobList.by_kind`."""
        return self.jobs.by_kind

    def start_export(self, job: Job) -> None:
        """Put an export into the queue.

        Raises:
            UserError: no model is open, or another export is going to write the same file.
        """
        if self.model is None:
            raise UserError("Open a model first; there is nothing to export yet.")
        self.jobs.add(job)
        self._remember(replace(self.settings, export_folder=str(Path(job.path).parent)))

    def cancel_export(self, kind: Kind) -> None:
        """Stop the export of this kind that is shown, if one is under way."""
        if (export := self.exports.get(kind)) is not None:
            self.jobs.cancel(export.job)

    # Notices and settings ---------------------------------------------------------------

    def say(self, text: str, severity: Severity = "info", key: str = "") -> None:
        """Show a notice."""
        self.notices.post(text, severity, self.clock(), key)
        self.touch()

    def complain(self, text: str) -> None:
        """Show a mistake."""
        self.say(text, "error")

    def close_notice(self, number: int) -> None:
        """Take a notice down."""
        self.notices.close(number)
        self.touch()

    def clear_notices(self) -> None:
        """Take every notice down."""
        self.notices.clear()
        self.touch()

    def change_settings(self, settings: Settings) -> None:
        """Take over and keep other settings."""
        self._remember(settings)

    def _remember(self, settings: Settings) -> None:
        before, self.settings = self.settings, settings
        self.touch()
        if settings != before:
            self.kept.keep(settings)

    # Events -----------------------------------------------------------------------------

    def poll(self) -> bool:
        """Take in what the engine has sent; True when something changed."""
        before = self.revision
        for event in self.client.poll():
            try:
                self._handle(event)
            except UserError as error:  # what comes must not end the window
                self.complain(str(error))
            self.touch()
        if self._gesture_ends is not None and self.clock() >= self._gesture_ends:
            self.end_gesture()
        for part in (self.desk, self.second, self.gallery, self.ways, self.training):
            part.poll()
        if fault := self.kept.fault():
            self.say(fault, "warning", "settings")
        if self.notices.expire(self.clock()):
            self.touch()
        # The client's own facts change without an event (a drawing that begins, for one).
        facts = (self.engine, self.client.opening, self.client.pid, self.frames_per_second > 0)
        if facts != self._was:
            self._was = facts
            self.touch()
        return self.revision != before

    def _handle(self, event: Event) -> None:
        match event:
            case FrameReady(part="reference"):
                self.compare.take(event)
            case FrameReady():
                self.frame = event
                self.frames += 1
                self._meter.add(self.clock())
                self.notices.close_key("render")
            case ModelLoaded():
                self._model_loaded(event)
            case ModelFailed():
                self._model_failed(event)
            case RenderFailed():
                self.notices.post(event.message, "error", self.clock(), "render")
            case MemoryShort():
                tell(self.notices, event.message, self.clock())
            case EngineDied():
                self._engine_up, self._engine_gave_up = False, not event.restarting
                severity: Severity = "warning" if event.restarting else "error"
                self.notices.post(event.message, severity, self.clock(), "engine", sticky=True)
            case EngineRestored():
                self._engine_up, self._engine_gave_up = True, False
                self.notices.post(event.message, event.severity, self.clock(), "engine")
            case ThumbnailReady():
                if not (self.training.grid.take(event) or self.ways.take(event)):
                    self.gallery.take(event)
            case TaskEvent():
                if not (self.editing.take(event) or self.gallery.order.take(event)):
                    self.ways.take_found(event)
            case SecondRead() | SecondFailed():
                self.second.take(event)
            case JobProgress() | JobFinished() | JobFailed() | JobCancelled():
                self._job(event)

    def _model_loaded(self, event: ModelLoaded) -> None:
        first = self.model is None and self.frame is None
        self.model = event
        document = self.document
        if self.desk.opening.model_loaded(event.ref.path):
            pass
        elif not first and document.model.path == event.ref.path:
            # The engine follows the document here: after undo, or in a new process.
            # The file may have become another since: what it lacks would stop it.
            kept = event.capabilities.fitting_settings(dict(document.recipe.settings))
            who = document.recipe.identity.for_model(event.capabilities)
            recipe = replace(document.recipe, model=event.ref).with_settings(kept)
            timeline = document.timeline.for_model(event.capabilities)
            amended = replace(document, recipe=recipe.with_identity(who), timeline=timeline)
            self.history = self.history.amend(amended)
        else:
            opened = edits.set_model(document, event.ref, event.capabilities)
            if first:
                # What the engine shows from the start is no step that could be undone.
                self.history = self.history.amend(opened)
            else:
                self.history = self.history.edit("Open model", opened)
        self._remember(self.settings.with_recent(event.ref.path))
        self.compare.model_opened()
        self.editing.model_opened()
        self._request(moving=False)

    def _model_failed(self, event: ModelFailed) -> None:
        # Where the bundled model was to stand in for another, both faults must be told.
        key = BUNDLED if event.path == BUNDLED else "model"
        self.notices.post(event.message, "error", self.clock(), key)
        self.desk.opening.model_failed(event.path)
        if self.model is not None and self.document.model.path != self.model.ref.path:
            # Undo went back to a model that cannot be opened any more.
            kept = edits.set_model(self.document, self.model.ref, self.model.capabilities)
            self.history = self.history.amend(kept)
            self._request(moving=False)
        elif self.model is None and self.frame is None and event.path != BUNDLED:
            # What the command line named does not open: better the bundled one than nothing.
            self.client.open_model(BUNDLED)
        if not self._engine_up and self.client.model is None:
            # The new engine runs, but the file of the model has gone or changed meanwhile.
            self._engine_up, self.model = True, None
            self.notices.close_key("engine")

    def _job(self, event: JobEvent) -> None:
        if self.jobs.take(event) is not None and (told := outcome(event)) is not None:
            self.notices.post(*told, self.clock(), f"job-{event.job}")

    def _request(self, moving: bool) -> None:
        if self.model is None or self.document.model.path != self.model.ref.path:
            return
        self.compare.ask()
        self.client.request(self.editing.shown(self.document.recipe), moving=moving)

    def redraw(self) -> None:
        """Something else is to be seen of the same document."""
        self._request(moving=self.history.gesture is not None)
        self.touch()

    def touch(self) -> None:
        """Something that can be seen has changed."""
        self.revision += 1
