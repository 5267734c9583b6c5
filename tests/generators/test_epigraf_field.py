"""EpiGRAF's rays and field: one ray after another in double precision, and known surfaces."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.camera import FAMILY_AXES, OrbitPose
from engine.export.mesh import MeshOptions, extract_mesh
from engine.generators.base import Quality
from engine.generators.epigraf import EpiGRAF, EpiGRAFNetwork
from engine.generators.epigraf_field import DecodedPlanes, Identity
from tests.generators.tiny_epigraf import tiny_model, z_of

AXES = FAMILY_AXES["epigraf"]

# ---- one ray at a time ----------------------------------------------------------------------


class Literal:
    """The model's rays by loops in float64, from its tensors and nothing else of its code."""

    def __init__(self, model: EpiGRAF, w: Tensor) -> None:
        self.config = model.config
        network: EpiGRAFNetwork = model.network
        self.planes, self.picture = (None if t is None else t.double() for t in network.planes(w))
        self.mlp = [(m.weight.double(), m.bias.double()) for m in network.synthesis.tri_plane_mlp.model]  # type: ignore[union-attr]  # fmt: skip
        self.state = {k: v.double() for k, v in network.state_dict().items()}
        self.w = w.double()

    def at(self, point: Tensor) -> tuple[Tensor, float]:
        u = point / self.config.cube_scale
        assert self.planes is not None
        features = []
        for plane, (a, b) in zip(self.planes, ((0, 1), (0, 2), (1, 2)), strict=True):
            grid = torch.stack([u[a], u[b]]).reshape(1, 1, 1, 2)
            features.append(F.grid_sample(plane[None], grid, align_corners=True).reshape(-1))
        x = torch.stack(features).mean(dim=0)
        for index, (weight, bias) in enumerate(self.mlp):
            x = weight @ x / math.sqrt(len(x)) + bias
            if index < len(self.mlp) - 1:
                x = torch.where(x > 0, x, 0.2 * x) * math.sqrt(2.0)
        return x[:3], float(x[3])

    def solid(self, value: float) -> float:
        if self.config.clamp_mode == "relu":
            return max(value, 0.0)
        return value if value > 30 else math.log1p(math.exp(value))

    def integrate(
        self, ts: list[float], values: list[tuple[Tensor, float]], last: float, shift: float
    ) -> tuple[list[float], float]:
        weights, light, behind = [], 1.0, 1.0
        for i, t in enumerate(ts):
            step = ts[i + 1] - t if i + 1 < len(ts) else last
            alpha = 1.0 - math.exp(-step * self.solid(values[i][1] + shift))
            weights.append(alpha * light)
            behind, light = light, light * (1.0 - alpha + 1e-10)
        return weights, behind

    def importance(self, ts: list[float], weights: list[float]) -> list[float]:
        edges = [(a + b) / 2 for a, b in pairwise(ts)]
        mass = np.array(weights[1:-1]) + 2e-5
        cdf = np.concatenate([[0.0], np.cumsum(mass / mass.sum())])
        drawn = []
        for u in np.linspace(0.0, 1.0, len(ts)):
            place = int(np.searchsorted(cdf, u - 1e-12, side="left"))
            low, high = max(place - 1, 0), min(place, len(cdf) - 1)
            width = cdf[high] - cdf[low]
            share = (u - cdf[low]) / (width if width >= 1e-5 else 1.0)
            drawn.append(edges[low] + share * (edges[high] - edges[low]))
        return drawn

    def behind_sphere(self, origin: Tensor, ray: Tensor) -> Tensor:
        """Points at radius 1 / d on the ray itself, not by turning one of them."""
        config, values = self.config, []
        inverse = [
            config.bg_start * (1 - i / (config.bg_steps - 1)) for i in range(config.bg_steps)
        ]
        for d in inverse:
            point = ray
            if d > 0:
                along = float(-origin @ ray)
                t = along + math.sqrt(along**2 - float(origin @ origin) + 1.0 / d**2)
                point = origin + t * ray
            values.append(
                self.sphere(torch.cat([point / point.norm(), torch.tensor([d]).double()]))
            )
        weights, _ = self.integrate([-d for d in inverse], values, 1e10, 0.0)
        colour = sum((w * c for w, (c, _) in zip(weights, values, strict=True)), torch.zeros(3))
        return colour + (1.0 - sum(weights) if config.white_back else 0.0)

    def sphere(self, point: Tensor) -> tuple[Tensor, float]:
        config, prefix = self.config, "synthesis.bg_model.blocks"
        angles = [
            [float(p) * 2.0**k * math.pi for k in range(config.bg_frequencies)] for p in point
        ]
        x = torch.tensor(
            [f(a) for row in angles for f in (math.sin, math.cos) for a in row]
        ).double()
        total, row = torch.zeros(4).double(), config.plane_ws

        def layer(name: str, x: Tensor, w: Tensor, output: bool) -> Tensor:
            weight, bias, affine, affine_bias = (
                self.state[f"{name}.{part}"]
                for part in ("weight", "bias", "affine.weight", "affine.bias")
            )
            style = affine @ w / math.sqrt(len(w)) + affine_bias
            if output:
                return weight @ (x * style / math.sqrt(len(x))) + bias
            y = weight @ (x * style) / ((weight * style).square().sum(1) + 1e-8).sqrt() + bias
            return torch.where(y > 0, y, 0.2 * y) * math.sqrt(2.0)

        for index in range(len(config.bg_channels)):
            for name in ("conv0", "conv1") if index else ("conv1",):
                x = layer(f"{prefix}.{index}.{name}", x, self.w[row], False)
                row += 1
            total = total + layer(f"{prefix}.{index}.to_out", x, self.w[row], True)
        return total[:3], float(total[3])

    def pixel(self, origin: Tensor, ray: Tensor, row: int, column: int) -> tuple[Tensor, float]:
        config = self.config
        far, near, steps = config.ray_end, config.ray_start, config.num_ray_steps
        ts = [near + (far - near) * i / (steps - 1) for i in range(steps)]
        last = 1e10 if config.background == "none" else 1e-3
        shift = config.density_shift
        values = [self.at(origin + t * ray) for t in ts]
        weights, _ = self.integrate(ts, values, last, shift)
        more = self.importance(ts, weights)
        together = sorted(
            [*zip(ts, values, strict=True), *((t, self.at(origin + t * ray)) for t in more)],
            key=lambda pair: pair[0],
        )
        ts, values = [t for t, _ in together], [v for _, v in together]
        weights, behind = self.integrate(ts, values, last, shift)
        if config.last_back:
            weights[-1] += 1.0 - sum(weights)
        colour = sum((w * c for w, (c, _) in zip(weights, values, strict=True)), torch.zeros(3))
        if config.white_back:
            colour = colour + (1.0 - sum(weights))
        if self.picture is not None:
            side = config.img_resolution
            large = F.interpolate(
                self.picture[None], (side, side), mode="bilinear", align_corners=True
            )
            colour = colour + behind * large[0, :, row, column]
        if config.background == "sphere":
            colour = colour + behind * self.behind_sphere(origin, ray)
        return colour, behind


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clamp_mode": "relu"},
        {"clamp_mode": "relu", "white_back": True},
        {"clamp_mode": "relu", "last_back": True, "white_back": True, "density_shift": 1.5},
        {"background": "plane", "use_noise": False},
        {"background": "plane", "white_back": True, "last_back": True},
        {
            "background": "sphere",
            "bg_channels": (9, 7, 5),
            "bg_frequencies": 3,
            "bg_scale": 8.0,
            "density_shift": -9.0,
        },
        {
            "background": "sphere",
            "white_back": True,
            "clamp_mode": "relu",
            "bg_start": 0.8,
            "density_shift": -12.0,
        },
    ],
    ids=lambda changes: ",".join(f"{k}={v}" for k, v in changes.items()) or "default",
)
def test_rays_one_by_one(changes: dict[str, Any]) -> None:
    model = tiny_model(**changes)
    w = model.map(z_of(3))
    pose = OrbitPose(20, 8, radius=1.2, fov_y=20.0)
    camera = AXES.from_ours(pose.camera().cam2world)
    literal, seen = Literal(model, w), []
    origin = torch.from_numpy(camera[:3, 3].copy())
    marched = _values(model, w, camera)
    for row, column in ((0, 0), (11, 12), (5, 20), (23, 7), (16, 9)):
        x, y = 2 * column / 23 - 1, 1 - 2 * row / 23
        ray = camera[:3, :3] @ np.array([x, y, -1 / math.tan(math.radians(10))])
        colour, behind = literal.pixel(
            origin, torch.from_numpy(ray / np.linalg.norm(ray)), row, column
        )
        torch.testing.assert_close(marched[0][row, column].double(), colour, rtol=0, atol=2e-3)
        assert float(marched[1][row, column]) == pytest.approx(behind, abs=2e-3)
        seen.append(behind)
    if changes.get("background"):
        assert max(seen) > 0.05  # there was a background to be seen


def _values(model: EpiGRAF, w: Tensor, camera: np.ndarray) -> tuple[Tensor, Tensor]:
    """Colours before they are clamped, and light left for the background."""
    from engine.rendering.rays import inclusive_grid

    grid = inclusive_grid(24, 24)
    with torch.inference_mode():
        rays = model._rays(torch.from_numpy(camera), grid, 20.0)
        march = model.config.march()
        marched = model._march(model.identity(w), *rays, grid, march, lambda: None)
    return marched.features.reshape(24, 24, 3), marched.behind.reshape(24, 24)


# ---- known surfaces -------------------------------------------------------------------------

CENTRE, RADIUS, STEEP = (0.03, -0.02, 0.04), 0.11, 4e5


def ball_model(**changes: Any) -> EpiGRAF:
    """A model whose planes hold squared distances, so that the density is above 25 within a
    ball of :data:`RADIUS` around :data:`CENTRE` (the authors' axes) and nowhere else.

    Red rises along the authors' x, green along y and blue along z.
    """
    model = tiny_model(
        plane_channels=4, plane_resolution=64, block_channels=(6,) * 5, mlp_channels=(4,),
        density_shift=0.0, ray_start=0.95, ray_end=1.45, num_ray_steps=24, **changes,
    )  # fmt: skip
    scale = model.config.cube_scale
    line = torch.linspace(-scale, scale, 64)
    planes = torch.zeros(3, 4, 64, 64)
    for plane, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
        v, u = torch.meshgrid(line, line, indexing="ij")
        planes[plane, 0] = (u - CENTRE[a]) ** 2 + (v - CENTRE[b]) ** 2
        for axis, value in ((a, u), (b, v)):
            planes[plane, 1 + axis] = value + 1.0  # above zero: the leaky ReLU leaves it alone
    # The mean of the planes is 2/3 of the squared distance, and 2/3 of each coordinate + 1.
    last = torch.zeros(4, 4)
    for axis in range(3):
        last[axis, 1 + axis] = 1.5 / scale
    last[3, 0] = -1.5 * STEEP
    bias = torch.tensor([-1.0 / scale] * 3 + [25.0 + STEEP * RADIUS**2])
    layers = [(torch.eye(4), torch.zeros(4)), (last, bias)]
    made = Identity(DecodedPlanes(planes, layers, scale), None, None)
    model._identities.get(ball_latent(model), lambda _: made)
    return model


def ball_latent(model: EpiGRAF) -> Tensor:
    return torch.zeros(model.config.num_ws, model.config.w_dim)


def test_a_ball_comes_out_of_the_mesh_in_world_units() -> None:
    model = ball_model()
    resolution = 96
    options = MeshOptions(resolution=resolution, largest_component=False)
    mesh = extract_mesh(model, ball_latent(model), options)
    voxel = 2 * model.config.cube_scale / (resolution - 1)
    centre = AXES.points_to_ours(np.array(CENTRE))
    distance = np.linalg.norm(mesh.vertices - centre, axis=1)
    assert np.abs(distance - RADIUS).max() < 0.5 * voxel
    np.testing.assert_allclose(mesh.vertices.min(0), centre - RADIUS, atol=0.5 * voxel)
    np.testing.assert_allclose(mesh.vertices.max(0), centre + RADIUS, atol=0.5 * voxel)
    assert mesh.volume == pytest.approx(4 / 3 * math.pi * RADIUS**3, rel=0.02)
    # Colours stand where they should: theirs at the vertex, from their own coordinates.
    theirs = AXES.points_from_ours(mesh.vertices) / model.config.cube_scale
    expected = (theirs * 0.5 + 0.5).clip(0, 1) * 255
    assert np.abs(mesh.visual.vertex_colors[:, :3] - expected).max() < 2.0


@pytest.mark.parametrize("radius", [0.9, 1.2, 2.5])
def test_any_distance_shows_the_same_region(radius: float) -> None:
    """Looking at the ball's middle, its surface is one radius nearer than that."""
    model = ball_model()
    centre = tuple(float(x) for x in AXES.points_to_ours(np.array(CENTRE)))
    pose = OrbitPose(30, 10, radius=radius, fov_y=18.0, look_at=centre)  # type: ignore[arg-type]
    frame = model.render(ball_latent(model), pose.camera(), Quality(neural_resolution=9))
    distance = float(np.linalg.norm(pose.camera().position - np.array(centre)))
    assert frame.depth[4, 4].item() == pytest.approx(distance - RADIUS, abs=0.01)
    assert frame.alpha[4, 4] > 0.99
    assert model.field(ball_latent(model)).density(torch.tensor([centre]))[0] > 25.0


def test_normals_of_the_ball_point_at_the_viewer() -> None:
    model = ball_model()
    centre = AXES.points_to_ours(np.array(CENTRE))
    pose = OrbitPose(30, 10, radius=1.2, fov_y=10.0, look_at=tuple(centre))
    quality = Quality(neural_resolution=33, samples=3.0, normals=True)
    frame = model.render(ball_latent(model), pose.camera(), quality)
    assert frame.normal is not None
    towards = torch.from_numpy(pose.camera().position - centre).float()
    assert float(frame.normal[16, 16] @ F.normalize(towards, dim=0)) > 0.98
    left, right = frame.normal[16, 10], frame.normal[16, 22]
    sideways = torch.from_numpy(pose.camera().cam2world[:3, 0].copy()).float()
    assert float(left @ sideways) < -0.2 and float(right @ sideways) > 0.2


def test_field_on_the_bounds_and_in_odd_amounts() -> None:
    model = tiny_model()
    field = model.field(model.map(z_of()))
    assert field.bounds[0].tolist() == [-0.25] * 3 and field.bounds[1].tolist() == [0.25] * 3
    for count in (0, 1, 70_000):
        points = torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) - 0.5
        density, colour = field.density(points), field.color(points)
        assert density.shape == (count,) and colour.shape == (count, 3)
        assert density.isfinite().all() and ((colour >= 0) & (colour <= 1)).all()
    assert density.std() > 0
    torch.testing.assert_close(field.density(points[69_990:]), density[69_990:])
