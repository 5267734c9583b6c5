"""EG3D's training on a tiny model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints import read_checkpoint
from engine.checkpoints.plain import Node, module_tensors
from engine.errors import UserError
from engine.generators.eg3d import EG3D, camera_label
from engine.generators.eg3d_network import EG3DNetwork
from engine.generators.registry import open_model
from engine.generators.triplane import sample_planes
from engine.training.gan.adversarial import Step
from engine.training.gan.contract import Batch, Phase, Progress
from engine.training.gan.discriminator_residual import DualDiscriminator, pair
from engine.training.gan.eg3d import EG3DOptions, EG3DTraining
from engine.training.gan.families import fresh, training_of
from tests.generators.tiny_eg3d import CONFIG, tiny_model, tiny_network
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

GOLDEN = Path(__file__).parents[2] / "data" / "goldens" / "eg3d_ffhq" / "checkpoint.pkl"
BATCH = batch_of(32, radius=CONFIG.avg_camera_radius)
MIDWAY = Progress(step=7, images=100)


def tiny(**options: object) -> EG3DTraining:
    chosen = EG3DOptions(density_points=20, **options)  # type: ignore[arg-type]
    torch.manual_seed(3)
    widths = {32: 4, 16: 5, 8: 6, 4: 7}
    judge = DualDiscriminator(32, widths)
    return EG3DTraining(CONFIG, chosen, tiny_network(), judge)


def test_a_step_of_every_phase() -> None:
    # The super-resolution has no noise, as in the released face models.
    found = check_every_phase(tiny(), BATCH, MIDWAY, r"generator\.superres.*\.noise_strength")
    assert set(found) == {"generator", "generator_density", "discriminator", "discriminator_r1"}
    assert set(found["generator"]) >= {"generator", "score/fake"}
    assert set(found["discriminator"]) >= {"fake", "real", "score/real_sign"}
    assert found["generator_density"]["density"] > 0.0
    assert found["discriminator_r1"]["r1"] > 0.0


def test_a_new_model_can_begin_dense() -> None:
    options = {"density_start": 5.0}
    published, dense = fresh("eg3d", 32), fresh("eg3d", 32, options)
    assert isinstance(published, EG3DTraining) and isinstance(dense, EG3DTraining)
    for network, middle in ((published.generator, 0.0), (dense.generator, 5.0)):
        found = network.decoder.net[2](torch.zeros(1, 32))[0, 0]
        assert float(found.detach()) == pytest.approx(middle)
    # One that is there keeps what it has learnt.
    assert (
        training_of(tiny_model(), options).generator.decoder.net[2].bias[0]
        == tiny_network().decoder.net[2].bias[0]
    )


def test_planes_of_a_new_model_tell_every_two_directions() -> None:
    settings = fresh("eg3d", 16).config.rendering
    points = torch.rand(1, 1, 3, generator=seeded()) * 0.2
    axes = torch.tensor(settings.plane_axes)
    # Each plane grows along both of its directions.
    line = torch.linspace(-1.0, 1.0, 9)
    planes = (line[:, None] + 10.0 * line).expand(1, 3, 1, 9, 9)
    moved = []
    for step in torch.eye(3) * 0.1:
        gap = [sample_planes(planes, p, settings.box_warp, axes) for p in (points, points + step)]
        moved.append((gap[1] - gap[0]).abs().flatten() > 1e-3)
    # Rows are x, y, z; columns are the planes (x, y), (x, z) and (z, y).
    expected = [[True, True, False], [True, False, True], [False, True, True]]
    assert torch.stack(moved).tolist() == expected


def test_groups_name_every_parameter_once() -> None:
    check_groups(tiny())


def test_the_average_of_w_follows_what_was_drawn() -> None:
    training = tiny()
    before = training.generator.backbone.mapping.w_avg.clone()
    losses_of(training, Phase("generator", "generator"), BATCH, MIDWAY)
    assert torch.equal(training.generator.backbone.mapping.w_avg, before)
    losses_of(training, Phase("discriminator", "discriminator"), BATCH, MIDWAY)
    assert not torch.equal(training.generator.backbone.mapping.w_avg, before)


def test_the_discriminator_is_shown_both_pictures_and_the_true_camera() -> None:
    training = tiny(blur_sigma=0.0)
    logits = training.discriminator(pair(BATCH.images, BATCH.images), BATCH.cameras)
    assert BATCH.cameras is not None
    other = training.discriminator(pair(BATCH.images, BATCH.images), BATCH.cameras.roll(1, 0))
    blank = torch.zeros_like(BATCH.images)
    raw = training.discriminator(pair(BATCH.images, blank), BATCH.cameras)
    assert not torch.allclose(logits, other)
    assert not torch.allclose(logits, raw)


def test_the_mapping_is_shown_the_next_camera_with_the_stated_probability() -> None:
    training = tiny(swap_from=1.0, swap_to=0.5, swap_images=1000)
    assert training.swap_probability(Progress(0, 0)) == 1.0
    assert training.swap_probability(Progress(0, 500)) == pytest.approx(0.75)
    assert training.swap_probability(Progress(0, 5000)) == 0.5
    step_cameras = BATCH.cameras
    assert step_cameras is not None

    def ws(options: EG3DTraining) -> torch.Tensor:
        return options._ws(Step(BATCH, MIDWAY, seeded(4), lambda x: x), step_cameras)

    always, never = tiny(swap_from=1.0, swap_to=1.0), tiny(swap_from=0.0, swap_to=0.0)
    z = torch.randn(4, CONFIG.z_dim, generator=seeded(4))
    assert torch.allclose(ws(never), never.generator.mapping(z, step_cameras))
    assert torch.allclose(ws(always), always.generator.mapping(z, step_cameras.roll(1, 0)))


def test_schedules() -> None:
    training = tiny(neural_from=8, neural_to=16, neural_images=1000, blur_images=1000)
    assert [training.neural_resolution(Progress(0, n)) for n in (0, 500, 2000)] == [8, 12, 16]
    # 10 pixels of 512 are 0.625 of 32.
    assert training.blur(Progress(0, 0)) == pytest.approx(0.625)
    assert training.blur(Progress(0, 250)) == pytest.approx(0.625 * 0.75)
    assert training.blur(Progress(0, 1000)) == 0.0
    assert tiny(fine_tuning=True).blur(Progress(0, 0)) == 0.0
    half = tiny(pace=0.5, blur_images=1000)
    assert half.blur(Progress(0, 250)) == pytest.approx(0.625 * 0.5)
    assert training.ema_half_life(Progress(0, 1000)) == pytest.approx(50.0)
    assert training.ema_half_life(Progress(0, 10**7)) == 10_000
    assert tiny(fine_tuning=True).ema_half_life(Progress(0, 0)) == 10_000


def test_a_small_volume_while_training_is_not_the_models() -> None:
    training = tiny(volume_side=6)
    found = training.real(Step(BATCH, MIDWAY, seeded(), lambda x: x))
    assert found.pictures[1].shape[-1] == 6
    losses_of(training, Phase("generator", "generator"), BATCH, MIDWAY)
    model = training.drawable(training.generator.state_dict())
    assert model.capabilities.neural_resolution == CONFIG.neural_rendering_resolution
    tuned = tiny(fine_tuning=True, neural_from=8)
    losses_of(tuned, Phase("generator", "generator"), BATCH, Progress(0, 0))
    assert tuned.volume_resolution(Progress(0, 0)) == 8
    assert tuned.drawing_config().neural_rendering_resolution == 12
    on_cpu = training_of(tiny_model())
    assert on_cpu.volume_resolution(MIDWAY) == 12  # type: ignore[attr-defined]


def test_density_smoothness_of_a_field_that_does_not_change_is_nothing() -> None:
    training = tiny()
    phase = Phase("generator_density", "generator", 4)
    with torch.no_grad():
        training.generator.decoder.net[2].weight[0] = 0.0
    assert float(losses_of(training, phase, BATCH, MIDWAY)["density"].detach()) == 0.0
    assert training.phases(MIDWAY)[1] == phase


def test_pictures_without_cameras_are_refused_with_a_sentence() -> None:
    training = tiny()
    bare = Batch(BATCH.images, None)
    with pytest.raises(UserError, match="cameras"):
        losses_of(training, Phase("discriminator", "discriminator"), bare, MIDWAY)


def test_what_is_drawn_is_the_state() -> None:
    training = tiny(neural_from=8, neural_to=16, neural_images=1000)
    losses_of(training, Phase("generator", "generator"), BATCH, Progress(3, 500))
    state = moved_state(training)
    model = training.drawable(state)
    assert isinstance(model, EG3D)
    same_tensors(model, state)
    assert model.capabilities.neural_resolution == 12
    network = EG3DNetwork(replace(CONFIG, neural_rendering_resolution=12))
    network.load_state_dict(state)
    camera = model.capabilities.default_pose.camera()
    z = torch.randn(CONFIG.z_dim, generator=seeded(1))
    frame = model.render(model.map(z), camera)
    with torch.no_grad():
        picture, _ = network(z[None], camera_label(camera)[None])
    expected = (picture[0].permute(1, 2, 0) * 0.5 + 0.5).clamp(0, 1)
    assert float((frame.rgb - expected).abs().max()) < 2e-5


def test_authors_files_are_read_back_to_the_same_tensors(tmp_path: Path) -> None:
    training = tiny()
    state = moved_state(training)
    model, pickled = reopened(training, state, tmp_path)
    same_tensors(model, state)
    same_tensors(pickled, state)
    assert isinstance(model, EG3D) and isinstance(pickled, EG3D)
    assert pickled.config == model.config
    assert model.config.rendering == CONFIG.rendering
    # What an EG3D file cannot state is its reader's business.
    kept = replace(model.config, focal=CONFIG.focal, mesh_level=CONFIG.mesh_level)
    assert kept == replace(CONFIG, superresolution_noise_mode=kept.superresolution_noise_mode)


def test_authors_files_state_how_the_class_is_made_and_hold_the_present_state() -> None:
    training = tiny()
    training.config = replace(CONFIG, decoder_lr_multiplier=0.5, conv_clamp=None)
    content: Any = training.authors_files(moved_state(training))["network.pt"]
    for name, value in training.generator.state_dict().items():
        assert torch.equal(content["G"]["state_dict"][name], value), name
    for network in ("G", "G_ema"):
        made = content[network]["attributes"]["_init_kwargs"]
        assert (made["num_fp16_res"], made["conv_clamp"]) == (0, None)
        assert made["sr_num_fp16_res"] == (0 if CONFIG.sr_conv_clamp is None else 4)
        assert made["rendering_kwargs"]["decoder_lr_mul"] == 0.5


def test_models_that_spell_out_their_latents_have_no_authors_file() -> None:
    training = tiny()
    training.config = replace(CONFIG, latent_steps=((0, 0.5, 1, 1),))
    with pytest.raises(UserError, match="latents"):
        training.authors_files(training.generator.state_dict())


def test_the_discriminator_of_an_authors_file_fits() -> None:
    root = read_checkpoint(GOLDEN).root
    assert isinstance(root, dict) and isinstance(root["D"], Node)
    tensors = {name: lazy.load() for name, lazy in module_tensors(root["D"])}
    training = training_of(open_model(GOLDEN, "cpu"), judge=tensors)
    assert set(training.discriminator.state_dict()) == set(tensors)
    for name, value in training.discriminator.state_dict().items():
        assert torch.equal(value, tensors[name]), name
    assert training.resolution == 64
    found = losses_of(
        training, Phase("discriminator", "discriminator"), batch_of(64, radius=2.7), MIDWAY
    )
    assert bool(torch.isfinite(found["real"]))


def test_a_model_is_trained_from_its_own_weights_which_are_copied() -> None:
    model = tiny_model()
    torch.manual_seed(8)
    before = torch.get_rng_state()
    training = training_of(model, {"r1_gamma": 3, "density_points": 10})
    assert torch.equal(torch.get_rng_state(), before)
    state = training.generator.state_dict()
    same_tensors(model, dict(state))
    assert training.common.fine_tuning and training.common.r1_gamma == 3
    assert all(not p.requires_grad for p in model.network.parameters())
    losses_of(training, Phase("generator", "generator"), BATCH, MIDWAY)
    again = training_of(model, {"density_points": 10})
    for name, value in again.discriminator.state_dict().items():
        assert torch.equal(value, training.discriminator.state_dict()[name])


@pytest.mark.parametrize("side", [32, 64])
def test_a_small_model_from_nothing(side: int) -> None:
    training = fresh("eg3d", side, {"density_points": 10})
    found = losses_of(
        training, Phase("generator", "generator"), batch_of(side, count=2), Progress(0, 0)
    )
    assert bool(torch.isfinite(found["generator"]))
    assert training.resolution == side
    check_groups(training)


def test_options_that_do_not_exist_are_named() -> None:
    with pytest.raises(UserError, match="no option 'r2_gamma'"):
        fresh("eg3d", 32, {"r2_gamma": 1.0})
    with pytest.raises(UserError, match="cannot be 'much'"):
        fresh("eg3d", 32, {"r1_gamma": "much"})
    with pytest.raises(UserError, match="cannot be trained"):
        fresh("gancraft", 32)
    with pytest.raises(UserError, match="not 48"):
        fresh("eg3d", 48)
