"""The second generator's training: a toy CIPS-3D on painted balls."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.camera import Camera
from engine.errors import CheckpointError, UserError
from engine.generators.cips3d import CIPS3D
from engine.generators.cips3d_source import CIPS3DConfig
from engine.generators.registry import open_model
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays
from engine.training.bundled import __main__ as command
from engine.training.bundled.card import model_card
from engine.training.bundled.cips3d import (
    BOTH,
    LOOK,
    HeadCIPS3D,
    axes_read,
    cips3d_config,
    steps_along,
)
from engine.training.bundled.field import FieldOptions, FieldRun
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.report import make_report
from engine.training.bundled.run import read_history
from engine.training.bundled.scores import measure
from engine.training.bundled.subject import load_run, open_subject
from engine.training.bundled.trained import heads_focal
from engine.training.heads.attributes import AXES, LATENT_SIZE
from engine.training.heads.steps import latent_steps
from engine.training.heads.world import FOV_Y, orbit_camera
from tests.training.painted import write_balls

CPU = torch.device("cpu")


def toy_config() -> CIPS3DConfig:
    """Draws the rendered heads' views at 32 pixels; two of z's four numbers are read twice."""
    side = 32
    edge = math.tan(math.radians(FOV_Y) / 2)
    return replace(
        cips3d_config(),
        z_nerf_dim=3,
        z_inr_dim=3,
        nerf_reads=(0, 1, 3),
        inr_reads=(1, 2, 3),
        nerf_latent_steps=((0, 0.0, 0, 0),),
        inr_latent_steps=((1, 0.5, 2, -1),),
        nerf_style_dim=16,
        inr_style_dim=12,
        nerf_layers=2,
        nerf_width=24,
        nerf_color_width=16,
        nerf_features=8,
        inr_width=16,
        img_resolution=side,
        fov_y=math.degrees(2 * math.atan(edge * (side - 1) / side)),
        backdrop=1.0,
    )


@pytest.fixture
def pool(tmp_path):
    """Four balls of different colours before a white wall."""
    pool = HeadPool(write_balls(tmp_path / "balls", 4), 4, CPU)
    pool.refresh()
    return pool


@pytest.fixture
def model() -> HeadCIPS3D:
    torch.manual_seed(0)
    return HeadCIPS3D(toy_config(), torch.randn(10, 3))


def camera_of(model: HeadCIPS3D, yaw: float) -> Camera:
    return Camera(orbit_camera(yaw, 5.0).cam2world, model.network.config.fov_y)


def picture(model: HeadCIPS3D, z: torch.Tensor, yaw: float) -> torch.Tensor:
    """``[32, 32, 3]`` as the trained model itself draws it, by the trainer's rays."""
    lens = intrinsics_from_focal(torch.tensor([heads_focal()]))
    cam2world = torch.tensor(orbit_camera(yaw, 5.0).cam2world).float()[None]
    with torch.no_grad():
        found, _ = model.rays(z[None], *pinhole_rays(cam2world, lens, 32, 32))
    return (found.features[0, :, :3].reshape(32, 32, 3) + 1) / 2


def test_every_coordinate_of_a_head_is_read_and_those_of_both_twice():
    shape, look = axes_read()
    assert {*shape, *look} == set(range(LATENT_SIZE))
    assert {*shape} & {*look} == {AXES[name] for name in BOTH}
    assert AXES["hair_style"] in shape and AXES["hair_dye"] not in shape
    assert len(set(LOOK)) == len(LOOK)


def test_steps_keep_their_meaning_along_a_part_of_the_latent():
    shape, look = axes_read()
    named = {name: [tuple(s) for s in steps_along(axes)] for name, axes in
             (("shape", shape), ("look", look))}  # fmt: skip
    for name, axes in (("shape", shape), ("look", look)):
        back = [(axes[a], t, axes[g], side) for a, t, g, side in named[name]]
        assert back == [tuple(s) for s in latent_steps() if s.axis in axes]
    lipstick = look.index(AXES["lipstick"])
    assert (lipstick, 0.25, look.index(AXES["gender"]), -1) in named["look"]


def test_the_configuration_reads_a_heads_latent_and_survives_json():
    config = cips3d_config()
    assert config.z_dim == LATENT_SIZE
    assert CIPS3DConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_single_rays_bring_back_the_pixels_that_the_generator_draws(model):
    z = torch.randn(4)
    drawn = model.generator()
    frame = drawn.render(drawn.map(z), camera_of(model, 25.0))
    expected = picture(model, z, 25.0).clamp(0, 1)
    torch.testing.assert_close(frame.rgb, expected, atol=2e-4, rtol=0)


def test_heads_in_a_batch_do_not_mix(model):
    z, rays_o = torch.randn(2, 4), torch.tensor([0.0, 0.0, 2.7]).expand(2, 5, 3)
    rays_d = torch.nn.functional.normalize(torch.randn(2, 5, 3) * 0.1 - torch.tensor([0, 0, 1.0]), dim=-1)  # fmt: skip
    both, styles = model.rays(z, rays_o, rays_d)
    for head in (0, 1):
        one = slice(head, head + 1)
        alone, style = model.rays(z[one], rays_o[one], rays_d[one])
        torch.testing.assert_close(both.features[one], alone.features, atol=1e-5, rtol=0)
        torch.testing.assert_close(styles[one], style)


def test_look_and_shape_follow_their_own_coordinates(model):
    z = torch.randn(4)
    other = z.clone()
    other[2] += 1.0
    ours, theirs = (model.style(x[None])[0].split([16, 12]) for x in (z, other))
    assert torch.equal(ours[0], theirs[0]) and not torch.equal(ours[1], theirs[1])
    shared = z.clone()
    shared[3] += 1.0
    ours, theirs = (model.style(x[None])[0].split([16, 12]) for x in (z, shared))
    assert not torch.equal(ours[0], theirs[0]) and not torch.equal(ours[1], theirs[1])


def test_balls_are_learnt_gone_on_with_packed_and_drawn_the_same(pool, tmp_path):
    torch.manual_seed(1)
    model = HeadCIPS3D(toy_config(), pool.attributes)
    options = FieldOptions(heads=4, rays=128, learning_rate=4e-3, warmup=10, guided_until=0.5)
    run = FieldRun(model, pool, options, tmp_path / "run")
    run.folder.mkdir()
    before = measure(model.generator(), pool, 4).stats
    for step in range(220):
        run.train_step(0.2 if step < 180 else 0.7)
    after = measure(model.generator(), pool, 4).stats
    assert after["psnr"].mean > before["psnr"].mean + 4
    assert after["psnr_raw"].mean > before["psnr_raw"].mean + 4
    assert after["iou"].mean > 0.85 and after["iou"].mean > before["iou"].mean
    run.save()
    again = FieldRun(HeadCIPS3D(toy_config(), pool.attributes), pool, options, run.folder)
    assert again.resume() and again.step == 220
    for ours, theirs in zip(again.average.parameters(), run.average.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert read_history(run.folder)[-1]["family"] == "cips3d"
    packed = open_model(load_run(run.folder, "state.pt", CPU).pack(tmp_path / "toy"), "cpu")
    assert isinstance(packed, CIPS3D) and packed.capabilities.z_dim == 4
    z = torch.tensor(np.load(tmp_path / "balls" / "balls.npz")["z"][1])
    frame = packed.render(packed.map(z), camera_of(model, 10.0))
    # Half precision of the weights is all that differs.
    expected = picture(run.average, z, 10.0).clamp(0, 1)
    assert (frame.rgb - expected).abs().mean() < 2e-3
    # What no ray hits is the backdrop.
    torch.testing.assert_close(frame.rgb[0, 0], torch.ones(3), atol=0.02, rtol=0)


def test_training_can_start_from_a_packed_model(model, tmp_path):
    path = model.pack(tmp_path / "toy")
    other = HeadCIPS3D(toy_config(), torch.zeros(2, 3))
    other.start_from(path)
    for name, value in model.network.state_dict().items():
        torch.testing.assert_close(other.network.state_dict()[name], value, atol=1e-4, rtol=1e-3)
    wider = HeadCIPS3D(replace(toy_config(), mesh_level=5.0), torch.zeros(2, 3))
    with pytest.raises(CheckpointError, match="other options"):
        wider.start_from(path)


def test_parts_are_frozen_by_their_rates(model):
    everything = {id(p) for p in model.parameters()}

    def known(*rates: float) -> set[int]:
        return {id(p) for group in model.groups(*rates) for p in group["params"]}

    assert known(1.0, 1.0) == everything
    looks = {id(p) for part in (model.network.inr_net, model.network.aux_to_rbg)
             for p in part.parameters()}  # fmt: skip
    assert known(0.0, 0.0, 1.0) == looks
    assert {id(p) for p in model.parameters() if p.requires_grad} == looks
    mapping = {id(p) for group in model.mapping_groups() for p in group["params"]}
    assert known(0.0, 1.0, 0.0) == mapping
    slower = {id(p): g["scale"] for g in model.groups(0.5, 1.0, 1.0) for p in g["params"]}
    plain = {id(p): g["scale"] for g in model.groups(1.0, 1.0, 1.0) for p in g["params"]}
    for p in model.network.siren.parameters():
        assert slower[id(p)] == 0.5 * plain[id(p)]


def test_a_report_and_a_card_tell_the_family(model, pool, tmp_path):
    run = FieldRun(model, pool, FieldOptions(heads=2, rays=16), tmp_path / "run")
    run.folder.mkdir()
    run.train_step(0.0)
    run.save()
    subject = open_subject(run.folder, CPU)
    assert subject.backdrop == 1.0
    report = make_report(subject, pool, 2, None)
    assert report["model"]["family"] == "cips3d" and report["history"][0]["steps"] == 1
    card = model_card(report, 4)
    assert "CIPS-3D" in card and "EG3D" not in card
    packed = open_subject(model.pack(tmp_path / "toy"), CPU)
    assert isinstance(packed.generator, CIPS3D) and packed.backdrop == 1.0


def test_a_run_of_one_family_is_not_gone_on_with_as_another(model, pool, tmp_path, capsys):
    run = FieldRun(model, pool, FieldOptions(heads=2, rays=16), tmp_path / "run")
    run.folder.mkdir()
    run.save()
    words = ["field", "--heads", pool.folder, "--device", "cpu", "--pairs", 0, "--out"]
    told = [str(word) for word in (*words, run.folder)]
    assert command.main(told) == 2
    assert "of the family cips3d, not of eg3d" in capsys.readouterr().err
    told = [str(word) for word in (*words, tmp_path / "new", "--start", run.folder)]
    assert command.main(told) == 2


def test_the_command_trains_with_what_suits_the_family(pool, tmp_path, monkeypatch):
    toy = {"of": classmethod(lambda cls, attributes, **_: cls(toy_config(), attributes))}
    monkeypatch.setitem(command.MODELS, "cips3d", type("Toy", (HeadCIPS3D,), toy))
    words = ["field", "--family", "cips3d", "--heads", pool.folder, "--device", "cpu"]
    words += ["--pairs", 0, "--minutes", 0.001, "--out"]
    assert command.main([str(word) for word in (*words, tmp_path / "plain")]) == 0
    assert (
        command.main(
            [str(word) for word in (*words, tmp_path / "told", "--rays", 9, "--squares", 0.5)]
        )
        == 0
    )
    plain, told = (read_history(tmp_path / name)[-1]["options"] for name in ("plain", "told"))
    assert {name: plain[name] for name in HeadCIPS3D.advised} == HeadCIPS3D.advised
    assert told["squares"] == 0.5 and plain["squares"] == 0.0
    assert told["rays"] == 9 and told["learning_rate"] == plain["learning_rate"]


def test_reduced_precision_is_refused_where_there_are_no_convolutions():
    with pytest.raises(UserError, match="--mixed"):
        HeadCIPS3D.of(torch.zeros(2, 3), mixed=True)
