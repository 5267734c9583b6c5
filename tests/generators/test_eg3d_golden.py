"""Released-format EG3D file: what is read off it, and paths that the golden set leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.camera import FAMILY_AXES, Camera
from engine.checkpoints import read_checkpoint
from engine.generators.base import Generator, Quality
from engine.generators.eg3d import FAMILY, EG3DConfig
from engine.generators.registry import build_generator, find_source
from engine.generators.triplane import EG3D_AXES

EG3D_SET = Path(__file__).parents[1] / "data" / "goldens" / "eg3d_ffhq"


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return dict(np.load(EG3D_SET / "golden.npz"))


@pytest.fixture(scope="module")
def model() -> Generator:
    return build_generator(find_source(read_checkpoint(EG3D_SET / "checkpoint.pkl")), "cpu")


def test_options_come_from_the_state_of_the_file() -> None:
    checkpoint = read_checkpoint(EG3D_SET / "checkpoint.pkl")
    assert FAMILY.matches(checkpoint)
    config = EG3DConfig.from_json(FAMILY.source(checkpoint).config)
    assert (config.z_dim, config.w_dim, config.num_ws) == (32, 32, 14)
    assert config.block_channels == (16, 16, 16, 16, 16, 8, 4)
    assert (config.sr_module, config.sr_channels) == ("SuperresolutionHybrid8XDC", (16, 8))
    assert (config.neural_rendering_resolution, config.img_resolution) == (16, 64)
    assert config.sr_conv_clamp == 256.0 and config.conv_clamp is None
    assert config.rendering.plane_axes == EG3D_AXES
    assert config.avg_camera_pivot == (0.0, 0.0, 0.2) and config.conditioned


def test_window_path_equals_the_authors_pictures(
    model: Generator, arrays: dict[str, np.ndarray]
) -> None:
    """Not through golden cases but as the window draws: Camera in, Frame in [0, 1] out."""
    camera = Camera(
        FAMILY_AXES["eg3d"].to_ours(arrays["cam2world@yaw"]),
        Camera.fov_from_focal(4.263391017913818),
    )
    front = Camera(FAMILY_AXES["eg3d"].to_ours(arrays["cam2world@front"]), camera.fov_y)
    w = model.map(torch.from_numpy(arrays["z@s1"]), psi=0.7, cutoff=14, conditioning=front)
    frame = model.render(w, camera, Quality(normals=True))
    for output, image in (("rgb", frame.rgb), ("raw", frame.raw)):
        expected = (arrays[f"{output}@s1_psi0.7_yaw"].transpose(1, 2, 0) * 0.5 + 0.5).clip(0, 1)
        np.testing.assert_allclose(image.numpy(), expected, atol=3e-5)
    np.testing.assert_allclose(frame.depth.numpy(), arrays["depth@s1_psi0.7_yaw"][0], atol=1e-4)


def test_default_pose_is_the_training_view(model: Generator, arrays: dict[str, np.ndarray]) -> None:
    camera = model.capabilities.default_pose.camera()
    np.testing.assert_allclose(camera.cam2world, arrays["cam2world@front"], atol=3e-7)
    assert camera.focal == pytest.approx(4.2647)
    # The golden conditioning was made with the visualizer's focal length, 0.03 % shorter.
    assert camera.focal == pytest.approx(float(arrays["cond@front"][16]), rel=4e-4)


def test_field_is_the_authors_density(model: Generator, arrays: dict[str, np.ndarray]) -> None:
    front = Camera(arrays["cam2world@front"], Camera.fov_from_focal(4.263391017913818))
    w = model.map(torch.from_numpy(arrays["z@s0"]), conditioning=front)
    density = model.field(w).density(torch.from_numpy(arrays["points"]))
    np.testing.assert_allclose(density.numpy(), arrays["density@s0_psi1.0"], atol=1e-4)
