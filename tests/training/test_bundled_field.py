"""What the first stage asks of its rays, and how all stages measure the colours' error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.rendering.volume import RayResult
from engine.training.bundled.__main__ import main
from engine.training.bundled.cips3d import AUXILIARY, HeadCIPS3D
from engine.training.bundled.field import FieldOptions, FieldRun
from engine.training.bundled.losses import COLOUR_UNIT, COVERAGE_UNIT
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pictures import PictureOptions, PictureRun
from engine.training.bundled.pool import HeadPool, RayBatch
from engine.training.bundled.sharpen import SharpenOptions, SharpenRun
from engine.training.bundled.trained import TrainedModel
from engine.training.heads.attributes import LATENT_SIZE
from tests.training.painted import small_config, write_balls


@pytest.fixture
def batch(tmp_path: Path) -> RayBatch:
    nothing = torch.zeros(1, 2, 3)
    return RayBatch(
        z=torch.zeros(1, 4),
        attributes=torch.zeros(1, 3),
        rays_o=nothing,
        rays_d=nothing,
        rgb=torch.tensor([[[0.5, 0.5, 0.5], [0.5, 0.5, 1.0]]]),
        alpha=torch.tensor([[1.0, 0.5]]),
        depth=torch.zeros(1, 2),
        segmentation=torch.zeros(1, 2),
    )


def found(channels: int) -> RayResult:
    """Middle grey, and three quarters of the coverage, along both rays."""
    covered = torch.full((1, 2), 0.75)
    return RayResult(torch.zeros(1, 2, channels), torch.zeros(1, 2), covered, torch.ones(1, 2))


@pytest.mark.parametrize("squares", [0.0, 0.7, 1.0])
def test_colours_and_coverage_are_asked_for_by_absolute_and_squared_errors(
    squares: float, batch: RayBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = HeadGenerator(small_config(), torch.zeros(2, 3))
    pool = HeadPool(write_balls(tmp_path / "heads", 2), 2, torch.device("cpu"))
    run = FieldRun(model, pool, FieldOptions(squares=squares, mask=2.0), tmp_path)
    monkeypatch.setattr(model, "rays", lambda *_: (found(8), torch.zeros(1, 16)))
    parts = run.losses(batch)
    colour = (1 - squares) / 6 + squares / 6 / COLOUR_UNIT
    mask = (1 - squares) * 0.25 + squares * 0.25**2 / COVERAGE_UNIT
    assert parts["colour"].item() == pytest.approx(colour)
    assert parts["mask"].item() == pytest.approx(2.0 * mask)


def test_both_pictures_of_a_cips3d_are_asked_for_alike(batch: RayBatch) -> None:
    for squares in (0.0, 0.6):
        plain = TrainedModel.colour_error(None, found(6), batch.rgb, squares)  # type: ignore[arg-type]
        model = HeadCIPS3D.__new__(HeadCIPS3D)
        both = HeadCIPS3D.colour_error(model, found(6), batch.rgb, squares)
        assert both.item() == pytest.approx((1 + AUXILIARY) * plain.item())


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_rays_are_drawn_along_outlines_as_told(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = HeadPool(write_balls(tmp_path / "heads", 4), 4, torch.device("cpu"), backdrop=1.0)
    pool.refresh()
    options = FieldOptions(heads=4, rays=200, fine_share=0.0, outline_share=share)
    run = FieldRun(HeadGenerator(small_config(), torch.zeros(2, 3)), pool, options, tmp_path)
    seen: list[RayBatch] = []
    losses = run.losses
    monkeypatch.setattr(run, "losses", lambda batch, guided: seen.append(batch) or losses(batch))
    run.train_step(0.0)
    # A ray along the outline passes the ball by hardly more or less than its radius.
    o, d = seen[0].rays_o, seen[0].rays_d
    passed = (o - (o * d).sum(-1, keepdim=True) * d).norm(dim=-1)
    beside = ((passed - 0.3).abs() < 0.05)[:, : round(share * 200) or 100].float().mean().item()
    assert beside > 0.95 if share else beside < 0.6


def detached(parts: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in parts.items()}


@pytest.mark.parametrize("stage", ["pictures", "sharpen"])
def test_pictures_are_asked_for_by_the_same_errors(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = HeadPool(write_balls(tmp_path / "heads", 2), 2, torch.device("cpu"), backdrop=1.0)
    pool.refresh()
    asked: list[dict[str, float]] = []
    for squares in (0.0, 1.0, 0.25):
        torch.manual_seed(0)
        model = HeadGenerator(small_config(), torch.zeros(2, 3))
        run: PictureRun | SharpenRun
        if stage == "pictures":
            run = PictureRun(
                model, pool, PictureOptions(heads=2, side=16, squares=squares), tmp_path
            )
        else:
            run = SharpenRun(
                model, pool, SharpenOptions(heads=2, side=16, squares=squares), tmp_path
            )
        monkeypatch.setattr(run, "descend", lambda parts, _: asked.append(detached(parts)))
        run.train_step(1.0)
    plain, squared, mixed = asked
    for name in {"picture", "raw"} & plain.keys():
        assert abs(plain[name] - squared[name]) > 0.01
        expected = 0.75 * plain[name] + 0.25 * squared[name]
        assert mixed[name] == pytest.approx(expected, rel=1e-4)
    assert plain["edges"] == pytest.approx(squared["edges"], rel=1e-4)


def test_the_command_draws_pictures_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[PictureOptions] = []
    monkeypatch.setattr(PictureRun, "run", lambda self: seen.append(self.options))
    where = ["--heads", str(write_balls(tmp_path / "heads", 2, 256, LATENT_SIZE))]
    told = ["--guided-until", "0", "--squares", "0.25"]
    assert main(["pictures", *where, "--out", str(tmp_path / "told"), *told]) == 0
    assert main(["pictures", *where, "--out", str(tmp_path / "plain")]) == 0
    plain = PictureOptions()
    assert [o.guided_until for o in seen] == [0.0, plain.guided_until]
    assert [o.squares for o in seen] == [0.25, plain.squares]
