"""Surfaces that are cut on a GPU (here its emulation) against those that the processor cuts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree
from torch import Tensor

from engine.errors import Cancelled, ExportError
from engine.export import on_gpu
from engine.export.isosurface import Grid, extract_isosurface
from engine.export.mesh import extract_mesh
from engine.export.on_gpu import extract_on_gpu
from engine.export.options import MeshOptions
from engine.generators.base import CancelToken
from tests.export.analytic import LEVEL, AnalyticField, AnalyticGenerator
from tests.kernels.emulator import emulated

CPU = torch.device("cpu")
ONE = (1,)


def ignore(done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.mark.parametrize(("meaning", "level"), [("density", LEVEL), ("sdf", 0.0)])
def test_the_surface_is_the_processors(
    meaning: Literal["density", "sdf"], level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_gpu, "CHUNK_POINTS", 700)
    field = AnalyticField(meaning)
    grid = Grid.over(AnalyticGenerator(field).capabilities, 18)
    theirs, faces = extract_isosurface(field, grid, level, meaning, CPU, ignore)
    with emulated(ONE):
        found = extract_on_gpu(field, grid, level, meaning, CPU, ignore)
    assert found is not None
    vertices, triangles = found
    # A cube's middle has no vertex here; all others are the same.
    assert cKDTree(theirs).query(vertices)[0].max() < 1e-4 * grid.spacing
    assert len(vertices) <= len(theirs)
    mine = trimesh.Trimesh(vertices, triangles, process=False)
    other = trimesh.Trimesh(theirs, faces, process=False)
    assert mine.is_watertight and mine.is_winding_consistent
    assert mine.volume == pytest.approx(other.volume, rel=2e-3)
    assert mine.volume > 0.0


def test_a_mesh_with_colours_goes_this_way_where_the_field_is_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = AnalyticGenerator()
    options = MeshOptions(resolution=24)
    w = torch.zeros(generator.capabilities.num_ws, generator.capabilities.w_dim)
    plain = extract_mesh(generator, w, options)
    with emulated(ONE) as emulator:
        extract_mesh(generator, w, options)
        assert emulator.launched == []
        monkeypatch.setattr(generator.made, "quick", True, raising=False)
        quick = extract_mesh(generator, w, options)
        assert {"cubes_count", "cubes_emit"} <= set(emulator.launched)
    assert quick.is_watertight
    assert abs(len(quick.faces) - len(plain.faces)) <= 0.01 * len(plain.faces)
    nearest = cKDTree(plain.vertices).query(quick.vertices)[1]
    colours = (mesh.visual.vertex_colors.astype(int) for mesh in (quick, plain))
    mine, theirs = next(colours), next(colours)
    assert np.abs(mine - theirs[nearest]).max() <= 8


def test_nothing_to_cut_is_left_to_the_processor() -> None:
    field = AnalyticField()
    grid = Grid.over(AnalyticGenerator(field).capabilities, 9)
    assert extract_on_gpu(field, grid, LEVEL, "density", CPU, ignore) is None
    with emulated(ONE):
        assert extract_on_gpu(field, grid, 1e9, "density", CPU, ignore) is None
        assert extract_on_gpu(field, grid, -1e9, "density", CPU, ignore) is None


def test_no_number_and_cancelling() -> None:
    class Broken(AnalyticField):
        def density(self, points: Tensor) -> Tensor:
            return torch.full((len(points),), torch.nan)

    grid = Grid.over(AnalyticGenerator().capabilities, 9)
    cancel = CancelToken()
    cancel.cancel()
    with emulated(ONE):
        with pytest.raises(ExportError, match="NaN"):
            extract_on_gpu(Broken(), grid, LEVEL, "density", CPU, ignore)
        with pytest.raises(Cancelled):
            extract_on_gpu(AnalyticField(), grid, LEVEL, "density", CPU, ignore, cancel)
