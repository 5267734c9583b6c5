"""The benchmark of meshes: that both ways cut the same surface, and that what was asked for is counted."""

from __future__ import annotations

import pytest

from engine.export.isosurface import extract_isosurface
from engine.generators.registry import open_model
from tests.benchmarks import bench_mesh


def test_one_face_in_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    model = open_model("bundled:cips3d", "cpu")
    found = bench_mesh.measure(model, samples=48, repeats=2)
    assert len(found.near) == len(found.every) == 2 and min(found.near + found.every) > 0.0
    assert 0.0 < found.share < 1.0 and found.apart < 1e-3
    monkeypatch.setattr(bench_mesh, "extract_near_surface", extract_isosurface)
    assert bench_mesh.measure(model, samples=48, repeats=1).share == 1.0


def test_a_surface_that_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(*arguments: object) -> object:
        vertices, triangles = extract_isosurface(*arguments)  # type: ignore[arg-type]
        return vertices + 0.01, triangles

    monkeypatch.setattr(bench_mesh, "extract_isosurface", shifted)
    found = bench_mesh.measure(open_model("bundled:cips3d", "cpu"), samples=48, repeats=1)
    assert not found.apart < 1e-3
