"""A latent becomes a person: deterministic, with the shares that the catalogue states."""

from __future__ import annotations

import numpy as np
import pytest

from engine.training.heads import catalogue as cat
from engine.training.heads.attributes import (
    ATTRIBUTE_NAMES,
    AXES,
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
    return [attributes_from_latent(z) for z in rng.standard_normal((3000, 64))]


def _at(**values: float) -> HeadAttributes:
    z = np.zeros(64)
    for name, value in values.items():
        z[AXES[name]] = value
    return attributes_from_latent(z)


def test_every_coordinate_is_used_once() -> None:
    assert sorted(AXES.values()) == list(range(64))


def test_a_latent_gives_one_person() -> None:
    z = np.random.default_rng(3).standard_normal(64)
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
    assert {p.garment for p in women} == {p.garment for p in men} == set(cat.GARMENTS)


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
    assert attributes_from_latent(np.full(64, 0.1)).skin_texture.endswith("male.jpg")


def test_attribute_vector_is_named_and_of_about_unit_size(people: list[HeadAttributes]) -> None:
    assert len(set(ATTRIBUTE_NAMES)) == len(ATTRIBUTE_NAMES) == 110
    vectors = np.stack([attribute_vector(p) for p in people])
    assert vectors.shape == (3000, 110) and vectors.dtype == np.float32
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
        zip(ATTRIBUTE_NAMES, attribute_vector(_at(glasses=3.0, glasses_size=2.0)), strict=True)
    )
    assert worn["glasses=rectangular"] == 1.0 and worn["glasses_size"] > 0.9


def test_captions() -> None:
    text = caption(
        _at(
            gender=1.0, age=2.5, beard=0.8, hair_style=2.0, glasses=3.0, frame_color=-1.0, smile=1.5
        )
    )
    assert text.startswith("a smiling elderly man with ")
    assert "full beard" in text and "rectangular black glasses" in text
    assert caption(_at(age=2.5, smile=-3.0)).startswith("an elderly woman with ")
    assert " a a" not in text and "{" not in text


def test_latents_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="64 finite numbers"):
        attributes_from_latent(np.zeros(63))
    with pytest.raises(ValueError, match="64 finite numbers"):
        attributes_from_latent(np.full(64, np.nan))


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
