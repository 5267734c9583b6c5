"""The super-resolution against a discriminator, on a toy network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.training.bundled.__main__ import main
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.run import read_history
from engine.training.bundled.sharpen import SharpenOptions, SharpenRun
from engine.training.heads.attributes import LATENT_SIZE
from tests.training.painted import small_config, write_balls

SMALL = SharpenOptions(heads=2, side=16, margin=8, warmup=1, critic_width=4)


@pytest.fixture
def heads(tmp_path: Path) -> HeadPool:
    pool = HeadPool(write_balls(tmp_path / "heads", 1), 1, torch.device("cpu"))
    pool.refresh()
    return pool


@pytest.fixture
def model() -> HeadGenerator:
    torch.manual_seed(0)
    model = HeadGenerator(small_config(), torch.zeros(2, 3))
    with torch.no_grad():  # so that the super-resolution adds something that is seen
        for block in (model.network.superresolution.block0, model.network.superresolution.block1):
            block.torgb.weight.mul_(10.0)
    return model


@pytest.mark.parametrize("corner", [(0, 0), (6, 10), (8, 8), (16, 2), (16, 16)])
def test_a_crop_is_that_part_of_the_whole_picture(
    model: HeadGenerator, heads: HeadPool, tmp_path: Path, corner: tuple[int, int]
) -> None:
    """At the borders of the picture and away from them, where the crop's own border is no border."""
    run = SharpenRun(model, heads, SMALL, tmp_path)
    one = np.array([0])
    with torch.no_grad():
        picture, raw = run.drawn(one, np.array([1]), np.array([corner]), 16)
        patch = heads.whole(one, 1)
        whole = model.whole(patch.z, patch.cam2world, 32)
    row, column = corner
    expected = whole.picture[..., row : row + 16, column : column + 16]
    assert picture.shape == (1, 3, 16, 16) and raw.shape == (1, 3, 8, 8)
    # Volumes are kept in half precision.
    torch.testing.assert_close(picture, expected, rtol=0, atol=4e-3)
    small = whole.raw[..., row // 2 : row // 2 + 8, column // 2 : column // 2 + 8]
    torch.testing.assert_close(raw, small, rtol=0, atol=1e-3)


def test_only_the_super_resolution_learns_and_each_volume_is_drawn_once(
    model: HeadGenerator, heads: HeadPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    asked: list[int] = []
    drawn = model.volumes
    monkeypatch.setattr(model, "volumes", lambda *what: asked.append(1) or drawn(*what))
    run = SharpenRun(model, heads, SMALL, tmp_path)
    for _ in range(9):
        run.train_step(0.5)
    changed = {n for n, v in model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed and {name.split(".")[1] for name in changed} == {"superresolution"}
    assert len(asked) == 1
    assert {"picture", "edges", "adversarial", "critic", "confidence"} <= set(run.meter.sums)
    run.save()
    torch.manual_seed(3)
    other = SharpenRun(
        HeadGenerator(model.network.config, torch.zeros(2, 3)), heads, SMALL, tmp_path
    )
    assert other.resume() and other.step == 9
    for name in ("average", "discriminator"):
        for ours, theirs in zip(
            getattr(other, name).parameters(), getattr(run, name).parameters(), strict=True
        ):
            assert torch.equal(ours, theirs)


def test_the_outermost_pixel_of_the_picture_counts_eight_times(
    model: HeadGenerator, heads: HeadPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crop in the first corner that is right but for its first row: 16 of its pixels, and 31 lie outermost."""
    run = SharpenRun(model, heads, SMALL, tmp_path)
    monkeypatch.setattr(heads, "corners", lambda count, *_: np.zeros((count, 2), np.int64))
    drawn = run.drawn

    def wrong_at_the_top(
        head: np.ndarray, view: np.ndarray, corner: np.ndarray, side: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        picture, raw = drawn(head, view, corner, side)
        truth = heads.crop(head, view, corner, side).rgb.clone()
        truth[..., 0, :] += 1.0
        return picture - picture.detach() + truth, raw

    monkeypatch.setattr(run, "drawn", wrong_at_the_top)
    run.train_step(0.5)
    assert run.meter.take()["picture"] == pytest.approx(8 * 16 / (8 * 31 + 225), rel=1e-5)


def test_the_discriminator_learns_to_tell_soft_from_sharp(
    model: HeadGenerator, heads: HeadPool, tmp_path: Path
) -> None:
    run = SharpenRun(model, heads, replace(SMALL, learning_rate=0.0), tmp_path)
    found = []
    for _ in range(60):
        run.train_step(0.0)
        found.append(run.meter.take())
    assert np.mean([f["critic"] for f in found[-5:]]) < 0.5 < found[0]["critic"]
    assert np.mean([f["confidence"] for f in found[-5:]]) > 0.7


def test_the_command_sharpens_a_run_and_its_story_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[SharpenRun] = []

    def run(self: SharpenRun) -> None:
        seen.append(self)
        self.save()

    monkeypatch.setattr(SharpenRun, "run", run)
    where = ["--heads", str(write_balls(tmp_path / "heads", 2, 256, LATENT_SIZE))]
    first, second = tmp_path / "first", tmp_path / "second"
    told = ["--adversarial", "0.5", "--squares", "0.25"]
    assert main(["sharpen", *where, "--out", str(first), *told]) == 0
    assert main(["sharpen", *where, "--start", str(first), "--out", str(second)]) == 0
    assert [run.options.adversarial for run in seen] == [0.5, SharpenOptions.adversarial]
    assert [run.options.squares for run in seen] == [0.25, 0.0]
    assert [stage["stage"] for stage in read_history(second)] == ["sharpen", "sharpen"]
    only = {group["params"][0].shape for group in seen[0].optimizer.param_groups}
    learns = {p.shape for p in seen[0].model.network.superresolution.parameters()}
    assert only <= learns
