"""Steps whose every direction is as long as every other, and Adam's beside them."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.errors import UserError
from engine.training.bundled import muon
from engine.training.bundled.field import FieldOptions, FieldRun
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.muon import ADAM_LIKE, Muon, is_matrix, orthogonal
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.run import FACTS, OPTIMISERS
from engine.training.bundled.subject import MODELS
from tests.training.painted import small_config, write_balls


def steep(rows: int, columns: int, condition: float = 300.0) -> Tensor:
    """A matrix whose singular values fall from 1 to 1 / condition."""
    rank = min(rows, columns)
    left, right = torch.linalg.qr(torch.randn(rows, rank))[0], torch.randn(columns, rank)
    values = torch.logspace(0.0, -torch.log10(torch.tensor(condition)).item(), rank)
    return left * values @ torch.linalg.qr(right)[0].T


@pytest.mark.parametrize("shape", [(24, 200), (200, 24), (40, 40)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_singular_values_become_about_one_and_their_vectors_stay(
    shape: tuple[int, int], size: float
) -> None:
    torch.manual_seed(0)
    matrix = steep(*shape) * size
    found = orthogonal(matrix)
    values = torch.linalg.svdvals(found)
    assert float(values.min()) > 0.65 and float(values.max()) < 1.25
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    between = left.T @ found @ right.T
    assert float((between - between.diag().diag()).abs().max()) < 2e-3


@pytest.mark.parametrize("shape", [(24, 24), (24, 200)])
def test_squares_of_the_shorter_side_do_the_same(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = (steep(*shape) / 2.0).double()
    apart = muon._by_squares(matrix) - muon._by_products(matrix)
    assert float(apart.abs().max()) < 1e-10


def test_nothing_stays_nothing() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 5)), torch.zeros(3, 5))
    assert float(orthogonal(torch.randn(20, 30) * 1e-24).abs().max()) < 1e-3


def test_a_weight_that_nothing_asks_for_any_more_comes_to_rest() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(20, 30))
    optimiser = Muon([{"params": [weight], "lr": 0.01}])
    for step in range(600):
        weight.grad = torch.randn_like(weight) if step == 0 else torch.zeros_like(weight)
        before = weight.detach().clone()
        optimiser.step()
    assert bool(weight.isfinite().all()) and float((weight.detach() - before).abs().max()) < 1e-6


def test_products_have_all_their_bits_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32, which training turns on, would make small singular values large."""
    products, seen = torch.backends.cuda.matmul, []
    monkeypatch.setattr(muon, "orthogonal", lambda x: seen.append(products.allow_tf32) or x)
    weight = nn.Parameter(torch.zeros(20, 30))
    weight.grad = torch.randn_like(weight)
    optimiser = Muon([{"params": [weight], "lr": 0.01}])
    before = products.allow_tf32
    try:
        for wanted in (True, False):
            products.allow_tf32 = wanted
            optimiser.step()
            assert products.allow_tf32 is wanted
    finally:
        products.allow_tf32 = before
    assert seen == [False, False]


@pytest.mark.parametrize("shape", [(32, 16, 3, 3), (64, 20)])
def test_a_step_is_as_large_as_adams(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape) * 1e-4
    optimiser = Muon([{"params": [weight], "lr": 0.01}])
    optimiser.step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(
        0.01 * ADAM_LIKE, rel=0.25
    )


def test_what_is_no_matrix_goes_by_adam() -> None:
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape)) for shape in ((7,), (3, 64), (64, 1, 3, 3))]
    theirs = [nn.Parameter(x.detach().clone()) for x in ours]
    assert not any(map(is_matrix, ours)) and is_matrix(torch.zeros(16, 2, 3, 3))
    settings = {"lr": 0.01, "betas": (0.9, 0.98), "eps": 1e-9}
    mine = Muon([{"params": ours, "lr": 0.01}])
    adam = torch.optim.Adam(theirs, **settings)
    for _ in range(5):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        mine.step()
        adam.step()
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_directions_that_adam_neglects_are_learnt() -> None:
    """A layer whose inputs are nearly all the same: what tells them apart is small."""
    torch.manual_seed(0)
    inputs, truth = torch.randn(256, 32) @ steep(32, 32, 1000.0), torch.randn(32, 32)
    left = {}
    for name, kind in (("muon", Muon), ("adam", torch.optim.Adam)):
        weight = nn.Parameter(torch.zeros(32, 32))
        optimiser = kind([{"params": [weight]}], betas=(0.9, 0.98), eps=1e-9)
        for step in range(300):
            optimiser.param_groups[0]["lr"] = 0.1 * (1.0 - step / 300)
            optimiser.zero_grad()
            (inputs @ (weight - truth).T).square().mean().backward()
            optimiser.step()
        left[name] = float((weight - truth).detach().square().mean())
    assert left["muon"] < 0.5 * left["adam"]


def test_a_saved_state_goes_on_as_if_it_had_not_stopped() -> None:
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(20, 30)), nn.Parameter(torch.randn(5))]
    optimiser = Muon([{"params": weights, "lr": 0.01}])
    gradients = [[torch.randn_like(weight) for weight in weights] for _ in range(4)]

    def go(parts: list[nn.Parameter], by: Muon, steps: list[list[Tensor]]) -> None:
        for step in steps:
            for part, gradient in zip(parts, step, strict=True):
                part.grad = gradient
            by.step()

    go(weights, optimiser, gradients[:2])
    again = [nn.Parameter(weight.detach().clone()) for weight in weights]
    resumed = Muon([{"params": again, "lr": 0.01}])
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    go(weights, optimiser, gradients[2:])
    go(again, resumed, gradients[2:])
    assert all(torch.equal(one, other) for one, other in zip(weights, again, strict=True))


def test_a_run_is_not_resumed_with_another_optimiser(tmp_path: Path) -> None:
    pool = HeadPool(write_balls(tmp_path / "heads", 1), 1, torch.device("cpu"))
    pool.refresh()

    def begun(optimiser: str) -> FieldRun:
        options = FieldOptions(optimiser=optimiser, heads=2, rays=16)
        return FieldRun(HeadGenerator(small_config(), pool.attributes), pool, options, tmp_path)

    run = begun("muon")
    assert isinstance(run.optimizer, Muon)
    run.save()
    assert begun("muon").resume()
    with pytest.raises(UserError, match="begun with the optimiser muon"):
        begun("adam").resume()
    # Killed before it had written its facts.
    facts = (tmp_path / FACTS).read_text()
    (tmp_path / FACTS).unlink()
    with pytest.raises(UserError, match="begun with the optimiser muon"):
        begun("adam").resume()
    assert begun("muon").resume()
    # Runs of before there was a choice.
    history = json.loads(facts)
    del history["stages"][-1]["options"]["optimiser"]
    (tmp_path / FACTS).write_text(json.dumps(history))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["optimiser"]
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(UserError, match="begun with the optimiser adam"):
        begun("muon").resume()


def test_a_family_learns_by_what_suits_it() -> None:
    begun = {}
    for kind in MODELS.values():
        options = FieldOptions(**kind.advised)
        begun[kind.family] = options.optimiser, options.squares > 0, options.outline_share > 0
    assert begun == {"eg3d": ("muon", True, True), "cips3d": ("adam", False, False)}
    assert {name for name, *_ in begun.values()} == set(OPTIMISERS)
