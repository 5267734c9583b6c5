"""The lines of a run: going back loses nothing.

A run's snapshots are a tree. Training goes along one line of it, the present one; whoever goes back to an
earlier snapshot begins a new line there, and what came after that snapshot is set aside: its files stay
until a person deletes them, and can be gone to like any other.

============================  ==================================================================
``step-000000120.safetensors``    a snapshot of line 0, the first
``step-000000120-2.safetensors``  one of line 2
``lines.json``                    which line is the present one, and where each of the others began
============================  ==================================================================

A line never changes where it began, and files are never renamed: to go back is to write ``lines.json``
anew, which happens whole or not at all. Without it, or where it is damaged, every line stands for itself and
the newest is the present one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.export.files import atomic_path

FORMAT, NAME = "maquette-lines/1", "lines.json"
#: Longest file that is read, bytes; a line takes thirty.
_MOST_TEXT = 1 << 22
_SNAPSHOT = re.compile(r"^step-(\d{9})(?:-([1-9]\d{0,8}))?\.safetensors$")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot's file, the step it was taken at, and the line it was taken on."""

    step: int
    path: Path
    line: int = 0


@dataclass(frozen=True)
class Tree:
    """Where lines began.

    Attributes:
        present: the line that training goes along.
        began: line -> the line that it left, and after which step. Line 0 left none.
    """

    present: int = 0
    began: tuple[tuple[int, int, int], ...] = ()

    def bounds(self) -> dict[int, int | None]:
        """The present line back to the start: line -> the last step on it that counts, ``None`` where
        all do."""
        origins = {line: (parent, step) for line, parent, step in self.began}
        found: dict[int, int | None] = {self.present: None}
        line = self.present
        while line in origins:
            line, step = origins[line]
            found[line] = step
        return found


def within(bounds: dict[int, int | None], line: int, step: int) -> bool:
    """Whether a step of a line lies on the way that :meth:`Tree.bounds` gives."""
    if line not in bounds:
        return False
    last = bounds[line]
    return last is None or step <= last


class Lines:
    """The snapshots of a folder, by line. Reads anew what it is asked: others may write.

    Args:
        folder: of the snapshots; it may not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def present(self) -> int:
        """The line that training goes along."""
        return self._tree().present

    def kept(self) -> list[Snapshot]:
        """The snapshots of the present line, oldest step first."""
        bounds = self._tree().bounds()
        return [one for one in self.every() if within(bounds, one.line, one.step)]

    def aside(self) -> list[Snapshot]:
        """Those that were set aside, by line and step."""
        bounds = self._tree().bounds()
        found = [one for one in self.every() if not within(bounds, one.line, one.step)]
        return sorted(found, key=lambda one: (one.line, one.step))

    def every(self) -> list[Snapshot]:
        """All of them, oldest step first; other files are passed over."""
        if not self.folder.is_dir():
            return []
        found = [(match, path) for path in self.folder.iterdir()
                 if (match := _SNAPSHOT.match(path.name))]  # fmt: skip
        those = (Snapshot(int(match[1]), path, int(match[2] or 0)) for match, path in found)
        return sorted(those, key=lambda one: (one.step, one.line))

    def find(self, step: int, line: int | None = None) -> Snapshot:
        """The snapshot of a step.

        Args:
            step: of it.
            line: that it was taken on; without it the present line comes first, then what was set aside.

        Raises:
            UserError: there is none, or several were set aside.
        """
        kept, aside = self.kept(), self.aside()
        if line is not None:
            those = [one for one in (*kept, *aside) if (one.step, one.line) == (step, line)]
        else:
            those = [one for one in kept if one.step == step][-1:]
            those = those or [one for one in aside if one.step == step]
        if len(those) == 1:
            return those[0]
        where = self.folder.parent
        if those:
            named = ", ".join(f"{one.step}/{one.line}" for one in those)
            raise UserError(
                f"Several snapshots of step {step} were set aside in {where}: say which, {named}."
            )
        on = "" if line is None else f" on line {line}"
        there = ", ".join(str(one.step) for one in kept) or "none"
        also = ", ".join(f"{one.step}/{one.line}" for one in aside)
        raise UserError(
            f"There is no snapshot of step {step}{on} in {where}; there are: {there}"
            + (f"; set aside: {also}." if also else ".")
        )

    def path(self, step: int) -> Path:
        """Where the present line's snapshot of a step is kept."""
        line = self.present
        return self.folder / f"step-{step:09d}{f'-{line}' if line else ''}.safetensors"

    def go_to(self, snapshot: Snapshot) -> int | None:
        """Go on from a snapshot: what comes after it on its line, and on the present one, is set aside.

        Returns:
            the line that began for that; ``None`` where the present one goes on, since the snapshot is
            its newest.

        Raises:
            ExportError: that cannot be written down; nothing has changed.
        """
        tree = self._tree()
        if self.kept()[-1:] == [snapshot]:
            return None
        known = {line for line, _, _ in tree.began} | {one.line for one in self.every()}
        new = max(known | {tree.present}) + 1
        self._write(Tree(new, (*tree.began, (new, snapshot.line, snapshot.step))))
        return new

    def leave(self, line: int) -> None:
        """Undo :meth:`go_to`: make the line the present one that was it before.

        Raises:
            ExportError: that cannot be written down.
        """
        self._write(Tree(line, self._tree().began))

    def prune(self, keep: int) -> None:
        """Remove what the present line needs no more: all but its first snapshot and the ``keep`` newest.
        What was set aside stays."""
        kept = self.kept()
        _remove(kept[1 : max(len(kept) - keep, 1)])

    def delete_aside(self) -> int:
        """Delete what was set aside, for good; how many snapshots that were."""
        aside = self.aside()
        _remove(aside)
        return len(aside)

    def _tree(self) -> Tree:
        try:
            path = self.folder / NAME
            if path.stat().st_size > _MOST_TEXT:
                raise ValueError("it is too long")
            return _read(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            return Tree(max((one.line for one in self.every()), default=0))

    def _write(self, tree: Tree) -> None:
        facts = {
            "format": FORMAT,
            "present": tree.present,
            "began": [list(one) for one in tree.began],
        }
        with atomic_path(self.folder / NAME) as temporary:
            temporary.write_text(json.dumps(facts), encoding="utf-8")


def _read(facts: Any) -> Tree:
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError("it holds no lines")
    began = facts.get("began")
    if not isinstance(began, list):
        raise ValueError("it does not say where lines began")
    origins: list[tuple[int, int, int]] = []
    for one in began:
        if not isinstance(one, list) or len(one) != 3:
            raise ValueError("a line's beginning is none")
        line, parent, step = map(_whole, one)
        # A line is younger than the one it left: no way leads round in a circle.
        if parent >= line:
            raise ValueError("a line left one that is younger")
        origins.append((line, parent, step))
    return Tree(_whole(facts.get("present")), tuple(origins))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} is no number of a line or step")
    return value


def _remove(those: Iterable[Snapshot]) -> None:
    for one in those:
        one.path.unlink(missing_ok=True)
