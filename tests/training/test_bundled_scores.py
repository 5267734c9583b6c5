"""The report's measures against literal computations and cases whose answer is known."""

from __future__ import annotations

import hashlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from engine.errors import UserError
from engine.frame import Frame
from engine.training.bundled import kid, scores
from engine.training.bundled.consistency import (
    View,
    agreement,
    carried,
    drawn_view,
    measure_consistency,
    true_view,
)
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.scores import Stat, at_side, check_fit, measure, ssim
from engine.training.heads.world import UNIT_DM
from tests.training.painted import FOCAL, ball_view, camera, small_config, write_balls


@pytest.fixture
def pool(tmp_path):
    found = HeadPool(write_balls(tmp_path / "held", 8), 8, torch.device("cpu"))
    found.refresh()
    return found


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return HeadGenerator(small_config(), torch.randn(10, 3)).generator()


# ------------------------------------------------------------------ kernel distance


def test_the_kernel_distance_is_its_definition():
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(5, 3, generator=random), torch.randn(4, 3, generator=random) + 1

    def kernel(a, b):
        return (float(a @ b) / 3 + 1) ** 3

    within_x = sum(kernel(x[i], x[j]) for i in range(5) for j in range(5) if i != j) / (5 * 4)
    within_y = sum(kernel(y[i], y[j]) for i in range(4) for j in range(4) if i != j) / (4 * 3)
    across = sum(kernel(a, b) for a in x for b in y) / (5 * 4)
    assert kid.squared_mmd(x, y) == pytest.approx(within_x + within_y - 2 * across, rel=1e-5)


def test_the_kernel_distance_of_equal_distributions_is_zero_on_average():
    random = torch.Generator().manual_seed(1)
    draws = [torch.randn(2, 12, 6, generator=random) for _ in range(600)]
    values = np.array([kid.squared_mmd(x, y) for x, y in draws])
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean()) < 3 * error
    assert (values < 0).any()
    # The same with each picture compared with itself as well is far from zero.
    biased = [
        ((x @ x.T / 6 + 1) ** 3).mean() + ((y @ y.T / 6 + 1) ** 3).mean()
        - 2 * ((x @ y.T / 6 + 1) ** 3).mean()
        for x, y in draws
    ]  # fmt: skip
    assert np.mean(biased) > 10 * error


def test_subsets_have_the_mean_of_the_whole_and_shifts_are_seen():
    random = torch.Generator().manual_seed(2)
    x, y = torch.randn(60, 4, generator=random), torch.randn(80, 4, generator=random)
    near, far = kid.kernel_distance(x, y), kid.kernel_distance(x, y + 0.7)
    assert (near.size, near.subsets) == (30, kid.SUBSETS)
    assert near.mean == pytest.approx(kid.squared_mmd(x, y), abs=3 * near.spread / 10)
    assert far.mean > 10 * abs(near.mean)
    assert kid.kernel_distance(x, y) == near
    with pytest.raises(ValueError, match="four pictures"):
        kid.kernel_distance(x[:3], y)


def test_samples_for_the_kernel_distance_are_seen_as_the_heads_are(generator, pool):
    seen = []

    def features(pictures):
        assert pictures.shape == (1, 3, 32, 32)
        assert pictures.min() >= 0 and pictures.max() <= 1
        seen.append(pictures)
        return pictures.mean((2, 3))

    network = kid.FeatureNetwork("means", "0" * 64, features)
    found, floor = kid.measure_kid(generator, pool, network, 8)
    assert (found.size, floor.size) == (4, 2)
    torch.testing.assert_close(seen[2], (pool.whole(np.array([2]), 0).rgb + 1) / 2)
    assert len(seen) == 16 and not torch.equal(seen[8], seen[9])


def test_without_a_bundled_text_encoder_there_is_no_feature_network(tmp_path, monkeypatch):
    monkeypatch.setattr(kid, "data_dir", lambda name: tmp_path)
    assert kid.bundled_features(torch.device("cpu")) is None


def test_the_bundled_text_encoders_image_tower_is_the_feature_network(tmp_path, monkeypatch):
    folder = tmp_path / "text_encoder"
    folder.mkdir()
    (folder / "weights").write_bytes(b"weights")
    encoder, spec = ModuleType("encoder"), ModuleType("spec")
    unit = torch.nn.functional.normalize(torch.arange(1.0, 10.0)[None], dim=1)

    class Tower:
        def encode_image(self, pictures):
            assert pictures.shape == (2, 3, 8, 8)
            return unit.expand(2, -1)

    vars(encoder)["load"] = lambda source, device: Tower()
    vars(spec)["find_spec"] = lambda source: SimpleNamespace(weights=folder / "weights")
    monkeypatch.setattr(kid, "data_dir", lambda name: tmp_path)
    monkeypatch.setitem(sys.modules, "engine.text.encoder", encoder)
    monkeypatch.setitem(sys.modules, "engine.text.spec", spec)
    network = kid.bundled_features(torch.device("cpu"))
    assert network.sha256 == hashlib.sha256(b"weights").hexdigest()
    # Stretched, so that x . y / d is the cosine.
    torch.testing.assert_close(network.features(torch.zeros(2, 3, 8, 8)), unit.expand(2, -1) * 3)


# ------------------------------------------------------------------ pictures


def test_ssim_is_its_authors_formula():
    """Windows of 11 pixels that lie inside, C1 and C2 of Wang et al."""
    random = torch.Generator().manual_seed(0)
    truth = torch.rand(3, 24, 20, generator=random) * 2 - 1
    other = (truth + torch.randn(3, 24, 20, generator=random) * 0.3).clamp(-1, 1)
    line = torch.exp(-(torch.arange(-5, 6).double() ** 2) / (2 * 1.5**2))
    window = (line / line.sum())[:, None] * (line / line.sum())
    a, b = (((x.double() + 1) / 2)[:, None] for x in (other, truth))

    def blurred(x):
        return torch.nn.functional.conv2d(x, window[None, None])

    ma, mb = blurred(a), blurred(b)
    va, vb, vab = blurred(a * a) - ma**2, blurred(b * b) - mb**2, blurred(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    map_ = (2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    assert ssim(other, truth) == pytest.approx(map_.mean().item(), abs=1e-6)
    assert ssim(truth, truth) == pytest.approx(1.0)


def test_pictures_are_brought_to_a_side_by_means_or_enlarged():
    picture = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(at_side(picture, 4), torch.nn.functional.avg_pool2d(picture, 2))
    assert at_side(picture, 8) is picture
    assert at_side(torch.full((1, 3, 4, 4), 0.3), 8).unique().tolist() == [pytest.approx(0.3)]


def test_statistics_leave_out_what_is_no_number():
    stat = Stat.of([*range(101), float("nan")])
    assert (stat.mean, stat.low, stat.high, stat.count) == (50, 5, 95, 101)
    assert Stat.of([1.0, 3.0], mean=9.0).mean == 9.0
    assert Stat.of([float("nan")]).count == 0


class Truthful:
    """Draws a pool's own heads, by their z, at 16 and 32 pixels."""

    def __init__(self, generator, pool, depth_shift=0.0, contrast=1.0):
        self.capabilities, self._pool = generator.capabilities, pool
        self.depth_shift, self.contrast = depth_shift, contrast

    def map(self, z):
        return z

    def render(self, z, camera):
        rows = [self._pool.whole(np.array([head]), 0) for head in range(self._pool.count)]
        patch = next(row for row in rows if torch.equal(row.z[0], z))
        np.testing.assert_allclose(camera.cam2world, patch.cam2world[0].numpy(), atol=1e-6)
        rgb = (patch.rgb[0].permute(1, 2, 0) + 1) / 2
        rgb = 0.5 + (rgb - 0.5) * self.contrast
        raw = at_side(rgb.permute(2, 0, 1)[None], 16)[0].permute(1, 2, 0)
        alpha = at_side(patch.alpha, 16)[0, 0]
        depth = patch.depth[0, 0, ::2, ::2] + self.depth_shift
        return Frame(rgb, raw, depth, alpha)


def test_the_truth_itself_scores_best(generator, pool):
    found = measure(Truthful(generator, pool), pool, 6)
    stats = found.stats
    assert stats["psnr"].mean == pytest.approx(100.0)
    assert stats["psnr_half"].mean == pytest.approx(100.0) and stats["psnr"].count == 6
    assert stats["ssim"].mean == pytest.approx(1.0) and stats["iou"].mean == 1.0
    assert stats["depth"].mean < 0.02
    for name in ("sharpness", "sharpness_half", "sharpness_eyes", "sharpness_mouth"):
        assert stats[name].mean == pytest.approx(1.0)
    assert found.seconds > 0


def test_a_shifted_depth_and_half_the_contrast_are_told_in_their_units(generator, pool):
    stats = measure(Truthful(generator, pool, 2.15 / UNIT_DM, 0.5), pool, 6).stats
    assert stats["depth"].mean == pytest.approx(1.0, abs=0.02)
    assert stats["sharpness"].mean == pytest.approx(0.25, rel=1e-4)
    assert stats["sharpness_mouth"].mean == pytest.approx(0.25, rel=1e-4)


def test_sharpness_is_of_all_heads_together_and_regions_are_apart(generator, pool, monkeypatch):
    truthful = Truthful(generator, pool)
    plain = truthful.render

    def smooth_mouths(z, camera):
        frame = plain(z, camera)
        frame.rgb[18:26] = 0.5
        return frame

    monkeypatch.setattr(truthful, "render", smooth_mouths)
    stats = measure(truthful, pool, 6).stats
    assert stats["sharpness_eyes"].mean == pytest.approx(1.0)
    assert stats["sharpness_mouth"].mean == pytest.approx(0.0, abs=1e-6)
    assert 0.1 < stats["sharpness"].mean < 0.9


def test_heads_that_do_not_fit_are_refused(generator, tmp_path):
    wide = HeadPool(write_balls(tmp_path / "wide", 1, z_dim=7), 1, torch.device("cpu"))
    wide.refresh()
    with pytest.raises(UserError, match="7 numbers, the model takes 4"):
        check_fit(generator, wide)
    odd = HeadPool(write_balls(tmp_path / "odd", 1, side=40), 1, torch.device("cpu"))
    odd.refresh()
    with pytest.raises(UserError, match="no multiple"):
        measure(generator, odd, 1)


# ------------------------------------------------------------------ view consistency


def test_a_ball_that_is_drawn_truly_keeps_its_colours():
    error, share = agreement(ball_view(camera(-15), 96), ball_view(camera(15), 96), FOCAL)
    assert error < 0.004 and share > 0.7


def test_a_ball_whose_depth_is_a_plate_does_not():
    """The plate is the same from both sides, so that depths agree, but it is not the ball."""
    views = []
    for yaw in (-15, 15):
        view = ball_view(camera(yaw), 96)
        # Along the ray to the plane through the world's origin that faces the person's front.
        origin = view.cam2world[:3, 3]
        steps = (torch.arange(96) + 0.5) / 96 - 0.5
        local = torch.stack(
            [
                (steps / FOCAL).expand(96, 96),
                (steps / FOCAL)[:, None].expand(96, 96),
                torch.ones(96, 96),
            ],
            -1,
        )
        towards = torch.nn.functional.normalize(local @ view.cam2world[:3, :3].T, dim=-1)
        plate = -origin[2] / towards[..., 2]
        views.append(view._replace(depth=torch.where(view.depth > 0, plate, 0.0)))
    error, share = agreement(*views, FOCAL)
    assert error > 0.05 and share > 0.5


def test_what_is_hidden_in_the_other_view_is_not_compared():
    """Painted black where the other camera cannot see it, which must not count."""
    first, second = ball_view(camera(-30), 96), ball_view(camera(30), 96)
    error, share = agreement(first, second, FOCAL)
    assert error < 0.004 and 0.3 < share < 0.8
    total, compared, solid = carried(first, second, FOCAL)
    assert compared < solid and total / compared == pytest.approx(error, abs=2e-3)
    away = agreement(ball_view(camera(0), 48), ball_view(camera(180), 48), FOCAL)
    assert np.isnan(away[0]) and away[1] == 0.0


def test_a_picture_painted_on_the_view_is_inconsistent():
    first, second = ball_view(camera(-15), 96), ball_view(camera(15), 96)
    stuck = [View(first.rgb, v.depth, v.cam2world) for v in (first, second)]
    assert agreement(*stuck, FOCAL)[0] > 0.05


def test_a_drawn_views_depth_is_enlarged_inside_surfaces_only():
    small, large = ball_view(camera(10), 64), ball_view(camera(10), 128)
    far = torch.where(small.depth > 0, small.depth, 3.2)
    frame = Frame(large.rgb.permute(1, 2, 0), None, far, (small.depth > 0).float())
    view = drawn_view(frame, camera(10), 128)
    known = view.depth > 0
    assert known.float().mean() > 0.5 * (large.depth > 0).float().mean()
    assert (view.depth - large.depth)[known].abs().max() < 0.01


def test_consistency_of_a_model_and_of_the_truth_from_the_same_cameras(generator, pool):
    found = measure_consistency(generator, pool, 4)
    assert set(found) == {"turned", "truth", "same_views"}
    assert found["truth"].error.count == 4
    assert found["truth"].error.mean < 0.03 and found["truth"].share.mean > 0.3
    view = true_view(pool, 1, 1, 16)
    assert view.rgb.shape == (3, 16, 16) and view.depth.shape == (16, 16)


def test_the_regions_are_the_fine_labels():
    assert set(scores.EYE_LABELS) | set(scores.MOUTH_LABELS) == set(scores.FINE_LABELS)
