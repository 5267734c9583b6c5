"""Which of a model's people fit a text best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from engine.editing.samples import draw_small
from engine.editing.texts import text_delta
from engine.errors import UserError
from engine.generators.base import NEVER, CancelToken, Generator
from engine.text.encoder import TextImageEncoder

#: Most people that are looked at.
MOST = 10_000


@dataclass(frozen=True)
class Found:
    """One of those that were looked at.

    Attributes:
        place: which one, in the order given.
        score: how far its picture lies towards the text, as a share of the way from the neutral
            text to it; only the order means something.
    """

    place: int
    score: float


def scores(
    generator: Generator,
    faces: Sequence[Callable[[], torch.Tensor]],
    encoder: TextImageEncoder,
    text: str,
    neutral: str = "",
    cancel: CancelToken = NEVER,
) -> Iterator[Found]:
    """The score of one face after another, as they are drawn.

    Args:
        faces: each gives w ``[num_ws, w_dim]`` when it is its turn.
        neutral: what to compare with; empty for a person of whom nothing is said.

    Raises:
        UserError: there is nobody, or there are too many; or the text says nothing.
        Cancelled: ``cancel`` was set.
    """
    if not 1 <= len(faces) <= MOST:
        raise UserError(f"A search looks at 1 to {MOST} faces, not {len(faces)}.")
    delta = text_delta(encoder, text, neutral)
    aim = (delta / delta.square().sum()).float().to(encoder.device)
    for place, face in enumerate(faces):
        cancel.check()
        picture = draw_small(generator, face(), cancel=cancel)
        with torch.inference_mode():
            vector = encoder.encode_image(picture[None].to(encoder.device))[0]
        yield Found(place, float(vector @ aim))


def ordered(found: Sequence[Found]) -> list[Found]:
    """The best first; of equals the one that came first."""
    return sorted(found, key=lambda one: (-one.score, one.place))
