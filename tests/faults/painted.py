"""How long the window goes without painting, from what :mod:`app.timing_hook` notes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Painted:
    """Reads a file of times while it grows.

    Attributes:
        longest: seconds between two painted frames in a row at most, since :meth:`restart`.
        at: when that gap ended, ``time.monotonic()``.
        last: when the last frame was painted, ``None`` before the first.
        frames: how many were painted.
        long_ones: ``(when, seconds)`` of the gaps longer than :attr:`limit`.
    """

    path: Path
    limit: float = 2.0
    longest: float = 0.0
    at: float = 0.0
    last: float | None = None
    frames: int = 0
    long_ones: list[tuple[float, float]] = field(default_factory=list)
    _read: int = 0

    def restart(self) -> None:
        """Forget the longest gap so far."""
        self.longest = 0.0

    def look(self) -> None:
        """Take in what was written since. An unfinished line waits for the next look."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._read += whole
        for line in data[:whole].splitlines():
            note = json.loads(line)
            if note[0] != "loop":
                continue
            drawn = float(note[2])
            if self.last is not None:
                gap = drawn - self.last
                if gap > self.longest:
                    self.longest, self.at = gap, drawn
                if gap > self.limit:
                    self.long_ones.append((drawn, gap))
            self.last = drawn
            self.frames += 1
