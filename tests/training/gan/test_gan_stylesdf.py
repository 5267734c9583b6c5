"""StyleSDF's training on tiny models, in both stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.camera import FAMILY_AXES
from engine.checkpoints import read_checkpoint
from engine.generators.registry import open_model
from engine.generators.stylesdf import StyleSDF
from engine.training.gan.contract import Phase, Progress
from engine.training.gan.discriminator_coord import CoordDiscriminator, coord_widths
from engine.training.gan.discriminator_equal import PlacedDiscriminator
from engine.training.gan.families import fresh, judge_tensors, training_of
from engine.training.gan.losses import eikonal
from engine.training.gan.stylesdf import StyleSDFOptions, StyleSDFTraining
from engine.training.gan.stylesdf_drawing import Films, decoded, sphere_error, volumes
from tests.generators.tiny_stylesdf import (
    CONFIG,
    VOLUME_ONLY,
    sphere_network,
    tiny_model,
    tiny_network,
)
from tests.training.gan.checks import (
    batch_of,
    check_every_phase,
    check_groups,
    losses_of,
    moved_state,
    reopened,
    same_tensors,
    seeded,
)

GOLDEN = Path(__file__).parents[2] / "data" / "goldens" / "stylesdf" / "checkpoint.pt"
SMALL = replace(VOLUME_ONLY, render_size=16, samples_per_ray=6)
FIRST, SECOND = batch_of(16), batch_of(64)
BEGUN = Progress(step=20_000, images=10_000)
#: Biases that are in every file and are never added.
DEAD = r"generator\.decoder\.(conv1|convs\.\d+)\.bias"
FROZEN = r"generator\.(style|renderer)\..*"


def first_stage(**options: Any) -> StyleSDFTraining:
    torch.manual_seed(3)
    judge = CoordDiscriminator(16, {16: 4, 8: 5, 4: 6, 2: 6})
    return StyleSDFTraining(SMALL, StyleSDFOptions(**options), tiny_network(SMALL), judge)


def second_stage(**options: Any) -> StyleSDFTraining:
    torch.manual_seed(3)
    judge = PlacedDiscriminator(64, {64: 4, 32: 4, 16: 5, 8: 6, 4: 7})
    return StyleSDFTraining(CONFIG, StyleSDFOptions(**options), tiny_network(), judge)


def test_a_step_of_every_phase_of_the_first_stage() -> None:
    found = check_every_phase(first_stage(), FIRST, BEGUN)
    assert set(found) == {"generator", "discriminator"}
    assert {"pose", "eikonal", "surface"} <= set(found["generator"])
    # Angles are read off real pictures, too, since their cameras are known.
    assert {"pose", "pose_real", "r1", "fake", "real"} <= set(found["discriminator"])


def test_a_step_of_every_phase_of_the_second_stage() -> None:
    found = check_every_phase(second_stage(), SECOND, BEGUN, rf"{DEAD}|{FROZEN}")
    assert set(found) == {"generator", "generator_path", "discriminator", "discriminator_r1"}
    assert found["generator_path"]["path"] > 0.0


def test_it_begins_as_a_sphere() -> None:
    training = first_stage(sphere_steps=100, pace=0.5, sphere_points=50)
    (phase,) = training.phases(Progress(49, 0))
    assert phase.name == "generator_sphere"
    assert len(training.phases(Progress(50, 0))) == 2
    assert len(first_stage(fine_tuning=True).phases(Progress(0, 0))) == 2
    start = float(losses_of(training, phase, FIRST, Progress(0, 0))["sphere"].detach())
    optimiser = torch.optim.Adam(training.generator.parameters(), 2e-3)
    for step in range(60):
        losses_of(training, phase, FIRST, Progress(step, 0), seed=step)
        optimiser.step()
    end = float(losses_of(training, phase, FIRST, Progress(0, 0))["sphere"].detach())
    assert end < 0.3 * start


def test_a_sphere_is_no_error_and_has_unit_gradients_at_its_surface() -> None:
    network = sphere_network((0.0, 0.0, 0.0), 0.06)
    towards = torch.randn(2, 200, 3, generator=seeded())
    surface = torch.nn.functional.normalize(towards, dim=-1) * 0.06
    styles = torch.zeros(2, VOLUME_ONLY.style_dim)
    # The field is a sphere's but for terms of the fourth order.
    assert float(sphere_error(network, styles, surface, 0.06).detach()) < 1e-3
    smaller = float(sphere_error(network, styles, surface, 0.05).detach())
    assert smaller == pytest.approx(0.01, abs=1e-3)
    points = surface.requires_grad_()
    films = Films(network, styles)
    distance = films.distance(films.hidden(points))
    (gradients,) = torch.autograd.grad(distance.sum(), points)
    assert float(eikonal(gradients)) < 2e-3


def test_the_gradients_of_the_eikonal_loss_are_those_of_the_distance() -> None:
    """By finite differences, in double precision."""
    network = tiny_network(SMALL).double()
    styles = torch.randn(1, SMALL.style_dim, generator=seeded(), dtype=torch.float64)
    films = Films(network, styles)
    points = (torch.rand(1, 20, 3, generator=seeded(1), dtype=torch.float64) - 0.5) * 0.2
    leaf = points.clone().requires_grad_()
    (found,) = torch.autograd.grad(films.distance(films.hidden(leaf)).sum(), leaf)
    for axis in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[axis] = 1e-6
        up, down = (films.distance(films.hidden(points + s)) for s in (shift, -shift))
        torch.testing.assert_close(
            found[..., axis], (up - down).detach() / 2e-6, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("stage", [first_stage, second_stage])
def test_batches_are_what_the_model_draws(stage: Any) -> None:
    training = stage()
    model = training.drawable(training.generator.state_dict())
    assert isinstance(model, StyleSDF)
    poses = [model.capabilities.default_pose.turned(yaw=turn).camera() for turn in (-9.0, 14.0)]
    z = torch.randn(2, training.config.style_dim, generator=seeded())
    if not training.decoding:
        # The file of a volume renderer keeps its samples; the model draws with its own.
        model.adjust({"samples_per_ray": training.config.samples_per_ray})
    frames = [model.render(model.map(each), pose) for each, pose in zip(z, poses, strict=True)]
    axes = FAMILY_AXES["stylesdf"]
    cameras = torch.stack([torch.tensor(axes.from_ours(p.cam2world)).float() for p in poses])
    network = training.generator
    with torch.no_grad():
        styles = network.style(z)
        volume = volumes(network, styles, cameras, None)
        found = volume.rgb
        if network.decoder is not None:
            rows = network.decoder.style(styles)[:, None].expand(
                -1, training.config.decoder_rows, -1
            )
            found = decoded(network.decoder, volume.features, rows, None)
    expected = torch.stack([frame.rgb for frame in frames])
    error = ((found.movedim(1, -1) * 0.5 + 0.5).clamp(0, 1) - expected).abs()
    assert float(error.max()) < 1e-4


def test_the_renderer_is_frozen_in_the_second_stage() -> None:
    training = second_stage()
    losses_of(training, Phase("generator", "generator"), SECOND, BEGUN)
    touched = {n for n, p in training.generator.named_parameters() if p.grad is not None}
    assert touched and all(name.startswith("decoder.") for name in touched)


def test_a_decoder_is_put_on_a_volume_renderer() -> None:
    model = tiny_model(SMALL)
    training = training_of(model, {"doublings": 1, "decoder_channels": 16, "judge_channels": 16})
    assert isinstance(training, StyleSDFTraining)
    assert training.decoding and training.resolution == 32
    own = training.generator.state_dict()
    for name, value in model.network.state_dict().items():
        assert torch.equal(own[name], value)
    found = losses_of(training, Phase("generator", "generator"), batch_of(32), BEGUN)
    assert bool(torch.isfinite(found["generator"]))
    drawn = training.drawable(own)
    assert drawn.capabilities.resolution == 32


def test_rates_of_the_stages() -> None:
    one, two = first_stage(), second_stage()
    assert one.optimiser("generator").learning_rate == 2e-5
    assert one.optimiser("discriminator").betas == (0.0, 0.9)
    assert two.optimiser("discriminator").learning_rate == 0.002
    assert two.optimiser("generator").betas == (0.0, 0.99)
    assert one.ema_half_life(BEGUN) == 10_000
    for training in (one, two):
        check_groups(training)


@pytest.mark.parametrize("stage", [first_stage, second_stage])
def test_authors_files_are_read_back_to_the_same_tensors(stage: Any, tmp_path: Path) -> None:
    training = stage()
    state = moved_state(training)
    (model,) = reopened(training, state, tmp_path)
    same_tensors(model, state)
    judge = judge_tensors(read_checkpoint(tmp_path / "model.pt"))
    assert judge is not None
    again = training_of(model, {}, judge)
    assert again.resolution == training.resolution
    for name, value in training.discriminator.state_dict().items():
        assert torch.equal(again.discriminator.state_dict()[name], value)


def test_the_discriminator_of_an_authors_file_fits() -> None:
    tensors = judge_tensors(read_checkpoint(GOLDEN))
    assert tensors is not None
    training = training_of(open_model(GOLDEN, "cpu"), judge=tensors)
    own = training.discriminator.state_dict()
    assert set(own) == set(tensors)
    assert all(torch.equal(own[key], tensors[key]) for key in tensors)


def test_the_release_has_28_tensors_in_the_first_stages_discriminator() -> None:
    judge = CoordDiscriminator(64, coord_widths(64))
    assert len(judge.state_dict()) == 28
    count = sum(p.numel() for p in judge.parameters())
    assert 12.0e6 < count < 12.2e6


@pytest.mark.parametrize("side", [16, 32])
def test_a_small_model_from_nothing(side: int) -> None:
    training = fresh("stylesdf", side, {"sphere_points": 100})
    (phase,) = training.phases(Progress(0, 0))
    assert bool(
        torch.isfinite(losses_of(training, phase, batch_of(side), Progress(0, 0))["sphere"])
    )
    assert training.resolution == side
