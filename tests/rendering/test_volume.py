"""Volume rendering as a whole: settings, limits, chunks, backgrounds, gradients."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken
from engine.generators.triplane import TriplaneDecoder
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays
from engine.rendering.volume import (
    RenderSettings,
    ray_limits,
    render_rays,
    render_rays_in_chunks,
)

SETTINGS = RenderSettings(8, 8, 2.2, 3.2)
AUTO = replace(SETTINGS, ray_start="auto", ray_end="auto")


@pytest.fixture
def decoder() -> TriplaneDecoder:
    torch.manual_seed(0)
    return TriplaneDecoder(4, out_features=5, hidden=8).requires_grad_(False)


@pytest.fixture
def planes() -> Tensor:
    return torch.randn(1, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1)) * 3


def frontal_rays(side: int, focal: float = 1.0, away: bool = False) -> tuple[Tensor, Tensor]:
    cam2world = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))[None]
    cam2world[0, 2, 3] = -2.7 if away else 2.7
    return pinhole_rays(cam2world, intrinsics_from_focal(torch.tensor([focal])), side, side)


class Fog:
    """The same density and colour everywhere."""

    def __init__(self, density: float, colour: float) -> None:
        self.density, self.colour = density, colour

    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor]:
        n, _, m, _ = features.shape
        return torch.full((n, m), self.density), torch.full((n, m, 3), self.colour)


def test_even_fog_by_hand(planes: Tensor) -> None:
    """Constant density: opacity is 1 - exp(-softplus(s - 1) * length), wherever samples lie."""
    rays = frontal_rays(3)
    result = render_rays(planes, Fog(2.0, 0.75), *rays, SETTINGS)
    rate = math.log1p(math.exp(1.0))
    delta = 1.0 / 7
    # First to last even sample; importance samples lie between them.
    opacity = 1 - math.exp(-rate * 7 * delta)
    assert result.weight_sum.flatten().tolist() == pytest.approx([opacity] * 9, abs=1e-6)
    assert result.features.flatten().tolist() == pytest.approx([opacity * 1.5 - 1] * 27, abs=1e-6)
    white = render_rays(planes, Fog(2.0, 0.75), *rays, replace(SETTINGS, white_back=True))
    expected = (opacity * 0.75 + 1 - opacity) * 2 - 1
    assert white.features.flatten().tolist() == pytest.approx([expected] * 27, abs=1e-6)
    studio = replace(SETTINGS, white_back=True, backdrop=0.4)
    grey = render_rays(planes, Fog(2.0, 0.75), *rays, studio)
    expected = (opacity * 0.75 + 0.4 * (1 - opacity)) * 2 - 1
    assert grey.features.flatten().tolist() == pytest.approx([expected] * 27, abs=1e-6)
    assert result.depth_range[0].tolist() == pytest.approx([2.2 + delta / 2, 3.2 + delta / 2])


def test_a_ray_through_nothing_has_the_far_depth(planes: Tensor) -> None:
    result = render_rays(planes, Fog(-1000.0, 0.5), *frontal_rays(2), SETTINGS)
    assert result.weight_sum.abs().max() == 0
    assert result.depth.flatten().tolist() == pytest.approx([3.2 + 0.5 / 7] * 4)


def test_a_backdrop_brighter_than_white_is_refused() -> None:
    with pytest.raises(UserError, match="backdrop's brightness"):
        replace(SETTINGS, backdrop=1.1)


@pytest.mark.parametrize("settings", [SETTINGS, AUTO, replace(SETTINGS, white_back=True)])
def test_chunks_do_not_change_a_pixel(
    settings: RenderSettings, planes: Tensor, decoder: TriplaneDecoder
) -> None:
    rays = frontal_rays(9)
    whole = render_rays(planes, decoder, *rays, settings)
    for samples in (1, 100, 16 * 9 + 3, 1 << 20):
        cut = render_rays_in_chunks(planes, decoder, *rays, settings, chunk_samples=samples)
        for one, other in zip(whole, cut, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_cancelling_stops_between_chunks(planes: Tensor, decoder: TriplaneDecoder) -> None:
    asked = 0

    def third_time() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    token = CancelToken(third_time)
    with pytest.raises(Cancelled):
        render_rays_in_chunks(planes, decoder, *frontal_rays(9), SETTINGS, token.check, 160)
    assert asked == 3


def test_automatic_limits_are_the_box_and_missing_rays_borrow_starts() -> None:
    origins, directions = frontal_rays(9)
    start, end = ray_limits(origins, directions, AUTO)
    hit = (origins + (2.7 - 0.5) / -directions[..., 2:] * directions)[..., :2].abs().amax(-1) < 0.5
    assert bool(hit.any()) and not bool(hit.all())
    # The rays that go through the front face enter at (2.7 - 0.5) / cos.
    torch.testing.assert_close(start[hit], (2.2 / -directions[..., 2])[hit])
    assert start[0, 0].item() == pytest.approx(start[hit].min().item())
    # A ray near the edge may enter through a side; all starts of hits are at least the least.
    assert end[0, 0].item() >= start[hit].max().item() - 1e-6


def test_no_ray_meets_the_box(planes: Tensor, decoder: TriplaneDecoder) -> None:
    """A camera that looks away gives an empty picture, not an error."""
    result = render_rays(planes, decoder, *frontal_rays(4, away=True), AUTO)
    assert result.weight_sum.abs().max() == 0
    assert torch.equal(result.features, torch.full_like(result.features, -1.0))
    assert result.depth.flatten().tolist() == pytest.approx([2.7] * 16)


def test_limits_of_each_picture_are_its_own(planes: Tensor, decoder: TriplaneDecoder) -> None:
    """A picture does not depend on the pictures that it is drawn together with."""
    near, far = frontal_rays(5), frontal_rays(5, focal=0.4)
    both = render_rays(
        planes.expand(2, -1, -1, -1, -1),
        decoder,
        torch.cat([near[0], far[0]]),
        torch.cat([near[1], far[1]]),
        AUTO,
    )
    for index, rays in enumerate((near, far)):
        alone = render_rays(planes, decoder, *rays, AUTO)
        torch.testing.assert_close(both.depth[index], alone.depth[0], rtol=0, atol=1e-6)
        torch.testing.assert_close(both.features[index], alone.features[0], rtol=0, atol=1e-6)


def test_training_gradients_reach_planes_and_decoder(planes: Tensor) -> None:
    torch.manual_seed(0)
    decoder = TriplaneDecoder(4, out_features=5, hidden=8)
    planes.requires_grad_()
    jitter = torch.Generator().manual_seed(5)
    guide = torch.full((1, 16), 2.7)
    guide[0, 0] = math.inf
    for depth_guide in (None, guide):
        result = render_rays(
            planes, decoder, *frontal_rays(4), SETTINGS, jitter, depth_guide=depth_guide
        )
        planes.grad = None
        (result.features.sum() + result.depth.sum() + result.weight_sum.sum()).backward()
        assert planes.grad is not None and bool(torch.isfinite(planes.grad).all())
        assert planes.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_jitter_is_seeded_and_absent_jitter_is_deterministic(
    planes: Tensor, decoder: TriplaneDecoder
) -> None:
    rays = frontal_rays(4)

    def drawn(seed: int | None) -> Tensor:
        jitter = None if seed is None else torch.Generator().manual_seed(seed)
        return render_rays(planes, decoder, *rays, SETTINGS, jitter).features

    assert torch.equal(drawn(None), drawn(None))
    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_settings_survive_json() -> None:
    settings = replace(AUTO, white_back=True, box_warp=1.6)
    assert RenderSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert settings.scaled(1.0) is settings
    doubled = settings.scaled(2.0)
    assert (doubled.depth_resolution, doubled.depth_resolution_importance) == (16, 16)
    assert settings.scaled(0.01).depth_resolution == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ray_start": "auto"}, "both"),
        ({"ray_start": 4.0}, "start"),
        ({"depth_resolution": 3}, "4 or more"),
        ({"box_warp": 0.0}, "box"),
        ({"clamp_mode": "relu"}, "softplus"),
        ({"ray_start": 0.0, "disparity_space_sampling": True}, "inverse depth"),
        ({"plane_axes": (((1.0, 0.0, 0.0),) * 3,) * 3}, "independent"),
        ({"plane_axes": (((1.0, 0.0, 0.0),) * 3,) * 2}, "3 x 3 x 3"),
    ],
)
def test_contradicting_settings_are_told(change: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(SETTINGS, **change)  # type: ignore[arg-type]
