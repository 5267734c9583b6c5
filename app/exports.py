"""What the window knows about an export: how far it got."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.jobs import ExportLatent, ExportMesh, ExportPicture, ExportSheet, ExportVideo, Job
from app.messages import JobCancelled, JobEvent, JobFailed, JobFinished, JobProgress

Kind = str  # "picture", "video", "mesh", "sheet" or "latent"


@dataclass(frozen=True)
class Export:
    """The latest export of one kind.

    Attributes:
        job: number of the job.
        title: what it makes, for people.
        path: where to.
        state: how far it got.
        done, total: steps; ``total`` is 0 while unknown.
        seconds_left: an estimate, or ``None``.
        message: the sentence of a failure.
    """

    job: int
    title: str
    path: str
    state: str  # "running", "cancelling", "finished", "failed" or "cancelled"
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("finished", "failed", "cancelled")

    def after(self, event: JobEvent) -> Export:
        """What is known after the engine told something about it."""
        match event:
            case JobProgress():
                left = event.seconds_left
                return replace(self, done=event.done, total=event.total, seconds_left=left)
            case JobFinished():
                return replace(self, state="finished", path=event.path)
            case JobFailed():
                return replace(self, state="failed", message=event.message)
            case JobCancelled():
                return replace(self, state="cancelled")


def kind_of(job: Job) -> Kind:
    """The kind of an export."""
    match job:
        case ExportPicture():
            return "picture"
        case ExportVideo():
            return "video"
        case ExportMesh():
            return "mesh"
        case ExportSheet():
            return "sheet"
        case ExportLatent():
            return "latent"
