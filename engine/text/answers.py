"""Which answer to a question a picture is nearest to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.text.encoder import TextImageEncoder
from engine.text.prompts import QUESTIONS, Question


@dataclass(frozen=True)
class Answer:
    """For one picture.

    Attributes:
        best: the nearest answer. shares: of each answer, by a softmax; they sum to 1.
    """

    best: str
    shares: dict[str, float]


@torch.no_grad()
def answer(encoder: TextImageEncoder, images: Tensor, question: Question) -> list[Answer]:
    """The answers of pictures, given as their vectors ``[N, D]``."""
    vectors = torch.stack(
        [encoder.encode_text(texts).mean(0) for texts in question.answers.values()]
    )
    shares = (encoder.logit_scale * images @ F.normalize(vectors, dim=-1).T).softmax(-1)
    names = list(question.answers)
    return [
        Answer(names[int(row.argmax())], dict(zip(names, row.tolist(), strict=True)))
        for row in shares
    ]


@torch.no_grad()
def describe(encoder: TextImageEncoder, picture: Tensor) -> dict[str, dict[str, Any]]:
    """Answers to all questions about one picture ``[1, 3, H, W]``, fit for JSON.

    A question that makes no sense after the others' answers (a woman's beard) is left out.
    """
    images = encoder.encode_image(picture)
    found: dict[str, dict[str, Any]] = {}
    for question in QUESTIONS:
        if question.only is None or found[question.only[0]]["best"] == question.only[1]:
            (one,) = answer(encoder, images, question)
            found[question.name] = {"best": one.best, "shares": one.shares}
    return found


@torch.no_grad()
def fits(encoder: TextImageEncoder, picture: Tensor, texts: Sequence[str]) -> list[dict[str, Any]]:
    """For each text its cosine with a picture ``[1, 3, H, W]`` and its share among the texts."""
    cosines = encoder.similarity(picture, texts)[0]
    shares = (encoder.logit_scale * cosines).softmax(0)
    return [
        {"text": text, "similarity": float(cosine), "share": float(share)}
        for text, cosine, share in zip(texts, cosines, shares, strict=True)
    ]
