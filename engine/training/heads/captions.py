"""Captions in many wordings, each with the facts that it states.

Captions differ in what they say (one fact to all), in the order, the words and the style, and
are a function of a random generator alone. Since a caption knows what it says, whether it is
true of another head is known too, which is what a text encoder is trained with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.heads.attributes import HeadAttributes
from engine.training.heads.wording import (
    BEFORE,
    HAIR,
    HAIR_COLOURS,
    KINDS,
    ORDERED,
    WITH,
    WORN,
    facts,
)

#: Kinds that tell of the same thing, of which a caption says one, and how often.
GROUPS: tuple[tuple[tuple[str, float], ...], ...] = (
    (("gender", 1.0),),
    (("age", 0.75), ("decade", 0.25)),
    (("skin", 0.6), ("tone", 0.4)),
    (("expression", 0.55), ("smile", 0.3), ("laugh", 0.15)),
    (("hair", 0.65), ("shade", 0.35)),
    (("style", 0.8), ("cut", 0.2)),
    (("eye", 0.6), ("iris", 0.4)),
    (("glasses", 0.6), ("eyewear", 0.4)),
    (("beard", 0.75), ("bearded", 0.25)),
    (("hat", 0.75), ("hatted", 0.25)),
    (("lipstick", 1.0),),
    (("mouth", 1.0),),
)
#: Values that are not there to be seen and seldom worth a word, and how often they get one.
_ABSENT = 0.2
#: What no caption says by itself.
_UNSAID = {
    "laugh": "no", "shade": "other", "cut": "other", "frame": "none", "hat colour": "none",
    "glasses": "none", "hat": "none",
}  # fmt: skip
#: Colours of things that are said with the thing.
_WITH_COLOUR = {"glasses": "frame", "hat": "hat colour", "hatted": "hat colour"}

_OPENINGS = (
    "", "", "", "a photo of", "a portrait of", "a picture of", "an image of", "a close-up of",
    "a photograph of", "portrait of", "photo of", "a headshot of", "a rendering of",
)  # fmt: skip
_NOUNS = {
    "female": ("woman", "woman", "lady", "female"),
    "male": ("man", "man", "gentleman", "male", "guy"),
    "": ("person", "person", "someone", "individual", "human face"),
}
_THEIR = {"female": "her", "male": "his", "": "their"}
_AFTER_WITHOUT = {"no glasses": "glasses", "no hat": "a hat", "no beard": "a beard",
                  "no smile": "a smile", "no lipstick": "lipstick"}  # fmt: skip


@dataclass(frozen=True)
class Caption:
    """A text and what it claims: kind of fact to value (see :mod:`.wording`)."""

    text: str
    said: Mapping[str, str]


def caption_of(person: HeadAttributes, seed: int, index: int) -> Caption:
    """A caption of any length; a function of the person, ``seed`` and ``index``."""
    random = np.random.default_rng([seed, index])
    return caption(facts(person), random)


def caption(known: Mapping[str, str], random: np.random.Generator, full: float = 0.4) -> Caption:
    """Say some of the known facts: one, a few, or (with chance ``full``) nearly all."""
    sayable = sayable_facts(known, random)
    kinds = list(sayable)
    random.shuffle(kinds)
    roll = random.random()
    if roll >= full:
        kinds = kinds[: 1 if roll > 0.75 else int(random.integers(2, 5))]
    else:
        kinds = [kind for kind in kinds if random.random() < 0.85] or kinds[:1]
    return say({kind: sayable[kind] for kind in kinds}, random, known)


def sayable_facts(known: Mapping[str, str], random: np.random.Generator) -> dict[str, str]:
    """One kind of each group, where its value is worth a word."""
    chosen: dict[str, str] = {}
    for group in GROUPS:
        there = [(kind, share) for kind, share in group if _worth_saying(kind, known, random)]
        if there:
            shares = np.array([share for _, share in there])
            kind = there[int(random.choice(len(there), p=shares / shares.sum()))][0]
            chosen[kind] = known[kind]
    return chosen


def _worth_saying(kind: str, known: Mapping[str, str], random: np.random.Generator) -> bool:
    value = known.get(kind)
    if value is None or _UNSAID.get(kind) == value:
        return False
    if value in ("none", "shaven"):
        # That a woman has no beard, or a man no lipstick, goes without saying.
        whose = {"beard": "male", "bearded": "male", "lipstick": "female"}.get(kind)
        return whose in (None, known.get("gender")) and random.random() < _ABSENT
    return kind != "mouth" or value == "open" or random.random() < _ABSENT


def say(
    said: Mapping[str, str], random: np.random.Generator, known: Mapping[str, str] | None = None
) -> Caption:
    """Words for facts.

    Args:
        said: kind to value.
        random: chooses words, order and style.
        known: more facts, of which colours of what is worn are said now and then.

    Returns:
        the caption; it claims ``said`` and the colours that were added.
    """
    claims = dict(said)
    for thing, colour in _WITH_COLOUR.items():
        value = (known or {}).get(colour, "none")
        if thing in claims and value != "none" and random.random() < 0.5:
            claims[colour] = value
    before, having, wearing, ending = _phrases(claims, random)
    gender = claims.get("gender", "")
    # Without "with" there is no place for the things: style and comma lists differ by chance.
    if random.random() < 0.18:
        text = _listed(gender, [*before, *having, *wearing, *ending], random)
    else:
        text = _sentence(gender, before, having, wearing, ending, random)
    return Caption(_articles(text.format(their=_THEIR[gender])), claims)


def _choice(options: tuple[str, ...], random: np.random.Generator) -> str:
    return options[int(random.integers(len(options)))]


def _coloured(template: str, colour: str) -> str:
    """``template`` with its ``{}`` filled; ``{their}`` is left for later."""
    return " ".join(template.replace("{}", colour).split())


def _phrases(
    claims: Mapping[str, str], random: np.random.Generator
) -> tuple[list[str], list[str], list[str], list[str]]:
    """Words before the person, what they have, what they wear, and what ends a sentence."""
    before: list[str] = []
    having: list[str] = []
    wearing: list[str] = []
    ending: list[str] = []
    adjectives = 0
    order = [kind for kind in claims if kind not in ("gender", "frame", "hat colour")]
    random.shuffle(order)
    hair = _hair(claims, random)
    if hair:
        having.append(hair)
    for kind in order:
        value = claims[kind]
        if kind == "decade":
            ending.append("in {their} " + value)
            continue
        if kind in ("hair", "shade", "style", "cut") and hair:
            continue
        adjective = BEFORE.get(kind, {}).get(value, ())
        thing = WITH.get(kind, {}).get(value, ())
        worn = WORN.get(kind, {}).get(value, ())
        if adjective and adjectives < 3 and (random.random() < 0.45 or not (thing or worn)):
            before.append(_choice(adjective, random))
            adjectives += 1
        elif worn and (random.random() < 0.8 or not thing):
            colour = claims.get(_WITH_COLOUR.get(kind, ""), "")
            wearing.append(_coloured(_choice(worn, random), colour))
        elif thing:
            having.append(_choice(thing, random))
        elif adjective:
            before.append(_choice(adjective, random))
    random.shuffle(having)
    return before, having, wearing, ending


def _hair(claims: Mapping[str, str], random: np.random.Generator) -> str:
    """Colour and style of the hair in one phrase; empty where one adjective will say it."""
    colour = claims.get("shade") or claims.get("hair") or ""
    style = claims.get("cut") or claims.get("style") or "any"
    if not colour and style == "any":
        return ""
    if (style == "any" and "hair" in claims) or style == "bald":
        kind, value = ("style", "bald") if style == "bald" else ("hair", colour)
        if random.random() < 0.35 and value in BEFORE[kind]:
            return ""
    if "hair" in claims and "shade" not in claims:
        colour = _choice(HAIR_COLOURS[colour], random)
    return _coloured(_choice(HAIR[style], random), colour)


def _listed(gender: str, parts: list[str], random: np.random.Generator) -> str:
    """ "woman, blonde hair, round glasses"."""
    nouns = [_choice(_NOUNS[gender], random)] if gender or not parts else []
    random.shuffle(parts)
    joined = [*nouns, *parts] if random.random() < 0.7 else [*parts, *nouns]
    return ", ".join(part.removeprefix("a ").removeprefix("an ") for part in joined)


def _sentence(
    gender: str,
    before: list[str],
    having: list[str],
    wearing: list[str],
    ending: list[str],
    random: np.random.Generator,
) -> str:
    """ "a photo of a young woman with blue eyes and long hair, wearing round glasses"."""
    noun = _choice(_NOUNS[gender], random)
    if noun == "someone":
        noun, before = ("person", before) if before else ("someone", before)
    without = [_AFTER_WITHOUT[thing] for thing in having if thing in _AFTER_WITHOUT]
    if len(without) == 1 and random.random() < 0.5:
        having = [thing for thing in having if thing not in _AFTER_WITHOUT]
        ending = [*ending, f"without {without[0]}"]
    if noun == "human face" and wearing:
        noun = "person"
    words = [*before, noun]
    text = " ".join(words) if noun == "someone" else "a " + " ".join(words)
    parts = []
    if having:
        parts.append("with " + _joined(having))
    if wearing:
        verb = "wearing" if random.random() < 0.7 else "in" if not having else "who wears"
        parts.append(f"{verb} " + _joined(wearing))
    if random.random() < 0.3:
        parts.reverse()
    parts = [*ending, *parts] if random.random() < 0.5 else [*parts, *ending]
    text = " ".join([text, *parts])
    opening = _choice(_OPENINGS, random)
    return f"{opening} {text}".strip()


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _articles(text: str) -> str:
    """``a`` before a vowel becomes ``an``."""
    words = text.split()
    for i in range(len(words) - 1):
        if words[i] in ("a", "an"):
            words[i] = "an" if words[i + 1][0] in "aeiou" else "a"
    return " ".join(words)


#: The kinds in the order of :func:`codes`.
KIND_NAMES: tuple[str, ...] = tuple(KINDS)


def codes(claims: Mapping[str, str]) -> NDArray[np.int16]:
    """``[K]`` the number of each kind's value, -1 where nothing is said or known."""
    return np.array(
        [values.index(claims[k]) if k in claims else -1 for k, values in KINDS.items()], np.int16
    )


#: ``[K]`` how far two codes may be apart and still agree: neighbours in an order look alike.
TOLERANCE: NDArray[np.int16] = np.array([int(k in ORDERED) for k in KINDS], np.int16)


def truth(
    said: NDArray[np.int16], known: NDArray[np.int16]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which captions are true of which heads.

    Args:
        said: ``[T, K]`` :func:`codes` of captions. known: ``[N, K]`` of heads.

    Returns:
        ``[T, N]`` true, and ``[T, N]`` false; where neither, the picture does not tell.
    """
    claimed = said[:, None, :] >= 0
    unknown = claimed & (known[None] < 0)
    differs = claimed & ~unknown & (np.abs(said[:, None, :] - known[None]) > TOLERANCE)
    false = differs.any(-1)
    return ~false & ~unknown.any(-1), false
