"""Fixed tables: shape details, colours, hair styles, garments and their shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Color = NDArray[np.float64]


def linear(hexadecimal: str) -> Color:
    """``[3]`` linear colour in [0, 1] of an sRGB code such as ``"efc4b0"`` (gamma 2.2)."""
    values = [int(hexadecimal[i : i + 2], 16) / 255.0 for i in (0, 2, 4)]
    result: Color = np.power(np.array(values), 2.2)
    return result


#: Name, target towards minus, target towards plus, standard deviation. ``*`` stands for
#: both sides of the face. Noses and jaws vary less than the rest: they turn into
#: caricatures first.
DETAILS: tuple[tuple[str, str, str, float], ...] = (
    ("head_angle", "head-angle-in", "head-angle-out", 0.20),
    ("head_fat", "head-fat-decr", "head-fat-incr", 0.16),
    ("head_depth", "head-scale-depth-decr", "head-scale-depth-incr", 0.15),
    ("head_width", "head-scale-horiz-decr", "head-scale-horiz-incr", 0.16),
    ("head_height", "head-scale-vert-decr", "head-scale-vert-incr", 0.18),
    ("forehead_height", "forehead-scale-vert-decr", "forehead-scale-vert-incr", 0.22),
    ("forehead_temples", "forehead-temple-decr", "forehead-temple-incr", 0.30),
    ("brow_angle", "eyebrows-angle-down", "eyebrows-angle-up", 0.18),
    ("brow_height", "eyebrows-trans-down", "eyebrows-trans-up", 0.30),
    ("brow_depth", "eyebrows-trans-backward", "eyebrows-trans-forward", 0.25),
    ("nose_hump", "nose-hump-decr", "nose-hump-incr", 0.21),
    ("nose_point_height", "nose-point-down", "nose-point-up", 0.21),
    ("nose_depth", "nose-scale-depth-decr", "nose-scale-depth-incr", 0.21),
    ("nose_width", "nose-scale-horiz-decr", "nose-scale-horiz-incr", 0.20),
    ("nose_height", "nose-scale-vert-decr", "nose-scale-vert-incr", 0.20),
    ("nose_volume", "nose-volume-decr", "nose-volume-incr", 0.20),
    ("mouth_angles", "mouth-angles-down", "mouth-angles-up", 0.18),
    ("mouth_width", "mouth-scale-horiz-decr", "mouth-scale-horiz-incr", 0.20),
    ("mouth_height", "mouth-trans-down", "mouth-trans-up", 0.18),
    ("upper_lip", "mouth-upperlip-volume-decr", "mouth-upperlip-volume-incr", 0.28),
    ("lower_lip", "mouth-lowerlip-volume-decr", "mouth-lowerlip-volume-incr", 0.28),
    ("jaw_bones", "chin-bones-decr", "chin-bones-incr", 0.21),
    ("chin_height", "chin-height-decr", "chin-height-incr", 0.18),
    ("chin_prominence", "chin-prominent-decr", "chin-prominent-incr", 0.21),
    ("chin_width", "chin-width-decr", "chin-width-incr", 0.21),
    ("cheek_bones", "*-cheek-bones-decr", "*-cheek-bones-incr", 0.35),
    ("cheek_volume", "*-cheek-volume-decr", "*-cheek-volume-incr", 0.22),
    ("ear_size", "*-ear-scale-decr", "*-ear-scale-incr", 0.22),
    ("ear_wing", "*-ear-wing-decr", "*-ear-wing-incr", 0.25),
    ("eye_slant", "*-eye-corner2-down", "*-eye-corner2-up", 0.28),
    ("eye_height", "*-eye-height2-decr", "*-eye-height2-incr", 0.25),
    ("eye_size", "*-eye-scale-decr", "*-eye-scale-incr", 0.20),
)

#: What makes a face read as a woman's or a man's, added to the details above or alone.
GENDER_BIAS: dict[str, dict[str, float]] = {
    "female": {
        "*-eye-scale-incr": 0.14,
        "nose-scale-horiz-decr": 0.30,
        "nose-volume-decr": 0.40,
        "nose-scale-vert-decr": 0.15,
        "nose-scale-depth-decr": 0.15,
        "nose-hump-decr": 0.25,
        "nose-point-up": 0.15,
        "chin-width-decr": 0.35,
        "chin-bones-decr": 0.40,
        "chin-height-decr": 0.20,
        "chin-prominent-decr": 0.15,
        "mouth-upperlip-volume-incr": 0.18,
        "mouth-lowerlip-volume-incr": 0.12,
        "mouth-scale-horiz-decr": 0.18,
        "*-cheek-bones-incr": 0.20,
        "*-cheek-volume-incr": 0.10,
        "eyebrows-trans-backward": 0.40,
        "eyebrows-angle-up": 0.38,
        "eyebrows-trans-up": 0.30,
        "neck-scale-horiz-decr": 0.35,
        "head-scale-horiz-decr": 0.05,
    },
    "male": {
        "eyebrows-angle-up": 0.32,
        "eyebrows-trans-up": 0.10,
        "chin-width-incr": 0.15,
        "chin-prominent-incr": 0.10,
        "*-eye-scale-incr": 0.05,
    },
}

#: Skin tones from fair to very dark.
SKIN_TONES: tuple[tuple[str, Color], ...] = tuple(
    (name, linear(code))
    for name, code in (
        ("very fair", "efc4b0"),
        ("fair", "e8b498"),
        ("light", "dca384"),
        ("tan", "c48a66"),
        ("brown", "a0693f"),
        ("dark brown", "7a4c31"),
        ("very dark", "573626"),
    )
)
#: Natural hair from dark to light, then red and grey.
HAIR_RAMP = tuple(
    (name, linear(code))
    for name, code in (
        ("black", "201b19"),
        ("dark brown", "3c281d"),
        ("brown", "593823"),
        ("light brown", "835a38"),
        ("blonde", "bd9568"),
        ("platinum blonde", "d8c3a6"),
    )
)
HAIR_RED, HAIR_GREY = linear("8a4326"), linear("9d9a97")

EYE_COLORS = ("brown", "brownlight", "green", "bluegreen", "grey", "lightblue", "blue", "deepblue")
EYE_SHARES = (0.36, 0.14, 0.10, 0.08, 0.08, 0.08, 0.10, 0.06)
EYE_WORDS = {
    "brown": "brown",
    "brownlight": "hazel",
    "green": "green",
    "bluegreen": "blue-green",
    "grey": "grey",
    "lightblue": "light blue",
    "blue": "blue",
    "deepblue": "deep blue",
}

HAIR_STYLES = (
    "long01",
    "bob02",
    "ponytail01",
    "braid01",
    "short01",
    "short02",
    "short04",
    "buzz",
    "bald",
)
#: A style with ``{}`` for the colour. ``short03`` of the pack is left out: its fringe hides
#: an eye.
HAIR_WORDS = {
    "long01": "long straight {} hair",
    "bob02": "a {} bob cut",
    "ponytail01": "a {} ponytail",
    "braid01": "braided {} hair",
    "short01": "short {} hair",
    "short02": "short wavy {} hair",
    "short04": "short swept {} hair",
    "buzz": "a {} buzz cut",
    "bald": "a bald head",
}
HAIR_SHARES: dict[str, dict[str, float]] = {
    "female": {
        "long01": 0.40,
        "bob02": 0.30,
        "ponytail01": 0.14,
        "braid01": 0.13,
        "short02": 0.03,
    },
    "male": {
        "short01": 0.28,
        "short04": 0.26,
        "short02": 0.20,
        "buzz": 0.13,
        "bald": 0.08,
        "long01": 0.05,
    },
}

BEARDS = ("none", "stubble", "full beard", "goatee", "moustache")
BEARD_SHARES = (0.52, 0.22, 0.12, 0.08, 0.06)
GLASSES = ("none", "round", "rectangular", "sunglasses")
GLASSES_SHARES = (0.78, 0.09, 0.09, 0.04)
FRAME_COLORS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("black", (0.02, 0.02, 0.02)),
    ("brown", (0.20, 0.09, 0.04)),
    ("burgundy", (0.12, 0.02, 0.03)),
    ("silver", (0.40, 0.40, 0.41)),
    ("golden", (0.50, 0.38, 0.16)),
)

#: The pack holds no texture of ``cl_female_casualsuit02`` and ``cl_male_casualsuit01``.
PLAIN_GARMENTS = ("cl_female_casualsuit02", "cl_male_casualsuit01")
GARMENTS = (
    "cl_female_casualsuit01",
    "cl_female_elegantsuit01",
    "cl_male_casualsuit02",
    "cl_male_casualsuit03",
    "cl_male_casualsuit04",
    "cl_male_casualsuit05",
    "cl_male_casualsuit06",
    "cl_male_elegantsuit01",
    "cl_male_worksuit01",
    *PLAIN_GARMENTS,
)
#: Women and men share one coordinate; women also wear the plainer of the men's clothes.
GARMENT_SHARES: dict[str, dict[str, float]] = {
    "female": {
        "cl_female_casualsuit01": 0.28,
        "cl_female_elegantsuit01": 0.28,
        "cl_female_casualsuit02": 0.28,
        "cl_male_casualsuit02": 0.08,
        "cl_male_casualsuit04": 0.08,
    },
    "male": {
        "cl_male_casualsuit01": 0.14,
        "cl_male_casualsuit02": 0.13,
        "cl_male_casualsuit03": 0.13,
        "cl_male_casualsuit04": 0.12,
        "cl_male_casualsuit05": 0.12,
        "cl_male_casualsuit06": 0.12,
        "cl_male_elegantsuit01": 0.12,
        "cl_male_worksuit01": 0.12,
    },
}

EXPRESSIONS = ("calm", "surprised", "sad", "angry", "kissing", "sceptical", "eyes closed")
EXPRESSION_SHARES = {name: 0.76 if name == "calm" else 0.04 for name in EXPRESSIONS}
#: Words before the person; what has none is told elsewhere in a caption.
EXPRESSION_WORDS = {
    "calm": "",
    "surprised": "surprised ",
    "sad": "sad ",
    "angry": "angry ",
    "kissing": "",
    "sceptical": "sceptical ",
    "eyes closed": "",
}

HATS = ("none", "beanie", "fedora", "cap")
HAT_SHARES = dict(zip(HATS, (0.91, 0.04, 0.03, 0.02), strict=True))
HAT_COLORS: tuple[tuple[str, Color], ...] = tuple(
    (name, linear(code))
    for name, code in (
        ("black", "26262a"),
        ("grey", "7d7f83"),
        ("white", "dcdad4"),
        ("red", "a3282d"),
        ("blue", "2d4a86"),
        ("green", "3f6347"),
        ("beige", "b59c78"),
        ("brown", "5f4230"),
        ("yellow", "cfa53a"),
        ("pink", "cf7f98"),
    )
)
HAT_COLOR_SHARES = (0.20, 0.15, 0.09, 0.11, 0.13, 0.09, 0.09, 0.06, 0.04, 0.04)

DYES = ("none", "pink", "blue", "purple", "green")
DYE_SHARES = {
    "female": (0.95, 0.0125, 0.0125, 0.0125, 0.0125),
    "male": (0.98, 0.005, 0.005, 0.005, 0.005),
}
DYE_COLORS = {
    "pink": linear("93406b"),
    "blue": linear("2a467f"),
    "purple": linear("4a2f6c"),
    "green": linear("2a5f3e"),
}
LONG_HAIR = ("long01", "ponytail01", "braid01")

#: Quantiles above which a young woman has the second texture of skin, and a man the second and
#: (while young) the third.
FEMALE_TEXTURE_FROM = 0.55
MALE_TEXTURES_FROM = (0.4, 0.7)

BROW_MODELS: dict[str, tuple[int, ...]] = {"female": (4, 6, 7, 11), "male": (2, 9, 10, 12)}
ETHNICITIES = ("caucasian", "asian", "african")
