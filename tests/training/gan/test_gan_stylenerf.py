"""StyleNeRF's training on a tiny model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from engine.camera import FAMILY_AXES
from engine.checkpoints import read_checkpoint
from engine.generators.registry import open_model
from engine.generators.stylenerf import StyleNeRF
from engine.training.gan.contract import Phase, Progress
from engine.training.gan.discriminator_skip import SkipDiscriminator
from engine.training.gan.families import fresh, judge_tensors, training_of
from engine.training.gan.poses import angles_of, orbit
from engine.training.gan.stylenerf import StyleNeRFOptions, StyleNeRFTraining
from tests.generators.tiny_stylenerf import CONFIG, tiny_model, tiny_network
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
BATCH = batch_of(32)
GROWN = Progress(step=7, images=10_000_000)


def tiny(config: dict[str, Any] | None = None, **options: Any) -> StyleNeRFTraining:
    changed = replace(CONFIG, **(config or {}))
    torch.manual_seed(3)
    judge = SkipDiscriminator(32, {32: 4, 16: 5, 8: 6, 4: 7})
    return StyleNeRFTraining(changed, StyleNeRFOptions(**options), tiny_network(changed), judge)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"upsample_mode": "pixelshuffle", "use_noise": True, "kernel_size": 3},
        {"background": False, "no_residual_img": True},
    ],
)
def test_a_step_of_every_phase(config: dict[str, Any]) -> None:
    # The last block's picture alone: the colours before it are not seen.
    dead = r"generator\.synthesis\.(b16\.torgb|fg_nerf\.to_rgb)\..*"
    dead = dead if config.get("no_residual_img") else ""
    found = check_every_phase(tiny(config), BATCH, GROWN, dead)
    assert set(found) == {"generator", "generator_path", "discriminator", "discriminator_r1"}
    assert found["generator"]["nerf_path"] > 0.0
    assert found["generator_path"]["path"] > 0.0


def test_poses_are_read_where_that_is_wanted(tmp_path: Path) -> None:
    torch.manual_seed(3)
    options = StyleNeRFOptions(pose_weight=10.0, judge_channels=8)
    training = StyleNeRFTraining(CONFIG, options, tiny_network())
    found = check_every_phase(training, BATCH, GROWN)
    assert found["generator"]["pose"] > 0.0
    assert found["discriminator"]["pose"] > 0.0
    assert found["discriminator"]["pose_real"] > 0.0
    phase = Phase("discriminator", "discriminator")
    assert "pose_real" not in losses_of(training, phase, replace(BATCH, cameras=None), GROWN)
    # A file with such a discriminator goes on with it.
    torch.save(training.authors_files(moved_state(training))["network.pt"], tmp_path / "n.pt")
    judge = judge_tensors(read_checkpoint(tmp_path / "n.pt"))
    again = training_of(open_model(str(tmp_path / "n.pt")), {"pose_weight": 10.0}, judge)
    assert again.discriminator.b4.out.weight.shape[0] == 3


def test_groups_name_every_parameter_once() -> None:
    check_groups(tiny())
    check_groups(tiny({"background": False}))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"upsample_mode": "pixelshuffle", "use_noise": True, "kernel_size": 3},
        {"fg_normalized_feat": True, "bg_normalized_feat": True, "ray_align_corner": True},
        {"background": False, "hierarchical": False, "dists_normalized": True},
    ],
)
@pytest.mark.parametrize("alpha", [1.0, 0.75, 0.0])
def test_batches_are_what_the_model_draws(config: dict[str, Any], alpha: float) -> None:
    """Without noise, the training's forward against the generator that pictures come from."""
    training = tiny(config)
    training.generator.synthesis.alpha.fill_(alpha)
    model = training.drawable(training.generator.state_dict())
    assert isinstance(model, StyleNeRF)
    poses = [model.capabilities.default_pose.turned(yaw=turn).camera() for turn in (-9.0, 14.0)]
    width = CONFIG.z_dim + training.config.z_dim_bg
    zs = [torch.randn(width, generator=seeded(i)) for i in range(2)]
    expected = [model.render(model.map(z), pose).rgb for z, pose in zip(zs, poses, strict=True)]
    axes = FAMILY_AXES["stylenerf"]
    cameras = torch.stack([torch.tensor(axes.from_ours(p.cam2world)).float() for p in poses])
    with torch.no_grad():
        ws = training.generator.mapping(torch.stack([z[: CONFIG.z_dim] for z in zs]))
        behind = torch.stack([z[CONFIG.z_dim :] for z in zs])
        found = training.picture(ws, behind, cameras, alpha * 2, None)
    found = (found.movedim(1, -1) * 0.5 + 0.5).clamp(0, 1)
    error = (found - torch.stack(expected)).abs().flatten()
    assert float(error.median()) < 2e-6 and float(error.quantile(0.99)) < 2e-4


def test_the_path_of_a_nerf_is_the_picture_where_nothing_is_enlarged() -> None:
    """Rays whose light all comes from one sample: blending colours is then the same as blending
    features. With the whole upsampler left out, both are the NeRF's own picture."""
    training = tiny()
    ws = training.generator.mapping(torch.randn(2, CONFIG.z_dim, generator=seeded()))
    behind = torch.randn(2, CONFIG.z_dim_bg, generator=seeded(1))
    cameras = orbit(torch.zeros(2, 2), CONFIG.radius, "stylenerf")
    every = torch.arange(8)
    with torch.no_grad():
        low = training.picture(ws, behind, cameras, 0.0, None)
        path = training.nerf_path(ws, behind, cameras, 0.0, (every, every, 8), None)
    torch.testing.assert_close(path, low, atol=1e-5, rtol=0)


def test_the_nerf_path_blends_what_each_sample_is_coloured() -> None:
    """Against the literal sum: each sample's features through the two blocks as a 1 x 1 picture."""
    config = {"background": False, "hierarchical": False, "magnitude_ema": False}
    training = tiny(config)
    ws = training.generator.mapping(torch.randn(1, CONFIG.z_dim, generator=seeded()))
    cameras = orbit(torch.tensor([[0.1, -0.05]]), CONFIG.radius, "stylenerf")
    rows, columns = torch.tensor([3, 20]), torch.tensor([5, 28])
    behind = torch.zeros(1, 0)
    path = training.nerf_path(ws, behind, cameras, 2.0, (rows, columns, 32), None)
    from engine.training.gan.stylenerf_drawing import features_of, march_heads, picture_rays

    fields, _ = training._fields(ws, behind)
    rays = picture_rays(training.config, cameras, rows, columns, 32)
    marched = march_heads(fields, training.config, *rays, None)
    features, rgb = features_of(fields, marched, 2, 8)
    total = torch.zeros(4, 3)
    for pixel in range(4):
        for sample in range(CONFIG.n_ray_samples):
            x, colour = features[0, pixel, sample], rgb[0, pixel, sample]
            for index, side in enumerate((16, 32)):
                block = training.generator.synthesis.get_submodule(f"b{side}")
                first = CONFIG.field_ws + 2 * index
                for layer, row in ((block.conv0, first), (block.conv1, first + 1)):
                    weight = layer.weight[:, :, 0, 0] * layer.affine(ws[0, row])
                    weight = weight / torch.sqrt(weight.square().sum(dim=1, keepdim=True) + 1e-8)
                    x = F.leaky_relu(weight @ x + layer.bias, 0.2) * 2**0.5
                    x = x.clamp(-CONFIG.conv_clamp, CONFIG.conv_clamp)  # type: ignore[operator]
                styles = block.torgb.affine(ws[0, first + 2]) / len(x) ** 0.5
                own = (block.torgb.weight[:, :, 0, 0] * styles) @ x + block.torgb.bias
                colour = colour + own.clamp(-CONFIG.conv_clamp, CONFIG.conv_clamp)  # type: ignore[operator]
            total[pixel] += (marched.weights[0, pixel, sample] * colour).detach()
    torch.testing.assert_close(path[0].flatten(1).T.detach(), total, atol=1e-5, rtol=1e-5)


def test_growing() -> None:
    training = tiny(grow_from=100, grow_over=1000)
    assert training.alpha(Progress(0, 50)) == 0.0
    assert training.growth(Progress(0, 50)) == (0.0, 8, 1.0)
    blocks, side, fade = training.growth(Progress(0, 350))
    assert (blocks, side, fade) == (0.5, 16, 0.5)
    assert training.growth(Progress(0, 600)) == (1.0, 16, 1.0)
    assert training.growth(Progress(0, 1100)) == (2.0, 32, 1.0)
    losses_of(training, Phase("discriminator", "discriminator"), BATCH, Progress(0, 350))
    assert float(training.generator.synthesis.alpha) == 0.25
    model = training.drawable(training.generator.state_dict())
    assert model.capabilities.resolution == 16
    found = check_every_phase(
        training, BATCH, Progress(0, 350), r"(generator\.synthesis|discriminator)\.b32\..*"
    )
    assert "nerf_path" in found["generator"]
    small = losses_of(training, Phase("generator", "generator"), BATCH, Progress(0, 0))
    assert "nerf_path" not in small


def test_fine_tuning_goes_on_at_full_size() -> None:
    training = training_of(tiny_model())
    assert isinstance(training, StyleNeRFTraining)
    assert training.growth(Progress(0, 0))[1] == 32


def test_a_block_that_is_faded_out_does_not_count() -> None:
    judge = SkipDiscriminator(16, {16: 4, 8: 5, 4: 6})
    picture = torch.randn(2, 3, 16, 16, generator=seeded())
    small = judge.b16(None, picture)[1]
    torch.testing.assert_close(judge(picture, 0.0), judge(small))
    assert not torch.allclose(judge(picture, 0.5), judge(small))


def test_averages_follow_in_the_discriminators_phase() -> None:
    training = tiny(magnitude_decay=0.5)
    conv = training.generator.synthesis.get_submodule("b16.conv0")
    before = float(conv.w_avg), training.generator.mapping.w_avg.clone()
    losses_of(training, Phase("generator", "generator"), BATCH, GROWN)
    assert float(conv.w_avg) == before[0]
    losses_of(training, Phase("discriminator", "discriminator"), BATCH, GROWN)
    assert float(conv.w_avg) != before[0]
    assert not torch.equal(training.generator.mapping.w_avg, before[1])


def test_cameras_stand_where_the_angles_say() -> None:
    angles = torch.tensor([[0.3, 0.1], [-0.2, -0.4]])
    for family, axes in FAMILY_AXES.items():
        for angle, matrix in zip(angles, orbit(angles, 1.5, family), strict=True):
            from engine.camera import OrbitPose

            yaw, pitch = torch.rad2deg(angle).tolist()
            pose = OrbitPose(yaw=yaw, pitch=pitch, radius=1.5).camera()
            expected = torch.tensor(axes.from_ours(pose.cam2world)).float()
            torch.testing.assert_close(matrix, expected, atol=1e-6, rtol=0)
    label = torch.cat([orbit(angles, 2.7, "eg3d").flatten(1), torch.zeros(2, 9)], dim=1)
    torch.testing.assert_close(angles_of(label), angles)


def test_authors_files_are_read_back_to_the_same_tensors(tmp_path: Path) -> None:
    training = tiny()
    state = moved_state(training)
    model, pickled = reopened(training, state, tmp_path)
    same_tensors(model, state)
    same_tensors(pickled, state)
    assert isinstance(model, StyleNeRF) and isinstance(pickled, StyleNeRF)
    assert pickled.config == model.config
    spread = {"yaw_spread": CONFIG.yaw_spread, "pitch_spread": CONFIG.pitch_spread}
    assert replace(model.config, **spread) == CONFIG


def test_authors_files_state_how_the_class_is_made_and_hold_the_present_state() -> None:
    training = tiny()
    content: Any = training.authors_files(moved_state(training))["network.pt"]
    for name, value in training.generator.state_dict().items():
        assert torch.equal(content["G"]["state_dict"][name], value), name
    for network in ("G", "G_ema"):
        made = content[network]["attributes"]["_init_kwargs"]["synthesis_kwargs"]
        # By default their class is the one without a volume.
        assert made["module_name"] == "training.stylenerf.NeRFSynthesisNetwork"
        assert made["rgb_out_dim"] == CONFIG.rgb_out_dim
        assert made["foreground_kwargs"]["n_blocks"] == CONFIG.fg_blocks + 1
        assert made["background_kwargs"]["hidden_size"] == CONFIG.bg_hidden
        first = 2 * CONFIG.resolution_vol
        assert made["upsampler_kwargs"]["channel_dict"][first] == CONFIG.block_channels[0]


@pytest.mark.parametrize("name", ["stylenerf_default", "stylenerf_pixelshuffle"])
def test_the_discriminator_of_an_authors_file_fits(name: str) -> None:
    path = GOLDENS / name / "checkpoint.pkl"
    tensors = judge_tensors(read_checkpoint(path))
    assert tensors is not None
    training = training_of(open_model(path, "cpu"), judge=tensors)
    own = training.discriminator.state_dict()
    assert set(own) == set(tensors)
    assert all(torch.equal(own[key], tensors[key]) for key in tensors)
    found = losses_of(
        training, Phase("discriminator", "discriminator"), batch_of(64, count=2), GROWN
    )
    assert bool(torch.isfinite(found["real"]))


@pytest.mark.parametrize("side", [32, 64])
def test_a_small_model_from_nothing(side: int) -> None:
    training = fresh("stylenerf", side)
    found = losses_of(training, Phase("generator", "generator"), batch_of(side, count=2), GROWN)
    assert bool(torch.isfinite(found["generator"])) and training.resolution == side
    check_groups(training)
