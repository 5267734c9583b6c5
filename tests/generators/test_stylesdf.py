"""StyleSDF by hand: mapping, double truncation, rays, weights, drawing, settings."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.errors import Cancelled, UserError
from engine.frame import Frame
from engine.generators import stylesdf_volume
from engine.generators.base import CancelToken, Quality
from engine.generators.stylesdf import StyleSDF
from engine.generators.stylesdf_volume import (
    FilmField,
    depth_limits,
    picture_rays,
    render,
)
from tests.generators.tiny_stylesdf import (
    CONFIG,
    VOLUME_ONLY,
    sphere_network,
    tiny_model,
    tiny_network,
    z_of,
)

CPU = torch.device("cpu")
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def model() -> StyleSDF:
    return tiny_model()


@pytest.fixture(scope="module")
def w(model: StyleSDF) -> Tensor:
    return model.map(z_of())


def camera(yaw: float = 0.0, pitch: float = 0.0, radius: float = 1.0, fov: float = 12.0) -> Camera:
    return OrbitPose(yaw, pitch, radius=radius, fov_y=fov).camera()


def in_double(model: StyleSDF) -> Arrays:
    return {k: v.double().numpy() for k, v in model.network.state_dict().items()}


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def renderer_style(t: Arrays, z: np.ndarray) -> np.ndarray:
    """Plain layers: no normalisation, no gain."""
    for layer in range(CONFIG.mapping_layers):
        z = leaky(z @ t[f"style.{layer}.weight"].T + t[f"style.{layer}.bias"])
    return z


def decoder_style(t: Arrays, x: np.ndarray) -> np.ndarray:
    """Normalised input, equalised layers of learning rate 0.01, gain sqrt(2)."""
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-8)
    for layer in range(1, CONFIG.decoder_mapping_layers + 1):
        weight, bias = t[f"decoder.style.{layer}.weight"], t[f"decoder.style.{layer}.bias"]
        x = leaky(x @ (weight * 0.01 / math.sqrt(weight.shape[1])).T + bias * 0.01) * math.sqrt(2)
    return x


# ---- latents ------------------------------------------------------------------------------


def test_rows_of_w_are_the_two_styles(model: StyleSDF, w: Tensor) -> None:
    t = in_double(model)
    assert w.shape == (4 + 6, 14)
    style = renderer_style(t, z_of().double().numpy())
    np.testing.assert_allclose(w[:4, :8], np.tile(style, (4, 1)), atol=1e-6)
    assert not w[:4, 8:].any()
    np.testing.assert_allclose(w[4:], np.tile(decoder_style(t, style), (6, 1)), atol=1e-6)


def test_truncation_happens_twice_with_two_means(model: StyleSDF) -> None:
    """m1 is the mean of D(w) over *untruncated* w, D's input the *truncated* w."""
    t = in_double(model)
    many = renderer_style(t, np.random.RandomState(0).randn(10_000, 8))
    m0, m1 = many.mean(axis=0), decoder_style(t, many).mean(axis=0)
    style = renderer_style(t, z_of().double().numpy())
    truncated = m0 + 0.6 * (style - m0)
    decoded = m1 + 0.6 * (decoder_style(t, truncated) - m1)
    w = model.map(z_of(), psi=0.6)
    np.testing.assert_allclose(w[:4, :8], np.tile(truncated, (4, 1)), atol=2e-6)
    np.testing.assert_allclose(w[4:], np.tile(decoded, (6, 1)), atol=2e-6)
    mean = model.mean_w()
    np.testing.assert_allclose(mean[0, :8], m0, atol=2e-6)
    np.testing.assert_allclose(mean[-1], m1, atol=2e-6)


def test_cutoff_leaves_the_other_rows_alone(model: StyleSDF, w: Tensor) -> None:
    truncated = model.map(z_of(), psi=0.5)
    for cutoff in (0, 2, 6, 10, 99):
        mixed = model.map(z_of(), psi=0.5, cutoff=cutoff)
        rows = min(cutoff, 10)
        assert torch.equal(mixed[:rows], truncated[:rows])
        assert torch.equal(mixed[rows:], w[rows:])


def test_wrong_shapes_are_told(model: StyleSDF, w: Tensor) -> None:
    with pytest.raises(UserError, match="latent has 8 numbers"):
        model.map(torch.zeros(9))
    with pytest.raises(UserError, match="w is 10 x 14"):
        model.render(w[:-1], camera())
    with pytest.raises(UserError, match="w is 10 x 14"):
        model.field(w[:, :8])


# ---- rays and samples ---------------------------------------------------------------------


def test_rays_go_through_the_middles_of_pixels() -> None:
    """f = 0.5 R / tan 6 deg (the authors' "fov" is the half angle): 304.46 px at 64."""
    cam = np.eye(4)
    cam[2, 3] = 1.0
    rays = picture_rays(torch.tensor(cam, dtype=torch.float32), 12.0, 64, (0.88, 1.12), 24)
    f = 0.5 * 64 / math.tan(math.radians(6.0))
    assert f == pytest.approx(304.46, abs=0.005)
    for row, column in ((0, 0), (10, 63), (40, 7)):
        expected = [(column + 0.5 - 32) / f, -(row + 0.5 - 32) / f, -1.0]
        index = 64 * row + column
        assert rays.directions[index].tolist() == pytest.approx(expected, abs=1e-7)
        length = math.sqrt(sum(x * x for x in expected))
        assert rays.view[index].tolist() == pytest.approx([x / length for x in expected], abs=1e-6)
        assert float(rays.lengths[index]) == pytest.approx(length, abs=1e-6)
    assert rays.depths[0].item() == pytest.approx(0.88)
    assert rays.depths[-1].item() == pytest.approx(0.88 + 0.24 * 23 / 24)


def test_view_directions_stay_with_the_camera_unless_asked_otherwise() -> None:
    turned = torch.tensor(camera(yaw=90).cam2world @ np.diag([1.0, -1, -1, 1])).float()
    middle = [picture_rays(turned, 12.0, 5, (0.88, 1.12), 4, s).view[12] for s in (True, False)]
    assert middle[0].tolist() == pytest.approx([0, 0, -1], abs=1e-6)
    assert middle[1].tolist() == pytest.approx([-1, 0, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("z", "expected"), [(1.0, (0.88, 1.12)), (2.5, (2.38, 2.62)), (0.05, (0.0012, 0.2412))]
)
def test_samples_cover_the_same_region_from_any_distance(
    z: float, expected: tuple[float, float]
) -> None:
    cam = torch.eye(4)
    cam[:3, 3] = torch.tensor([0.3, -0.2, z])
    assert depth_limits(cam, 0.12) == pytest.approx(expected, abs=1e-6)


# ---- the volume ---------------------------------------------------------------------------


def literal_ray(model: StyleSDF, w: Tensor, origin: np.ndarray, d: np.ndarray) -> Arrays:
    """One ray in double precision, step by step as the paper writes it."""
    t = in_double(model)
    style = w[0, :8].double().numpy()

    def film(name: str, x: np.ndarray) -> np.ndarray:
        key = f"renderer.network.{name}"
        gamma = 15 * (t[f"{key}.gamma.weight"] @ style + t[f"{key}.gamma.bias"]) + 30
        beta = 0.25 * (t[f"{key}.beta.weight"] @ style + t[f"{key}.beta.bias"])
        return np.sin(gamma * (x @ t[f"{key}.weight"].T + t[f"{key}.bias"]) + beta)

    def head(name: str, x: np.ndarray) -> np.ndarray:
        return x @ t[f"renderer.network.{name}.weight"].T + t[f"renderer.network.{name}.bias"]

    n = 24
    z = 0.88 * (1 - np.arange(n) / n) + 1.12 * np.arange(n) / n
    points = origin + z[:, None] * d
    h = points * 2 / (1.12 - 0.88)
    for layer in range(3):
        h = film(f"pts_linears.{layer}", h)
    sdf = head("sigma_linear", h)[:, 0]
    view = np.tile(d / np.linalg.norm(d), (n, 1))
    f = film("views_linears", np.concatenate([h, view], axis=1))
    rgb = 1 / (1 + np.exp(-head("rgb_linear", f)))
    beta = t["renderer.sigmoid_beta"][0]
    sigma = 1 / (1 + np.exp(sdf / beta)) / beta
    delta = np.append(np.diff(z), 1e10) * np.linalg.norm(d)
    alpha = 1 - np.exp(-sigma * delta)
    clear = np.cumprod(np.append(1.0, 1 - alpha + 1e-10))[:-1]
    weights = alpha * clear
    weights[-1] = 1 - weights[:-1].sum()
    return {
        "rgb": -1 + 2 * weights @ rgb,
        "features": weights @ f,
        "z": weights @ z,
        "background": weights[-1],
    }


def test_rays_by_hand(model: StyleSDF, w: Tensor) -> None:
    cam = torch.eye(4)
    cam[2, 3] = 1.0
    field = FilmField(model.network, w[:4])
    with torch.inference_mode():
        rays = picture_rays(cam, 12.0, 8, depth_limits(cam, 0.12), 24)
        volume = render(field, rays, with_features=True)
    assert volume.features is not None
    backgrounds = []
    for row, column in ((0, 0), (3, 4), (7, 2)):
        d = rays.directions[8 * row + column].double().numpy()
        expected = literal_ray(model, w, np.array([0.0, 0.0, 1.0]), d)
        np.testing.assert_allclose(volume.rgb[:, row, column], expected["rgb"], atol=3e-5)
        np.testing.assert_allclose(
            volume.features[0, :, row, column], expected["features"], atol=3e-5
        )
        assert float(volume.z[row, column]) == pytest.approx(expected["z"], abs=1e-6)
        backgrounds.append(float(expected["background"]))
        assert float(volume.background[row, column]) == pytest.approx(backgrounds[-1], abs=1e-5)
    assert max(backgrounds) > 1e-3, "a test without background would not see the last sample"


def test_chunks_do_not_show(model: StyleSDF, w: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.render(w, camera(20, 5))
    monkeypatch.setitem(stylesdf_volume.CHUNK_SAMPLES, "cpu", 24 * 7)
    torch.testing.assert_close(model.render(w, camera(20, 5)).rgb, whole.rgb, atol=1e-5, rtol=0)


def test_gradients_reach_the_style(model: StyleSDF) -> None:
    """Drawing overwrites what it can; with gradients it must not."""
    network = tiny_network(VOLUME_ONLY)
    style = torch.zeros(4, 8, requires_grad=True)
    cam = torch.eye(4)
    cam[2, 3] = 1.0
    volume = render(
        FilmField(network, style), picture_rays(cam, 12.0, 4, (0.88, 1.12), 6), with_features=True
    )
    volume.rgb.square().sum().backward()
    assert style.grad is not None and bool((style.grad.abs().sum(dim=1) > 0).all())


# ---- pictures -----------------------------------------------------------------------------


def test_a_frame_is_whole_and_the_same_every_time(model: StyleSDF, w: Tensor) -> None:
    frame = model.render(w, camera(15, -8), Quality(normals=True))
    assert frame.rgb.shape == (64, 64, 3) and frame.raw.shape == (16, 16, 3)
    assert frame.depth.shape == frame.alpha.shape == (16, 16)
    assert frame.normal is not None and frame.normal.shape == (16, 16, 3)
    for image in (frame.rgb, frame.raw, frame.alpha):
        assert float(image.min()) >= 0 and float(image.max()) <= 1
    assert float(frame.depth.min()) > 0.87 and float(frame.depth.max()) < 1.13
    assert set(frame.timings) == {"map", "volume", "upsample", "normals"}
    fresh = tiny_model().render(w, camera(15, -8), Quality(normals=True))
    assert torch.equal(frame.rgb, fresh.rgb) and torch.equal(frame.depth, fresh.depth)


@pytest.mark.parametrize("side", [8, 12, 48])
def test_every_neural_resolution_shows_the_same_view(side: int) -> None:
    """A bright ball beside the middle stays where it is, raw and decoded."""
    network = tiny_network(replace(CONFIG, width=12, depth=1))
    sphere = sphere_network((0.04, -0.03, 0.0), 0.04)
    network.renderer.load_state_dict(sphere.renderer.state_dict())
    model = StyleSDF(network, CPU)
    w = model.map(torch.zeros(8))

    def centroid(image: Tensor) -> list[float]:
        """Of what differs from the corner, in units of the picture."""
        mass = image if image.ndim == 2 else (image - image[0, -1]).abs().sum(dim=-1)
        mass = mass - mass.median()
        mass = mass.clamp(min=0.25 * float(mass.max())) - 0.25 * float(mass.max())
        at = (torch.arange(len(mass)) + 0.5) / len(mass)
        total = float(mass.sum())
        return [float(mass.sum(dim=0) @ at) / total, float(mass.sum(dim=1) @ at) / total]

    def frame(quality: Quality) -> Frame:
        return model.render(w, camera(), quality)

    preview, full = frame(Quality(neural_resolution=side)), frame(Quality())
    assert preview.raw.shape == (side, side, 3) and preview.rgb.shape == full.rgb.shape
    assert centroid(preview.alpha) == pytest.approx(centroid(full.alpha), abs=0.02)
    # To the right and below the middle by 0.04 and 0.03 of a view of 2 tan 6 deg = 0.2102.
    assert centroid(full.alpha) == pytest.approx(
        [0.5 + 0.04 / 0.2102, 0.5 + 0.03 / 0.2102], abs=0.02
    )


def test_quality_is_obeyed(model: StyleSDF, w: Tensor) -> None:
    raw = model.render(w, camera(), Quality(upsample=False))
    assert raw.rgb is raw.raw and "upsample" not in raw.timings
    seen: list[int] = []
    real = stylesdf_volume.picture_rays

    def spy(*args: object, **rest: object) -> object:
        seen.append(int(args[4]))  # type: ignore[call-overload]
        return real(*args, **rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.generators.stylesdf.picture_rays", spy)
        for factor in (1.0, 0.5, 2.0, 0.01, 8.0):
            model.render(w, camera(), Quality(samples=factor, upsample=False, neural_resolution=4))
    assert seen == [24, 12, 48, 2, 192]


def test_cancelling_stops_between_chunks(w: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    monkeypatch.setitem(stylesdf_volume.CHUNK_SAMPLES, "cpu", 24 * 16)
    asked = 0

    def third_time() -> bool:
        nonlocal asked
        asked += 1
        return asked >= 4

    with pytest.raises(Cancelled):
        model.render(w, camera(), cancel=CancelToken(third_time))
    assert asked == 4


@pytest.mark.parametrize(
    "pose",
    [OrbitPose(180, 0, radius=1, fov_y=12), OrbitPose(-70, 80, 30, 1, 12), OrbitPose(radius=9, fov_y=2),
     OrbitPose(radius=0.02, fov_y=90), OrbitPose(0, 0, 0, 1, 12, (0.3, 0, 0), (0.3, 0.1, 0)),
     OrbitPose(radius=0.1, look_at=(0, 0, 3.0))],
)  # fmt: skip
def test_any_pose_draws(model: StyleSDF, w: Tensor, pose: OrbitPose) -> None:
    frame = model.render(w, pose.camera(), Quality(normals=True))
    assert frame.normal is not None
    for image in (frame.rgb, frame.depth, frame.alpha, frame.normal):
        assert bool(torch.isfinite(image).all())


def test_what_depends_on_w_alone_is_kept(w: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    made = 0
    real = FilmField.__init__

    def counting(self: FilmField, *args: object) -> None:
        nonlocal made
        made += 1
        real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(FilmField, "__init__", counting)
    small = Quality(neural_resolution=4, upsample=False)
    other = model.map(z_of(1))
    for latent in (w, w.clone(), other, w, other):
        model.render(latent, camera(), small)
        model.field(latent)
    assert made == 2
