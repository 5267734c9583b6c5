"""Everything that is exported, or was: what runs, what waits, what came of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from app.exports import Export, Kind, kind_of
from app.jobs import Job
from app.messages import JobEvent
from engine.errors import UserError

#: Of those that are over, so many are kept.
MOST_OVER = 50


class JobRunner(Protocol):
    """Who works through the queue: :class:`app.client.EngineClient`."""

    def start_job(self, job: Job) -> int:
        """Put an export into the queue; its number."""

    def cancel_job(self, job: int) -> None:
        """Stop an export that waits or runs."""


class JobList:
    """The exports of one window, in the order in which they were begun.

    Args:
        runner: works through the queue.
        touch: called when the list has changed.
    """

    def __init__(self, runner: JobRunner, touch: Callable[[], None]) -> None:
        self._runner, self._touch = runner, touch
        self.entries: tuple[Export, ...] = ()

    @property
    def active(self) -> tuple[Export, ...]:
        """Those that run or wait."""
        return tuple(entry for entry in self.entries if not entry.is_over)

    @property
    def newest(self) -> Export | None:
        """The one that was finished last, of those begun; ``None`` if none was."""
        done = [entry for entry in self.entries if entry.state == "finished"]
        return done[-1] if done else None

    @property
    def by_kind(self) -> dict[Kind, Export]:
        """Kind -> the one that runs, else the first that waits, else the latest."""
        shown: dict[Kind, Export] = {}
        for entry in self.entries:
            before = shown.get(entry.kind)
            if before is None or before.is_over:
                shown[entry.kind] = entry
        return shown

    def is_target(self, path: Path) -> bool:
        """Whether an export that is not over yet is going to write there."""
        return any(Path(entry.path) == path for entry in self.active)

    def add(self, job: Job) -> Export:
        """Put an export at the end of the queue.

        Raises:
            UserError: another one is going to write the same file.
        """
        if self.is_target(Path(job.path)):
            raise UserError(
                f"{Path(job.path).name} is being exported already; choose another name, or cancel "
                "that export first."
            )
        entry = Export(self._runner.start_job(job), job.title, job.path, kind_of(job), job)
        over = [one for one in self.entries if one.is_over]
        dropped = set(map(id, over[: max(0, len(over) - MOST_OVER + 1)]))
        self.entries = (*(one for one in self.entries if id(one) not in dropped), entry)
        self._touch()
        return entry

    def cancel(self, number: int) -> None:
        """Stop one that runs or waits; anything else is left alone."""
        entry = self.find(number)
        if entry is not None and entry.state in ("waiting", "running"):
            self._put(replace(entry, state="cancelling", seconds_left=None))
            self._runner.cancel_job(number)

    def cancel_all(self) -> None:
        """Stop everything."""
        # From the last: the queue would begin the next one when the first is gone.
        for entry in reversed(self.active):
            self.cancel(entry.job)

    def remove(self, number: int) -> None:
        """Take one that is over out of the list; what it wrote stays."""
        self.entries = tuple(e for e in self.entries if e.job != number or not e.is_over)
        self._touch()

    def clear(self) -> None:
        """Take all that are over out of the list."""
        self.entries = self.active
        self._touch()

    def take(self, event: JobEvent) -> Export | None:
        """Note what the engine told; the export as it is now, ``None`` if it is unknown."""
        entry = self.find(event.job)
        if entry is None or entry.is_over:
            return None
        self._put(entry.after(event))
        return self.find(event.job)

    def find(self, number: int) -> Export | None:
        """The export of a number."""
        return next((entry for entry in self.entries if entry.job == number), None)

    def _put(self, entry: Export) -> None:
        self.entries = tuple(entry if e.job == entry.job else e for e in self.entries)
        self._touch()
