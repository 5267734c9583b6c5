"""Discriminators that read a head's pose, in the families whose authors' do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.training.gan.contract import Phase, Progress
from engine.training.gan.families import fresh, kind_of
from tests.training.gan.checks import batch_of, losses_of

FAMILIES = ("eg3d", "epigraf", "cips3d", "stylenerf")
DRAWS, JUDGES = Phase("generator", "generator"), Phase("discriminator", "discriminator")
BATCH = batch_of(16, 2)
NOW = Progress(3, 10_000_000)


def small(family: str, **options: Any) -> Any:
    return fresh(family, 16, {"judge_channels": 8, **options})


@pytest.mark.parametrize("family", FAMILIES)
def test_angles_are_read_off_both_kinds_of_pictures(family: str) -> None:
    training = small(family, pose_weight=10.0)
    drawing, judging = (losses_of(training, p, BATCH, NOW) for p in (DRAWS, JUDGES))
    assert float(drawing["pose"].detach()) > 0.0
    assert {"pose", "pose_real"} <= set(judging)
    # What is real has its own angles, and it matters which.
    assert BATCH.cameras is not None
    other = losses_of(training, JUDGES, replace(BATCH, cameras=BATCH.cameras.flip(0)), NOW)
    assert float(other["pose_real"].detach()) != float(judging["pose_real"].detach())
    twice = losses_of(small(family, pose_weight=20.0), JUDGES, BATCH, NOW)
    torch.testing.assert_close(twice["pose_real"], 2.0 * judging["pose_real"])


@pytest.mark.parametrize("family", (*FAMILIES, "pigan", "stylesdf"))
def test_angles_can_be_learnt_from_real_pictures_alone(family: str) -> None:
    options = (
        {"pose_weight": 10.0, "sphere_steps": 0} if family == "stylesdf" else {"pose_weight": 10.0}
    )
    both = losses_of(small(family, **options), JUDGES, BATCH, NOW)
    training = small(family, **options, real_poses_only=True)
    real = losses_of(training, JUDGES, BATCH, NOW)
    assert "pose" in both and set(real) == set(both) - {"pose"}
    torch.testing.assert_close(real["pose_real"], both["pose_real"])
    # The generator still has to draw what is read so.
    assert float(losses_of(training, DRAWS, BATCH, NOW)["pose"].detach()) > 0.0
    # Where no cameras are known there is nothing else to learn from.
    if family != "eg3d":
        unknown = losses_of(training, JUDGES, replace(BATCH, cameras=None), NOW)
        assert "pose" in unknown and "pose_real" not in unknown


@pytest.mark.parametrize("family", FAMILIES)
def test_published_discriminators_read_none(family: str) -> None:
    for phase in (DRAWS, JUDGES):
        assert not {"pose", "pose_real"} & set(losses_of(small(family), phase, BATCH, NOW))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_a_discriminator_is_opened_with_its_angles(family: str, weight: float) -> None:
    training = small(family, pose_weight=weight)
    judge = training.discriminator.state_dict()
    # Whatever is wished for now.
    options = replace(training.options, pose_weight=10.0 - weight)
    again = kind_of(family).make(training.config, options, training.generator, judge)
    for name, value in again.discriminator.state_dict().items():
        assert torch.equal(value, judge[name]), name
    assert "pose" not in losses_of(again, JUDGES, BATCH, NOW)
