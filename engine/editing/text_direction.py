"""From a text to a slider: the direction in w along which a model's own people come to fit it.

People are drawn small, once for a model and an encoder (:mod:`engine.editing.samples`). How well
each fits the text is the score of its picture along the text's direction in the encoder's space.
w is then regressed on that score and, at the same time, on the scores of everything else that a
face can be asked about: the coefficient of the text's score is how people differ in w who differ
in what the text says and in nothing else. That is the partial regression of statistics, shrunk
(ridge, Hoerl and Kennard 1970), the other way round than usual: w is what is explained, so that the
direction stays where people are, however many numbers w has.

From there the direction is refined by looking at edits (:mod:`engine.editing.refine`), and half of
what that changes is kept: a regression is blurred, but cannot be drawn to what merely looks right to
the encoder. Its unit is such that strength 3 says the text (:mod:`engine.editing.strength`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.editing import refine, strength
from engine.editing.cache import Cache
from engine.editing.directions import Direction
from engine.editing.pca import as_offset, flat_rows
from engine.editing.samples import SIDE, ModelId, Progress, SeenSamples, seen_samples, silent
from engine.editing.strength import Level, level_of
from engine.editing.texts import (
    NEUTRAL,
    Others,
    checked_text,
    encoder_name,
    others,
    says_little,
    text_delta,
)
from engine.edits import Offset, name_of
from engine.generators.base import NEVER, CancelToken, Generator
from engine.text.encoder import TextImageEncoder

__all__ = ["TextDirection", "encoder_name", "text_direction"]

#: Share of the samples' number by which the other scores' coefficients are shrunk.
RIDGE = 1 / 6
#: A text whose scores spread less than this share of what questions about faces do says next to
#: nothing to the encoder.
WEAK = 0.35
#: Share of what refining changes that is kept. Judged by a network that knows no text, age and bald
#: heads come out better without any of it, long hair and eyes with all of it.
KEPT = 0.6
#: Raised with every change of how directions of texts are found.
_VERSION = 3
#: A question is the text's own where an answer's direction lies nearer than this to the text's
#: (cosine), and correlates with it among the people nearly as well as the best one's does.
OWN_COSINE, OWN_CORRELATION = 0.5, 0.06


@dataclass(frozen=True)
class TextDirection:
    """What was found for a text.

    Attributes:
        direction: the slider.
        power: how far the text spreads the model's people, in shares of what questions about
            faces do; about 1 for a text that the encoder knows.
        held: the questions whose answers are held still.
        note: a sentence where the text says next to nothing; else empty.
        level: when a face shows the text.
    """

    direction: Direction
    power: float
    held: tuple[str, ...]
    note: str
    level: Level


def spread_of(seen: Tensor, axes: Tensor) -> Tensor:
    """``[K]`` standard deviations of the scores of ``[N, D]`` pictures along ``[K, D]``."""
    centred = seen.double() - seen.double().mean(0)
    return (centred @ axes.double().T).std(0)


def held_still(seen: Tensor, delta: Tensor, rest: Others) -> Others:
    """What else can be asked that is not what the text asks for.

    Args:
        seen: ``[N, D]`` pictures of people.
        delta: ``[D]`` of the text.
    """
    centred = seen.double() - seen.double().mean(0)
    score, scores = centred @ delta, centred @ rest.axes.T
    scale = (scores.square().mean(0) * score.square().mean()).sqrt().clamp(min=1e-12)
    alike = ((scores * score[:, None]).mean(0) / scale).tolist()
    near = torch.cosine_similarity(rest.axes, delta[None], dim=1).tolist()
    best = max((r for c, r in zip(near, alike, strict=True) if c > OWN_COSINE), default=np.inf)
    own = {
        question
        for question, c, r in zip(rest.questions, near, alike, strict=True)
        if c > OWN_COSINE and r > best - OWN_CORRELATION
    }
    return rest.only(place for place, q in enumerate(rest.questions) if q not in own)


def regressed(w: Tensor, seen: Tensor, delta: Tensor, rest: Others) -> Tensor:
    """``[D_w]``: what w gains with one standard deviation of the text's score, all else equal.

    Args:
        w: ``[N, D_w]`` of people.
        seen: ``[N, D]`` their pictures.
        delta: ``[D]`` of the text. rest: what is held still.
    """
    axes = torch.cat([delta[None], rest.axes]).double()
    centred = seen.double() - seen.double().mean(0)
    scores = centred @ axes.T
    scores = scores / scores.std(0).clamp(min=1e-12)
    shrink = torch.full((len(axes),), RIDGE * len(w), dtype=torch.float64)
    shrink[0] = 0.0
    gram = scores.T @ scores + torch.diag(shrink)
    wide = w.double() - w.double().mean(0)
    found: Tensor = torch.linalg.solve(gram, scores.T @ wide)[0]
    return found


def text_direction(
    generator: Generator,
    model: ModelId,
    encoder: TextImageEncoder,
    encoder_id: str,
    text: str,
    neutral: str = "",
    cache: Cache | None = None,
    progress: Progress = silent,
    cancel: CancelToken = NEVER,
) -> TextDirection:
    """The slider of a text. The same on every call; at once where it was found before.

    Args:
        encoder_id: what tells this encoder from others (:mod:`engine.editing.encoders`).
        neutral: what to compare with; empty for a person of whom nothing is said.
        progress: how many people are drawn, of how many, and then how many moves are made.

    Raises:
        UserError: the text is empty or too long, or says what the neutral one says.
        Cancelled: ``cancel`` was set.
    """
    text, cache = checked_text(text), cache or Cache()
    delta = text_delta(encoder, text, neutral)
    people = seen_samples(generator, model, encoder, encoder_id, cache, progress=progress,
                          cancel=cancel)  # fmt: skip
    plain = from_samples(people, encoder, delta, text, neutral, generator, model)
    if plain.note or not refine.STEPS:
        return plain
    facts = generator.capabilities
    key = cache.key(
        what="text", version=_VERSION, text=text, neutral=neutral.strip(), encoder=encoder_id, steps=refine.STEPS,
        people=len(people.w), side=SIDE, **model.facts(generator),
    )  # fmt: skip
    kept = cache.read(key, ("offset",))
    if kept is None:
        start = plain.direction.offset.numbers.astype(np.float64).reshape(-1)
        rest = held_still(people.seen, delta, others(encoder))
        flat = refine.refined(
            generator, encoder, people, start, delta, rest, progress, cancel
        )  # fmt: skip
        flat = (1.0 - KEPT) * start + KEPT * flat
        flat = strength.in_units(generator, people, flat, encoder, plain.level, cancel)
        kept = {"offset": flat.reshape(-1, facts.w_dim)}
        cache.write(key, kept)
    return replace(plain, direction=replace(plain.direction, offset=Offset.of(kept["offset"])))


def from_samples(
    people: SeenSamples,
    encoder: TextImageEncoder,
    delta: Tensor,
    text: str,
    neutral: str,
    generator: Generator,
    model: ModelId,
) -> TextDirection:
    """:func:`text_direction` of people that are drawn already, by the regression alone."""
    facts = generator.capabilities
    everything = others(encoder)
    typical = float(spread_of(people.seen, everything.axes).median())
    power = float(spread_of(people.seen, delta[None])[0]) / max(typical, 1e-12)
    rest = held_still(people.seen, delta, everything)
    flat = torch.from_numpy(flat_rows(people.w.numpy()))
    offset = as_offset(regressed(flat, people.seen, delta, rest).numpy(), facts.w_dim)
    note = says_little(encoder, text) if power < WEAK else ""
    details = (
        ("text", text),
        ("neutral", checked_text(neutral) if neutral.strip() else NEUTRAL),
        ("encoder", encoder_name(encoder)[:100]),
        ("power", round(power, 4)),
    )
    direction = Direction(name_of(text), offset, "text", facts.family, model.sha256, details)
    level = level_of(people, encoder, text, neutral)
    return TextDirection(direction, power, tuple(dict.fromkeys(rest.questions)), note, level)
