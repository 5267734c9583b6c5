"""Curves of a training run."""

from __future__ import annotations

from app.training_curves import MOST_POINTS, Curve, Curves


def test_a_curve_keeps_every_point_while_there_are_few() -> None:
    curve = Curve()
    for step in range(10):
        curve.add(step, step * 2.0)
    assert curve.steps == [float(step) for step in range(10)]
    assert curve.values == [step * 2.0 for step in range(10)]


def test_a_long_curve_is_thinned_to_means() -> None:
    curve = Curve()
    for step in range(1, 10 * MOST_POINTS + 1):
        curve.add(step, float(step % 2))
    assert len(curve.steps) < MOST_POINTS
    assert curve.values == [0.5] * len(curve.values)
    assert curve.steps == sorted(curve.steps) and curve.steps[-1] > 9.9 * MOST_POINTS


def test_what_came_after_a_step_is_forgotten() -> None:
    curves = Curves()
    for step in range(6):
        curves.add(step, {"loss": float(step)})
    curves.add(6, {"other": 1.0})
    curves.back_to(3)
    assert curves.named["loss"].steps == [0.0, 1.0, 2.0, 3.0]
    assert curves.named["other"].steps == []
    curves.add(4, {"loss": 9.0})
    assert curves.named["loss"].values == [0.0, 1.0, 2.0, 3.0, 9.0]
