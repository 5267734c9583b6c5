"""The EpiGRAF family: drawing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken, GoldenCase, Quality
from engine.generators.epigraf import RELEASED, EpiGRAFConfig, EpiGRAFNetwork, Patch
from tests import forks
from tests.generators.tiny_epigraf import CONFIG, tiny_model, z_of

POSE = OrbitPose(25, -10, radius=1.2, fov_y=20.0)
BACKGROUNDS = ("none", "plane", "sphere")


# ---- pictures -----------------------------------------------------------------------------


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_frame_shapes_ranges_and_timings(background: str) -> None:
    model = tiny_model(background=background)
    w = model.map(z_of())
    frame = model.render(w, POSE.camera(), Quality(normals=True))
    assert frame.rgb.shape == (24, 24, 3) and frame.raw is frame.rgb
    assert frame.depth.shape == frame.alpha.shape == (24, 24)
    assert frame.normal is not None and frame.normal.shape == (24, 24, 3)
    for image in (frame.rgb, frame.alpha):
        assert image.min() >= 0 and image.max() <= 1 and image.std() > 0
    assert frame.depth.min() >= 0.9 and frame.depth.max() <= 1.5 + 1e-5
    assert set(frame.timings) == {"planes", "volume", "normals"}
    assert frame.rgb.dtype == torch.float32


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_smaller_pictures_show_the_same_view(background: str) -> None:
    """The middle of every ninth of a picture is the pixel of one a third as large."""
    model = tiny_model(background=background)
    w = model.map(z_of())
    whole = model.render(w, POSE.camera())
    small = model.render(w, POSE.camera(), Quality(neural_resolution=8))
    assert small.rgb.shape == (8, 8, 3)
    torch.testing.assert_close(small.rgb, whole.rgb[1::3, 1::3], rtol=0, atol=1e-3)
    torch.testing.assert_close(small.depth, whole.depth[1::3, 1::3], rtol=0, atol=1e-3)


def test_samples_and_upsampling_of_quality() -> None:
    model = tiny_model()
    w, camera = model.map(z_of()), POSE.camera()
    plain = model.render(w, camera)
    assert torch.equal(model.render(w, camera, Quality(upsample=False)).rgb, plain.rgb)
    more = model.render(w, camera, Quality(samples=2.0))
    assert not torch.equal(more.rgb, plain.rgb)
    assert model.render(w, camera, Quality(samples=0.1)).rgb.isfinite().all()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_tiles_fit_together(background: str) -> None:
    model = tiny_model(background=background)
    w, camera = model.map(z_of()), POSE.camera()
    whole = model.render(w, camera)
    for left, top, side in ((0, 0, 12), (12, 0, 12), (5, 9, 4), (16, 16, 8)):
        tile = model.render_patch(w, camera, Patch.pixels(24, left, top, side), side)
        part = (slice(top, top + side), slice(left, left + side))
        torch.testing.assert_close(tile.rgb, whole.rgb[part], rtol=0, atol=1e-3)
        torch.testing.assert_close(tile.depth, whole.depth[part], rtol=0, atol=1e-3)
        torch.testing.assert_close(tile.alpha, whole.alpha[part], rtol=0, atol=1e-3)


def test_patches_as_the_authors_count_them() -> None:
    x, y = torch.tensor([-1.0, 1.0]), torch.tensor([1.0, -1.0])
    px, py = Patch(0.5, 0.25, 0.0).place(x, y)
    assert px.tolist() == [-0.5, 0.5]
    assert py.tolist() == [0.0, -1.0]  # without an offset the lower half
    assert Patch(1.0).place(x, y)[0].tolist() == x.tolist()
    corner = Patch.pixels(5, 3, 0, 2)
    assert (corner.scale, corner.offset_x, corner.offset_y) == (0.25, 0.75, 0.75)
    for wrong in ((0.0, 0, 0), (1.5, 0, 0), (0.5, 0.6, 0), (0.5, 0, -0.1)):
        with pytest.raises(UserError, match="not inside"):
            Patch(*wrong)


def test_every_pose_draws() -> None:
    model = tiny_model(background="sphere")
    w = model.map(z_of())
    poses = [OrbitPose(180, 89, radius=r, fov_y=f) for r in (0.05, 0.6, 3.0) for f in (2, 120)]
    for pose in [*poses, OrbitPose(10, 5, 30, 1.2, 20.0, (0.4, 0.1, 0.0), (0.3, 0.1, 0.0))]:
        frame = model.render(w, pose.camera(), Quality(neural_resolution=6, normals=True))
        assert frame.normal is not None
        for image in (frame.rgb, frame.depth, frame.alpha, frame.normal):
            assert image.isfinite().all()


def test_the_same_arguments_give_the_same_picture() -> None:
    model = tiny_model(background="sphere")
    first = model.render(model.map(z_of()), POSE.camera())
    model._identities.clear()
    assert torch.equal(first.rgb, model.render(model.map(z_of()), POSE.camera()).rgb)


def test_planes_are_kept_by_value_for_the_last_identities() -> None:
    model = tiny_model()
    made = 0

    def count(*_: Any) -> None:
        nonlocal made
        made += 1

    model.network.synthesis.tri_plane_decoder.register_forward_hook(count)
    ws = [model.map(z_of(seed)) for seed in range(3)]
    quick = Quality(neural_resolution=4)
    model.render(ws[0], POSE.camera(), quick)
    model.render(ws[0].clone(), OrbitPose(10, radius=1.2).camera(), quick)
    model.field(ws[0]).density(torch.zeros(1, 3))
    assert made == 1
    model.identity(ws[1])
    model.identity(ws[0])  # still there, and now the newest
    assert made == 2
    model.identity(ws[2])
    model.identity(ws[0])
    assert made == 3
    changed = ws[0].clone()
    kept = model.identity(changed).planes.table.table
    changed[0, 0] += 1
    assert not torch.equal(model.identity(changed).planes.table.table, kept)


@pytest.mark.parametrize("background", ["none", "sphere"])
def test_cancelled_between_chunks(background: str) -> None:
    model = tiny_model(background=background)
    w, asked = model.map(z_of()), 0

    def stop_now() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    with pytest.raises(Cancelled):
        model.render(w, POSE.camera(), cancel=CancelToken(stop_now))


# ---- identities ---------------------------------------------------------------------------


def test_truncation_and_its_average() -> None:
    model, z = tiny_model(), z_of()
    average = model.network.mapping.w_avg
    torch.testing.assert_close(model.mean_w(), average.expand(6, -1))
    cut = model.map(z, psi=0.3, cutoff=2)
    assert torch.equal(cut[2:], model.map(z)[2:])
    torch.testing.assert_close(cut[0], average + 0.3 * (model.map(z)[0] - average))


def test_the_camera_is_shown_as_parts_of_a_turn() -> None:
    """a -> sign(a) (|a| mod 2 pi) / 2 pi, yaw and pitch; the mean pose where none is given."""
    model, z = tiny_model(camera_cond=True), z_of()
    mapping = model.network.mapping

    def by_hand(yaw: float, pitch: float) -> Tensor:
        shown = torch.tensor([[yaw / math.tau, pitch / math.tau]])
        x = z[None] * (z.square().mean() + 1e-8).rsqrt()
        e = shown @ mapping.embed.weight.T / math.sqrt(2.0) + mapping.embed.bias
        x = torch.cat([x, e * (e.square().mean() + 1e-8).rsqrt()], dim=1)
        for layer in (mapping.fc0, mapping.fc1, mapping.fc2):
            y = x @ layer.weight.T * (0.1 / math.sqrt(x.shape[1])) + layer.bias * 0.1
            x = torch.where(y > 0, y, 0.2 * y) * math.sqrt(2.0)
        return x[0]

    torch.testing.assert_close(model.map(z)[0], by_hand(-0.2, 1.4))
    # Our yaw goes to the person's left, the authors' to their -z; our pitch up, theirs down.
    side = OrbitPose(math.degrees(0.5), math.degrees(0.25), radius=3.0).camera()
    expected = by_hand(-0.5, math.pi / 2 - 0.25)
    torch.testing.assert_close(model.map(z, conditioning=side)[3], expected)
    assert "conditioning" not in model.capabilities.absent
    plain = tiny_model()
    assert torch.equal(plain.map(z), plain.map(z, conditioning=side))
    assert "conditioning" in plain.capabilities.absent


def test_one_class_is_drawn_at_a_time() -> None:
    model = tiny_model(c_dim=3, camera_cond=True)
    (setting,) = model.capabilities.settings
    assert (setting.name, setting.low, setting.high, setting.default) == ("class", 0, 2, 0)
    seen = []
    for chosen in range(3):
        model.adjust({"class": chosen})
        label = model._label(None)
        assert label is not None and label.shape == (1, 5)
        assert label[0, :3].tolist() == [float(i == chosen) for i in range(3)]
        seen.append(model.map(z_of()))
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])
    with pytest.raises(UserError, match="class"):
        model.adjust({"class": 3})
    assert tiny_model().capabilities.settings == ()


def test_wrong_latents_are_told() -> None:
    model = tiny_model()
    with pytest.raises(UserError, match="8 numbers"):
        model.map(torch.zeros(9))
    with pytest.raises(UserError, match="6 x 6"):
        model.field(torch.zeros(8, 7))


def test_rows_of_a_sphere_background_style_it_alone() -> None:
    model = tiny_model(background="sphere")
    w = model.map(z_of())
    assert model.capabilities.num_ws == 10
    assert model.capabilities.layer_groups["background"] == (6, 10)
    other = torch.cat([w[:6], model.map(z_of(1))[6:]])
    before, after = (model.render(x, POSE.camera()) for x in (w, other))
    assert torch.equal(before.depth, after.depth)
    assert not torch.equal(before.rgb, after.rgb)
    model.network.synthesis.bg_model = None  # the field must not need it
    model.field(other).density(torch.zeros(2, 3))


# ---- facts --------------------------------------------------------------------------------


def test_capabilities_state_the_model() -> None:
    facts = tiny_model().capabilities
    assert (facts.family, facts.num_ws, facts.w_dim, facts.z_dim) == ("epigraf", 6, 6, 8)
    assert (facts.resolution, facts.neural_resolution, facts.samples_per_ray) == (24, 24, 12)
    assert (facts.default_pose.radius, facts.default_pose.fov_y) == (1.2, 20.0)
    assert facts.bounds == ((-0.25,) * 3, (0.25,) * 3)
    assert (facts.mesh_level, facts.mesh_level_meaning) == (25.0, "density")
    assert "raw" not in facts.view_modes and "normals" in facts.view_modes
    assert {"raw", "upsample"} <= set(facts.absent)
    groups = facts.layer_groups
    assert groups["coarse"][0] == 0 and groups["fine"][1] == 6 and "background" not in groups


def test_released_sizes() -> None:
    config = RELEASED["ffhq-512"]
    assert config == EpiGRAFConfig() and config.num_ws == 16
    with torch.device("meta"):
        state = EpiGRAFNetwork(config).state_dict()
    assert len(state) == 156
    assert sum(t.numel() for t in state.values()) / 1e6 == pytest.approx(29.68, abs=0.005)
    objects = RELEASED["megascans-food-256"]
    assert (objects.fov, objects.cube_scale, objects.white_back) == (30.0, 0.475, True)
    assert objects.yaw_range == (-180.0, 180.0)


def test_opening_a_model_does_not_import_torchs_compiler() -> None:
    """Arithmetic on the meta device would: 1.6 s at every start of the window."""
    code = (
        "import sys; from engine.generators.epigraf import EpiGRAFConfig, EpiGRAFNetwork\n"
        "import torch\n"
        "with torch.device('meta'): EpiGRAFNetwork(EpiGRAFConfig(background='sphere'))\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    done = forks.run(["-c", code])
    assert done.returncode == 0, done.stderr


def test_golden_cases_mix_styles_and_refuse_what_they_cannot_draw() -> None:
    model = tiny_model()
    camera = torch.eye(4)
    camera[2, 3] = 1.2

    def case(latents: dict[str, Tensor], **options: Any) -> GoldenCase:
        return GoldenCase("c", latents, 0.8, None, camera, None, options, 10)

    z, other = z_of(0).double(), z_of(1).double()
    plain = model.golden_case(case({"z": z}))
    shapes = {name: tuple(value.shape) for name, value in plain.items()}
    assert shapes == {"rgb": (3, 10, 10), "depth": (1, 10, 10)}
    both = {"z": z, "z_mix": other}
    assert torch.equal(model.golden_case(case(both, mix_from_layer=6))["rgb"], plain["rgb"])
    swapped = model.golden_case(case(both, mix_from_layer=0))["rgb"]
    assert torch.equal(swapped, model.golden_case(case({"z": other}))["rgb"])
    stated = model.golden_case(case({"z": z}, fov_y=20.0, near=0.9, far=1.5))
    assert torch.equal(stated["rgb"], plain["rgb"])
    assert not torch.equal(model.golden_case(case({"z": z}, far=1.4))["rgb"], plain["rgb"])
    nowhere = GoldenCase("c", {"z": z}, 1.0, None, None, None)
    for bad in (case({}), case({"z": z}, mix_from_layer=2), nowhere):
        with pytest.raises(UserError):
            model.golden_case(bad)


def test_conditioning_of_a_golden_case_is_angles() -> None:
    model = tiny_model(camera_cond=True)
    camera = torch.eye(4)
    camera[2, 3] = 1.2
    pictures = [
        model.golden_case(GoldenCase("c", {"z": z_of(), **more}, 1.0, None, camera, None, {}, 6))
        for more in ({}, {"cond": torch.tensor([[-0.2, 1.4, 0.0]])}, {"cond": torch.ones(3)})
    ]
    assert torch.equal(pictures[0]["rgb"], pictures[1]["rgb"])
    assert not torch.equal(pictures[0]["rgb"], pictures[2]["rgb"])


def test_config_of_the_tests_is_off_its_defaults() -> None:
    same = {
        name for name, value in CONFIG.to_json().items() if value == EpiGRAFConfig().to_json()[name]
    }
    covered = {"c_dim", "camera_cond", "use_noise", "clamp_mode", "last_back", "white_back",
               "background", "bg_channels", "bg_steps", "bg_start", "bg_scale", "bg_frequencies",
               "embed_features", "mesh_level", "yaw_range", "pitch_range"}  # fmt: skip
    assert same <= covered
