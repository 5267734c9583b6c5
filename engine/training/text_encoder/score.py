"""Judging a text encoder on heads that it was never trained on.

Any :class:`~engine.text.encoder.TextImageEncoder` can be judged, a user's own too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from engine.text.answers import answer
from engine.text.encoder import TextImageEncoder
from engine.text.prompts import QUESTIONS
from engine.training.heads.captions import say, sayable_facts

#: The question's name to the kind of fact that holds its answer.
KIND_OF = {
    "gender": "gender", "age": "age", "skin tone": "skin", "smiling": "smile",
    "expression": "expression", "hair colour": "hair", "hair style": "style",
    "eye colour": "eye", "glasses": "eyewear", "beard": "beard", "hat": "hat",
    "lipstick": "lipstick",
}  # fmt: skip


@dataclass(frozen=True)
class AttributeScore:
    """One question.

    Attributes:
        accuracy: share of right answers. balanced: its mean over the answers that occur.
        chance: of guessing with equal odds. most: of always giving the commonest answer.
        asked: of how many pictures. missing: answers that occur in none.
        confusions: "truth -> answer" to how often, the commonest first.
    """

    accuracy: float
    balanced: float
    chance: float
    most: float
    asked: int
    missing: tuple[str, ...]
    confusions: Mapping[str, int]


@dataclass(frozen=True)
class Scores:
    """Of an encoder.

    Attributes:
        top1, top5: share of captions whose own picture is the nearest of ``among``, or among the
            five nearest. picture_top1, picture_top5: the same for pictures and captions.
        among: pictures that were chosen from, one a head. heads, pictures: that there were.
        attributes: by question.
    """

    top1: float
    top5: float
    picture_top1: float
    picture_top5: float
    among: int
    heads: int
    pictures: int
    attributes: Mapping[str, AttributeScore]

    @property
    def mean(self) -> float:
        """Mean accuracy over the attributes."""
        return float(np.mean([a.accuracy for a in self.attributes.values()]))

    @property
    def mean_balanced(self) -> float:
        """Mean balanced accuracy over the attributes."""
        return float(np.mean([a.balanced for a in self.attributes.values()]))

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {**asdict(self), "mean": self.mean, "mean_balanced": self.mean_balanced}

    def table(self) -> str:
        """For people."""
        rows: list[tuple[str, ...]] = [
            ("attribute", "accuracy", "balanced", "chance", "commonest", "pictures")
        ]
        for name, a in self.attributes.items():
            shares = (f"{100 * v:.1f} %" for v in (a.accuracy, a.balanced, a.chance, a.most))
            rows.append((name, *shares, str(a.asked)))
        rows.append(("mean", f"{100 * self.mean:.1f} %", f"{100 * self.mean_balanced:.1f} %",
                     "", "", ""))  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        lines.append(
            f"picture of a caption, among {self.among}: first {100 * self.top1:.1f} %, in the "
            f"first five {100 * self.top5:.1f} %; caption of a picture: "
            f"{100 * self.picture_top1:.1f} %, {100 * self.picture_top5:.1f} %"
        )
        return "\n".join(lines)


@torch.no_grad()
def encode_pictures(encoder: TextImageEncoder, pictures: Tensor, batch: int = 32) -> Tensor:
    """``[N, D]`` of ``[N, 3, H, W]``, a few at a time."""
    return torch.cat([encoder.encode_image(part) for part in torch.split(pictures, batch)])


def score(
    encoder: TextImageEncoder,
    pictures: Tensor,
    known: Sequence[Mapping[str, str]],
    frontal: Sequence[int],
    among: int = 100,
    draws: int = 20,
    seed: int = 0,
) -> Scores:
    """Scores on pictures of heads.

    Args:
        pictures: ``[N, 3, H, W]`` in [0, 1]. known: what each shows, by kind of fact.
        frontal: the one picture of each head that retrieval uses.
        among: pictures to choose from in a retrieval (fewer where there are fewer heads).
        draws: random choices of them, each with new words. seed: of these.
    """
    images = encode_pictures(encoder, pictures)
    attributes = {}
    for question in QUESTIONS:
        kind = KIND_OF[question.name]
        asked = [
            i for i, one in enumerate(known)
            if kind in one
            and (question.only is None or one.get(question.only[0]) == question.only[1])
        ]  # fmt: skip
        given = answer(encoder, images[asked], question)
        attributes[question.name] = _judged(
            [known[i][kind] for i in asked], [one.best for one in given], list(question.answers)
        )
    among = min(among, len(frontal))
    hits = np.zeros(4)
    random = np.random.default_rng(seed)
    for _ in range(draws):
        chosen = [frontal[i] for i in random.choice(len(frontal), among, replace=False)]
        texts = [say(sayable_facts(known[n], random), random, known[n]).text for n in chosen]
        hits += _retrieved(encoder.encode_text(texts) @ images[chosen].T)
    top1, top5, picture_top1, picture_top5 = (float(v) for v in hits / draws)
    found = (top1, top5, picture_top1, picture_top5, among)
    return Scores(*found, len(frontal), len(known), attributes)


def _retrieved(similar: Tensor) -> np.ndarray:
    """``[4]`` shares of rows, then columns, whose own entry is first, or among five."""
    own = similar.diagonal()
    shares = []
    for ranks in ((similar > own[:, None]).sum(1), (similar > own[None]).sum(0)):
        shares += [float((ranks < n).float().mean()) for n in (1, 5)]
    return np.array(shares)


def _judged(truth: list[str], given: list[str], answers: list[str]) -> AttributeScore:
    pairs = list(zip(truth, given, strict=True))
    occurring = [a for a in answers if a in truth]
    right = [t == g for t, g in pairs]
    per = [float(np.mean([g == a for t, g in pairs if t == a])) for a in occurring]
    wrong: dict[str, int] = {}
    for t, g in pairs:
        if t != g:
            wrong[f"{t} -> {g}"] = wrong.get(f"{t} -> {g}", 0) + 1
    return AttributeScore(
        accuracy=float(np.mean(right)) if right else 0.0,
        balanced=float(np.mean(per)) if per else 0.0,
        chance=1.0 / len(answers),
        most=max((truth.count(a) / len(truth) for a in occurring), default=0.0),
        asked=len(truth),
        missing=tuple(a for a in answers if a not in truth),
        confusions=dict(sorted(wrong.items(), key=lambda item: -item[1])[:12]),
    )
