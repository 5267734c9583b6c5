"""A text leads a generator of every family: gradients, frozen shapes, the same run every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.draw import Painter
from engine.editing.aim import Aim
from engine.editing.encoders import OpenEncoder
from engine.errors import UserError
from engine.generators.base import Generator, Quality
from engine.generators.registry import open_model
from engine.recipe import Recipe
from engine.training.gan.contract import Phase, Progress
from engine.training.gan.distributed import Team
from engine.training.gan.events import Notice
from engine.training.gan.families import training_of
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.options import TrainingOptions
from engine.training.shift.options import COLOURS, ShiftOptions, shift_training
from engine.training.shift.training import TextShift
from tests.generators.test_every_family import GOLDENS, checkpoint, every
from tests.generators.tiny_eg3d import tiny_model
from tests.training.gan.checks import check_groups, losses_of

ALONE = Team(0, 1, torch.device("cpu"))
SMALL = ShiftOptions("an old man", encoder="tiny", side=16, crops=1)
GENERATOR = Phase("generator", "generator")
Made = Callable[..., TextShift]


def small_model(folder: Path) -> Generator:
    """A golden set's model; EG3D's has planes as large as the released ones, and is exchanged for one that
    has not."""
    return tiny_model() if folder.name == "eg3d_ffhq" else open_model(checkpoint(folder), "cpu")


@pytest.fixture
def made(opened: OpenEncoder) -> Made:
    """A golden set's model with a text in the discriminator's place."""

    def make(folder: Path, shift: ShiftOptions = SMALL) -> TextShift:
        inner = training_of(small_model(folder))
        return TextShift(inner, shift, opened.encoder)

    return make


def loop_of(training: TextShift, **changes: Any) -> TrainingLoop:
    options = shift_training(training.shift, training.layer_groups())
    options = TrainingOptions.from_json({**options.to_json(), **changes})
    return TrainingLoop(training, training.places(), options, ALONE)


def stepped(training: TextShift, steps: int = 2, **changes: Any) -> list[Mapping[str, float]]:
    loop = loop_of(training, **changes)
    return [loop.step() for _ in range(steps)]


def depths(training: TextShift, state: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """What two cameras see of a head's surface."""
    generator = training.drawable(state)
    facts = generator.capabilities
    w = generator.map(torch.linspace(-1.0, 1.0, facts.z_dim))
    pose = facts.default_pose
    frames = [generator.render(w, pose.turned(yaw).camera(), Quality(16)) for yaw in (0.0, 25.0)]
    return torch.cat([torch.cat([f.depth.flatten(), f.alpha.flatten()]) for f in frames])


@every
def test_gradients_go_from_the_text_to_the_weights_that_draw(folder: Path, made: Made) -> None:
    training = made(folder)
    check_groups(training)
    places = training.places().batch(0, 2)
    losses = losses_of(training, GENERATOR, places, Progress(0, 0))
    losses = {name: value.detach() for name, value in losses.items()}
    assert all(bool(torch.isfinite(value)) for value in losses.values())
    # Nothing has moved yet, so that nothing was reached.
    assert float(losses["score/reached"]) == pytest.approx(0.0, abs=1e-4)
    assert float(losses["reach"]) == pytest.approx(1.0, abs=1e-3)
    groups = training.layer_groups()
    for group in set(groups) - {"mapping"}:
        slopes = [
            parameter.grad
            for name, parameter in training.generator.named_parameters()
            if name.startswith(tuple(groups[group])) and parameter.grad is not None
        ]
        assert sum(float(slope.abs().sum()) for slope in slopes) > 0.0, group
        assert all(bool(torch.isfinite(slope).all()) for slope in slopes), group


@every
def test_steps_go_towards_the_text_and_repeat(folder: Path, made: Made) -> None:
    free = replace(SMALL, still=0.0, direction=0.0, yaw=0.0, pitch=0.0)
    rate = 4.0 if "stylesdf" in folder.name else 1.0
    steps = stepped(made(folder, free), 6, rate=rate)
    assert max(step["score/reached"] for step in steps[2:]) > 1e-3
    assert steps[:2] == stepped(made(folder, free), 2, rate=rate)
    other = stepped(made(folder, free), 2, rate=rate, seed=1)
    assert other[1] != steps[1]


@every
def test_frozen_shapes_stay_to_the_last_bit_while_colours_move(folder: Path, made: Made) -> None:
    shift = replace(SMALL, freeze_shape=True)
    training = made(folder, shift)
    if not set(training.layer_groups()) - {"mapping", "geometry"}:
        with pytest.raises(UserError, match="cannot be kept"):
            shift_training(shift, training.layer_groups())
        return
    check_groups(training)
    before = {name: value.clone() for name, value in training.generator.state_dict().items()}
    loop = loop_of(training, average_share=0.0, average_images=0.0)
    for _ in range(3):
        loop.step()
    after = loop.average
    assert torch.equal(depths(training, before), depths(training, after))
    recipe = Recipe(size=24, psi=1.0)
    pictures = [Painter(training.drawable(s)).picture(recipe).int() for s in (before, after)]
    assert bool((pictures[0] != pictures[1]).any())


def test_without_freezing_shapes_move(made: Made) -> None:
    training = made(GOLDENS / "eg3d_ffhq")
    before = {name: value.clone() for name, value in training.generator.state_dict().items()}
    stepped(training, 2)
    moved = training.generator.state_dict()
    assert not torch.equal(depths(training, before), depths(training, moved))


def test_a_price_on_shapes_is_felt_once_they_move(made: Made) -> None:
    steps = stepped(made(GOLDENS / "eg3d_ffhq", replace(SMALL, shape=1.0, whole=0.5)), 2)
    assert steps[0]["shape"] == pytest.approx(0.0, abs=1e-6) and steps[1]["shape"] > 1e-6
    assert 0.0 < steps[0]["whole"] < 1.0


def test_the_mapping_is_left_alone_unless_it_is_asked_for(made: Made) -> None:
    training = made(GOLDENS / "pigan")
    loop = loop_of(training)
    assert loop.trained("discriminator") == []
    assert not any("mapping" in name for name, _ in loop.trained("generator"))
    asked = loop_of(made(GOLDENS / "pigan"), layers=("mapping",))
    before = [value.clone() for _, value in asked.trained("generator")]
    asked.step()
    after = [value for _, value in asked.trained("generator")]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_batch_that_does_not_fit_is_cut(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    training = made(GOLDENS / "eg3d_ffhq")
    loop = loop_of(training)
    said: list[Notice] = []
    loop.notify = said.append
    drawn = training._seen
    calls: list[int] = []

    def full(*words: Any) -> Any:
        calls.append(loop.position.pass_size)
        # The second person's first picture, as long as there are two of them at once.
        if calls[-1] == 2 and len(calls) == 3:
            raise MemoryError
        return drawn(*words)

    monkeypatch.setattr(training, "_seen", full)
    loop.step()
    assert loop.position.pass_size == 1 and loop.position.step == 1
    assert calls == [2, 2, 2, 1, 1, 1, 1]
    assert "2 pictures at once do not fit" in said[0].text


def test_what_colours_only_is_a_group_where_shapes_are_to_stay(made: Made) -> None:
    frozen = replace(SMALL, freeze_shape=True)
    assert COLOURS not in made(GOLDENS / "eg3d_ffhq").layer_groups()
    groups = made(GOLDENS / "eg3d_ffhq", frozen).layer_groups()
    assert shift_training(frozen, groups).layers == ("upsampler", COLOURS)
    assert shift_training(frozen, groups, ("upsampler",)).layers == ("upsampler",)
    with pytest.raises(UserError, match="--freeze-shape keeps the layers 'geometry'"):
        shift_training(frozen, groups, ("upsampler", "geometry"))


def test_the_bundled_encoder_moves_people_and_others_move_layers(made: Made) -> None:
    """The former knows nothing that heads cannot be; all mappings are one group then."""
    bundled = replace(SMALL, encoder="")
    training = made(GOLDENS / "cips3d", bundled)
    groups = training.layer_groups()
    check_groups(training)
    assert groups["mapping"] == ("mapping_network_inr.", "mapping_network_nerf.")
    own = shift_training(bundled, groups)
    assert (own.layers, own.rate) == (("mapping",), 3.0)
    asked = shift_training(bundled, groups, ("mapping", "appearance"))
    assert (asked.layers, asked.rate) == (("mapping", "appearance"), 1.0)
    other = shift_training(SMALL, groups)
    assert (other.layers, other.rate) == (("geometry", "appearance"), 1.0)


def test_the_direction_of_what_has_not_moved_has_a_finite_slope(opened: OpenEncoder) -> None:
    aim = Aim(opened.encoder, "an old man")
    moved = torch.zeros(3, len(aim.direction), requires_grad=True)
    lost = aim.astray(moved)
    lost.backward()  # type: ignore[no-untyped-call]
    assert float(lost.detach()) == 1.0 and moved.grad is not None
    assert 0.0 < float(moved.grad.norm()) < 100.0
    # All of the way: nearly nothing is lost; the other way: nearly two.
    way = aim.direction[None] * aim.length
    assert float(aim.astray(way)) < 0.01 and float(aim.astray(-way)) > 1.98
    assert (
        float(aim.along(way)[0]) == pytest.approx(1.0) and float(aim.short(aim.along(way))) < 1e-9
    )
