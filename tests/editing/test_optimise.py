"""Moving one face by gradients: every family, the same every time, stopped at any moment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.draw import Painter
from engine.editing.encoders import OpenEncoder
from engine.editing.optimise import OptimiseOptions, Step, as_direction, optimise
from engine.editing.samples import ModelId
from engine.editing.texts import text_delta
from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken, Generator, latent_from_seed
from tests.generators.test_every_family import every, model, recipe_of
from tests.generators.tiny_eg3d import tiny_model

pytestmark = pytest.mark.usefixtures("few")
SHORT = OptimiseOptions("smiling", steps=8, rate=0.2)


def start_of(generator: Generator) -> torch.Tensor:
    return generator.map(latent_from_seed(1, generator.capabilities.z_dim)).clone()


def steps_of(generator: Generator, opened: OpenEncoder, options: OptimiseOptions) -> list[Step]:
    return list(optimise(generator, start_of(generator), opened.encoder, options))


@every
def test_every_family_moves_towards_the_text(folder: Path, opened: OpenEncoder) -> None:
    # EG3D's golden set has planes as large as the released ones.
    generator = tiny_model() if folder.name == "eg3d_ffhq" else model(folder)
    facts = generator.capabilities
    # Prices aside: with them a tiny random model may rather stay where it is.
    free = replace(SHORT, close=0.0, still=0.0, anchor=0.0, keep_background=0.0, keep_pose=0.0,
                   views=(0.0,))  # fmt: skip
    steps = steps_of(generator, opened, free)
    assert [step.number for step in steps] == list(range(1, 9))
    assert all(not s.offset.why_not(facts.num_ws, facts.w_dim) for s in steps)
    assert max(s.reached for s in steps[4:]) > steps[0].reached == pytest.approx(0.0, abs=1e-3)
    picture = steps[0].picture
    assert picture.shape[2] == 3 and picture.dtype == np.uint8
    # What was found is an edit like any other.
    direction = as_direction(steps[-1], free, generator, ModelId("ab" * 32))
    recipe = replace(recipe_of(generator), edits=(direction.edit(1.0),))
    moved = Painter(generator).latent(recipe) - start_of(generator)
    assert torch.allclose(moved, torch.from_numpy(steps[-1].offset.numbers.copy()), atol=1e-4)


def test_the_same_seed_gives_the_same_steps(opened: OpenEncoder) -> None:
    one, two = (steps_of(tiny_model(), opened, SHORT) for _ in range(2))
    assert [s.offset for s in one] == [s.offset for s in two]
    assert [s.loss for s in one] == [s.loss for s in two]
    other = steps_of(tiny_model(), opened, replace(SHORT, seed=1))
    assert other[-1].offset != one[-1].offset


def test_it_can_be_stopped_between_steps_and_kept(opened: OpenEncoder) -> None:
    generator = tiny_model()
    going = optimise(generator, start_of(generator), opened.encoder, SHORT)
    kept = [next(going) for _ in range(3)][-1]
    going.close()
    assert kept.offset == steps_of(generator, opened, SHORT)[2].offset


def test_it_can_be_stopped_in_the_middle_of_a_step(opened: OpenEncoder) -> None:
    generator = tiny_model()
    calls, limit = 0, 10**9

    def asked() -> bool:
        nonlocal calls
        calls += 1
        return calls > limit

    whole = list(
        optimise(generator, start_of(generator), opened.encoder, SHORT, CancelToken(asked))
    )
    calls, limit = 0, calls - calls // SHORT.steps - 1
    done = []
    with pytest.raises(Cancelled):
        for step in optimise(
            generator, start_of(generator), opened.encoder, SHORT, CancelToken(asked)
        ):
            done.append(step)  # noqa: PERF402
    assert 0 < len(done) < SHORT.steps
    assert [s.offset for s in done] == [s.offset for s in whole[: len(done)]]
    # Nothing is left behind: gradients end, and pictures are those of before.
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_locked_layers_stay(opened: OpenEncoder) -> None:
    generator = tiny_model()
    last = steps_of(generator, opened, replace(SHORT, rows=(1, 2)))[-1].offset.numbers
    assert (last[[1, 2]] != 0).all()
    rest = [row for row in range(len(last)) if row not in (1, 2)]
    assert (last[rest] == 0).all()


def test_prices_hold_it_back(opened: OpenEncoder) -> None:
    generator = tiny_model()

    def length(options: OptimiseOptions) -> float:
        return float(np.linalg.norm(steps_of(generator, opened, options)[-1].offset.numbers))

    free = replace(SHORT, close=0.0, still=0.0, anchor=0.0, keep_background=0.0, keep_pose=0.0)
    far = length(free)
    for price in ("close", "anchor", "still"):
        assert length(replace(free, **{price: 300.0})) < 0.8 * far


def test_background_and_outline_have_prices_of_their_own(opened: OpenEncoder) -> None:
    """What changes beside the head, and a head that moves, cost more with their prices than without;
    what changes on the head does not."""
    from engine.editing.optimise import Look, _Loss
    from engine.generators.base import NEVER

    generator = tiny_model()
    alpha = torch.zeros(1, 1, 8, 8)
    alpha[..., 2:6, 2:6] = 1.0
    before = Look(torch.full((1, 3, 32, 32), 0.5), alpha, torch.ones(1, 1, 8, 8))
    beside, within = before.picture.clone(), before.picture.clone()
    beside[..., :4, :4] = 1.0
    within[..., 12:16, 12:16] = 1.0

    def cost(look: Look, **prices: float) -> float:
        options = replace(SHORT, **{"keep_background": 0.0, "keep_pose": 0.0, **prices})
        loss = _Loss(generator, start_of(generator), opened.encoder, options, NEVER)
        loss.before = {0.0: before}
        draw = torch.Generator().manual_seed(0)
        return float(loss(look, 0.0, torch.zeros(1), draw).total)

    def more(look: Look, price: str) -> float:
        return cost(look, **{price: 2.0}) - cost(look)

    assert more(replace(before, picture=beside), "keep_background") > 0.01
    assert more(replace(before, picture=within), "keep_background") == pytest.approx(0.0, abs=1e-6)
    moved = replace(before, alpha=alpha.roll(2, -1))
    assert more(moved, "keep_pose") > 0.01
    assert more(replace(before, picture=beside), "keep_pose") == pytest.approx(0.0, abs=1e-6)


def test_slopes_are_the_losses_own(opened: OpenEncoder) -> None:
    """The whole path, from w over pictures and crops to the loss, against differences."""
    from engine.editing.optimise import _Loss, learning_look
    from engine.generators.base import NEVER
    from engine.generators.evaluation import gradients
    from tests.generators.tiny_eg3d import CONFIG

    generator = tiny_model(rendering=replace(CONFIG.rendering, depth_resolution_importance=0))
    start = start_of(generator)
    loss = _Loss(generator, start, opened.encoder, SHORT, NEVER)
    place = start + 0.2 * torch.randn(start.shape, generator=torch.Generator().manual_seed(5))

    def cost(w: torch.Tensor) -> torch.Tensor:
        look = learning_look(generator, w, 20.0, NEVER)
        return loss(look, 20.0, w - start, torch.Generator().manual_seed(3)).total

    with gradients():
        w = place.clone().requires_grad_()
        (slope,) = torch.autograd.grad(cost(w), w)
    step, found = 3e-3, torch.zeros_like(place)
    for number in range(place.numel()):
        way = torch.zeros_like(place)
        way.view(-1)[number] = step
        with torch.no_grad():
            found.view(-1)[number] = (cost(place + way) - cost(place - way)) / (2 * step)
    assert torch.cosine_similarity(found.flatten(), slope.flatten(), dim=0) > 0.99
    assert float(found.norm()) == pytest.approx(float(slope.norm()), rel=0.05)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"text": " "}, "empty"),
        ({"text": "\u200b"}, "empty"),
        ({"steps": 0}, "1 to 500"),
        ({"seed": -1}, "0 to 4294967295"),
        ({"seed": 2**64}, "0 to 4294967295"),
        ({"rate": 0.0}, "rate"),
        ({"views": ()}, "one view"),
        ({"goal": float("nan")}, "goal"),
        ({"still": -1.0}, "prices"),
        ({"rows": ()}, "no layer"),
    ],
)
def test_options_out_of_range_are_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        replace(SHORT, **change)  # type: ignore[arg-type]


def test_texts_that_say_the_same_are_refused_before_anything_is_drawn(opened: OpenEncoder) -> None:
    options = replace(SHORT, text="an old man", neutral="an old man")
    generator = tiny_model()
    with pytest.raises(UserError, match="say the same"):
        next(optimise(generator, start_of(generator), opened.encoder, options))
    assert text_delta(opened.encoder, "an old man").norm() > 0
