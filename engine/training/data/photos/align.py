"""Cutting an oriented square around a face, as FFHQ was cut.

The square is that of Karras et al. 2018 (Progressive growing of GANs, appendix C), with which FFHQ
was made, too: with the middles of the eyes e0 and e1 and the corners of the mouth m0 and m1,

    x' = e1 - e0          y' = (e0 + e1) / 2 - (m0 + m1) / 2
    c = (e0 + e1) / 2 - 0.1 y'          s = max(4.0 |x'|, 3.6 |y'|)
    x = normalise(x' - rotate90(y'))    y = rotate90(x)

c is the middle of the square, s its side, and x (to the right) and y (upwards) are its directions.
Rotating by 90 degrees is anticlockwise as one sees it: with y growing downwards, (x, y) -> (y, -x).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from engine.training.data.decode import Pixels
from engine.training.data.photos.faces import Face, Points

#: Parts of the distances by which the square is larger, and by which its middle lies lower.
_ACROSS, _DOWN, _LOWER = 4.0, 3.6, 0.1
#: What is made up beyond the picture's edges is blurred, by this share of the square's side.
_BLUR = 0.02
#: The square is sampled this much finer than it will be, then made smaller.
_FINER = 2


@dataclass(frozen=True, eq=False)
class Square:
    """A square in a picture, in any direction.

    Attributes:
        centre: ``[2]`` pixels. across: ``[2]`` from the middle to the middle of its right edge.
    """

    centre: Points
    across: Points

    @property
    def down(self) -> Points:
        """``[2]`` from the middle to the middle of its lower edge."""
        return np.array([-self.across[1], self.across[0]])

    @property
    def side(self) -> float:
        """Pixels."""
        return 2.0 * float(np.hypot(*self.across))

    @property
    def roll(self) -> float:
        """Degrees by which it is turned clockwise in the picture."""
        return float(np.degrees(np.arctan2(self.across[1], self.across[0])))

    def inward(self, points: Points) -> Points:
        """Picture points ``[..., 2]`` in the square: (0, 0) is its top left corner and (1, 1) the
        bottom right one."""
        offset = points - self.centre
        axes = np.stack([self.across, self.down], axis=-1) / (2.0 * (self.across**2).sum())
        return np.asarray(offset @ axes + 0.5)

    def outward(self, points: Points) -> Points:
        """Inverse of :meth:`inward`."""
        moved = 2.0 * (points - 0.5)
        return np.asarray(self.centre + moved[..., :1] * self.across + moved[..., 1:] * self.down)

    def outside(self, width: int, height: int) -> float:
        """Share of the square's area that lies beyond the picture, by a grid of samples."""
        steps = (np.arange(64) + 0.5) / 64
        grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
        x, y = self.outward(grid).T
        return float(((x < 0) | (y < 0) | (x > width) | (y > height)).mean())


def ffhq_square(face: Face) -> Square:
    """The square of a face; see the module's docstring."""
    eye_to_eye = face.eyes[1] - face.eyes[0]
    up = face.eyes.mean(0) - face.mouth.mean(0)
    x = eye_to_eye - np.array([up[1], -up[0]])
    side = max(_ACROSS * float(np.hypot(*eye_to_eye)), _DOWN * float(np.hypot(*up)))
    centre = face.eyes.mean(0) - _LOWER * up
    return Square(centre, x / max(float(np.hypot(*x)), 1e-9) * side / 2.0)


def cut(picture: Image.Image, square: Square, side: int) -> Pixels:
    """``[side, side, 3]`` what a square shows, resampled without aliasing.

    What lies beyond the picture is mirrored at its edges and blurred, so that nothing sharp is
    made up there.
    """
    # A large square is first made smaller as a whole: single samples of it would alias.
    shrink = max(1, int(square.side / (_FINER * side)))
    if shrink > 1:
        picture = picture.reduce(shrink)
        square = Square(square.centre / shrink, square.across / shrink)
    picture, square = _padded(picture, square)
    corner = square.outward(np.zeros(2))
    fine = _FINER * side
    right, down = 2.0 * square.across / fine, 2.0 * square.down / fine
    # Pillow asks where the middle of a pixel lies, half a pixel from its corner.
    affine = (right[0], down[0], corner[0], right[1], down[1], corner[1])
    planes = [_sampled(plane.convert("F"), affine, fine, side) for plane in picture.split()]
    return np.asarray(np.stack(planes, axis=-1).clip(0, 255) + 0.5).astype(np.uint8)


def _sampled(
    plane: Image.Image, affine: tuple[float, ...], fine: int, side: int
) -> NDArray[np.float32]:
    """One colour in floats: with bytes Pillow cuts fractions off, half a level on average."""
    large = plane.transform((fine, fine), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
    return np.asarray(large.resize((side, side), Image.Resampling.LANCZOS), np.float32)


def _padded(picture: Image.Image, square: Square) -> tuple[Image.Image, Square]:
    """The part of a picture around a square, enlarged where the square leaves it."""
    corners = square.outward(np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]))
    low = np.floor(corners.min(0)).astype(int) - 3
    high = np.ceil(corners.max(0)).astype(int) + 3
    width, height = picture.size
    inside = (max(low[0], 0), max(low[1], 0), min(high[0], width), min(high[1], height))
    part = np.asarray(picture.crop(inside))
    before = (inside[1] - low[1], inside[0] - low[0])
    after = (high[1] - inside[3], high[0] - inside[2])
    moved = Square(square.centre - low, square.across)
    if not any((*before, *after)):
        return Image.fromarray(part), moved
    spans = [(before[0], after[0]), (before[1], after[1]), (0, 0)]
    # A mirror image is as large as the picture at most; a square further out repeats it.
    whole = np.pad(part, spans, mode="symmetric")
    made_up = np.pad(np.zeros(part.shape[:2], np.uint8), spans[:2], constant_values=255)
    radius = _BLUR * square.side
    soft = Image.fromarray(whole).filter(ImageFilter.GaussianBlur(radius))
    # The change from the picture to what is made up lies outside of the picture.
    mask = Image.fromarray(made_up).filter(ImageFilter.GaussianBlur(radius / 2))
    shown = np.where(made_up > 0, np.asarray(mask), 0).astype(np.uint8)
    return Image.composite(soft, Image.fromarray(whole), Image.fromarray(shown)), moved
