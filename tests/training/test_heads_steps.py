"""The steps of a latent, against the people that it draws."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from engine.errors import UserError
from engine.generators.eg3d_config import EG3DConfig
from engine.generators.latent_features import LatentFeatures, LatentStep, steps_from_json
from engine.training.bundled.model import bundled_config
from engine.training.heads import catalogue as cat
from engine.training.heads.attributes import AXES, LATENT_SIZE, attributes_from_latent
from engine.training.heads.steps import latent_steps


def answers(z: np.ndarray) -> np.ndarray:
    """``[N, steps]`` yes or no, as the layer tells them."""
    features = LatentFeatures(LATENT_SIZE, latent_steps())(torch.from_numpy(z))
    return (features[:, 2 * LATENT_SIZE :] > 0).numpy()


def test_people_of_the_same_steps_have_the_same_kind_of_everything():
    """Whatever is a choice must be settled by the steps alone."""
    z = np.random.default_rng(3).standard_normal((4000, LATENT_SIZE)).astype(np.float32)
    steps = latent_steps()
    told = answers(z)
    of = {name: [i for i, step in enumerate(steps) if step.axis == AXES[name]] for name in AXES}
    people = [attributes_from_latent(row) for row in z]
    for name, kind in {
        "hair_style": lambda p: (p.gender, p.hair_style),
        "beard": lambda p: (p.gender, p.beard),
        "glasses": lambda p: p.glasses,
        "frame_color": lambda p: p.frame_word,
        "garment": lambda p: (p.gender, p.garment),
        "hair_dye": lambda p: (p.gender, p.hair_word if p.hair_word in cat.DYES else "none"),
        "expression": lambda p: p.expression,
        "hat": lambda p: p.hat,
        "hat_color": lambda p: p.hat_word,
        "brow_model": lambda p: (p.gender, p.brow_model),
        "lipstick": lambda p: (p.gender, p.lipstick),
        "hair_side": lambda p: p.hair_mirrored,
        "age": lambda p: sum(p.age > years for years in (38, 45, 62)),
    }.items():
        seen: dict[tuple, object] = {}
        gated = any(steps[i].side for i in of[name])
        columns = of[name] + (of["gender"] if gated else [])
        for row, person in zip(told[:, columns], people, strict=True):
            assert seen.setdefault(tuple(row), kind(person)) == kind(person), name
        assert len(seen) == len(set(seen.values())), f"{name} has steps that say nothing"


def test_features_by_hand():
    layer = LatentFeatures(2, (LatentStep(1, 0.5, 0, 1), LatentStep(1, 0.5, 0, -1)))
    told = layer(torch.tensor([[1.0, 0.6], [-1.0, 0.6], [1.0, 0.4]]))
    assert told.shape == (3, layer.out_features)
    torch.testing.assert_close(told[:, :2], torch.tensor([[1.0, 0.6], [-1.0, 0.6], [1.0, 0.4]]))
    # 84.13 % of a normal's draws lie below 1: sqrt(3) * (2 * 0.8413 - 1).
    assert told[0, 2].item() == pytest.approx(1.1825, abs=1e-3)
    assert told[:, 4:].tolist() == [[1.5, -0.5], [-0.5, 1.5], [-0.5, -0.5]]


def test_the_bundled_options_keep_their_steps_in_json():
    config = bundled_config()
    again = EG3DConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again.latent_steps == latent_steps() and again == config


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([[1, 0.5, 0]], "four numbers"),
        ([[1, "0.5", 0, 0]], "four numbers"),
        ([[9, 0.5, 0, 0]], "below 4"),
        ([[1.5, 0.5, 0, 0]], "below 4"),
        ([[1, 0.5, 0, 2]], "side"),
        ([[1, float("nan"), 0, 0]], "NaN|finite|side"),
        ([[1, float("inf"), 0, 0]], "finite"),
    ],
)
def test_nonsense_steps_are_one_sentence(rows, word):
    with pytest.raises(UserError, match=word):
        steps_from_json(rows, 4)
