"""The EG3D family: drawing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken, GoldenCase, Quality
from engine.generators.eg3d import camera_label
from tests.generators.tiny_eg3d import CONFIG, tiny_model


def z_of(seed: int = 0) -> Tensor:
    return torch.randn(CONFIG.z_dim, generator=torch.Generator().manual_seed(seed))


# ---- drawing ------------------------------------------------------------------------------


def test_frame_shapes_ranges_and_timings() -> None:
    model = tiny_model()
    frame = model.render(
        model.map(z_of()), model.capabilities.default_pose.camera(), Quality(normals=True)
    )
    assert frame.rgb.shape == (32, 32, 3) and frame.raw.shape == (12, 12, 3)
    assert frame.depth.shape == frame.alpha.shape == (12, 12)
    assert frame.normal is not None and frame.normal.shape == (12, 12, 3)
    for image in (frame.rgb, frame.raw, frame.alpha):
        assert image.min() >= 0 and image.max() <= 1 and image.std() > 0
    assert frame.depth.min() >= 2.2 and frame.depth.max() <= 3.4
    assert set(frame.timings) == {"planes", "volume", "upsample", "normals"}
    assert frame.rgb.dtype == torch.float32


def test_quality_changes_the_volume_but_not_the_picture_size() -> None:
    model = tiny_model()
    w, camera = model.map(z_of()), model.capabilities.default_pose.camera()
    for side in (4, 7, 20):
        frame = model.render(w, camera, Quality(neural_resolution=side, samples=0.5))
        assert frame.raw.shape == (side, side, 3) and frame.rgb.shape == (32, 32, 3)
    raw_only = model.render(w, camera, Quality(upsample=False))
    assert raw_only.rgb is raw_only.raw


def test_the_same_arguments_give_the_same_picture() -> None:
    first, second = tiny_model(), tiny_model(superresolution_noise_mode="random")
    camera = OrbitPose(30, -10, radius=2.6).camera()
    for model in (first, second):
        w = model.map(z_of())
        one = model.render(w, camera)
        model._planes.clear()
        assert torch.equal(one.rgb, model.render(model.map(z_of()), camera).rgb)


def test_planes_are_kept_by_value_for_the_last_identities() -> None:
    model = tiny_model()
    made = 0

    def count(*_: Any) -> None:
        nonlocal made
        made += 1

    model.network.backbone.synthesis.register_forward_hook(count)
    ws = [model.map(z_of(seed)) for seed in range(5)]
    camera = model.capabilities.default_pose.camera()
    model.render(ws[0], camera)
    model.render(ws[0].clone(), OrbitPose(10, radius=2.6).camera())
    model.field(ws[0]).density(torch.zeros(1, 3))
    assert made == 1
    for w in ws[1:4]:
        model.planes(w)
    model.planes(ws[0])  # still there, and now the newest
    assert made == 4
    model.planes(ws[4])
    model.planes(ws[0])
    assert made == 5
    changed = ws[0].clone()
    kept = model.planes(changed)
    changed[0, 0] += 1
    assert not torch.equal(model.planes(changed), kept)


def test_cancelled_before_and_between_chunks() -> None:
    model = tiny_model()
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        model.render(model.map(z_of()), model.capabilities.default_pose.camera(), cancel=token)


def test_field_agrees_with_the_network_and_ends_at_the_box() -> None:
    model = tiny_model()
    w = model.map(z_of())
    field = model.field(w)
    assert field.bounds[0].tolist() == pytest.approx([-0.6] * 3)
    assert field.bounds[1].tolist() == pytest.approx([0.6] * 3)
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(2)) - 0.5
    density, features = model.network.field_at(model.network.planes(w[None]), points[None])
    torch.testing.assert_close(field.density(points), density[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        field.color(points), features[0, :, :3].clamp(0, 1), rtol=1e-4, atol=1e-5
    )
    assert field.density(points).std() > 0


def test_truncation_mean_and_conditioning() -> None:
    model = tiny_model()
    z = z_of()
    assert torch.equal(model.mean_w(), model.map(z_of(1), psi=0.0))
    cut = model.map(z, psi=0.3, cutoff=2)
    assert torch.equal(cut[2:], model.map(z)[2:]) and not torch.equal(cut[:2], model.map(z)[:2])
    side = OrbitPose(40, radius=2.6).camera()
    front = model.capabilities.default_pose.camera()
    assert torch.equal(model.map(z), model.map(z, conditioning=front))
    assert not torch.equal(model.map(z), model.map(z, conditioning=side))
    zeroed = tiny_model(c_gen_conditioning_zero=True)
    assert torch.equal(zeroed.map(z), zeroed.map(z, conditioning=side))
    assert "conditioning" in zeroed.capabilities.absent
    assert "conditioning" not in model.capabilities.absent


def test_models_without_conditioning_draw() -> None:
    model = tiny_model(c_dim=0)
    frame = model.render(model.map(z_of()), model.capabilities.default_pose.camera())
    assert frame.rgb.shape == (32, 32, 3)


def test_capabilities_state_the_model() -> None:
    facts = tiny_model().capabilities
    assert (facts.num_ws, facts.w_dim, facts.z_dim) == (8, 6, 8)
    assert (facts.resolution, facts.neural_resolution, facts.samples_per_ray) == (32, 12, 13)
    assert facts.default_pose.camera().focal == pytest.approx(3.0)
    assert facts.default_pose.center == (0.0, 0.0, 0.0)
    assert facts.default_pose.look_at == (0.0, 0.05, 0.1)
    assert facts.mesh_level == 8.0
    groups = facts.layer_groups
    assert groups["coarse"][0] == 0 and groups["fine"][1] == 8
    assert groups["coarse"][1] == groups["middle"][0] and groups["middle"][1] == groups["fine"][0]
    assert all(low < high for low, high in groups.values())


def test_wrong_latents_are_told() -> None:
    model = tiny_model()
    with pytest.raises(UserError, match="8 numbers"):
        model.map(torch.zeros(9))
    with pytest.raises(UserError, match="8 x 6"):
        model.field(torch.zeros(8, 7))


def test_label_is_cam2world_then_intrinsics() -> None:
    camera = OrbitPose(20, 5, radius=2.0).camera()
    label = camera_label(camera)
    assert label.shape == (25,)
    expected = torch.from_numpy(camera.cam2world.copy()).float()
    assert torch.equal(label[:16].reshape(4, 4), expected)
    assert label[16].item() == label[20].item() == pytest.approx(camera.focal)
    assert label[[18, 21]].tolist() == [0.5, 0.5] and label[24] == 1.0


def test_turning_the_head_shows_the_other_cheek() -> None:
    """A yaw to +x brings what lies at +x (the person's left) to the middle of the picture.

    A red wall is put at x > 0 of the field by hand; from the left it fills the view's
    middle, from the right it does not.
    """
    model = tiny_model()

    class Halves(torch.nn.Module):
        def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
            x = features[:, 0, :, 0]
            colour = torch.zeros(*x.shape, 5)
            colour[..., 0] = (x > 0).float()
            return torch.where(x.abs() > 0.05, 50.0, -50.0), colour

    ramp = torch.linspace(-1, 1, 32).expand(32, 32)
    planes = ramp[None, None, None].expand(1, 3, 4, -1, -1).clone()
    model.network.decoder = Halves()  # type: ignore[assignment]
    w = model.map(z_of())
    model._planes.get(w, lambda _: planes)
    redness = {
        yaw: model.render(w, OrbitPose(yaw, radius=2.6).camera(), Quality(upsample=False))
        .rgb[4:8, 4:8, 0].mean().item()
        for yaw in (-60.0, 60.0)
    }  # fmt: skip
    assert redness[60.0] > 0.9
    assert redness[-60.0] < redness[60.0] - 0.5


def test_golden_cases_mix_styles_and_refuse_what_they_cannot_draw() -> None:
    model = tiny_model()
    camera = torch.from_numpy(model.capabilities.default_pose.camera().cam2world.copy())

    def case(latents: dict[str, Tensor], **options: Any) -> GoldenCase:
        return GoldenCase("c", latents, 0.8, None, camera, None, options)

    z, other = z_of(0).double(), z_of(1).double()
    plain = model.golden_case(case({"z": z}))
    assert {k: tuple(v.shape) for k, v in plain.items()} == {
        "rgb": (3, 32, 32), "raw": (3, 12, 12), "depth": (1, 12, 12),
    }  # fmt: skip
    both = {"z": z, "z_mix": other}
    assert torch.equal(model.golden_case(case(both, mix_from_layer=8))["rgb"], plain["rgb"])
    swapped = model.golden_case(case(both, mix_from_layer=0))["rgb"]
    assert torch.equal(swapped, model.golden_case(case({"z": other}))["rgb"])
    by_angle = model.golden_case(
        case({"z": z}, fov_y=model.capabilities.default_pose.fov_y, neural_resolution=5)
    )
    assert by_angle["raw"].shape == (3, 5, 5)
    silent = model.golden_case(case({"z": z}, noise="none"))
    assert not torch.equal(silent["rgb"], plain["rgb"])
    for bad in (case({}), case({"z": z}, mix_from_layer=2), case({"z": z}, noise="odd")):
        with pytest.raises(UserError):
            model.golden_case(bad)
