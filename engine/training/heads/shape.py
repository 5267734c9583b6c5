"""Weights of the pack's shape and expression targets for a person."""

from __future__ import annotations

from collections.abc import Iterator

from engine.training.heads import catalogue as cat
from engine.training.heads.attributes import HeadAttributes


def _three(value: float, low: str, middle: str, high: str) -> dict[str, float]:
    """Linear weights of three steps at 0, 0.5 and 1."""
    return {
        low: max(0.0, 1 - 2 * value),
        middle: 1 - abs(2 * value - 1),
        high: max(0.0, 2 * value - 1),
    }


def _ages(age: float) -> dict[str, float]:
    if age < 25:
        child = (25 - age) / 13 * 0.6
        return {"child": child, "young": 1 - child, "old": 0.0}
    old = min((age - 25) / 60, 0.85)
    return {"child": 0.0, "young": 1 - old, "old": old}


def _sides(name: str) -> Iterator[str]:
    if "*" not in name:
        yield name
    elif name.startswith("*-"):
        yield from (name.replace("*", side) for side in ("l", "r"))
    else:
        yield from (name.replace("*", side) for side in ("left", "right"))


def shape_weights(person: HeadAttributes) -> dict[str, float]:
    """Target weights of the person without an expression.

    Macro targets mix gender, age, ethnicity, muscle and weight trilinearly as MakeHuman
    does; the person's 32 details and the gender's bias are added and limited to 0.85.
    """
    p = person
    weights: dict[str, float] = {}
    maleness = 0.97 if p.gender == "male" else 0.0
    muscles = _three(p.muscle, "minmuscle", "averagemuscle", "maxmuscle")
    fats = _three(p.weight, "minweight", "averageweight", "maxweight")
    for gender, share in (("female", 1 - maleness), ("male", maleness)):
        for age, part in _ages(p.age).items():
            for name, value in zip(cat.ETHNICITIES, p.ethnicity, strict=True):
                weights[f"macro/{name}-{gender}-{age}"] = share * part * value
            for muscle, m in muscles.items():
                for fat, f in fats.items():
                    # The average body is the base itself: the pack holds no target for it.
                    if (muscle, fat) != ("averagemuscle", "averageweight"):
                        weights[f"uni/{gender}-{age}-{muscle}-{fat}"] = share * part * m * f
    bias = dict(cat.GENDER_BIAS[p.gender])
    for value, (_, minus, plus, _) in zip(p.details, cat.DETAILS, strict=True):
        total = value + bias.pop(plus, 0.0) - bias.pop(minus, 0.0)
        total = min(max(total, -0.85), 0.85)
        for name in _sides(plus if total > 0 else minus):
            weights[name] = abs(total)
    for target, value in bias.items():
        for name in _sides(target):
            weights[name] = value
    if p.age > 50:
        weights["head-age-incr"] = (p.age - 50) / 30 * 0.5
    return {name: value for name, value in weights.items() if value != 0.0}


def _calm_units(p: HeadAttributes) -> dict[str, float]:
    """Units of a calm or smiling face.

    Retraction stays low, since it turns grins into snarls, and the eyelids follow the
    smile a little, which is what makes it friendly.
    """
    smile, opened = p.smile, p.mouth_open
    return {
        "mouth-corner-puller": 0.12 + 0.72 * smile,
        "mouth-upward-retraction": 0.22 * smile * opened,
        "mouth-open": (0.04 + 0.20 * smile) * opened,
        "eye-*-slit": 0.28 * smile**2 + 0.14 * max(0.0, 0.5 - p.eye_open),
        "eye-*-opened-up": 0.30 * max(0.0, p.eye_open - 0.5) * (1 - 0.6 * smile),
        "eyebrows-*-up": 0.35 * max(0.0, p.brow_raise),
        "eyebrows-*-down": 0.08 * max(0.0, -p.brow_raise),
        "eyebrows-*-inner-up": 0.12 + 0.10 * p.brow_raise,
    }


#: Units of the other expressions at full strength.
EXPRESSION_UNITS: dict[str, dict[str, float]] = {
    "surprised": {
        "eyebrows-*-up": 0.85,
        "eyebrows-*-inner-up": 0.25,
        "eye-*-opened-up": 0.60,
        "mouth-open": 0.38,
    },
    "sad": {
        "eyebrows-*-inner-up": 0.95,
        "mouth-depression": 0.55,
        "mouth-elevation": 0.30,
        "eye-*-slit": 0.20,
    },
    "angry": {
        "eyebrows-*-down": 0.90,
        "nose-compression": 0.25,
        "eye-*-slit": 0.25,
        "mouth-compression": 0.50,
        "mouth-depression": 0.15,
    },
    "kissing": {"mouth-pursing": 0.55, "mouth-compression": 0.35, "mouth-parling": 0.20},
    "sceptical": {
        "eyebrows-left-extern-up": 0.80,
        "eyebrows-left-up": 0.60,
        "eyebrows-right-down": 0.55,
        "eye-right-slit": 0.25,
        "mouth-compression": 0.25,
        "mouth-depression": 0.15,
    },
}


def _units(p: HeadAttributes) -> dict[str, float]:
    if p.expression == "calm":
        return _calm_units(p)
    if p.expression == "eyes closed":
        units = _calm_units(p)
        for unit in ("eye-*-slit", "eye-*-opened-up", "mouth-upward-retraction", "mouth-open"):
            units.pop(unit)
        # Half-closed lids would read as drowsy: they close whatever the strength.
        return {**units, "eye-*-closure": 1.0}
    strength = p.expression_strength
    return {unit: value * strength for unit, value in EXPRESSION_UNITS[p.expression].items()}


def expression_weights(person: HeadAttributes) -> dict[str, float]:
    """Target weights of the expression: each unit mixes its variants of the ethnicities."""
    return {
        f"expr/{ethnicity}/{name}": value * share
        for unit, value in _units(person).items()
        for name in _sides(unit)
        for ethnicity, share in zip(cat.ETHNICITIES, person.ethnicity, strict=True)
        if value * share > 0.0
    }
