"""Families whose new fields can begin as a ball."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.training.gan.adversarial import Step
from engine.training.gan.ball import BALL, BallOptions, ball_error, ball_points
from engine.training.gan.contract import Phase, Progress
from engine.training.gan.families import fresh
from tests.training.gan.checks import batch_of, check_every_phase, losses_of, seeded

FAMILIES = ("eg3d", "epigraf", "stylenerf")
BATCH = batch_of(16, 2)
SMALL = {"judge_channels": 8, "ball_steps": 4, "ball_points": 64}
NETWORKS: dict[str, dict[str, Any]] = {
    "eg3d": {"channel_base": 128, "channel_max": 16},
    "epigraf": {
        "channel_base": 512, "channel_max": 32, "radius": 25.0, "ray_start": 22.0, "ray_end": 28.0,
        "cube_scale": 3.0,
    },
    "stylenerf": {},
}  # fmt: skip
#: What one sees around the world's origin: half the height of what their cameras show there.
REACH = {"eg3d": 2.7 / 4.2647 / 2.0, "epigraf": 2.627606, "stylenerf": 0.105104}


def training_of_a_ball(family: str, **options: Any) -> Any:
    return fresh(family, 16, SMALL | options, NETWORKS[family])


def test_the_distance_from_a_balls_densities() -> None:
    points = torch.tensor([[[0.0, 0.0, 0.1], [0.0, 2.0, 0.0], [0.0, 0.0, -3.0]]])
    # Inside 8, in the middle of the rim between 8 and -2, outside -2.
    assert float(ball_error(torch.tensor([[8.0, 3.0, -2.0]]), points, 2.0, 8.0, 2.0)) == 0.0
    assert float(ball_error(torch.tensor([[5.0, 3.0, -8.0]]), points, 2.0, 8.0, 2.0)) == 3.0
    flat = torch.zeros(1, 3)
    assert float(ball_error(flat, points, 2.0, 8.0, 2.0)) == pytest.approx((8.0 + 3.0 + 2.0) / 3.0)


def test_points_lie_at_even_distances() -> None:
    step = Step(BATCH, Progress(0, 0), seeded(), lambda pictures: pictures)
    distances = torch.linalg.vector_norm(ball_points(step, 4000, 0.5), dim=-1)
    for share in (0.25, 0.5, 0.75):
        assert float(distances.quantile(share)) == pytest.approx(0.5 * share, abs=0.02)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_ball_is_learnt_alone_and_first(family: str) -> None:
    training = training_of_a_ball(family)
    assert training.phases(Progress(3, 24)) == [BALL]
    assert BALL not in training.phases(Progress(4, 32))
    assert BALL not in training_of_a_ball(family, fine_tuning=True).phases(Progress(0, 0))
    # As published there is none.
    assert BallOptions().ball_steps == 0 and BALL not in fresh(family, 16).phases(Progress(0, 0))
    first = check_every_phase(
        training, BATCH, Progress(0, 0), r"discriminator\..*|" + UNREAD[family]
    )
    assert set(first[BALL.name]) == {"ball"}


#: What says nothing of densities.
UNREAD = {
    "eg3d": r"generator\.(superresolution|backbone\.synthesis\.b\d+\.torgb_none)\..*",
    "epigraf": r"generator\.none",
    "stylenerf": r"generator\.synthesis\.(bg_nerf|b\d+|fg_nerf\.(feat_out|to_rgb))\..*",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_new_fields_become_balls(family: str) -> None:
    torch.manual_seed(1)
    training = training_of_a_ball(family, ball_density=5.0, ball_clear=3.0, ball_points=256)
    assert training.reach == pytest.approx(REACH[family], rel=1e-4)
    optimiser = torch.optim.Adam(training.generator.parameters(), 0.003, (0.0, 0.99))
    errors = []
    for step in range(40):
        found = losses_of(training, BALL, BATCH, Progress(step, 0), seed=step)
        optimiser.step()
        errors.append(float(found["ball"].detach()))
    assert sum(errors[-10:]) < 0.85 * sum(errors[:10])
    # What is drawn is dense there, and not around it.
    model = training.drawable(training.generator.state_dict())
    camera = model.capabilities.default_pose.camera()
    w = model.map(torch.randn(model.capabilities.z_dim, generator=seeded()), conditioning=camera)
    field = model.field(w)
    unit = torch.nn.functional.normalize(torch.randn(50, 3, generator=seeded(1)), dim=-1)
    middle, around = (field.density(unit * training.reach * share) for share in (0.2, 0.8))
    assert float(middle.median()) > float(around.median()) + 1.0


def test_others_have_no_such_phase() -> None:
    with pytest.raises(ValueError, match="generator_ball"):
        training = fresh("cips3d", 16)
        training.losses(Phase(BALL.name, "generator"), BATCH, Progress(0, 0), seeded(), lambda p: p)
