"""StyleSDF: the authors' pictures, and the same ones through the window's path."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.camera import FAMILY_AXES, Camera
from engine.checkpoints import read_checkpoint
from engine.generators.base import GoldenCase, Quality
from engine.generators.registry import build_generator, families, find_source, open_model
from engine.generators.stylesdf import FAMILY, Means, StyleSDF, StyleSDFConfig
from engine.verify import GoldenSet, VerifyReport, verify_folder

GOLDENS = Path(__file__).parents[1] / "data" / "goldens"
SET = GOLDENS / "stylesdf"


@pytest.fixture(scope="module")
def report() -> VerifyReport:
    return verify_folder(SET, "cpu")


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return dict(np.load(SET / "golden.npz"))


@pytest.fixture
def model() -> StyleSDF:
    opened = open_model(SET / "checkpoint.pt", "cpu")
    assert isinstance(opened, StyleSDF)
    return opened


def test_the_whole_set_passes(report: VerifyReport) -> None:
    facts = json.loads((SET / "golden.json").read_text())
    expected = sum(len(case["expect"]) for case in facts["cases"]) + len(facts["density"])
    assert len(report.rows) == expected == 61
    assert [row for row in report.rows if not row.passed] == []
    assert report.passed and report.family == "stylesdf"


def test_errors_are_rounding_not_luck(report: VerifyReport) -> None:
    worst = {
        output: max(row.max for row in report.rows if row.output == output)
        for output in ("rgb", "raw", "xyz", "density")
    }
    assert worst["rgb"] < 6e-5 and worst["raw"] < 3e-5
    assert worst["xyz"] < 2e-6 and worst["density"] < 5e-7


def test_family_is_registered_and_takes_no_other_files() -> None:
    assert families()["stylesdf"] is FAMILY
    files = sorted(p for p in GOLDENS.rglob("*") if p.suffix in (".pt", ".pth", ".pkl"))
    assert len(files) >= 6
    taken = [p.relative_to(GOLDENS).as_posix() for p in files if FAMILY.matches(read_checkpoint(p))]
    assert taken == ["stylesdf/checkpoint.pt"]


def test_options_come_from_the_shapes() -> None:
    source = find_source(read_checkpoint(SET / "checkpoint.pt"))
    config = StyleSDFConfig.from_json(source.config)
    assert config == StyleSDFConfig(
        style_dim=32,
        width=32,
        depth=4,
        render_size=32,
        decoder_channels=(32, 24, 16),
        decoder_style_dim=64,
    )
    assert (config.num_ws, config.w_dim, config.resolution) == (5 + 6, 64, 128)


def _golden_means(arrays: dict[str, np.ndarray]) -> Means:
    means = [torch.from_numpy(arrays[f"mean_{part}@m"][0]) for part in ("renderer", "decoder")]
    return Means(means[0], means[1])


@pytest.mark.parametrize(("seed", "psi", "pose"), [(1, 0.7, "yaw"), (2, 1.0, "pitch")])
def test_window_path_equals_the_authors_pictures(
    model: StyleSDF,
    arrays: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    psi: float,
    pose: str,
) -> None:
    """Not through golden cases but as the window draws: Camera in, Frame in [0, 1] out."""
    monkeypatch.setattr(model, "means", lambda: _golden_means(arrays))
    matrix = arrays[f"cam2world@{pose}"]
    camera = Camera(FAMILY_AXES["stylesdf"].to_ours(matrix), 12.0)
    w = model.map(torch.from_numpy(arrays[f"z@s{seed}"]), psi=psi)
    frame = model.render(w, camera, Quality(normals=True))
    for output, image in (("rgb", frame.rgb), ("raw", frame.raw)):
        expected = arrays[f"{output}@s{seed}_psi{psi}_{pose}"].transpose(1, 2, 0) * 0.5 + 0.5
        np.testing.assert_allclose(image.numpy(), expected.clip(0, 1), atol=3e-5)
    xyz = arrays[f"xyz@s{seed}_psi{psi}_{pose}"]
    distance = np.linalg.norm(xyz - matrix[:3, 3, None, None], axis=0)
    np.testing.assert_allclose(frame.depth.numpy(), distance, atol=2e-6)
    assert frame.normal is not None and bool(torch.isfinite(frame.normal).all())


def test_default_pose_is_the_authors_front_view(
    model: StyleSDF, arrays: dict[str, np.ndarray]
) -> None:
    camera = model.capabilities.default_pose.camera()
    ours = FAMILY_AXES["stylesdf"].from_ours(camera.cam2world)
    np.testing.assert_allclose(ours, arrays["cam2world@front"], atol=1e-6)
    assert camera.fov_y == 12.0


def test_field_is_the_authors_distance(model: StyleSDF, arrays: dict[str, np.ndarray]) -> None:
    w = model.map(torch.from_numpy(arrays["z@s0"]))
    distance = model.field(w).density(torch.from_numpy(arrays["points"]))
    np.testing.assert_allclose(distance.numpy(), arrays["density@s0_psi1.0"], atol=5e-7)


def test_mixing_rows_of_w_is_the_authors_mixing(
    model: StyleSDF, arrays: dict[str, np.ndarray]
) -> None:
    first, other = (model.map(torch.from_numpy(arrays[f"z@s{seed}"])) for seed in (0, 1))
    row = model.config.renderer_rows + 1
    camera = Camera(FAMILY_AXES["stylesdf"].to_ours(arrays["cam2world@yaw"]), 12.0)
    frame = model.render(torch.cat([first[:row], other[row:]]), camera)
    expected = arrays["rgb@mix1_psi1"].transpose(1, 2, 0) * 0.5 + 0.5
    np.testing.assert_allclose(frame.rgb.numpy(), expected.clip(0, 1), atol=3e-5)


def _case(model: StyleSDF, **options: object) -> torch.Tensor:
    case = GoldenSet(SET).expectations[1].case
    changed = GoldenCase(
        case.name, case.latents, 0.7, None, case.cam2world, None, {**case.options, **options}
    )
    return model.golden_case(changed)["rgb"]


@pytest.mark.parametrize(
    "options",
    [{"fov_y": 6.0}, {"samples": 23}, {"near": 0.87}, {"far": 1.13}, {"noise": "none"},
     {"noise": "random"}],
)  # fmt: skip
def test_every_option_of_a_case_counts(model: StyleSDF, options: dict[str, object]) -> None:
    assert float((_case(model, **options) - _case(model)).abs().max()) > 1e-3


def test_both_means_count(
    model: StyleSDF, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    z = torch.from_numpy(arrays["z@s0"])
    means = _golden_means(arrays)
    assert means.decoder is not None
    wanted = arrays["rgb@s0_psi0.7_front"].transpose(1, 2, 0) * 0.5 + 0.5
    camera = model.capabilities.default_pose.camera()
    errors = []
    for factors in ((1, 1), (0, 1), (1, 0)):
        one = Means(means.renderer * factors[0], means.decoder * factors[1])
        monkeypatch.setattr(model, "means", lambda one=one: one)
        frame = model.render(model.map(z, psi=0.7), camera)
        errors.append(float(np.abs(frame.rgb.numpy() - wanted.clip(0, 1)).max()))
    assert errors[0] < 3e-5 < 1e-3 < min(errors[1:])


def test_a_rebuilt_model_draws_the_identical_picture(model: StyleSDF) -> None:
    source = find_source(read_checkpoint(SET / "checkpoint.pt"))
    again = build_generator(source, "cpu")
    w = model.map(torch.ones(32), psi=0.5)
    assert torch.equal(again.map(torch.ones(32), psi=0.5), w)
    camera = model.capabilities.default_pose.camera()
    assert torch.equal(again.render(w, camera).rgb, model.render(w, camera).rgb)
