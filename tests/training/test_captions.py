"""Captions: varied words, nothing that the picture hides, and claims that can be checked."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.training.heads import catalogue as cat
from engine.training.heads.attributes import LATENT_SIZE, HeadAttributes, attributes_from_latent
from engine.training.heads.captions import (
    KIND_NAMES,
    caption,
    caption_of,
    codes,
    say,
    truth,
)
from engine.training.heads.wording import KINDS, facts
from engine.training.heads.world import head_latent


def people(count: int) -> list[HeadAttributes]:
    return [attributes_from_latent(head_latent(3, i)) for i in range(count)]


@pytest.fixture
def person() -> HeadAttributes:
    """A man of average everything, with nothing on his head."""
    plain = attributes_from_latent(np.zeros(LATENT_SIZE))
    return replace(
        plain, gender="male", age=30.0, hair_style="short01", hair_word="brown", hat="none",
        glasses="none", beard="none", expression="calm", smile=0.0, eye_color="blue",
        lightness=0.9, lipstick=False, mouth_open=0.0,
    )  # fmt: skip


def test_a_caption_is_a_function_of_seed_and_index() -> None:
    one = people(1)[0]
    assert caption_of(one, 5, 7) == caption_of(one, 5, 7)
    texts = {caption_of(one, seed, index).text for seed in range(3) for index in range(10)}
    assert len(texts) > 20


def test_captions_are_clean_text() -> None:
    words: Counter[str] = Counter()
    for index, one in enumerate(people(300)):
        text = caption_of(one, 0, index).text
        assert text == " ".join(text.split()) and text
        assert not set(text) & set("{}_") and not text.endswith((",", " with", " and", " a"))
        listed = text.replace(",", "").split()
        for article, word in itertools.pairwise(listed):
            if article in ("a", "an"):
                assert (article == "an") == (word[0] in "aeiou"), text
        words.update(listed)
    assert len(words) > 150


def test_captions_claim_only_what_is_known() -> None:
    random = np.random.default_rng(0)
    for one in people(300):
        known = facts(one)
        said = caption(known, random).said
        assert said and all(known[kind] == value for kind, value in said.items())


def test_the_number_of_facts_varies_from_one_to_nearly_all(person: HeadAttributes) -> None:
    random = np.random.default_rng(0)
    known = facts(person)
    counts = Counter(len(caption(known, random).said) for _ in range(400))
    assert counts[1] > 50 and sum(counts[n] for n in (2, 3, 4)) > 80
    assert sum(number for n, number in counts.items() if n > 5) > 80
    assert min(len(caption(known, random, 1.0).said) for _ in range(100)) >= 3


def test_what_is_hidden_is_not_known(person: HeadAttributes) -> None:
    assert facts(person)["eye"] == "blue" and facts(person)["hair"] == "brown"
    dark = facts(replace(person, glasses="sunglasses"))
    shut = facts(replace(person, expression="eyes closed"))
    for known in (dark, shut):
        assert "eye" not in known and "iris" not in known
    capped = facts(replace(person, hat="cap", hat_word="red"))
    assert not {"hair", "shade", "style", "cut"} & set(capped)
    assert capped["hat"] == "cap" and capped["hat colour"] == "red"
    long = facts(replace(person, hat="cap", hair_style="long01"))
    assert long["hair"] == "brown" and "style" not in long
    assert "hair" not in facts(replace(person, hair_style="bald"))


def test_words_for_what_is_hidden_never_appear(person: HeadAttributes) -> None:
    random = np.random.default_rng(1)
    hidden = facts(replace(person, glasses="sunglasses", hat="beanie"))
    for _ in range(300):
        text = caption(hidden, random).text
        assert " eyes" not in text and "irises" not in text and "-eyed" not in text
        assert "brown" not in text and "brunette" not in text, text


@pytest.mark.parametrize(
    ("change", "kind"),
    [({"age": 37.0}, "age"), ({"smile": 0.3}, "smile"), ({"smile": 0.3}, "expression"),
     ({"lightness": 0.66}, "skin")],
)  # fmt: skip
def test_nothing_is_claimed_on_a_border(
    person: HeadAttributes, change: dict[str, float], kind: str
) -> None:
    assert kind in facts(person)
    assert kind not in facts(replace(person, **change))  # type: ignore[arg-type]


def test_absence_is_said_now_and_then_and_only_where_it_is_worth_it(
    person: HeadAttributes,
) -> None:
    random = np.random.default_rng(2)
    of_him = [caption(facts(person), random, 1.0) for _ in range(300)]
    bare = Counter(kind for one in of_him for kind in ("eyewear", "beard", "hatted")
                   if one.said.get(kind) == "none")  # fmt: skip
    assert all(10 < bare[kind] < 150 for kind in ("eyewear", "beard", "hatted")), bare
    assert any("clean-shaven" in one.text for one in of_him)
    assert any("without" in one.text for one in of_him)
    assert not any("lipstick" in one.said for one in of_him)
    woman = facts(replace(person, gender="female"))
    of_her = [caption(woman, random, 1.0) for _ in range(300)]
    assert not any({"beard", "bearded"} & set(one.said) for one in of_her)
    assert any(one.said.get("lipstick") == "none" for one in of_her)


def test_synonyms_are_used(person: HeadAttributes) -> None:
    random = np.random.default_rng(3)
    red = replace(person, glasses="round", hair_word="red", smile=0.9)
    text = " ".join(caption(facts(red), random).text for _ in range(500))
    for word in ("ginger", "spectacles", "eyewear", "grin", "fair-skinned", "in his thirties",
                 "portrait of", "photo of", "gentleman"):  # fmt: skip
        assert word in text, word


def test_truth_of_captions_about_other_heads(person: HeadAttributes) -> None:
    heads = [
        person,
        replace(person, gender="female"),
        replace(person, glasses="sunglasses"),
        replace(person, eye_color="brown"),
    ]
    known = np.stack([codes(facts(head)) for head in heads])
    claims = [{"gender": "male"}, {"gender": "male", "eye": "blue"}, {"eyewear": "none"}]
    true, false = truth(np.stack([codes(one) for one in claims]), known)
    assert true.tolist() == [
        [True, False, True, True],
        [True, False, False, False],
        [True, True, False, True],
    ]
    assert false.tolist() == [
        [False, True, False, False],
        [False, True, False, True],  # behind sunglasses nobody can tell
        [False, False, True, False],
    ]


def test_neighbours_in_an_order_agree(person: HeadAttributes) -> None:
    known = np.stack([codes(facts(replace(person, age=float(a)))) for a in (25, 35, 45)])
    true, _ = truth(codes({"decade": "twenties"})[None], known)
    assert true.tolist() == [[True, True, False]]


def test_every_kind_has_words_for_its_values(person: HeadAttributes) -> None:
    random = np.random.default_rng(4)
    mute = {("laugh", "no"), ("shade", "other"), ("cut", "other"), ("hat", "none"),
            ("glasses", "none")}  # fmt: skip
    for kind, values in KINDS.items():
        if kind in ("frame", "hat colour"):  # said with the thing
            continue
        for value in values:
            if (kind, value) in mute:
                continue
            texts = {say({kind: value}, random).text for _ in range(40)}
            assert len(texts) > 3, (kind, value)
            nothing = {f"{opening}{noun}" for opening in ("", "a photo of ", "portrait of ")
                       for noun in ("a person", "someone")}  # fmt: skip
            assert not texts & nothing, (kind, value)


def test_codes_cover_what_heads_show() -> None:
    known = np.stack([codes(facts(one)) for one in people(400)])
    assert known.shape[1] == len(KIND_NAMES)
    seen = {kind: set(known[:, i]) - {-1} for i, kind in enumerate(KIND_NAMES)}
    for kind in ("gender", "age", "smile", "expression", "eyewear", "hat", "beard", "style"):
        assert len(seen[kind]) == len(KINDS[kind]), kind
    assert set(cat.HATS) == set(KINDS["hat"]) and set(cat.GLASSES) == set(KINDS["glasses"])
