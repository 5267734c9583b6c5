"""The kernel of CIPS-3D's implicit network against torch in float64, held to float32's own error."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.generators.cips3d_network import CIPS3DConfig, Inr
from engine.kernels.inr import (
    InrLayers,
    colours_reference,
    inr_problem,
    pack_inr,
    packed_once,
    try_colours,
)
from tests.kernels.emulator import emulated
from tests.kernels.fields import worst
from tests.kernels.places import at, everywhere


def make_layers(
    inputs: int, width: int, blocks: int, first_skip: int = 2, first_colour: int = 1
) -> InrLayers:
    """As demodulation leaves them: columns of unit length, times what keeps the variance of leaky ReLUs."""
    torch.manual_seed(width)

    def layer(rows: int) -> Tensor:
        return torch.nn.functional.normalize(torch.randn(rows, width), dim=0) * math.sqrt(2.0)

    weights = [layer(inputs), *(layer(width) for _ in range(2 * blocks - 1))]
    colours = [
        (torch.randn(3, width) * 0.3 / math.sqrt(width), torch.randn(3) * 0.1)
        for _ in range(blocks)
    ]
    return InrLayers(weights, colours, first_skip, first_colour, 0.2)


def converted(layers: InrLayers, target: torch.device | torch.dtype) -> InrLayers:
    """Every tensor moved or converted."""
    colours = [(weight.to(target), bias.to(target)) for weight, bias in layers.colours]
    return replace(layers, weights=[w.to(target) for w in layers.weights], colours=colours)


CASES = {
    "plain": (make_layers(8, 16, 3), 40, None),
    "odd widths": (make_layers(5, 12, 4), 33, None),
    "wide": (make_layers(16, 72, 3), 32, None),
    # As wide as the released one: where sums are cut off at every product, it shows.
    "released width": (make_layers(32, 512, 2), 20, None),
    "fewer blocks": (make_layers(8, 16, 4), 5, 2),
    "every block": (make_layers(8, 16, 2, 1, 0), 70, 9),
}


@everywhere
@pytest.mark.parametrize("name", CASES)
def test_colours_equal_torch(place: str, name: str) -> None:
    layers, count, blocks = CASES[name]
    torch.manual_seed(1)
    features = torch.randn(count, layers.weights[0].shape[0])
    exact = colours_reference(converted(layers, torch.float64), features.double(), blocks)
    single = colours_reference(layers, features, blocks)
    with torch.no_grad(), at(place) as device:
        packed = pack_inr(converted(layers, device))
        result = try_colours(packed, features.to(device), blocks)
    assert result is not None and result.shape == (count, 3)
    # Three products of split numbers lose about as much as float32 does by rounding.
    assert worst(result, exact) < 3.0 * worst(single, exact) + 2e-6
    assert float(exact.std()) > 0.05


def test_blocks_that_do_not_run_change_the_colour() -> None:
    layers, count, _ = CASES["fewer blocks"]
    features = torch.randn(count, 8)
    assert worst(colours_reference(layers, features, 2), colours_reference(layers, features)) > 0.01


@everywhere
def test_the_network_draws_by_it(place: str) -> None:
    """As the model calls it, with modulation folded in; for several faces at once torch draws."""
    torch.manual_seed(2)
    config = CIPS3DConfig(inr_width=16, nerf_features=8, inr_style_dim=6)
    network = Inr(config).requires_grad_(False)
    styles, features = torch.randn(2 * config.inr_blocks, 6), torch.randn(35, 8)
    with torch.no_grad():
        plain = network(network.styled(styles), features)
        fewer = network(network.styled(styles), features, 5)
        with at(place) as device:
            network.to(device)
            weights = network.styled(styles.to(device))
            assert worst(network(weights, features.to(device)), plain) < 2e-5
            assert worst(network(weights, features.to(device), 5), fewer) < 2e-5
    assert worst(plain, fewer) > 1e-3


def test_which_calls_take_the_kernel() -> None:
    config = CIPS3DConfig(inr_width=16, nerf_features=8, inr_style_dim=6)
    network = Inr(config).requires_grad_(False)
    styles = torch.randn(2 * config.inr_blocks, 6)
    with torch.no_grad(), emulated(orders=(1,)) as emulator:
        weights = network.styled(styles)
        network(weights, torch.randn(4, 8))
        assert emulator.launched[-1] == "inr_colours"
        emulator.launched.clear()
        network([w[None] for w in weights], torch.randn(1, 4, 8))
        assert emulator.launched == []
    with emulated(orders=(1,)) as emulator:
        learned = torch.randn(4, 8, requires_grad=True)
        assert network(weights, learned).requires_grad
        network.requires_grad_(True)
        assert network(network.styled(styles), torch.randn(4, 8)).requires_grad
        assert emulator.launched == []


def test_networks_that_do_not_fit_say_why() -> None:
    layers = make_layers(8, 16, 2)
    assert inr_problem(layers) is None
    assert inr_problem(make_layers(8, 520, 1)) == "The kernel takes layers of up to 512 columns."
    uneven = replace(layers, weights=[*layers.weights[:3], torch.zeros(16, 8)])
    assert inr_problem(uneven) == "The kernel takes layers of one width."
    several = replace(layers, weights=[weight[None] for weight in layers.weights])
    assert inr_problem(several) == "The kernel takes one face at a time."
    first = replace(layers, first_skip=0)
    assert inr_problem(first) == "The kernel's first block cannot add its input."
    with pytest.raises(ValueError, match="one width"):
        pack_inr(uneven)
    with emulated(orders=(1,)):
        packed = pack_inr(layers)
        assert try_colours(packed, torch.zeros(4, 9), None) is None
        assert try_colours(packed, torch.zeros(4, 8).double(), None) is None
        assert try_colours(packed, torch.zeros(0, 8), None) is None
        assert try_colours(None, torch.zeros(4, 8), None) is None


def test_weights_are_packed_once_and_again_when_they_change() -> None:
    layers = make_layers(8, 16, 2)
    first = packed_once(layers)
    assert first is not None and packed_once(layers) is first
    layers.colours[1][1].add_(1.0)
    second = packed_once(layers)
    assert second is not None and second is not first
    assert torch.equal(second.tensors["colour"][1, :, -1], first.tensors["colour"][1, :, -1] + 1.0)
    layers.weights[3].mul_(2.0)
    third = packed_once(layers)
    assert third is not None
    assert not torch.equal(third.tensors["layers_packed"], second.tensors["layers_packed"])
    layers.weights[0].requires_grad_(True)
    assert packed_once(layers) is None
