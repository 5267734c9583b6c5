"""The controller of previews, against simulated machines."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from app.adaptive import AdaptiveQuality, Preview, default_fps, ladder

BUDGET = 1.0 / 15.0


def drive(
    controller: AdaptiveQuality,
    frames: int,
    cost: Callable[[Preview], tuple[float, float]],
    noise: float = 0.0,
    seed: int = 1,
) -> list[Preview]:
    """Draw so many frames on a machine whose ``(variable, fixed)`` seconds ``cost`` gives;
    the qualities that were drawn."""
    source = random.Random(seed)
    drawn = []
    for _ in range(frames):
        rung = controller.quality
        variable, fixed = cost(rung)
        seconds = (variable + fixed) * source.uniform(1 - noise, 1 + noise)
        controller.record(rung, seconds, fixed)
        drawn.append(rung)
    return drawn


def changes(drawn: list[Preview]) -> int:
    return sum(a != b for a, b in pairwise(drawn))


def linear(
    at_full: float, fixed: float = 0.0, full: int = 128
) -> Callable[[Preview], tuple[float, float]]:
    return lambda rung: (at_full * rung.work / full**2, fixed)


def test_ladder_of_128_by_hand() -> None:
    assert ladder(128) == (
        Preview(32, 0.5),
        Preview(40, 0.5),
        Preview(48, 0.5),
        Preview(56, 0.5),
        Preview(64, 0.5),
        Preview(80, 0.75),
        Preview(88, 0.75),
        Preview(104, 1.0),
        Preview(128, 1.0),
    )


@pytest.mark.parametrize("resolution", [16, 32, 36, 64, 100, 128, 256, 512])
@pytest.mark.parametrize("samples", [0.25, 1.0, 2.0])
def test_ladders_climb_and_keep_the_clamps(resolution: int, samples: float) -> None:
    rungs = ladder(resolution, samples)
    assert rungs[-1] == Preview(resolution, samples)
    assert all(a.work < b.work for a, b in pairwise(rungs))
    assert all(a.resolution <= b.resolution for a, b in pairwise(rungs))
    assert min(r.resolution for r in rungs) >= min(32, resolution)
    assert min(r.samples for r in rungs) >= min(0.5, samples)
    assert len(rungs) <= 20


@pytest.mark.parametrize("at_full", [0.08, 0.15, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("fixed", [0.0, 0.02])
def test_it_converges_to_the_best_rung_that_holds_the_rate(at_full: float, fixed: float) -> None:
    controller = AdaptiveQuality(128)
    cost = linear(at_full, fixed)
    drive(controller, 40, cost)
    settled = drive(controller, 100, cost)
    assert changes(settled) == 0
    rung = settled[-1]
    assert sum(cost(rung)) <= 1.15 * BUDGET
    above = [r for r in controller.rungs if r.work > rung.work]
    if above:
        assert sum(cost(above[0])) > 0.9 * BUDGET


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("at_full", [0.07, 0.12, 0.2, 0.35])
def test_it_does_not_oscillate_in_noise(at_full: float, seed: int) -> None:
    controller = AdaptiveQuality(128)
    cost = linear(at_full, 0.01)
    drive(controller, 60, cost, noise=0.15, seed=seed)
    assert changes(drive(controller, 400, cost, noise=0.15, seed=seed + 100)) <= 4


def test_a_rung_that_fails_is_tried_ever_more_rarely() -> None:
    """A machine where one rung costs far more than predicted (its planes leave the cache)."""
    controller = AdaptiveQuality(128)

    def cliff(rung: Preview) -> tuple[float, float]:
        return (0.02 if rung.resolution <= 64 else 0.2), 0.0

    drawn = drive(controller, 4000, cliff)
    slow = sum(rung.resolution > 64 for rung in drawn)
    assert slow < 60
    assert sum(rung.resolution > 64 for rung in drawn[2000:]) <= 4
    assert changes(drawn[2000:]) <= 8


def test_far_too_slow_machines_get_the_floor_and_stay_there() -> None:
    controller = AdaptiveQuality(128)
    drive(controller, 30, linear(50.0))
    assert controller.quality == Preview(32, 0.5)
    assert controller.at_floor


def test_fast_machines_get_full_quality() -> None:
    controller = AdaptiveQuality(128)
    for _ in range(5):
        controller.too_slow(controller.quality, 1.0)
    assert not controller.at_top
    drive(controller, 400, linear(0.02))
    assert controller.at_top


def test_it_follows_a_machine_that_becomes_slower_and_faster_again() -> None:
    controller = AdaptiveQuality(128)
    drive(controller, 50, linear(0.05))
    assert controller.at_top
    drive(controller, 30, linear(0.4))
    slow = controller.quality
    assert slow.work * 0.4 / 128**2 <= BUDGET
    drive(controller, 300, linear(0.05))
    assert controller.at_top


def test_the_first_timing_is_warm_up_and_is_discarded() -> None:
    controller = AdaptiveQuality(128)
    controller.record(controller.quality, 10.0)
    assert controller.at_top
    controller.record(controller.quality, 10.0)
    assert not controller.at_top


def test_the_first_timing_after_a_change_is_discarded() -> None:
    controller = AdaptiveQuality(128)
    drive(controller, 2, linear(0.3))
    rung = controller.quality
    assert not controller.at_top
    controller.record(rung, 10.0)
    assert controller.quality == rung


def test_timings_of_another_rung_are_dropped() -> None:
    controller = AdaptiveQuality(128)
    for _ in range(10):
        controller.record(Preview(64, 1.0), 10.0)
    assert controller.at_top


def test_a_single_outlier_in_the_band_changes_nothing() -> None:
    controller = AdaptiveQuality(128)
    drive(controller, 5, linear(0.06))
    controller.record(controller.quality, 1.9 * BUDGET)
    assert controller.at_top


def test_the_resolution_follows_the_square_root_law() -> None:
    """Four times too slow at constant samples: half the resolution, up to a rung."""
    controller = AdaptiveQuality(512)
    controller.prime(4 * BUDGET)
    wanted = 512**2 / 4 * 0.9
    assert controller.quality.work <= wanted
    index = controller.rungs.index(controller.quality)
    assert controller.rungs[index + 1].work > wanted


def test_a_full_quality_frame_chooses_where_to_start_until_previews_are_timed() -> None:
    controller = AdaptiveQuality(128)
    controller.prime(0.5)
    assert controller.quality.work * 0.5 / 128**2 <= 0.9 * BUDGET
    controller.prime(0.02)
    assert controller.at_top
    drive(controller, 10, linear(0.05))
    controller.prime(0.5)
    assert controller.at_top


def test_what_was_learned_is_forgotten_when_the_picture_costs_something_else() -> None:
    controller = AdaptiveQuality(128)
    drive(controller, 40, linear(0.4))
    slow = controller.quality
    assert slow.work < 128**2
    controller.prime(0.02)
    assert controller.quality == slow  # previews have been timed: a full frame says nothing new
    controller.unlearn()
    assert controller.quality == slow
    controller.prime(0.02)
    assert controller.at_top
    controller.unlearn()
    controller.prime(0.4, fixed=0.2, upsample=0.2)
    assert not controller.upsample
    controller.unlearn()
    controller.prime(0.02, fixed=0.01, upsample=0.01)
    assert controller.at_top


def test_super_resolution_is_left_out_only_if_it_alone_breaks_the_target() -> None:
    heavy = AdaptiveQuality(128)
    heavy.prime(0.2, fixed=0.1, upsample=0.1)
    assert not heavy.upsample and not heavy.at_top
    light = AdaptiveQuality(128)
    light.prime(0.2, fixed=0.05, upsample=0.05)
    assert light.upsample
    # The rest of the budget (0.9 * 66.7 - 50 ms) pays for 10 of the 150 ms of rays.
    assert light.quality.work <= 128**2 * 10.1 / 150


def test_a_preview_that_was_given_up_lowers_the_quality() -> None:
    controller = AdaptiveQuality(128)
    controller.too_slow(controller.quality, 0.14)
    assert controller.quality.work <= 128**2 * 0.9 * BUDGET / 0.14


def test_default_rates() -> None:
    assert (default_fps("cpu"), default_fps("cuda:0")) == (15.0, 60.0)


def burdened(
    controller: AdaptiveQuality, frames: int, at_full: float, seed: int, share: float, slower: float
) -> list[tuple[Preview, float]]:
    """Draw beside other programs, which make a share of the frames so many times slower; as the
    engine does, frames beyond twice the budget are given up unless nothing is cheaper."""
    source = random.Random(seed)
    drawn = []
    for _ in range(frames):
        rung = controller.quality
        seconds = at_full * rung.work / 128**2 + 0.01
        seconds *= source.uniform(0.9, 1.1) * (slower if source.random() < share else 1.0)
        limit = 2 * controller.budget
        if seconds > limit and not controller.at_floor:
            controller.too_slow(rung, limit)
        else:
            controller.record(rung, seconds, 0.01)
        drawn.append((rung, min(seconds, limit)))
    return drawn


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("at_full", [0.1, 0.3])
@pytest.mark.parametrize(("share", "slower"), [(0.05, 4.0), (0.2, 2.5), (0.5, 2.0)])
def test_beside_other_programs_the_rate_holds_without_swinging(
    seed: int, at_full: float, share: float, slower: float
) -> None:
    controller = AdaptiveQuality(128)
    burdened(controller, 150, at_full, seed, share, slower)
    drawn = burdened(controller, 1000, at_full, seed + 100, share, slower)
    typical = sorted(seconds for _, seconds in drawn)[500]
    assert typical <= 1.15 * BUDGET
    # A picture that changes its sharpness more than once in two seconds is felt as flicker.
    assert changes([rung for rung, _ in drawn]) <= 1000 / 30


def test_after_a_busy_moment_the_quality_comes_back() -> None:
    controller = AdaptiveQuality(128)
    drive(controller, 60, linear(0.1, 0.01))
    before = controller.quality
    burdened(controller, 40, 0.1, 3, 1.0, 4.0)
    assert controller.quality.work < before.work
    drive(controller, 400, linear(0.1, 0.01), noise=0.1)
    assert controller.quality == before
