"""The arithmetic of the benchmark of the window's feel, on made-up records with times by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.benchmarks.feel_report import Stroke, answers, feel, percentile, read, record
from tests.benchmarks.pointer import Moved

#: Three movements, 10 ms apart.
MOVES = (Moved(1.000, 100, 50), Moved(1.010, 103, 50), Moved(1.020, 106, 50))


def test_a_request_answers_the_movement_it_saw_and_those_before() -> None:
    noted = record(
        [
            ("asked", 1.014, 1, 93.0, 45.0, True),
            ("sent", 1.015, 1),
            ("asked", 1.030, 2, 96.0, 45.0, True),
            ("sent", 1.034, 2),
        ],
        origin=(10, 5),
    )
    # The first two movements were known to the request that left at 1.015.
    assert answers(MOVES, noted) == [1.015, 1.015, 1.034]


def test_a_request_that_was_overtaken_counts_when_the_newer_one_left() -> None:
    noted = record(
        [
            ("asked", 1.005, 1, 100, 50, True),
            ("asked", 1.012, 2, 103, 50, True),
            ("sent", 1.018, 2),
        ]
    )
    assert answers(MOVES, noted) == [1.018, 1.018, None]


def test_what_is_sent_again_when_the_drag_ends_counts_when_it_left_first() -> None:
    noted = record([("sent", 1.006, 1), ("sent", 1.9, 1)])
    assert noted.sent == {1: 1.006}


def test_the_same_place_passed_twice_is_told_apart_by_time() -> None:
    moves = (Moved(1.0, 5, 0), Moved(1.1, 9, 0), Moved(1.2, 5, 0))
    first = record([("asked", 1.05, 1, 5, 0, True), ("sent", 1.06, 1)])
    assert answers(moves, first) == [1.06, None, None]
    late = record([("asked", 1.25, 1, 5, 0, True), ("sent", 1.26, 1)])
    assert answers(moves, late) == [1.26, 1.26, 1.26]


def test_what_was_never_seen_or_never_left_is_dropped() -> None:
    never = record([("asked", 1.03, 1, 106, 50, True)])
    assert answers(MOVES, never) == [None, None, None]
    assert answers(MOVES, record([])) == [None, None, None]


def test_a_stroke_by_hand() -> None:
    """Two previews while it moves; the full picture 0.38 s after it rests, and nothing new at the
    release because it is there already."""
    noted = record(
        [
            ("loop", 1.001, 1.008, 1.009),
            ("asked", 1.005, 1, 100, 50, True),
            ("sent", 1.006, 1),
            ("shown", 1.011, 1.012, 1, False, 30.0, 32),
            ("asked", 1.013, 2, 103, 50, True),
            ("sent", 1.014, 2),
            ("shown", 1.017, 1.018, 2, False, 40.0, 40),
            ("asked", 1.024, 3, 106, 50, True),
            ("sent", 1.026, 3),
            ("shown", 1.050, 1.060, 3, False, 40.0, 40),
            ("shown", 1.390, 1.400, 3, True, 80.0, 64),
        ]
    )
    felt = feel([Stroke(MOVES, 1.9, 2.5)], noted)
    assert felt.rate == pytest.approx(2 / 0.020)
    assert felt.latencies == pytest.approx((0.006, 0.004, 0.006))
    assert felt.behind == pytest.approx((0.012, 0.008, 0.040))
    assert (felt.dropped, felt.moves, felt.missing) == (0, 3, 0)
    assert felt.rest == pytest.approx((0.380,))
    assert felt.let_go == (0.0,)
    assert felt.resolutions == (32, 40) and felt.engine == (30.0, 40.0)
    assert felt.loop == pytest.approx((0.008,))


def test_a_release_that_asks_anew_waits_for_its_own_full_picture() -> None:
    noted = record(
        [
            ("asked", 1.021, 1, 106, 50, True),
            ("sent", 1.022, 1),
            ("asked", 1.105, 2, 106, 50, False),
            ("sent", 1.106, 2),
            ("shown", 1.150, 1.160, 1, True, 80.0, 64),
            ("shown", 1.200, 1.210, 2, True, 80.0, 64),
        ]
    )
    felt = feel([Stroke(MOVES, 1.1, 2.0)], noted)
    assert felt.rest == pytest.approx((0.140,)) and felt.let_go == pytest.approx((0.110,))
    stopped = record([("asked", 1.021, 1, 106, 50, True), ("sent", 1.022, 1)])
    felt = feel([Stroke(MOVES, 1.1, 2.0)], stopped)
    assert felt.missing == 1 and felt.rest == felt.let_go == felt.behind == ()


def test_strokes_do_not_see_each_other() -> None:
    """The full picture of the second stroke is none of the first one's."""
    later = tuple(Moved(m.time + 10, m.x, m.y) for m in MOVES)
    noted = record(
        [
            ("asked", 1.021, 1, 106, 50, True),
            ("sent", 1.022, 1),
            ("asked", 11.021, 2, 106, 50, True),
            ("sent", 11.022, 2),
            ("shown", 11.400, 11.420, 2, True, 80.0, 64),
        ]
    )
    felt = feel([Stroke(MOVES, 1.5, 2.0), Stroke(later, 11.6, 12.0)], noted)
    assert felt.missing == 1 and felt.rest == pytest.approx((0.4,))


def test_percentiles() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0.0, 0.2, 0.5, 0.8, 0.95, 1.0)] == [
        1.0, 1.0, 3.0, 4.0, 5.0, 5.0,
    ]  # fmt: skip
    assert math.isnan(percentile([], 0.5))


def test_a_file_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "times.jsonl"
    path.write_text(json.dumps(["sent", 1.5, 7]) + "\n" + '["sent", 1.6')
    assert read(path).sent == {7: 1.5}
