"""pi-GAN's training on a tiny model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.camera import FAMILY_AXES
from engine.checkpoints import module_tensors, read_checkpoint
from engine.errors import UserError
from engine.generators.pigan import PiGAN
from engine.generators.registry import open_model
from engine.training.gan.contract import Phase, Progress
from engine.training.gan.discriminator_growing import GrowingDiscriminator
from engine.training.gan.families import fresh, kind_of, training_of
from engine.training.gan.losses import generator_logistic
from engine.training.gan.pigan import PiGANOptions, PiGANTraining
from tests.generators.tiny_pigan import CONFIG, tiny_network
from tests.training.gan.checks import (
    batch_of,
    check_every_phase,
    check_groups,
    losses_of,
    moved_state,
    only,
    reopened,
    same_tensors,
    seeded,
)

GOLDEN = Path(__file__).parents[2] / "data" / "goldens" / "pigan" / "CelebA" / "generator.pth"
BATCH = batch_of(16)
GROWN = Progress(step=2500, images=10_000_000)
WIDTHS = {16: 4, 8: 5, 4: 6, 2: 6}


def tiny(config: dict[str, Any] | None = None, **options: Any) -> PiGANTraining:
    changed = replace(CONFIG, **(config or {}))
    torch.manual_seed(3)
    judge = GrowingDiscriminator(WIDTHS, 8)
    chosen = PiGANOptions(**{"side": 16, "least_side": 8, **options})
    return PiGANTraining(changed, chosen, tiny_network(changed), judge)


@pytest.mark.parametrize("config", [{}, {"white_back": True, "stored_averages": True}])
def test_a_step_of_every_phase(config: dict[str, Any]) -> None:
    # Grown up, nothing reads small pictures any more.
    found = check_every_phase(tiny(config), BATCH, GROWN, r"discriminator\.from_rgb\.8\..*")
    assert set(found) == {"generator", "discriminator"}
    assert "pose" in found["generator"]
    assert {"fake", "real", "r1", "pose", "pose_real"} <= set(found["discriminator"])


def test_angles_are_read_off_real_pictures_whose_cameras_are_known() -> None:
    training, phase = tiny(fine_tuning=True), Phase("discriminator", "discriminator")
    found = losses_of(training, phase, BATCH, GROWN)
    # A mould of a head is a head seen from the other side: its angles are wrong by as much.
    other = replace(BATCH, cameras=BATCH.cameras.flip(0)) if BATCH.cameras is not None else BATCH
    turned = losses_of(training, phase, other, GROWN)
    assert float(turned["pose_real"].detach()) != float(found["pose_real"].detach())
    for unknown in (replace(BATCH, cameras=None), BATCH):
        training = tiny(fine_tuning=True, data_poses=unknown.cameras is None)
        assert "pose_real" not in losses_of(training, phase, unknown, GROWN)


def test_a_new_field_can_begin_dense() -> None:
    torch.manual_seed(3)
    published = PiGANTraining(CONFIG, PiGANOptions(side=16))
    torch.manual_seed(3)
    dense = PiGANTraining(CONFIG, PiGANOptions(side=16, density_start=50.0))
    name = "siren.final_layer.weight"
    for other, value in published.generator.state_dict().items():
        factor = 50.0 if other == name else 1.0
        torch.testing.assert_close(dense.generator.state_dict()[other], value * factor)


def test_growing() -> None:
    training = tiny(grow_images=1000, fade_images=500)
    assert training.growth(Progress(0, 0)) == (8, 1.0)
    assert training.growth(Progress(0, 999)) == (8, 1.0)
    assert training.growth(Progress(0, 1250)) == (16, 0.5)
    assert training.growth(Progress(0, 1600)) == (16, 1.0)
    assert training.growth(Progress(0, 2**40)) == (16, 1.0)
    assert tiny(pace=0.5, grow_images=1000).growth(Progress(0, 500))[0] == 16
    assert tiny(fine_tuning=True).growth(Progress(0, 0)) == (16, 1.0)
    check_every_phase(training, BATCH, Progress(0, 1250))
    check_every_phase(training, BATCH, Progress(0, 0), r"discriminator\.(from_rgb|blocks)\.16\..*")


def test_a_block_that_is_faded_out_does_not_count() -> None:
    judge = GrowingDiscriminator(WIDTHS, 8)
    picture = torch.randn(2, 3, 16, 16, generator=seeded())
    small = torch.nn.functional.avg_pool2d(picture, 2)
    torch.testing.assert_close(judge(picture, 0.0), judge(small))
    assert not torch.allclose(judge(picture, 0.5)[0], judge(small)[0])


def test_a_discriminator_can_compare_pictures() -> None:
    alike = torch.randn(1, 3, 16, 16, generator=seeded()).expand(4, -1, -1, -1)
    others = torch.cat([alike[:1], torch.randn(3, 3, 16, 16, generator=seeded(1))])
    for group, matters in ((0, False), (4, True)):
        torch.manual_seed(3)
        judge = GrowingDiscriminator(WIDTHS, 8, group)
        same = torch.allclose(judge(alike)[0][0], judge(others)[0][0])
        assert same is not matters
    training = fresh("pigan", 16, {"judge_channels": 8, "deviation_group": 2})
    own = training.discriminator.state_dict()
    # One that is opened compares or does not, whatever is wished for now.
    for wished, group in ((0, 4), (2, 2)):
        options = replace(training.common, deviation_group=wished)
        again = kind_of("pigan").make(training.config, options, training.generator, own)
        assert again.discriminator.group == group
    options = PiGANOptions(judge_channels=8, deviation_group=4)
    plain = fresh("pigan", 16, {"judge_channels": 8})
    again = kind_of("pigan").make(
        plain.config, options, plain.generator, plain.discriminator.state_dict()
    )
    assert again.discriminator.group == 0


@pytest.mark.parametrize("config", [{}, {"white_back": True, "last_back": False}])
def test_batches_are_what_the_model_draws(config: dict[str, Any]) -> None:
    training = tiny({"resolution": 16, **config})
    model = training.drawable(training.generator.state_dict())
    assert isinstance(model, PiGAN) and model.capabilities.resolution == 16
    poses = [model.capabilities.default_pose.turned(yaw=turn).camera() for turn in (-9.0, 14.0)]
    z = torch.randn(2, training.config.z_dim, generator=seeded())
    frames = [model.render(model.map(each), pose) for each, pose in zip(z, poses, strict=True)]
    axes = FAMILY_AXES["pigan"]
    cameras = torch.stack([torch.tensor(axes.from_ours(p.cam2world)).float() for p in poses])
    march = replace(training.march(), last_back=training.config.last_back)
    with torch.no_grad():
        found = training.pictures(z, cameras, 16, march, None)
    expected = torch.stack([frame.rgb for frame in frames])
    error = ((found.movedim(1, -1) * 0.5 + 0.5).clamp(0, 1) - expected).abs().flatten()
    assert float(error.median()) < 5e-6 and float(error.quantile(0.99)) < 1e-3


def test_the_generator_learns_from_the_best_of_a_batch() -> None:
    training = tiny(best_share=0.5, best_decay=0.0, pose_weight=0.0)
    assert training.best(Progress(1, 0), 4) == 2
    assert tiny().best(Progress(0, 0), 4) == 4
    assert tiny().best(Progress(10**6, 0), 10) == 6
    phase = Phase("generator", "generator")
    found = losses_of(training, phase, BATCH, GROWN)
    plain = tiny(best_share=1.0, pose_weight=0.0)
    only(plain, "generator")
    logits: list[torch.Tensor] = []
    plain.discriminator.register_forward_hook(lambda m, a, out: logits.append(out[0]))
    losses_of(plain, phase, BATCH, GROWN)
    expected = generator_logistic(logits[0].sort().values[2:])
    assert float(found["generator"].detach()) == pytest.approx(float(expected.detach()))


def test_groups_name_every_parameter_once() -> None:
    check_groups(tiny())


def test_authors_files_are_read_back_to_the_averaged_tensors(tmp_path: Path) -> None:
    training = tiny()
    state = moved_state(training)
    (model,) = reopened(training, state, tmp_path, "ema.pth", "discriminator.pth")
    same_tensors(model, state)
    assert isinstance(model, PiGAN)
    assert (model.config.siren, model.config.point_scale) == (CONFIG.siren, CONFIG.point_scale)
    stored = dict(module_tensors(read_checkpoint(tmp_path / "generator.pth").root))
    for name, value in training.generator.state_dict().items():
        assert torch.equal(stored[name].load(), value), name


def test_an_authors_model_is_trained_on() -> None:
    training = training_of(open_model(GOLDEN, "cpu"), {"side": 16, "judge_channels": 8})
    found = losses_of(training, Phase("generator", "generator"), BATCH, GROWN)
    assert bool(torch.isfinite(found["generator"]))
    with pytest.raises(UserError, match="not 48"):
        training_of(open_model(GOLDEN, "cpu"), {"side": 48})


@pytest.mark.parametrize("side", [32, 64])
def test_a_small_model_from_nothing(side: int) -> None:
    training = fresh("pigan", side)
    found = losses_of(
        training, Phase("generator", "generator"), batch_of(side, count=2), Progress(0, 0)
    )
    assert bool(torch.isfinite(found["generator"])) and training.resolution == side
