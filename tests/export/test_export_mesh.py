"""Meshes: where the surface lies, which way it faces, how it is coloured and reduced."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
import trimesh
from analytic import AXES, CENTER, LEVEL, NOSE_RADIUS, AnalyticField, AnalyticGenerator
from torch import Tensor

from engine.errors import Cancelled, ExportError, UserError
from engine.export.isosurface import Grid
from engine.export.mesh import MeshOptions, extract_mesh
from engine.generators.base import CancelToken

W = torch.zeros(4, 8)
#: The box's longest side is 1.2 along z, see ``analytic.BOUNDS``.
LONGEST = 1.2


def mesh_of(field: AnalyticField, resolution: int = 64, **options: object) -> trimesh.Trimesh:
    chosen = MeshOptions(resolution=resolution, **options)  # type: ignore[arg-type]
    return extract_mesh(AnalyticGenerator(field), W, chosen)


def volume_of_ellipsoid(axes: tuple[float, float, float] = AXES) -> float:
    return 4.0 / 3.0 * math.pi * axes[0] * axes[1] * axes[2]


@pytest.mark.parametrize("meaning", ["density", "sdf"])
def test_sphere_has_its_radius_everywhere(meaning: str) -> None:
    field = AnalyticField(meaning, nose=False, axes=(0.33, 0.33, 0.33))  # type: ignore[arg-type]
    mesh = mesh_of(field)
    voxel = LONGEST / 63
    radius = np.linalg.norm(mesh.vertices - CENTER, axis=1)
    # The field is linear along rays, so a cut lies within a small part of a voxel.
    assert np.abs(radius - 0.33).max() < 0.1 * voxel
    assert np.abs((mesh.bounds.sum(axis=0) / 2) - CENTER).max() < 0.1 * voxel
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(volume_of_ellipsoid((0.33,) * 3), rel=0.01)
    outward = (mesh.vertices - CENTER) / radius[:, None]
    assert (mesh.vertex_normals * outward).sum(axis=1).min() > 0.98
    assert (mesh.face_normals * (mesh.triangles_center - CENTER)).sum(axis=1).min() > 0


@pytest.mark.parametrize("resolution", [16, 33, 64, 100])
def test_ellipsoid_is_not_sheared_or_shifted(resolution: int) -> None:
    """Every axis has its own extent, at every resolution, also where a side is not a whole
    number of voxels; the second moments between axes vanish."""
    mesh = mesh_of(AnalyticField(nose=False), resolution)
    voxel = LONGEST / (resolution - 1)
    low, high = np.array(CENTER) - AXES, np.array(CENTER) + AXES
    assert np.abs(mesh.bounds - [low, high]).max() < 0.5 * voxel
    assert np.abs(mesh.center_mass - CENTER).max() < 0.02 * voxel + 1e-6
    inertia = mesh.moment_inertia
    off_diagonal = np.abs(inertia - np.diag(np.diag(inertia))).max()
    assert off_diagonal < 2e-3 * np.diag(inertia).min()
    surface = np.linalg.norm((mesh.vertices - CENTER) / AXES, axis=1)
    assert np.abs(surface - 1.0).max() * min(AXES) < 0.25 * voxel


def test_nose_faces_plus_z_and_top_is_plus_y() -> None:
    with_nose, without = mesh_of(AnalyticField()), mesh_of(AnalyticField(nose=False))
    grown = with_nose.bounds - without.bounds
    voxel = LONGEST / 63
    assert grown[1, 2] == pytest.approx(NOSE_RADIUS, abs=0.5 * voxel)
    grown[1, 2] = 0.0
    assert np.abs(grown).max() < 1e-9
    tip = with_nose.vertices[with_nose.vertices[:, 2].argmax()]
    assert np.abs(tip[:2] - CENTER[:2]).max() < voxel


def test_slabs_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.export import isosurface

    monkeypatch.setattr(isosurface, "_SLAB_LAYERS", 1000)
    whole = mesh_of(AnalyticField(), 40, largest_component=False)
    for layers in (1, 2, 7):
        monkeypatch.setattr(isosurface, "_SLAB_LAYERS", layers)
        mesh = mesh_of(AnalyticField(), 40, largest_component=False)
        assert mesh.is_watertight
        # Float32 positions inside a slab round differently with the slab's start.
        assert np.abs(mesh.vertices - whole.vertices).max() < 1e-6
        assert {tuple(sorted(f)) for f in mesh.faces} == {tuple(sorted(f)) for f in whole.faces}


def test_grid_by_hand() -> None:
    grid = Grid.over(AnalyticGenerator().capabilities, 13)
    assert grid.shape == (11, 11, 13)
    assert grid.spacing == pytest.approx(0.1)
    assert np.allclose(grid.axis(0), np.linspace(-0.6, 0.4, 11))
    assert np.allclose(grid.axis(2), np.linspace(-0.5, 0.7, 13))
    uneven = Grid.over(AnalyticGenerator().capabilities, 12)
    # 1.0 holds 9 spacings of 1.2 / 11; what remains is shared by both ends.
    assert uneven.shape == (10, 10, 12)
    assert uneven.axis(1)[0] + uneven.axis(1)[-1] == pytest.approx(0.0, abs=1e-12)
    assert np.allclose(np.diff(uneven.axis(1)), 1.2 / 11)


def test_surface_that_leaves_the_box_is_closed_flat() -> None:
    mesh = mesh_of(AnalyticField(nose=False, axes=(0.3, 0.9, 0.3)))
    assert mesh.is_watertight
    assert mesh.volume > 0
    assert mesh.bounds[:, 1] == pytest.approx([-0.5, 0.5], abs=0.02)
    caps = mesh.face_normals[np.abs(mesh.triangles_center[:, 1]) > 0.495]
    assert len(caps) > 100 and np.abs(caps[:, 1]).min() > 0.99


def test_level_moves_the_surface() -> None:
    """Density falls by 40 a unit of distance: a level of 8 lies 0.05 outside on the x axis."""
    inner = mesh_of(AnalyticField(nose=False), level=LEVEL)
    outer = mesh_of(AnalyticField(nose=False), level=LEVEL - 2.0)
    assert outer.bounds[1, 0] - inner.bounds[1, 0] == pytest.approx(0.05, abs=1e-3)


def test_colours_by_octant() -> None:
    mesh = mesh_of(AnalyticField(nose=False))
    colors = np.asarray(mesh.visual.vertex_colors)
    assert mesh.visual.kind == "vertex" and colors.shape == (len(mesh.vertices), 4)
    wanted = np.where(mesh.vertices > np.float32(CENTER), 204, 51)
    # Colour is asked at float32 positions; a vertex on a boundary may fall on either side.
    clear = np.abs(mesh.vertices - CENTER).min(axis=1) > 1e-5
    assert clear.mean() > 0.8
    assert np.array_equal(colors[clear, :3], wanted[clear])
    assert (colors[:, 3] == 255).all()
    assert len(np.unique(colors[clear], axis=0)) == 8
    assert mesh_of(AnalyticField(), colors=False).visual.kind != "vertex"


def test_colours_are_seen_from_outside() -> None:
    class Directional(AnalyticField):
        def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
            assert directions is not None
            return 0.5 - 0.5 * directions

    mesh = mesh_of(Directional(nose=False, axes=(0.33, 0.33, 0.33)))
    outward = (mesh.vertices - CENTER) / 0.33
    got = np.asarray(mesh.visual.vertex_colors)[:, :3] / 127.5 - 1.0
    assert np.abs(got - outward).max() < 0.15


def test_largest_component() -> None:
    class Specks(AnalyticField):
        def distance(self, points: Tensor) -> Tensor:
            speck = (points - torch.tensor([-0.45, 0.35, -0.4])).norm(dim=-1) - 0.06
            return torch.minimum(super().distance(points), speck)

    assert mesh_of(Specks(), largest_component=False).body_count == 2
    kept = mesh_of(Specks())
    assert kept.body_count == 1
    assert kept.volume == pytest.approx(mesh_of(AnalyticField()).volume, rel=1e-9)


@pytest.mark.parametrize("target", [200, 1000, 5000])
def test_decimation(target: int) -> None:
    full = mesh_of(AnalyticField())
    mesh = mesh_of(AnalyticField(), target_faces=target)
    assert 0.95 * target <= len(mesh.faces) <= target + 2
    assert mesh.volume == pytest.approx(full.volume, rel=0.05)
    assert np.abs(mesh.bounds - full.bounds).max() < 0.02
    wanted = np.where(mesh.vertices > CENTER, 204, 51)
    clear = np.abs(mesh.vertices - CENTER).min(axis=1) > 1e-5
    assert np.array_equal(np.asarray(mesh.visual.vertex_colors)[clear, :3], wanted[clear])


def test_decimation_of_a_small_world() -> None:
    """Families with tiny world units are reduced just as well."""
    from engine.export.surface import decimated

    ball = trimesh.creation.icosphere(subdivisions=4, radius=1e-3)
    vertices, faces = decimated(np.asarray(ball.vertices), np.asarray(ball.faces), 500)
    assert 475 <= len(faces) <= 502
    assert np.abs(np.linalg.norm(vertices, axis=1) - 1e-3).max() < 5e-5


def test_a_target_above_the_count_changes_nothing() -> None:
    assert len(mesh_of(AnalyticField(), target_faces=10**7).faces) == len(
        mesh_of(AnalyticField()).faces
    )


def test_smoothing_calms_and_keeps_the_volume() -> None:
    class Rough(AnalyticField):
        def distance(self, points: Tensor) -> Tensor:
            return super().distance(points) + 0.006 * torch.sin(points * 220.0).prod(dim=-1)

    def roughness(mesh: trimesh.Trimesh) -> float:
        return float(np.abs(mesh.face_adjacency_angles).mean())

    rough, calm = mesh_of(Rough(nose=False)), mesh_of(Rough(nose=False), smooth_iterations=15)
    assert roughness(calm) < 0.6 * roughness(rough)
    assert calm.volume == pytest.approx(rough.volume, rel=0.01)
    assert calm.is_watertight


def test_no_surface_names_the_range() -> None:
    with pytest.raises(
        ExportError, match=r"no surface at level 1000: .* between -?[\d.]+ and"
    ) as e:
        mesh_of(AnalyticField(), level=1000.0)
    assert "choose a level between them" in str(e.value)
    with pytest.raises(ExportError, match="no surface at level -1000"):
        mesh_of(AnalyticField(), level=-1000.0)

    class Constant(AnalyticField):
        def density(self, points: Tensor) -> Tensor:
            return torch.zeros(len(points))

    with pytest.raises(ExportError, match="the same value 0 everywhere"):
        mesh_of(Constant())


def test_nan_in_the_field() -> None:
    class Broken(AnalyticField):
        def density(self, points: Tensor) -> Tensor:
            values = super().density(points)
            return torch.where(points[:, 0] > 0.39, torch.nan, values)

    class BrokenColor(AnalyticField):
        def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
            return super().color(points) * torch.nan

    with pytest.raises(ExportError, match="field of this model holds NaN"):
        mesh_of(Broken())
    with pytest.raises(ExportError, match="colours of this model's field hold NaN"):
        mesh_of(BrokenColor())
    mesh_of(BrokenColor(), colors=False)


def test_infinite_values_off_the_surface_do_no_harm() -> None:
    class Infinite(AnalyticField):
        def density(self, points: Tensor) -> Tensor:
            values = super().density(points)
            return torch.where(values < -5, -torch.inf, values)

    assert mesh_of(Infinite()).volume == pytest.approx(mesh_of(AnalyticField()).volume, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (MeshOptions(resolution=15), "16 to 1024, not 15"),
        (MeshOptions(resolution=100_000), "16 to 1024"),
        (MeshOptions(level=math.nan), "finite"),
        (MeshOptions(smooth_iterations=-1), "smoothing"),
        (MeshOptions(target_faces=3), "4 or more"),
    ],
)
def test_bad_options(options: MeshOptions, message: str) -> None:
    with pytest.raises(UserError, match=message):
        extract_mesh(AnalyticGenerator(), W, options)


def test_progress_and_cancel() -> None:
    steps: list[tuple[int, int]] = []
    extract_mesh(
        AnalyticGenerator(),
        W,
        MeshOptions(resolution=64),
        lambda done, total: steps.append((done, total)),
    )
    assert len(steps) >= 4
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]

    token = CancelToken()
    with pytest.raises(Cancelled):
        extract_mesh(
            AnalyticGenerator(), W, MeshOptions(resolution=64), lambda d, t: token.cancel(), token
        )


@pytest.mark.parametrize("largest", [True, False], ids=["one piece", "all pieces"])
def test_memory_and_chunks(largest: bool) -> None:
    """At 160 samples a grid holds 2.8 million values; the whole work takes less than four such
    grids of float32, and the field is never asked about more than 131072 points at once."""
    field = AnalyticField()
    mesh_of(field, 16)
    tracemalloc.start()
    mesh_of(field, 160, colors=False, largest_component=largest)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert field.largest_request <= 131072
    assert largest or field.largest_request == 131072
    assert peak < 4 * 4 * 160 * 134 * 134
