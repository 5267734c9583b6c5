"""StyleSDF's surfaces: spheres where they are known, and the authors' own way to a mesh."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from skimage import measure

from engine.camera import FAMILY_AXES, Camera, OrbitPose
from engine.export.mesh import MeshOptions, extract_mesh
from engine.generators.base import Quality
from engine.generators.stylesdf import StyleSDF
from engine.generators.stylesdf_volume import picture_rays
from tests.generators.tiny_stylesdf import CPU, sphere_network, tiny_model, z_of


def view(yaw: float, pitch: float) -> Camera:
    return OrbitPose(yaw, pitch, radius=1.0, fov_y=12.0).camera()


def test_a_sphere_looks_like_one() -> None:
    """Depth, opacity and normals of a sphere that stands beside the middle."""
    centre, radius = (0.03, 0.02, 0.01), 0.05
    model = StyleSDF(sphere_network(centre, radius), CPU)
    w = model.map(torch.zeros(8))
    seen_from = view(25, 10)
    model.adjust({"samples_per_ray": 256})
    frame = model.render(w, seen_from, Quality(neural_resolution=48, normals=True))
    # Where each pixel's ray meets the sphere, by the quadratic formula.
    f = 0.5 * 48 / math.tan(math.radians(6))
    grid = np.arange(48) + 0.5 - 24
    local = np.stack([*np.meshgrid(grid / f, grid / f), np.ones((48, 48))], axis=-1)
    rays = local @ seen_from.cam2world[:3, :3].T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    offset = seen_from.position - np.array(centre)
    b = rays @ offset
    inside = b**2 - (offset @ offset - radius**2)
    hit = -b - np.sqrt(np.maximum(inside, 0))
    solid, empty = inside > 1e-3, inside < -4e-4
    assert solid.sum() > 100 and empty.sum() > 500
    assert np.all(frame.alpha.numpy()[solid] > 0.99) and np.all(frame.alpha.numpy()[empty] < 0.01)
    np.testing.assert_allclose(frame.depth.numpy()[solid], hit[solid], atol=3e-3)
    assert frame.normal is not None
    surface = seen_from.position + hit[..., None] * rays
    outward = (surface - np.array(centre)) / radius
    facing = np.einsum("ijk,ijk->ij", frame.normal.numpy(), outward)
    assert np.all(facing[solid & (np.abs(facing) > 0)] > 0.9)


@pytest.mark.parametrize(
    ("centre", "radius"), [((0.0, 0.0, 0.0), 0.06), ((0.03, -0.02, 0.025), 0.05)]
)
def test_a_sphere_comes_out_in_world_units(
    centre: tuple[float, float, float], radius: float
) -> None:
    """Within half a voxel everywhere: neither scaled, shifted, mirrored nor sheared."""
    model = StyleSDF(sphere_network(centre, radius), CPU)
    mesh = extract_mesh(model, model.map(torch.zeros(8)), MeshOptions(resolution=64, colors=True))
    voxel = 0.24 / 63
    distance = np.linalg.norm(mesh.vertices - np.array(centre), axis=1)
    assert np.abs(distance - radius).max() < voxel / 2
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.02)
    for axis in range(3):
        extent = (mesh.vertices[:, axis].min(), mesh.vertices[:, axis].max())
        assert extent == pytest.approx(
            (centre[axis] - radius, centre[axis] + radius), abs=voxel / 2
        )


def frustum_mesh(model: StyleSDF, w: torch.Tensor, camera: Camera, n: int) -> np.ndarray:
    """Vertices in the camera's frame (x right, y up, z towards the viewer) as the authors make
    them: distances at the samples of n x n rays, the frustum warped to a cube, marching cubes."""
    near, far = 0.88, 1.12
    matrix = torch.from_numpy(FAMILY_AXES["stylesdf"].from_ours(camera.cam2world)).float()
    rays = picture_rays(matrix, 12.0, n, (near, far), n)
    points = rays.origin + rays.directions[:, None] * rays.depths[:, None]
    sdf = model.field(w).density(points.reshape(-1, 3)).reshape(n, n, n)
    axis = torch.linspace(-1, 1, n)
    rows, columns, depths = torch.meshgrid(axis, axis, axis, indexing="ij")
    widen = torch.linspace(far / near, 1.0, n)
    rows, columns = rows * widen, columns * widen
    grid = torch.stack([depths, columns, rows], dim=-1)[None]
    cube = F.grid_sample(sdf[None, None], grid, align_corners=True, padding_mode="border")[0, 0]
    cube[(rows.abs() > 1) | (columns.abs() > 1)] = 1.0
    vertices = measure.marching_cubes(cube.permute(1, 0, 2).numpy(), 0.0)[0]
    vertices = (vertices / n - 0.5) * 0.24
    return np.asarray(vertices * [1, -1, -1])


def in_camera_frame(vertices: np.ndarray, camera: Camera) -> np.ndarray:
    """World points about the world's origin, in the axes of the authors' cameras."""
    rotation = FAMILY_AXES["stylesdf"].from_ours(camera.cam2world)[:3, :3]
    return np.asarray(vertices @ rotation)


@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (-30.0, -20.0)])
def test_the_authors_procedure_gives_the_same_surface(yaw: float, pitch: float) -> None:
    """Up to its own inexactness: it takes the frustum's width for 0.24 at the far end (0.2354),
    widens it linearly in depth and counts samples from their corners: a voxel and a half."""
    model = StyleSDF(sphere_network((0.03, -0.02, 0.025), 0.04), CPU)
    w = model.map(torch.zeros(8))
    n = 48
    theirs = frustum_mesh(model, w, view(yaw, pitch), n)
    mesh = extract_mesh(model, w, MeshOptions(resolution=64, colors=False))
    ours = in_camera_frame(np.asarray(mesh.vertices), view(yaw, pitch))
    voxel = 0.24 / n
    there, back = cKDTree(ours).query(theirs)[0], cKDTree(theirs).query(ours)[0]
    assert max(there.max(), back.max()) < 1.5 * voxel
    # Mirrored or turned the other way it would be far off.
    for wrong in ([-1, 1, 1], [1, -1, 1], [1, 1, -1]):
        assert cKDTree(ours * wrong).query(theirs)[0].max() > 3 * voxel


def test_colours_of_the_field_are_those_of_the_picture() -> None:
    """Where one sample has all the weight, in the middle of the picture, for any view."""
    network = sphere_network((0.0, 0.0, 0.0), 0.06)
    with torch.no_grad():
        network.renderer.sigmoid_beta.fill_(1e-5)
    model = StyleSDF(network, CPU)
    model.adjust({"samples_per_ray": 240})
    w = model.map(z_of())
    camera = view(30, 20)
    frame = model.render(w, camera, Quality(neural_resolution=5))
    point = camera.position + float(frame.depth[2, 2]) * camera.forward
    points = torch.from_numpy(point).float()[None]
    field = model.field(w)
    torch.testing.assert_close(field.color(points)[0], frame.rgb[2, 2], atol=2e-3, rtol=0)
    turned = field.color(points, torch.tensor([[0.0, 1.0, 0.0]]))
    assert torch.equal(turned, field.color(points))


def test_many_points_are_answered_in_order() -> None:
    model = tiny_model()
    field = model.field(model.map(z_of()))
    points = (torch.rand(40_000, 3, generator=torch.Generator().manual_seed(1)) - 0.5) * 0.24
    density, color = field.density(points), field.color(points)
    assert density.shape == (40_000,) and color.shape == (40_000, 3)
    for index in (0, 32_768, 39_999):
        one = points[index : index + 1]
        assert float(density[index]) == pytest.approx(float(field.density(one)[0]), abs=1e-6)
        torch.testing.assert_close(color[index], field.color(one)[0], atol=1e-6, rtol=0)
    assert field.bounds[0].tolist() == pytest.approx([-0.12] * 3)
