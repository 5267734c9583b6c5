"""Timelines: what lies at the keys, between them and beyond, and what a file of one may hold."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.camera import OrbitPose
from engine.edits import Edit, Offset
from engine.errors import UserError
from engine.faces import Face, Fade, Identity, between
from engine.identity import Blend, Latent, StyleSource, catmull_rom
from engine.keyframe import EASINGS, Keyframe, eased
from engine.recipe import Recipe
from engine.timeline import Timeline, load_timeline, save_timeline
from tests.generators.tiny_eg3d import tiny_model


def key(
    time: float, yaw: float = 0.0, seed: int = 0, easing: str = "linear", **pose: float
) -> Keyframe:
    return Keyframe(time, OrbitPose(yaw=yaw, **pose), Identity(Face(seed)), easing)  # type: ignore[arg-type]


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, width=32)


POINTS = st.tuples(numbers(-1, 1), numbers(-1, 1), numbers(-1, 1))
POSES = st.builds(
    OrbitPose, numbers(-180, 180), numbers(-89, 89), numbers(-180, 180), numbers(2, 9),
    numbers(5, 60), POINTS, POINTS,
)  # fmt: skip
FACES = st.builds(Face, st.integers(0, 5), st.sampled_from((0.5, 0.7)))
OFFSETS = st.sampled_from([Offset.of(np.full((rows, 2), 0.5)) for rows in (1, 2)])
EDITS = st.builds(Edit, st.just("Edit"), OFFSETS, numbers(-4, 4), st.booleans())
IDENTITIES = st.builds(
    Identity,
    FACES,
    st.lists(st.builds(Fade, FACES, numbers(-1, 1)), max_size=2).map(tuple),
    st.lists(EDITS, max_size=2).map(tuple),
)
KEYS = st.builds(
    Keyframe, st.integers(0, 49).map(lambda n: n / 10), POSES, IDENTITIES,
    st.sampled_from(sorted(EASINGS)),
)  # fmt: skip
TIMELINES = st.builds(
    Timeline,
    st.lists(KEYS, min_size=1, max_size=7, unique_by=lambda k: k.time).map(tuple),
    st.just(5.0),
    st.sampled_from((24.0, 25.0, 30.0)),
    st.booleans(),
    numbers(0, 1),
)


def numbers_of(pose: OrbitPose) -> np.ndarray:
    """A pose without the seams of its angles."""
    angles = np.radians([pose.yaw, pose.roll])
    return np.array(
        [*np.sin(angles), *np.cos(angles), pose.pitch / 90, pose.radius, pose.fov_y / 60,
         *pose.center, *pose.look_at]
    )  # fmt: skip


def distance(a: Identity, b: Identity) -> float:
    one: dict[object, float] = {**a.shares, **effects(a)}
    two: dict[object, float] = {**b.shares, **effects(b)}
    return max(abs(one.get(f, 0.0) - two.get(f, 0.0)) for f in {*one, *two})


def effects(identity: Identity) -> dict[Offset, float]:
    offsets = {edit.offset for edit in identity.edits}
    return {o: sum(e.effect for e in identity.edits if e.offset == o) for o in offsets}


@given(TIMELINES)
def test_every_key_is_met_exactly(timeline: Timeline) -> None:
    for one in timeline.keys:
        shown = timeline.at(Recipe(size=64), one.time)
        assert shown.pose == one.pose and shown.identity == one.identity and shown.size == 64


@given(TIMELINES, st.floats(-3, 12))
def test_any_moment_can_be_drawn(timeline: Timeline, time: float) -> None:
    recipe = timeline.at(Recipe(), time).checked()
    assert abs(recipe.pose.yaw) <= 180 and abs(recipe.pose.pitch) <= 89
    assert sum(recipe.identity.shares.values()) == pytest.approx(1.0)


@settings(max_examples=60)
@given(TIMELINES, st.floats(0, 5))
def test_nothing_jumps_unless_it_is_told_to(timeline: Timeline, time: float) -> None:
    smooth = replace(
        timeline,
        keys=tuple(replace(k, easing="linear" if k.easing == "hold" else k.easing) for k in timeline.keys),
    )  # fmt: skip
    step = 1e-7
    before, after = smooth.at(Recipe(), time), smooth.at(Recipe(), time + step)
    # Keys lie at least 0.1 s apart: nothing changes faster than some hundred units a second.
    assert np.abs(numbers_of(before.pose) - numbers_of(after.pose)).max() < 2000 * step
    assert distance(before.identity, after.identity) < 500 * step


@given(TIMELINES, st.randoms(use_true_random=False), st.floats(0, 5))
def test_the_order_of_the_keys_does_not_matter(
    timeline: Timeline, source: random.Random, time: float
) -> None:
    keys = list(timeline.keys)
    source.shuffle(keys)
    other = replace(timeline, keys=tuple(keys))
    assert other == timeline and other.at(Recipe(), time) == timeline.at(Recipe(), time)


@given(TIMELINES, st.floats(0, 5))
def test_a_loop_begins_anew(timeline: Timeline, time: float) -> None:
    loop = replace(timeline, loop=True)
    now, later = loop.pose_at(time), loop.pose_at(time + loop.duration)
    assert numbers_of(later) == pytest.approx(numbers_of(now), abs=1e-6)
    end, start = loop.pose_at(loop.duration - 1e-9), loop.pose_at(0.0)
    if not any(k.easing == "hold" for k in loop.keys):
        assert numbers_of(end) == pytest.approx(numbers_of(start), abs=1e-5)


@given(TIMELINES)
def test_a_timeline_comes_back_to_the_last_bit(timeline: Timeline) -> None:
    text = json.dumps(timeline.to_json(), allow_nan=False)
    assert Timeline.from_json(json.loads(text)) == timeline


def test_between_evenly_spaced_keys_it_is_catmull_rom() -> None:
    line = Timeline(
        tuple(key(t, y, s) for t, y, s in ((0, 0, 1), (1, 10, 2), (2, 40, 3), (3, 50, 4)))
    )
    weights = catmull_rom(0.25)
    expected = sum(w * y for w, y in zip(weights, (0, 10, 40, 50), strict=True))
    assert line.pose_at(1.25).yaw == pytest.approx(expected)
    shares = line.identity_at(1.25).shares
    assert [shares[Face(s)] for s in (1, 2, 3, 4)] == pytest.approx(list(weights))
    # In a loop the neighbours of the ends are each other, a period away.
    loop = replace(line, duration=4.0, loop=True)
    expected = sum(w * y for w, y in zip(weights, (50, 0, 10, 40), strict=True))
    assert loop.pose_at(0.25).yaw == pytest.approx(expected)
    assert loop.pose_at(3.25).yaw == pytest.approx(
        sum(w * y for w, y in zip(weights, (40, 50, 0, 10), strict=True))
    )


def test_two_keys_and_full_tension() -> None:
    line = Timeline((key(1, 0, radius=2), key(3, 20, radius=8)), tension=0.0)
    # Both tangents are the slope itself: a straight line, and the distance by its logarithm.
    assert line.pose_at(1.5).yaw == pytest.approx(5) and line.pose_at(2).radius == pytest.approx(4)
    assert line.pose_at(0) == line.keys[0].pose and line.pose_at(5) == line.keys[1].pose
    tense = replace(line, tension=1.0)
    # Smoothstep: 3 s^2 - 2 s^3 at a quarter.
    assert tense.pose_at(1.5).yaw == pytest.approx(20 * (3 / 16 - 2 / 64))


def test_uneven_keys_keep_their_speed_through_a_key() -> None:
    line = Timeline((key(0, 0), key(1, 10), key(4, 20), key(5, 50)))
    for time, slope in ((1.0, 20 / 4), (4.0, 40 / 4)):
        step = 1e-5
        left = (line.pose_at(time).yaw - line.pose_at(time - step).yaw) / step
        right = (line.pose_at(time + step).yaw - line.pose_at(time).yaw) / step
        assert left == pytest.approx(slope, rel=1e-3) and right == pytest.approx(slope, rel=1e-3)


def test_angles_go_the_shorter_way_and_a_loop_may_wind() -> None:
    line = Timeline((key(0, 170, roll=-175), key(2, -170, roll=175)))
    assert abs(line.pose_at(1).yaw) == pytest.approx(180)
    assert abs(line.pose_at(1).roll) == pytest.approx(180)
    turn = Timeline(
        tuple(key(t, y) for t, y in ((0, 0), (1, 90), (2, 180), (3, -90))), 4.0, loop=True
    )
    yaws = [turn.pose_at(i / 10).yaw for i in range(41)]
    steps = (np.diff(yaws) + 180) % 360 - 180
    # A whole turn at an even pace, through the seam as well.
    assert steps == pytest.approx([9.0] * 40)


def test_easings() -> None:
    assert {name: eased(name, 0.25) for name in EASINGS} == {  # type: ignore[arg-type]
        "linear": 0.25, "ease-in": 0.0625, "ease-out": 0.4375, "ease": 0.15625, "hold": 0.0,
    }  # fmt: skip
    line = Timeline((key(0, 0, 1, "hold"), key(2, 10, 2)))
    assert line.at(Recipe(), 1.999).identity.face.seed == 1 and line.pose_at(1.999).yaw == 0
    assert line.pose_at(2).yaw == 10
    assert eased("hold", 1.0) == 1.0


def test_a_face_rests_between_keys_of_its_own() -> None:
    line = Timeline((key(0, seed=1), key(1, seed=2), key(2, 5, seed=2), key(3, seed=3)))
    assert line.identity_at(1.5) == Identity(Face(2))


def test_one_key_and_none() -> None:
    assert Timeline((key(2, 33, 5),)).at(Recipe(), 4.0).pose.yaw == 33
    assert Timeline((key(2, 33, 5),), loop=True).at(Recipe(), 9.0).seed == 5
    recipe = Recipe(seed=3)
    assert Timeline().at(recipe, 1.0) is recipe


def test_frames() -> None:
    line = Timeline(duration=4.0, fps=25.0)
    assert line.frame_count == 101 and line.frame_time(100) == 4.0
    assert replace(line, loop=True).frame_count == 100
    assert line.nearest_frame(1.51) == 38 and line.nearest_frame(99) == 100
    odd = Timeline(duration=1.01, fps=10.0)
    assert odd.frame_count == 11 and odd.frame_time(10) == 1.0


def test_shares_are_summed_face_by_face() -> None:
    a, b, c = (Face(seed) for seed in (1, 2, 3))
    half = Identity(a, (Fade(b, 0.5),))
    assert half.shares == {a: 0.5, b: 0.5}
    mix = between(((half, 0.5), (Identity(b), 0.25), (Identity(c), 0.25)))
    assert mix.face == b and mix.shares == pytest.approx({b: 0.5, a: 0.25, c: 0.25})
    assert between(((half, 1.0), (Identity(c), 0.0))).shares == {a: 0.5, b: 0.5}


def test_everything_a_face_is_made_of_comes_back(tmp_path: Path) -> None:
    latent = Latent.of(np.arange(12, dtype=np.float32).reshape(3, 4) / 7, name="Zoë")
    faces = (
        Face(4, 0.1 + 0.2, 3, Blend((4, 5), (0.25, 0.75), "z"), (StyleSource(6, (0, 2), 0.5),)),
        Face(latent=latent),
    )
    line = Timeline(
        tuple(Keyframe(i, OrbitPose(1 / 3), Identity(f, (Fade(faces[0], 0.1),))) for i, f in enumerate(faces)),
        loop=True, tension=0.3,
    )  # fmt: skip
    recipe = line.at(Recipe(), 0.4)
    assert recipe.fades and Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    save_timeline(line, tmp_path / "path.json")
    assert load_timeline(tmp_path / "path.json") == line
    # A face stands in the file once, however many keys hold it.
    many = Timeline(tuple(Keyframe(i / 10, OrbitPose(), Identity(faces[1])) for i in range(40)))
    assert len(many.to_json()["faces"]) == 1
    # Choosing another face is leaving the place between faces.
    assert recipe.of_seed(5).identity == Identity(
        Face(5, recipe.psi, recipe.cutoff, None, recipe.mixes)
    )


def test_another_models_framing_and_rows() -> None:
    old, new = (
        OrbitPose(radius=2.0, fov_y=20.0),
        OrbitPose(radius=1.0, fov_y=10.0, look_at=(0, 0, 0.5)),
    )
    mixed = Identity(
        Face(1, mixes=(StyleSource(2, (1, 9)),)),
        (Fade(Face(2, mixes=(StyleSource(3, (8,)),)), 0.5),),
    )
    line = Timeline((Keyframe(0, replace(old, yaw=30, radius=3.0), mixed),))
    pose = line.reframed(old, new).keys[0].pose
    assert pose == OrbitPose(30, 0, 0, 1.5, 10.0, (0.0, 0.0, 0.0), (0, 0, 0.5))
    # A path in a file says which framing it goes by; an old file does not.
    kept_line = replace(line, framing=old)
    assert Timeline.from_json(json.loads(json.dumps(kept_line.to_json()))) == kept_line
    assert kept_line.fitted(new) == line.reframed(old, new) != line.fitted(new)
    assert line.fitted(new) == line and "framing" not in line.to_json()
    # The same framing leaves a path alone that was moved aside.
    aside = Timeline((Keyframe(0, replace(old, look_at=(0, 0.1, 0)), mixed),), framing=old)
    assert aside.fitted(old).keys == aside.keys
    facts = tiny_model().capabilities
    kept = line.for_model(replace(facts, num_ws=8, layer_groups={})).keys[0].identity
    assert kept.face.mixes[0].rows == (1,) and kept.fades[0].face.mixes[0].rows == ()
    foreign = Identity(Face(7, latent=Latent.of(np.zeros((2, 3)))))
    assert Timeline((Keyframe(0, old, foreign),)).for_model(facts).keys[0].identity == Identity(
        Face(7)
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Timeline((key(1), key(1, 5))), "same time, 1 s"),
        (lambda: Timeline((key(6),)), "lies beyond the timeline's 5 s"),
        (lambda: Timeline((key(5),), loop=True), "before the end"),
        (lambda: Timeline(duration=math.nan), "lasts 0.1 to 3600 s"),
        (lambda: Timeline(fps=math.inf), "frame rate must be 1 to 120"),
        (lambda: Timeline(duration=3600, fps=120), "432001 frames, more than 10000"),
        (lambda: Timeline(tension=1.5), "tension must be 0 to 1"),
        (lambda: key(-1), "key's time"),
        (lambda: key(0, easing="bounce"), "Unknown easing 'bounce'"),
        (lambda: key(0, radius=0.0), "radius must be above zero"),
        (lambda: Fade(Face(), 9.0), "weight of a face"),
        (lambda: Face(-1), "seed must be"),
        (lambda: Face(0, math.nan), "psi must be"),
        (lambda: Face(0, cutoff=-1), "cutoff"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "maquette-timeline/2"}, "install a newer one"),
        ({"format": "maquette-recipe/1"}, "not a Maquette timeline"),
        ({"keys": 3}, "at most 1000 keys"),
        ({"keys": [{}]}, "damaged"),
        ({"duration": "long"}, "damaged"),
        ({"duration": float("nan")}, "lasts"),
        ({"faces": []}, "damaged"),
        ({"faces": None}, "damaged"),
        ({"tension": None}, "damaged"),
        ({"keys": [{"time": 10**400, "easing": "hold"}]}, "damaged"),
    ],
)
def test_a_damaged_file_is_one_sentence(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    path = tmp_path / "path.json"
    path.write_text(json.dumps(Timeline((key(0),)).to_json() | change))
    with pytest.raises(UserError, match=sentence) as error:
        load_timeline(path)
    assert str(path) in str(error.value)


def test_a_foreign_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "path.json"
    for content in (b"\xff\xfe", b"[" * 100_000, b"7", b"{"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="timeline"):
            load_timeline(path)
    with pytest.raises(UserError, match="no timeline at"):
        load_timeline(tmp_path / "none.json")
