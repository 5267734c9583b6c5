"""What is written down of a run: JSON lines that the window reads, and TensorBoard's files.

``log.jsonl`` is only ever added to, a line an event (:mod:`.events`). A run that went back says so with a
line of its own, and readers pass over what came after that step; a line that was cut off by a kill is
passed over.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.training.gan.events import (
    Event,
    Notice,
    Returned,
    SamplesDrawn,
    ScoresMeasured,
    StepDone,
    from_line,
    to_line,
)
from engine.training.gan.lines import Tree, within

NAME = "log.jsonl"


class Journal:
    """Writes ``log.jsonl``. A full disk does not stop a run: lines are then missing.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._failed = False

    def __call__(self, event: Event) -> None:
        text = json.dumps(_plain(to_line(event)), allow_nan=False)
        try:
            with self.path.open("ab+") as file:
                if file.tell() and not _ends_a_line(file, file.tell()):
                    file.write(b"\n")
                file.write(text.encode() + b"\n")
            self._failed = False
        except OSError:
            self._failed = True

    @property
    def failed(self) -> bool:
        """Whether the last line could not be written."""
        return self._failed


def _ends_a_line(file: Any, size: int) -> bool:
    file.seek(size - 1)
    return bool(file.read(1) == b"\n")


def _plain(value: Any) -> Any:
    """JSON has no infinite numbers: they become null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_journal(folder: Path) -> list[Event]:
    """The events of a run that count: those on the way to where it is now (see :mod:`.lines`), and all
    that it had to say."""
    told: list[tuple[int, Event]] = []
    tree = Tree()
    for event in _events(folder / NAME):
        if isinstance(event, Returned):
            if event.line is None or event.line <= max(event.parent, tree.present):
                back, now = event.step, tree.present
                told = [
                    (line, one)
                    for line, one in told
                    if line != now or one.step <= back or isinstance(one, Notice)
                ]
            else:
                tree = Tree(event.line, (*tree.began, (event.line, event.parent, event.step)))
        told.append((tree.present, event))
    way = tree.bounds()
    return [one for line, one in told if isinstance(one, Notice) or within(way, line, one.step)]


def _events(path: Path) -> Iterator[Event]:
    try:
        file = path.open("rb")
    except OSError:
        return
    with file:
        for line in file:
            try:
                plain = json.loads(line)
            except ValueError:
                continue
            event = from_line(plain) if isinstance(plain, dict) else None
            if event is not None:
                yield event


class TensorBoard:
    """Curves and pictures for TensorBoard, in the run's folder ``tensorboard``. A full disk does not stop a
    run: they end there, until the run goes back.

    Args:
        folder: of the run.
        step: what was written from it on is hidden.
        line: of the run (:mod:`.lines`); each but the first is shown as a run of its own.

    Raises:
        ImportError: TensorBoard is not installed (the optional extra ``tensorboard``).
    """

    def __init__(self, folder: Path, step: int = 0, line: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        place = folder / "tensorboard" / f"line-{line}" if line else folder / "tensorboard"
        self._writer: Any = SummaryWriter(  # type: ignore[no-untyped-call]
            str(place), purge_step=step or None
        )
        self._folder, self._line = folder, line
        self._failed = False

    def __call__(self, event: Event) -> None:
        # Its thread ends with the first write that fails, and from then on every call raises why.
        if self._failed and not isinstance(event, Returned):
            return
        try:
            self._add(event)
        except OSError:
            self._failed = True

    def _add(self, event: Event) -> None:
        add = self._writer.add_scalar
        if isinstance(event, StepDone):
            for name, value in event.losses.items():
                add(f"losses/{name}", value, event.step)
            for name, value in event.rates.items():
                add(f"rates/{name}", value, event.step)
            add("augmentation", event.augmentation, event.step)
            add("images_per_second", event.images_per_second, event.step)
        elif isinstance(event, ScoresMeasured):
            for name, value in event.values.items():
                add(f"scores/{name} ({event.features})", value, event.step)
        elif isinstance(event, SamplesDrawn):
            self._picture(event)
        elif isinstance(event, Notice):
            self._writer.add_text("notices", event.text, event.step)
        elif isinstance(event, Returned):
            with contextlib.suppress(OSError):
                self.close()
            line = self._line if event.line is None else event.line
            TensorBoard.__init__(self, self._folder, event.step + 1, line)
        else:
            self._writer.flush()

    def _picture(self, event: SamplesDrawn) -> None:
        import numpy as np
        from PIL import Image

        try:
            with Image.open(event.path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        except OSError:
            return
        self._writer.add_image("samples", pixels, event.step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def tensorboard(folder: Path, step: int = 0, line: int = 0) -> TensorBoard | None:
    """A :class:`TensorBoard`, or ``None`` where it is not installed or cannot write."""
    try:
        return TensorBoard(folder, step, line)
    except (ImportError, OSError):
        return None
