"""The pool of rendered heads and the losses, by hand-computed values."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.camera import OrbitPose
from engine.errors import UserError
from engine.training.bundled import losses
from engine.training.bundled.discriminator import DETAIL, PatchDiscriminator, told
from engine.training.bundled.pool import PLACES, HeadPool, fine_places, outline_places


def write_shard(path: Path, heads: int, first: int, size: int = 16) -> None:
    """Heads whose pixels tell which head, view, row and column they are."""
    views = 3
    head = np.arange(first, first + heads, dtype=np.uint8)[:, None, None, None]
    view = np.arange(views, dtype=np.uint8)[None, :, None, None]
    rows = np.arange(size, dtype=np.uint8)[None, None, :, None]
    columns = np.arange(size, dtype=np.uint8)[None, None, None, :]
    shape = (heads, views, size, size)
    rgba = np.stack(
        [np.broadcast_to(a, shape) for a in (head, rows, columns, np.full(shape, 255, np.uint8))],
        -1,
    )
    np.savez(
        path,
        z=np.tile(head.reshape(-1, 1).astype(np.float32), (1, 5)),
        a=np.tile(head.reshape(-1, 1).astype(np.float32), (1, 2)),
        cam2world=np.tile(view.reshape(1, -1, 1, 1).astype(np.float32), (heads, 1, 4, 4)),
        rgba=rgba,
        depth=np.broadcast_to(view, shape).astype(np.float16),
        seg=np.broadcast_to(view, shape),
    )


@pytest.fixture
def pool(tmp_path: Path) -> HeadPool:
    write_shard(tmp_path / "a.npz", 3, 0)
    write_shard(tmp_path / "b.npz", 4, 3)
    pool = HeadPool(tmp_path, 6, torch.device("cpu"))
    assert pool.refresh() == 6
    return pool


def test_crops_hold_the_pixels_that_they_say(pool):
    patch = pool.sample(heads=5, views=2, side=8, random=np.random.default_rng(0))
    byte = ((patch.rgb + 1) / 2 * 255).round()
    for i in range(10):
        row, column = patch.corner[i].tolist()
        assert byte[i, 0].unique().tolist() == [patch.z[i, 0]]
        assert byte[i, 1, :, 0].tolist() == list(range(row, row + 8))
        assert byte[i, 2, 0].tolist() == list(range(column, column + 8))
        view = patch.cam2world[i, 0, 0]
        assert patch.depth[i].unique().tolist() == [view]
        assert patch.segmentation[i].unique().tolist() == [int(view)]
        assert row % 2 == 0 and column % 2 == 0
    assert torch.equal(patch.z[0::2], patch.z[1::2])
    assert not torch.equal(patch.cam2world[0::2], patch.cam2world[1::2])


def test_crops_reach_the_borders_of_the_picture_often_enough_to_learn_them(pool):
    corner = pool.corners(4000, 8, np.random.default_rng(0))
    assert corner.min() == 0 and corner.max() == 8 and not (corner % 2).any()
    # The last place is met by what lies beyond it only, the first by all that is rounded down.
    assert 0.11 < (corner == 8).mean() < 0.15
    assert 0.22 < (corner == 0).mean() < 0.3


def test_rays_hold_the_pixels_that_they_look_at(tmp_path):
    """Of one head seen by three cameras; the colours say row and column (``write_shard``)."""
    write_shard(tmp_path / "a.npz", 1, 7, size=16)
    with np.load(tmp_path / "a.npz") as data:
        arrays = dict(data)
    turns = [OrbitPose(yaw=yaw, pitch=5).camera() for yaw in (0, 120, 240)]
    arrays["cam2world"] = np.stack([turn.cam2world for turn in turns])[None].astype(np.float32)
    np.savez(tmp_path / "a.npz", **arrays)
    pool = HeadPool(tmp_path, 1, torch.device("cpu"))
    pool.refresh()
    focal = turns[0].focal
    batch = pool.rays(2, 50, focal, np.random.default_rng(0))
    assert batch.z.shape == (2, 5) and batch.z.unique().tolist() == [7.0]
    for i, ray in np.ndindex(2, 50):
        view = int(batch.segmentation[i, ray])
        assert batch.depth[i, ray] == view and batch.alpha[i, ray] == 1
        row, column = (batch.rgb[i, ray, 1:] * 255).round().tolist()
        to_camera = turns[view].world_to_camera()[:3, :3]
        x, y, z = to_camera @ batch.rays_d[i, ray].numpy()
        assert (x / z * focal + 0.5) * 16 - 0.5 == pytest.approx(column, abs=1e-3)
        assert (y / z * focal + 0.5) * 16 - 0.5 == pytest.approx(row, abs=1e-3)
        np.testing.assert_allclose(batch.rays_o[i, ray], turns[view].cam2world[:3, 3], atol=1e-6)
    assert len(batch.segmentation.unique()) == 3


@pytest.mark.parametrize("backdrop", [1.0, 0.25])
def test_transparent_pixels_show_the_backdrop(tmp_path, backdrop):
    write_shard(tmp_path / "a.npz", 1, 0)
    with np.load(tmp_path / "a.npz") as data:
        arrays = dict(data)
    arrays["rgba"] = np.zeros_like(arrays["rgba"])
    np.savez(tmp_path / "a.npz", **arrays)
    pool = HeadPool(tmp_path, 1, torch.device("cpu"), backdrop=backdrop)
    pool.refresh()
    assert pool.whole(np.array([0]), 1).rgb.unique().tolist() == [2 * backdrop - 1]
    batch = pool.rays(1, 9, 3.0, np.random.default_rng(0))
    assert batch.rgb.unique().tolist() == [backdrop]


def test_fine_places_lie_within_two_pixels_of_the_labels():
    seg = torch.zeros(1, 2, 20, 20, dtype=torch.uint8)
    seg[0, 0, 5, 6], seg[0, 0, 15, 12], seg[0, 0, 9, 9] = 3, 7, 1
    places = fine_places(seg, (3, 7))
    assert places.shape == (1, 2, PLACES, 2)
    assert (places[0, 1] == -1).all()
    near = {
        (row + i, column + j)
        for row, column in ((5, 6), (15, 12))
        for i in range(-2, 3)
        for j in range(-2, 3)
    }
    assert {tuple(place) for place in places[0, 0].tolist()} == near


def test_outline_places_lie_on_both_sides_of_the_heads_edge():
    alpha = torch.zeros(1, 2, 12, 12, dtype=torch.uint8)
    alpha[0, 0, 3:8, 4:9] = 200
    alpha[0, 0, 2, 4] = 100  # covered by less than a half
    places = {tuple(place) for place in outline_places(alpha)[0, 0].tolist()}
    inside = {(row, column) for row in range(3, 8) for column in range(4, 9)}
    around = {(row, column) for row in range(2, 9) for column in range(3, 10)}
    kernel = {(row, column) for row in range(4, 7) for column in range(5, 8)}
    assert kernel < inside < around and places == around - kernel
    assert (outline_places(alpha)[0, 1] == -1).all()


def test_shares_of_the_rays_fall_on_fine_places_and_along_outlines(tmp_path):
    write_shard(tmp_path / "a.npz", 1, 0)
    with np.load(tmp_path / "a.npz") as data:
        arrays = dict(data)
    side = arrays["seg"].shape[-1]
    arrays["seg"] = np.zeros_like(arrays["seg"])
    arrays["seg"][0, :, 1, 1] = 9
    arrays["rgba"][..., 3] = 255
    arrays["rgba"][..., side // 2 :, 3] = 0
    np.savez(tmp_path / "a.npz", **arrays)
    pool = HeadPool(tmp_path, 1, torch.device("cpu"), fine_labels=(9,))
    pool.refresh()
    batch = pool.rays(1, 400, 3.0, np.random.default_rng(0), fine_share=0.25, outline_share=0.5)
    assert batch.alpha[0, 100:300].mean() == pytest.approx(0.5, abs=0.1)
    assert (batch.alpha[0, :100] == 1).all() and (batch.segmentation[0, :100] == 9).any()
    assert not (batch.segmentation[0, 100:300] == 9).any()


@pytest.mark.parametrize(("share", "outer"), [(0.0, 0.75), (1.0, 0.3)])
def test_rays_lean_towards_the_middle_as_told(pool, share, outer):
    """Half of a side around the middle is a quarter of the picture."""
    batch = pool.rays(2, 4000, 3.0, np.random.default_rng(0), middle_share=share)
    row, column = ((batch.rgb[..., i] * 255).round() for i in (1, 2))
    far = ((row - 7.5).abs() > 4) | ((column - 7.5).abs() > 4)
    assert far.float().mean().item() == pytest.approx(outer, abs=0.04)


def test_a_share_of_the_rays_falls_on_the_fine_places(tmp_path):
    write_shard(tmp_path / "a.npz", 1, 0)
    with np.load(tmp_path / "a.npz") as data:
        arrays = dict(data)
    arrays["seg"] = np.zeros_like(arrays["seg"])
    arrays["seg"][0, :2, 4, 4] = 9  # the third view shows nothing fine
    np.savez(tmp_path / "a.npz", **arrays)
    pool = HeadPool(tmp_path, 1, torch.device("cpu"), fine_labels=(9,))
    pool.refresh()
    batch = pool.rays(1, 400, 3.0, np.random.default_rng(0), fine_share=0.5)
    row, column = ((batch.rgb[0, :, i] * 255).round() for i in (1, 2))
    near = ((row - 4).abs() <= 2) & ((column - 4).abs() <= 2)
    seen = batch.depth[0] < 2  # the depth tells the view
    assert near[:200][seen[:200]].all()
    assert 0.05 < near[:200][~seen[:200]].float().mean() < 0.6
    assert near[200:].float().mean() < 0.6


def test_new_shards_join_and_capacity_holds(tmp_path):
    pool = HeadPool(tmp_path, 4, torch.device("cpu"))
    assert pool.refresh() == 0
    write_shard(tmp_path / "a.npz", 3, 0)
    assert pool.refresh() == 3 and pool.refresh() == 0
    write_shard(tmp_path / "b.npz", 3, 3)
    assert pool.refresh() == 1 and pool.count == 4
    assert pool.attributes[:, 0].tolist() == [0, 1, 2, 3]


def test_a_thread_takes_up_shards_and_survives_a_bad_one(tmp_path, capsys):
    pool = HeadPool(tmp_path, 9, torch.device("cpu"))
    with pool.following(seconds=0.01):
        (tmp_path / "a.npz").write_bytes(b"not a shard")
        write_shard(tmp_path / "b.npz", 3, 3)
        deadline = time.monotonic() + 20
        while pool.count < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert pool.count == 3
    assert "could not be read" in capsys.readouterr().err


def test_shards_of_another_size_are_refused(tmp_path):
    write_shard(tmp_path / "a.npz", 1, 0, size=16)
    write_shard(tmp_path / "b.npz", 1, 1, size=8)
    with pytest.raises(UserError, match=r"b\.npz"):
        HeadPool(tmp_path, 4, torch.device("cpu")).refresh()


def test_waiting_for_heads_that_never_come_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="render some first"):
        HeadPool(tmp_path, 4, torch.device("cpu")).wait_for(1, seconds=0)


def test_shrunk_depth_keeps_solid_pixels_only():
    depth = torch.tensor([[1.0, 1.01, 2.0, 2.0], [1.0, 1.01, 2.0, 0.0]])[None, None]
    torch.testing.assert_close(losses.shrunk_depth(depth), torch.tensor([[[[1.005, 0.0]]]]))
    step = torch.tensor([[1.0, 1.5], [1.0, 1.5]])[None, None]
    assert losses.shrunk_depth(step).item() == 0.0


def test_weighted_l1_by_hand():
    predicted, truth = torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 0.0]])
    weight = torch.tensor([[3.0, 1.0]])
    assert losses.weighted_error(predicted, truth, weight).item() == pytest.approx((3 + 4) / 2 / 2)
    squared = losses.weighted_error(predicted, truth, weight, squares=0.5).item()
    each = (3 * 1 + 1 * 4**2, 3 + 4)
    assert squared == pytest.approx(0.5 * each[0] / 4 / losses.COLOUR_UNIT + 0.5 * each[1] / 4)


def test_gradient_l1_ignores_a_constant_and_sees_a_blurred_edge():
    edge = torch.zeros(1, 1, 8, 8)
    edge[..., 4:] = 1
    weight = torch.ones_like(edge)
    assert losses.gradient_l1(edge + 0.3, edge, weight).item() == pytest.approx(0.0, abs=1e-6)
    # A missing unit edge costs one of seven differences, then one of three at half size.
    flat = torch.zeros_like(edge)
    assert losses.gradient_l1(flat, edge, weight).item() == pytest.approx(1 / 7 + 1 / 3)


def test_a_crops_own_border_does_not_count_and_the_pictures_does_the_more():
    """Three crops of a picture of 10 pixels: one in its midst, one at its top, one in its last corner."""
    corners = torch.tensor([[2, 4], [0, 2], [6, 6]])
    drawn = losses.counted(corners, side=4, resolution=10, edge=1)
    assert drawn.shape == (3, 1, 4, 4)
    gain = losses.BORDER_GAIN
    expected = torch.zeros(3, 1, 4, 4)
    expected[0, 0, 1:3, 1:3] = 1.0
    expected[1, 0, 0, 1:3], expected[1, 0, 1:3, 1:3] = gain, 1.0
    expected[2, 0, 1:, 1:] = gain
    expected[2, 0, 1:3, 1:3] = 1.0
    assert torch.equal(drawn, expected)
    assert torch.equal(losses.counted(corners[:1], 4, 10), torch.ones(1, 1, 4, 4))


def test_region_weight_grows_two_pixels():
    segmentation = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    segmentation[0, 0, 4, 4] = 3
    weight = losses.region_weight(segmentation, (3,), 4.0)
    assert (weight == 4).sum() == 25 and (weight == 1).sum() == 81 - 25


def test_scores_by_hand():
    truth = torch.zeros(1, 3, 4, 4)
    assert losses.psnr(truth + 0.2, truth).item() == pytest.approx(20.0)
    a, b = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    a[..., 0, :], b[..., :, 0] = 1, 1
    assert losses.mask_iou(a, b).item() == pytest.approx(1 / 3)
    depth = torch.tensor([[1.0, 2.0], [3.0, 9.0]])[None, None]
    truth_depth = torch.tensor([[1.1, 2.3], [3.2, 0.0]])[None, None]
    error = losses.depth_error(depth, truth_depth, torch.ones(1, 1, 2, 2))
    assert error.item() == pytest.approx(0.2, abs=1e-6)
    empty = losses.depth_error(depth, truth_depth, torch.zeros(1, 1, 2, 2))
    assert empty.item() == 0.0


def test_gradient_energy_of_half_the_contrast_is_a_quarter():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    region = torch.ones(1, 1, 8, 8)
    assert losses.gradient_energy(image * 0.5, image, region).item() == pytest.approx(0.25)


def test_a_partly_squared_error_goes_from_median_to_mean():
    error = torch.tensor([0.1, -0.1, 0.1, 0.5])
    assert losses.partly_squared(error, 0.0, 0.2).item() == pytest.approx(0.2)
    assert losses.partly_squared(error, 1.0, 0.2).item() == pytest.approx(0.07 / 0.2)
    assert losses.partly_squared(error, 0.25, 0.2).item() == pytest.approx(0.15 + 0.0175 / 0.2)
    # A pixel that a quarter of the head covers, in four pictures: the best single answer.
    truth, answers = torch.tensor([0.0, 0.0, 0.0, 1.0]), torch.linspace(0, 1, 101)
    for share, best in ((0.0, 0.0), (1.0, 0.25)):
        asked = [losses.partly_squared(truth - a, share, 0.4).item() for a in answers]
        assert answers[int(np.argmin(asked))].item() == pytest.approx(best, abs=0.011)


def test_adversarial_losses_by_hand():
    assert losses.non_saturating(torch.zeros(4)).item() == pytest.approx(math.log(2))
    real = torch.ones(2, 1, 2, 2, requires_grad=True)
    logits = (real * 3).sum(dim=(1, 2, 3))
    # Each of the four pixels of a sample has gradient 3.
    assert losses.r1_penalty(logits, real).item() == pytest.approx(36.0)


def test_the_discriminator_sees_patches_of_both_pictures():
    picture, raw = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 32, 32)
    both = told(picture, raw)
    assert both.shape == (2, 9, 64, 64) and torch.equal(both[:, :3], picture)
    # What is flat has no details; what alternates is all details.
    assert told(torch.ones(1, 3, 16, 16), raw[:1, :, :8, :8])[:, 6:].abs().max() < 1e-6
    stripes = (torch.arange(16) % 2 * 2.0 - 1.0).expand(1, 3, 16, 16)
    assert torch.allclose(told(stripes, raw[:1, :, :8, :8])[:, 6:], DETAIL * stripes)
    critic = PatchDiscriminator(width=4)
    both.requires_grad_(True)
    logits = critic(both)
    assert logits.shape == (2, 8, 8)
    logits[0, 0, 0].backward()
    seen = both.grad.abs().sum((0, 1))
    # The corner's logit depends on the corner, not on the far side.
    assert seen[:16, :16].sum() > 0 and seen[56:, 56:].sum() == 0
