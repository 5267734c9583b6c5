"""What the scripts judge by: trends, gaps between frames, whole files, keys."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from app.commands import COMMANDS
from tests.faults.flat import LEAST, Look, judge
from tests.faults.hands import CHORDS, TITLES, chord
from tests.faults.painted import Painted
from tests.faults.rounds import whole
from tests.faults.starved import Starved
from tests.faults.vitals import MIB, Vitals, children, trend, vitals

HELD = Vitals(200 * MIB, 100 * MIB, 20, 5)


def looks(hours: float, growth: float) -> list[Look]:
    """A look every ten seconds at a window that grows by so many MiB in an hour, with a peak now and
    then."""
    found = []
    for number in range(round(hours * 360)):
        extra = round(growth * number / 360) + (80 if number % 50 == 0 else 0)
        held = replace(HELD, private=HELD.private + extra * MIB)
        found.append(Look(10.0 * number, 1, 7, held, HELD, HELD, 1, number))
    return found


def test_a_line_is_found_through_peaks() -> None:
    times = [10.0 * n for n in range(720)]
    values = [5.0 + n / 36.0 + (900.0 if n % 37 == 0 else 0.0) for n in range(720)]
    assert trend(times, values).slope == pytest.approx(10.0, abs=0.2)
    with pytest.raises(ValueError, match="four"):
        trend([1.0, 2.0], [1.0, 2.0])


@pytest.mark.parametrize(("growth", "flat"), [(0.0, True), (5.0, True), (40.0, False)])
def test_growth_is_told_from_peaks(growth: float, flat: bool) -> None:
    lines, is_flat = judge(looks(2.0, growth))
    assert is_flat is flat
    (row,) = [line for line in lines if line.startswith("| window, memory of its own")]
    assert row.endswith("| flat |" if flat else "| GROWS |")


def test_a_short_life_is_not_judged() -> None:
    lines, is_flat = judge(looks(2.0, 0.0)[: LEAST - 1])
    assert not is_flat and "too few" in lines[0]


def test_what_starts_late_or_is_gone_does_not_count() -> None:
    """The warm-up is left out, and so are an engine that died and a window that lived shorter."""
    steady = looks(2.0, 0.0)
    warm = [
        replace(look, window=replace(HELD, private=n * MIB)) if n < 150 else look
        for n, look in enumerate(steady)
    ]
    other = [
        replace(look, life=2, window=replace(HELD, descriptors=n))
        for n, look in enumerate(steady[:90])
    ]
    dead = [
        replace(look, engine=None, engine_pid=0) if n % 9 == 0 else look
        for n, look in enumerate(warm)
    ]
    assert judge([*dead, *other])[1]


def test_the_longest_gap_between_frames(tmp_path: Path) -> None:
    path = tmp_path / "times.jsonl"
    painted = Painted(path)
    painted.look()
    path.write_text(
        '["asked", 1.0, 2]\n["loop", 9.0, 10.0, 10.1]\n["loop", 10.2, 10.5, 10.6]\n["loop", 13'
    )
    painted.look()
    assert (painted.longest, painted.last, painted.long_ones) == (0.5, 10.5, [])
    with path.open("a") as file:
        file.write(".0, 13.5, 13.6]\n")
    painted.look()
    assert (painted.longest, painted.at, painted.frames) == (3.0, 13.5, 3)
    assert painted.long_ones == [(13.5, 3.0)]


def test_this_process_is_seen() -> None:
    seen = vitals(os.getpid())
    assert seen is not None and seen.rss >= seen.private > MIB and seen.threads >= 1
    assert seen.descriptors >= 3
    assert vitals(2**22 + 1) is None and children(2**22 + 1) == []


def test_waiting_for_the_processor_is_no_longer_than_the_time() -> None:
    watch = Starved(os.getpid())
    start = time.monotonic()
    while time.monotonic() - start < 0.3:
        pass
    waited = watch.between(start, time.monotonic())
    watch.close()
    assert 0.0 <= waited <= time.monotonic() - start + 0.2


def test_cut_files_are_told(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.effect_noise((40, 40), 90.0).save(picture)
    assert whole(picture) == ""
    picture.write_bytes(picture.read_bytes()[:-20])
    assert "cut" in whole(picture)
    picture.write_bytes(picture.read_bytes()[:60])
    assert "damaged" in whole(picture)
    video = tmp_path / "a.mp4"
    boxes = (
        b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x10moov" + bytes(8) + b"\0\0\0\x18mdat" + bytes(16)
    )
    video.write_bytes(boxes)
    assert whole(video) == ""
    video.write_bytes(boxes[:-1])
    assert "cut" in whole(video)
    assert "gone" in whole(tmp_path / "b.ply")


def test_keys_as_xdotool_names_them() -> None:
    assert [chord(keys) for keys in ("Ctrl+Shift+Z", "Ctrl++", "[", "F1", "Space", "Ctrl+-")] == [
        "ctrl+shift+z", "ctrl+plus", "bracketleft", "F1", "space", "ctrl+minus",
    ]  # fmt: skip


def test_nothing_leaves_the_window() -> None:
    (leave,) = [command for command in COMMANDS if command.name == "quit"]
    assert chord(leave.keys) not in CHORDS and leave.title not in TITLES
    assert len(TITLES) == len(COMMANDS) - 1
