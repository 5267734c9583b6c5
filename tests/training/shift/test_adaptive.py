"""Layers that a text chooses: those that read the rows of w which it moves most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.editing.encoders import OpenEncoder
from engine.editing.sefa import reading_layers
from engine.errors import UserError
from engine.training.gan.families import training_of
from engine.training.shift import adaptive
from engine.training.shift.adaptive import LENGTH, MOVES, chosen_layers, moved_rows
from engine.training.shift.options import ADAPTIVE, ShiftOptions, shift_training
from engine.training.shift.training import TextShift
from tests.generators.test_every_family import GOLDENS, every
from tests.generators.tiny_eg3d import tiny_model
from tests.training.gan.checks import check_groups
from tests.training.shift.test_text_training import SMALL, loop_of, small_model

FEW = replace(SMALL, rows=1)


@pytest.fixture
def made(
    opened: OpenEncoder, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path, ShiftOptions], TextShift]:
    """A golden set's model that a text leads, and one person by whom layers are chosen."""
    monkeypatch.setattr(adaptive, "PEOPLE", 1)
    monkeypatch.setattr(adaptive, "MOVES", 2)
    monkeypatch.setattr(adaptive, "_SAMPLES", 4)

    def make(folder: Path, shift: ShiftOptions) -> TextShift:
        inner = training_of(small_model(folder))
        return TextShift(inner, shift, opened.encoder)

    return make


def test_the_row_that_a_text_moves_is_found() -> None:
    """One move after the other down the slope, all of one length in standard deviations."""
    generator = tiny_model()
    weights = torch.zeros(generator.capabilities.num_ws, 1)
    weights[2], weights[4] = 3.0, 1.0
    far = moved_rows(generator, lambda _start, moved: (weights * moved).sum())
    assert far.argmax() == 2 and far.argsort(descending=True)[1] == 4
    assert float(far.square().sum()) == pytest.approx((LENGTH * MOVES) ** 2, rel=1e-3)
    assert not far[[0, 1, 3]].any()
    with pytest.raises(UserError, match="no numbers"):
        moved_rows(generator, lambda _start, moved: (moved * torch.nan).sum())


def test_the_layers_of_a_row_are_those_that_read_it() -> None:
    generator = tiny_model()
    names = [name for name, _ in generator.network.named_parameters()]
    read = reading_layers(generator)
    found = []
    for row in range(3):
        far = torch.zeros(generator.capabilities.num_ws)
        far[row] = 1.0
        chosen = chosen_layers(generator, far, 1, names)
        layers = {name.rpartition(".")[0] + "." for at, name in read if at == row}
        assert layers and chosen == [n for n in names if n.startswith(tuple(layers))]
        assert any(name.endswith("weight") and "affine" not in name for name in chosen)
        found.append(set(chosen))
    assert found[0] != found[1] != found[2]
    far = torch.tensor([2.0, 1.0] + [0.0] * (generator.capabilities.num_ws - 2))
    assert set(chosen_layers(generator, far, 2, names)) == found[0] | found[1]
    # A row none of whose layers may train does not count.
    allowed = [name for name in names if name not in found[0]]
    assert set(chosen_layers(generator, far, 1, allowed)) <= found[1]


@every
def test_what_is_chosen_trains_and_nothing_else(
    folder: Path, made: Callable[[Path, ShiftOptions], TextShift]
) -> None:
    training = made(folder, FEW)
    if training.family == "pigan":
        with pytest.raises(UserError, match="name groups of layers instead"):
            training.choose_layers()
        return
    training.choose_layers()
    chosen = training.shift.chosen
    check_groups(training)
    assert chosen and training.layer_groups()[ADAPTIVE] == chosen
    assert not any("mapping" in name for name in chosen)
    again = made(folder, FEW)
    again.choose_layers()
    assert again.shift == training.shift == ShiftOptions.from_json(training.shift.to_json())
    options = shift_training(training.shift, training.layer_groups(), (ADAPTIVE,))
    assert ADAPTIVE not in shift_training(training.shift, training.layer_groups()).layers
    before = {name: value.clone() for name, value in training.generator.named_parameters()}
    loop = loop_of(training, layers=(ADAPTIVE,))
    loop.step()
    moved = {n for n, v in training.generator.named_parameters() if not torch.equal(v, before[n])}
    assert moved and moved <= set(chosen) and options.layers == (ADAPTIVE,)


def test_shapes_that_are_to_stay_are_not_chosen(
    made: Callable[[Path, ShiftOptions], TextShift],
) -> None:
    training = made(GOLDENS / "eg3d_ffhq", replace(FEW, freeze_shape=True, rows=64))
    training.choose_layers()
    assert training.shift.chosen
    assert all(name.startswith("superresolution.") for name in training.shift.chosen)
