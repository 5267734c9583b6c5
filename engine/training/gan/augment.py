"""Changing what the discriminator sees at random, so that a small set is not learnt by heart.

Two published ways, both differentiable twice with respect to the pictures (R1 looks through
them). Pictures of six channels (EG3D's pairs) are two of three: they move together, and each has
the same change of colour. Strength is the chance of each change, for each picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from engine.errors import UserError

Augmentation = Callable[[Tensor, float, torch.Generator], Tensor]


class _Dice:
    """Random numbers for each picture of a batch."""

    def __init__(self, pictures: Tensor, random: torch.Generator) -> None:
        self._n, self._like, self._random = pictures.shape[0], pictures, random

    def uniform(self) -> Tensor:
        """``[N]`` in 0 to 1."""
        return torch.rand(self._n, generator=self._random, device=self._like.device)

    def normal(self) -> Tensor:
        """``[N]`` from N(0, 1)."""
        return torch.randn(self._n, generator=self._random, device=self._like.device)

    def maybe(self, chance: float, value: Tensor, otherwise: float) -> Tensor:
        """``value`` with that chance, else ``otherwise``."""
        return torch.where(self.uniform() < chance, value, torch.full_like(value, otherwise))


# -------------------------------------------------------------------------------------- ADA


def adaptive(pictures: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """The geometry and colours of ADA (Karras et al. 2020, appendix B): flips, quarter turns,
    shifts, scaling, turns, stretching; brightness, contrast, luma flip, hue and saturation.

    Pictures are read bilinearly and mirrored at their edges; the paper's wavelet filters, which
    keep enlarged and shrunk pictures free of aliasing, are left out.

    Args:
        pictures: ``[N, C, H, H]``, C a multiple of 3, in [-1, 1].
        strength: p, in 0 to 1.
        random: on the pictures' device.
    """
    if strength <= 0.0:
        return pictures
    dice = _Dice(pictures, random)
    moved = warped(pictures, _geometry(dice, strength, pictures.shape[-1]))
    return recoloured(moved, _colours(dice, strength))


def _geometry(dice: _Dice, p: float, side: int) -> Tensor:
    """``[N, 3, 3]`` from places in the result to places in the picture, sides from -1 to 1."""
    zero, one = 0.0, 1.0
    flip = dice.maybe(p, 1.0 - 2.0 * (dice.uniform() * 2.0).floor(), one)
    matrix = _stretch(flip, torch.ones_like(flip))
    quarter = dice.maybe(p, (dice.uniform() * 4.0).floor() * (math.pi / 2.0), zero)
    matrix = matrix @ _turn(quarter)
    # Whole pixels, an eighth of the side at most.
    across, down = (_whole(dice.uniform() * 0.25 - 0.125, side) for _ in range(2))
    use = dice.maybe(p, torch.ones_like(across), zero)
    matrix = matrix @ _shift(across * use * 2.0, down * use * 2.0)
    scale = dice.maybe(p, (dice.normal() * 0.2).exp2(), one)
    matrix = matrix @ _stretch(scale, scale)
    # Turned before and after, the chance of either is p.
    half = 1.0 - math.sqrt(1.0 - p)
    matrix = matrix @ _turn(dice.maybe(half, (dice.uniform() * 2.0 - 1.0) * math.pi, zero))
    wide = dice.maybe(p, (dice.normal() * 0.2).exp2(), one)
    matrix = matrix @ _stretch(wide, 1.0 / wide)
    matrix = matrix @ _turn(dice.maybe(half, (dice.uniform() * 2.0 - 1.0) * math.pi, zero))
    across, down = dice.normal() * 0.125, dice.normal() * 0.125
    use = dice.maybe(p, torch.ones_like(across), zero)
    return matrix @ _shift(across * use * 2.0, down * use * 2.0)


def _colours(dice: _Dice, p: float) -> Tensor:
    """``[N, 4, 4]`` on (red, green, blue, 1)."""
    n = dice.uniform().shape[0]
    matrix = torch.eye(4, device=dice.uniform().device).repeat(n, 1, 1)
    brightness = dice.maybe(p, dice.normal() * 0.2, 0.0)
    add = torch.zeros_like(matrix)
    add[:, :3, 3] = brightness[:, None]
    matrix = (torch.eye(4, device=matrix.device) + add) @ matrix
    contrast = dice.maybe(p, (dice.normal() * 0.5).exp2(), 1.0)
    matrix = _linear(contrast[:, None, None] * torch.eye(3, device=matrix.device)) @ matrix
    grey = torch.full((3, 3), 1.0 / 3.0, device=matrix.device)
    eye = torch.eye(3, device=matrix.device)
    luma = dice.maybe(p, (dice.uniform() * 2.0).floor(), 0.0)
    matrix = _linear(eye - 2.0 * grey * luma[:, None, None]) @ matrix
    hue = dice.maybe(p, (dice.uniform() * 2.0 - 1.0) * math.pi, 0.0)[:, None, None]
    # Rodrigues' turn about (1, 1, 1): its cross product divided by the root of three.
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=matrix.device)
    turn = grey + hue.cos() * (eye - grey) + hue.sin() * cross / math.sqrt(3.0)
    matrix = _linear(turn) @ matrix
    saturation = dice.maybe(p, dice.normal().exp2(), 1.0)[:, None, None]
    return _linear(grey + saturation * (eye - grey)) @ matrix


def _linear(three: Tensor) -> Tensor:
    """``[N, 3, 3]`` -> ``[N, 4, 4]``."""
    four = torch.eye(4, device=three.device).repeat(three.shape[0], 1, 1)
    four[:, :3, :3] = three
    return four


def _whole(share: Tensor, side: int) -> Tensor:
    return (share * side).round() / side


def _rows(a: Tensor, b: Tensor, x: Tensor, c: Tensor, d: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    return torch.stack([a, b, x, c, d, y, zero, zero, one], dim=-1).reshape(-1, 3, 3)


def _turn(angle: Tensor) -> Tensor:
    zero = torch.zeros_like(angle)
    return _rows(angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero)


def _stretch(x: Tensor, y: Tensor) -> Tensor:
    zero = torch.zeros_like(x)
    return _rows(x, zero, zero, zero, y, zero)


def _shift(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows(one, zero, x, zero, one, y)


def warped(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Pictures read at other places, bilinearly, mirrored at their edges.

    By gathers rather than ``grid_sample``, whose gradient torch cannot differentiate again.

    Args:
        pictures: ``[N, C, H, W]``.
        matrix: ``[N, 3, 3]`` from places in the result to places in the picture; the middles of
            the outermost pixels lie half a pixel inside -1 and 1.
    """
    n, c, h, w = pictures.shape
    y = (torch.arange(h, device=pictures.device) + 0.5) * (2.0 / h) - 1.0
    x = (torch.arange(w, device=pictures.device) + 0.5) * (2.0 / w) - 1.0
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    here = torch.stack([columns, rows, torch.ones_like(rows)]).reshape(3, -1)
    there = matrix @ here
    across = _mirrored((there[:, 0] + 1.0) * (w / 2.0) - 0.5, w)
    down = _mirrored((there[:, 1] + 1.0) * (h / 2.0) - 0.5, h)
    left, top = across.floor().clamp(0, w - 1), down.floor().clamp(0, h - 1)
    right_share, low_share = across - left, down - top
    flat = pictures.reshape(n, c, h * w)
    total = torch.zeros_like(flat)
    for lower, down_share in ((0, 1.0 - low_share), (1, low_share)):
        for right, across_share in ((0, 1.0 - right_share), (1, right_share)):
            row, column = (top + lower).clamp(max=h - 1), (left + right).clamp(max=w - 1)
            index = (row * w + column).long()[:, None].expand(-1, c, -1)
            total = total + flat.gather(2, index) * (down_share * across_share)[:, None]
    return total.reshape(n, c, h, w)


def _mirrored(at: Tensor, count: int) -> Tensor:
    """Pixel coordinates beyond the first and last pixel's outer edge, mirrored there."""
    around = torch.remainder(at + 0.5, 2.0 * count)
    inside = torch.minimum(around, 2.0 * count - around) - 0.5
    return inside.clamp(0.0, count - 1.0)


def recoloured(pictures: Tensor, matrix: Tensor) -> Tensor:
    """``[N, 3 k, H, W]`` with ``[N, 4, 4]`` applied to (red, green, blue, 1) of each three."""
    n, c, h, w = pictures.shape
    triples = pictures.reshape(n, c // 3, 3, h * w)
    mixed = torch.einsum("nij,nkjp->nkip", matrix[:, :3, :3].to(pictures.dtype), triples)
    return (mixed + matrix[:, None, :3, 3:].to(pictures.dtype)).reshape(n, c, h, w)


# ------------------------------------------------------------------------------ DiffAugment


def differentiable(pictures: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """Brightness, saturation and contrast; shifts by an eighth; a square of half the side cut out.

    Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training" (2020), section 3.
    As published every picture is changed in every way: strength 1.

    Args:
        pictures: ``[N, C, H, W]``, C a multiple of 3, in [-1, 1].
        strength: share of the pictures that are changed, in 0 to 1.
        random: on the pictures' device.
    """
    if strength <= 0.0:
        return pictures
    dice = _Dice(pictures, random)
    n, c, h, w = pictures.shape
    chosen = (dice.uniform() < strength)[:, None, None, None]

    def each(values: Tensor) -> Tensor:
        return values[:, None, None, None, None]

    x = pictures.reshape(n, c // 3, 3, h, w)
    x = x + each(dice.uniform() - 0.5)
    grey = x.mean(dim=2, keepdim=True)
    x = grey + (x - grey) * each(dice.uniform() * 2.0)
    mean = x.mean(dim=(2, 3, 4), keepdim=True)
    x = mean + (x - mean) * each(dice.uniform() + 0.5)
    x = _moved(x.reshape(n, c, h, w), *(_steps(dice, side) for side in (h, w)))
    x = x * _hole(dice, h, w)
    return torch.where(chosen, x, pictures)


def _steps(dice: _Dice, side: int) -> Tensor:
    """``[N]`` whole pixels, an eighth of the side at most in both directions."""
    reach = int(side * 0.125 + 0.5)
    return (dice.uniform() * (2 * reach + 1)).floor().long() - reach


def _moved(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """``[N, C, H, W]`` moved by whole pixels, zeros where nothing comes."""
    n, c, h, w = x.shape
    row = torch.arange(h, device=x.device)[None] - down[:, None]
    column = torch.arange(w, device=x.device)[None] - across[:, None]
    inside = ((row >= 0) & (row < h))[:, :, None] & ((column >= 0) & (column < w))[:, None]
    index = row.clamp(0, h - 1)[:, :, None] * w + column.clamp(0, w - 1)[:, None]
    read = x.reshape(n, c, h * w).gather(2, index.reshape(n, 1, -1).expand(-1, c, -1))
    return read.reshape(n, c, h, w) * inside[:, None]


def _hole(dice: _Dice, h: int, w: int) -> Tensor:
    """``[N, 1, H, W]`` one, and zero in a square of half the sides about a random pixel."""
    tall, wide = h // 2, w // 2
    middle_row = (dice.uniform() * (h + 1 - tall % 2)).floor()[:, None]
    middle_column = (dice.uniform() * (w + 1 - wide % 2)).floor()[:, None]
    row = torch.arange(h, device=middle_row.device)[None] - middle_row
    column = torch.arange(w, device=middle_row.device)[None] - middle_column
    rows = (row >= -(tall // 2)) & (row < tall - tall // 2)
    columns = (column >= -(wide // 2)) & (column < wide - wide // 2)
    return 1.0 - (rows[:, :, None] & columns[:, None]).float()[:, None]


#: Name -> way; ``"adaptive"`` is ADA.
WAYS: dict[str, Augmentation] = {"adaptive": adaptive, "differentiable": differentiable}


def augmentation(name: str) -> Augmentation:
    """The way of that name.

    Raises:
        UserError: there is none.
    """
    if name not in WAYS:
        raise UserError(f"There is no augmentation {name!r}; there are {', '.join(WAYS)}.")
    return WAYS[name]
