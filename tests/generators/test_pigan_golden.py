"""Released-format pi-GAN folder: pictures of the authors' code, and how the file is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.camera import FAMILY_AXES, Camera
from engine.checkpoints import read_checkpoint, write_model
from engine.generators.base import Generator
from engine.generators.pigan import FAMILY, PiGANConfig
from engine.generators.registry import find_source, open_model
from engine.verify import VerifyReport, verify_folder

GOLDENS = Path(__file__).parents[1] / "data" / "goldens"
PIGAN_SET = GOLDENS / "pigan"
FILE = PIGAN_SET / "CelebA" / "generator.pth"


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return dict(np.load(PIGAN_SET / "golden.npz"))


@pytest.fixture(scope="module")
def model() -> Generator:
    return open_model(FILE, "cpu")


@pytest.fixture(scope="module")
def report() -> VerifyReport:
    return verify_folder(PIGAN_SET, "cpu")


def test_the_whole_set_passes(report: VerifyReport) -> None:
    assert [row for row in report.rows if not row.passed] == []
    assert report.passed and report.family == "pigan"
    # 3 identities x 2 psi x 3 poses, each a picture and a depth, and 3 densities.
    assert len(report.rows) == 39


def test_errors_are_rounding_not_luck(report: VerifyReport) -> None:
    pictures = [row for row in report.rows if row.output == "rgb"]
    assert max(row.median for row in pictures) < 2e-6
    assert max(row.max for row in pictures) < 3e-3


def test_options_come_from_the_file() -> None:
    checkpoint = read_checkpoint(FILE)
    assert FAMILY.matches(checkpoint)
    source = FAMILY.source(checkpoint)
    config = PiGANConfig.from_json(source.config)
    assert (config.siren, config.data_set) == ("SPATIALSIRENBASELINE", "celeba")
    assert (config.z_dim, config.hidden, config.layers) == (32, 16, 8)
    assert (config.mapping_width, config.mapping_layers, config.rows) == (256, 3, 9)
    assert config.point_scale == pytest.approx(2 / 0.24) and config.last_back
    said = " ".join(source.assumptions)
    assert "ema.pth" in said and "limits of its rays" in said and "its own weights" in said
    assert source.name == "CelebA generator"


def test_the_averaged_weights_are_drawn_in_parameter_order() -> None:
    source = find_source(read_checkpoint(FILE))
    listed = read_checkpoint(FILE.with_name("ema.pth")).root.state["shadow_params"]
    names = list(source.tensors)
    assert names[0] == "siren.network.0.layer.weight"
    assert names[-1] == "siren.mapping_network.network.6.bias"
    for name, average in zip(names, listed, strict=True):
        assert torch.equal(source.tensors[name].load(), average.load()), name


def test_truncation_leads_to_the_average_of_the_averaged_weights(
    model: Generator, arrays: dict[str, np.ndarray]
) -> None:
    """Not to the averages stored in the file, which are those of its own weights: these lie up
    to 1.03 away, and the authors' draw of 10,000 latents lies within its spread of ours."""
    rows = model.mean_w()
    frequencies, phases = rows.chunk(2, dim=1)
    for mine, key in ((frequencies, "avg_freq@m"), (phases, "avg_phase@m")):
        assert np.abs(mine.reshape(-1).numpy() - arrays[key]).max() < 0.015


def test_window_path_equals_the_authors_pictures(
    model: Generator, arrays: dict[str, np.ndarray]
) -> None:
    """Not through golden cases but as the window draws: Camera in, Frame in [0, 1] out."""
    source = find_source(read_checkpoint(FILE))
    native = FAMILY.build(
        source.config | {"resolution": 32},
        {name: tensor.load() for name, tensor in source.tensors.items()},
        torch.device("cpu"),
    )
    camera = Camera(FAMILY_AXES["pigan"].to_ours(arrays["cam2world@yaw"]), 12.0)
    frame = native.render(native.map(torch.from_numpy(arrays["z@s1"])), camera)
    expected = (arrays["rgb@s1_psi1.0_yaw"].transpose(1, 2, 0) * 0.5 + 0.5).clip(0, 1)
    assert np.median(np.abs(frame.rgb.numpy() - expected)) < 2e-6
    np.testing.assert_allclose(frame.rgb.numpy(), expected, atol=3e-3)
    depth = np.abs(frame.depth.numpy() - arrays["depth@s1_psi1.0_yaw"])
    assert np.median(depth) < 1e-6 and depth.max() < 2e-3


def test_default_pose_is_the_training_view(model: Generator, arrays: dict[str, np.ndarray]) -> None:
    camera = model.capabilities.default_pose.camera()
    theirs = FAMILY_AXES["pigan"].from_ours(camera.cam2world)
    np.testing.assert_allclose(theirs, arrays["cam2world@front"], atol=1e-6)
    assert camera.fov_y == 12.0


def test_field_is_the_authors_density(model: Generator, arrays: dict[str, np.ndarray]) -> None:
    w = model.map(torch.from_numpy(arrays["z@s2"]))
    density = model.field(w).density(torch.from_numpy(arrays["points"]))
    np.testing.assert_allclose(density.numpy(), arrays["density@s2"], atol=3e-4)


def test_the_converted_model_draws_the_same(model: Generator, tmp_path: Path) -> None:
    written = write_model(find_source(read_checkpoint(FILE)), tmp_path / "celeba")
    converted = open_model(written, "cpu")
    assert converted.capabilities == model.capabilities
    z = torch.randn(32, generator=torch.Generator().manual_seed(0))
    w = model.map(z, psi=0.5)
    assert torch.equal(converted.map(z, psi=0.5), w)
    camera = model.capabilities.default_pose.turned(15, 5).camera()
    from engine.generators.base import Quality

    quick = Quality(neural_resolution=24)
    assert torch.equal(converted.render(w, camera, quick).rgb, model.render(w, camera, quick).rgb)


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for path in GOLDENS.glob("*/checkpoint.*")
        if path.parent.name != "pigan" and path.suffix in (".pth", ".pt", ".pkl")
    ),
    ids=lambda path: path.parent.name,
)
def test_other_families_files_are_left_alone(path: Path) -> None:
    assert not FAMILY.matches(read_checkpoint(path))
