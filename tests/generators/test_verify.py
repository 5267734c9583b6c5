"""Golden sets: the EG3D set passes whole, and the verifier can tell when one should not."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken, GoldenCase
from engine.generators.registry import open_model
from engine.verify import (
    DEFAULT_TOLERANCE,
    GoldenSet,
    VerifyReport,
    compare,
    verify_folder,
    verify_generator,
)

EG3D_SET = Path(__file__).parents[1] / "data" / "goldens" / "eg3d_ffhq"


@pytest.fixture(scope="module")
def report() -> VerifyReport:
    return verify_folder(EG3D_SET, "cpu")


def test_the_whole_eg3d_set_passes(report: VerifyReport) -> None:
    facts = json.loads((EG3D_SET / "golden.json").read_text())
    expected = sum(len(case["expect"]) for case in facts["cases"]) + len(facts["density"])
    assert len(report.rows) == expected == 64
    assert [row for row in report.rows if not row.passed] == []
    assert report.passed and report.family == "eg3d"


def test_errors_are_rounding_not_luck(report: VerifyReport) -> None:
    """Well inside the set's own limits: ten times for the median and for the greatest."""
    assert max(row.median for row in report.rows) < 1.5e-6
    assert max(row.max for row in report.rows) < 3e-5


def test_report_is_json(report: VerifyReport) -> None:
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["passed"] is True and len(data["rows"]) == 64
    assert set(data["rows"][0]) >= {"case", "output", "median", "p99", "max", "tolerance", "passed"}


class Recorder:
    """A generator that draws the golden arrays themselves, or something beside them."""

    def __init__(self, answer: dict[str, torch.Tensor]) -> None:
        self.cases: list[GoldenCase] = []
        self.answer = answer

    def golden_case(self, case: GoldenCase) -> dict[str, torch.Tensor]:
        self.cases.append(case)
        return self.answer


def small_set(path: Path, **changes: Any) -> Path:
    """A set of another imaginary family: one picture case and one density case."""
    facts: dict[str, Any] = {
        "format": "golden/1",
        "family": "imaginary",
        "checkpoint": "model.bin",
        "fov_y": 12.0,
        "samples": [12, 12],
        "tolerance": {"rgb": [0.1, 0.2, 0.3]},
        "cases": [
            {
                "name": "one",
                "latents": {"z": "z", "avg_w": "z"},
                "psi": 0.7,
                "cam2world": "camera",
                "samples": 3,
                "mix_from_layer": 2,
                "expect": {"rgb": "picture"},
            }
        ],
        "density": [
            {"name": "d", "latents": {"z": "z"}, "psi": 1.0, "points": "points", "expect": "sigma"}
        ],
    }
    facts.update(changes)
    path.mkdir(exist_ok=True)
    (path / "golden.json").write_text(json.dumps(facts))
    np.savez(
        path / "golden.npz",
        z=np.ones(4),
        camera=np.eye(4, dtype=np.float32),
        picture=np.zeros((1, 3, 2, 2), np.float32),
        points=np.zeros((5, 3), np.float32),
        sigma=np.zeros(5, np.float32),
    )
    (path / "model.bin").write_bytes(b"x")
    return path


def test_cases_carry_the_sets_options_and_their_own(tmp_path: Path) -> None:
    golden = GoldenSet(small_set(tmp_path / "set"))
    recorder = Recorder({"rgb": torch.full((3, 2, 2), 0.05), "density": torch.zeros(5)})
    seen: list[tuple[int, int, str]] = []
    rows = verify_generator(recorder, golden, lambda *a: seen.append(a))  # type: ignore[arg-type]
    picture, density = recorder.cases
    assert picture.options == {"fov_y": 12.0, "samples": 3, "mix_from_layer": 2}
    assert density.options == {"fov_y": 12.0, "samples": [12, 12]}
    assert set(picture.latents) == {"z", "avg_w"} and picture.psi == 0.7
    assert picture.cam2world is not None and picture.points is None
    assert density.points is not None and density.cam2world is None
    assert (picture.side, density.side) == (2, None)
    assert [(r.case, r.output, r.passed) for r in rows] == [
        ("one", "rgb", True),
        ("density d", "density", True),
    ]
    # Density has no tolerance of its own here, and no picture's stands in for it.
    assert max(rows[1].tolerance) < 0.1
    assert seen == [(0, 2, "one"), (1, 2, "density d"), (2, 2, "")]


def test_tolerances_stand_in_for_each_other(tmp_path: Path) -> None:
    golden = GoldenSet(
        small_set(tmp_path / "set", tolerance={"rgb": [1, 2, 3], "depth": [4, 5, 6]})
    )
    assert golden.tolerance("rgb") == (1, 2, 3)
    assert golden.tolerance("raw") == (4, 5, 6)
    # A density's grows with values beyond one; what the set states does not.
    assert golden.tolerance("density") == DEFAULT_TOLERANCE
    grown = tuple(20 * limit for limit in DEFAULT_TOLERANCE)
    assert golden.tolerance("density", torch.tensor([0.1, -20.0, 30.0])) == grown
    assert golden.tolerance("density", torch.tensor([0.1, -0.2, 30.0])) == DEFAULT_TOLERANCE
    assert golden.tolerance("rgb", torch.tensor([20.0])) == (1, 2, 3)
    golden = GoldenSet(small_set(tmp_path / "set", tolerance={}))
    assert golden.tolerance("density") == DEFAULT_TOLERANCE


def test_errors_by_hand() -> None:
    expected = torch.zeros(200)
    got = torch.zeros(200)
    got[:150] = 0.25
    got[0] = -2.0
    row = compare("c", "rgb", got, expected, (0.3, 0.3, 3.0))
    assert (row.median, row.p99, row.max, row.passed) == (0.25, 0.25, 2.0, True)
    assert not compare("c", "rgb", got, expected, (0.2, 0.3, 3.0)).passed
    assert not compare("c", "rgb", got, expected, (0.3, 0.2, 3.0)).passed
    assert not compare("c", "rgb", got, expected, (0.3, 0.3, 1.9)).passed


@pytest.mark.parametrize(
    ("got", "note"),
    [
        (None, "does not give"),
        (torch.zeros(2, 3), "shape"),
        (torch.tensor([0.0, math.nan, 0.0]), "not finite"),
        (torch.tensor([0.0, math.inf, 0.0]), "not finite"),
    ],
)
def test_absent_misshapen_and_broken_outputs_fail(got: torch.Tensor | None, note: str) -> None:
    row = compare("c", "rgb", got, torch.zeros(3), (1e9, 1e9, 1e9))
    assert not row.passed and row.max == math.inf and note in row.note


def test_a_wrong_model_fails(tmp_path: Path) -> None:
    """One weight off by a little shows."""
    golden = GoldenSet(EG3D_SET)
    golden.expectations = golden.expectations[:1]
    generator = open_model(golden.checkpoint, "cpu")
    assert all(row.passed for row in verify_generator(generator, golden))
    generator.network.decoder.net[2].bias[0] += 0.01  # type: ignore[attr-defined]
    assert not any(row.passed for row in verify_generator(generator, golden))


def test_cancelling_stops(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        verify_generator(Recorder({}), GoldenSet(small_set(tmp_path / "s")), cancel=token)  # type: ignore[arg-type]


CASE: dict[str, Any] = {
    "name": "n", "latents": {"z": "z"}, "psi": 1.0, "cam2world": "camera", "expect": {"rgb": "picture"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "golden/9"}, "golden/9"),
        ({"checkpoint": "absent.pkl"}, "absent.pkl"),
        ({"tolerance": {"rgb": [1, 2]}}, "three numbers"),
        ({"tolerance": [1]}, "tolerance"),
        ({"cases": [], "density": []}, "no cases"),
        ({"cases": 3}, "not a list"),
        ({"cases": [3]}, "not a record"),
        ({"cases": [{k: v for k, v in CASE.items() if k != "name"}]}, "'name'"),
        ({"cases": [{k: v for k, v in CASE.items() if k != "cam2world"}]}, "'cam2world'"),
        ({"cases": [CASE | {"latents": {"z": "nowhere"}}]}, "nowhere"),
        ({"cases": [CASE | {"psi": "half"}]}, "psi"),
        ({"cases": [CASE | {"cam2world": "points"}]}, "4 x 4"),
        ({"cases": [CASE | {"expect": "picture"}]}, "'expect'"),
        ({"family": None, "checkpoint": "model.bin"}, "readable|recogni|cannot|not"),
    ],
)
def test_bad_sets_are_told_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        verify_folder(small_set(tmp_path / "set", **changes), "cpu")
    assert "\n" not in str(caught.value)


def test_folders_that_are_not_golden_sets_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a folder"):
        verify_folder(tmp_path / "absent", "cpu")
    with pytest.raises(UserError, match=r"no golden\.json"):
        verify_folder(tmp_path, "cpu")
    path = small_set(tmp_path / "set")
    (path / "golden.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UserError, match="damaged"):
        verify_folder(path, "cpu")
    (path / "golden.npz").unlink()
    with pytest.raises(UserError, match=r"no golden\.npz"):
        verify_folder(path, "cpu")
    (path / "golden.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        verify_folder(path, "cpu")


def test_a_set_of_another_family_than_its_checkpoint_is_told(tmp_path: Path) -> None:
    path = small_set(tmp_path / "set", family="stylesdf", checkpoint="checkpoint.pkl")
    shutil.copy(EG3D_SET / "checkpoint.pkl", path)
    with pytest.raises(UserError, match=r"'stylesdf'.*'eg3d'"):
        verify_folder(path, "cpu")
