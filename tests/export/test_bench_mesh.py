"""The benchmark of meshes: that both ways cut the same surface, and that what was asked for is counted."""

from __future__ import annotations

import os

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


@pytest.mark.parametrize("before", [None, "triplane"])
def test_every_sample_by_torch_alone(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    seen: dict[str, str | None] = {}
    for name in ("extract_near_surface", "extract_isosurface"):
        real = getattr(bench_mesh, name)

        def watched(*arguments: object, name: str = name, real: object = real) -> object:
            seen[name] = os.environ.get("MAQUETTE_KERNELS")
            return real(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(bench_mesh, name, watched)
    if before is None:
        monkeypatch.delenv("MAQUETTE_KERNELS", raising=False)
    else:
        monkeypatch.setenv("MAQUETTE_KERNELS", before)
    model = open_model("bundled:cips3d", "cpu")
    found = bench_mesh.measure(model, samples=48, repeats=1, plain=True)
    assert seen == {"extract_near_surface": before, "extract_isosurface": "0"}
    assert os.environ.get("MAQUETTE_KERNELS") == before and found.apart < 1e-2
