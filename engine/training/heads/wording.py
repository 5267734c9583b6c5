"""What can be said of a head, and the words for it.

A *fact* is a kind and one of its values: ``"hair": "blonde"``. Several kinds may tell of the
same thing more or less exactly (``"skin"`` and ``"tone"``); a caption says one of them.
"""

from __future__ import annotations

from engine.training.heads import catalogue as cat
from engine.training.heads.attributes import HeadAttributes

DYES = ("pink", "blue", "purple", "green")
_TONES = tuple(name for name, _ in cat.SKIN_TONES)
_SHADES = ("black", "dark brown", "brown", "light brown", "blonde", "platinum blonde")
_DECADES = ("twenties", "thirties", "forties", "fifties", "sixties", "seventies")

#: Every kind of fact and its values. Of those in :data:`ORDERED` neighbours are alike.
KINDS: dict[str, tuple[str, ...]] = {
    "gender": ("female", "male"),
    "age": ("young", "middle-aged", "elderly"),
    "decade": _DECADES,
    "skin": ("fair", "tan", "dark"),
    "tone": _TONES,
    "smile": ("smiling", "serious"),
    "laugh": ("laughing", "no"),
    "expression": (
        "neutral", "smiling", "surprised", "sad", "angry", "kissing", "sceptical", "eyes closed",
    ),
    "mouth": ("open", "closed"),
    "hair": ("black", "brown", "blonde", "red", "grey", "white", *DYES),
    "shade": (*_SHADES, "other"),
    "style": ("long", "bob", "ponytail", "braid", "short", "buzz cut", "bald"),
    "cut": ("wavy", "swept", "other"),
    "eye": ("brown", "hazel", "green", "grey", "blue"),
    "iris": tuple(cat.EYE_WORDS.values()),
    "eyewear": ("none", "glasses", "sunglasses"),
    "glasses": ("none", "round", "rectangular", "sunglasses"),
    "frame": ("none", *(name for name, _ in cat.FRAME_COLORS)),
    "bearded": ("shaven", "bearded"),
    "beard": ("none", "stubble", "full beard", "goatee", "moustache"),
    "hat": ("none", "beanie", "fedora", "cap"),
    "hatted": ("none", "hat"),
    "hat colour": ("none", *(name for name, _ in cat.HAT_COLORS)),
    "lipstick": ("none", "lipstick"),
}  # fmt: skip
ORDERED = frozenset({"decade", "tone", "shade"})

_STYLES = {
    "long01": "long", "bob02": "bob", "ponytail01": "ponytail", "braid01": "braid",
    "short01": "short", "short02": "short", "short04": "short", "buzz": "buzz cut", "bald": "bald",
}  # fmt: skip
_HAIR = {
    "dark brown": "brown", "light brown": "brown", "platinum blonde": "blonde",
}  # fmt: skip
_EYES = {
    "brown": "brown", "brownlight": "hazel", "green": "green", "grey": "grey",
    "lightblue": "blue", "blue": "blue", "deepblue": "blue",
}  # fmt: skip


def facts(person: HeadAttributes) -> dict[str, str]:
    """All that a picture of a person shows, by kind.

    What is hidden (eyes behind sunglasses or lids, hair under a hat) is not there, and neither
    is what lies on the border of two values (an age of 37, half a smile): nothing is claimed
    of it.
    """
    p = person
    found: dict[str, str | None] = {
        "gender": p.gender,
        "age": "young" if p.age < 35 else "elderly" if p.age > 62 else "middle-aged",
        "decade": _DECADES[max(0, min(int(p.age // 10) - 2, len(_DECADES) - 1))],
        "skin": "fair" if p.lightness > 0.72 else "dark" if p.lightness < 0.32 else "tan",
        "tone": _TONES[round((1.0 - p.lightness) * (len(_TONES) - 1))],
        "lipstick": "lipstick" if p.lipstick else "none",
        **_face(p),
        **_hair(p),
        **_worn(p),
    }
    if 35 <= p.age < 40 or 58 < p.age <= 62:
        found["age"] = None
    if 0.32 <= p.lightness < 0.40 or 0.62 < p.lightness <= 0.72:
        found["skin"] = None
    return {kind: value for kind, value in found.items() if value is not None}


def _face(p: HeadAttributes) -> dict[str, str | None]:
    """Expression and eyes. Most expressions take the place of the smile."""
    calm = p.expression == "calm"
    keeps_smile = calm or p.expression == "eyes closed"
    smile = "smiling" if p.smile > 0.45 else "serious" if p.smile < 0.2 else None
    laughing = calm and p.smile > 0.6 and p.mouth_open > 0.4
    maybe = calm and p.smile > 0.4 and p.mouth_open > 0.2
    of_calm = {"smiling": "smiling", "serious": "neutral", None: None}
    seen = p.glasses != "sunglasses" and p.expression != "eyes closed"
    return {
        "smile": smile if keeps_smile else "serious",
        "laugh": "laughing" if laughing else None if maybe else "no",
        "expression": of_calm[smile] if calm else p.expression,
        "mouth": None if not calm else "open" if p.mouth_open > 0.5
        else "closed" if p.mouth_open < 0.1 and p.smile < 0.2 else None,
        "eye": _EYES.get(p.eye_color) if seen else None,
        "iris": cat.EYE_WORDS[p.eye_color] if seen else None,
    }  # fmt: skip


def _hair(p: HeadAttributes) -> dict[str, str | None]:
    """Nothing under a hat, but for the colour of what hangs out of it; baldness has none."""
    style = _STYLES[p.hair_style]
    under = p.hat != "none"
    colour_seen = style != "bald" and (not under or style == "long")
    shade = p.hair_word if p.hair_word in _SHADES else "other"
    return {
        "hair": _HAIR.get(p.hair_word, p.hair_word) if colour_seen else None,
        "shade": shade if colour_seen else None,
        "style": None if under else style,
        "cut": None if under else {"short02": "wavy", "short04": "swept"}.get(
            p.hair_style, "other"
        ),
    }  # fmt: skip


def _worn(p: HeadAttributes) -> dict[str, str | None]:
    """Glasses, hat and beard."""
    dark = p.glasses == "sunglasses"
    bearded = {"none": "shaven", "full beard": "bearded", "goatee": "bearded"}
    return {
        "eyewear": p.glasses if p.glasses in ("none", "sunglasses") else "glasses",
        "glasses": p.glasses,
        "frame": "none" if p.glasses == "none" else None if dark else p.frame_word,
        "beard": p.beard,
        "bearded": bearded.get(p.beard),
        "hat": p.hat,
        "hatted": "none" if p.hat == "none" else "hat",
        "hat colour": "none" if p.hat == "none" else p.hat_word,
    }


#: Words before the person: "a *young* woman".
BEFORE: dict[str, dict[str, tuple[str, ...]]] = {
    "age": {
        "young": ("young", "youthful"),
        "middle-aged": ("middle-aged", "mature", "middle aged"),
        "elderly": ("elderly", "old", "senior", "aged"),
    },
    "skin": {
        "fair": ("fair-skinned", "light-skinned", "pale"),
        "tan": ("tan-skinned", "tanned", "olive-skinned", "brown-skinned"),
        "dark": ("dark-skinned", "dark skinned"),
    },
    "smile": {
        "smiling": ("smiling", "grinning", "happy", "cheerful", "beaming"),
        "serious": ("serious", "unsmiling", "straight-faced"),
    },
    "laugh": {"laughing": ("laughing", "broadly grinning", "giggling")},
    "expression": {
        "neutral": ("calm", "neutral", "expressionless", "relaxed", "serious"),
        "smiling": ("smiling", "grinning", "happy", "cheerful"),
        "surprised": ("surprised", "astonished", "amazed", "shocked", "startled"),
        "sad": ("sad", "unhappy", "sorrowful", "gloomy"),
        "angry": ("angry", "furious", "mad", "cross"),
        "kissing": ("kissing", "pouting"),
        "sceptical": ("sceptical", "skeptical", "doubtful"),
    },
    "style": {"bald": ("bald", "bald-headed", "hairless")},
    "eyewear": {"glasses": ("bespectacled",)},
    "bearded": {"bearded": ("bearded",), "shaven": ("clean-shaven", "beardless")},
    "beard": {
        "none": ("clean-shaven", "clean shaven", "beardless"),
        "stubble": ("stubbly", "unshaven"),
        "moustache": ("moustached",),
    },
    "hair": {
        "blonde": ("blonde", "blond", "fair-haired", "blonde-haired"),
        "red": ("red-haired", "ginger", "redheaded"),
        "black": ("black-haired",),
        "brown": ("brown-haired", "brunette"),
        "grey": ("grey-haired", "gray-haired"),
        "white": ("white-haired",),
        **{dye: (f"{dye}-haired",) for dye in DYES},
    },
    "eye": {c: (f"{c}-eyed",) for c in ("brown", "hazel", "green", "grey", "blue")},
}

_EYE_COLOURS = {"hazel": ("hazel", "light brown", "amber"), "grey": ("grey", "gray")}

#: Things a person has: "with *blue eyes*".
WITH: dict[str, dict[str, tuple[str, ...]]] = {
    "skin": {
        "fair": ("fair skin", "light skin", "pale skin"),
        "tan": ("tan skin", "tanned skin", "olive skin", "light brown skin"),
        "dark": ("dark skin", "deep brown skin"),
    },
    "tone": {tone: (f"{tone} skin", f"a {tone} complexion") for tone in _TONES},
    "smile": {
        "smiling": ("a smile", "a grin", "a smiling face", "a big smile", "a happy face"),
        "serious": ("a serious face", "no smile", "a straight face"),
    },
    "laugh": {"laughing": ("an open-mouthed smile", "a wide grin", "a laughing face")},
    "expression": {
        "neutral": ("a neutral expression", "a calm face", "a neutral face", "no expression"),
        "smiling": ("a smile", "a smiling expression", "a happy expression"),
        "surprised": ("a surprised expression", "a look of surprise", "a surprised face"),
        "sad": ("a sad expression", "a sad face", "a frown of sadness"),
        "angry": ("an angry expression", "an angry face", "a furious look"),
        "kissing": ("pursed lips", "puckered lips", "a kissing mouth", "pouting lips"),
        "sceptical": ("a sceptical look", "a skeptical expression", "a raised eyebrow"),
        "eyes closed": ("closed eyes", "eyes closed", "shut eyes", "eyes shut"),
    },
    "mouth": {"open": ("an open mouth", "a slightly open mouth", "parted lips"),
              "closed": ("a closed mouth", "closed lips")},
    "iris": {word: (f"{word} eyes", f"{word} irises") for word in cat.EYE_WORDS.values()},
    "eye": {
        c: tuple(f"{w} eyes" for w in _EYE_COLOURS.get(c, (c,)))
        for c in ("brown", "hazel", "green", "grey", "blue")
    },
    "bearded": {"bearded": ("a beard", "facial hair"),
                "shaven": ("no beard", "a shaven chin", "no facial hair")},
    "beard": {
        "none": ("no beard", "no facial hair", "a clean-shaven face", "a smooth chin"),
        "stubble": ("stubble", "a stubble beard", "short stubble", "designer stubble"),
        "full beard": ("a full beard", "a thick beard", "a big beard", "a bushy beard"),
        "goatee": ("a goatee", "a goatee beard", "a chin beard"),
        "moustache": ("a moustache", "a mustache", "a moustache and no beard"),
    },
    "eyewear": {"none": ("no glasses", "no eyewear", "bare eyes")},
    "hatted": {"none": ("no hat", "nothing on {their} head", "a bare head")},
    "lipstick": {"none": ("no lipstick", "natural lips", "bare lips", "lips without lipstick"),
                 "lipstick": ("lipstick", "painted lips", "red lipstick", "made-up lips")},
}  # fmt: skip

#: Things a person wears: "wearing *a cap*". ``{}`` is the place of a colour.
WORN: dict[str, dict[str, tuple[str, ...]]] = {
    "eyewear": {
        "glasses": ("glasses", "spectacles", "eyeglasses", "a pair of glasses", "eyewear"),
        "sunglasses": ("sunglasses", "dark glasses", "shades", "a pair of sunglasses"),
    },
    "glasses": {
        "round": ("round {} glasses", "round {} spectacles", "{} glasses with round lenses"),
        "rectangular": (
            "rectangular {} glasses",
            "square {} glasses",
            "{} glasses with rectangular frames",
        ),
        "sunglasses": ("dark sunglasses", "sunglasses", "shades"),
    },
    "hat": {
        "beanie": ("a {} beanie", "a {} woolly hat", "a {} knit cap"),
        "fedora": ("a {} fedora", "a {} fedora hat", "a {} brimmed hat"),
        "cap": ("a {} cap", "a {} baseball cap", "a {} peaked cap"),
    },
    "hatted": {"hat": ("a {} hat", "a {} headgear", "something {} on {their} head")},
    "lipstick": {"lipstick": ("lipstick", "red lipstick", "makeup on {their} lips")},
}

#: Hair by its style, with the place of its colour.
HAIR: dict[str, tuple[str, ...]] = {
    "any": ("{} hair",),
    "long": ("long {} hair", "long straight {} hair", "{} hair that is long"),
    "bob": ("a {} bob", "a {} bob cut", "chin-length {} hair", "{} hair in a bob"),
    "ponytail": ("a {} ponytail", "{} hair in a ponytail", "{} hair tied back"),
    "braid": ("braided {} hair", "a {} braid", "{} hair in braids", "{} plaited hair"),
    "short": ("short {} hair", "{} hair cut short", "a short {} haircut"),
    "wavy": ("short wavy {} hair", "wavy {} hair"),
    "swept": ("short swept {} hair", "swept {} hair"),
    "buzz cut": ("a {} buzz cut", "very short {} hair", "cropped {} hair", "a {} crew cut"),
    "bald": ("a bald head", "no hair", "a shaved head"),
}
#: Other words for a colour of hair.
HAIR_COLOURS: dict[str, tuple[str, ...]] = {
    "black": ("black", "jet black", "raven"),
    "brown": ("brown", "brunette", "brown"),
    "blonde": ("blonde", "blond", "golden", "fair"),
    "red": ("red", "ginger", "auburn", "copper"),
    "grey": ("grey", "gray", "greying"),
    "white": ("white", "snow-white"),
    **{dye: (dye, f"dyed {dye}", f"bright {dye}") for dye in DYES},
}
