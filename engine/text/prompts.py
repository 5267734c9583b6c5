"""Questions that a picture of a head can be asked, each with the words of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_PERSON = ("a person with {}", "a photo of someone with {}")
_WEARING = ("a person wearing {}", "a photo of someone wearing {}")


@dataclass(frozen=True)
class Question:
    """One attribute.

    Attributes:
        name: of the attribute. answers: answer to the texts that stand for it; the picture
            that is nearest to their mean has that answer.
        only: what must be true for the question to make sense, as (question, answer).
    """

    name: str
    answers: Mapping[str, tuple[str, ...]]
    only: tuple[str, str] | None = field(default=None)


def _filled(templates: tuple[str, ...], words: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {answer: tuple(t.format(word) for t in templates) for answer, word in words.items()}


def _hair(*colours: str) -> dict[str, tuple[str, ...]]:
    return _filled(_PERSON, {colour: f"{colour} hair" for colour in colours})


QUESTIONS: tuple[Question, ...] = (
    Question("gender", _filled(("a {}", "a photo of a {}"), {"female": "woman", "male": "man"})),
    Question(
        "age",
        _filled(("a {} person", "a portrait of a {} person"),
                {a: a for a in ("young", "middle-aged", "elderly")}),
    ),
    Question(
        "skin tone",
        _filled(_PERSON, {"fair": "fair skin", "tan": "tan skin", "dark": "dark skin"}),
    ),
    Question(
        "smiling",
        {"smiling": ("a smiling person", "a person with a smile"),
         "serious": ("a serious person", "a person with a serious face")},
    ),
    Question(
        "expression",
        {
            "neutral": ("a calm person", "a person with a neutral expression"),
            "smiling": ("a smiling person", "a person with a happy expression"),
            "surprised": ("a surprised person", "a person with a surprised expression"),
            "sad": ("a sad person", "a person with a sad expression"),
            "angry": ("an angry person", "a person with an angry expression"),
            "kissing": ("a kissing person", "a person with pursed lips"),
            "sceptical": ("a sceptical person", "a person with a sceptical look"),
            "eyes closed": ("a person with eyes closed", "a person with closed eyes"),
        },
    ),
    Question(
        "hair colour",
        _hair("black", "brown", "blonde", "red", "grey", "white", "pink", "blue", "purple",
              "green"),
    ),
    Question(
        "hair style",
        {
            **_filled(_PERSON, {
                "long": "long hair", "bob": "a bob cut", "ponytail": "a ponytail",
                "braid": "braided hair", "short": "short hair", "buzz cut": "a buzz cut",
            }),
            "bald": ("a bald person", "a person with a bald head"),
        },
    ),
    Question(
        "eye colour",
        _filled(_PERSON, {c: f"{c} eyes" for c in ("brown", "hazel", "green", "grey", "blue")}),
    ),
    Question(
        "glasses",
        {"none": ("a person without glasses", "a person with no glasses"),
         **_filled(_WEARING, {"glasses": "glasses", "sunglasses": "sunglasses"})},
    ),
    Question(
        "beard",
        {
            "none": ("a clean-shaven man", "a man with no beard"),
            **_filled(("a man with {}", "a photo of a man with {}"), {
                "stubble": "stubble", "full beard": "a full beard", "goatee": "a goatee",
                "moustache": "a moustache",
            }),
        },
        only=("gender", "male"),
    ),
    Question(
        "hat",
        {"none": ("a person without a hat", "a person with no hat"),
         **_filled(_WEARING, {"beanie": "a beanie", "fedora": "a fedora", "cap": "a cap"})},
    ),
    Question(
        "lipstick",
        {"none": ("a woman with no lipstick", "a woman with natural lips"),
         "lipstick": ("a woman with lipstick", "a woman wearing lipstick")},
        only=("gender", "female"),
    ),
)  # fmt: skip
