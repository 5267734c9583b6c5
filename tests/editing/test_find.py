"""Directions without texts: components and factors, of every family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.draw import Painter
from engine.editing.cache import Cache
from engine.editing.pca import as_offset, flat_rows, pca_directions, principal, upright
from engine.editing.samples import FIRST_SEED, ModelId, sampled_w
from engine.editing.sefa import factorised, readers, sefa_directions
from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken, latent_from_seed
from tests.generators.test_every_family import every, far_apart, model, recipe_of
from tests.generators.tiny_eg3d import tiny_model

MODEL = ModelId("ab" * 32)


def test_components_are_those_of_the_covariance() -> None:
    draw = np.random.RandomState(0)
    turn, _ = np.linalg.qr(draw.randn(4, 4))
    data = draw.randn(4000, 4) * [5, 3, 2, 1] @ turn + 7
    vectors, spread, whole = principal(data, 3)
    assert spread == pytest.approx([5, 3, 2], rel=0.05) and whole == pytest.approx(39, rel=0.05)
    assert np.abs(vectors @ turn.T)[:, :3] == pytest.approx(np.eye(3), abs=0.05)
    assert (np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1) > 0).all()


def test_fewer_samples_than_numbers_give_the_same_as_the_covariance() -> None:
    data = np.random.RandomState(0).randn(20, 50)
    vectors, spread, _ = principal(data, 30)
    centred = data - data.mean(0)
    values, expected = np.linalg.eigh(centred.T @ centred / 20)
    assert len(vectors) == 19
    assert spread == pytest.approx(np.sqrt(values[::-1][:19]), rel=1e-9)
    assert vectors[0] == pytest.approx(upright(expected.T[-1:])[0], abs=1e-9)


def test_rows_that_are_all_alike_are_one() -> None:
    rows = np.random.RandomState(0).randn(5, 3).astype(np.float32)
    alike = np.repeat(rows[:, None], 4, 1)
    assert flat_rows(alike).shape == (5, 3)
    assert flat_rows(alike * np.array([1, 1, 1, 2])[None, :, None]).shape == (5, 12)
    assert as_offset(rows[0], 3).shape == (1, 3)
    assert as_offset(np.arange(12.0), 3).shape == (4, 3)


def test_samples_are_always_the_same_people() -> None:
    generator = tiny_model()
    w = sampled_w(generator, 3)
    assert torch.equal(w, sampled_w(generator, 3))
    z = latent_from_seed(FIRST_SEED + 1, generator.capabilities.z_dim)
    assert torch.equal(w[1], generator.map(z))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        sampled_w(generator, 3, token)


def test_factors_are_eigenvectors_of_what_reads_w() -> None:
    draw = np.random.RandomState(0)
    w = np.repeat(draw.randn(50, 1, 4), 2, 1)
    weights = [draw.randn(6, 4), draw.randn(3, 4)]
    stacked = np.concatenate(weights)
    vectors = np.linalg.eigh(stacked.T @ stacked)[1]
    found = factorised(list(weights), w, 2)
    unit = found[0][0] / np.linalg.norm(found[0][0])
    assert unit == pytest.approx(upright(vectors.T[-1:])[0])
    assert factorised(list(weights), w, 1)[0] == pytest.approx(found[0])
    assert found[0][0] == pytest.approx(found[0][1]) and len(found) == 2
    assert np.linalg.norm(found[0][0]) == pytest.approx((w[:, 0] @ unit).std())


def test_factors_come_in_the_order_of_what_a_standard_deviation_does() -> None:
    draw = np.random.RandomState(1)
    w = draw.randn(500, 1, 3) * [0.01, 1.0, 0.5]
    weights = [np.diag([10.0, 1.0, 4.0])]
    found = factorised(list(weights), w, 3)
    # The layer answers most to the first number, by which nobody differs: it comes last.
    assert [int(np.abs(one[0]).argmax()) for one in found] == [2, 1, 0]
    answers = [float(np.linalg.norm(weights[0] @ one[0])) for one in found]
    assert answers == sorted(answers, reverse=True)


def test_every_layer_of_a_known_network_is_found_to_read_its_row() -> None:
    generator = tiny_model()
    weights = readers(generator)
    network = generator.network
    blocks = network.backbone.synthesis
    first = blocks.b4.conv1.affine
    assert weights[0] is not None
    expected = (first.weight * first.weight_gain).detach().double().numpy()
    assert np.allclose(weights[0][: len(expected)], expected)
    # Again: what was drawn before is not taken from a cache.
    again = readers(generator)
    assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))  # type: ignore[arg-type]


@every
@pytest.mark.usefixtures("few")
def test_components_and_factors_change_every_family(folder: Path, tmp_path: Path) -> None:
    generator = model(folder)
    facts, painter, cache = generator.capabilities, Painter(generator), Cache(tmp_path)
    recipe = recipe_of(generator)
    plain = painter.picture(recipe).int()
    for find, kind in ((pca_directions, "pca"), (sefa_directions, "sefa")):
        found = find(generator, MODEL, 3, cache)
        assert [d.kind for d in found] == [kind] * 3 and len({d.offset for d in found}) == 3
        assert all(d.family == facts.family and d.model == MODEL.sha256 for d in found)
        assert all(not d.offset.why_not(facts.num_ws, facts.w_dim) for d in found)
        # By the cache, and without one.
        assert find(generator, MODEL, 3, cache) == found == find(generator, MODEL, 3)
        pictures = [
            painter.picture(replace(recipe, edits=(d.edit(s),))).int()
            for d in found
            for s in (-3.0, 3.0)
        ]
        assert any(far_apart(picture, plain) for picture in pictures)
    sizes = np.array(
        [np.linalg.norm(d.offset.numbers) for d in pca_directions(generator, MODEL, 3)]
    )
    rows = np.sqrt([facts.num_ws / d.offset.shape[0] for d in pca_directions(generator, MODEL, 3)])
    assert (np.diff(sizes * rows) < 0).all()
    assert len(list(tmp_path.iterdir())) == 2


def test_numbers_of_components_are_checked() -> None:
    generator = tiny_model()
    for count in (0, 101):
        for find in (pca_directions, sefa_directions):
            with pytest.raises(UserError, match="1 to 100"):
                find(generator, MODEL, count)
