"""EpiGRAF's compiled functions against torch, in float64 where that decides.

A failure names the seed: ``MAQUETTE_SEED`` repeats it.
"""

from __future__ import annotations

import os
import random

import pytest
import torch
from torch import Tensor

from engine.errors import Cancelled
from engine.generators.base import NEVER, CancelToken
from engine.generators.epigraf_field import DecodedPlanes
from engine.generators.epigraf_network import Layer, run_folded
from engine.kernels import folded
from engine.rendering.nerf_march import March, Marched, march_in_chunks, march_rays, unit_rays
from engine.rendering.plane_lookup import PlaneTable

SEED = int(os.environ.get("MAQUETTE_SEED") or random.SystemRandom().randrange(1 << 20))
EXTENT, SHIFT = 0.3, -1.0
#: Of colours about -3 to 3.
BOUND = 2e-4
MARCHES = (
    March(0.6, 1.4, 12, 12, activation="softplus"),
    March(0.6, 1.4, 48, 48, activation="softplus", last_step=1e-3),
    March(0.7, 1.3, 9, 5, last_back=True),
    March(0.7, 1.3, 7, 130, white_back=True),
    March(0.0, 2.0, 4, 0, activation="softplus"),
    March(0.7, 1.3, 5, 1),
)


def made(side: int = 24, channels: int = 32, hidden: int = 64) -> tuple[Tensor, list[Layer]]:
    draw = torch.Generator().manual_seed(SEED)
    # Smooth planes: rough ones let importance samples move further than any bound says.
    coarse = torch.randn(3, channels, 6, 6, generator=draw)
    planes = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    first = torch.randn(hidden, channels, generator=draw) / channels**0.5
    last = torch.randn(4, hidden, generator=draw) / hidden**0.5
    last[3] *= 20.0
    biases = torch.randn(hidden, generator=draw), torch.randn(4, generator=draw)
    layers = [(first, biases[0]), (last, biases[1])]
    # Whatever the seed, half of the cube is dense.
    points = (torch.rand(500, 3, generator=draw) - 0.5) * 2 * EXTENT
    biases[1][3] -= run_folded(layers, PlaneTable(planes, EXTENT).read(points))[:, 3].median()
    return planes, layers


def rays(side: int = 9) -> tuple[Tensor, Tensor]:
    camera = torch.eye(4)
    camera[:3, 3] = torch.tensor([0.05, -0.02, 1.0])
    return unit_rays(camera, 40.0, side, side)


def reference(planes: Tensor, layers: list[Layer], march: March, double: bool = True) -> Marched:
    """The march by torch, with a decoder that is not folded into the planes."""
    kind = torch.float64 if double else torch.float32
    table = PlaneTable(planes.to(kind), EXTENT)
    exact = [(weight.to(kind), bias.to(kind)) for weight, bias in layers]

    def look(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        values = run_folded(exact, table.read(points))
        return values[:, 3] + SHIFT, values[:, :3]

    origin, directions = rays()
    return march_rays(look, origin.to(kind), directions.to(kind), march)


def drawn(planes: Tensor, layers: list[Layer], march: March) -> Marched:
    field = DecodedPlanes(planes, layers, EXTENT).folded
    assert field is not None
    found = folded.try_march(field, *rays(), march, SHIFT)
    assert found is not None
    return found


@pytest.mark.parametrize("march", MARCHES, ids=lambda m: f"{m.coarse}+{m.fine}-{m.activation}")
@pytest.mark.parametrize("hidden", [64, 13])
def test_rays(march: March, hidden: int) -> None:
    planes, layers = made(hidden=hidden)
    found, expected = drawn(planes, layers, march), reference(planes, layers, march)
    torch32 = reference(planes, layers, march, double=False)
    for name, quick, slow, exact in zip(Marched._fields, found, torch32, expected, strict=True):
        error, usual = ((x.double() - exact).abs() for x in (quick, slow))
        # Where few weights decide, float32 itself is no nearer.
        assert error.max() < max(BOUND, 4.0 * float(usual.max())), (name, SEED)
        assert error.median() < 5e-6, (name, SEED)
    assert expected.weight_sum.max() > 0.5, "the rays hit nothing"


def test_points(threads: int) -> None:
    """Also outside the cube and on its edges, and more points than one piece holds."""
    planes, layers = made()
    decoded = DecodedPlanes(planes, layers, EXTENT)
    torch.manual_seed(SEED)
    points = (torch.rand(2 * folded.POINTS + 77, 3) - 0.5) * 0.8
    points[:4] = torch.tensor([[EXTENT] * 3, [-EXTENT] * 3, [9e9, 0, 0], [0, -9e9, 1]])
    exact = [(weight.double(), bias.double()) for weight, bias in layers]
    expected = run_folded(exact, PlaneTable(planes.double(), EXTENT).read(points.double()))
    assert decoded.folded is not None
    found = folded.try_values(decoded.folded, points)
    assert found is not None and torch.equal(found, decoded.values(points))
    assert (found - expected).abs().max() < 3e-5 * float(expected.abs().max()), SEED


def test_torch_reads_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    planes, layers = made()
    decoded = DecodedPlanes(planes, layers, EXTENT)
    origin, directions = rays()
    even, importance = March(0.6, 1.4, 24, 0, activation="softplus"), MARCHES[0]
    points = torch.randn(500, 3) * 0.2

    def found() -> tuple[Marched, Marched, Tensor]:
        even_rays, both = (
            decoded.march(origin, directions, march, SHIFT, NEVER.check)
            for march in (even, importance)
        )
        return even_rays, both, decoded.values(points)

    quick = found()
    monkeypatch.setenv("MAQUETTE_KERNELS", "0")
    slow = found()
    for a, b in zip(quick[0], slow[0], strict=True):
        assert (a - b).abs().max() < 1e-5, SEED
    for a, b in zip(quick[1], slow[1], strict=True):
        error = (a - b).abs()
        assert error.max() < BOUND and error.median() < 3e-6, SEED
    assert not torch.equal(quick[1].features, slow[1].features)
    torch.testing.assert_close(quick[2], slow[2], rtol=0, atol=1e-4)


def test_a_decoder_of_another_depth_is_left_to_torch() -> None:
    planes, layers = made()
    square = torch.eye(64), torch.zeros(64)
    for others in ([layers[0], square, layers[1]], [(layers[1][0][:, :32], layers[1][1])]):
        decoded = DecodedPlanes(planes, others, EXTENT)
        assert decoded.folded is None
        origin, directions = rays()

        def look(points: Tensor, _: Tensor, others: list[Layer] = others) -> tuple[Tensor, Tensor]:
            values = run_folded(others, PlaneTable(planes, EXTENT).read(points))
            return values[:, 3] + SHIFT, values[:, :3]

        found = decoded.march(origin, directions, MARCHES[0], SHIFT, NEVER.check)
        expected = march_in_chunks(look, origin, directions, MARCHES[0])
        torch.testing.assert_close(found, expected)


def test_threads_and_pieces_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    planes, layers = made()
    before = torch.get_num_threads()
    pictures = []
    for count, size in ((1, 512), (2, 40), (3, 16)):
        monkeypatch.setattr(folded, "RAYS", size)
        torch.set_num_threads(count)
        pictures.append(drawn(planes, layers, MARCHES[0]))
    torch.set_num_threads(before)
    for other in pictures[1:]:
        assert all(torch.equal(a, b) for a, b in zip(pictures[0], other, strict=True))


def test_gradients_are_left_to_torch() -> None:
    planes, layers = made()
    field = DecodedPlanes(planes.requires_grad_(), layers, EXTENT).folded
    assert field is not None and "gradients" in (folded.problem(field) or "")
    with torch.no_grad():
        assert folded.problem(field) is None
    whole = DecodedPlanes(planes, layers, EXTENT)
    origin, directions = rays()
    whole.march(origin, directions, MARCHES[0], SHIFT, NEVER.check).features.sum().backward()
    assert planes.grad is not None and float(planes.grad.abs().sum()) > 0.0


def test_what_is_not_a_number_shows_and_breaks_nothing() -> None:
    planes, layers = made()
    assert bool(drawn(planes * torch.nan, layers, MARCHES[0]).features.isnan().all())
    field = DecodedPlanes(planes, layers, EXTENT).folded
    assert field is not None
    origin, directions = rays()
    directions[3] = torch.nan
    found = folded.try_march(field, origin, directions, MARCHES[0], SHIFT)
    assert found is not None and bool(found.features[:3].isfinite().all())


@pytest.mark.parametrize(("allowed", "count"), [(0, 1), (2, 1), (0, 2)])
def test_a_picture_is_given_up_between_pieces(
    allowed: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folded, "RAYS", 8)
    planes, layers = made()
    decoded, (origin, directions) = DecodedPlanes(planes, layers, EXTENT), rays()
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > allowed

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    with pytest.raises(Cancelled):
        decoded.march(origin, directions, MARCHES[0], SHIFT, CancelToken(stop).check)
    torch.set_num_threads(before)
    assert asked == allowed + 1
