"""Finding pictures that are there twice, byte for byte or nearly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Side of the small grey picture, and of its lowest frequencies that are kept: 256 bits.
_SIDE, _KEPT = 64, 16
BITS = _KEPT * _KEPT
#: Pictures whose looks differ in no more bits are told as the same. Of rendered heads, other
#: heads differed in 38 bits and more, half of them in 124; the same one saved as a poor JPEG or
#: at another size in 14 and less, mostly in fewer than 6.
NEAR = 15
_BANDS = 16

Look = NDArray[np.uint8]


def _cosines() -> NDArray[np.float64]:
    """``[_KEPT, _SIDE]`` the first rows of the discrete cosine transform (type II), without the
    constant one: brightness tells nothing."""
    row, column = np.arange(1, _KEPT + 1)[:, None], np.arange(_SIDE)[None]
    matrix: NDArray[np.float64] = np.cos(np.pi * row * (column + 0.5) / _SIDE)
    return matrix


_TRANSFORM = _cosines()


def look_of(picture: Image.Image) -> str:
    """64 hexadecimal digits that hardly change when a picture is resized or packed anew: whether
    each of its 256 lowest frequencies is above their median (after Zauner 2010)."""
    grey = picture.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, np.float64)
    low = _TRANSFORM @ values @ _TRANSFORM.T
    return np.packbits((low > np.median(low)).ravel()).tobytes().hex()


def distance(first: str, second: str) -> int:
    """Bits in which two looks differ, 0 to 256."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def groups(hashes: Sequence[str], looks: Sequence[str]) -> list[tuple[int, ...]]:
    """Indices of pictures that are the same or nearly, the first of each group first.

    Pictures are compared only where one of 16 bands of their looks is equal, which all have whose
    looks differ in no more than 15 bits; so it takes time in proportion to the pictures.

    Args:
        hashes: of the files' bytes. looks: of the pictures.
    """
    parent = list(range(len(hashes)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def join(a: int, b: int) -> None:
        a, b = root(a), root(b)
        if a != b:
            parent[max(a, b)] = min(a, b)

    first: dict[str, int] = {}
    for index, content in enumerate(hashes):
        join(first.setdefault(content, index), index)
    width = len(looks[0]) // _BANDS if looks else 0
    for band in range(_BANDS):
        same: dict[str, list[int]] = defaultdict(list)
        for index, look in enumerate(looks):
            bucket = same[look[band * width : (band + 1) * width]]
            # A bucket that many share (one backdrop) would make this quadratic: the last few
            # of it are enough to chain what is nearly the same.
            for other in bucket[-32:]:
                if root(other) != root(index) and distance(looks[other], look) <= NEAR:
                    join(other, index)
            bucket.append(index)
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(len(hashes)):
        members[root(index)].append(index)
    return [tuple(group) for group in members.values() if len(group) > 1]
