"""How far an edit has to go until a face shows what a text says, in the encoder's eyes.

A model's own people tell what a text looks like here: the level of a text is the score that those
have who fit it. A slider's unit is set by it (:func:`in_units`), so that the same strength says any
text about as plainly, and a single face can be taken just so far (:func:`enough`): one that shows it
already stays as it is. Nobody but the encoder is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.editing.pca import Doubles
from engine.editing.samples import SeenSamples, draw_small
from engine.editing.texts import mean_vector, text_delta
from engine.generators.base import NEVER, CancelToken, Generator
from engine.text.encoder import TextImageEncoder
from engine.text.prompts import QUESTIONS

#: The strength that shall say a text, and the most that :func:`enough` tries.
MEANT, MOST = 3.0, 5.0
#: Share of people who lie below a text's level: one in twenty fits a text.
FITTING = 0.95
#: Where a text all but is the answer to a question (cosine of at least ALIKE) that some people's
#: pictures have (at least SOME), the level is not below that of a quarter of them: few are blonde.
ALIKE, SOME, OF_THOSE = 0.7, 5, 0.25
#: An edit goes this much further than to the level: the encoder's sight is not the only one.
BEYOND = 1.15
#: A slider's unit is this share of what takes the middle one of :data:`PEOPLE` so far. The last part
#: of the way is dear: a little less is seen nearly as often and changes less that was not asked for.
SPARING = 0.9
#: How many people a slider's unit is the median of, and how much nearer to the mean they are than
#: the mapping gives them.
PEOPLE, PSI = 16, 0.7
#: The level is met where it is passed by less than this share of the way to it; at most so many
#: pictures are looked at.
_NEAR, _LOOKS = 0.12, 6


@dataclass(frozen=True)
class Level:
    """When a face shows a text.

    Attributes:
        aim: D numbers, the unit vector from the neutral text to the text.
        score: the product of aim and picture from which it is shown.
    """

    aim: tuple[float, ...]
    score: float

    def of(self, seen: Tensor) -> float:
        """The score of one picture's vector ``[D]``."""
        return float(seen.cpu().double() @ torch.tensor(self.aim, dtype=torch.float64))


def level_of(people: SeenSamples, encoder: TextImageEncoder, text: str, neutral: str = "") -> Level:
    """The level of a text among a model's people.

    Raises:
        UserError: as :func:`~engine.editing.texts.text_delta`.
    """
    delta = text_delta(encoder, text, neutral)
    aim = delta / delta.norm()
    scores = (people.seen.double() @ aim).numpy()
    score = float(np.quantile(scores, FITTING))
    best, best_has = ALIKE, None
    for question in QUESTIONS:
        answers = torch.stack([mean_vector(encoder, t) for t in question.answers.values()])
        near = F.cosine_similarity(answers - answers.mean(0), delta[None], dim=1)
        if float(near.max()) >= best:
            best = float(near.max())
            best_has = ((people.seen.double() @ answers.T).argmax(1) == near.argmax()).numpy()
    if best_has is not None and best_has.sum() >= SOME:
        score = max(score, float(np.quantile(scores[best_has], OF_THOSE)))
    return Level(tuple(aim.tolist()), score)


@dataclass(frozen=True)
class Enough:
    """How far one face has to be edited.

    Attributes:
        strength: 0 to :data:`MOST`; 0 where the face shows the text as it is.
        shown: whether the text is shown then; else this is the strength that came nearest.
    """

    strength: float
    shown: bool

    def note(self, text: str) -> str:
        """What to say of it to people, in one sentence; empty where nothing is odd."""
        if not self.shown:
            return (
                f"The text encoder does not quite see {text!r} in this face at any strength up to "
                f"{MOST:g}; {self.strength:g} comes nearest."
            )
        if self.strength == 0.0:
            return f"This face shows {text!r} already to the text encoder, so the strength is 0."
        return ""


def enough(
    generator: Generator,
    at: Callable[[float], Tensor],
    encoder: TextImageEncoder,
    level: Level,
    cancel: CancelToken = NEVER,
) -> Enough:
    """The least strength with which a face shows a text to the encoder, and a little more
    (:data:`BEYOND`).

    Args:
        at: strength -> w ``[num_ws, w_dim]`` of the face with the edit.

    Raises:
        Cancelled: ``cancel`` was set.
    """

    def missing(strength: float) -> float:
        cancel.check()
        picture = draw_small(generator, at(strength), cancel=cancel)
        with torch.inference_mode():
            seen = encoder.encode_image(picture[None].to(encoder.device))[0]
        return level.score - level.of(seen)

    lacks = missing(0.0)
    if lacks <= 0.0:
        return Enough(0.0, True)
    below, above = (0.0, lacks), None
    nearest, here = (lacks, 0.0), MEANT
    for _ in range(_LOOKS):
        short = missing(here)
        nearest = min(nearest, (abs(short), here))
        if short <= 0.0:
            above = (here, short)
            if -short <= _NEAR * lacks:
                break
        elif above is None and (here >= MOST or short > 1.5 * lacks):
            break
        else:
            below = (here, short)
        if above is None:
            # As if it went on in this way, but no leaps.
            gained = (lacks - short) / here
            here = min(MOST, 2.0 * here, here + short / gained if gained > 0.0 else MOST)
        else:
            share = below[1] / (below[1] - above[1])
            here = below[0] + (above[0] - below[0]) * min(max(share + _NEAR / 2, 0.1), 0.9)
    found = nearest[1] if above is None else above[0]
    return Enough(round(min(MOST, found * BEYOND), 2), above is not None)


def in_units(
    generator: Generator,
    people: SeenSamples,
    flat: Doubles,
    encoder: TextImageEncoder,
    level: Level,
    cancel: CancelToken = NEVER,
) -> Doubles:
    """A direction ``[D]`` with the length at which :data:`MEANT` is :data:`SPARING` of what is enough
    for half of the people who show less of the text than the middle one: those whom one would edit.

    No unit becomes more than three times as long or short: what is beyond says that the encoder
    does not see these edits.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    middle = people.w.mean(0)
    offset = torch.from_numpy(flat.reshape(-1, generator.capabilities.w_dim))
    scores = people.seen.double() @ torch.tensor(level.aim, dtype=torch.float64)
    needed: list[float] = []
    for row in people.w[scores <= scores.median()][:PEOPLE]:
        w = (middle + PSI * (row - middle)).to(generator.device)
        needed.append(enough(generator, _along(w, offset.to(w)), encoder, level, cancel).strength)
    median = float(np.median(needed)) or MEANT
    return SPARING * min(max(median / MEANT, 1 / 3), 3.0) * flat


def _along(w: Tensor, offset: Tensor) -> Callable[[float], Tensor]:
    return lambda strength: w + strength * offset
