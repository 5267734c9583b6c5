"""What the window asks a run for, as :func:`~engine.training.gan.start.start_run` reads it."""

from __future__ import annotations

from typing import Protocol

from engine.training.shift.options import ShiftOptions


class Wish(Protocol):
    """A plan as the window has it."""

    @property
    def data(self) -> str:
        """Folder or archive of pictures; empty where a text leads."""
        ...

    @property
    def model(self) -> str:
        """Which generator goes on: a file, or the name of one that ships."""
        ...

    @property
    def folder(self) -> str:
        """Of the run."""
        ...

    @property
    def preset(self) -> str:
        """Name of a preset."""
        ...

    @property
    def layers(self) -> tuple[str, ...]:
        """Groups of layers that train; none: the preset's."""
        ...

    @property
    def minutes(self) -> float:
        """Of the whole run."""
        ...

    @property
    def mirror(self) -> bool:
        """Whether every picture is shown mirrored, too."""
        ...

    @property
    def score_samples(self) -> int:
        """Pictures that FID and KID are measured with at each snapshot; 0: neither."""
        ...

    @property
    def by_text(self) -> bool:
        """Whether a text leads in the place of pictures."""
        ...

    @property
    def shift(self) -> ShiftOptions:
        """Where a text leads: which, and how."""
        ...

    @property
    def steps(self) -> int:
        """Where a text leads: how many."""
        ...
