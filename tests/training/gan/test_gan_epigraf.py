"""EpiGRAF's training on a tiny model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.camera import FAMILY_AXES
from engine.checkpoints import read_checkpoint
from engine.errors import UserError
from engine.generators.epigraf import EpiGRAF, pose_angles
from engine.generators.epigraf_field import Patch
from engine.generators.registry import open_model
from engine.training.gan.adversarial import Step
from engine.training.gan.contract import Batch, Phase, Progress
from engine.training.gan.discriminator_patch import PatchDiscriminator, ScalarEncoder
from engine.training.gan.epigraf import EpiGRAFOptions, EpiGRAFTraining, camera_label
from engine.training.gan.epigraf_drawing import drawn_patches, patches_of
from engine.training.gan.families import fresh, judge_tensors, training_of
from tests.generators.tiny_epigraf import CONFIG, tiny_network
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

GOLDENS = Path(__file__).parents[2] / "data" / "goldens"
BATCH = batch_of(16)
MIDWAY = Progress(step=7, images=5_000_000)
SPHERE = {"background": "sphere", "bg_channels": (6, 5), "bg_steps": 3, "bg_frequencies": 2}
#: Layers that the authors make in every block and read in the first only.
DEAD = r"discriminator\.b(16|8)\.fromrgb\..*"


def tiny(config: dict[str, Any] | None = None, **options: Any) -> EpiGRAFTraining:
    changed = replace(CONFIG, img_resolution=16, **(config or {}))
    torch.manual_seed(3)
    camera = 2 if changed.camera_cond else 0
    judge = PatchDiscriminator(8, {32: 4, 16: 5, 8: 6, 4: 7}, camera, embedded=5)
    chosen = EpiGRAFOptions(patch_side=8, **options)
    return EpiGRAFTraining(changed, chosen, tiny_network(changed), judge)


@pytest.mark.parametrize(
    "config", [{}, SPHERE, {"background": "plane", "camera_cond": True, "white_back": True}]
)
def test_a_step_of_every_phase(config: dict[str, Any]) -> None:
    found = check_every_phase(tiny(config), BATCH, MIDWAY, DEAD)
    assert set(found) == {"generator", "discriminator", "discriminator_r1"}
    assert found["discriminator_r1"]["r1"] > 0.0


def test_groups_name_every_parameter_once() -> None:
    check_groups(tiny())
    check_groups(tiny(SPHERE))


@pytest.mark.parametrize(
    "config",
    [
        {},
        SPHERE,
        {"background": "plane", "camera_cond": True, "white_back": True},
        {"clamp_mode": "relu", "last_back": True},
    ],
)
def test_batches_are_what_the_model_draws(config: dict[str, Any]) -> None:
    """Whole pictures and parts of them, without noise."""
    training = tiny(config)
    model = training.drawable(training.generator.state_dict())
    assert isinstance(model, EpiGRAF)
    poses = [model.capabilities.default_pose.turned(yaw=turn).camera() for turn in (-9.0, 14.0)]
    z = torch.randn(2, CONFIG.z_dim, generator=seeded())
    ws = [model.map(each, conditioning=pose) for each, pose in zip(z, poses, strict=True)]
    axes = FAMILY_AXES["epigraf"]
    cameras = torch.stack([torch.tensor(axes.from_ours(p.cam2world)).float() for p in poses])
    for patch, side in ((Patch(), 16), (Patch(0.4, 0.1, 0.5), 8)):
        parts = [
            model.render_patch(w, pose, patch, side).rgb for w, pose in zip(ws, poses, strict=True)
        ]
        places = torch.tensor([[patch.scale, patch.offset_x, patch.offset_y]]).expand(2, -1)
        with torch.no_grad():
            found = drawn_patches(training.generator, torch.stack(ws), cameras, places, side, None)
        found = (found.movedim(1, -1) * 0.5 + 0.5).clamp(0, 1)
        error = (found - torch.stack(parts)).abs().flatten()
        assert float(error.median()) < 2e-6 and float(error.quantile(0.99)) < 2e-4
    if config.get("camera_cond"):
        expected = torch.stack([pose_angles(p).float() for p in poses]) / (2 * torch.pi)
        torch.testing.assert_close(camera_label(cameras), expected, atol=1e-6, rtol=0)


def test_patches_of_real_pictures_lie_where_drawn_ones_do() -> None:
    """A picture whose red is x and whose green is y upwards tells where each pixel was taken."""
    line = torch.linspace(-1.0, 1.0, 33)
    y, x = torch.meshgrid(-line, line, indexing="ij")
    picture = torch.stack([x, y, torch.zeros_like(x)])[None]
    places = torch.tensor([[0.25, 0.5, 0.125]])
    found = patches_of(picture, places, 5)[0]
    # From 0.5 of the width on, a quarter of it wide; from 0.125 of the height on, upwards.
    across = torch.linspace(0.0, 0.5, 5)
    up = torch.linspace(-0.25, -0.75, 5)
    torch.testing.assert_close(found[0], across.expand(5, 5), atol=1e-6, rtol=0)
    torch.testing.assert_close(found[1], up[:, None].expand(5, 5), atol=1e-6, rtol=0)
    whole = torch.tensor([[1.0, 0.0, 0.0]])
    torch.testing.assert_close(patches_of(picture, whole, 33), picture, atol=1e-6, rtol=0)


def test_scales_begin_whole_and_end_spread_as_beta_says() -> None:
    training = tiny(beta_images=1000)
    assert training.beta(Progress(0, 0)) == 0.001
    assert training.beta(Progress(0, 500)) == pytest.approx(0.4005)
    assert training.beta(Progress(0, 9999)) == 0.8
    assert tiny(fine_tuning=True).beta(Progress(0, 0)) == 0.8
    many = Batch(torch.zeros(4000, 3, 1, 1), None)

    def places(images: int) -> torch.Tensor:
        return training.places(Step(many, Progress(0, images), seeded(), lambda x: x))

    assert float((places(0)[:, 0] > 0.999).float().mean()) > 0.95
    late = places(1000)
    scale, offsets = late[:, 0], late[:, 1:]
    # least 1/2; Beta(1, b) has the mean 1 / (1 + b) and the variance b / ((1 + b)^2 (2 + b)).
    mean, spread = 1.0 / 1.8, (0.8 / (1.8**2 * 2.8)) ** 0.5
    assert float(scale.min()) >= 0.5 and float(scale.max()) <= 1.0
    assert float((scale.mean() - 0.5) * 2.0) == pytest.approx(mean, abs=5 * spread / 4000**0.5)
    assert float(scale.std() * 2.0) == pytest.approx(spread, rel=0.05)
    assert bool((offsets >= 0).all()) and bool((offsets + scale[:, None] <= 1.0 + 1e-6).all())


def test_blur_and_noise_fade() -> None:
    training = tiny()
    assert training.blur(Progress(0, 0)) == pytest.approx(10.0 / 8.0)
    assert training.blur(Progress(0, 100_000)) == pytest.approx(5.0 / 8.0)
    assert training.noise(Progress(0, 0)) == 1.0
    assert training.noise(Progress(0, 2_500_000)) == 0.5
    tuned = tiny(fine_tuning=True)
    assert tuned.noise(Progress(0, 0)) == tuned.blur(Progress(0, 0)) == 0.0


def test_the_discriminator_knows_scale_and_place() -> None:
    judge = tiny().discriminator
    patches = torch.randn(2, 3, 8, 8, generator=seeded())
    place = torch.tensor([[0.6, 0.1, 0.2]]).expand(2, -1)
    base = judge(patches, place)
    for change in ([0.2, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.2]):
        assert not torch.allclose(judge(patches, place + torch.tensor(change)), base)


def test_numbers_are_encoded_as_published() -> None:
    encoder = ScalarEncoder(4)
    assert encoder.width == 4 + 20
    assert ScalarEncoder().width * 3 == 828
    found = encoder(torch.tensor([[0.25, 0.5]]))
    assert found.shape == (1, 48)
    torch.testing.assert_close(found[0, 20:24], encoder.const_embed.weight[250])
    # The slowest sine turns once in 2 * 1024 thousandths, the fastest in 2 * 1024 / 2^9.
    expected = torch.sin(torch.tensor(250.0 * torch.pi / 1024.0))
    found = found.detach()
    assert float(found[0, 0]) == pytest.approx(float(expected), abs=1e-6)
    fast = torch.cos(torch.tensor(500.0 * torch.pi / 1024.0 * 512.0, dtype=torch.float64))
    assert float(found[0, 43]) == pytest.approx(float(fast), abs=1e-4)


def test_blocks_above_the_patch_do_not_halve() -> None:
    judge = PatchDiscriminator(8, {32: 4, 16: 5, 8: 6, 4: 7}, embedded=5)
    sides = []
    for side in (32, 16, 8):
        judge.get_submodule(f"b{side}").register_forward_hook(
            lambda module, given, found: sides.append(found.shape[-1])
        )
    judge(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3))
    assert sides == [8, 8, 4]


def test_authors_files_are_read_back_to_the_same_tensors(tmp_path: Path) -> None:
    for index, config in enumerate(({}, SPHERE, {"background": "plane", "camera_cond": True})):
        folder = tmp_path / str(index)
        folder.mkdir()
        training = tiny(config)
        state = moved_state(training)
        model, pickled = reopened(training, state, folder)
        same_tensors(model, state)
        same_tensors(pickled, state)
        assert isinstance(model, EpiGRAF) and isinstance(pickled, EpiGRAF)
        assert pickled.config == model.config
        assert model.config == training.config
        judge = judge_tensors(read_checkpoint(folder / "network.pt"))
        assert judge is not None
        again = training_of(model, {"patch_side": 8}, judge)
        for name, value in training.discriminator.state_dict().items():
            assert torch.equal(again.discriminator.state_dict()[name], value)


def test_authors_files_state_how_the_class_is_made_and_hold_the_present_state() -> None:
    training = tiny(SPHERE)
    config = training.config
    content: Any = training.authors_files(moved_state(training))["network.pt"]
    for name, value in training.generator.state_dict().items():
        assert torch.equal(content["G"]["state_dict"][name], value), name
    for network in ("G", "G_ema"):
        cfg, made = (content[network]["attributes"][name] for name in ("cfg", "_init_kwargs"))
        planes = cfg["tri_plane"]
        assert (planes["res"], planes["feat_dim"]) == (
            config.plane_resolution,
            config.plane_channels,
        )
        assert planes["mlp"] == {"n_layers": 3, "hid_dim": 8}
        assert cfg["bg_model"]["cmax"] == max(config.bg_channels)
        assert made["channel_max"] == config.channel_max
        # Without it the class makes no buffer for it, and cannot take the state.
        assert made["mapping_kwargs"]["mean_camera_pose"].shape == (3,)


@pytest.mark.parametrize("name", ["epigraf", "epigraf_sphere_background"])
def test_the_discriminator_of_an_authors_file_fits(name: str) -> None:
    path = GOLDENS / name / "checkpoint.pkl"
    tensors = judge_tensors(read_checkpoint(path))
    assert tensors is not None
    model = open_model(path, "cpu")
    side = model.capabilities.resolution
    training = training_of(model, {"patch_side": 16}, tensors)
    own = training.discriminator.state_dict()
    assert set(own) == set(tensors)
    assert all(torch.equal(own[key], tensors[key]) for key in tensors)
    found = losses_of(
        training, Phase("discriminator", "discriminator"), batch_of(side, count=2), MIDWAY
    )
    assert bool(torch.isfinite(found["real"]))


@pytest.mark.parametrize("side", [32, 64])
def test_a_small_model_from_nothing(side: int) -> None:
    training = fresh("epigraf", side)
    found = losses_of(
        training, Phase("generator", "generator"), batch_of(side, count=2), Progress(0, 0)
    )
    assert bool(torch.isfinite(found["generator"])) and training.resolution == side
    with pytest.raises(UserError, match="patches"):
        fresh("epigraf", 32, {"patch_side": 64})
