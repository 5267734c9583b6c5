"""The bookkeeping of sparse marching cubes on a CPU, compiled by Numba.

A field that is read quickly leaves little of a mesh's time to itself: which samples are wanted, which of
them are known, and through which blocks the surface passes is most of the rest. Here each is one loop over
what it concerns, where numpy would pass over whole grids several times.

**Samples** are a grid ``[nx, ny, nz]`` of float32, inside above zero, and its bits as int32. Bits of 0 say
that a sample is not known yet: so a fresh grid needs no memory before it is written to. A sample of zero
is kept as minus zero.

:mod:`engine.export.sparse` says what it is for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.cpu_math import compiled

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Flags = NDArray[np.uint8]
Bools = NDArray[np.bool_]

#: Of :mod:`engine.kernels.cpu_math`, which goes into this file's functions: see there.
MATH = "21c3f7ee8df6fc33"

f32, i32, u8, u32, u64 = np.float32, np.int32, np.uint8, np.uint32, np.uint64

UNKNOWN, ASKED, MINUS_ZERO = i32(0), i32(0x7FFFFFFF), i32(-0x80000000)
ZERO, ONE = f32(0.0), u64(1)
#: Odd numbers that spread the bits of three coordinates.
_MIX_X, _MIX_Y, _MIX_Z = u32(0x9E3779B1), u32(0x85EBCA77), u32(0xC2B2AE3D)


@compiled()
def ask_lattice(bits: Ints, step: int, queue: Ints) -> int:
    """Queue every ``step``-th sample along each axis, and the last ones.

    Args:
        bits: of the samples, which are marked as asked for.
        queue: ``[M, 3]``, written: indices of the samples.

    Returns:
        How many were queued.
    """
    nx, ny, nz = bits.shape
    count = 0
    for i in range((nx + step - 2) // step + 1):
        x = min(i * step, nx - 1)
        for j in range((ny + step - 2) // step + 1):
            y = min(j * step, ny - 1)
            for k in range((nz + step - 2) // step + 1):
                z = min(k * step, nz - 1)
                if bits[x, y, z] == UNKNOWN:
                    bits[x, y, z] = ASKED
                    queue[count, 0], queue[count, 1], queue[count, 2] = x, y, z
                    count += 1
    return count


@compiled()
def ask_blocks(bits: Ints, blocks: Ints, step: int, queue: Ints) -> int:
    """Queue the samples that are not known yet of blocks that are ``2 * step`` wide, at every
    ``step``; what lies beyond the grid stands for its last sample.

    Args:
        bits: of the samples, which are marked as asked for.
        blocks: ``[N, 3]`` indices.
        queue: ``[>= 27 N, 3]``, written: indices of the samples.

    Returns:
        How many were queued.
    """
    nx, ny, nz = bits.shape
    count = 0
    for b in range(len(blocks)):
        for i in range(3):
            x = min((2 * blocks[b, 0] + i) * step, nx - 1)
            for j in range(3):
                y = min((2 * blocks[b, 1] + j) * step, ny - 1)
                for k in range(3):
                    z = min((2 * blocks[b, 2] + k) * step, nz - 1)
                    if bits[x, y, z] == UNKNOWN:
                        bits[x, y, z] = ASKED
                        queue[count, 0], queue[count, 1], queue[count, 2] = x, y, z
                        count += 1
    return count


@compiled()
def place(queue: Ints, x: Floats, y: Floats, z: Floats, points: Floats) -> None:
    """World points ``[M, 3]`` of the samples in ``queue``, by the coordinates along each axis."""
    for s in range(len(queue)):
        points[s, 0], points[s, 1], points[s, 2] = x[queue[s, 0]], y[queue[s, 1]], z[queue[s, 2]]


@compiled()
def store(bits: Ints, queue: Ints, found: Floats, level: np.float32, inwards: np.float32) -> bool:
    """Keep what a field has at the samples in ``queue``: ``inwards * (found - level)``.

    Returns:
        Whether all are numbers.
    """
    for s in range(len(queue)):
        value = f32(inwards * (found[s] - level))
        if value != value:
            return False
        kept = MINUS_ZERO if value == ZERO else value.view(np.int32)
        bits[queue[s, 0], queue[s, 1], queue[s, 2]] = kept
    return True


@compiled()
def sides(values: Floats, bits: Ints, step: int, beneath: Flags, inside: Flags) -> None:
    """Which samples of a lattice are inside (1), written to ``inside``.

    Args:
        step: the lattice has every ``step``-th sample, and the last ones.
        beneath: the lattice twice as coarse, which samples that are not known follow; or of no
            elements where all are known.
    """
    nx, ny, nz = bits.shape
    for i in range(inside.shape[0]):
        x = min(i * step, nx - 1)
        for j in range(inside.shape[1]):
            y = min(j * step, ny - 1)
            for k in range(inside.shape[2]):
                z = min(k * step, nz - 1)
                if bits[x, y, z] == UNKNOWN:
                    inside[i, j, k] = beneath[i // 2, j // 2, k // 2]
                else:
                    inside[i, j, k] = u8(values[x, y, z] > ZERO)


@compiled()
def passed(inside: Flags, active: Flags, blocks: Ints) -> int:
    """Blocks between the samples of a lattice that the surface passes through. Outside of the grid
    there is nothing, so that it also passes where an outermost block has a sample inside.

    Args:
        inside: ``[a + 1, b + 1, c + 1]``.
        active: ``[a, b, c]``, written: 1 for such blocks.
        blocks: ``[>= a b c, 3]``, written: their indices.

    Returns:
        How many there are.
    """
    a, b, c = active.shape
    count = 0
    for i in range(a):
        for j in range(b):
            wall = i == 0 or j == 0 or i == a - 1 or j == b - 1
            p, q, r, s = inside[i, j], inside[i, j + 1], inside[i + 1, j], inside[i + 1, j + 1]
            row = active[i, j]
            for k in range(c):
                total = p[k] + p[k + 1] + q[k] + q[k + 1] + r[k] + r[k + 1] + s[k] + s[k + 1]
                row[k] = u8(total)
            for k in range(c):
                total = row[k]
                if total == 0:
                    continue
                if total < 8 or wall or k == 0 or k == c - 1:
                    row[k] = u8(1)
                    blocks[count, 0], blocks[count, 1], blocks[count, 2] = i, j, k
                    count += 1
                else:
                    row[k] = u8(0)
    return count


@compiled()
def follow(values: Floats, fresh: Ints, inside: Flags, active: Flags, reached: Ints) -> int:
    """Where the surface leaves blocks, which are two samples wide, through a side.

    Args:
        values: all samples of the blocks are known.
        fresh: ``[N, 3]`` blocks.
        inside: of the lattice of every second sample; those of the blocks are written.
        active: 1 for blocks that were reached before; more are marked.
        reached: ``[>= 6 N, 3]``, written: the blocks behind such sides that were not.

    Returns:
        How many were reached.
    """
    nx, ny, nz = values.shape
    a, b, c = active.shape
    # How many of a side's nine samples are inside: low and high of each axis.
    held = np.empty(6, i32)
    count = 0
    for n in range(len(fresh)):
        bx, by, bz = fresh[n, 0], fresh[n, 1], fresh[n, 2]
        held[:] = 0
        for i in range(3):
            x = min(2 * bx + i, nx - 1)
            for j in range(3):
                y = min(2 * by + j, ny - 1)
                for k in range(3):
                    solid = values[x, y, min(2 * bz + k, nz - 1)] > ZERO
                    if i != 1 and j != 1 and k != 1:
                        inside[bx + i // 2, by + j // 2, bz + k // 2] = u8(solid)
                    if solid:
                        if i != 1:
                            held[i // 2] += 1
                        if j != 1:
                            held[2 + j // 2] += 1
                        if k != 1:
                            held[4 + k // 2] += 1
        for side in range(6):
            if held[side] == 0 or held[side] == 9:
                continue
            step = 2 * (side % 2) - 1
            x = bx + (step if side // 2 == 0 else 0)
            y = by + (step if side // 2 == 1 else 0)
            z = bz + (step if side // 2 == 2 else 0)
            if x < 0 or y < 0 or z < 0 or x >= a or y >= b or z >= c:
                continue
            if active[x, y, z] == 0:
                active[x, y, z] = u8(1)
                reached[count, 0], reached[count, 1], reached[count, 2] = x, y, z
                count += 1
    return count


@compiled()
def fill_brick(
    values: Floats, bits: Ints, inside: Flags, corner: Ints, far: np.float32, outside: np.float32,
    padded: Floats, mixed: Bools,
) -> bool:  # fmt: skip
    """The samples of a brick for marching cubes. What is not known is far from the surface, on the
    side of the sample below it in the lattice of every second.

    Args:
        inside: of that lattice.
        corner: ``[3]`` index of the brick's first sample, -1 for the padding.
        far: values beyond it are cut. outside: what stands around the grid.
        padded: written.
        mixed: as large, written: both the first and the last corner of every cube with corners on
            both sides.

    Returns:
        Whether there is such a cube.
    """
    nx, ny, nz = values.shape
    sx, sy, sz = padded.shape
    for i in range(sx):
        x = corner[0] + i
        for j in range(sy):
            y = corner[1] + j
            line = padded[i, j]
            if x < 0 or y < 0 or x >= nx or y >= ny:
                line[:] = outside
                continue
            below = inside[x // 2, y // 2]
            known, row = bits[x, y], values[x, y]
            for k in range(sz):
                z = corner[2] + k
                if z < 0 or z >= nz:
                    line[k] = outside
                    continue
                at = u64(z)
                value = row[at]
                value = value if value < far else far
                value = value if value > -far else -far
                unknown = far if below[at >> ONE] != 0 else -far
                line[k] = unknown if known[at] == UNKNOWN else value
    mixed[:] = False
    some = False
    # Corners inside of the side between a cube and the one before it.
    held = np.empty(sz, u8)
    for i in range(sx - 1):
        for j in range(sy - 1):
            p, q, r, s = padded[i, j], padded[i, j + 1], padded[i + 1, j], padded[i + 1, j + 1]
            for k in range(sz):
                held[k] = u8(u8(p[k] > ZERO) + u8(q[k] > ZERO) + u8(r[k] > ZERO) + u8(s[k] > ZERO))
            for k in range(sz - 1):
                if 0 < held[k] + held[k + 1] < 8:
                    mixed[i, j, k] = mixed[i + 1, j + 1, k + 1] = some = True
    return some


@compiled()
def weld(vertices: Floats, table: Ints, first: Ints, index: Ints) -> int:
    """One number for all vertices at one place, by a hash table with open addressing.

    Args:
        vertices: ``[N, 3]``.
        table: scratch of a power of two elements, at least ``2 N``.
        first: ``[N]``, written: the first vertex at each place, in order.
        index: ``[N]``, written: the number of each vertex' place.

    Returns:
        How many places there are.
    """
    mask = u32(len(table) - 1)
    table[:] = -1
    count = 0
    for v in range(len(vertices)):
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        # Zeros of both signs are one place.
        a = u32(0) if x == ZERO else f32(x).view(np.uint32)
        b = u32(0) if y == ZERO else f32(y).view(np.uint32)
        c = u32(0) if z == ZERO else f32(z).view(np.uint32)
        mixed = u32(u32(a * _MIX_X) ^ u32(b * _MIX_Y)) ^ u32(c * _MIX_Z)
        mixed = u32(mixed ^ (mixed >> u32(15)))
        slot = u32(u32(mixed * _MIX_X) ^ (mixed >> u32(13))) & mask
        while True:
            known = table[slot]
            if known < 0:
                table[slot] = count
                first[count] = v
                index[v] = count
                count += 1
                break
            other = first[known]
            if vertices[other, 0] == x and vertices[other, 1] == y and vertices[other, 2] == z:
                index[v] = known
                break
            slot = u32(slot + u32(1)) & mask
    return count


@compiled()
def relabelled(faces: Longs, index: Ints, found: Longs) -> int:
    """Triangles with their vertices' places in the vertices' stead; those that are none any
    more, since two of their vertices were one place, are left out.

    Args:
        faces: ``[F, 3]`` vertices.
        index: the number of each vertex' place, from :func:`weld`.
        found: ``[F, 3]``, written.

    Returns:
        How many triangles there are.
    """
    count = 0
    for f in range(len(faces)):
        a, b, c = index[faces[f, 0]], index[faces[f, 1]], index[faces[f, 2]]
        if a != b and b != c and c != a:
            found[count, 0], found[count, 1], found[count, 2] = a, b, c
            count += 1
    return count


def prepare() -> None:
    """Compile everything, or load it where it was compiled before: a small cube that is half full."""
    values = np.zeros((5, 5, 5), np.float32)
    bits, axis = values.view(np.int32), np.arange(5, dtype=np.float32)
    queue, points = np.empty((200, 3), np.int32), np.empty((200, 3), np.float32)
    count = ask_lattice(bits, 4, queue)
    place(queue[:count], axis, axis, axis, points[:count])
    store(bits, queue[:count], points[:count, 0].copy(), f32(2.0), f32(1.0))
    coarse, middle = np.empty((2, 2, 2), np.uint8), np.empty((3, 3, 3), np.uint8)
    sides(values, bits, 4, np.empty((0, 0, 0), np.uint8), coarse)
    sides(values, bits, 2, coarse, middle)
    active, blocks = np.empty((2, 2, 2), np.uint8), np.empty((8, 3), np.int32)
    count = ask_blocks(bits, blocks[: passed(middle, active, blocks)], 1, queue)
    store(bits, queue[:count], points[:count, 0].copy(), f32(2.0), f32(1.0))
    follow(values, blocks[:1], middle, active, queue)
    padded, mixed = np.empty((5, 5, 5), np.float32), np.empty((5, 5, 5), np.bool_)
    fill_brick(values, bits, middle, queue[0] * 0, f32(1e5), f32(-1e6), padded, mixed)
    weld(points[:3], np.empty(16, np.int32), np.empty(3, np.int32), np.empty(3, np.int32))
    relabelled(np.zeros((1, 3), np.int64), np.zeros(1, np.int32), np.empty((1, 3), np.int64))
