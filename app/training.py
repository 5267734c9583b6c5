"""Training in the window: what is asked for, what the run has told, and its process.

It knows neither the toolkit nor torch. The run lives in a process of its own
(:mod:`app.trainer`), which keeps everything in a folder: nothing is lost when it ends, or the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from app.child import Child, Started, spawn
from app.preparing import Preparing, launch_preparing
from app.processes import run_training
from app.sample_grid import Pixels, SampleGrid
from app.training_curves import Curves, plotted
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
    TrainingPlan,
    Watch,
)
from engine.errors import UserError
from engine.training.gan.events import (
    Event,
    Finished,
    Notice,
    Returned,
    SamplesDrawn,
    ScoresMeasured,
    StepDone,
)

if TYPE_CHECKING:
    from app.studio import Studio

State = Literal["idle", "looking", "starting", "training", "paused", "stopping", "over"]
#: Seconds that a run has to keep what there is when the window closes.
_CLOSE_SECONDS = 20.0
#: Sentences that are kept.
MOST_NOTES = 200
#: Stands where a picture is still to come, or cannot be shown.
_EMPTY: Pixels = np.full((SMALL, SMALL, 3), 40, np.uint8)


class Training:
    """See the module's docstring.

    Args:
        studio: the state behind the window.
        start: starts a process.

    Attributes:
        plan: what is asked for, as it stands in the form.
        state: of the run; ``"over"`` once it was stopped, used up its time or failed.
        seen: what was last looked at. pictures: small pictures of it, by name.
        curves: everything that is plotted. last: the newest step.
        notes: what the run has said: step and sentence.
        snapshots: steps that can be gone back to. aside: step and line of what was set aside by that.
        samples: path of the newest picture of the fixed seeds.
        folder: of the run. model: path of what came of it; empty until then.
        live: path and step of the newest model to look at, while it is watched.
    """

    def __init__(self, studio: Studio, start: Callable[[], Started]) -> None:
        self._studio, self._child = studio, Child(start)
        self.plan = TrainingPlan("", "bundled", "")
        self.state: State = "idle"
        self.seen: Seen | None = None
        self.pictures: dict[str, Pixels] = {}
        self._looks_due = 0
        self.watching = False
        #: The fixed seeds, turned together.
        self.grid = SampleGrid(studio)
        #: Photographs that become pictures to train on.
        self.preparing = Preparing(studio, launch_preparing)
        self._forget()

    def _forget(self) -> None:
        self.curves = Curves()
        self.last: StepDone | None = None
        self.notes: list[tuple[int, str]] = []
        self.snapshots: tuple[int, ...] = ()
        self.aside: tuple[tuple[int, int], ...] = ()
        self.samples, self.folder, self.model = "", "", ""
        self.live: LiveModel | None = None
        self.grid.forget()

    # What panels read -------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a run trains, or is about to or has not ended yet."""
        return self.state in ("starting", "training", "paused", "stopping")

    @property
    def pid(self) -> int | None:
        """Process id of the training process, ``None`` while there is none."""
        return self._child.pid

    # What panels ask for ----------------------------------------------------------------

    def change(self, edit: Callable[[TrainingPlan], TrainingPlan]) -> None:
        """Edit the form."""
        plan = edit(self.plan)
        if plan != self.plan:
            if plan.looked_at != self.plan.looked_at:
                # What was seen was something else.
                self.seen = None
                self.pictures.clear()
                plan = replace(plan, layers=())
            self.plan = plan
            self._studio.touch()

    def look(self) -> None:
        """See what data and model are.

        Raises:
            UserError: there is nothing to look at, or a run goes on.
        """
        self._free()
        data, model = self.plan.looked_at
        if not self.plan.by_text and not data.strip():
            raise UserError("Choose the pictures first: a folder of them, or an archive.")
        self.state = "looking"
        self._looks_due += 1
        self._child.send(LookAt(data, model))
        self._studio.touch()

    def show_pictures(self, names: Sequence[str]) -> None:
        """Ask for small pictures of what was looked at."""
        missing = tuple(name for name in names if name not in self.pictures)
        if missing and not self.is_busy and self.seen is not None:
            # Asked for once: an empty one stands there meanwhile.
            self.pictures |= dict.fromkeys(missing, _EMPTY)
            self._child.send(ShowPictures(missing))

    def drop(self, names: Iterable[str]) -> None:
        """Tick these pictures off, and no others.

        Raises:
            UserError: a run goes on.
        """
        self._free()
        if self.seen is not None:
            self.seen = replace(self.seen, dropped=frozenset(names))
            self._looks_due += 1
            self._child.send(Drop(tuple(sorted(names))))
            self._studio.touch()

    def begin(self) -> None:
        """Start a run as the form says.

        Raises:
            UserError: something is missing in the form, or a run goes on.
        """
        self._free()
        plan = self.plan
        if plan.by_text:
            own = replace(plan.shift, encoder=self._studio.settings.text_encoder)
            plan = replace(plan, shift=own.checked())
        elif not plan.data.strip():
            raise UserError("Choose the pictures: a folder of them, or an archive.")
        if not plan.folder.strip():
            raise UserError("Choose a folder for the run: everything is kept there.")
        self._forget()
        self.state = "starting"
        self._child.send(Begin(plan))
        self._watch_again()
        self._studio.touch()

    def resume(self, folder: str) -> None:
        """Go on with the run of a folder.

        Raises:
            UserError: no folder was named, or a run goes on.
        """
        self._free()
        if not folder.strip():
            raise UserError("Choose the folder of the run to go on with.")
        self._forget()
        self.state = "starting"
        self._child.send(Resume(folder.strip()))
        self._watch_again()
        self._studio.touch()

    def pause(self) -> None:
        """Stand still after the present step, or go on."""
        if self.state == "training":
            self._child.send(Obey("pause"))
            self.state = "paused"
        elif self.state == "paused":
            self._child.send(Obey("go on"))
            self.state = "training"
        self._studio.touch()

    def stop(self) -> None:
        """Stop after the present step and keep what there is."""
        if self.state in ("training", "paused"):
            self._child.send(Obey("stop"))
            self.state = "stopping"
            self._studio.touch()
        elif self.state in ("starting", "looking"):
            self._child.end()
            self.state = "over" if self.state == "starting" else "idle"
            self._studio.touch()

    def go_back(self, step: int, line: int | None = None) -> None:
        """Go to a snapshot, of the present line or of one that was set aside, and train on from there.
        What comes after it is set aside."""
        if self.state in ("training", "paused"):
            self._child.send(GoBack(step, line))
            self.state = "training"
            self._studio.touch()

    def delete_aside(self) -> None:
        """Delete the snapshots that were set aside."""
        if self.state in ("training", "paused"):
            self._child.send(DeleteAside())

    def watch(self, on: bool) -> None:
        """Show the model while it is trained, or no longer."""
        self.watching = on
        self._child.send(Watch(on), start=False)
        if on and self.live is not None:
            self._studio.open_model(self.live.path)
        self._studio.touch()

    def open_result(self) -> None:
        """Open the model that came of the run."""
        if self.model:
            self._studio.open_model(self.model)

    # The process ------------------------------------------------------------------------

    def poll(self) -> None:
        """Take in what the run has told; call often."""
        self.preparing.poll()
        heard = self._child.hear(self._take)
        if heard.ended:
            self._lost(heard.ended)
        if any(heard):
            self._studio.touch()

    def close(self) -> None:
        """The window closes: a run is stopped, and keeps what there is."""
        self.preparing.close()
        if self.is_busy:
            self._child.send(Obey("stop"), start=False)
        # Without a window the process ends once the run is kept.
        trains = self.is_busy and self.state != "starting"
        self._child.end(_CLOSE_SECONDS if trains else 0.0)

    def _free(self) -> None:
        if self.is_busy:
            raise UserError("A run goes on; stop it first. What there is will be kept.")

    def _watch_again(self) -> None:
        if self.watching:
            self._child.send(Watch(True))

    def _lost(self, how: str) -> None:
        """The process is gone although nobody ended it."""
        busy, self._looks_due = self.is_busy, 0
        self.state = "over" if busy else "idle"
        if busy:
            kept = f"step {max(self.snapshots)}" if self.snapshots else "the start"
            self._studio.complain(
                f"The training process stopped ({how}). The run is kept up to {kept}: go on with "
                f"the run in {self.folder or self.plan.folder}."
            )

    def _take(self, answer: Answer) -> None:
        match answer:
            case Seen():
                self._looks_due -= 1
                # Only the answer to the newest question counts.
                if self._looks_due == 0:
                    self.state = "idle"
                    if (answer.data, answer.model) == self.plan.looked_at:
                        self.seen = answer
            case SmallPicture():
                if answer.pixels is not None:
                    pixels = np.frombuffer(answer.pixels, np.uint8)
                    self.pictures[answer.name] = pixels.reshape(SMALL, SMALL, 3)
            case Began():
                self.folder = answer.folder
                self._retell(answer.past)
                self.state = "training"
            case Retold():
                self._retell(answer.past)
            case Snapshots():
                self.snapshots, self.aside = answer.steps, answer.aside
            case Happened():
                self._happened(answer.event)
            case LiveModel():
                self._show(answer)
            case Refused():
                self.state = "over" if self.is_busy else "idle"
                self._looks_due = 0
                self._studio.complain(answer.message)

    def _show(self, live: LiveModel) -> None:
        first, self.live = self.live is None, live
        if not self.watching:
            return
        if first:
            self._studio.open_model(live.path)
        elif self._studio.document.model.path == live.path and self._studio.opening is None:
            # The same file with newer weights: no step of the history.
            self._studio.client.open_model(live.path)

    def _retell(self, past: Iterable[Event]) -> None:
        self.curves, self.notes = Curves(), []
        for event in past:
            # That it was over is no news: it goes on.
            if not isinstance(event, Finished):
                self._happened(event)

    def _happened(self, event: Event) -> None:
        match event:
            case StepDone():
                self.last = event
                self.curves.add(event.step, plotted(event))
            case Notice():
                self.notes = [*self.notes, (event.step, event.text)][-MOST_NOTES:]
            case SamplesDrawn():
                self.samples = event.path
            case ScoresMeasured():
                named = {f"{name} ({event.features})": v for name, v in event.values.items()}
                self.curves.add(event.step, named)
            case Returned():
                self.curves.back_to(event.step)
            case Finished():
                self.state, self.model = "over", event.model
                said = {"budget": "has used up its time", "stopped": "was stopped"}
                if event.why in said:
                    self._studio.say(f"Training {said[event.why]} at step {event.step:,}.")


def launch(device: str) -> Started:
    """Start a training process; it and the window's end of its pipe."""
    return spawn("maquette-training", run_training, device)
