"""What the encoder learns from: whole captions, parts of them, and questions with answers.

Many captions are true of many heads ("a smiling woman"), so the usual contrastive loss, in which
every caption belongs to one picture, would punish right answers. Captions know what they claim:
of each pair of caption and head it is known whether it is true, false, or not to be told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.training.heads.captions import KIND_NAMES, Caption, caption, codes, say, truth
from engine.training.heads.wording import KINDS

#: Kinds that are asked for with all their answers, and values that no text says.
QUESTION_KINDS = (
    "gender", "age", "decade", "skin", "tone", "smile", "laugh", "expression", "mouth", "hair",
    "shade", "style", "eye", "iris", "eyewear", "glasses", "beard", "bearded", "hat", "hatted",
    "lipstick",
)  # fmt: skip
#: What is told by a few pixels is learned last and counts more; what has hardly more than shades
#: of another kind's answers counts less.
WEIGHTS = {
    "smile": 3.0, "expression": 4.0, "lipstick": 2.0, "eye": 4.0, "beard": 3.0, "age": 2.0,
    "hair": 2.0, "decade": 0.5, "tone": 0.5, "shade": 0.5, "iris": 0.5, "laugh": 0.5,
}  # fmt: skip
_UNASKED = {("shade", "other"), ("glasses", "none"), ("laugh", "no")}
#: Said by another kind.
_INSTEAD = {("hat", "none"): ("hatted", "none")}
#: Kinds of which only some heads are asked: kind to (kind, value).
ASKED_OF = {
    "beard": ("gender", "male"),
    "bearded": ("gender", "male"),
    "lipstick": ("gender", "female"),
}


def agreement(logits: Tensor, true: Tensor, false: Tensor) -> Tensor:
    """Cross entropy of each row of ``[T, N]`` against the columns that are true of it.

    Columns that are neither true nor false are left out; rows without a true one are too.
    """
    rows = true.any(1)
    if not bool(rows.any()):
        return logits.sum() * 0.0
    kept = logits.masked_fill(~(true | false), -1e4)
    likely = F.log_softmax(kept, dim=1)
    share = true.float() / true.sum(1, keepdim=True).clamp(min=1)
    return -(share * likely.masked_fill(~true, 0.0)).sum(1)[rows].mean()


def pair_truth(captions: Sequence[Caption], known: NDArray[np.int16]) -> tuple[Tensor, Tensor]:
    """``[T, N]`` which captions are true of which heads, and which are false."""
    said = np.stack([codes(one.said) for one in captions])
    true, false = truth(said, known)
    return torch.from_numpy(true), torch.from_numpy(false)


def captions_for(
    known: Sequence[dict[str, str]], random: np.random.Generator, full: bool
) -> list[Caption]:
    """A caption of each head: nearly all facts, or few."""
    return [caption(one, random, 1.0 if full else 0.0) for one in known]


def questions(random: np.random.Generator) -> tuple[list[str], list[tuple[str, NDArray[np.int16]]]]:
    """New words for every answer of every question.

    Returns:
        the texts, and for each question in their order its kind and the answers' codes.
    """
    texts: list[str] = []
    asked: list[tuple[str, NDArray[np.int16]]] = []
    for kind in QUESTION_KINDS:
        values = KINDS[kind]
        answers = [i for i, value in enumerate(values) if (kind, value) not in _UNASKED]
        if len(answers) < 2:
            continue
        whose = ASKED_OF.get(kind)
        # Now and then the question is about a man or a woman rather than a person.
        about = {whose[0]: whose[1]} if whose and random.random() < 0.5 else {}
        for i in answers:
            said_kind, value = _INSTEAD.get((kind, values[i]), (kind, values[i]))
            texts.append(say({**about, said_kind: value}, random).text)
        asked.append((kind, np.array(answers, np.int16)))
    return texts, asked


def question_loss(
    logits: Tensor, asked: list[tuple[str, NDArray[np.int16]]], known: NDArray[np.int16]
) -> Tensor:
    """Mean cross entropy of the answers, each kind by its weight.

    Args:
        logits: ``[N, texts]``. asked: of :func:`questions`. known: ``[N, K]`` codes.

    Rare answers count more than common ones, by the square root of their share.
    """
    losses, weights, first = [], [], 0
    for kind, answers in asked:
        column = KIND_NAMES.index(kind)
        part = logits[:, first : first + len(answers)]
        first += len(answers)
        label = np.full(len(known), -1)
        for position, code in enumerate(answers):
            label[known[:, column] == code] = position
        if kind in ASKED_OF:
            whose, value = ASKED_OF[kind]
            asked_of = known[:, KIND_NAMES.index(whose)] == KINDS[whose].index(value)
            label[~asked_of] = -1
        rows = np.flatnonzero(label >= 0)
        if not len(rows):
            continue
        counts = np.bincount(label[rows], minlength=len(answers))
        weight = torch.from_numpy((counts[label[rows]] ** -0.5).astype(np.float32))
        entropy = F.cross_entropy(
            part[torch.from_numpy(rows)], torch.from_numpy(label[rows]), reduction="none"
        )
        losses.append((entropy * weight).sum() / weight.sum())
        weights.append(WEIGHTS.get(kind, 1.0))
    if not losses:
        return logits.sum() * 0.0
    together = torch.tensor(weights)
    return (torch.stack(losses) * together).sum() / together.sum()
