"""TensorBoard's files, by a writer that notes what it is told; and their absence."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from engine.training.gan import logs
from engine.training.gan.events import (
    Event,
    Finished,
    Notice,
    Returned,
    SamplesDrawn,
    ScoresMeasured,
    SnapshotWritten,
    StepDone,
    from_line,
    to_line,
)

STEP = StepDone(4, 32, {"fake": 0.5}, {"generator": 0.002}, 0.1, 3.0, 9.0, None)
EVERY: list[Event] = [
    STEP, Notice(4, "said"), SnapshotWritten(4, "s"), SamplesDrawn(4, "p"),
    ScoresMeasured(4, {"fid": 3.0}, "a network"), Returned(2), Finished(4, "budget", "m"),
]  # fmt: skip


class Writer:
    """Stands for TensorBoard's SummaryWriter."""

    made: ClassVar[list[tuple[str, int | None]]] = []
    told: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, folder: str, purge_step: int | None = None) -> None:
        self.made.append((folder, purge_step))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.told.append((name, value, step))

    def add_text(self, name: str, text: str, step: int) -> None:
        self.told.append((name, text, step))

    def add_image(self, name: str, pixels: Any, step: int, dataformats: str) -> None:
        self.told.append((name, pixels.shape, step, dataformats))

    def flush(self) -> None:
        self.told.append(("flushed",))

    def close(self) -> None:
        self.told.append(("closed",))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> logs.TensorBoard:
    module = ModuleType("torch.utils.tensorboard")
    monkeypatch.setattr(module, "SummaryWriter", Writer, raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    Writer.made, Writer.told = [], []
    board = logs.tensorboard(tmp_path)
    assert board is not None
    return board


def test_curves_texts_and_pictures_go_to_tensorboard(
    board: logs.TensorBoard, tmp_path: Path
) -> None:
    picture = tmp_path / "samples.png"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(picture)
    for event in EVERY[:5]:
        board(SamplesDrawn(4, str(picture)) if isinstance(event, SamplesDrawn) else event)
    assert Writer.told == [
        ("losses/fake", 0.5, 4), ("rates/generator", 0.002, 4), ("augmentation", 0.1, 4),
        ("images_per_second", 3.0, 4), ("notices", "said", 4), ("flushed",),
        ("samples", (4, 6, 3), 4, "HWC"), ("scores/fid (a network)", 3.0, 4),
    ]  # fmt: skip


def test_what_a_run_went_back_from_is_hidden(board: logs.TensorBoard, tmp_path: Path) -> None:
    board(Returned(2))
    folder = str(tmp_path / "tensorboard")
    assert Writer.made == [(folder, None), (folder, 3)] and ("closed",) in Writer.told


@pytest.mark.parametrize("method", ["add_scalar", "add_text", "add_image", "flush"])
def test_a_full_disk_ends_the_curves_and_not_the_run(
    board: logs.TensorBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """TensorBoard's thread ends at the first write that fails, and every call says so then."""

    def full(*_values: Any, **_names: Any) -> None:
        Writer.told.append(("tried",))
        raise OSError(28, "No space left on device")

    picture = tmp_path / "samples.png"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(picture)
    every = [SamplesDrawn(4, str(picture)) if isinstance(e, SamplesDrawn) else e for e in EVERY]
    with monkeypatch.context() as patch:
        patch.setattr(Writer, method, full)
        patch.setattr(Writer, "close", full)
        for event in every[:5]:
            board(event)
        assert Writer.told.count(("tried",)) == 1
        board(Returned(2))
    board(STEP)
    assert Writer.told[-1] == ("images_per_second", 3.0, 4), (
        "it begins anew where the run goes back"
    )


def test_without_tensorboard_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert logs.tensorboard(tmp_path) is None


def test_events_survive_the_journal(tmp_path: Path) -> None:
    journal = logs.Journal(tmp_path)
    for event in EVERY:
        journal(event)
        assert from_line(to_line(event)) == event
    read = logs.read_journal(tmp_path)
    assert read == [Notice(4, "said"), Returned(2), Finished(4, "budget", "m")]
    assert from_line({"kind": "hat"}) is None and from_line({"kind": "notice"}) is None


def test_a_disk_that_is_full_costs_lines_only(tmp_path: Path) -> None:
    journal = logs.Journal(tmp_path / "gone")
    journal(STEP)
    assert journal.failed and logs.read_journal(tmp_path / "gone") == []
