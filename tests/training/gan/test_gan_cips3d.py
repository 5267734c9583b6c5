"""CIPS-3D's training on a tiny model."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.camera import FAMILY_AXES
from engine.errors import UserError
from engine.generators.cips3d import CIPS3D
from engine.generators.registry import open_model
from engine.training.gan.cips3d import CIPS3DOptions, CIPS3DTraining
from engine.training.gan.contract import Batch, Phase, Progress
from engine.training.gan.discriminator_equal import (
    AuxiliaryDiscriminator,
    MultiScaleDiscriminator,
    auxiliary_of,
)
from engine.training.gan.distributed import Team
from engine.training.gan.families import fresh, training_of
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.options import preset_options
from tests.generators.tiny_cips3d import CONFIG, tiny_model, tiny_network
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

GOLDEN = Path(__file__).parents[2] / "data" / "goldens" / "cips3d" / "checkpoint.pth"
BATCH = batch_of(16)
MIDWAY = Progress(step=2500, images=10_000)
WIDTHS = {16: 4, 8: 5, 4: 6}
#: What the authors' networks hold and do not use.
DEAD = r"generator\.inr_net\.(network\.\d+\.mod\d\.norm|to_rgbs\.(4|8|16))\..*"


def judge(side: int = 16) -> AuxiliaryDiscriminator:
    main = MultiScaleDiscriminator(WIDTHS, (side,))
    return AuxiliaryDiscriminator(main, MultiScaleDiscriminator(WIDTHS, (side,), early=True))


def tiny(config: dict[str, Any] | None = None, **options: Any) -> CIPS3DTraining:
    changed = replace(CONFIG, **(config or {}))
    torch.manual_seed(3)
    chosen = CIPS3DOptions(**{"side": 16, **options})
    return CIPS3DTraining(changed, chosen, tiny_network(changed), judge())


@pytest.mark.parametrize("config", [{}, {"white_back": True, "backdrop": 0.75}])
def test_a_step_of_every_phase(config: dict[str, Any]) -> None:
    found = check_every_phase(tiny(config), BATCH, MIDWAY, DEAD)
    assert set(found) == {"generator", "discriminator"}
    assert set(found["discriminator"]) >= {"fake", "real", "r1", "score/real_sign"}


def test_without_the_auxiliary_discriminator() -> None:
    dead = rf"{DEAD}|generator\.aux_to_rbg\..*|discriminator\.aux_disc\..*"
    check_every_phase(tiny(auxiliary=0), BATCH, MIDWAY, dead)


def test_the_nerf_stays_to_the_last_bit_where_appearance_alone_is_trained() -> None:
    class Pictures:
        def batch(self, first: int, many: int) -> Batch:
            return batch_of(16, count=many)

    training = tiny()
    options = preset_options("appearance", training.layer_groups())
    options = replace(options, batch=2, judge_first=0, augmentation="none")
    before = copy.deepcopy(training.generator.state_dict())
    TrainingLoop(training, Pictures(), options, Team(0, 1, torch.device("cpu"))).step()
    after = training.generator.state_dict()
    moved = {
        name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])
    }
    assert moved == {"inr_net", "mapping_network_inr"}


def test_people_of_a_new_model_differ_as_much_as_is_wished() -> None:
    usual, more = (fresh("cips3d", 16, {"style_start": share}) for share in (0.25, 1.0))
    weights = [
        dict(training.generator.named_parameters())["siren.network.1.gain_fc.weight"]
        for training in (usual, fresh("cips3d", 16), more)
    ]
    assert torch.equal(weights[0], weights[1])
    torch.testing.assert_close(weights[0] * 4.0, weights[2])


def test_groups_name_every_parameter_once() -> None:
    check_groups(tiny())


@pytest.mark.parametrize("config", [{}, {"white_back": True}, {"last_back": True, "backdrop": 0.5}])
def test_batches_are_what_the_model_draws(config: dict[str, Any]) -> None:
    training = tiny({"img_resolution": 16, **config})
    model = training.drawable(training.generator.state_dict())
    assert isinstance(model, CIPS3D) and model.capabilities.resolution == 16
    poses = [model.capabilities.default_pose.turned(yaw=turn).camera() for turn in (-9.0, 14.0)]
    z = torch.randn(2, training.config.z_dim, generator=seeded())
    frames = [model.render(model.map(each), pose) for each, pose in zip(z, poses, strict=True)]
    axes = FAMILY_AXES["cips3d"]
    cameras = torch.stack([torch.tensor(axes.from_ours(p.cam2world)).float() for p in poses])
    with torch.no_grad():
        found = training.pictures(z, cameras, None)
    for own, name in zip(found, ("rgb", "raw"), strict=True):
        expected = torch.stack([getattr(frame, name) for frame in frames])
        error = ((own.movedim(1, -1) * 0.5 + 0.5).clamp(0, 1) - expected).abs().flatten()
        assert float(error.median()) < 2e-6 and float(error.quantile(0.99)) < 2e-4


def test_a_part_of_the_pixels_carries_gradients_and_all_are_in_place() -> None:
    """Partial gradients: the pixels are those of the whole picture (nothing here is random but
    their order), and the gradient is that of the chosen ones."""
    training = tiny()
    z = torch.randn(2, training.config.z_dim, generator=seeded(1))
    cameras = torch.stack([torch.eye(4)] * 2)
    cameras[:, 2, 3] = 1.0
    draws: list[tuple[int, ...]] = []
    plain = training.pixels

    def without_jitter(*words: Any) -> Any:
        draws.append(tuple(words[2].shape))
        assert torch.is_grad_enabled() == (len(draws) == 1)
        return plain(*words[:3], None)

    training.pixels = without_jitter  # type: ignore[method-assign]
    partial, _ = training.pictures(z, cameras, seeded(4), 0.0, 40)
    assert draws == [(2, 40, 3), (2, 216, 3)]
    training.pixels = plain  # type: ignore[method-assign]
    whole, _ = training.pictures(z, cameras, None)
    torch.testing.assert_close(partial, whole)
    order = torch.randperm(256, generator=seeded(4))[:40]
    mask = torch.zeros(256)
    mask[order] = 1.0
    weight = training.generator.inr_net.to_rgbs["32"].linear.weight
    pull = torch.randn(2, 3, 16, 16, generator=seeded(5))
    (some,) = torch.autograd.grad((partial * pull).sum(), weight)
    (expected,) = torch.autograd.grad((whole * pull * mask.reshape(16, 16)).sum(), weight)
    torch.testing.assert_close(some, expected)


def test_noise_falls_and_rates_follow_the_side() -> None:
    training = tiny()
    assert [training.noise(Progress(n, 0)) for n in (0, 2500, 9000)] == [1.0, 0.5, 0.0]
    assert tiny(pace=0.1).noise(Progress(250, 0)) == 0.5
    assert tiny(fine_tuning=True).noise(Progress(0, 0)) == 0.0
    assert training.optimiser("generator").learning_rate == 2e-4
    assert training.optimiser("discriminator").learning_rate == pytest.approx(2e-3)
    assert tiny(generator_rate=0.5).optimiser("generator").learning_rate == 0.5
    assert training.ema_half_life(Progress(10, 0)) == 0.0
    assert training.ema_half_life(Progress(2000, 0)) == 22_160
    # 0.999 a step of 32 images.
    assert pytest.approx(0.999, abs=1e-6) == 0.5 ** (32 / 22_160)


def test_r1_is_over_both_kinds_of_pictures() -> None:
    """Half of gamma times the mean over pictures and auxiliary pictures alike."""
    training = tiny()
    found = losses_of(training, Phase("discriminator", "discriminator"), BATCH, MIDWAY)
    images = BATCH.images.clone().requires_grad_()
    total = torch.zeros(())
    for net in (training.discriminator.main_disc, training.discriminator.aux_disc):
        (gradient,) = torch.autograd.grad(net(images).sum(), images)
        total = total + gradient.square().flatten(1).sum(dim=1).sum()
    assert float(found["r1"].detach()) == pytest.approx(5.0 * float(total) / 8.0, rel=1e-5)


def test_authors_files_are_read_back_to_the_same_tensors(tmp_path: Path) -> None:
    training = tiny()
    state = moved_state(training)
    model, present = reopened(training, state, tmp_path, "discriminator.pth")
    same_tensors(model, state)
    # Their training goes on from this one, and from random numbers where it is not there.
    same_tensors(present, dict(training.generator.state_dict()))
    stored = torch.load(tmp_path / "discriminator.pth", weights_only=True)
    again = auxiliary_of(stored)
    picture = torch.randn(4, 3, 16, 16, generator=seeded())
    torch.testing.assert_close(again(picture, True), training.discriminator(picture, True))
    with pytest.raises(UserError, match="backdrop"):
        tiny({"backdrop": 0.5}).authors_files(state)


def test_an_authors_model_is_trained_on_at_another_size() -> None:
    opened = open_model(GOLDEN, "cpu")
    training = training_of(opened, {"side": 16}, judge=judge().state_dict())
    assert training.resolution == 16
    drawn = training.drawable(training.generator.state_dict())
    assert drawn.capabilities.resolution == opened.capabilities.resolution
    found = losses_of(training, Phase("generator", "generator"), BATCH, MIDWAY)
    assert bool(torch.isfinite(found["generator"]))
    model = tiny_model()
    same_tensors(model, dict(training_of(model, {"side": 16}).generator.state_dict()))


@pytest.mark.parametrize("side", [32, 64])
def test_a_small_model_from_nothing(side: int) -> None:
    training = fresh("cips3d", side)
    found = losses_of(
        training, Phase("generator", "generator"), batch_of(side, count=2), Progress(0, 0)
    )
    assert bool(torch.isfinite(found["generator"])) and training.resolution == side
    with pytest.raises(UserError, match="not 48"):
        fresh("cips3d", 32, {"side": 48})
