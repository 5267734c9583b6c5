"""Blends and mixes of latents, and that pictures follow them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from engine.draw import Painter
from engine.errors import UserError
from engine.generators.base import latent_from_seed
from engine.identity import Blend, StyleSource
from engine.latents import blend_z, slerp
from engine.recipe import Recipe
from tests.generators.tiny_eg3d import tiny_model


def test_slerp_by_hand() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    half = slerp(a, b, 0.5)
    assert half.tolist() == pytest.approx([3 / math.sqrt(2), 3 / math.sqrt(2)])
    third = slerp(a, b, 1 / 3)
    assert math.degrees(math.atan2(third[1], third[0])) == pytest.approx(30, abs=1e-4)
    assert torch.equal(slerp(a, b, 0.0), a) and torch.allclose(slerp(a, b, 1.0), b, atol=1e-6)
    assert torch.allclose(slerp(a, a * 2, 0.5), torch.tensor([3.0, 0.0]))


def test_a_blend_in_z_keeps_the_length_that_a_line_would_lose() -> None:
    latents = [latent_from_seed(s, 512) for s in (1, 2, 3)]
    middle = blend_z(latents, [1.0, 1.0, 1.0])
    assert float(middle.norm()) == pytest.approx(math.sqrt(512), rel=0.1)
    assert float(torch.stack(latents).mean(0).norm()) < 0.7 * math.sqrt(512)
    assert torch.equal(blend_z(latents, [0.0, 0.0, 1.0]), latents[2])


def test_latents_of_blends_and_mixes() -> None:
    painter = Painter(tiny_model())
    one, two = (painter.latent(Recipe(seed=s)).clone() for s in (1, 2))
    half = painter.latent(Recipe(seed=9, blend=Blend((1, 2), (0.5, 0.5))))
    assert torch.allclose(half, (one + two) / 2, atol=1e-6)
    rows = painter.generator.capabilities.num_ws
    mix = painter.latent(Recipe(seed=1, mixes=(StyleSource(2, (0, rows - 1), 0.25),)))
    assert torch.equal(mix[1:-1], one[1:-1])
    assert torch.allclose(mix[[0, -1]], (0.75 * one + 0.25 * two)[[0, -1]], atol=1e-6)
    with pytest.raises(UserError, match="layer"):
        painter.latent(Recipe(seed=1, mixes=(StyleSource(2, (rows,)),)))
    # A face that gives nothing changes nothing: not even the planes are drawn anew.
    bare = painter.latent(Recipe(seed=1))
    assert painter.latent(Recipe(seed=1, mixes=(StyleSource(2, ()),))) is bare


def test_a_morph_moves_every_picture_and_ends_where_it_should() -> None:
    painter = Painter(tiny_model())
    base = Recipe(pose=painter.generator.capabilities.default_pose, neural_resolution=16)
    ends = [painter.picture(replace(base, seed=s)) for s in (1, 2)]
    for share in (0.0, 0.5, 1.0):
        for space in ("w", "z"):
            blend = Blend((1, 2), (1 - share, share), space)  # type: ignore[arg-type]
            drawn = painter.picture(replace(base, blend=blend)).int()
            near = [(drawn - end.int()).abs().max() for end in ends]
            if share == 0.5:
                assert min(near) > 2
            else:
                assert near[int(share)] <= 1
