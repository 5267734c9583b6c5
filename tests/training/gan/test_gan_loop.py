"""Steps of the loop against values that were computed by hand or in another way."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.errors import UserError
from engine.training.gan.contract import Network, OptimiserOptions, Phase, Progress
from engine.training.gan.distributed import Team
from engine.training.gan.faults import Diverged
from engine.training.gan.loop import Position, TrainingLoop, average_half_life, lazy_share
from engine.training.gan.options import (
    PRESETS,
    TrainingOptions,
    preset_options,
)
from engine.training.gan.precision import in_halves
from engine.training.gan.steering import EVERY, Steering
from tests.training.gan.toy import Squares, Toy, noisy

ALONE = Team(0, 1, torch.device("cpu"))
PLAIN = TrainingOptions(batch=8, augmentation="none", samples=0)


def loop_of(options: TrainingOptions = PLAIN, **more: Any) -> TrainingLoop:
    return TrainingLoop(Toy(), Squares(), options, ALONE, **more)


def steps(loop: TrainingLoop, count: int) -> list[dict[str, float]]:
    return [loop.step() for _ in range(count)]


def watch_gradients(loop: TrainingLoop, network: Network) -> dict[str, torch.Tensor]:
    """Gradients by name, as they are when the network's optimiser makes its step."""
    found: dict[str, torch.Tensor] = {}
    real_step = loop.optimisers[network].step

    def watched() -> None:
        for name, parameter in loop.trained(network):
            if parameter.grad is not None:
                found[name] = parameter.grad.clone()
        real_step()

    loop.optimisers[network].step = watched  # type: ignore[method-assign, assignment]
    return found


def test_phases_are_due_at_multiples_of_their_interval() -> None:
    loop, seen = loop_of(), []
    loop.training.watch = lambda name, pictures: seen.append(name)
    steps(loop, 5)
    assert seen == [
        "generator", "generator_path", "discriminator", "discriminator_r1",
        "generator", "discriminator",
        "generator", "discriminator", "discriminator_r1",
        "generator", "discriminator",
        "generator", "generator_path", "discriminator", "discriminator_r1",
    ]  # fmt: skip
    assert (loop.position.step, loop.position.images) == (5, 40)


def test_all_phases_of_a_step_see_the_same_pictures_and_steps_go_on_with_the_next() -> None:
    loop, seen = loop_of(), []
    loop.training.watch = lambda name, pictures: seen.append((name, pictures.clone()))
    steps(loop, 2)
    first, second = Squares().batch(0, 8).images, Squares().batch(8, 8).images
    assert all(torch.equal(pictures, first) for _, pictures in seen[:4])
    assert all(torch.equal(pictures, second) for _, pictures in seen[4:])


def test_one_step_of_the_discriminator_is_adam_by_hand() -> None:
    """Lazy R1 of interval 2 scales rate and betas by 2 / 3; Adam's first step is the sign of the
    gradient times the rate, whatever its betas."""
    loop = loop_of(replace(PLAIN, rate=0.5, discriminator_rate=3.0, judge_first=100))
    before = copy.deepcopy(loop.training.discriminator.state_dict())
    loop.training.phases = lambda progress: (  # type: ignore[method-assign]
        Phase("discriminator", "discriminator"), Phase("r1", "discriminator", 2),
    )  # fmt: skip
    loop.position.step = 1  # not due for the lazy one
    gradients = watch_gradients(loop, "discriminator")
    loop.step()
    rate = 0.02 * 0.5 * 3.0 * 2 / 3
    for name, after in loop.training.discriminator.state_dict().items():
        gradient = gradients[name]
        expected = before[name] - rate * gradient / (gradient.abs() + 1e-8)
        assert torch.allclose(after, expected, atol=1e-7), name
    (group,) = loop.optimisers["discriminator"].param_groups
    assert group["betas"] == (0.0, 0.99 ** (2 / 3))


def test_gradients_longer_than_a_family_allows_are_shortened() -> None:
    free, held = loop_of(), loop_of()
    held.training.optimiser = lambda network: OptimiserOptions(0.01, (0.0, 0.99), clip_norm=1e-3)  # type: ignore[method-assign]
    only = (Phase("generator", "generator"),)
    lengths, directions = [], []
    for loop in (free, held):
        loop.training.phases = lambda progress: only  # type: ignore[method-assign]
        caught = watch_gradients(loop, "generator")
        loop.step()
        flat = torch.cat([gradient.flatten() for gradient in caught.values()])
        lengths.append(float(flat.norm()))
        directions.append(flat / flat.norm())
    assert lengths[0] > 2e-3 and lengths[1] == pytest.approx(1e-3, rel=1e-4)
    assert torch.allclose(*directions, atol=1e-5)


def test_a_lazy_phase_counts_as_often_as_it_was_left_out() -> None:
    loop = loop_of()
    only_r1 = (Phase("discriminator_r1", "discriminator", 2),)
    loop.training.phases = lambda progress: only_r1  # type: ignore[method-assign]
    caught = watch_gradients(loop, "discriminator")
    loop.step()
    toy = Toy()
    real = Squares().batch(0, 8).images.requires_grad_(True)
    (slope,) = torch.autograd.grad(toy.discriminator(real).sum(), real, create_graph=True)
    penalty = slope.square().flatten(1).sum(1).mean() * 0.5
    (expected,) = torch.autograd.grad(penalty * 2, toy.discriminator[1].weight)
    assert torch.allclose(caught["1.weight"], expected, atol=1e-8)


def test_the_average_follows_with_its_half_life() -> None:
    """After as many pictures as the half-life, half of what was there is left."""
    loop = loop_of(replace(PLAIN, average_images=8.0, average_share=0.0, rate=1e-6))
    with torch.no_grad():
        for value in loop.average.values():
            value.fill_(1.0)
        loop.training.generator.paint.weight.zero_()
    loop.step()
    assert torch.allclose(loop.average["paint.weight"], torch.tensor(0.5), atol=1e-4)
    assert torch.equal(loop.average["w_avg"], loop.training.generator.w_avg)


def test_short_runs_are_not_averaged_with_their_start() -> None:
    toy = Toy()
    half_life = average_half_life(toy, replace(PLAIN, average_share=0.05), Progress(9, 72))
    assert half_life == pytest.approx(0.05 * 80)
    assert average_half_life(toy, replace(PLAIN, average_share=0.0), Progress(9, 72)) == 100.0
    zero = replace(PLAIN, average_images=0.0)
    assert average_half_life(toy, zero, Progress(9, 72)) == 0.0


def test_passes_add_up_to_the_whole_batch() -> None:
    """Gradients of four passes are those of the batch, computed by hand from their pictures and
    their random numbers."""
    from engine.training.gan.chance import chance

    loop = loop_of(replace(PLAIN, pass_size=2))
    loop.training.phases = lambda progress: (Phase("generator", "generator"),)  # type: ignore[method-assign]
    caught = watch_gradients(loop, "generator")
    told = loop.step()
    toy = Toy()
    parts = []
    for number in range(4):
        random = chance(torch.device("cpu"), 0, 0, 0, "generator", number)
        z = torch.randn(2, 5, generator=random)
        drawn, _ = toy.generator(z)
        parts.append(torch.nn.functional.softplus(-toy.discriminator(drawn)).mean())
    mean = torch.stack(parts).mean()
    (expected,) = torch.autograd.grad(mean, toy.generator.paint.weight)
    assert torch.allclose(caught["paint.weight"], expected, atol=1e-8)
    assert told["generator"] == pytest.approx(float(mean.detach()), abs=1e-7)


def test_passes_start_from_the_same_buffers_which_are_averaged() -> None:
    loop = loop_of(replace(PLAIN, pass_size=4, rate=1e-6))
    loop.training.phases = lambda progress: (Phase("generator", "generator"),)  # type: ignore[method-assign]
    loop.step()
    from engine.training.gan.chance import chance

    toy, means = Toy(), []
    for number in range(2):
        z = torch.randn(4, 5, generator=chance(torch.device("cpu"), 0, 0, 0, "generator", number))
        means.append(torch.tanh(toy.generator.mapping(z)).mean(0))
    expected = 0.1 * torch.stack(means).mean(0)
    assert torch.allclose(loop.training.generator.w_avg, expected, atol=1e-7)


def test_only_the_chosen_layers_move() -> None:
    loop = loop_of(replace(PLAIN, layers=("appearance",)))
    before = copy.deepcopy(loop.training.generator.state_dict())
    steps(loop, 3)
    after = loop.training.generator.state_dict()
    assert torch.equal(before["mapping.weight"], after["mapping.weight"])
    assert not torch.equal(before["paint.weight"], after["paint.weight"])
    # A phase that reaches no layer that moves is no fault.
    steps(loop_of(replace(PLAIN, layers=("mapping",))), 1)
    with pytest.raises(UserError, match="knows mapping, appearance of this model, not 'hair'"):
        loop_of(replace(PLAIN, layers=("hair",)))


def test_the_judge_may_learn_first() -> None:
    loop = loop_of(replace(PLAIN, judge_first=16))
    before = copy.deepcopy(loop.training.generator.state_dict())
    judge = copy.deepcopy(loop.training.discriminator.state_dict())
    assert "generator" not in loop.step() and "generator" not in loop.step()
    assert torch.equal(before["paint.weight"], loop.training.generator.paint.weight)
    assert not torch.equal(judge["1.weight"], loop.training.discriminator[1].weight)
    assert "generator" in loop.step()


def test_random_numbers_come_from_nowhere_else() -> None:
    torch.manual_seed(1)
    one = steps(
        loop_of(
            replace(PLAIN, augmentation="fixed", augmentation_strength=0.3), augmentation=noisy
        ),
        3,
    )
    torch.manual_seed(2)
    other = steps(
        loop_of(
            replace(PLAIN, augmentation="fixed", augmentation_strength=0.3), augmentation=noisy
        ),
        3,
    )
    weaker = steps(
        loop_of(
            replace(PLAIN, augmentation="fixed", augmentation_strength=0.1), augmentation=noisy
        ),
        3,
    )
    assert one == other != weaker
    assert one != steps(
        loop_of(
            replace(PLAIN, augmentation="fixed", seed=1, augmentation_strength=0.3),
            augmentation=noisy,
        ),
        3,
    )


def test_numbers_that_are_not_finite_stop_the_step() -> None:
    loop = loop_of()
    loop.step()
    kept = copy.deepcopy(loop.training.discriminator.state_dict())
    with torch.no_grad():
        loop.training.generator.paint.weight[0, 0] = math.nan
    with pytest.raises(Diverged, match="generator"):
        loop.step()
    assert not loop.between_steps
    assert torch.equal(kept["1.weight"], loop.training.discriminator[1].weight)


def test_mixed_precision_computes_in_halves_and_learns_in_whole_numbers() -> None:
    loop, exact = loop_of(replace(PLAIN, precision="mixed")), loop_of()
    kinds = set()
    loop.training.discriminator[1].register_forward_hook(
        lambda module, given, result: kinds.add(result.dtype)
    )
    mixed, whole = steps(loop, 4), steps(exact, 4)
    assert kinds == {torch.bfloat16}
    assert all(p.dtype == torch.float32 for p in loop.training.parameters())
    assert mixed != whole
    for one, other in zip(mixed, whole, strict=True):
        losses = {name: value for name, value in other.items() if "score" not in name}
        assert {name: one[name] for name in losses} == pytest.approx(losses, rel=0.1, abs=0.02)


def test_a_gpu_computes_in_halves_by_itself_and_a_cpu_when_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu, cpu = torch.device("cuda", 1), torch.device("cpu")
    found = {}
    for able in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda able=able: able)
        found[able] = [in_halves(gpu, wanted) for wanted in ("auto", "full")]
    assert found == {True: [True, False], False: [False, False]}
    with pytest.raises(UserError, match="does not compute in bfloat16"):
        in_halves(gpu, "mixed")
    assert [in_halves(cpu, wanted) for wanted in ("auto", "full", "mixed")] == [False, False, True]


def test_lazy_share() -> None:
    lazy = (Phase("a", "generator"), Phase("b", "generator", 4), Phase("c", "discriminator", 16))
    assert lazy_share("generator", lazy) == 4 / 5
    assert lazy_share("discriminator", lazy) == 16 / 17
    assert lazy_share("generator", lazy[:1]) == 1.0


def test_augmentation_is_steered_to_the_target() -> None:
    options = replace(PLAIN, augmentation="adaptive", augmentation_images=320)
    steering, position = Steering(options), Position()
    for _ in range(EVERY - 1):
        steering.heard(position, 0.9)
    assert position.strength == 0.0
    steering.heard(position, 0.9)
    assert position.strength == pytest.approx(EVERY * 8 / 320)
    for sign in (0.9, 0.1, 0.1, 0.1):
        steering.heard(position, sign)
    assert position.strength == 0.0  # the mean of 0.3 lies below 0.6
    for _ in range(20 * EVERY):
        steering.heard(position, 1.0)
    assert position.strength == 1.0


def test_options_keep_their_ranges() -> None:
    with pytest.raises(UserError, match="--batch must be 1 to 65536, not 0"):
        TrainingOptions(batch=0).checked()
    with pytest.raises(UserError, match="--pass-size must divide"):
        TrainingOptions(batch=8, pass_size=3).checked()
    with pytest.raises(UserError, match="--precision is one of"):
        TrainingOptions(precision="half").checked()
    with pytest.raises(UserError, match="--rate must be"):
        TrainingOptions(rate=math.nan).checked()
    with pytest.raises(UserError, match="multiple of the 3 processes"):
        TrainingOptions(batch=8).passes(3)
    assert TrainingOptions(batch=8).passes(2) == 4
    full = TrainingOptions(layers=("a",), minutes=3.0, steps=7)
    assert TrainingOptions.from_json(full.to_json()) == full
    for wrong in ({"batch": "8"}, {"rates": 1.0}, {"seed": True}, {"layers": [1]}):
        with pytest.raises(UserError):
            TrainingOptions.from_json(wrong)


def test_presets() -> None:
    groups = ("mapping", "geometry", "upsampler")
    assert preset_options("appearance", groups).layers == ("upsampler",)
    assert preset_options("quick", groups).layers == ()
    for name, preset in PRESETS.items():
        assert preset.options.checked().preset == name
    with pytest.raises(UserError, match="there are quick, appearance, full"):
        preset_options("slow", groups)
    with pytest.raises(UserError, match="cannot train alone"):
        preset_options("appearance", ("mapping",))
