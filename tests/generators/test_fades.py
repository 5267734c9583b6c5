"""Faces between faces and edited ones: their w is what the record says, and pictures follow it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.draw import Painter
from engine.edits import Edit, Offset
from engine.errors import UserError
from engine.faces import Face, Fade, Identity
from engine.identity import Blend, Latent, StyleSource
from engine.keyframe import Keyframe
from engine.recipe import Recipe
from engine.timeline import Timeline
from tests.generators.tiny_eg3d import tiny_model


def test_w_between_faces_is_their_straight_sum() -> None:
    painter = Painter(tiny_model())
    facts = painter.generator.capabilities
    numbers = np.random.RandomState(3).randn(facts.num_ws, facts.w_dim).astype("float32")
    faces = (
        Face(1, 0.6),
        Face(2, blend=Blend((2, 3), (0.5, 0.5), "z")),
        Face(4, 1.0, 1, mixes=(StyleSource(5, (0, 2)),)),
        Face(latent=Latent.of(numbers)),
    )
    ws = [painter.latent(Recipe().with_identity(Identity(face))).clone() for face in faces]
    fades = tuple(Fade(face, w) for face, w in zip(faces[1:], (0.5, -0.2, 0.3), strict=True))
    mixed = painter.latent(Recipe().with_identity(Identity(faces[0], fades)))
    expected = 0.4 * ws[0] + 0.5 * ws[1] - 0.2 * ws[2] + 0.3 * ws[3]
    assert torch.allclose(mixed, expected, atol=1e-5)
    # It is kept while the camera moves, and told apart from the face alone.
    again = Recipe(transparent=True).with_identity(Identity(faces[0], fades))
    assert painter.latent(again) is mixed
    assert torch.equal(painter.latent(Recipe().with_identity(Identity(faces[0]))), ws[0])


def test_pictures_at_the_keys_are_those_of_the_recipes() -> None:
    painter = Painter(tiny_model())
    home = painter.generator.capabilities.default_pose
    ends = [
        Recipe(seed=seed, pose=replace(home, yaw=yaw), neural_resolution=16)
        for seed, yaw in ((1, -20.0), (2, 20.0))
    ]
    line = Timeline(tuple(Keyframe.of(recipe, 4.0 * i) for i, recipe in enumerate(ends)))
    pictures = [painter.picture(line.at(ends[0], time)) for time in (0.0, 2.0, 4.0)]
    for end, picture in zip(ends, pictures[::2], strict=True):
        assert torch.equal(painter.picture(end), picture)
    half = painter.latent(line.at(ends[0], 2.0))
    assert half.numpy() == pytest.approx(
        sum(painter.latent(end).clone() for end in ends).numpy() / 2, abs=1e-6
    )
    assert not torch.equal(pictures[1], pictures[0])


def test_edits_are_added_at_last_to_the_rows_that_they_may_touch() -> None:
    painter = Painter(tiny_model())
    facts = painter.generator.capabilities
    one = np.random.RandomState(1).randn(1, facts.w_dim).astype("float32")
    full = np.random.RandomState(2).randn(facts.num_ws, facts.w_dim).astype("float32")
    base = Recipe(seed=3, mixes=(StyleSource(5, (0,)),), fades=(Fade(Face(2), 0.25),))
    w = painter.latent(base).numpy().copy()
    edits = (
        Edit("All", Offset.of(one), 2.0),
        Edit("Some", Offset.of(full), -0.5, rows=(1, 3)),
        Edit("Muted", Offset.of(full), 5.0, muted=True),
        Edit("None", Offset.of(full), 5.0, rows=()),
    )
    expected = w + 2.0 * one
    expected[[1, 3]] -= 0.5 * full[[1, 3]]
    got = painter.latent(replace(base, edits=edits))
    assert got.numpy() == pytest.approx(expected, abs=1e-5)
    # Names and what is muted change nothing, not even the object.
    renamed = tuple(replace(edit, name="Other") for edit in edits)
    assert np.array_equal(painter.latent(replace(base, edits=renamed)).numpy(), got.numpy())
    assert painter.latent(replace(base, edits=edits[:2])).numpy() == pytest.approx(
        expected, abs=1e-5
    )
    assert np.array_equal(painter.latent(base).numpy(), w)


def test_pictures_follow_edits_and_locks() -> None:
    painter = Painter(tiny_model())
    facts = painter.generator.capabilities
    numbers = np.random.RandomState(1).randn(1, facts.w_dim).astype("float32")
    base = Recipe(seed=3, pose=facts.default_pose, neural_resolution=16)
    edit = Edit("All", Offset.of(numbers), 3.0)
    before, after = (painter.picture(replace(base, edits=e)) for e in ((), (edit,)))
    assert (before.int() - after.int()).abs().float().mean() > 1
    muted = painter.picture(replace(base, edits=(replace(edit, muted=True),)))
    assert torch.equal(before, muted)
    fine = painter.picture(replace(base, edits=(replace(edit, rows=(facts.num_ws - 1,)),)))
    assert not torch.equal(fine, before) and not torch.equal(fine, after)


def test_an_edit_of_another_model_is_refused() -> None:
    painter = Painter(tiny_model())
    facts = painter.generator.capabilities
    wide = Edit("Wide", Offset.of(np.ones((1, facts.w_dim + 1))))
    with pytest.raises(UserError, match="'Wide' cannot be made"):
        painter.latent(Recipe(edits=(wide,)))
    deep = Edit("Deep", Offset.of(np.ones((1, facts.w_dim))), rows=(facts.num_ws,))
    with pytest.raises(UserError, match="cannot touch layer"):
        painter.latent(Recipe(edits=(deep,)))
