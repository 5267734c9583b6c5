"""What the window knows about an export: what it makes, and how far it got."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.jobs import (
    ExportComparison,
    ExportLatent,
    ExportMesh,
    ExportModel,
    ExportPicture,
    ExportSheet,
    ExportVideo,
    Job,
)
from app.messages import JobCancelled, JobEvent, JobFailed, JobFinished, JobProgress
from app.notices import Severity

Kind = str  # "picture", "video", "mesh", "sheet", "latent" or "model"


@dataclass(frozen=True)
class Export:
    """One export.

    Attributes:
        job: number of the job.
        title: what it makes, for people.
        path: where to.
        kind: of what.
        spec: what was asked for, to ask for it again.
        state: how far it got.
        done, total: steps; ``total`` is 0 while unknown.
        seconds_left: an estimate, or ``None``.
        message: the sentence of a failure.
    """

    job: int
    title: str
    path: str
    kind: Kind
    spec: Job
    state: str = "waiting"  # then "running", "cancelling", "finished", "failed" or "cancelled"
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("finished", "failed", "cancelled")

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return self.done / self.total if self.total else 0.0

    def after(self, event: JobEvent) -> Export:
        """What is known after the engine told something about it."""
        match event:
            case JobProgress():
                if self.state == "cancelling":
                    return self
                return replace(
                    self, state="running", done=event.done, total=event.total,
                    seconds_left=event.seconds_left,
                )  # fmt: skip
            case JobFinished():
                return replace(self, state="finished", path=event.path)
            case JobFailed():
                return replace(self, state="failed", message=event.message)
            case JobCancelled():
                return replace(self, state="cancelled")


def outcome(event: JobEvent) -> tuple[str, Severity] | None:
    """What people are told of an event, if anything."""
    match event:
        case JobFinished():
            return f"Saved to {event.path}", "good"
        case JobFailed():
            return event.message, "error"
    return None


def kind_of(job: Job) -> Kind:
    """The kind of an export."""
    match job:
        case ExportPicture() | ExportComparison():
            return "picture"
        case ExportVideo():
            return "video"
        case ExportMesh():
            return "mesh"
        case ExportSheet():
            return "sheet"
        case ExportLatent():
            return "latent"
        case ExportModel():
            return "model"


def time_left(seconds: float | None) -> str:
    """``"12 s left"``, ``"3 min 5 s left"``; empty while there is no estimate."""
    if seconds is None:
        return ""
    whole = max(1, round(seconds))
    minutes, rest = divmod(whole, 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min left"
    return f"{minutes} min {rest} s left" if minutes else f"{rest} s left"
