"""Augmentation: what each change does, and that R1 sees through it."""

from __future__ import annotations

import math

import pytest
import torch

from engine.errors import UserError
from engine.training.gan.augment import (
    _moved,
    adaptive,
    augmentation,
    differentiable,
    recoloured,
    warped,
)
from tests.training.gan.checks import batch_of, seeded

WAYS = [adaptive, differentiable]


def matrix(*rows: list[float]) -> torch.Tensor:
    return torch.tensor([list(rows)])


@pytest.mark.parametrize("way", WAYS)
def test_strength_zero_changes_nothing_and_strength_one_nearly_all(way) -> None:  # type: ignore[no-untyped-def]
    pictures = batch_of(16, count=8).images
    assert way(pictures, 0.0, seeded()) is pictures
    changed = way(pictures, 1.0, seeded())
    assert changed.shape == pictures.shape and bool(changed.isfinite().all())
    assert int((changed != pictures).flatten(1).any(dim=1).sum()) == 8
    assert torch.equal(changed, way(pictures, 1.0, seeded()))
    assert not torch.equal(changed, way(pictures, 1.0, seeded(1)))


def test_the_strength_is_the_share_of_pictures_changed() -> None:
    pictures = batch_of(8, count=1).images.expand(400, -1, -1, -1)
    changed = (differentiable(pictures, 0.3, seeded()) != pictures).flatten(1).any(dim=1)
    # Five standard deviations of 400 tosses of chance 0.3.
    assert abs(float(changed.float().mean()) - 0.3) < 5 * math.sqrt(0.21 / 400)


@pytest.mark.parametrize("way", WAYS)
def test_global_random_state_is_left_alone(way) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(3)
    before = torch.get_rng_state()
    way(batch_of(16).images, 0.7, seeded())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("way", WAYS)
def test_gradients_of_gradients(way) -> None:  # type: ignore[no-untyped-def]
    pictures = batch_of(8).images.double().requires_grad_()
    logits = way(pictures, 0.8, seeded()).pow(3).flatten(1).sum(dim=1)
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), pictures)
    assert float(second.abs().sum()) > 0.0


@pytest.mark.parametrize("way", WAYS)
def test_both_pictures_of_a_pair_are_changed_alike(way) -> None:  # type: ignore[no-untyped-def]
    pictures = batch_of(16).images
    pair = way(torch.cat([pictures, pictures], dim=1), 0.9, seeded())
    torch.testing.assert_close(pair[:, :3], pair[:, 3:])


def test_warping_by_known_matrices() -> None:
    picture = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 3, 4, 4)
    same = warped(picture, torch.eye(3)[None])
    torch.testing.assert_close(same, picture)
    flipped = warped(picture, matrix([-1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]))
    torch.testing.assert_close(flipped, picture.flip(3))
    # The top right corner reads the bottom right one: against the clock.
    turned = warped(picture, matrix([0.0, -1.0, 0], [1.0, 0, 0], [0, 0, 1.0]))
    torch.testing.assert_close(turned, torch.rot90(picture, 1, (2, 3)), atol=1e-5, rtol=0)
    # One pixel is half of a quarter of the side from -1 to 1; beyond the edge it is mirrored.
    shifted = warped(picture, matrix([1.0, 0, 0.5], [0, 1.0, 0], [0, 0, 1.0]))
    expected = torch.cat([picture[..., 1:], picture[..., 3:]], dim=3)
    torch.testing.assert_close(shifted, expected)


def test_colours_by_a_known_matrix() -> None:
    picture = torch.rand(1, 6, 2, 2, generator=seeded())
    swap = torch.eye(4)[None].clone()
    swap[0, :3, :3] = torch.eye(3)[[2, 0, 1]]
    swap[0, :3, 3] = torch.tensor([0.1, 0.2, 0.3])
    found = recoloured(picture, swap)
    offset = torch.tensor([0.1, 0.2, 0.3])[None, :, None, None]
    torch.testing.assert_close(found[:, :3], picture[:, [2, 0, 1]] + offset)
    torch.testing.assert_close(found[:, 3:], picture[:, [5, 3, 4]] + offset)


def test_grey_pictures_stay_grey_under_hue_and_saturation() -> None:
    grey = torch.rand(16, 1, 4, 4, generator=seeded()).expand(-1, 3, -1, -1)
    found = adaptive(grey, 1.0, seeded(4))
    spread = found.amax(dim=1) - found.amin(dim=1)
    assert float(spread.max()) < 1e-4


def test_moving_leaves_zeros_behind() -> None:
    picture = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    found = _moved(picture, torch.tensor([1]), torch.tensor([-1]))
    assert found[0, 0].tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0]]


def test_a_quarter_or_less_is_cut_out() -> None:
    ones = torch.ones(64, 3, 16, 16)
    # Brightness moves ones, so that zeros are only those of holes and shifts.
    found = differentiable(ones, 1.0, seeded())
    zeros = (found == 0).flatten(1).float().mean(dim=1)
    assert float(zeros.max()) <= 0.25 + 1.0 - (14 / 16) ** 2
    assert float(zeros.min()) > 0.0


def test_unknown_ways_are_named() -> None:
    assert augmentation("adaptive") is adaptive
    with pytest.raises(UserError, match="no augmentation 'blur'"):
        augmentation("blur")
