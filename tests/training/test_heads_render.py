"""The real OpenGL renderer on synthetic meshes, and the shards it fills."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import UserError
from engine.training.heads.__main__ import main
from engine.training.heads.accessories import GlassesStyle, glasses
from engine.training.heads.attributes import ATTRIBUTE_NAMES, attributes_from_latent
from engine.training.heads.build import skin_labels
from engine.training.heads.dataset import (
    RenderJob,
    data_latent,
    read_shard,
    render_dataset,
    render_shard,
    shard_path,
)
from engine.training.heads.lighting import LAMPS
from engine.training.heads.mesh import Head, Label, Material, Mesh, plain_occluder
from engine.training.heads.pack import Surface, flat_uv
from engine.training.heads.renderer import Renderer
from engine.training.heads.world import (
    CLIP_HEIGHT,
    FOV_Y,
    RADIUS,
    head_latent,
    orbit_camera,
    to_world,
    view_projection,
)

SIZE = 96
AHEAD = np.array([0, 0, 1], np.float32)


def _no_image(name: str) -> NDArray[np.uint8]:
    raise AssertionError(f"no texture was asked for, yet {name} was")


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    drawing = Renderer(SIZE, 2, _no_image)
    yield drawing
    drawing.close()


def sphere(center: tuple[float, float, float], radius: float) -> Surface:
    rings, sectors = 48, 96
    polar, turn = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, sectors + 1), indexing="ij"
    )
    normal = np.stack(
        [np.sin(polar) * np.sin(turn), np.cos(polar), np.sin(polar) * np.cos(turn)], -1
    ).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings), np.arange(sectors), indexing="ij")
    a = (i * (sectors + 1) + j).ravel()
    b = a + sectors + 1
    triangles = np.concatenate([np.stack([a, b, a + 1], 1), np.stack([a + 1, b, b + 1], 1)])
    position = np.asarray(center) + radius * normal
    return Surface(
        position.astype(np.float32),
        normal.astype(np.float32),
        flat_uv(len(position)),
        triangles.astype(np.int32),
    )


def plate(y: float, half: float) -> Surface:
    corners = np.array([[-half, y, -half], [-half, y, half], [half, y, half], [half, y, -half]])
    up = np.tile(np.array([[0, 1, 0]], np.float32), (4, 1))
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Surface(corners.astype(np.float32), up, flat_uv(4), triangles)


def plain(surface: Surface, label: Label = Label.CLOTH, shadow: bool = True) -> Mesh:
    return Mesh(
        surface,
        Material.FRAME,
        label,
        occluder=plain_occluder(surface) if shadow else None,
        lift=0.01,
        uniforms={"ink": (0.5, 0.2, 0.1), "knobs": (0.6, 0.0, 0.0, 0.0)},
    )


def head(*meshes: Mesh) -> Head:
    return Head(list(meshes), (AHEAD, AHEAD), (AHEAD, AHEAD))


def test_a_sphere_covers_the_pixels_that_geometry_says(renderer: Renderer) -> None:
    drawn = renderer.render(head(plain(sphere((0, 0, 0), 0.2))), [orbit_camera(25, 10)])
    assert drawn.rgba.shape == (1, SIZE, SIZE, 4) and drawn.rgba.dtype == np.uint8
    # A sphere at distance D is seen under the half angle asin(r / D).
    focal = 0.5 / math.tan(math.radians(FOV_Y) / 2)
    radius = focal * math.tan(math.asin(0.2 / RADIUS)) * SIZE
    coverage = drawn.rgba[0, ..., 3].astype(float).sum() / 255
    assert coverage == pytest.approx(math.pi * radius**2, rel=0.01)
    middle = drawn.depth[0, SIZE // 2 - 1 : SIZE // 2 + 1, SIZE // 2 - 1 : SIZE // 2 + 1]
    assert middle == pytest.approx(RADIUS - 0.2, abs=2e-3)
    assert drawn.labels[0, SIZE // 2, SIZE // 2] == Label.CLOTH
    assert set(np.unique(drawn.labels)) == {Label.NOTHING, Label.CLOTH}
    assert drawn.depth[0, 0, 0] == 0 and not drawn.rgba[0, 0, 0].any()
    assert np.array_equal(drawn.depth > 0, drawn.labels > 0)
    # Premultiplied: no colour exceeds its coverage.
    assert (drawn.rgba[..., :3].max(-1) <= drawn.rgba[..., 3]).all()


def test_depth_is_the_distance_along_the_pixel_centres_ray(renderer: Renderer) -> None:
    """Points lifted from every pixel of two views lie on the sphere."""
    center, cameras = (0.08, -0.12, 0.15), [orbit_camera(-40, 15), orbit_camera(60, -20)]
    drawn = renderer.render(head(plain(sphere(center, 0.15))), cameras)
    for view, camera in enumerate(cameras):
        rows, columns = np.nonzero(drawn.depth[view])
        assert len(rows) > 300
        x = ((columns + 0.5) / SIZE - 0.5) / camera.focal
        y = ((rows + 0.5) / SIZE - 0.5) / camera.focal
        rays = np.stack([x, y, np.ones_like(x)], 1)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        depth = drawn.depth[view][rows, columns].astype(float)[:, None]
        points = camera.position + depth * (rays @ camera.cam2world[:3, :3].T)
        distance = np.linalg.norm(points - center, axis=1)
        # Half floats step by 0.002 at this distance; grazing rays magnify the facets.
        assert np.median(np.abs(distance - 0.15)) < 1e-3
        assert np.abs(distance - 0.15).max() < 6e-3


def test_a_point_above_is_drawn_above_and_left_is_left(renderer: Renderer) -> None:
    drawn = renderer.render(head(plain(sphere((0.2, 0.2, 0), 0.05))), [orbit_camera(0, 0)])
    rows, columns = np.nonzero(drawn.labels[0])
    # The person's left (+X) is on the right-hand side of a frontal picture.
    assert rows.mean() < SIZE / 2 - 15 and columns.mean() > SIZE / 2 + 15


def test_geometry_is_clipped_to_the_box(renderer: Renderer) -> None:
    drawn = renderer.render(head(plain(plate(0.0, 2.0))), [orbit_camera(30, 30)])
    rows, columns = np.nonzero(drawn.depth[0])
    camera = orbit_camera(30, 30)
    x = ((columns + 0.5) / SIZE - 0.5) / camera.focal
    y = ((rows + 0.5) / SIZE - 0.5) / camera.focal
    rays = np.stack([x, y, np.ones_like(x)], 1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    depth = drawn.depth[0][rows, columns].astype(float)[:, None]
    points = camera.position + depth * (rays @ camera.cam2world[:3, :3].T)
    assert 0.45 < np.hypot(points[:, 0], points[:, 2]).max() < 0.501


def test_the_bust_is_closed_where_it_is_cut_off(renderer: Renderer) -> None:
    """From below, the cut through a hollow body is a flat cap of the colour asked for."""
    body = Mesh(
        sphere((0, -0.5, 0), 0.4),
        Material.CLOTH,
        Label.CLOTH,
        uniforms={"ink": (0.2, 0.2, 0.8), "cap": (0.0, 0.2, 0.0)},
    )
    camera = orbit_camera(0, -30)
    drawn = renderer.render(head(body), [camera])
    clip = view_projection(camera) @ np.array([0.0, -CLIP_HEIGHT, 0.25, 1.0])
    column, row = (np.array([1, -1]) * clip[:2] / clip[3] * 0.5 + 0.5) * SIZE
    at = (0, int(row), int(column))
    green = round(255 * 0.2 ** (1 / 2.2))
    assert drawn.rgba[at].tolist() == [0, green, 0, 255]
    x, y = ((np.array([at[2], at[1]]) + 0.5) / SIZE - 0.5) / camera.focal
    ray = camera.cam2world[:3, :3] @ (np.array([x, y, 1.0]) / np.linalg.norm([x, y, 1.0]))
    distance = (-CLIP_HEIGHT - camera.position[1]) / ray[1]
    assert drawn.depth[at] == pytest.approx(distance, abs=2e-3)


def test_clear_lenses_are_seen_but_not_measured(renderer: Renderer) -> None:
    ball = plain(sphere((0, 0, 0), 0.2))
    lens = Mesh(
        sphere((0, 0, 0.3), 0.1),
        Material.LENS,
        Label.NOTHING,
        uniforms={"ink": (0.6, 0.65, 0.7), "knobs": (0.5, 0.0, 0.0, 0.0)},
    )
    camera = orbit_camera(0, 0)
    bare, worn = (renderer.render(head(*m), [camera]) for m in ((ball,), (ball, lens)))
    assert np.array_equal(bare.depth, worn.depth) and np.array_equal(bare.labels, worn.labels)
    middle = (0, SIZE // 2, SIZE // 2)
    assert not np.array_equal(bare.rgba[middle], worn.rgba[middle])


def test_dark_lenses_are_measured_as_glasses(renderer: Renderer) -> None:
    eyes = np.array([0.3, 0.14, 0.89], np.float32), np.array([-0.3, 0.14, 0.89], np.float32)
    ear, skin = np.array([0.85, 0.1, 0.0], np.float32), np.zeros((3, 3), np.float32)
    skin[:, 0], skin[:, 1], skin[:, 2] = 0.3, 0.1, 1.0
    drawn = {
        kind: renderer.render(
            head(*glasses(GlassesStyle(kind, 0.5, (0.4, 0.1, 0.1)), eyes, ear, skin)),
            [orbit_camera(0, 0)],
        )
        for kind in ("rectangular", "sunglasses")
    }
    clip = view_projection(orbit_camera(0, 0)) @ np.append(to_world(eyes[0]), 1.0)
    column, row = (np.array([1, -1]) * clip[:2] / clip[3] * 0.5 + 0.5) * SIZE
    at = (0, int(row), int(column))
    clear, dark = drawn["rectangular"], drawn["sunglasses"]
    assert clear.labels[at] == Label.NOTHING and clear.rgba[at][3] < 60
    assert dark.labels[at] == Label.GLASSES and dark.depth[at] > 2.0
    assert dark.rgba[at][3] > 230 and dark.rgba[at][:3].max() < 100
    assert (dark.labels > 0).sum() > (clear.labels > 0).sum()


def test_what_stands_before_the_key_light_casts_a_shadow(renderer: Renderer) -> None:
    key = LAMPS[0].direction
    ball, blocker = sphere((0, 0, 0), 0.2), sphere(tuple(0.42 * key), 0.12)
    camera = orbit_camera(-20, -10)
    lit = renderer.render(head(plain(ball), plain(blocker, shadow=False)), [camera])
    dim = renderer.render(head(plain(ball), plain(blocker)), [camera])
    # The point of the ball that faces the key light, not hidden by the blocker in this view.
    clip = view_projection(camera) @ np.append(0.2 * key, 1.0)
    column, row = (np.array([1, -1]) * clip[:2] / clip[3] * 0.5 + 0.5) * SIZE
    at = (0, int(row), int(column))
    assert lit.depth[at] == pytest.approx(np.linalg.norm(camera.position - 0.2 * key), abs=0.01)
    bright, dark = (d.rgba[at][:3].astype(int).sum() for d in (lit, dim))
    assert dark < 0.8 * bright


def test_the_skin_filter_sees_the_first_meshs_light() -> None:
    seen: list[NDArray[np.float32]] = []

    def darken(light: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(light.copy())
        return light * 0.0

    drawing = Renderer(32, 1, _no_image, darken)
    ball = sphere((0, 0, 0), 0.2)
    drawn = drawing.render(head(plain(ball)), [orbit_camera(0, 0)])
    drawing.close()
    assert seen[0].shape == ball.position.shape
    # What faces the key light receives more than what looks away from it.
    key = np.array([0.48, 0.52, 0.7])
    facing = ball.normal @ key
    assert seen[0][facing > 0.8].mean() > 2 * seen[0][facing < -0.8].mean() > 0.0
    assert drawn.rgba[0, 16, 16, :3].max() < 60 and drawn.rgba[0, 16, 16, 3] == 255


def test_drawing_is_deterministic(renderer: Renderer) -> None:
    model = head(plain(sphere((0.1, 0, 0), 0.2)), plain(plate(-0.2, 0.3), Label.SKIN))
    cameras = [orbit_camera(10, 5), orbit_camera(200, -5)]
    first, second = renderer.render(model, cameras), renderer.render(model, cameras)
    assert np.array_equal(first.rgba, second.rgba) and np.array_equal(first.depth, second.depth)


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="16 to 1024"):
        Renderer(0, 2, _no_image)


def _ball_of(z: NDArray[np.float32]) -> Head:
    return head(plain(sphere((0, 0, 0), 0.15 + 0.05 * float(np.tanh(z[0])))))


def test_shards_hold_what_was_rendered(renderer: Renderer, tmp_path: Path) -> None:
    path = shard_path(tmp_path, range(5, 8))
    assert path.name == "heads-00000005-00000007.npz"
    assert render_shard(path, range(5, 8), _ball_of, renderer, seed=3, views=2) == 3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    shard = read_shard(path)
    assert shard["index"].tolist() == [5, 6, 7]
    assert np.array_equal(shard["z"][1], head_latent(3, 6))
    assert shard["a"].shape == (3, len(ATTRIBUTE_NAMES)) and shard["a"].dtype == np.float32
    assert shard["cam2world"].shape == (3, 2, 4, 4) and shard["cam2world"].dtype == np.float32
    assert shard["rgba"].shape == (3, 2, SIZE, SIZE, 4) and shard["rgba"].dtype == np.uint8
    assert shard["depth"].dtype == np.float16 and shard["seg"].dtype == np.uint8
    assert shard["fov_y"] == pytest.approx(FOV_Y)
    assert shard["captions"][0].startswith(("a ", "an "))
    distance = np.linalg.norm(shard["cam2world"][:, :, :3, 3], axis=-1)
    assert distance == pytest.approx(RADIUS, abs=1e-5)


def test_more_of_what_few_have_can_be_asked_for() -> None:
    """The same head always, the usual one where nothing is asked, and no other kind of it."""

    def shown(rare: float) -> float:
        people = [attributes_from_latent(data_latent(3, i, rare)) for i in range(150)]
        return float(np.mean([p.hat != "none" or p.glasses == "sunglasses" for p in people]))

    assert np.array_equal(data_latent(3, 6), head_latent(3, 6))
    assert np.array_equal(data_latent(3, 6, 1.0), data_latent(3, 6, 1.0))
    assert shown(0.0) < 0.25 < 0.7 < shown(1.0)
    assert 0.3 < shown(0.5) < 0.7
    spread = np.std([data_latent(3, i, 1.0) for i in range(150)])
    assert 0.9 < spread < 1.1
    with pytest.raises(UserError, match="--rare is a share"):
        RenderJob(Path("pack"), Path("out"), 4, rare=1.5).check()


def test_a_failing_head_is_left_out_and_told(
    renderer: Renderer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = head_latent(0, 1)

    def build(z: NDArray[np.float32]) -> Head:
        if np.array_equal(z, broken):
            raise ArithmeticError("no such face")
        return _ball_of(z)

    path, counts = tmp_path / "shard.npz", []
    with caplog.at_level(logging.WARNING):
        done = render_shard(
            path,
            range(3),
            build,
            renderer,
            seed=0,
            views=1,
            progress=lambda good, bad: counts.append((good, bad)),
        )
    assert done == 2 and counts == [(1, 0), (0, 1), (1, 0)]
    assert read_shard(path)["index"].tolist() == [0, 2]
    assert "head 1 of data set 0" in caplog.text and "no such face" in caplog.text


def test_damaged_and_foreign_shards_are_told(tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 not a whole archive")
    with pytest.raises(UserError, match=r"cut\.npz cannot be read"):
        read_shard(tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", z=np.zeros(3))
    with pytest.raises(UserError, match="lacks a, cam2world"):
        read_shard(tmp_path / "other.npz")


def test_an_unwritable_place_is_told_and_nothing_is_left(
    renderer: Renderer, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        render_shard(tmp_path / "missing" / "x.npz", range(1), _ball_of, renderer, seed=0, views=1)


def test_jobs_are_cut_into_shards_and_finished_ones_are_kept(tmp_path: Path) -> None:
    job = RenderJob(tmp_path, tmp_path / "out", heads=5, first=10, shard_heads=2)
    assert job.shards() == [range(10, 12), range(12, 14), range(14, 15)]
    job.out.mkdir()
    for heads in job.shards():
        shard_path(job.out, heads).touch()
    lines: list[str] = []
    assert render_dataset(job, lines.append) == 0
    assert "3 finished shards are kept." in lines
    with pytest.raises(UserError, match="--views"):
        RenderJob(tmp_path, tmp_path, heads=1, views=0).check()


def test_the_command_tells_a_missing_pack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker process reports it; the command prints one sentence and returns 2."""
    where = ["--pack", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    code = main(["render", *where, "--heads", "2", "--processes", "1"])
    assert code == 2
    assert "name the folder of a head pack" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_lips_are_told_from_skin(renderer: Renderer) -> None:
    """The builder's skin names four labels; the mask says where the second one is meant."""
    ball = sphere((0, 0, 0), 0.2)
    mask = np.zeros((len(ball.position), 4), np.float32)
    mask[:, 0] = ball.position[:, 1] < 0
    skin = replace(
        plain(ball, Label.SKIN),
        material=Material.SKIN,
        mask=mask,
        uniforms={"labels": skin_labels()},
    )
    labels = renderer.render(head(skin), [orbit_camera(0, 0)]).labels[0]
    column = labels[:, SIZE // 2]
    assert column[SIZE // 2 - SIZE // 16] == Label.SKIN
    assert column[SIZE // 2 + SIZE // 16] == Label.LIPS
