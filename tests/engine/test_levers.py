"""Which qualities previews get, from what levers cost and how much they are seen."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from app.adaptive import AdaptiveQuality, Preview, ladder, measured_ladder
from engine.errors import UserError
from engine.frame import Frame
from engine.generators.base import Quality, latent_from_seed
from engine.lever_trials import LeverTrials, trials_of
from engine.levers import Levers
from tests.generators.tiny_cips3d import tiny_model

SIDES = [(0.25, 0.06), (0.5, 0.03), (0.75, 0.02)]
#: As the CIPS-3D that ships: fewer samples save little, and are seen.
SAMPLES_SEEN = [(0.5, 0.65, 0.0745)]
#: A field so smooth that they are not.
SAMPLES_UNSEEN = [(0.75, 0.75, 1e-4), (0.5, 0.5, 5e-4)]
#: An implicit network that is most of the work, whose last blocks do little.
BLOCKS_UNSEEN = [(8 / 9, 0.9, 1e-4), (6 / 9, 0.72, 2e-3), (4 / 9, 0.5, 4e-3)]


def check(levers: Levers, resolution: int = 128, samples: float = 1.0) -> tuple[Preview, ...]:
    rungs = measured_ladder(levers, resolution, samples)
    assert rungs[-1] == Preview(resolution, samples, 1.0, resolution**2 * samples)
    assert all(a.work <= 0.72 * b.work for a, b in pairwise(rungs))
    assert min(r.resolution for r in rungs) >= min(32, resolution)
    return rungs


def test_what_is_seen_is_left_for_last() -> None:
    rungs = check(Levers.of(SIDES, SAMPLES_SEEN, []))
    assert all(r.samples == 1.0 for r in rungs if r.work >= 32**2)
    assert any(r.resolution == 32 and r.samples == 1.0 for r in rungs)


def test_what_is_not_seen_goes_first() -> None:
    rungs = check(Levers.of(SIDES, SAMPLES_UNSEEN, []))
    below = rungs[-2]
    assert below.resolution == 128 and below.samples < 1.0


def test_blocks_are_a_lever_like_the_others() -> None:
    rungs = check(Levers.of(SIDES, SAMPLES_SEEN, BLOCKS_UNSEEN))
    below = rungs[-2]
    assert (below.resolution, below.samples) == (128, 1.0) and below.blocks < 1.0
    seen = [(share, cost, 0.2) for share, cost, _ in BLOCKS_UNSEEN]
    dear = check(Levers.of(SIDES, SAMPLES_SEEN, seen))
    assert all(r.blocks == 1.0 for r in dear if r.work >= 32**2)


def test_levers_do_not_save_the_same_time_twice() -> None:
    levers = Levers.of(SIDES, [(0.5, 0.6, 0.3)], [(0.5, 0.7, 0.4)])
    both = next(entry for entry in levers.others if entry[:2] == (0.5, 0.5))
    assert both[2:] == pytest.approx((0.3, 0.5))


@pytest.mark.parametrize("resolution", [16, 32, 36, 64, 100, 256, 512])
@pytest.mark.parametrize("samples", [0.25, 1.0, 2.0])
def test_ladders_of_every_size(resolution: int, samples: float) -> None:
    rungs = check(Levers.of(SIDES, SAMPLES_UNSEEN, BLOCKS_UNSEEN), resolution, samples)
    assert len(rungs) < 30


def test_errors_between_the_sides_that_were_tried() -> None:
    levers = Levers.of(SIDES, [], [])
    assert [levers.side_error(s) for s in (0.1, 0.25, 0.375, 0.75, 1.0)] == pytest.approx(
        [0.06, 0.06, 0.045, 0.02, 0.0]
    )


def test_the_controller_goes_on_at_what_it_could_afford() -> None:
    """A simulated machine: full quality takes 0.4 s, of which the levers save what they say."""
    controller = AdaptiveQuality(128)
    full = 128.0**2

    def drive(frames: int) -> list[Preview]:
        drawn = []
        for _ in range(frames):
            rung = controller.quality
            controller.record(rung, 0.4 * rung.work / full)
            drawn.append(rung)
        return drawn

    drive(60)
    before = controller.quality
    rungs = measured_ladder(Levers.of(SIDES, SAMPLES_SEEN, BLOCKS_UNSEEN), 128)
    controller.use(rungs)
    assert controller.quality in rungs and controller.quality.work <= before.work
    settled = drive(120)[-60:]
    assert len(set(settled)) == 1, "it does not swing"
    assert 0.4 * settled[0].work / full <= controller.budget
    assert settled[0].blocks < 1.0 and settled[0].samples == 1.0
    controller.use(ladder(128))
    assert controller.quality in ladder(128)
    same = controller.quality
    controller.use(ladder(128))
    assert controller.quality == same


def test_trials_measure_cost_and_error_of_every_lever() -> None:
    """A family of known costs: the time is the pixels times (samples + blocks)."""
    model = tiny_model(inr_blocks=9, img_resolution=64)
    facts = model.capabilities
    assert facts.fewer_blocks == tuple(n / 9 for n in (8, 7, 6, 5, 4))
    now = [0.0]
    asked: list[Quality] = []

    def draw(quality: Quality) -> Frame:
        asked.append(quality)
        side = quality.neural_resolution or 64
        seconds = side**2 * (quality.samples + 3.0 * quality.blocks)
        now[0] += 7.0 + seconds
        level = 0.5 + 0.01 * (1.0 - quality.samples) + 0.1 * (1.0 - quality.blocks)
        picture = torch.full((side, side, 3), level)
        plane = picture[..., 0]
        return Frame(picture, picture, plane, plane, None, {"map": 7.0, "volume": seconds})

    trials = LeverTrials(facts, 64, 1.0, draw, lambda: now[0])
    while not trials.done:
        trials.step()
    assert len(asked) == len(trials_of(facts)) == 5 + 2 + 5
    assert min(q.neural_resolution or 64 for q in asked) == 32
    found = {entry[:2]: entry[2:] for entry in trials.levers().others}
    assert found[0.5, 1.0] == pytest.approx((3.5 / 4.0, 0.005), rel=1e-3)
    assert found[1.0, 4 / 9] == pytest.approx((1.0 - 3.0 * 5 / 36, 0.1 * 5 / 9), rel=1e-3)
    assert trials.levers().sides[-1] == (1.0, 0.0)


def test_a_trial_that_was_given_up_comes_again() -> None:
    model = tiny_model()
    broken = [True]

    def draw(quality: Quality) -> Frame:
        if broken[0]:
            raise RuntimeError("something else is wanted")
        w = model.map(latent_from_seed(1, model.capabilities.z_dim))
        return model.render(w, model.capabilities.default_pose.camera(), quality)

    trials = LeverTrials(model.capabilities, 15, 1.0, draw)
    with pytest.raises(RuntimeError):
        trials.step()
    broken[0] = False
    while not trials.done:
        trials.step()
    levers = trials.levers()
    assert levers.sides[-1] == (1.0, 0.0) and all(error >= 0.0 for _, error in levers.sides)
    assert len(levers.others) == 3 * (1 + len(model.capabilities.fewer_blocks))


def test_fewer_blocks_leave_out_what_the_last_would_add() -> None:
    model = tiny_model(inr_blocks=6)
    w = model.map(latent_from_seed(2, model.capabilities.z_dim))
    camera = model.capabilities.default_pose.camera()
    whole = model.render(w, camera)
    fewer = model.render(w, camera, Quality(blocks=4 / 6))
    assert not torch.equal(whole.rgb, fewer.rgb)
    assert torch.equal(whole.raw, fewer.raw) and torch.equal(whole.depth, fewer.depth)
    assert torch.equal(whole.rgb, model.render(w, camera, Quality(blocks=0.99)).rgb)
    # No colour comes of fewer than four.
    assert torch.equal(fewer.rgb, model.render(w, camera, Quality(blocks=0.01)).rgb)
    network, styled = model.network, model.styled(w)
    features = torch.randn(40, model.config.nerf_features)
    for head in list(network.inr_net.to_rgbs.values())[4:]:
        for parameter in head.parameters():
            torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(
        network.inr_net(styled.weights, features),
        network.inr_net(styled.weights, features, 4),
    )


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01, float("nan")])
def test_shares_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(UserError, match="share of blocks"):
        Quality(blocks=share)
