"""The benchmark of what is left out: that its three ways are three, and that it finds what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.generators import cips3d
from engine.generators.base import Quality, latent_from_seed
from engine.rendering import lazy_march
from engine.rendering.occupancy import EVERYWHERE, Occupancy
from tests.benchmarks.bench_empty import _missed, ball, drawing, measure
from tests.generators.tiny_cips3d import tiny_model


def test_one_face_in_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cips3d, "_SURVEY_CELLS", 12)
    found = measure(tiny_model(), Quality(), repeats=1)
    assert len(found.seconds) == 3 and min(found.seconds) > 0.0
    assert max(found.differences) < 1e-4 and found.missed[0] == 0


@torch.inference_mode()
def test_each_way_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Occupancy] = []
    march = lazy_march.march_lazily

    def watched(*arguments: object) -> object:
        asked.append(arguments[4])  # type: ignore[arg-type]
        return march(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(lazy_march, "march_lazily", watched)
    model, grid = tiny_model(), Occupancy(np.ones((2, 2, 2), np.uint8), 1.0)
    w = model.map(latent_from_seed(1, model.capabilities.z_dim))
    for way, expected in ((None, []), (EVERYWHERE, [EVERYWHERE]), (grid, [grid])):
        asked.clear()
        with drawing(way):
            model.render(w, model.capabilities.default_pose.camera())
        assert all(any(one is known for known in expected) for one in asked)
        assert bool(asked) == bool(expected)


@torch.inference_mode()
def test_points_that_a_grid_has_missed_are_counted() -> None:
    model = tiny_model()
    survey = model.survey(model.map(latent_from_seed(1, model.capabilities.z_dim)))
    assert survey is not None
    survey.density, survey.level = lambda points: -ball(points), 0.0
    missed, of = _missed(survey, Occupancy(np.zeros((4, 4, 4), np.uint8), 0.2))
    share = 4.19 * 0.085**3 / 0.4**3
    assert of == 200_000 and 0.8 * share < missed / of < 1.2 * share
