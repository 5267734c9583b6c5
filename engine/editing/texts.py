"""What a text asks for, as a direction in an encoder's space: the text against a neutral one.

A text is put into a few sentences, whose mean says less about wording than any of them, and what
else a face can be asked about (:data:`~engine.text.prompts.QUESTIONS`) is put beside it, so that
an edit can hold the rest still.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.edits import name_of, tidy
from engine.errors import UserError
from engine.text.encoder import TextImageEncoder
from engine.text.prompts import QUESTIONS

NEUTRAL = "a face"
#: What a text against no other is compared with, and what stands around short texts.
_NEUTRALS = ("a person", "a photo of a person", "a face", "a photo of a face")
_AROUND = ("{}", "a {} person", "a person with {}", "a photo of a {} person")
_WHOLE = re.compile(r"\b(person|someone|man|woman|guy|lady|boy|girl|face|head|portrait|photo)\b")
#: "add a beard", "make her smile": the wish is not part of what is to be seen.
_WISH = re.compile(
    r"^(please\s+)?(add|give|make|put on|turn)\s+((him|her|it|them|the (man|woman|person|face))\s+)?"
    r"((look|be|into|wear|have)\s+)?", re.IGNORECASE,
)  # fmt: skip
_ARTICLE = re.compile(r"^(an?|the|some)\s+", re.IGNORECASE)
MAX_TEXT = 200
#: A text whose vector lies nearer to the neutral one's than this share of how far answers to
#: questions about faces lie apart says next to nothing to the encoder.
WEAK = 0.45
#: A question whose answer lies nearer than this (cosine) to the text is the text's own.
OWN = 0.5


def checked_text(text: str) -> str:
    """A text as it is used: without control characters and halves of letters, which no encoder reads.

    Raises:
        UserError: there is none, nothing of it can be seen, or it is too long.
    """
    plain = tidy(text)
    if not name_of(plain):
        raise UserError("The text of an edit is empty; write what should be seen, such as smiling.")
    if len(plain) > MAX_TEXT:
        raise UserError(f"The text of an edit has {len(plain)} letters; use at most {MAX_TEXT}.")
    return plain


def sentences(text: str) -> tuple[str, ...]:
    """The sentences that stand for a text: itself where it speaks of a person, else several."""
    plain = _WISH.sub("", checked_text(text)) or text
    if _WHOLE.search(plain.lower()):
        return (plain,)
    bare = _ARTICLE.sub("", plain) or plain
    return tuple(dict.fromkeys(form.format(bare) for form in _AROUND))


def mean_vector(encoder: TextImageEncoder, texts: tuple[str, ...]) -> Tensor:
    """``[D]`` mean of the unit vectors of texts, on the CPU in 64 bits."""
    return encoder.encode_text(texts).double().cpu().mean(0)


def text_delta(encoder: TextImageEncoder, text: str, neutral: str = "") -> Tensor:
    """``[D]`` from the neutral text to the text; not of unit length.

    Args:
        neutral: what to compare with; empty for a person of whom nothing is said.

    Raises:
        UserError: a text is empty or too long, or the two say the same.
    """
    against = sentences(neutral) if neutral.strip() else _NEUTRALS
    delta = mean_vector(encoder, sentences(text)) - mean_vector(encoder, against)
    if float(delta.norm()) < 1e-6:
        raise UserError("The text and the neutral text say the same, so nothing can be changed.")
    return delta


@dataclass(frozen=True)
class Others:
    """What else a face can be asked about.

    Attributes:
        names: "question: answer".
        axes: ``[K, D]`` from the mean of a question's answers to each of them.
        questions: of which question each is.
    """

    names: tuple[str, ...]
    axes: Tensor
    questions: tuple[str, ...]

    def only(self, places: Iterable[int]) -> Others:
        """Some of them."""
        kept = list(places)
        return Others(
            tuple(self.names[k] for k in kept),
            self.axes[kept],
            tuple(self.questions[k] for k in kept),
        )

    def without_own(self, delta: Tensor, own: float = OWN) -> Others:
        """Those that are not what a text asks for itself: a question with an answer that lies
        near the text is left out whole."""
        near = F.cosine_similarity(self.axes, delta[None].to(self.axes), dim=1)
        mine = {q for q, cosine in zip(self.questions, near.tolist(), strict=True) if cosine > own}
        return self.only(place for place, q in enumerate(self.questions) if q not in mine)


def others(encoder: TextImageEncoder) -> Others:
    """Every answer of every question."""
    names, axes, questions = [], [], []
    for question in QUESTIONS:
        means = {a: mean_vector(encoder, texts) for a, texts in question.answers.items()}
        middle = torch.stack(list(means.values())).mean(0)
        for answer, vector in means.items():
            names.append(f"{question.name}: {answer}")
            axes.append(vector - middle)
            questions.append(question.name)
    return Others(tuple(names), torch.stack(axes), tuple(questions))


def weakness(encoder: TextImageEncoder, text: str, neutral: str = "") -> str:
    """A sentence where a text says next to nothing to an encoder; else empty.

    Raises:
        UserError: as :func:`text_delta`.
    """
    delta = text_delta(encoder, text, neutral)
    typical = float(others(encoder).axes.norm(dim=1).median())
    return says_little(encoder, text) if float(delta.norm()) < WEAK * typical else ""


def says_little(encoder: TextImageEncoder, text: str) -> str:
    """What to say then."""
    return (
        f"The text {text!r} says next to nothing to the text encoder ({encoder_name(encoder)}), so "
        "the edit may change anything or nothing; use other words, or another encoder."
    )


def encoder_name(encoder: TextImageEncoder) -> str:
    """What to call an encoder."""
    return encoder.name or "the bundled one"
