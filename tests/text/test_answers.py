"""Questions about a picture and their answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.text.answers import answer, describe, fits
from engine.text.encoder import TextImageEncoder, load
from engine.text.prompts import QUESTIONS, Question


@pytest.fixture
def encoder(folder: Path) -> TextImageEncoder:
    return load(folder)


def test_the_nearest_answer_is_the_best(encoder: TextImageEncoder) -> None:
    question = Question("number", {"one": ("a single thing",), "two": ("a pair", "two things")})
    one = encoder.encode_text(["a single thing"])
    two = encoder.encode_text(["a pair", "two things"]).mean(0, keepdim=True)
    images = torch.nn.functional.normalize(torch.cat([two, one]), dim=1)
    first, second = answer(encoder, images, question)
    assert (first.best, second.best) == ("two", "one")
    assert list(first.shares) == ["one", "two"]
    assert sum(first.shares.values()) == pytest.approx(1.0, abs=1e-5)
    assert first.shares["two"] > first.shares["one"]


def test_questions_that_make_no_sense_are_left_out(encoder: TextImageEncoder) -> None:
    facts = describe(encoder, torch.rand(1, 3, 32, 32))
    gender = facts["gender"]["best"]
    asked = {"male": "beard", "female": "lipstick"}
    assert (
        asked[gender] in facts and asked[{"male": "female", "female": "male"}[gender]] not in facts
    )
    assert len(facts) == len(QUESTIONS) - 1


def test_texts_share_the_picture(encoder: TextImageEncoder) -> None:
    picture = torch.rand(1, 3, 32, 32)
    found = fits(encoder, picture, ["a", "b", "c"])
    assert [one["text"] for one in found] == ["a", "b", "c"]
    assert sum(one["share"] for one in found) == pytest.approx(1.0, abs=1e-5)
    cosines = encoder.similarity(picture, ["a", "b", "c"])[0].tolist()
    assert [one["similarity"] for one in found] == pytest.approx(cosines)


def test_questions_are_sound() -> None:
    names = [question.name for question in QUESTIONS]
    assert len(names) == len(set(names)) == 12
    for question in QUESTIONS:
        assert len(question.answers) > 1
        texts = [text for texts in question.answers.values() for text in texts]
        assert len(texts) == len(set(texts))
        if question.only:
            first = next(q for q in QUESTIONS if q.name == question.only[0])
            assert question.only[1] in first.answers
            assert names.index(first.name) < names.index(question.name)
