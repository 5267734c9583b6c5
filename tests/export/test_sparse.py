"""Sparse marching cubes against every sample of the same grid: the same vertices and triangles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from engine.assets import Shipped, shipped_generators
from engine.errors import Cancelled, ExportError
from engine.export import sparse
from engine.export.isosurface import Floats, Grid, Indices, extract_isosurface
from engine.export.mesh import extract_mesh
from engine.export.options import MeshOptions
from engine.export.surface import largest_component
from engine.generators.base import NEVER, CancelToken, Field, Generator, latent_from_seed
from engine.generators.registry import open_model
from tests.export.analytic import LEVEL, AnalyticField, AnalyticGenerator

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"
SETS = sorted(path.parent for path in GOLDENS.glob("*/golden.json"))
CPU = torch.device("cpu")
Surface = tuple[Floats, Indices]


def ignore(done: int, total: int) -> None:
    pass


def both(
    field: Field, grid: Grid, level: float, meaning: str = "density"
) -> tuple[Surface, Surface]:
    how = (level, meaning, CPU, ignore)
    with torch.inference_mode():
        near = sparse.extract_near_surface(field, grid, *how)  # type: ignore[arg-type]
        assert near is not None
        return near, extract_isosurface(field, grid, *how)  # type: ignore[arg-type]


def assert_same(near: Surface, every: Surface, spacing: float) -> None:
    """Positions within 1e-4 of a voxel (float32 rounds them from another corner), every vertex
    and every triangle once."""
    assert len(near[0]) == len(every[0]) and len(near[1]) == len(every[1])
    far, match = cKDTree(every[0]).query(near[0])
    assert far.max() < 1e-4 * spacing
    mapped, wanted = match[near[1]], every[1]
    # Of vertices that stand at one place, either may be meant.
    centres = cKDTree(every[0][wanted].mean(axis=1))
    assert centres.query(near[0][near[1]].mean(axis=1))[0].max() < 1e-4 * spacing
    shared = {tuple(sorted(f)) for f in mapped.tolist()} & {
        tuple(sorted(f)) for f in wanted.tolist()
    }
    assert len(shared) >= 0.999 * len(wanted)
    normals = (np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]]).sum(axis=0)
               for v, f in (near, every))  # fmt: skip
    first, second = normals
    assert np.abs(first - second).max() < 1e-6


@pytest.mark.parametrize("resolution", [16, 17, 18, 19, 33, 62, 67])
@pytest.mark.parametrize("meaning", ["density", "sdf"])
def test_a_head_on_grids_of_every_remainder(resolution: int, meaning: str) -> None:
    field = AnalyticField(meaning)  # type: ignore[arg-type]
    grid = Grid.over(AnalyticGenerator(field).capabilities, resolution)
    near, every = both(field, grid, LEVEL if meaning == "density" else 0.0, meaning)
    assert_same(near, every, grid.spacing)


@pytest.mark.parametrize("resolution", [30, 47])
def test_a_surface_that_leaves_the_box(resolution: int) -> None:
    field = AnalyticField(nose=False, axes=(0.3, 0.9, 0.9))
    grid = Grid.over(AnalyticGenerator(field).capabilities, resolution)
    assert_same(*both(field, grid, LEVEL), grid.spacing)


class Balls(AnalyticField):
    """Balls, and a plate one and a half voxels thick that touches the first of them."""

    def __init__(self, spacing: float, radii: tuple[float, ...]) -> None:
        super().__init__()
        self.spacing, self.radii = spacing, radii

    def distance(self, points: Tensor) -> Tensor:
        # Middles are off every fourth sample.
        middles = torch.tensor([[-0.31, 0.07, 0.03], [0.21, 0.3, 0.5], [0.2, -0.3, -0.3]])
        parts = [
            (points - middle).norm(dim=-1) - radius * self.spacing
            for middle, radius in zip(middles, self.radii, strict=False)
        ]
        plate = (points - middles[0] - torch.tensor([0.35, 0.0, 0.0])).abs()
        sides = torch.tensor([0.36, 0.2, 0.75 * self.spacing])
        parts.append((plate - sides).amax(dim=-1))
        return torch.stack(parts).amin(dim=0)


def test_the_surface_is_followed_along_what_coarse_samples_miss() -> None:
    grid = Grid.over(AnalyticGenerator().capabilities, 61)
    field = Balls(grid.spacing, (9.0, 6.0))
    near, every = both(field, grid, LEVEL)
    assert_same(near, every, grid.spacing)
    assert np.ptp(near[0][:, 0]) > 0.7, "the plate is not there"


def test_samples_that_lie_on_the_surface() -> None:
    """A cube whose sides pass through samples: values of exactly zero are known, not missing."""
    grid = Grid(np.full(3, -1.0), 0.125, (17, 17, 17))

    class Cube(AnalyticField):
        def density(self, points: Tensor) -> Tensor:
            return 0.5 - points.abs().amax(dim=-1)

    near, every = both(Cube(), grid, 0.0)
    assert len(near[0]) == len(every[0]) > 0 and len(near[1]) == len(every[1])
    assert cKDTree(every[0]).query(near[0])[0].max() == 0.0
    assert np.ptp(near[0], axis=0).tolist() == [1.0, 1.0, 1.0]


def test_specks_may_be_missed_and_are_there_where_all_pieces_are_wanted() -> None:
    """A ball of one voxel between coarse samples: the limit that the module states."""
    generator = AnalyticGenerator()
    grid = Grid.over(generator.capabilities, 61)
    corner = torch.tensor(grid.to_world(np.array([[26.0, 26.0, 26.0]])), dtype=torch.float32)

    class Speck(AnalyticField):
        def distance(self, points: Tensor) -> Tensor:
            ball = (points + torch.tensor([0.3, 0.3, 0.3])).norm(dim=-1) - 0.12
            return torch.minimum(ball, (points - corner).norm(dim=-1) - grid.spacing)

    generator.made = Speck()
    near, every = both(generator.made, grid, LEVEL)
    assert len(near[0]) < len(every[0])
    assert_same(near, largest_component(*every), grid.spacing)
    w = torch.zeros(4, 8)
    whole = extract_mesh(generator, w, MeshOptions(61, largest_component=False, colors=False))
    assert len(whole.vertices) == len(every[0])
    largest = extract_mesh(generator, w, MeshOptions(61, colors=False))
    assert len(largest.vertices) == len(near[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_bricks_are_filled_group_by_group(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """By any number of threads: the same triangles, in the same order."""
    field = AnalyticField()
    grid = Grid.over(AnalyticGenerator(field).capabilities, 100)
    once, before = both(field, grid, LEVEL, "density")[0], torch.get_num_threads()
    monkeypatch.setattr(sparse, "_AT_ONCE", 3)
    torch.set_num_threads(threads)
    try:
        near, every = both(field, grid, LEVEL, "density")
    finally:
        torch.set_num_threads(before)
    assert_same(near, every, grid.spacing)
    assert all(np.array_equal(one, other) for one, other in zip(near, once, strict=True))


def test_filling_stops_where_it_is_no_longer_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    field = AnalyticField()
    grid = Grid.over(AnalyticGenerator(field).capabilities, 100)
    cancel, cut = CancelToken(), []
    real = sparse.marched

    def marched(*brick: object) -> object:
        cut.append(1)
        cancel.cancel()
        return real(*brick)  # type: ignore[arg-type]

    monkeypatch.setattr(sparse, "marched", marched)
    with pytest.raises(Cancelled):
        sparse.extract_near_surface(field, grid, LEVEL, "density", CPU, ignore, cancel)
    assert len(cut) == 1


def test_few_samples_are_asked_for() -> None:
    field = AnalyticField()
    grid = Grid.over(AnalyticGenerator(field).capabilities, 128)
    asked = 0
    density = field.density

    def counted(points: Tensor) -> Tensor:
        nonlocal asked
        asked += len(points)
        return density(points)

    field.density = counted  # type: ignore[method-assign]
    assert sparse.extract_near_surface(field, grid, LEVEL, "density", CPU, ignore) is not None
    assert asked < 0.08 * np.prod(grid.shape)


def test_what_cannot_be_cut() -> None:
    field = AnalyticField()
    grid = Grid.over(AnalyticGenerator(field).capabilities, 40)
    how = ("density", CPU, ignore)
    assert sparse.extract_near_surface(field, grid, 1e9, *how) is None  # type: ignore[arg-type]
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        sparse.extract_near_surface(field, grid, LEVEL, *how, token)  # type: ignore[arg-type]
    field.density = lambda points: torch.full((len(points),), torch.nan)  # type: ignore[method-assign]
    with pytest.raises(ExportError, match="NaN"):
        sparse.extract_near_surface(field, grid, LEVEL, *how, NEVER)  # type: ignore[arg-type]


def test_grids_beyond_the_memory_are_cut_slab_by_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "MOST_SAMPLES", 1000)
    generator = AnalyticGenerator()
    grid = Grid.over(generator.capabilities, 24)
    how = (LEVEL, "density", CPU, ignore)
    assert sparse.extract_near_surface(generator.made, grid, *how) is None  # type: ignore[arg-type]
    mesh = extract_mesh(generator, torch.zeros(4, 8), MeshOptions(24))
    assert mesh.is_watertight


def compared(generator: Generator, resolution: int, level: float | None, psi: float) -> None:
    """The largest piece of both, and that the sparse surface has nothing that the other lacks."""
    facts = generator.capabilities
    w = generator.map(latent_from_seed(3, facts.z_dim), psi=psi)
    field, grid = generator.field(w), Grid.over(facts, resolution)
    if level is None:
        with torch.inference_mode():
            points = torch.rand(2000, 3, generator=torch.Generator().manual_seed(0))
            low, high = (torch.tensor(corner) for corner in facts.bounds)
            level = float(field.density((low + points * (high - low)).float()).quantile(0.6))
    near, every = both(field, grid, level, facts.mesh_level_meaning)
    assert cKDTree(every[0]).query(near[0])[0].max() < 1e-2 * grid.spacing
    far, _ = cKDTree(near[0]).query(every[0])
    assert np.median(far) < 1e-5 * grid.spacing
    first, second = largest_component(*near), largest_component(*every)
    assert len(first[0]) == pytest.approx(len(second[0]), rel=2e-3)
    assert len(first[1]) == pytest.approx(len(second[1]), rel=2e-3)
    assert cKDTree(second[0]).query(first[0])[0].max() < 1e-2 * grid.spacing
    assert cKDTree(first[0]).query(second[0])[0].max() < 1e-2 * grid.spacing


@pytest.mark.parametrize("folder", SETS, ids=lambda p: p.name)
def test_every_family(folder: Path) -> None:
    """Random weights: rough fields in which the surface is everywhere."""
    file = folder / json.loads((folder / "golden.json").read_text())["checkpoint"]
    compared(open_model(file, "cpu"), 41, None, 1.0)


@pytest.mark.parametrize("shipped", shipped_generators(), ids=lambda one: one.key)
def test_the_generators_that_ship(shipped: Shipped) -> None:
    generator = open_model(shipped.key, "cpu")
    compared(generator, 64, generator.capabilities.mesh_level, 0.8)
