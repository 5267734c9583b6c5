"""What is drawn can be differentiated with respect to w, by the code that draws pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.generators.base import Generator, Quality, latent_from_seed
from engine.generators.evaluation import exact, gradients, gradients_wanted
from engine.generators.memo import LastFew
from tests.generators.test_every_family import every, model
from tests.generators.tiny_eg3d import CONFIG, tiny_model


def looked(generator: Generator, w: Tensor, side: int = 12) -> Tensor:
    facts = generator.capabilities
    quality = Quality(neural_resolution=min(side, facts.neural_resolution))
    return generator.render(w, facts.default_pose.turned(yaw=10).camera(), quality).rgb


def rows_of(generator: Generator, seed: int) -> Tensor:
    return generator.map(latent_from_seed(seed, generator.capabilities.z_dim)).clone()


@every
def test_the_same_picture_and_its_way_to_another(folder: Path) -> None:
    generator = model(folder)
    start, aim = rows_of(generator, 1), looked(generator, rows_of(generator, 2))
    plain = looked(generator, start)

    def distance(w: Tensor) -> Tensor:
        return (looked(generator, w) - aim).square().mean()

    with gradients():
        w = start.clone().requires_grad_()
        picture = looked(generator, w)
        assert (picture - plain).abs().max() < 1e-4
        (slope,) = torch.autograd.grad((picture - aim).square().mean(), w)
    assert bool(torch.isfinite(slope).all()) and bool((slope != 0).any())
    before = float(distance(start))
    # Somewhere along the slope it gets nearer, and the opposite way further at first.
    steps = [float(slope.norm()) ** -2 * before * share for share in (0.3, 0.1, 0.03, 0.01)]
    assert min(float(distance(start - step * slope)) for step in steps) < before
    assert max(float(distance(start + step * slope)) for step in steps) > before
    assert torch.equal(looked(generator, start), plain)


def test_gradients_are_the_differences_of_pictures() -> None:
    """Without importance samples, whose places are not differentiated, the picture is smooth."""
    generator = tiny_model(rendering=replace(CONFIG.rendering, depth_resolution_importance=0))
    start = rows_of(generator, 1)
    weights = torch.randn(looked(generator, start).shape, generator=torch.manual_seed(0))
    with gradients():
        w = start.clone().requires_grad_()
        (slope,) = torch.autograd.grad((looked(generator, w) * weights).sum(), w)
    step, found = 1e-3, torch.zeros_like(start)
    for place in range(start.numel()):
        way = torch.zeros_like(start)
        way.view(-1)[place] = step
        ends = (looked(generator, start + sign * way).double() for sign in (1, -1))
        above, below = ((end * weights).sum() for end in ends)
        found.view(-1)[place] = (above - below) / (2 * step)
    # Rounding and the bends of activations make single numbers differ by a little.
    assert torch.cosine_similarity(found.flatten(), slope.flatten(), dim=0) > 0.995
    assert float(found.norm()) == pytest.approx(float(slope.norm()), rel=0.02)


def test_gradients_end_with_their_block() -> None:
    cpu = torch.device("cpu")
    with pytest.raises(KeyError), gradients(), exact(cpu):
        assert torch.is_grad_enabled() and gradients_wanted()
        raise KeyError
    with exact(cpu):
        assert torch.is_inference_mode_enabled() and not gradients_wanted()
    with torch.inference_mode(), gradients():
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_what_is_to_be_differentiated_is_not_kept() -> None:
    kept: LastFew[Tensor] = LastFew(2)
    w = torch.ones(2, requires_grad=True)
    assert kept.get(w, lambda t: t * 2) is not kept.get(w, lambda t: t * 2)
    assert len(kept) == 0
