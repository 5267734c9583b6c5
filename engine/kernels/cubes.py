"""Marching cubes on a GPU: ``cuda/cubes.cu``, the table of its cases and its torch reference.

The table is derived here, from the cube alone. Every side of a cube is walked round; where corners
inside begin and end, the surface crosses an edge, and each run of them is cut off by one segment.
Segments of all sides join to loops, and loops are cut into triangles whose inner edges lie on no
side, so that two cubes never share more than the segments of their common side.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.kernels.launch import launch, processors
from engine.kernels.use import Kernel, compare

#: Threads of a block.
THREADS = 256
#: Triangles of a cube at most, and columns of the table.
MOST_TRIANGLES, COLUMNS = 5, 16

#: ``CubesParams`` of ``cuda/cubes.cu``.
PARAMS_DTYPE = np.dtype(
    [
        *(
            (name, np.uint64)
            for name in (
                "values",
                "table",
                "vertex_counts",
                "triangle_counts",
                "vertex_ends",
                "triangle_ends",
                "vertices",
                "triangles",
            )
        ),
        ("nx", np.int32),
        ("ny", np.int32),
        ("nz", np.int32),
    ],
    align=True,
)


# ------------------------------------------------------------------ the table


def edge_between(a: int, b: int) -> int:
    """The edge between two neighbouring corners: ``4 axis + b + 2 c``, where b and c are the
    coordinates along the next two axes in turn."""
    axis = (a ^ b).bit_length() - 1
    first, second = (a >> (axis + 1) % 3) & 1, (a >> (axis + 2) % 3) & 1
    return 4 * axis + first + 2 * second


def _sides() -> list[tuple[int, ...]]:
    """The corners of each side, counter-clockwise seen from outside."""
    sides: list[tuple[int, ...]] = []
    for axis in range(3):
        u, v = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
        far = 1 << axis
        sides.append((far, far | u, far | u | v, far | v))
        sides.append((0, v, u | v, u))
    return sides


_SIDES = _sides()
#: Edge -> the two sides that it belongs to.
_SIDES_OF = {
    edge: frozenset(
        index
        for index, side in enumerate(_SIDES)
        if any(edge == edge_between(side[i], side[(i + 1) % 4]) for i in range(4))
    )
    for edge in range(12)
}


def _loops(inside: int) -> list[list[int]]:
    """Edges that the surface crosses, in order, for the corners whose bits are set."""
    follows: dict[int, int] = {}
    for side in _SIDES:
        within = [bool(inside >> corner & 1) for corner in side]
        for i in range(4):
            if within[i] or not within[(i + 1) % 4]:
                continue
            # A run of corners inside begins behind edge i; it ends at the next edge that leaves.
            end = next(j % 4 for j in range(i + 1, i + 4) if not within[(j + 1) % 4])
            entering = edge_between(side[i], side[(i + 1) % 4])
            follows[edge_between(side[end], side[(end + 1) % 4])] = entering
    loops = []
    while follows:
        start, edge = next(iter(follows.items()))
        del follows[start]
        loop = [start]
        while edge != start:
            loop.append(edge)
            edge = follows.pop(edge)
        loops.append(loop)
    return loops


def _cut(loop: tuple[int, ...]) -> tuple[int, list[int]]:
    """Triangles of a loop, with the fewest inner edges on a side: how many these are, and the
    corners."""
    if len(loop) < 3:
        return 0, []
    first, last = loop[0], loop[-1]
    best: tuple[int, list[int]] | None = None
    for i in range(1, len(loop) - 1):
        apex = loop[i]
        bad = 0
        if i > 1:
            bad += bool(_SIDES_OF[first] & _SIDES_OF[apex])
        if i < len(loop) - 2:
            bad += bool(_SIDES_OF[apex] & _SIDES_OF[last])
        left, right = _cut(loop[: i + 1]), _cut(loop[i:])
        bad += left[0] + right[0]
        if best is None or bad < best[0]:
            best = bad, [*left[1], last, apex, first, *right[1]]
    assert best is not None
    return best


@cache
def case_table() -> NDArray[np.int8]:
    """``[256, 16]``: the edges of each case's triangles, three and three, -1 behind the last."""
    table = np.full((256, COLUMNS), -1, np.int8)
    for case in range(256):
        corners = [edge for loop in _loops(case) for edge in _cut(tuple(loop))[1]]
        assert len(corners) <= 3 * MOST_TRIANGLES
        table[case, : len(corners)] = corners
    return table


# ------------------------------------------------------------------ the reference


def march_reference(values: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`try_march`, by torch, in the same order."""
    inside = values > 0.0
    grown = torch.zeros([n + 1 for n in values.shape], dtype=torch.bool, device=values.device)
    grown[:-1, :-1, :-1] = inside
    spread = torch.zeros(grown.shape, dtype=values.dtype, device=values.device)
    spread[:-1, :-1, :-1] = values
    nx, ny, nz = values.shape
    crossed, shares = [], []
    for along in range(3):
        step = [slice(int(along == i), n + int(along == i)) for i, n in enumerate(values.shape)]
        changes = inside != grown[tuple(step)]
        changes.select(along, values.shape[along] - 1).fill_(False)
        crossed.append(changes)
        shares.append(values / (values - spread[tuple(step)]))
    flags = torch.stack(crossed, dim=-1)
    number = flags.reshape(-1).cumsum(0).reshape(flags.shape) - 1
    at = flags.nonzero()
    vertices = at[:, :3].to(values.dtype)
    moved = torch.stack(shares, dim=-1)[flags]
    vertices[torch.arange(len(at), device=at.device), at[:, 3]] += moved
    case = torch.zeros((nx - 1, ny - 1, nz - 1), dtype=torch.long, device=values.device)
    for corner in range(8):
        x, y, z = corner & 1, corner >> 1 & 1, corner >> 2
        case += inside[x : nx - 1 + x, y : ny - 1 + y, z : nz - 1 + z].long() << corner
    table = torch.from_numpy(case_table().astype(np.int64)).to(values.device)
    cells = (case > 0).nonzero()
    edges = table[case[tuple(cells.T)]]
    which = (edges >= 0).nonzero()
    edge = edges[edges >= 0]
    owner = cells[which[:, 0]].clone()
    axis = edge // 4
    rows = torch.arange(len(edge), device=edge.device)
    owner[rows, (axis + 1) % 3] += edge & 1
    owner[rows, (axis + 2) % 3] += edge >> 1 & 1
    triangles = number[owner[:, 0], owner[:, 1], owner[:, 2], axis].reshape(-1, 3)
    return vertices, triangles.int()


# ------------------------------------------------------------------ launching


def try_march(values: Tensor) -> tuple[Tensor, Tensor] | None:
    """The surface where samples cross 0, by the kernels where they can, else ``None``.

    Args:
        values: ``[nx, ny, nz]`` float32, inside is above 0, two or more along each axis.

    Returns:
        ``[V, 3]`` float32 positions in units of samples, and ``[F, 3]`` int32 triangles,
        counter-clockwise seen from outside. Memory: 10 bytes for each sample besides.
    """
    if values.dtype != torch.float32 or values.dim() != 3 or not values.is_contiguous():
        return None
    if min(values.shape) < 2 or max(values.shape) >= 1 << 20:
        return None
    if marching.problem(values) is not None:
        return None
    counts = torch.empty((2, values.numel()), dtype=torch.uint8, device=values.device)
    table = torch.from_numpy(case_table()).to(values.device)
    record = np.zeros((), PARAMS_DTYPE)
    record["values"], record["table"] = values.data_ptr(), table.data_ptr()
    record["vertex_counts"], record["triangle_counts"] = (row.data_ptr() for row in counts)
    record["nx"], record["ny"], record["nz"] = values.shape

    def start(entry: str) -> bool:
        launch(
            "cubes.cu",
            entry,
            record,
            device=values.device,
            blocks=min(-(-values.numel() // THREADS), 16 * processors(values.device)),
            threads=THREADS,
            shared=0,
            defines={},
        )
        return True

    if marching.run(lambda: start("cubes_count")) is None:
        return None
    # Five triangles for each of 2^28 samples stay below 2^31.
    if values.numel() > 1 << 28:
        return None
    ends = [row.cumsum(0, dtype=torch.int32) for row in counts]
    vertices = values.new_empty((int(ends[0][-1]), 3))
    triangles = torch.empty((int(ends[1][-1]), 3), dtype=torch.int32, device=values.device)
    if not len(triangles):
        return vertices, triangles
    record["vertex_ends"], record["triangle_ends"] = (end.data_ptr() for end in ends)
    record["vertices"], record["triangles"] = vertices.data_ptr(), triangles.data_ptr()
    if marching.run(lambda: start("cubes_emit")) is None:
        return None
    return vertices, triangles


def _check(device: torch.device) -> None:
    values = (torch.arange(7.0 * 6 * 8) * 0.7).sin().reshape(7, 6, 8)
    expected, mine = march_reference(values), try_march(values.to(device))
    names = ("the vertices of a surface", "the triangles of a surface")
    for index, (name, bound) in enumerate(zip(names, (1e-5, 0.0), strict=True)):
        compare(name, None if mine is None else mine[index], expected[index], bound)


marching = Kernel("cubes", _check)
