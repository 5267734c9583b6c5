"""Looking through a data set without torch, as the window does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import UserError
from engine.training.data.decode import Unreadable
from engine.training.data.survey import nothing_usable, survey
from engine.training.data.training_data import TrainingData
from tests.training.data.sets import picture, png, write_folder


def test_what_is_ticked_off_can_be_shown_and_taken_back(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", 5)
    found = survey(folder, 16)
    assert found.names == tuple(found.seen) and found.labels is not None
    assert len(found.labels) == len(found.names) == 5 and not found.dropped
    found.drop([found.names[1], found.names[3]])
    again = survey(folder, 16)
    assert again.dropped == {found.names[1], found.names[3]}
    assert again.names == tuple(found.names[i] for i in (0, 2, 4))
    assert set(again.seen) == set(found.names)
    np.testing.assert_array_equal(
        again.thumbnail(found.names[1], 16), found.thumbnail(found.names[1], 16)
    )
    assert TrainingData.open(folder, 16).names == again.names
    again.drop([])
    assert survey(folder, 16).names == found.names


def test_a_set_without_usable_pictures_is_still_told(tmp_path: Path) -> None:
    found = survey(tmp_path, 16)
    assert found.names == () and found.summary.pictures == 0 and not found.summary.posed
    assert "holds no pictures" in nothing_usable(found)
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "b.png").write_bytes(png(picture(1)))
    found = survey(tmp_path, 16)
    assert [s.name for s in found.skipped] == ["a.png"] and found.seen["a.png"].trouble
    with pytest.raises(Unreadable):
        found.thumbnail("a.png", 8)
    found.drop(["b.png"])
    assert "is ticked off" in nothing_usable(survey(tmp_path, 16))
    with pytest.raises(UserError, match="at least 1 pixel"):
        survey(tmp_path, 0)


def test_the_window_can_look_without_loading_torch() -> None:
    code = (
        "import sys, engine.training.data.survey, engine.training.data.photos.prepare\n"
        "import engine.training.data.photos.finder, engine.training.data.photos.environment\n"
        "print(sorted({n.split('.')[0] for n in sys.modules} & {'torch', 'scipy', 'skimage'}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
