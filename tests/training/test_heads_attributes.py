"""A latent becomes a person: deterministic, with the shares that the catalogue states."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from engine.training.heads import catalogue as cat
from engine.training.heads.attributes import (
    ATTRIBUTE_NAMES,
    AXES,
    LATENT_SIZE,
    HeadAttributes,
    attribute_vector,
    attributes_from_latent,
    caption,
    quantile_bin,
)
from engine.training.heads.shape import expression_weights, shape_weights


@pytest.fixture(scope="module")
def people() -> list[HeadAttributes]:
    rng = np.random.default_rng(7)
    return [attributes_from_latent(z) for z in rng.standard_normal((3000, LATENT_SIZE))]


def _at(**values: float) -> HeadAttributes:
    z = np.zeros(LATENT_SIZE)
    for name, value in values.items():
        z[AXES[name]] = value
    return attributes_from_latent(z)


def test_every_coordinate_is_used_once() -> None:
    assert sorted(AXES.values()) == list(range(LATENT_SIZE))


def test_a_latent_gives_one_person() -> None:
    z = np.random.default_rng(3).standard_normal(LATENT_SIZE)
    assert attributes_from_latent(z) == attributes_from_latent(z.copy())
    assert attributes_from_latent(z) != attributes_from_latent(-z)


def test_quantile_bin() -> None:
    shares = [1.0, 2.0, 1.0]
    assert [quantile_bin(u, shares) for u in (0.0, 0.249, 0.25, 0.749, 0.75, 1.0)] == [
        0, 0, 1, 1, 2, 2,
    ]  # fmt: skip


def test_the_middle_of_the_distribution() -> None:
    """At z = 0 every quantile is one half."""
    person = _at()
    assert person.gender == "female"
    assert person.age == pytest.approx(18 + 62 * 0.5**2.1)
    assert person.ethnicity == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert person.muscle == 0.5
    assert set(person.details) == {0.0}
    assert person.smile == pytest.approx((0.5 - 0.14) / 0.86)
    assert person.mouth_open == 0.0


def test_shares_follow_the_catalogue(people: list[HeadAttributes]) -> None:
    men = [p for p in people if p.gender == "male"]
    women = [p for p in people if p.gender == "female"]
    assert len(men) / len(people) == pytest.approx(0.5, abs=0.04)
    for group, gender in ((men, "male"), (women, "female")):
        total = sum(cat.HAIR_SHARES[gender].values())
        for style, share in cat.HAIR_SHARES[gender].items():
            seen = sum(p.hair_style == style for p in group) / len(group)
            assert seen == pytest.approx(share / total, abs=0.04), style
    beards = [sum(p.beard == b for p in men) / len(men) for b in cat.BEARDS]
    assert beards == pytest.approx(cat.BEARD_SHARES, abs=0.04)
    assert all(p.beard == "none" for p in women) and not any(p.lipstick for p in men)
    for name, shares in (
        ("glasses", dict(zip(cat.GLASSES, cat.GLASSES_SHARES, strict=True))),
        ("expression", cat.EXPRESSION_SHARES),
        ("hat", cat.HAT_SHARES),
    ):
        for kind, share in shares.items():
            seen = sum(getattr(p, name) == kind for p in people) / len(people)
            assert seen == pytest.approx(share, abs=0.03), kind
            assert seen > 0.2 * share, kind
    for group, gender, dyed in ((women, "female", 0.05), (men, "male", 0.02)):
        assert {p.garment for p in group} == set(cat.GARMENT_SHARES[gender])
        seen = sum(p.hair_word in cat.DYES for p in group) / len(group)
        assert seen == pytest.approx(dyed, abs=0.012)
    womens = sum("_female_" in p.garment for p in women) / len(women)
    assert womens == pytest.approx(0.84, abs=0.04)
    assert not any("_female_" in p.garment for p in men)
    assert {g for shares in cat.GARMENT_SHARES.values() for g in shares} == set(cat.GARMENTS)


def test_ranges(people: list[HeadAttributes]) -> None:
    for p in people:
        assert 18 <= p.age <= 80
        assert sum(p.ethnicity) == pytest.approx(1.0)
        assert all(abs(d) <= 0.85 for d in p.details)
        colors = (*p.skin_tone, *p.hair_color, *p.brow_color, *p.cloth_color, *p.lip_color)
        assert all(0.0 < c < 1.0 for c in colors)


def test_dark_women_wear_womens_textures() -> None:
    dark = _at(african=3.0, caucasian=-2.0, asian=-2.0, gender=-1.0)
    assert dark.lightness < 0.3
    assert dark.skin_texture == "skin_young_lightskinned_female2.jpg"
    assert attributes_from_latent(np.full(LATENT_SIZE, 0.1)).skin_texture.endswith("_male2.jpg")


def test_attribute_vector_is_named_and_of_about_unit_size(people: list[HeadAttributes]) -> None:
    assert len(set(ATTRIBUTE_NAMES)) == len(ATTRIBUTE_NAMES) == 136
    vectors = np.stack([attribute_vector(p) for p in people])
    assert vectors.shape == (3000, 136) and vectors.dtype == np.float32
    assert np.abs(vectors).max() < 7.0
    column = dict(zip(ATTRIBUTE_NAMES, vectors.T, strict=True))
    assert column["nose_width"].std() == pytest.approx(1.0, abs=0.05)
    assert set(np.unique(column["male"])) == {-1.0, 1.0}
    styles = sum(column[f"hair_style={s}"] for s in cat.HAIR_STYLES)
    assert (styles == 1.0).all()


def test_what_is_not_seen_is_zero_in_the_vector() -> None:
    bare = dict(zip(ATTRIBUTE_NAMES, attribute_vector(_at(beard_length=2.0)), strict=True))
    assert bare["beard_length"] == bare["glasses_size"] == bare["frame_red"] == 0.0
    worn = dict(
        zip(ATTRIBUTE_NAMES, attribute_vector(_at(glasses=1.5, glasses_size=2.0)), strict=True)
    )
    assert worn["glasses=rectangular"] == 1.0 and worn["glasses_size"] > 0.9


def test_captions() -> None:
    text = caption(
        _at(
            gender=1.0, age=2.5, beard=0.8, hair_style=2.0, glasses=1.5, frame_color=-1.0, smile=1.5
        )
    )
    assert text.startswith("a smiling elderly man with ")
    assert "full beard" in text and "rectangular black glasses" in text
    assert caption(_at(age=2.5, smile=-3.0)).startswith("an elderly woman with ")
    assert " a a" not in text and "{" not in text


def test_latents_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="72 finite numbers"):
        attributes_from_latent(np.zeros(64))
    with pytest.raises(ValueError, match="72 finite numbers"):
        attributes_from_latent(np.full(LATENT_SIZE, np.nan))


def test_shape_weights_are_convex_and_signed() -> None:
    weights = shape_weights(_at(nose_width=-1.0, cheek_bones=1.0))
    macros = [v for k, v in weights.items() if k.startswith("macro/")]
    assert sum(macros) == pytest.approx(1.0)
    # The woman's narrower nose (0.30) and one standard deviation below (0.20) add up.
    assert weights["nose-scale-horiz-decr"] == pytest.approx(0.50)
    assert "nose-scale-horiz-incr" not in weights
    assert weights["l-cheek-bones-incr"] == weights["r-cheek-bones-incr"] == pytest.approx(0.55)


def test_wide_smiles_do_not_retract_the_lip() -> None:
    grin = expression_weights(_at(smile=4.0, mouth_open=4.0))
    total = sum(v for k, v in grin.items() if k.endswith("mouth-upward-retraction"))
    assert 0.1 < total <= 0.22 + 1e-6
    assert any(k.endswith("eye-left-slit") for k in grin)


def test_only_calm_and_sleeping_faces_smile() -> None:
    def units(**values: float) -> dict[str, float]:
        sums: dict[str, float] = {}
        for name, value in expression_weights(_at(smile=4.0, mouth_open=4.0, **values)).items():
            unit = name.rsplit("/", 1)[1]
            sums[unit] = sums.get(unit, 0.0) + value
        return sums

    edges = np.cumsum(list(cat.EXPRESSION_SHARES.values()))
    middle = dict(zip(cat.EXPRESSIONS, ndtri(edges - 0.02), strict=True))
    for name in cat.EXPRESSIONS[1:]:
        assert _at(expression=middle[name]).expression == name
    sad, asleep = units(expression=middle["sad"]), units(expression=middle["eyes closed"])
    assert "mouth-corner-puller" not in sad and sad["mouth-depression"] > 0.25
    # The lids close whatever the strength, and nothing holds them open.
    weak = units(expression=middle["eyes closed"], expression_strength=-4.0, eye_open=3.0)
    for lids in (asleep, weak):
        assert lids["eye-left-closure"] == lids["eye-right-closure"] == pytest.approx(1.0)
        assert not any(unit.endswith(("opened-up", "slit")) for unit in lids)
    faint = units(expression=middle["sad"], expression_strength=-6.0)
    full = units(expression=middle["sad"], expression_strength=6.0)
    assert faint["mouth-depression"] == pytest.approx(full["mouth-depression"] / 2, rel=1e-3)


def test_dye_leaves_brows_and_beards_as_they_grow() -> None:
    plain, dyed = _at(), _at(hair_dye=3.5)
    assert dyed.hair_word == cat.DYES[-1] and plain.hair_word not in cat.DYES
    assert dyed.hair_color != plain.hair_color
    assert (dyed.brow_color, dyed.beard_color) == (plain.brow_color, plain.beard_color)
    told = dict(zip(ATTRIBUTE_NAMES, attribute_vector(dyed), strict=True))
    assert told["hair_dye=green"] == 1.0


def test_captions_drop_what_is_hidden() -> None:
    seen = caption(_at(hair_style=-1.0))
    assert "eyes" in seen and "long straight" in seen
    assert "eyes" not in caption(_at(glasses=3.5)) and "sunglasses" in caption(_at(glasses=3.5))
    closed = caption(_at(expression=3.5))
    assert "closed eyes" in closed and "brown eyes" not in closed
    hatted = caption(_at(hat=1.5, gender=1.0, hair_style=-1.0))
    assert "beanie" in hatted and "short" not in hatted and "hair" in hatted
    assert caption(_at(expression=0.8)).startswith("a surprised ")


def test_hats_and_textures_are_in_the_vector() -> None:
    bare = dict(zip(ATTRIBUTE_NAMES, attribute_vector(_at(hat_tone=2.0)), strict=True))
    assert bare["hat=none"] == 1.0 and bare["hat_red"] == bare["expression_strength"] == 0.0
    worn = dict(zip(ATTRIBUTE_NAMES, attribute_vector(_at(hat=3.0, hat_color=0.5)), strict=True))
    assert worn["hat=cap"] == 1.0 and worn["hat_red"] > 0.0
    assert _at(skin_texture=1.0).skin_texture == "skin_young_lightskinned_female3.jpg"
    man = [_at(gender=1.0, skin_texture=x).skin_texture for x in (-1.0, 0.2, 1.0)]
    assert man == [f"skin_young_lightskinned_male{n}.jpg" for n in ("", "2", "3")]
