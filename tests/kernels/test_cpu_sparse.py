"""The compiled bookkeeping of sparse meshes against numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.kernels import cpu_sparse
from engine.kernels.cpu_sparse import MINUS_ZERO, UNKNOWN

Floats = NDArray[np.float32]
SHAPES = [(9, 9, 9), (10, 7, 12), (4, 5, 6)]


def welded(vertices: Floats) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    first, index = (np.empty(len(vertices), np.int32) for _ in range(2))
    table = np.empty(1 << (2 * len(vertices)).bit_length(), np.int32)
    return first[: cpu_sparse.weld(vertices, table, first, index)], index


def test_equal_places_become_one() -> None:
    rng = np.random.default_rng(0)
    vertices = rng.integers(-3, 4, (3000, 3)).astype(np.float32) * np.float32(0.5)
    vertices[::7] *= np.float32(-1.0)  # zeros of both signs
    first, index = welded(vertices)
    assert np.array_equal(vertices[first][index], vertices)
    assert len(first) == len(np.unique(vertices + np.float32(0.0), axis=0)) == 343
    assert bool((np.diff(first) > 0).all()), "in the order of their first vertices"


def test_nearly_equal_places_stay_two() -> None:
    step = np.nextafter(np.float32(1.0), np.float32(2.0))
    vertices = np.array(list(itertools.product([1.0, step], repeat=3)), np.float32)
    first, index = welded(vertices)
    assert first.tolist() == index.tolist() == list(range(8))


def test_triangles_name_places_and_those_that_fell_together_are_left_out() -> None:
    faces = np.array([[0, 1, 2], [0, 3, 2], [4, 2, 1], [1, 3, 4]])
    index = np.array([0, 1, 2, 0, 3], np.int32)  # the fourth vertex is where the first one is
    found = np.empty_like(faces)
    count = cpu_sparse.relabelled(faces, index, found)
    assert found[:count].tolist() == [[0, 1, 2], [3, 2, 1], [1, 0, 3]]


def held(shape: tuple[int, int, int]) -> tuple[Floats, NDArray[np.int32]]:
    values = np.zeros(shape, np.float32)
    return values, values.view(np.int32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", [2, 4])
def test_a_lattice_is_asked_for_once(shape: tuple[int, int, int], step: int) -> None:
    _, bits = held(shape)
    queue = np.empty((1000, 3), np.int32)
    count = cpu_sparse.ask_lattice(bits, step, queue)
    axes = [sorted({*range(0, n, step), n - 1}) for n in shape]
    assert [tuple(one) for one in queue[:count].tolist()] == list(itertools.product(*axes))
    assert cpu_sparse.ask_lattice(bits, step, queue) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_ask_for_what_is_not_known(shape: tuple[int, int, int]) -> None:
    values, bits = held(shape)
    values[2, 2, 2] = 1.0
    blocks = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 1]], np.int32)
    queue = np.empty((81, 3), np.int32)
    count = cpu_sparse.ask_blocks(bits, blocks, 1, queue)
    wanted = {
        tuple(min(2 * i + o, n - 1) for i, o, n in zip(block, offset, shape, strict=True))
        for block in blocks.tolist()
        for offset in itertools.product(range(3), repeat=3)
    } - {(2, 2, 2)}
    found = [tuple(one) for one in queue[:count].tolist()]
    assert len(found) == len(set(found)) and set(found) == wanted


def test_zero_is_known_and_what_is_no_number_is_told() -> None:
    values, bits = held((2, 2, 2))
    queue = np.array([[0, 0, 0], [1, 1, 1]], np.int32)
    level, inwards = np.float32(3.0), np.float32(-1.0)
    assert cpu_sparse.store(bits, queue, np.array([3.0, 1.0], np.float32), level, inwards)
    assert bits[0, 0, 0] == MINUS_ZERO != UNKNOWN and values[0, 0, 0] == 0.0
    assert values[1, 1, 1] == 2.0
    assert not cpu_sparse.store(bits, queue, np.array([0.0, np.nan], np.float32), level, inwards)


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_that_the_surface_passes(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    inside = (rng.random(shape) < 0.8).astype(np.uint8)
    active = np.empty([n - 1 for n in shape], np.uint8)
    blocks = np.empty((active.size, 3), np.int32)
    count = cpu_sparse.passed(inside, active, blocks)
    for block in np.ndindex(active.shape):
        corners = inside[tuple(slice(i, i + 2) for i in block)]
        wall = any(i in (0, n - 1) for i, n in zip(block, active.shape, strict=True))
        assert active[block] == (bool(corners.any()) and (wall or not bool(corners.all())))
    assert np.array_equal(blocks[:count], np.argwhere(active))


def test_a_brick_says_which_cubes_are_cut() -> None:
    rng = np.random.default_rng(2)
    values, bits = held((6, 7, 8))
    values[...] = rng.standard_normal(values.shape)
    values[:, 3:, 4:] = 0.0  # not known: inside, as the lattice has it
    middle = np.ones((4, 4, 5), np.uint8)
    padded, mixed = np.empty((7, 8, 9), np.float32), np.empty((7, 8, 9), np.bool_)
    corner = np.full(3, -1, np.int32)
    far, outside = np.float32(1.5), np.float32(-9.0)
    assert cpu_sparse.fill_brick(values, bits, middle, corner, far, outside, padded, mixed)
    expected = np.full((7, 8, 9), outside)
    expected[1:, 1:, 1:] = np.where(bits == 0, far, np.clip(values, -far, far))
    assert np.array_equal(padded, expected)
    for cube in np.ndindex(6, 7, 8):
        solid = padded[tuple(slice(i, i + 2) for i in cube)] > 0.0
        if solid.any() and not solid.all():
            assert mixed[cube] and mixed[tuple(i + 1 for i in cube)]
    padded[...] = values[...] = 1.0
    corner[:] = 0
    assert not cpu_sparse.fill_brick(
        values, bits, middle, corner, far, outside, padded[:5, :5, :5], mixed[:5, :5, :5]
    )
    assert not mixed[:5, :5, :5].any()


def test_it_can_be_compiled_beforehand() -> None:
    cpu_sparse.prepare()
