"""Refining a direction: how pictures are shown to the encoder, and that it is the same each time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.editing import refine
from engine.editing.encoders import OpenEncoder
from engine.editing.pca import flat_rows
from engine.editing.refine import TIMES, refined, shown_anew
from engine.editing.samples import seen_samples
from engine.editing.text_direction import held_still, regressed
from engine.editing.texts import others, text_delta
from engine.errors import Cancelled
from engine.generators.base import CancelToken
from tests.editing.test_text_direction import MODEL
from tests.generators.tiny_eg3d import tiny_model


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pictures_are_shown_anew_all_alike() -> None:
    one = torch.rand(1, 3, 24, 24, generator=draw(1))
    shown = shown_anew(torch.cat([one, one]), draw())
    assert shown.shape == (2 * TIMES, 3, 24, 24) and shown.min() >= 0.0 and shown.max() <= 1.0
    assert torch.equal(shown[0::2], shown[1::2])
    assert torch.equal(shown, shown_anew(torch.cat([one, one]), draw()))
    assert not torch.equal(shown, shown_anew(torch.cat([one, one]), draw(2)))
    # Each showing is another one.
    assert len({tuple(part.flatten().tolist()) for part in shown[0::2]}) == TIMES


def test_a_fine_pattern_hardly_survives_and_a_shape_does() -> None:
    """Of what is meant to fool an encoder less is left than of what a face has."""
    fine = torch.full((1, 3, 64, 64), 0.5)
    fine[..., ::2, ::2] += 0.2
    coarse = torch.full((1, 3, 64, 64), 0.5)
    coarse[..., 16:48, 16:48] += 0.2
    plain = torch.full((1, 3, 64, 64), 0.5)

    def left(picture: torch.Tensor) -> float:
        shares = []
        for seed in range(8):
            shown = shown_anew(torch.cat([picture, plain]), draw(seed))
            shares.append((shown[0::2] - shown[1::2]).var(dim=(1, 2, 3)).mean())
        return float(torch.stack(shares).mean()) / float((picture - plain).var())

    assert left(fine) < 0.6 * left(coarse)


def test_slopes_reach_the_pictures() -> None:
    pictures = torch.rand(2, 3, 24, 24, generator=draw()).requires_grad_()
    shown_anew(pictures, draw()).square().sum().backward()
    assert pictures.grad is not None and bool((pictures.grad.abs().sum((1, 2, 3)) > 0).all())


@pytest.mark.usefixtures("few")
def test_refining_moves_is_repeatable_and_can_be_stopped(opened: OpenEncoder) -> None:
    generator, encoder = tiny_model(), opened.encoder
    people = seen_samples(generator, MODEL, encoder, opened.identity)
    delta = text_delta(encoder, "smiling")
    rest = held_still(people.seen, delta, others(encoder))
    start = regressed(torch.from_numpy(flat_rows(people.w.numpy())), people.seen, delta, rest)
    told: list[tuple[int, int]] = []

    def find(cancel: CancelToken | None = None) -> np.ndarray:
        return refined(
            generator, encoder, people, start.numpy(), delta, rest,
            lambda done, total: told.append((done, total)), cancel or CancelToken(),
        )  # fmt: skip

    first = find()
    assert told == [(n, refine.STEPS) for n in range(refine.STEPS + 1)]
    assert np.array_equal(find(), first) and not np.allclose(first, start.numpy(), atol=1e-4)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        find(token)
