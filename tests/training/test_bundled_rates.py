"""How the learning rate reaches weights that are stored larger than they are used."""

from __future__ import annotations

import pytest
import torch

from engine.training.bundled.model import HeadGenerator
from tests.training.test_bundled_model import toy_config


@pytest.fixture
def model() -> HeadGenerator:
    torch.manual_seed(0)
    return HeadGenerator(toy_config(), torch.randn(10, 3))


def scales(model: HeadGenerator, field: float = 1.0, mapping: float = 1.0) -> dict[int, float]:
    return {
        id(parameter): group["scale"]
        for group in model.groups(field, mapping)
        for parameter in group["params"]
    }


def test_a_step_changes_weights_as_used_by_the_learning_rate(model):
    """Adam's first step moves every stored weight by the rate: as used, all by the same."""
    network, rate = model.network, 1e-3
    layer, linear = network.backbone.synthesis.b8.conv1, network.decoder.net[2]
    # Demodulated weights of I x 3 x 3 inputs count as if divided by the root of their number.
    used = {layer: layer.weight[0].numel() ** -0.5, linear: linear.weight_gain}
    before = {module: module.weight.detach().clone() for module in used}
    groups = [group | {"lr": rate * group["scale"]} for group in model.groups(1.0, 1.0)]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98), eps=1e-12)
    (layer.weight.sum() + linear.weight.sum()).backward()
    optimizer.step()
    for module, gain in used.items():
        moved = (module.weight - before[module]).abs() * gain
        torch.testing.assert_close(moved, torch.full_like(moved, rate), rtol=1e-3, atol=0)


def test_every_parameter_is_in_one_group_and_frozen_ones_in_none(model):
    everything = {id(p) for p in model.parameters()}
    assert set(scales(model)) == everything
    plain = scales(model)
    mapping = {id(p) for group in model.mapping_groups() for p in group["params"]}
    slower = scales(model, mapping=0.5)
    for key in everything:
        assert slower[key] == pytest.approx(plain[key] * (0.5 if key in mapping else 1.0))
    upsampler = {id(p) for p in model.network.superresolution.parameters()}
    assert set(scales(model, field=0.0, mapping=0.0)) == upsampler
    assert {id(p) for p in model.parameters() if p.requires_grad} == upsampler
    reading = {id(p) for p in model.network.decoder.parameters()}
    found = {id(p): g["scale"] for g in model.groups(0.0, 0.0, 0.5) for p in g["params"]}
    assert set(found) == upsampler | reading
    assert all(found[key] == 0.5 * plain[key] for key in reading)
    # What was frozen can be taken up again.
    assert set(scales(model)) == everything
    assert all(p.requires_grad for p in model.parameters())
