"""Several processes of which one runs out of memory: all of them go on with smaller passes, together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import UserError
from engine.training.gan.distributed import Team
from engine.training.gan.events import Finished, Notice, StepDone
from engine.training.gan.logs import read_journal
from engine.training.gan.options import TrainingOptions
from engine.training.gan.passes import Passes
from tests.training.gan import teams
from tests.training.gan.test_gan_run import OPTIONS, losses, texts
from tests.training.gan.toy import Squares

#: A step is two passes of four pictures a process.
BOTH = replace(OPTIONS, batch=16, pass_size=4, steps=6, snapshot_steps=2)


def together(folder: Path, options: TrainingOptions, phase: str, limit: int) -> dict[int, object]:
    """Two processes, of which the second has memory for ``limit`` pictures in a phase; the losses."""
    folder.mkdir()
    module = ("-m", "tests.training.gan.short_run")
    teams.together([*module, str(folder), json.dumps(options.to_json()), phase, str(limit)])
    return dict(losses(read_journal(folder)))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[int, object]:
    """The losses where each process knows from the start that one picture at once is all."""
    folder = tmp_path_factory.mktemp("known") / "run"
    found = together(folder, replace(BOTH, pass_size=1), "generator", 1)
    assert not (folder / "short").exists()
    return found


@pytest.mark.parametrize("phase", ["generator", "discriminator_r1"])
def test_all_halve_when_one_runs_out(tmp_path: Path, known: dict[int, object], phase: str) -> None:
    found = together(tmp_path / "short", BOTH, phase, 1)
    assert (tmp_path / "short" / "short").read_text().split() == ["4", "2"]
    events = read_journal(tmp_path / "short")
    assert texts(events) == [
        f"{many} pictures at once do not fit into memory: training goes on with {many // 2} at once, and "
        "the batch stays 16."
        for many in (4, 2)
    ]
    first = next(event for event in events if isinstance(event, Notice))
    assert first.step == 0 and isinstance(events[-1], Finished) and events[-1].why == "budget"
    # As if each process had known it from the start, from the first phase that was short on.
    assert set(found) == set(known) == set(range(1, 7))
    if phase == "generator":
        assert found == known
    else:
        assert found[1] != known[1], "the phases before had larger passes in that step"


def test_one_picture_that_does_not_fit_ends_all_of_them_with_a_sentence(tmp_path: Path) -> None:
    assert together(tmp_path / "run", BOTH, "discriminator", 0) == {}
    folder = tmp_path / "run"
    assert (folder / "short").read_text().split() == ["4", "2", "1"]
    assert (folder / "sentence").read_text().startswith("Not even one picture at once fits")
    last = read_journal(folder)[-1]
    assert isinstance(last, Finished) and last.why == "failed"
    assert not any(isinstance(event, StepDone) for event in read_journal(folder))


def test_smaller_passes_of_a_team_are_other_pictures() -> None:
    squares, second = Squares(), Team(1, 2, torch.device("cpu"))
    passes = Passes(squares, 100, 8, 2, second)
    assert [number for number, _ in passes.parts] == [1, 3]
    passes.cut(1)
    assert [number for number, _ in passes.parts] == [1, 3, 5, 7]
    for number, batch in passes.parts:
        assert torch.equal(batch.images, squares.batch(100 + number, 1).images)
    squares.gone = True
    with pytest.raises(UserError, match=r"cannot be read .*img00000001\.png.* and resume"):
        passes.cut(1)
