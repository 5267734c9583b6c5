"""How far pictures have gone along a text, in an encoder's space: the directional CLIP loss.

What changed in the pictures' vectors is compared with what lies between the neutral text and the
text (Gal et al. 2021, StyleGAN-NADA, section 4.1), rather than each picture with the text. One face
that is edited (:mod:`.optimise`) and a whole generator that is shifted
(:mod:`engine.training.shift`) are judged by it alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.editing.texts import Others, others, text_delta
from engine.text.encoder import TextImageEncoder

#: A movement shorter than this share of the way between the texts has no direction yet.
_SHORT = 0.1


class Aim:
    """A text against a neutral one, and what else could be said, as vectors.

    Args:
        encoder: of the texts and of the pictures.
        text, neutral: see :func:`~.texts.text_delta`.
        goal: the share of the way that is wanted: 1 is all that lies between the texts.

    Attributes:
        length: between the two texts' vectors, before ``goal``.
        direction: ``[D]`` unit vector from the neutral text to the text.
        others: ``[K, D]`` unit vectors of what the text does not ask for, at right angles to it.

    Raises:
        UserError: a text is empty or too long, or the two say the same.
    """

    def __init__(
        self, encoder: TextImageEncoder, text: str, neutral: str = "", goal: float = 1.0
    ) -> None:
        delta = text_delta(encoder, text, neutral)
        self.length = float(delta.norm())
        self.direction = (delta / self.length).float().to(encoder.device)
        self.others = axes_of(others(encoder).without_own(delta), self.direction)
        self.goal = goal

    def along(self, moved: Tensor) -> Tensor:
        """``[N, D]`` what changed in pictures' vectors -> ``[N]`` how much of the way was gone; 1 is
        the goal."""
        return moved @ self.direction / (self.length * self.goal)

    def short(self, along: Tensor) -> Tensor:
        """Mean of the squares of what is missing. What has arrived is left alone, so that it is not
        overdone."""
        return F.relu(1.0 - along).square().mean()

    def aside(self, moved: Tensor) -> Tensor:
        """Mean square of what changed that the text did not ask for, in shares of the way."""
        return (moved @ self.others.T).square().sum(-1).mean() / self.length**2

    def astray(self, moved: Tensor) -> Tensor:
        """Mean of 1 - cosine between what changed and the text's direction, 0 to 2.

        What has hardly moved has no direction: lengths are taken as if there were a little more
        at right angles, so that the slope is finite at the start, where nothing has changed.
        """
        more = _SHORT * self.length
        length = (moved.square().sum(-1) + more * more).sqrt()
        return (1.0 - moved @ self.direction / length).mean()


def axes_of(rest: Others, aim: Tensor) -> Tensor:
    """``[K, D]`` unit vectors that span what else can be asked about, at right angles to the aim
    and to each other."""
    axes = rest.axes.float().to(aim.device)
    axes = axes - (axes @ aim)[:, None] * aim
    _, values, vectors = torch.linalg.svd(axes, full_matrices=False)
    return vectors[values > 0.05 * float(values.max())] if len(values) else axes


def crops(pictures: Tensor, draw: torch.Generator, count: int) -> Tensor:
    """``[count * N, 3, S, S]``: each picture cut a little smaller at the same random places.

    Args:
        pictures: ``[N, 3, S, S]``.
        draw: a generator on the CPU.
    """
    side = pictures.shape[-1]
    cut = []
    for _ in range(count):
        share = 0.88 + 0.12 * float(torch.rand((), generator=draw))
        size = max(4, round(side * share))
        top, left = (
            int(torch.randint(side - size + 1, (), generator=draw)) for _ in range(2)
        )  # fmt: skip
        part = pictures[..., top : top + size, left : left + size]
        cut.append(F.interpolate(part, (side, side), mode="bilinear", align_corners=False))
    return torch.cat(cut)
