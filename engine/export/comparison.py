"""Two pictures in one: split by a line, or side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.draw import Painter
from engine.generators.base import NEVER, CancelToken
from engine.recipe import Recipe

Progress = Callable[[int, int], None]
Pixels = NDArray[np.uint8]


def _no_progress(done: int, total: int) -> None:
    pass


def draw_comparison(
    painter: Painter,
    first: Recipe,
    second: Recipe,
    split: bool,
    share: float = 0.5,
    progress: Progress = _no_progress,
    cancel: CancelToken = NEVER,
) -> Pixels:
    """Draw two recipes as one picture, each as :meth:`Painter.pictures` draws it.

    Args:
        painter: holds the generator.
        first, second: left and right; of one size, both transparent or neither.
        split, share: see :func:`joined`.
        progress: called with (pictures drawn, 2).
        cancel: checked between ray chunks.

    Returns:
        ``[H, W, 3 or 4]`` uint8, see :func:`joined`.

    Raises:
        UserError: a recipe is out of range, or the model drew NaN.
        Cancelled: it was stopped.
    """
    drawn: list[Pixels] = []
    progress(0, 2)
    for one in painter.pictures((first, second), cancel):
        drawn.append(one.pixels.numpy())
        progress(len(drawn), 2)
    return joined(drawn[0], drawn[1], split, share)


def joined(first: Pixels, second: Pixels, split: bool, share: float = 0.5) -> Pixels:
    """Two pictures ``[H, W, 3 or 4]`` uint8 as one.

    Args:
        first, second: left and right.
        split: one picture of their size, the first left of a white line and the second right of
            it; otherwise both whole, ``[H, 2 W + line, 3 or 4]``, with the line between.
        share: where the line of a split stands, as a share of the width.
    """
    width = first.shape[1]
    line = max(2, width // 128)
    if not split:
        gap = np.full((first.shape[0], line, first.shape[2]), 255, np.uint8)
        return np.concatenate([first, gap, second], axis=1)
    x = round(width * min(max(share, 0.0), 1.0))
    out = first.copy()
    out[:, x:] = second[:, x:]
    out[:, max(x - line // 2, 0) : x - line // 2 + line] = 255
    return out
