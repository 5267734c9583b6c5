"""Marching cubes by the kernel, and the table that it reads."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from skimage import measure
from torch import Tensor

from engine.kernels.cubes import case_table, edge_between, march_reference, try_march
from tests.kernels.fields import worst
from tests.kernels.places import at, everywhere


def _noise(*shape: int, seed: int = 0) -> Tensor:
    """Every kind of cube, ambiguous ones too; the outermost samples are outside."""
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    framed = torch.full_like(values, -1.0)
    framed[1:-1, 1:-1, 1:-1] = values[1:-1, 1:-1, 1:-1]
    return framed


def _ball(count: int) -> Tensor:
    axes = torch.meshgrid(*[torch.linspace(-1.0, 1.0, count)] * 3, indexing="ij")
    x, y, z = axes
    return 0.55 - (x.square() + 0.8 * y.square() + 0.6 * (z - 0.1).square()).sqrt()


def _directed_edges(triangles: Tensor) -> Counter[tuple[int, int]]:
    a, b, c = triangles.long().T.tolist()
    return Counter([*zip(a, b, strict=True), *zip(b, c, strict=True), *zip(c, a, strict=True)])


def _volume(vertices: Tensor, triangles: Tensor) -> float:
    """Signed volume: positive where triangles wind counter-clockwise seen from outside."""
    a, b, c = (vertices.double()[triangles.long()[:, i]] for i in range(3))
    return float((a * torch.linalg.cross(b, c)).sum() / 6.0)


def test_edges_have_the_numbers_that_the_source_reads() -> None:
    assert edge_between(0, 1) == 0  # along x, y = z = 0
    assert edge_between(2, 3) == 1  # along x, y = 1
    assert edge_between(4, 5) == 2  # along x, z = 1
    assert edge_between(0, 2) == 4  # along y, z = x = 0
    assert edge_between(4, 6) == 5  # along y, z = 1
    assert edge_between(1, 3) == 6  # along y, x = 1
    assert edge_between(3, 7) == 11  # along z, x = y = 1


def test_the_table_joins_the_edges_that_are_crossed() -> None:
    table = case_table()
    for case in range(256):
        crossed = {
            edge_between(corner, corner ^ bit)
            for corner in range(8)
            for bit in (1, 2, 4)
            if (case >> corner & 1) and not (case >> (corner ^ bit) & 1)
        }
        assert set(table[case][table[case] >= 0].tolist()) == crossed
    counts = Counter((row >= 0).sum() // 3 for row in table)
    assert set(counts) == {0, 1, 2, 3, 4, 5}
    assert counts[0] == 2


def test_surfaces_of_noise_are_closed_and_wound_one_way() -> None:
    """Every edge of a triangle is another's, once, the other way: no holes, no double walls."""
    for seed in range(3):
        _, triangles = march_reference(_noise(14, 15, 16, seed=seed))
        edges = _directed_edges(triangles)
        assert len(triangles) > 3000
        assert set(edges.values()) == {1}
        assert all((b, a) in edges for a, b in edges)


def test_a_ball_is_scikit_images_ball() -> None:
    values = _ball(20)
    vertices, triangles = march_reference(values)
    theirs, faces, _, _ = measure.marching_cubes(values.numpy(), 0.0, gradient_direction="ascent")
    assert len(vertices) == len(theirs)
    assert len(triangles) == len(faces)
    mine = vertices.numpy().astype(np.float64)
    distance = np.abs(mine[:, None] - theirs[None]).max(axis=-1)
    assert distance.min(axis=1).max() < 1e-5
    assert distance.min(axis=0).max() < 1e-5
    other = _volume(torch.from_numpy(theirs.copy()), torch.from_numpy(faces.astype(np.int64)))
    assert other > 0.0
    assert _volume(vertices, triangles) == pytest.approx(other, rel=1e-3)


@everywhere
@pytest.mark.parametrize("shape", [(9, 8, 7), (2, 2, 2), (3, 40, 5)], ids=str)
def test_the_kernel_equals_the_reference(place: str, shape: tuple[int, int, int]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(4))
    expected = march_reference(values)
    with at(place) as device:
        found = try_march(values.to(device))
        assert found is not None
        vertices, triangles = found[0].cpu(), found[1].cpu()
    assert vertices.shape == expected[0].shape
    assert worst(vertices, expected[0]) < 1e-6
    assert torch.equal(triangles, expected[1])


@everywhere
def test_nothing_is_found_where_nothing_is(place: str) -> None:
    with at(place) as device:
        found = try_march(torch.full((4, 4, 4), -1.0, device=device))
    assert found is not None
    assert found[0].shape == found[1].shape == (0, 3)


def test_what_does_not_fit_is_left_to_others() -> None:
    with at("emulated"):
        assert try_march(torch.zeros(4, 4, 4).double()) is None
        assert try_march(torch.zeros(1, 4, 4)) is None
        assert try_march(torch.zeros(4, 4, 4).transpose(0, 2)) is None
    assert try_march(torch.zeros(4, 4, 4)) is None
