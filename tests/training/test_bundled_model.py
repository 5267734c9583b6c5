"""Crops, packing and a few steps of training on a toy network."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine.camera import OrbitPose
from engine.errors import CheckpointError
from engine.generators.eg3d_network import EG3DConfig, EG3DNetwork
from engine.generators.registry import open_model
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays
from engine.training.bundled import __main__ as command
from engine.training.bundled.field import FieldOptions, FieldRun
from engine.training.bundled.model import HeadGenerator, bundled_config
from engine.training.bundled.pairs import latent_attribute_pairs
from engine.training.bundled.pictures import PictureOptions, PictureRun
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.run import read_history
from engine.training.bundled.scores import measure
from engine.training.bundled.subject import load_run
from engine.training.bundled.trained import DENSITY_GAIN
from engine.training.heads.attributes import LATENT_SIZE, attribute_vector, attributes_from_latent
from tests.training.painted import small_config


def toy_config() -> EG3DConfig:
    return replace(small_config(), focal=3.0)


def cameras(*yaws: float) -> torch.Tensor:
    poses = [OrbitPose(yaw=yaw).camera().cam2world for yaw in yaws]
    return torch.from_numpy(np.stack(poses)).float()


def scores(model: HeadGenerator, pool: HeadPool) -> dict[str, float]:
    """Means of the first head's scores; the model goes on training."""
    found = measure(model.generator(), pool, 1).stats
    return {name: stat.mean for name, stat in found.items()}


@pytest.fixture
def model() -> HeadGenerator:
    torch.manual_seed(0)
    return HeadGenerator(toy_config(), torch.randn(10, 3)).requires_grad_(False)


@pytest.mark.parametrize("corner", [(0, 0), (6, 10), (16, 2)])
def test_a_crop_is_that_part_of_the_whole_picture(model, corner):
    z = torch.randn(1, 4)
    whole = model.whole(z, cameras(20), resolution=32)
    part = model.crop(z, cameras(20), torch.tensor([corner]), 16, 32, None)
    row, column = (c // 2 for c in corner)
    for name in ("raw", "depth", "alpha"):
        expected = getattr(whole, name)[..., row : row + 8, column : column + 8]
        torch.testing.assert_close(getattr(part, name), expected, atol=1e-4, rtol=0)
    assert part.picture.shape == (1, 3, 16, 16)


def test_views_of_one_head_follow_the_head(model):
    z = torch.randn(2, 4)
    corner = torch.zeros(4, 2)
    both = model.crop(z, cameras(0, 30, 0, 30), corner, 32, 32, None)
    for head in (0, 1):
        for view, yaw in enumerate((0, 30)):
            alone = model.whole(z[head : head + 1], cameras(yaw), 32)
            torch.testing.assert_close(
                both.picture[2 * head + view], alone.picture[0], atol=1e-4, rtol=0
            )


def test_attribute_error_is_in_spreads(model):
    w = torch.randn(5, 16)
    truth = model.reader(w) * model.attribute_spread + model.attribute_mean
    assert model.attribute_error(w, truth).item() == pytest.approx(0, abs=1e-6)
    shifted = truth + 3 * model.attribute_spread
    assert model.attribute_error(w, shifted).item() == pytest.approx(2.5, abs=1e-4)


def test_the_packed_model_opens_and_draws_the_same(model, tmp_path):
    path = model.pack(tmp_path / "toy")
    options = json.loads(path.read_text())
    assert options["family"] == "eg3d"
    generator = open_model(path, "cpu")
    z = torch.randn(4)
    frame = generator.render(generator.map(z), OrbitPose(fov_y=18.92464).camera())
    drawn = model.whole(z[None], cameras(0), 32).picture[0].permute(1, 2, 0)
    # Half precision of the weights is all that differs, and nothing from the model unpacked.
    ours = model.generator()
    drawn_by_copy = ours.render(ours.map(z), OrbitPose(fov_y=18.92464).camera()).rgb
    torch.testing.assert_close(drawn_by_copy, ((drawn + 1) / 2).clamp(0, 1), atol=1e-4, rtol=0)
    torch.testing.assert_close(frame.rgb, ((drawn + 1) / 2).clamp(0, 1), atol=2e-3, rtol=0)
    average = model.network.mapping(torch.randn(4000, 4))[:, 0].mean(0)
    assert (generator.mean_w()[0] - average).abs().max() < 0.1


def test_density_is_trained_in_larger_units(model):
    """What the trainer draws is what the packed decoder, with the factor folded in, draws."""
    planes = model.network.planes(model.network.mapping(torch.randn(1, 4)))
    points = torch.rand(1, 20, 3) - 0.5
    raised, colour = model.network.field_at(planes, points)
    plain = EG3DNetwork(toy_config())
    plain.load_state_dict(model.network.state_dict())
    density, same_colour = plain.field_at(planes, points)
    torch.testing.assert_close(raised, density * DENSITY_GAIN)
    torch.testing.assert_close(colour, same_colour)


def test_training_can_start_from_a_packed_model(model, tmp_path):
    path = model.pack(tmp_path / "toy")
    other = HeadGenerator(toy_config(), torch.zeros(2, 3))
    other.start_from(path)
    ours, theirs = model.network.state_dict(), other.network.state_dict()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, atol=1e-6, rtol=1e-3)
    wider = HeadGenerator(replace(toy_config(), mesh_level=5.0), torch.zeros(2, 3))
    with pytest.raises(CheckpointError, match="other options"):
        wider.start_from(path)


def test_training_can_go_on_with_finer_planes(model, tmp_path):
    """What a model of coarser planes drew is drawn at once, and the new block learns."""
    coarse = replace(toy_config(), block_channels=(16, 16, 8))
    small = HeadGenerator(coarse, torch.zeros(2, 3))
    path = small.pack(tmp_path / "toy")
    fine = replace(coarse, block_channels=(16, 16, 8, 8), plane_resolution=32)
    large = HeadGenerator(fine, torch.zeros(2, 3))
    large.start_from(path)
    z = torch.randn(2, 4)
    with torch.no_grad():
        before, after = (m.network.planes(m.network.mapping(z)) for m in (small, large))
    doubled = torch.nn.functional.interpolate(before.flatten(1, 2), scale_factor=2, mode="bilinear")
    # At the rim the planes' own doubling takes what lies outside for zero.
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(after.flatten(1, 2)[inner], doubled[inner], atol=5e-3, rtol=5e-3)
    large.network.planes(large.network.mapping(z)).square().sum().backward()
    assert large.network.backbone.synthesis.b32.torgb.weight.grad.abs().max() > 0
    with pytest.raises(CheckpointError, match=r"a part too many|other options"):
        small.start_from(large.pack(tmp_path / "large"))
    other = HeadGenerator(replace(fine, block_channels=(16, 8, 8, 8)), torch.zeros(2, 3))
    with pytest.raises(CheckpointError, match="other options"):
        other.start_from(path)


def test_the_bundled_configuration_is_what_the_tour_says():
    config = bundled_config()
    assert (config.z_dim, config.img_resolution, config.num_ws) == (LATENT_SIZE, 256, 12)
    assert EG3DConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.fixture
def heads(tmp_path):
    """One head: a grey ball on white, seen from four sides."""
    random = np.random.default_rng(0)
    size, views = 32, 4
    steps = (np.arange(size) + 0.5) / size - 0.5
    inside = (steps[:, None] ** 2 + steps[None] ** 2) < 0.3**2
    rgba = np.zeros((1, views, size, size, 4), np.uint8)
    rgba[:, :, inside] = (90, 60, 30, 255)
    yaws = [OrbitPose(yaw=y).camera().cam2world for y in (0, 90, 180, 270)]
    folder = tmp_path / "heads"
    folder.mkdir()
    np.savez(
        folder / "a.npz",
        z=random.standard_normal((1, 4)).astype(np.float32),
        a=np.zeros((1, 3), np.float32),
        cam2world=np.stack(yaws)[None].astype(np.float32),
        rgba=rgba,
        depth=np.where(inside, 2.45, 0).astype(np.float16)[None, None].repeat(views, 1),
        seg=inside.astype(np.uint8)[None, None].repeat(views, 1),
    )
    return HeadPool(folder, 1, torch.device("cpu"))


def test_pictures_are_learnt_saved_and_gone_on_with(heads, tmp_path):
    heads.wait_for(1)
    torch.manual_seed(1)
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    options = PictureOptions(
        heads=1,
        views=2,
        side=32,
        learning_rate=6e-4,
        field_rate=1.0,
        mapping_rate=0.1,
        warmup=5,
    )
    trainer = PictureRun(model, heads, options, tmp_path)
    before = scores(model, heads)
    for step in range(100):
        trainer.train_step(0.2 if step < 80 else 0.9)
    trainer.log()
    after = scores(model, heads)
    assert after["psnr"] > before["psnr"] + 3 and after["iou"] > before["iou"]
    trainer.save()
    other = PictureRun(HeadGenerator(toy_config(), torch.zeros(2, 3)), heads, options, tmp_path)
    assert other.resume() and other.step == 100
    for ours, theirs in zip(other.average.parameters(), trainer.average.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[0])
    assert line["step"] == 100 and line["picture"] > 0


def test_pictures_leave_the_planes_alone_unless_told(heads, tmp_path):
    heads.wait_for(1)
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = PictureRun(model, heads, PictureOptions(heads=1, side=24, warmup=1), tmp_path)
    for _ in range(3):
        run.train_step(0.9)
    changed = {n for n, v in model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed and {name.split(".")[1] for name in changed} == {"superresolution", "decoder"}


def test_the_borders_of_the_picture_are_learnt_and_those_of_a_crop_are_not(heads, tmp_path):
    """The outermost pixel turned out too dark when they were not."""
    heads.wait_for(1)
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    run = PictureRun(model, heads, PictureOptions(heads=1, side=24), tmp_path)
    rows = {
        (0, 4): {"top": True, "bottom": False},
        (8, 4): {"top": False, "bottom": True},
        (4, 4): {"top": False, "bottom": False},
    }
    one = np.array([0])

    def error(patch):
        run.jitter.manual_seed(0)
        return run.losses(patch, guided=False)["picture"].item()

    for corner, judged in rows.items():
        patch = heads.crop(one, one, np.array([corner]), 24)
        for side, counts in judged.items():
            rgb = patch.rgb.clone()
            rgb[..., 0 if side == "top" else -1, :] = 5.0
            assert (error(replace(patch, rgb=rgb)) != error(patch)) == counts


def test_a_run_ends_with_its_time_and_leaves_a_state(heads, tmp_path):
    heads.wait_for(1)
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    options = PictureOptions(minutes=0.01, heads=1, views=1, side=24)
    trainer = PictureRun(model, heads, options, tmp_path)
    assert not trainer.resume()
    trainer.run()
    assert trainer.step > 0 and (tmp_path / "state.pt").exists()


def test_a_run_tells_how_it_came_about(heads, tmp_path):
    heads.wait_for(1)
    assert read_history(tmp_path) == []
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    first = FieldRun(model, heads, FieldOptions(heads=1, rays=16, seed=3), tmp_path)
    first.train_step(0.0)
    first.save()
    other = tmp_path / "pictures"
    other.mkdir()
    second = PictureRun(model, heads, PictureOptions(heads=1, side=24), other)
    second.before = read_history(tmp_path)
    second.save()
    again = PictureRun(model, heads, PictureOptions(heads=1, side=24), other)
    again.resume()
    again.train_step(0.0)
    again.save()
    stages = read_history(other)
    assert [(s["stage"], s["steps"]) for s in stages] == [("field", 1), ("picture", 1)]
    assert stages[0]["options"]["seed"] == 3 and stages[0]["heads"] == 1
    assert load_run(other, "state.pt", heads.device).network.config == toy_config()


def test_fields_are_learnt_from_single_rays(heads, tmp_path):
    heads.wait_for(1)
    torch.manual_seed(1)
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    options = FieldOptions(heads=2, rays=256, learning_rate=1e-2, warmup=5)
    run = FieldRun(model, heads, options, tmp_path)
    before = scores(model, heads)
    for _ in range(60):
        run.train_step(0.2)
    after = scores(model, heads)
    assert after["psnr_raw"] > before["psnr_raw"] + 3 and after["iou"] > before["iou"]
    run.log()
    run.save()
    other = FieldRun(HeadGenerator(toy_config(), torch.zeros(2, 3)), heads, options, tmp_path)
    assert other.resume() and other.step == 60
    for ours, theirs in zip(other.average.parameters(), run.average.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_marched_rays_bring_back_the_whole_pictures_pixels(model):
    """The first stage trains what the second one, and the shipped model, draw."""
    z, camera = torch.randn(1, 4), cameras(20)
    whole = model.whole(z, camera, resolution=32)
    lens = intrinsics_from_focal(torch.tensor([model.network.config.focal]))
    rays_o, rays_d = pinhole_rays(camera, lens, 16, 16)
    chosen = torch.tensor([5, 100, 120, 200])
    found, w = model.rays(z, rays_o[:, chosen], rays_d[:, chosen])
    pixels = whole.raw.flatten(2)[..., chosen].transpose(1, 2)
    torch.testing.assert_close(found.features[..., :3], pixels, atol=1e-4, rtol=0)
    torch.testing.assert_close(w, whole.w)


def test_a_fields_rate_falls_from_a_slow_start(heads, tmp_path):
    heads.wait_for(1)
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    options = FieldOptions(learning_rate=2.0, warmup=10)
    run = FieldRun(model, heads, options, tmp_path)
    assert run.rate(0.0) == pytest.approx(0.2)
    run.step = 99
    assert [run.rate(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([2.0, 1.02, 0.04])


def test_pairs_are_the_heads_attributes_and_teach_the_mapping(heads, tmp_path):
    z, a = latent_attribute_pairs(3, seed=5)
    assert z.shape == (3, LATENT_SIZE)
    expected = attribute_vector(attributes_from_latent(z[1].numpy()))
    np.testing.assert_array_equal(a[1].numpy(), expected)
    heads.wait_for(1)
    torch.manual_seed(2)
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    latents = torch.randn(300, 4)
    truth = torch.stack([latents[:, 0].sign(), latents[:, 1], latents[:, 2] * 2], dim=1) * 0.05
    options = FieldOptions(
        heads=1, rays=16, warmup=5, attributes=10.0, learning_rate=1e-2, mapping_rate=10.0
    )
    run = FieldRun(model, heads, options, tmp_path, (latents, truth))
    before = model.attribute_error(model.network.mapping(latents)[:, 0], truth).item()
    for _ in range(80):
        run.train_step(0.0)
    after = model.attribute_error(model.network.mapping(latents)[:, 0], truth).item()
    assert after < 0.5 * before


def test_the_mapping_can_be_taught_alone_before_anything_is_drawn(heads, tmp_path, monkeypatch):
    # A step takes a hundredth of a second, however busy the machine is.
    clock = SimpleNamespace(monotonic=count(step=0.01).__next__)
    monkeypatch.setattr("engine.training.bundled.field.time", clock)
    heads.wait_for(1)
    torch.manual_seed(3)
    model = HeadGenerator(toy_config(), torch.zeros(2, 3))
    latents = torch.randn(300, 4)
    truth = torch.stack([latents[:, 0].sign(), latents[:, 1], latents[:, 2]], dim=1) * 0.05
    planes = {k: v.clone() for k, v in model.network.backbone.synthesis.state_dict().items()}
    trainer = FieldRun(model, heads, FieldOptions(), tmp_path, (latents, truth))
    before = model.attribute_error(model.network.mapping(latents)[:, 0], truth).item()
    after = trainer.teach_mapping(seconds=2.0)
    assert after < 0.5 * before
    for name, value in model.network.backbone.synthesis.state_dict().items():
        assert torch.equal(value, planes[name])
    with pytest.raises(ValueError, match="pairs"):
        FieldRun(model, heads, FieldOptions(), tmp_path).teach_mapping(1.0)


def test_what_reads_a_packed_model_is_fitted_before_it_trains_on(
    model, heads, tmp_path, monkeypatch, capsys
):
    """A random reader would pull w anywhere; what is a linear function of w is read exactly."""
    latents = torch.randn(500, 4)
    with torch.no_grad():
        truth = model.style(latents) @ torch.randn(model.network.config.w_dim, 3) + 2.0
    toy = {"of": classmethod(lambda cls, attributes, **_: cls(toy_config(), attributes))}
    monkeypatch.setitem(command.MODELS, "eg3d", type("Toy", (HeadGenerator,), toy))
    monkeypatch.setattr(command, "latent_attribute_pairs", lambda count: (latents, truth))
    packed = model.pack(tmp_path / "packed")
    words = ["field", "--heads", heads.folder, "--out", tmp_path / "run", "--start", packed]
    words += ["--device", "cpu", "--minutes", 0, "--batch-heads", 1, "--rays", 16]
    assert command.main([str(word) for word in words]) == 0
    assert "an error of 0.000 spreads" in capsys.readouterr().out
    trained = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    again = HeadGenerator(toy_config(), torch.zeros(1, 3))
    for name in ("model", "average"):
        again.load_state_dict(trained[name])
        assert again.attribute_error(again.style(latents), truth).item() < 1e-3
    # So it is for a run that began from one without reading, but not for a run that reads.
    words[words.index("--start") + 1] = tmp_path / "run"
    for name, is_fitted in (("reads", False), ("guesses", True)):
        assert command.main([*map(str, words), "--out", str(tmp_path / name)]) == 0
        assert ("an error of 0.000 spreads" in capsys.readouterr().out) is is_fitted
        for part in ("model", "average"):
            trained[part] |= {
                k: torch.randn_like(v) for k, v in trained[part].items() if "reader" in k
            }
        torch.save(trained, tmp_path / "run" / "state.pt")
    heads.wait_for(1)
    with pytest.raises(ValueError, match="pairs"):
        FieldRun(model, heads, FieldOptions(), tmp_path).teach_reader()
