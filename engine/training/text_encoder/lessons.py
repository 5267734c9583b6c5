"""Lessons that the picture tower has before texts can teach it: what it sees, and where.

A young text tower says nearly the same of all answers to a question, and then pictures learn
nothing from it. So every value of every kind has a vector of its own here, in the place of a
text. The picture tower learns to be near the right ones, and texts follow both. Smiles, lips and
eyes are a few pixels of a picture: features half way through the tower are also asked about them
at the very place, and at first whole faces are shown from near, which costs a quarter. None of
this is part of the encoder that ships.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.training.heads.captions import KIND_NAMES
from engine.training.heads.wording import KINDS
from engine.training.text_encoder.losses import question_loss

Asked = list[tuple[str, NDArray[np.int16]]]

#: What each of ``pictures.REGIONS`` is asked about: the eyes, and the lips with the teeth.
OF_REGIONS: tuple[tuple[str, ...], ...] = (
    ("eye", "iris", "expression"),
    ("lipstick", "smile", "laugh", "expression", "mouth"),
)
#: What a face shows that is seen from near.
OF_FACES = (
    "gender", "age", "decade", "skin", "tone", "smile", "laugh", "expression", "mouth", "eye",
    "iris", "eyewear", "glasses", "frame", "bearded", "beard", "lipstick",
)  # fmt: skip
#: Pixels that a region must have to be asked about.
_SEEN = 6.0


def every_answer(kinds: tuple[str, ...] = tuple(KINDS)) -> Asked:
    """Each kind with the codes of all its values, as ``losses.question_loss`` takes them."""
    return [(kind, np.arange(len(KINDS[kind]), dtype=np.int16)) for kind in kinds]


class Lessons(nn.Module):
    """Vectors of all values, and what is read off the regions.

    Args:
        dimension: D, of the encoder's vectors.
        half_way, at_the_end: channels of the features.
    """

    def __init__(self, dimension: int, half_way: int, at_the_end: int) -> None:
        super().__init__()
        self.asked = every_answer()
        self._of_regions = [every_answer(kinds) for kinds in OF_REGIONS]
        self._first: dict[str, int] = {}
        total = 0
        for kind, answers in self.asked:
            self._first[kind] = total
            total += len(answers)
        self.values = nn.Parameter(0.1 * torch.randn(total, dimension))
        self.readers = nn.ModuleList(
            nn.Linear(half_way, sum(len(answers) for _, answers in asked))
            for asked in self._of_regions
        )
        self.reader = nn.Linear(at_the_end, total)

    def vectors(self) -> Tensor:
        """``[values, D]`` unit vectors, by kind and value as :attr:`asked` has them."""
        return F.normalize(self.values, dim=-1)

    def answers(self, images: Tensor, scale: Tensor, known: NDArray[np.int16]) -> Tensor:
        """How badly pictures ``[N, D]`` are told by the vectors of what they show.

        Args:
            known: ``[N, K]`` codes.
        """
        return question_loss(scale * images @ self.vectors().T, self.asked, known)

    def regions(self, features: Tensor, regions: Tensor, known: NDArray[np.int16]) -> Tensor:
        """The same of the features ``[N, C, H, H]`` where the regions ``[N, R, S, S]`` are."""
        losses = features.sum() * 0.0
        times = regions.shape[-1] // features.shape[-1]
        small = F.avg_pool2d(regions, times) * times**2
        for place, (reader, asked) in enumerate(zip(self.readers, self._of_regions, strict=True)):
            share = small[:, place]
            pixels = share.sum((1, 2))
            rows = torch.nonzero(pixels >= _SEEN)[:, 0]
            if not len(rows):
                continue
            weight = share[rows] / pixels[rows, None, None]
            there = torch.einsum("nchw,nhw->nc", features[rows].float(), weight)
            losses = losses + question_loss(reader(there), asked, known[rows.numpy()])
        return losses

    def everywhere(self, features: Tensor, known: NDArray[np.int16], faces: bool = False) -> Tensor:
        """The same of the mean of the features at the end; of ``faces`` only what they show."""
        known = known.copy()
        if faces:
            known[:, [kind not in OF_FACES for kind in KIND_NAMES]] = -1
        return question_loss(self.reader(features.float().mean((2, 3))), self.asked, known)

    def words(self, vectors: Tensor, said: list[tuple[str, int]]) -> Tensor:
        """How far texts ``[T, D]`` of one value each, (kind, code), are from its vector."""
        rows = torch.tensor([self._first[kind] + code for kind, code in said])
        theirs = self.vectors().detach()[rows]
        return (1.0 - (vectors * theirs).sum(-1)).mean()
