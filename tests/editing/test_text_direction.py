"""Sliders from texts: the regression, what is held still, nonsense, and the cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.assets import bundled_generator
from engine.editing import refine, samples, texts
from engine.editing.cache import Cache
from engine.editing.encoders import OpenEncoder, open_encoder
from engine.editing.samples import ModelId, draw_small, sampled_w, seen_samples
from engine.editing.search import ordered, scores
from engine.editing.text_direction import held_still, regressed, text_direction
from engine.editing.texts import Others, checked_text, others, sentences, text_delta, weakness
from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken
from engine.generators.registry import open_model
from tests.generators.tiny_eg3d import tiny_model

MODEL = ModelId("ab" * 32)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def test_texts_are_put_into_sentences() -> None:
    assert sentences("smiling") == (
        "smiling", "a smiling person", "a person with smiling", "a photo of a smiling person",
    )  # fmt: skip
    assert sentences("add a beard") == sentences("beard") == sentences("Give him a beard")
    assert sentences("make her smile") == sentences("smile")
    assert sentences("an old man") == ("an old man",)
    assert sentences("add") == sentences("add") and checked_text(" a \n b ") == "a b"
    for wrong, says in ((" ", "empty"), ("x" * 201, "at most 200")):
        with pytest.raises(UserError, match=says):
            sentences(wrong)


def test_a_text_against_itself_is_refused(opened: OpenEncoder) -> None:
    with pytest.raises(UserError, match="say the same"):
        text_delta(opened.encoder, "an old man", "an old man")


def test_the_regression_finds_what_a_score_alone_changes() -> None:
    """w is made of two traits that occur together; the direction of one leaves the other."""
    number = 4000
    first, noise = drawn(number), drawn(number, seed=1)
    second = 0.8 * first + 0.6 * noise
    ways = torch.linalg.qr(drawn(6, 2, seed=2))[0]
    w = first[:, None] * ways[:, 0] + second[:, None] * ways[:, 1]
    seen = torch.stack([first, second, drawn(number, seed=3)], 1)
    target, other = torch.tensor([1.0, 0, 0]).double(), torch.tensor([[0, 1.0, 0]]).double()
    held = Others(("q: a",), other, ("q",))
    alone = regressed(w, seen, target, held)
    naive = regressed(w, seen, target, held.only([]))
    assert float(naive @ ways[:, 1]) == pytest.approx(0.8, abs=0.05)
    # Not wholly, since what is held still is shrunk.
    assert float(alone @ ways[:, 1]) < 0.45 * float(naive @ ways[:, 1])
    assert float(alone @ ways[:, 0]) == pytest.approx(1.0, abs=0.1)


def test_the_texts_own_question_is_not_held_still() -> None:
    seen = drawn(500, 4)
    axes = torch.eye(4).double()[[0, 1, 0, 2]]
    rest = Others(
        ("own: a", "own: b", "same: a", "other: a"), axes, ("own", "own", "same", "other")
    )
    assert held_still(seen, torch.tensor([1.0, 0.1, 0, 0]).double(), rest).questions == ("other",)
    assert len(held_still(seen, torch.tensor([0, 0, 0, 1.0]).double(), rest).questions) == 4


@pytest.mark.usefixtures("few")
def test_people_are_drawn_once_and_sliders_follow(opened: OpenEncoder, tmp_path: Path) -> None:
    generator, cache = tiny_model(), Cache(tmp_path / "cache")
    told: list[tuple[int, int]] = []

    def found(text: str, where: Cache | None) -> object:
        told.clear()
        return text_direction(
            generator, MODEL, opened.encoder, opened.identity, text, "", where,
            lambda done, total: told.append((done, total)),
        )  # fmt: skip

    first = found("smiling", cache)
    assert told[0] == (0, 40) and (40, 40) in told and told[-1] == (3, 3)
    assert found("smiling", cache) == first and not told
    assert found("glasses", cache) != first and told == [(n, 3) for n in range(4)]
    assert found("smiling", None) == first and told
    changed = tiny_model(seed=1)
    people = seen_samples(changed, ModelId("cd" * 32), opened.encoder, opened.identity, cache)
    assert people.w.shape[0] == 40 and len(list((tmp_path / "cache").iterdir())) == 4


@pytest.mark.usefixtures("few")
def test_looking_at_people_can_be_stopped_and_keeps_nothing(
    opened: OpenEncoder, tmp_path: Path
) -> None:
    generator, cache = tiny_model(), Cache(tmp_path / "cache")
    token = CancelToken()

    def stop(done: int, _total: int) -> None:
        if done == 5:
            token.cancel()

    with pytest.raises(Cancelled):
        seen_samples(generator, MODEL, opened.encoder, "e", cache, progress=stop, cancel=token)
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("few")
def test_searching_orders_faces(opened: OpenEncoder) -> None:
    generator = tiny_model()
    w = sampled_w(generator, 6)
    faces = [lambda row=row: row for row in w]  # type: ignore[misc]
    found = list(scores(generator, faces, opened.encoder, "smiling"))
    best = ordered(found)
    assert [one.place for one in found] == list(range(6))
    assert [one.score for one in best] == sorted((one.score for one in found), reverse=True)
    delta = text_delta(opened.encoder, "smiling")
    with torch.inference_mode():
        seen = opened.encoder.encode_image(draw_small(generator, w[best[0].place])[None])[0]
    assert best[0].score == pytest.approx(float(seen.double() @ delta / delta.square().sum()))
    with pytest.raises(UserError, match="1 to 10000"):
        list(scores(generator, [], opened.encoder, "smiling"))


def test_nonsense_says_that_it_says_nothing() -> None:
    bundled = open_encoder()
    for text in ("smiling", "glasses", "blonde hair", "a man with a beard"):
        assert weakness(bundled.encoder, text) == ""
    for text in ("qwxz flurb", "zzz", "democracy"):
        assert "says next to nothing" in weakness(bundled.encoder, text)
        assert repr(text) in weakness(bundled.encoder, text)


@pytest.mark.slow
def test_the_bundled_generator_smiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slider of few people raises the encoder's own score of others, and minus lowers it; a
    nonsense text is told of."""
    monkeypatch.setattr(samples, "COUNT", 40)
    monkeypatch.setattr(refine, "STEPS", 2)
    generator, bundled = open_model(bundled_generator(), "cpu"), open_encoder()
    folder = None
    found = text_direction(
        generator, MODEL, bundled.encoder, bundled.identity, "smiling", "", folder
    )
    assert found.note == "" and found.power > 0.5 and "gender" in found.held
    assert "smiling" not in found.held and "expression" not in found.held
    aim = text_delta(bundled.encoder, "smiling")
    step = torch.from_numpy(found.direction.offset.numbers.copy())
    gains = []
    for w in sampled_w(generator, 43)[40:]:
        with torch.inference_mode():
            less, more = (
                bundled.encoder.encode_image(draw_small(generator, w + s * step)[None])[0].double()
                for s in (-3.0, 3.0)
            )
        gains.append(float((more - less) @ aim))
    assert min(gains) > 0 and sum(gains) / len(gains) > 0.1


def test_other_questions_are_those_of_describe(opened: OpenEncoder) -> None:
    rest = others(opened.encoder)
    assert len(rest.names) == len(rest.axes) == len(rest.questions) > 40
    for question in set(rest.questions):
        own = [k for k, q in enumerate(rest.questions) if q == question]
        assert rest.axes[own].sum(0).norm() < 1e-9
    assert texts.WEAK < 1
