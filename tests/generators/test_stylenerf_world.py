"""StyleNeRF in space: a head of known shape, cameras anywhere, previews, roll."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.export.mesh import extract_mesh
from engine.export.options import MeshOptions
from engine.generators.base import Quality
from engine.generators.stylenerf import StyleNeRF, StyleNeRFConfig, StyleNeRFNetwork
from tests.generators.literal_stylenerf import Literal
from tests.generators.test_stylenerf import TURNED, camera_of, case
from tests.generators.tiny_stylenerf import CONFIG, tiny_model, z_of

CPU = torch.device("cpu")
RADIUS, CENTRE = 0.05, (0.02, -0.015, 0.01)
ROUND = StyleNeRFConfig(
    z_dim=2,
    w_dim=2,
    mapping_layers=1,
    img_resolution=64,
    resolution_vol=32,
    block_channels=(4,),
    adapter_channels=(1,),
    rgb_out_dim=4,
    fg_hidden=6,
    fg_blocks=1,
    fg_posenc=1,
    bg_hidden=2,
    bg_blocks=1,
    bg_posenc=1,
    z_dim_bg=0,
)


def sphere_model(centre: tuple[float, float, float] = CENTRE) -> tuple[StyleNeRF, Tensor]:
    """A head that is a sphere around ``centre`` (our axes).

    The encoding has sin(pi x) and cos(pi x); ``cos(pi (x - a))`` is a sum of the two, and the sum
    of three such falls off from 3 with the square of the distance: its level sets are spheres.
    """
    network, steep = StyleNeRFNetwork(ROUND), 2e7
    # Ours is +Y up and the face along +Z; theirs is +z up and the face along +x.
    x, y, z = centre
    theirs = (z, x, y)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.zero_()
        head = network.synthesis.fg_nerf
        for layer in (head.fc_in, *head.blocks, head.sigma_out, head.feat_out):
            layer.affine.bias.fill_(1.0)
        # Demodulation divides by the weights' length, sqrt(3); then sqrt(2) comes on top.
        for i, a in enumerate(theirs):
            head.fc_in.weight[0, i] = math.sin(math.pi * a)
            head.fc_in.weight[0, 3 + i] = math.cos(math.pi * a)
        head.blocks[0].weight[0, 0] = 1.0
        gain = 2.0 / math.sqrt(3.0)
        # The density's layer divides by sqrt(6).
        head.sigma_out.weight[0, 0] = steep / gain * math.sqrt(6.0)
        edge = sum(math.cos(math.pi * d) for d in (RADIUS, 0.0, 0.0))
        head.sigma_out.bias.fill_(ROUND.mesh_level - steep * edge)
        head.to_rgb.bias.copy_(torch.tensor([1.0, 0.0, -1.0]))
        network.synthesis.bg_nerf.to_rgb.bias.fill_(-1.0)
        network.synthesis.alpha.fill_(1.0)
    model = StyleNeRF(network, CPU)
    return model, model.map(torch.zeros(2))


def test_the_sphere_comes_out_as_a_mesh() -> None:
    model, w = sphere_model()
    mesh = extract_mesh(model, w, MeshOptions(resolution=48))
    voxel = 0.24 / 47
    distance = np.linalg.norm(mesh.vertices - np.array(CENTRE), axis=1)
    assert np.abs(distance - RADIUS).max() < voxel / 2
    wanted = [[c - RADIUS for c in CENTRE], [c + RADIUS for c in CENTRE]]
    np.testing.assert_allclose(mesh.bounds, wanted, atol=voxel / 2)


def test_the_field_has_colours_and_bounds() -> None:
    model, w = sphere_model()
    field = model.field(w)
    colours = field.color(torch.tensor([CENTRE, (0.0, 0.1, 0.0)]))
    np.testing.assert_allclose(colours, [[1.0, 0.5, 0.0]] * 2, atol=1e-6)
    np.testing.assert_allclose(torch.stack(field.bounds), [[-0.12] * 3, [0.12] * 3], atol=1e-6)


def hits(pose: OrbitPose, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the rays of a view meet the sphere, by the quadratic formula: distances, and how
    near to its centre they pass."""
    camera = pose.camera()
    line = (np.arange(side) + 0.5) / side * 2 - 1
    v, u = np.meshgrid(line, line, indexing="ij")
    half = math.tan(math.radians(camera.fov_y) / 2)
    local = np.stack([u * half, v * half, np.ones_like(u)], axis=-1)
    unit = local / np.linalg.norm(local, axis=-1, keepdims=True) @ camera.cam2world[:3, :3].T
    offset = np.array(CENTRE) - camera.position
    along = unit @ offset
    near = np.sqrt(np.maximum(offset @ offset - along**2, 0.0))
    return along - np.sqrt(np.maximum(RADIUS**2 - near**2, 0.0)), near


@pytest.mark.parametrize(
    "pose",
    [
        OrbitPose(radius=1.0, fov_y=12.0),
        OrbitPose(yaw=35, pitch=20, radius=1.0, fov_y=12.0),
        OrbitPose(yaw=-150, pitch=-60, roll=30, radius=1.7, fov_y=8.0),
        OrbitPose(yaw=10, radius=0.6, fov_y=22.0),
        OrbitPose(
            yaw=-20, pitch=5, radius=1.0, fov_y=12.0, center=(0.02, 0, 0), look_at=(0.02, 0, 0)
        ),
    ],
)
def test_the_sphere_is_seen_where_it_is(pose: OrbitPose) -> None:
    """Distances, opacity and normals from any camera, also nearer and farther than trained."""
    model, w = sphere_model()
    frame = model.render(w, pose.camera(), Quality(neural_resolution=40, samples=8.0, normals=True))
    depth, near = hits(pose, 40)
    inside, outside = near < 0.8 * RADIUS, near > 1.15 * RADIUS
    assert inside.sum() > 50 and outside.sum() > 100
    np.testing.assert_allclose(frame.depth.numpy()[inside], depth[inside], atol=2e-3)
    assert frame.alpha.numpy()[inside].min() > 0.99 and frame.alpha.numpy()[outside].max() < 0.01
    far = float(np.abs((pose.camera().position) @ pose.camera().forward)) + 0.119
    assert frame.depth.numpy()[outside].min() > far
    assert frame.normal is not None
    i, j = np.unravel_index(np.argmin(near), near.shape)
    assert float(frame.normal[i, j] @ torch.tensor(pose.camera().forward).float()) < -0.95


@pytest.mark.parametrize("aligned", [False, True])
def test_previews_show_the_same_view(aligned: bool) -> None:
    """The sphere's outline stays where it is at every neural resolution."""
    model, w = sphere_model()
    model.config = replace(ROUND, ray_align_corner=aligned)
    camera = OrbitPose(yaw=15, radius=1.0, fov_y=12.0).camera()
    middles = []
    for side in (32, 16, 20, 64):
        frame = model.render(w, camera, Quality(neural_resolution=side))
        assert frame.size == (64, 64) and frame.raw.shape == (side, side, 3)
        line = (torch.arange(side) + 0.5) / side
        share = frame.alpha / frame.alpha.sum()
        middles.append([float((share.sum(0) * line).sum()), float((share.sum(1) * line).sum())])
    # Half a pixel of the smallest would be 0.03.
    np.testing.assert_allclose(middles, [middles[0]] * 4, atol=8e-3)
    # The middle of the view is pixel (64 - 1) / 2 of the picture, and pixel k of 32 is its 2 k.
    offset, shrink = (0.5 / 32 - 0.5 / 64, 63 / 64) if aligned else (0.0, 1.0)
    for axis in (0, 1):
        exact = 0.5 + offset + shrink * _shift(camera.cam2world, axis)
        assert middles[3][axis] == pytest.approx(exact, abs=2e-3)


def _shift(cam2world: np.ndarray, axis: int) -> float:
    """How far right of (or below) the middle the sphere's centre is seen, in picture sides."""
    offset = np.array(CENTRE) - cam2world[:3, 3]
    half = math.tan(math.radians(6.0))
    return float(offset @ cam2world[:3, axis] / (offset @ cam2world[:3, 2]) / half / 2)


def test_rolling_turns_the_plane_of_the_picture() -> None:
    model, z = tiny_model(), z_of()
    literal = Literal(CONFIG, model.network.state_dict())
    w = literal.styles(z)
    features, rgb = literal.volume(
        w, z[CONFIG.z_dim :], camera_of(TURNED), roll=math.radians(-25.0)
    )
    rolled = replace(TURNED, roll=25.0)
    result = model.golden_case(case(z, CONFIG, rolled))
    np.testing.assert_allclose(result["raw"], rgb, atol=1e-4)
    frame = model.render(model.map(z), rolled.camera())
    picture = literal.picture(features, rgb, w).permute(1, 2, 0) * 0.5 + 0.5
    np.testing.assert_allclose(frame.rgb, picture.clamp(0, 1), atol=2e-4)


def test_any_camera_draws_something_finite() -> None:
    model = tiny_model()
    w = model.map(z_of())
    for pose in (
        OrbitPose(yaw=180, pitch=89, radius=5.0, fov_y=120),
        OrbitPose(radius=0.05, fov_y=60),
        OrbitPose(yaw=90, radius=1.0, fov_y=12, look_at=(0.0, 3.0, 2.0)),
        OrbitPose(radius=1.0, fov_y=1.0),
    ):
        for settings in ({}, {"freeze_bg": True}):
            model.adjust(settings)
            frame = model.render(w, pose.camera(), Quality(normals=True))
            for image in (frame.rgb, frame.raw, frame.depth, frame.alpha, frame.normal):
                assert image is not None and bool(torch.isfinite(image).all())


def test_more_samples_stay_on_the_same_slab() -> None:
    model, w = sphere_model()
    camera = OrbitPose(radius=1.0, fov_y=12.0).camera()
    few, many = (model.render(w, camera, Quality(samples=s)) for s in (1.0, 6.0))
    solid = (few.alpha > 0.99) & (many.alpha > 0.99)
    assert solid.sum() > 60
    assert float((few.depth - many.depth)[solid].abs().max()) < 0.24 / 13


def test_facts_of_the_model() -> None:
    facts = sphere_model()[0].capabilities
    assert (facts.resolution, facts.neural_resolution, facts.samples_per_ray) == (64, 32, 32)
    assert facts.default_pose.radius == 1.0 and facts.default_pose.fov_y == 12.0
    assert facts.yaw_range == pytest.approx((-34.4, 34.4), abs=0.1)
    assert facts.pitch_range == pytest.approx((-17.8, 17.8), abs=0.1)
    # ln 2 over a quarter of 0.24.
    assert facts.mesh_level == pytest.approx(11.552, abs=1e-3)
