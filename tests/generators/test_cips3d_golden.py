"""Released-format CIPS-3D files: pictures of the authors' code, and how a file is read."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.camera import FAMILY_AXES, Camera
from engine.checkpoints import read_checkpoint, write_model
from engine.generators.base import Generator, Quality
from engine.generators.cips3d import FAMILY, CIPS3DConfig
from engine.generators.registry import find_source, open_model
from engine.verify import VerifyReport, verify_folder

CIPS3D_SET = Path(__file__).parents[1] / "data" / "goldens" / "cips3d"
FILE = CIPS3D_SET / "checkpoint.pth"


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return dict(np.load(CIPS3D_SET / "golden.npz"))


@pytest.fixture(scope="module")
def model() -> Generator:
    return open_model(FILE, "cpu")


@pytest.fixture(scope="module")
def report() -> VerifyReport:
    return verify_folder(CIPS3D_SET, "cpu")


def test_the_whole_set_passes(report: VerifyReport) -> None:
    assert [row for row in report.rows if not row.passed] == []
    # 3 identities x 2 psi x 3 poses x (picture, auxiliary picture, depth), a mix, 3 densities.
    assert report.family == "cips3d" and len(report.rows) == 58


def test_errors_are_rounding_not_luck(report: VerifyReport) -> None:
    """The authors' own float32 is 5e-7 from float64 in the median, 3e-5 at the 99th percentile."""
    pictures = [row for row in report.rows if row.output in ("rgb", "raw")]
    assert max(row.median for row in pictures) < 2e-6
    assert max(row.p99 for row in pictures) < 1e-4
    assert max(row.max for row in pictures) < 3e-3


def test_sizes_come_from_the_tensors() -> None:
    checkpoint = read_checkpoint(FILE)
    assert FAMILY.matches(checkpoint)
    source = FAMILY.source(checkpoint)
    config = CIPS3DConfig.from_json(source.config)
    assert (config.z_nerf_dim, config.z_inr_dim) == (24, 36)
    assert (config.nerf_style_dim, config.inr_style_dim) == (28, 44)
    assert (config.nerf_mapping_layers, config.inr_mapping_layers) == (4, 8)
    assert (config.nerf_layers, config.nerf_width, config.nerf_color_width) == (2, 40, 20)
    assert (config.nerf_features, config.inr_blocks, config.inr_width) == (12, 9, 52)
    assert (config.num_ws, config.w_dim) == (21, 44)
    said = " ".join(source.assumptions)
    assert "256 pixels" in said and "12 and 12" in said and "last_back" in said


def test_window_path_equals_the_authors_pictures(
    model: Generator, arrays: dict[str, np.ndarray]
) -> None:
    """Not through golden cases but as the window draws: Camera in, Frame in [0, 1] out. The
    golden pictures are 32 pixels wide between the outermost middles, the model's 256, so that the
    same rays need another angle."""
    fov = float(np.degrees(2 * np.arctan(np.tan(np.radians(6.0)) * (32 / 31) * (255 / 256))))
    camera = Camera(FAMILY_AXES["cips3d"].to_ours(arrays["cam2world@yaw"]), fov)
    z = np.concatenate([arrays["z_nerf@s1"], arrays["z_inr@s1"]])
    w = model.map(torch.from_numpy(z))
    frame = model.render(w, camera, Quality(neural_resolution=32))
    for output, image in (("rgb", frame.rgb), ("raw", frame.raw)):
        expected = (arrays[f"{output}@s1_psi1.0_yaw"].transpose(1, 2, 0) * 0.5 + 0.5).clip(0, 1)
        error = np.abs(image.numpy() - expected)
        assert np.median(error) < 2e-6 and np.quantile(error, 0.99) < 1e-4


def test_default_pose_is_the_training_view(model: Generator, arrays: dict[str, np.ndarray]) -> None:
    pose = model.capabilities.default_pose
    ours = FAMILY_AXES["cips3d"].from_ours(pose.camera().cam2world)
    np.testing.assert_allclose(ours, arrays["cam2world@front"], atol=1e-6)
    assert pose.fov_y == 12.0 and pose.radius == 1.0
    # The authors' yaw goes the other way round: theirs of +0.3 has its camera at negative x.
    side = pose.turned(yaw=-np.degrees(0.3)).camera()
    theirs = FAMILY_AXES["cips3d"].from_ours(side.cam2world)
    np.testing.assert_allclose(theirs, arrays["cam2world@yaw"], atol=1e-6)


def test_field_is_the_authors_density(model: Generator, arrays: dict[str, np.ndarray]) -> None:
    z = np.concatenate([arrays["z_nerf@s0"], arrays["z_inr@s0"]])
    density = model.field(model.map(torch.from_numpy(z))).density(
        torch.from_numpy(arrays["points"])
    )
    np.testing.assert_allclose(density.numpy(), arrays["density@s0"], atol=2e-4)


def test_conversion_and_releases_draw_the_same(tmp_path: Path, model: Generator) -> None:
    """The bare file, a folder of the release, its archive, and the converted model."""
    folder = tmp_path / "train_ffhq_high" / "resume_iter1"
    folder.mkdir(parents=True)
    shutil.copy(FILE, folder / "G_ema.pth")
    shutil.copy(CIPS3D_SET / "second.pth", folder / "generator.pth")
    (folder / "config_command.yaml").write_text("img_size: 256\n")
    with zipfile.ZipFile(tmp_path / "release.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, f"train_ffhq_high/{path.name}")
    write_model(find_source(read_checkpoint(FILE)), tmp_path / "converted")
    z = torch.randn(60, generator=torch.Generator().manual_seed(0))
    camera = model.capabilities.default_pose.camera()
    expected = model.render(model.map(z, psi=0.7), camera, Quality(16)).rgb
    for where in (
        folder / "G_ema.pth",
        tmp_path,
        tmp_path / "release.zip",
        tmp_path / "converted.json",
    ):
        other = open_model(where, "cpu")
        drawn = other.render(other.map(z, psi=0.7), camera, Quality(16)).rgb
        assert torch.equal(drawn, expected), where
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"train_ffhq_high", "release.zip", "converted.json", "converted.safetensors"}
