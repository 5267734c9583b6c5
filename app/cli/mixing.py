"""``--mix`` and ``--blend``: faces made of several."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Annotated, Any

import tyro

from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.identity import Blend, BlendSpace, StyleSource
from engine.recipe import Recipe

_SOURCE = re.compile(r"(?P<seed>\d+)@(?P<rows>[^*]+)(?:\*(?P<weight>[^*]+))?")
_PART = re.compile(r"(?P<seed>\d+)(?:=(?P<weight>.+))?")


@dataclass(frozen=True)
class MixingOptions:
    """Other people's layers, or a face between several."""

    mix: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="SEED@LAYERS", help_behavior_hint="(default: none)")
    ] = ()
    """Take layers from other seeds: 5@0-3,7 or 5@coarse, or 5@4-9*0.5 to meet half-way."""
    blend: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="SEED=WEIGHT", help_behavior_hint="(default: none)")
    ] = ()
    """Draw a face between several: 3=0.5 8=0.5; without weights all count alike."""
    blend_space: Annotated[BlendSpace | None, tyro.conf.arg(help_behavior_hint="(default: w)")] = (
        None
    )
    """Blend along straight lines in w, or along great circles in z."""

    def apply(self, recipe: Recipe) -> Recipe:
        """``recipe`` with the blend given here (mixes need the model: see :meth:`mixes`).

        Raises:
            UserError: a word that is no blend, or that cannot be read as a mix.
        """
        for word in self.mix:
            _match(_SOURCE, word, "mix", "5@0-3,7 or 5@coarse*0.5")
        if not self.blend:
            if self.blend_space is not None:
                raise UserError("--blend-space says how to blend; name the faces with --blend.")
            return recipe
        parts = [_match(_PART, word, "blend", "3=0.5") for word in self.blend]
        weights = tuple(
            1.0 / len(parts) if part["weight"] is None else _number(part["weight"])
            for part in parts
        )
        seeds = tuple(int(part["seed"]) for part in parts)
        return recipe.of_blend(Blend(seeds, weights, self.blend_space or "w"))

    def mixes(self, recipe: Recipe, capabilities: Capabilities) -> Recipe:
        """``recipe`` with the layers given here, which may be named as the model names them.

        Raises:
            UserError: layers that the model does not have.
        """
        if not self.mix:
            return recipe
        sources = []
        for word in self.mix:
            found = _match(_SOURCE, word, "mix", "5@0-3,7 or 5@coarse*0.5")
            weight = 1.0 if found["weight"] is None else _number(found["weight"])
            rows = capabilities.rows(found["rows"])
            sources.append(StyleSource(int(found["seed"]), rows, weight))
        return replace(recipe, mixes=tuple(sources))


def _match(pattern: re.Pattern[str], word: str, option: str, example: str) -> dict[str, Any]:
    found = pattern.fullmatch(word.strip())
    if found is None:
        raise UserError(f"{word!r} is not something to {option}; write --{option} {example}.")
    return found.groupdict()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{text!r} is not a weight; write a number such as 0.5.") from None
