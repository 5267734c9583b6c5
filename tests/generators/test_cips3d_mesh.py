"""The CIPS-3D family: fields with a known surface, and where things appear in the picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.export.mesh import MeshOptions, extract_mesh
from engine.generators.base import Quality
from engine.generators.cips3d import CIPS3D, CIPS3DConfig, CIPS3DNetwork

FRONT = OrbitPose(radius=1.0, fov_y=12.0)


def sphere_model(
    radius: float,
    level: float,
    centre: tuple[float, float, float] = (0, 0, 0),
    steep: float = 4e4,
) -> tuple[CIPS3D, Tensor]:
    """One sine layer whose three units are cosines of the coordinates: near the middle their sum
    falls off with the square of the distance, so that its level sets are spheres."""
    config = CIPS3DConfig(
        z_nerf_dim=2, z_inr_dim=2, nerf_style_dim=2, inr_style_dim=2, nerf_layers=1, nerf_width=3,
        nerf_color_width=2, nerf_features=2, inr_blocks=4, inr_width=2, img_resolution=16,
    )  # fmt: skip
    network = CIPS3DNetwork(config)
    layer = network.siren.network[0]
    assert isinstance(layer, torch.nn.Module)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.eye(3) / (30.0 * 2.0 / config.box))
        layer.linear.bias.copy_(-torch.tensor(centre) / 30.0)
        for part in (layer.gain_fc, layer.bias_fc):
            part.weight.zero_()
        layer.gain_fc.bias.zero_()  # frequencies of a raw 0 are 30
        layer.bias_fc.bias.fill_(math.pi / 2)  # and a quarter turn makes cosines of sines
        network.siren.final_layer.weight.fill_(steep)
        network.siren.final_layer.bias.fill_(level - steep * (3.0 - radius**2 / 2.0))
    return CIPS3D(network, torch.device("cpu")), torch.zeros(config.num_ws, config.w_dim)


def test_a_sphere_comes_out_at_its_radius() -> None:
    radius = 0.07
    model, w = sphere_model(radius, level=25.0)
    assert model.capabilities.mesh_level == 25.0
    mesh = extract_mesh(model, w, MeshOptions(resolution=48))
    voxel = 0.24 / 47
    distance = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(distance - radius).max() < voxel / 2
    # Unsheared and in place: it reaches as far on either side of every axis.
    np.testing.assert_allclose(mesh.bounds, [[-radius] * 3, [radius] * 3], atol=voxel / 2)
    assert mesh.visual.vertex_colors.shape == (len(mesh.vertices), 4)


def test_left_is_left_and_up_is_up_and_depth_is_a_distance() -> None:
    model, w = sphere_model(0.03, 0.0, centre=(0.05, 0.04, 0.0), steep=4e6)
    model.adjust({"samples_per_pass": 48})
    frame = model.render(w, FRONT.camera(), Quality(neural_resolution=64, normals=True))
    rows, columns = (frame.alpha > 0.5).nonzero(as_tuple=True)
    # The picture is 2 tan(6 degrees) = 0.2102 wide at the sphere's distance of 1.
    width = 2 * math.tan(math.radians(6.0)) * 16 / 15
    assert (columns.float().mean() + 0.5) / 64 - 0.5 == pytest.approx(0.05 / width, abs=0.01)
    assert 0.5 - (rows.float().mean() + 0.5) / 64 == pytest.approx(0.04 / width, abs=0.01)
    middle = frame.depth[rows.float().mean().round().int(), columns.float().mean().round().int()]
    assert float(middle) == pytest.approx(math.hypot(1, 0.05, 0.04) - 0.03, abs=0.006)
    assert float(frame.depth[-1, 0]) == pytest.approx(1.12, abs=1e-5)  # nothing there: the far end
    assert frame.normal is not None
    # From farther away the same sphere, only smaller: the rays' limits have moved along.
    away = model.render(w, OrbitPose(radius=2.0, fov_y=12.0).camera(), Quality(64))
    assert float(away.alpha.sum()) == pytest.approx(float(frame.alpha.sum()) / 4, rel=0.15)
