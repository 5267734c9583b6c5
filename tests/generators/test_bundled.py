"""The generators that ship: real heads, different people, true parallax, a usable mesh.

These are not golden pictures (better weights may replace these at any time) but properties
that any generator worth shipping has and that a broken or flat one lacks.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.assets import Shipped, model_place, shipped_generators
from engine.camera import Camera, OrbitPose
from engine.checkpoints import read_checkpoint
from engine.export.mesh import extract_mesh
from engine.export.options import MeshOptions
from engine.frame import Frame
from engine.generators.base import Generator, Quality, latent_from_seed
from engine.generators.blending import blend_sources, swappable_layers
from engine.generators.registry import build_generator, find_source, open_model

SEEDS = (1, 2, 3, 4)
#: Drawn at half the neural resolution: a quarter of the work, the same geometry.
SMALL = Quality(neural_resolution=64, upsample=False)


@pytest.fixture(scope="module", params=shipped_generators(), ids=lambda one: one.key)
def shipped(request) -> Shipped:
    return request.param


@pytest.fixture(scope="module")
def generator(shipped) -> Generator:
    return open_model(shipped.key, "cpu")


@pytest.fixture(scope="module")
def people(generator) -> list[Tensor]:
    z_dim = generator.capabilities.z_dim
    return [generator.map(latent_from_seed(seed, z_dim), psi=0.8) for seed in SEEDS]


def view(generator: Generator, w: Tensor, **angles: float) -> tuple[Frame, Camera]:
    camera = replace(generator.capabilities.default_pose, **angles).camera()
    with torch.inference_mode():
        return generator.render(w, camera, SMALL), camera


def test_it_is_small_and_says_what_it_is(generator, shipped):
    weights = model_place(shipped.key).with_suffix(".safetensors")
    assert weights.stat().st_size <= 25_000_000
    capabilities = generator.capabilities
    assert capabilities.family == ("eg3d" if shipped.key == "bundled" else "cips3d")
    assert 128 <= capabilities.resolution <= 256


def test_a_head_stands_in_the_middle_on_an_empty_background(generator, people):
    for w in people:
        alpha = view(generator, w)[0].alpha
        assert alpha[24:40, 26:38].min() > 0.95
        assert alpha[:8, :8].max() < 0.05 and alpha[:8, -8:].max() < 0.05
        assert 0.2 < (alpha > 0.5).float().mean() < 0.8


def test_different_seeds_are_different_people(generator, people):
    pictures = [view(generator, w)[0].rgb for w in people]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            assert (one - other).abs().mean() > 0.02


def test_truncation_leads_to_the_average_person(generator, people):
    average = generator.mean_w()
    z = latent_from_seed(SEEDS[0], generator.capabilities.z_dim)
    distances = [(generator.map(z, psi=psi) - average).norm() for psi in (0.0, 0.5, 1.0)]
    assert distances[0] < 1e-3 < distances[1] < distances[2]


def warp(source: Frame, source_camera: Camera, target: Frame, camera: Camera) -> Tensor:
    """Colours ``[h, w, 3]`` of ``source`` at the surface points that ``target`` sees, NaN where
    ``source`` sees another surface there."""
    side = target.depth.shape[0]
    steps = (torch.arange(side) + 0.5) / side - 0.5
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    local = torch.stack([u / camera.focal, v / camera.focal, torch.ones_like(u)], dim=-1)
    local = local / local.norm(dim=-1, keepdim=True) * target.depth[..., None]
    to_world = torch.tensor(np.asarray(camera.cam2world), dtype=torch.float32)
    world = local @ to_world[:3, :3].T + to_world[:3, 3]
    back = torch.tensor(source_camera.world_to_camera(), dtype=torch.float32)
    seen = world @ back[:3, :3].T + back[:3, 3]
    grid = 2 * source_camera.focal * seen[..., :2] / seen[..., 2:]
    planes = torch.cat([source.rgb, source.depth[..., None]], dim=-1).permute(2, 0, 1)[None]
    found = torch.nn.functional.grid_sample(planes, grid[None], align_corners=False)[0]
    same = (found[3] - seen.norm(dim=-1)).abs() < 0.02
    visible = (target.alpha > 0.95) & same
    return torch.where(visible[..., None], found[:3].permute(1, 2, 0), torch.nan)


@pytest.mark.parametrize("person", range(len(SEEDS)))
def test_turning_a_head_moves_its_surface_as_a_solid_thing(generator, people, person):
    """Colours carried from one view to another by the depth agree far better than colours
    left in place: parallax, not a turning photograph."""
    left, left_camera = view(generator, people[person], yaw=-15.0)
    right, right_camera = view(generator, people[person], yaw=15.0)
    carried = warp(left, left_camera, right, right_camera)
    known = ~carried.isnan().any(-1)
    assert known.float().mean() > 0.15
    by_depth = (carried - right.rgb)[known].abs().mean()
    in_place = (left.rgb - right.rgb)[known].abs().mean()
    assert by_depth < 0.5 * in_place
    assert by_depth < 0.04


def test_the_face_is_a_relief_with_the_nose_in_front(generator, people):
    for w in people:
        frame, _ = view(generator, w)
        face = frame.depth[20:48, 18:46]
        nearest = (face == face.min()).nonzero()[0]
        assert 6 <= nearest[1] <= 21
        assert face.max() - face.min() > 0.05


def test_the_mesh_is_a_head_that_looks_along_z(generator, people):
    mesh = extract_mesh(generator, people[0], MeshOptions(resolution=64))
    low, high = mesh.bounds
    size = high - low
    assert mesh.is_watertight and mesh.volume > 0
    assert (size > 0.35).all() and (size <= 1.02).all()
    front = mesh.vertices[np.abs(mesh.vertices[:, 1]) < 0.15]
    nose = front[front[:, 2].argmax()]
    assert abs(nose[0]) < 0.08
    colors = np.asarray(mesh.visual.vertex_colors)[:, :3].astype(float)
    assert colors.std(axis=0).min() > 10


def test_the_back_of_the_head_is_there_too(generator, people):
    for w in people:
        frame, _ = view(generator, w, yaw=180.0)
        assert frame.alpha[24:40, 26:38].min() > 0.95


def test_the_default_pose_is_the_one_it_was_trained_with(generator):
    """All see the same: CIPS-3D's angle of view ends at the middles of the outermost pixels."""
    capabilities = generator.capabilities
    side = 128 / 127 if capabilities.family == "cips3d" else 1.0
    pose = capabilities.default_pose
    whole = 2 * math.degrees(math.atan(math.tan(math.radians(pose.fov_y) / 2) * side))
    assert whole == pytest.approx(18.837, abs=1e-3)
    assert replace(pose, fov_y=1.0) == OrbitPose(radius=2.7, fov_y=1.0)


def test_a_seed_is_the_same_person_in_all_of_them(generator, people):
    """Pictures of one seed are nearer to each other than to those of other seeds."""
    first = open_model("bundled", "cpu")
    theirs = [
        view(first, first.map(latent_from_seed(seed, first.capabilities.z_dim), psi=0.8))[0].rgb
        for seed in SEEDS
    ]
    for place, w in enumerate(people):
        ours = view(generator, w)[0].rgb
        apart = [float((ours - other).abs().mean()) for other in theirs]
        assert min(apart) == apart[place]


def test_bronze_lends_its_colours_and_nothing_else() -> None:
    """With all layers of the painting network the CIPS-3D draws what the bronze one draws."""
    plain, bronze = (
        find_source(read_checkpoint(model_place(key)))
        for key in ("bundled:cips3d", "bundled:bronze")
    )
    layers = tuple(swappable_layers(plain))
    drawn = []
    for source in (plain, bronze, blend_sources(plain, bronze, layers, 1.0)):
        generator = build_generator(source, "cpu")
        w = generator.map(latent_from_seed(4, generator.capabilities.z_dim), psi=0.8)
        camera = generator.capabilities.default_pose.camera()
        with torch.inference_mode():
            drawn.append(generator.render(w, camera, Quality(neural_resolution=64)))
    ours, theirs, both = drawn
    torch.testing.assert_close(both.rgb, theirs.rgb)
    torch.testing.assert_close(ours.depth, theirs.depth)
    assert (ours.rgb - theirs.rgb).abs().mean() > 0.02
    red, _, blue = (theirs.rgb[theirs.alpha > 0.95][:, channel].mean() for channel in range(3))
    assert red > 1.5 * blue
