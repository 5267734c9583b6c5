"""A fixed function from 72 standard normals to a description of a person.

Every attribute is a quantile transform of one coordinate (or a few), so drawing
``z ~ N(0, I)`` draws people, and nearby latents are similar people except where a choice
(gender, style of hair, glasses) flips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.training.heads import catalogue as cat
from engine.training.heads import coloring
from engine.training.heads.coloring import Rgb, as_rgb, quantile_bin, ramp

LATENT_SIZE = 72

#: Coordinates of the latent. Shape details take 7 to 38 in the order of the catalogue.
AXES: dict[str, int] = {
    "gender": 0,
    "age": 1,
    "caucasian": 2,
    "asian": 3,
    "african": 4,
    "muscle": 5,
    "weight": 6,
    **{name: 7 + i for i, (name, *_) in enumerate(cat.DETAILS)},
    "skin_lightness": 39,
    "skin_warmth": 40,
    "hair_lightness": 41,
    "hair_red": 42,
    "hair_grey": 43,
    "hair_style": 44,
    "hair_side": 45,
    "hair_parting": 46,
    "eye_color": 47,
    "smile": 48,
    "mouth_open": 49,
    "brow_raise": 50,
    "eye_open": 51,
    "beard": 52,
    "beard_length": 53,
    "glasses": 54,
    "glasses_size": 55,
    "frame_color": 56,
    "lipstick": 57,
    "lip_color": 58,
    "garment": 59,
    "cloth_value": 60,
    "cloth_warmth": 61,
    "cloth_green": 62,
    "brow_model": 63,
    "expression": 64,
    "expression_strength": 65,
    "hat": 66,
    "hat_color": 67,
    "hat_tone": 68,
    "hair_dye": 69,
    "skin_texture": 70,
    "cloth_pattern": 71,
}


@dataclass(frozen=True)
class HeadAttributes:
    """A person. Colours are linear RGB in [0, 1].

    Attributes:
        gender: ``"female"`` or ``"male"``. age: years, 18 to 80.
        ethnicity: shares of the catalogue's three, sum 1.
        muscle, weight: 0..1. details: 32 weights in -0.85..0.85 (catalogue order), without
            the gender's bias.
        lightness: of the skin, 0..1. skin_texture: file of the pack.
        hair_mirrored: parted on the other side. hair_parting: -1..1, sideways.
        smile, mouth_open, eye_open: 0..1. brow_raise: -1..1.
        brow_color, beard_color: never dyed.
        beard_length, glasses_size: 0..1. cloth_pattern: contrast of the cloth's texture, 0..1.
        expression: one of the catalogue's; all but ``"calm"`` take the place of the smile.
        expression_strength: 0.5..1.
        hat: one of the catalogue's. hat_color: meaningful where a hat is worn.
    """

    gender: str
    age: float
    ethnicity: tuple[float, float, float]
    muscle: float
    weight: float
    details: tuple[float, ...]
    lightness: float
    skin_tone: Rgb
    skin_texture: str
    hair_style: str
    hair_color: Rgb
    hair_word: str
    hair_mirrored: bool
    hair_parting: float
    eye_color: str
    smile: float
    mouth_open: float
    brow_raise: float
    eye_open: float
    brow_model: int
    brow_color: Rgb
    beard: str
    beard_length: float
    beard_color: Rgb
    glasses: str
    glasses_size: float
    frame_word: str
    frame_color: Rgb
    lipstick: bool
    lip_color: Rgb
    garment: str
    cloth_color: Rgb
    cloth_pattern: float
    expression: str
    expression_strength: float
    hat: str
    hat_color: Rgb
    hat_word: str


#: Shares of the frames' colours, in the catalogue's order.
FRAME_SHARES = (0.4, 0.2, 0.1, 0.16, 0.14)
#: A woman wears lipstick above this value of its coordinate.
LIPSTICK_FROM = 0.25


def age_quantile(years: float) -> float:
    """The share of people younger than ``years`` (18 to 80)."""
    return float(((years - 18.0) / 62.0) ** (1.0 / 2.1))


def _pick(u: float, shares: Mapping[str, float]) -> str:
    return list(shares)[quantile_bin(u, list(shares.values()))]


def attributes_from_latent(z: NDArray[np.floating]) -> HeadAttributes:
    """The person of a latent ``[72]``; deterministic.

    Raises:
        ValueError: ``z`` is not a finite vector of 72 numbers.
    """
    z = np.asarray(z, dtype=np.float64)
    if z.shape != (LATENT_SIZE,) or not np.isfinite(z).all():
        raise ValueError(f"a head latent is {LATENT_SIZE} finite numbers, not {z.shape}")
    n = {name: float(z[i]) for name, i in AXES.items()}
    u = {name: float(ndtr(value)) for name, value in n.items()}
    male = n["gender"] > 0
    gender = "male" if male else "female"
    age = 18.0 + 62.0 * u["age"] ** 2.1
    shares = np.exp(1.5 * np.array([n[e] for e in cat.ETHNICITIES]))
    shares /= shares.sum()
    lightness = float(
        np.clip(shares @ np.array([0.88, 0.70, 0.20]) + 0.09 * n["skin_lightness"], 0, 1)
    )
    grey = float(np.clip((age - 50) / 24 + 0.25 * n["hair_grey"], 0, 1)) if age > 38 else 0.0
    hair, hair_word = coloring.natural_hair(
        u["hair_lightness"], u["hair_red"], grey, float(shares[0])
    )
    dyed = coloring.dyed_hair(gender, u["hair_dye"])
    worn, worn_word = dyed or (hair, hair_word)
    hat_color, hat_word = coloring.hat_color(u["hat_color"], n["hat_tone"])
    style = _pick(u["hair_style"], cat.HAIR_SHARES[gender])
    # Brown eyes are the rule except where the face is mostly European.
    eye_u = float(ndtr(n["eye_color"] + 1.6 * (shares[0] - 0.55)))
    beard = cat.BEARDS[quantile_bin(u["beard"], cat.BEARD_SHARES)] if male else "none"
    skin_tone = coloring.skin_tone(lightness, n["skin_warmth"])
    light = 0.35 + 0.65 * lightness
    lips = ramp([cat.linear("c96f6c"), cat.linear("b4453f"), cat.linear("8e2a3c")], u["lip_color"])
    frame_word, frame = cat.FRAME_COLORS[quantile_bin(u["frame_color"], FRAME_SHARES)]
    value = 0.03 + 0.55 * u["cloth_value"] ** 1.6
    cloth = value * np.exp(
        0.38 * n["cloth_warmth"] * np.array([1.0, 0.1, -1.0])
        + 0.22 * n["cloth_green"] * np.array([-0.6, 0.7, -0.3])
    )
    smile = float(np.clip((u["smile"] - 0.14) / 0.86, 0.0, 1.0))
    models = cat.BROW_MODELS[gender]
    return HeadAttributes(
        gender=gender,
        age=age,
        ethnicity=(float(shares[0]), float(shares[1]), float(shares[2])),
        muscle=float(np.clip(0.5 + 0.18 * n["muscle"], 0, 1)),
        weight=float(np.clip(0.42 + 0.15 * n["weight"], 0, 1)),
        details=tuple(
            float(np.clip(sigma * n[name], -0.85, 0.85)) for name, _, _, sigma in cat.DETAILS
        ),
        lightness=lightness,
        skin_tone=skin_tone,
        skin_texture=coloring.skin_texture(male, age, lightness, u["skin_texture"]),
        hair_style=style,
        hair_color=as_rgb(worn),
        hair_word=worn_word,
        hair_mirrored=n["hair_side"] > 0,
        hair_parting=float(np.tanh(n["hair_parting"])),
        eye_color=cat.EYE_COLORS[quantile_bin(eye_u, cat.EYE_SHARES)],
        smile=smile,
        mouth_open=max(0.0, u["mouth_open"] - 0.72) / 0.28,
        brow_raise=math.tanh(n["brow_raise"] * 0.7),
        eye_open=u["eye_open"],
        brow_model=models[quantile_bin(u["brow_model"], [1.0] * len(models))],
        brow_color=as_rgb(np.minimum(hair * 0.65, np.array(skin_tone) * 0.36)),
        beard=beard,
        beard_length=u["beard_length"],
        beard_color=as_rgb(np.minimum(hair * 0.75, 0.35)),
        glasses=cat.GLASSES[quantile_bin(u["glasses"], cat.GLASSES_SHARES)],
        glasses_size=u["glasses_size"],
        frame_word=frame_word,
        frame_color=frame,
        lipstick=(not male) and n["lipstick"] > LIPSTICK_FROM,
        lip_color=as_rgb(lips * light),
        garment=_pick(u["garment"], cat.GARMENT_SHARES[gender]),
        cloth_color=as_rgb(np.clip(cloth, 0.01, 0.8)),
        cloth_pattern=u["cloth_pattern"],
        expression=_pick(u["expression"], cat.EXPRESSION_SHARES),
        expression_strength=0.5 + 0.5 * u["expression_strength"],
        hat=_pick(u["hat"], cat.HAT_SHARES),
        hat_color=as_rgb(hat_color),
        hat_word=hat_word,
    )


_TEXTURE_KINDS = ("female3", "male2", "male3")
#: Names of :func:`attribute_vector`'s components, in order; the length never changes.
ATTRIBUTE_NAMES: tuple[str, ...] = (
    "male",
    "age",
    *cat.ETHNICITIES,
    "muscle",
    "weight",
    *(name for name, *_ in cat.DETAILS),
    "skin_lightness",
    "skin_red",
    "skin_green",
    "skin_blue",
    "hair_red",
    "hair_green",
    "hair_blue",
    *(f"hair_style={name}" for name in cat.HAIR_STYLES),
    "hair_mirrored",
    "hair_parting",
    *(f"eye_color={name}" for name in cat.EYE_COLORS),
    "smile",
    "mouth_open",
    "brow_raise",
    "eye_open",
    *(f"brow_model={i}" for models in cat.BROW_MODELS.values() for i in models),
    *(f"beard={name}" for name in cat.BEARDS),
    "beard_length",
    *(f"glasses={name}" for name in cat.GLASSES),
    "glasses_size",
    "frame_red",
    "frame_green",
    "frame_blue",
    "lipstick",
    "lip_red",
    "lip_green",
    "lip_blue",
    *(f"garment={name}" for name in cat.GARMENTS),
    "cloth_red",
    "cloth_green",
    "cloth_blue",
    *(f"skin_texture={kind}" for kind in ("young", "middleage", "old")),
    "skin_texture=darkskinned",
    *(f"skin_texture={kind}" for kind in _TEXTURE_KINDS),
    *(f"expression={name}" for name in cat.EXPRESSIONS),
    "expression_strength",
    *(f"hat={name}" for name in cat.HATS),
    "hat_red",
    "hat_green",
    "hat_blue",
    *(f"hair_dye={name}" for name in cat.DYES[1:]),
    "cloth_pattern",
)


def _one_hot(value: object, choices: Sequence[object]) -> list[float]:
    return [float(value == choice) for choice in choices]


def attribute_vector(person: HeadAttributes) -> NDArray[np.float32]:
    """``[A]`` the attributes as numbers of about unit size, named by :data:`ATTRIBUTE_NAMES`.

    What a picture does not show (the length of a beard that is not there, the frame of no
    glasses, the colour of no lipstick) is 0.
    """
    p = person
    worn = float(p.glasses != "none")
    grown = float(p.beard not in ("none",))
    color = [
        *(np.log(np.array(p.skin_tone)) + 1.6),
        *(0.8 * (np.log(np.array(p.hair_color) + 0.01) + 2.6)),
    ]
    values = [
        1.0 if p.gender == "male" else -1.0,
        (p.age - 36.0) / 17.0,
        *(3.0 * (share - 1 / 3) for share in p.ethnicity),
        (p.muscle - 0.5) / 0.18,
        (p.weight - 0.42) / 0.15,
        *(w / sigma for w, (_, _, _, sigma) in zip(p.details, cat.DETAILS, strict=True)),
        4.0 * (p.lightness - 0.6),
        *color,
        *_one_hot(p.hair_style, cat.HAIR_STYLES),
        float(p.hair_mirrored),
        p.hair_parting,
        *_one_hot(p.eye_color, cat.EYE_COLORS),
        2.0 * p.smile - 1.0,
        2.0 * p.mouth_open,
        p.brow_raise,
        2.0 * p.eye_open - 1.0,
        *_one_hot(p.brow_model, [i for models in cat.BROW_MODELS.values() for i in models]),
        *_one_hot(p.beard, cat.BEARDS),
        grown * (2.0 * p.beard_length - 1.0),
        *_one_hot(p.glasses, cat.GLASSES),
        worn * (2.0 * p.glasses_size - 1.0),
        *(worn * 3.0 * c for c in p.frame_color),
        float(p.lipstick),
        *(float(p.lipstick) * 3.0 * c for c in p.lip_color),
        *_one_hot(p.garment, cat.GARMENTS),
        *(3.0 * c - 1.0 for c in p.cloth_color),
        *(float(kind in p.skin_texture) for kind in ("young", "middleage", "old")),
        float("darkskinned" in p.skin_texture),
        *(float(f"_{kind}." in p.skin_texture) for kind in _TEXTURE_KINDS),
        *_one_hot(p.expression, cat.EXPRESSIONS),
        float(p.expression != "calm") * (4.0 * p.expression_strength - 3.0),
        *_one_hot(p.hat, cat.HATS),
        *(float(p.hat != "none") * 3.0 * c for c in p.hat_color),
        *_one_hot(p.hair_word, cat.DYES[1:]),
        2.0 * p.cloth_pattern - 1.0,
    ]
    return np.array(values, dtype=np.float32)


def _hair_words(p: HeadAttributes) -> list[str]:
    """What is seen of the hair: under a hat nothing of short hair's style."""
    if p.hat == "none":
        return [cat.HAIR_WORDS[p.hair_style].format(p.hair_word)]
    if p.hair_style in ("bald", "buzz"):
        return []
    return [f"{'long ' if p.hair_style in cat.LONG_HAIR else ''}{p.hair_word} hair"]


def caption(person: HeadAttributes) -> str:
    """One sentence about the person, without a full stop."""
    p = person
    noun = "woman" if p.gender == "female" else "man"
    age = "young " if p.age < 30 else "middle-aged " if 44 < p.age <= 60 else ""
    age = "elderly " if p.age > 60 else age
    calm = p.expression == "calm"
    face = cat.EXPRESSION_WORDS[p.expression]
    if calm or p.expression == "eyes closed":
        face = "laughing " if calm and p.smile > 0.6 and p.mouth_open > 0.4 else ""
        face = face or ("smiling " if p.smile > 0.45 else "")
    index = round((1.0 - p.lightness) * (len(cat.SKIN_TONES) - 1))
    parts = [f"{cat.SKIN_TONES[index][0]} skin", *_hair_words(p)]
    if p.expression == "eyes closed":
        parts += ["closed eyes"] if p.glasses != "sunglasses" else []
    elif p.glasses != "sunglasses":
        parts.append(f"{cat.EYE_WORDS[p.eye_color]} eyes")
    if p.beard != "none":
        parts.append(p.beard if p.beard == "stubble" else f"a {p.beard}")
    if p.glasses == "sunglasses":
        parts.append("dark sunglasses")
    elif p.glasses != "none":
        parts.append(f"{p.glasses} {p.frame_word} glasses")
    if p.lipstick:
        parts.append("lipstick")
    if p.expression == "kissing":
        parts.append("pursed lips")
    elif calm and not face and p.mouth_open > 0.5:
        parts.append("a slightly open mouth")
    if p.hat != "none":
        parts.append(f"a {p.hat_word} {p.hat}")
    text = f"a {face}{age}{noun} with {', '.join(parts[:-1])} and {parts[-1]}"
    words = text.split(" ")
    for i in range(len(words) - 1):
        if words[i] == "a" and words[i + 1][0] in "aeiou":
            words[i] = "an"
    return " ".join(words)
