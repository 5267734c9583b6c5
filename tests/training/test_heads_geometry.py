"""Cameras, subdivision, morphs and fits, by hand-computed values on tiny meshes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import UserError
from engine.training.heads.accessories import tube
from engine.training.heads.hair import Sweep
from engine.training.heads.headwear import Skull, Tuck, make_hat, rim_height
from engine.training.heads.lighting import SkinDiffusion, studio
from engine.training.heads.mesh import Label
from engine.training.heads.pack import HeadPack
from engine.training.heads.subdivision import NormalOperator, subdivide, triangulate
from engine.training.heads.world import (
    UNIT_DM,
    head_latent,
    orbit_camera,
    to_world,
    view_angles,
    view_projection,
)

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
CUBE_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)


def test_catmull_clark_of_a_cube() -> None:
    refine, quads = subdivide(CUBE_QUADS, 8)
    points = refine @ CUBE
    assert points.shape == (8 + 12 + 6, 3) and quads.shape == (24, 4)
    # Face point 1/3, edge point 3/4 and (F + 2 E) / 3 = (1/3 + 4/3) / 3 = 5/9.
    assert np.abs(points[:8]) == pytest.approx(5 / 9, abs=1e-6)
    assert np.sort(np.abs(points[8:20]), 1) == pytest.approx(np.tile([0, 0.75, 0.75], (12, 1)))
    assert np.sort(np.abs(points[20:]), 1) == pytest.approx(np.tile([0, 0, 1], (6, 1)))
    assert np.asarray(refine.sum(1)).ravel() == pytest.approx(1.0, abs=1e-6)


def test_borders_follow_the_cubic_rule() -> None:
    """A single square: corners move to 3/4 of themselves plus 1/8 of each neighbour."""
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    refine, _ = subdivide(np.array([[0, 1, 2, 3]]), 4)
    points = refine @ square
    assert points[0] == pytest.approx([0.125, 0.125])
    assert sorted(points[4:8].tolist()) == [[0, 0.5], [0.5, 0], [0.5, 1], [1, 0.5]]
    flat, _ = subdivide(np.array([[0, 1, 2, 3]]), 4, smooth=False)
    assert (flat @ square)[0] == pytest.approx([0.0, 0.0])


def test_repeated_corners_are_triangles() -> None:
    triangles = triangulate(np.array([[0, 1, 2, 3], [4, 5, 6, 6]]))
    assert sorted(map(tuple, triangles.tolist())) == [(0, 1, 2), (0, 2, 3), (4, 5, 6)]


def test_normals_point_outwards() -> None:
    normals = NormalOperator(CUBE_QUADS, 8)(CUBE)
    # One or two triangles of each face meet at a corner: at worst (1, 1, 2) / sqrt(6).
    assert normals == pytest.approx(CUBE / np.sqrt(3), abs=0.2392)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0)
    assert (np.einsum("ij,ij->i", normals, CUBE) > 1.6).all()


def test_a_tube_is_round_and_its_normals_point_outwards() -> None:
    path = np.stack([np.zeros(5), np.linspace(0, 1, 5), np.zeros(5)], 1)
    pipe = tube(path, 0.1, 12, closed=False)
    assert np.hypot(pipe.position[:, 0], pipe.position[:, 2]) == pytest.approx(0.1, abs=1e-6)
    corner = pipe.position[pipe.triangles]
    facing = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    outward = np.einsum("ij,ij->i", facing, pipe.normal[pipe.triangles[:, 0]])
    assert (outward > 0).all() or (outward < 0).all()


def test_projection_puts_pixels_where_the_camera_says() -> None:
    camera = orbit_camera(33.0, -12.0)
    size, row, column, distance = 128, 20, 97, 2.4
    ray = np.array(
        [
            ((column + 0.5) / size - 0.5) / camera.focal,
            ((row + 0.5) / size - 0.5) / camera.focal,
            1.0,
        ]
    )
    point = camera.cam2world @ np.append(ray * distance, 1.0)
    clip = view_projection(camera).astype(float) @ point
    ndc = clip[:3] / clip[3]
    assert (ndc[0] * 0.5 + 0.5) * size == pytest.approx(column + 0.5, abs=1e-3)
    assert (0.5 - ndc[1] * 0.5) * size == pytest.approx(row + 0.5, abs=1e-3)
    assert -1 < ndc[2] < 1


def test_the_world_unit() -> None:
    points = to_world(np.array([[0.0, 0.09, -0.10], [3.5, 0.09, -0.10], [0.0, 0.09, 0.25]]))
    assert points == pytest.approx(np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0.1]]), abs=1e-6)


def test_latents_and_views_depend_on_seed_and_number_alone() -> None:
    assert np.array_equal(head_latent(4, 17), head_latent(4, 17))
    assert not np.array_equal(head_latent(4, 17), head_latent(4, 18))
    assert not np.array_equal(head_latent(4, 17), head_latent(5, 17))
    assert view_angles(4, 17, 8)[:3] == view_angles(4, 17, 3)
    angles = np.array([a for k in range(500) for a in view_angles(0, k, 8)])
    assert np.abs(angles[:, 0]).max() <= 180 and np.abs(angles[:, 1]).max() <= 30
    # 15 % uniform: 105/180 of it lies beyond 75 degrees, and nothing else does.
    beyond = (np.abs(angles[:, 0]) > 75.0001).mean()
    assert beyond == pytest.approx(0.15 * 105 / 180, abs=0.02)
    assert angles[:, 1].mean() == pytest.approx(2.0, abs=0.6)


def test_the_sweep_frees_the_face_and_leaves_the_back() -> None:
    sweep = Sweep(top=1.0, bottom=0.0, turn=0.6)
    points = np.array(
        [[0.0, 1.2, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [0.9, 0.0, 0.3]], np.float32
    )
    bent = sweep(points)
    assert bent[[0, 2, 3]] == pytest.approx(points[[0, 2, 3]], abs=1e-5)
    angle = np.arctan2(bent[1, 0], bent[1, 2] + 0.05)
    assert angle == pytest.approx(-0.6, abs=1e-3)
    assert np.array_equal(bent[:, 1], points[:, 1])


@pytest.fixture(scope="module")
def ball() -> np.ndarray:
    """4000 points on a sphere of radius 0.9 around the skull's middle."""
    i = np.arange(4000) + 0.5
    polar, turn = np.arccos(1 - 2 * i / 4000), np.pi * (1 + 5**0.5) * i
    unit = [np.sin(polar) * np.sin(turn), np.cos(polar), np.sin(polar) * np.cos(turn)]
    return (Skull.center + 0.9 * np.stack(unit, 1)).astype(np.float32)


def test_hair_is_pressed_under_a_hat_and_free_below_it(ball: np.ndarray) -> None:
    tuck = Tuck("beanie", Skull(ball))
    out = Skull.center + 1.5 * (ball - Skull.center)
    pressed = tuck(out)
    radius = np.linalg.norm(pressed - Skull.center, axis=1)
    turn = np.arctan2(out[:, 0], out[:, 2] - Skull.center[2])
    above = out[:, 1] - rim_height("beanie", turn)
    assert np.abs(radius[above > 0.0] - 0.915).max() < 0.01
    assert pressed[above < -0.41] == pytest.approx(out[above < -0.41], abs=1e-5)
    # Nothing is ever pulled out of the head.
    inside = Skull.center + 0.5 * (ball - Skull.center)
    assert tuck(inside) == pytest.approx(inside, abs=1e-5)
    assert (above[tuck.hides(out)] > 0).all() and tuck.hides(out).any()


@pytest.mark.parametrize("kind", ["beanie", "cap"])
def test_hats_stand_off_the_skull_and_face_outwards(kind: str, ball: np.ndarray) -> None:
    # Neither of the two own hats needs the pack.
    meshes, _ = make_hat(kind, (0.5, 0.1, 0.1), ball, None, ball)  # type: ignore[arg-type]
    (hat,) = meshes
    assert hat.label == Label.HAT and hat.occluder is not None
    middle = to_world(Skull.center)
    offset = (hat.surface.position - middle) * UNIT_DM
    assert np.linalg.norm(offset, axis=1).min() > 0.9 + 0.03
    assert np.isfinite(hat.surface.normal).all()
    dome = np.linalg.norm(offset, axis=1) < 1.02
    outward = np.einsum("ij,ij->i", offset, hat.surface.normal)
    assert (outward[dome] > 0).mean() > 0.9
    # It stays in the box that the model sees.
    assert np.abs(hat.surface.position).max() < 0.5


def test_the_studio_is_fixed_and_covers_the_sphere() -> None:
    light = studio()
    assert light.directions.shape == (36, 3)
    assert np.linalg.norm(light.directions, axis=1) == pytest.approx(1.0, abs=1e-6)
    assert light.share.sum(0) == pytest.approx([1.0, 1.0, 1.0])
    assert np.array_equal(light.radiance, studio().radiance)
    # A point towards the light has the smaller depth coordinate.
    d, rows = light.directions[5], light.rows[5]
    near, far = (rows @ np.append(0.3 * s * d, 1.0) for s in (1, -1))
    assert near[2] < far[2] and near[:2] == pytest.approx(far[:2], abs=1e-6)


@pytest.fixture
def tiny_pack(tmp_path: Path) -> Path:
    """A cube for a body, two targets, and a proxy hung on three of its vertices."""
    np.savez(
        tmp_path / "mh_heads.npz",
        base=CUBE,
        body_quad=CUBE_QUADS,
        body_quad_uv=CUBE_QUADS,
        body_uv=(CUBE[:, :2] + 1) / 2,
        joint_head=np.array([0, 7]),
        t_names=np.array(["up", "wide"]),
        t_ptr=np.array([0, 2, 3]),
        t_rows=np.array([1, 7, 6], np.uint16),
        t_data=np.array([[0, 500, 0], [0, 250, 0], [2000, 0, 0]], np.int16),
        **{
            "thing/idx": np.array([[0, 4, 2]] * 3),
            "thing/w": np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]], float),
            "thing/off": np.array([[0, 0, 0], [0, 0.5, 0], [1, 0, 0]], float),
            "thing/scale": np.array([[0, 4, 1.0], [-1, -1, 1.0], [-1, -1, 1.0]]),
            "thing/uv": np.zeros((3, 2)),
            "thing/quad": np.array([[0, 1, 2, 2]]),
            "thing/pos": np.arange(3),
            "thing/hide": np.packbits([1, 0, 0, 0, 0, 0, 0, 1]),
        },
    )
    return tmp_path


def test_targets_move_the_vertices_they_name(tiny_pack: Path) -> None:
    pack = HeadPack(tiny_pack)
    moved = pack.morph({"up": 0.5, "wide": 1.0}) - CUBE
    expected = np.zeros((8, 3))
    expected[1, 1], expected[7, 1], expected[6, 0] = 0.25, 0.125, 2.0
    assert moved == pytest.approx(expected)
    assert pack.target_offsets("wide")[6] == pytest.approx([2, 0, 0])
    assert pack.joint(pack.base, "head") == pytest.approx([0, 0, 0])
    assert pack.covered("thing").tolist() == [True] + [False] * 6 + [True]
    with pytest.raises(KeyError):
        pack.morph({"sideways": 1.0})


def test_proxies_hang_on_the_base_and_scale_with_it(tiny_pack: Path) -> None:
    proxy = HeadPack(tiny_pack).proxy("thing")
    # |x0 - x4| is 2 and the reference length 1, hence offsets along x count double.
    assert proxy.fit(CUBE) == pytest.approx(np.array([[-1, -1, -1], [0, -0.5, -1], [1, 1, -1]]))
    surface = proxy.surface(proxy.fit(CUBE))
    assert surface.triangles.tolist() == [[0, 1, 2]]
    assert np.abs(surface.normal) == pytest.approx(np.tile([0, 0, 1], (3, 1)), abs=1e-6)


def test_skin_diffusion_keeps_even_light_and_spreads_red_furthest(tiny_pack: Path) -> None:
    body = HeadPack(tiny_pack).body
    diffuse = SkinDiffusion(body)
    even = diffuse(np.ones((len(body.vertex), 3), np.float32))
    assert even == pytest.approx(1.04, abs=1e-5)
    spot = np.zeros((len(body.vertex), 3), np.float32)
    spot[body.vertex == 0] = 1.0
    kept = diffuse(spot)[body.vertex == 0][0]
    assert kept[0] < kept[1] < kept[2] < 1.0


def test_a_folder_without_a_pack_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"mh_heads\.npz cannot be read"):
        HeadPack(tmp_path)


def test_a_missing_texture_is_told(tiny_pack: Path) -> None:
    with pytest.raises(UserError, match=r"none\.png cannot be read"):
        HeadPack(tiny_pack).image("none.png")
