"""Matrices in the order in which the lanes of a warp hand them to a tensor core."""

from __future__ import annotations

from torch import Tensor


def fragments(weight: Tensor) -> Tensor:
    """``[O, I]``, multiples of 8 -> the order in which lanes read it: ``[I / 8, O / 8, 32, 2]``.
    Lane 4 g + t of a tile has row g of the weights at columns t and t + 4."""
    outputs, inputs = weight.shape
    tiles = weight.reshape(outputs // 8, 8, inputs // 8, 2, 4)
    return tiles.permute(2, 0, 1, 4, 3).reshape(-1)


def following_fragments(weight: Tensor) -> Tensor:
    """The same of a layer whose inputs are what a product has left in the lanes: lane 4 g + t has row g of the
    weights at columns 2 t and 2 t + 1, in which order the sums of the product before lie there."""
    outputs, inputs = weight.shape
    tiles = weight.reshape(outputs // 8, 8, inputs // 8, 4, 2)
    return tiles.permute(2, 0, 1, 3, 4).reshape(-1)
