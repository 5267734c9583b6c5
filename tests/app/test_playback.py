"""The playhead without a window: scrubbing, playing in real time, keys; and the strip's geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app import timeline_edits as edits
from app.document import Document
from app.geometry import arrange
from app.history import History
from app.playback import Playback
from app.timeline_strip import TimeStrip, label
from engine.camera import OrbitPose
from engine.errors import UserError
from engine.recipe import Recipe
from engine.timeline import Timeline


class Desk:
    """What a playhead needs of a studio: a document with its history, and a clock."""

    def __init__(self) -> None:
        self.history = History.starting(Document(Recipe(seed=1), timeline=Timeline(fps=10.0)))
        self.now = 100.0
        self.asked = 0

    @property
    def document(self) -> Document:
        return self.history.document

    def clock(self) -> float:
        return self.now

    def edit(
        self, name: str, change: Callable[[Document], Document], gesture: str | None = None,
        lasting: float | None = None,
    ) -> None:  # fmt: skip
        self.history = self.history.edit(name, change(self.document), gesture)
        self.asked += 1

    def end_gesture(self) -> None:
        self.history = self.history.end_gesture()

    def touch(self) -> None:
        pass


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def head(desk: Desk) -> Playback:
    return Playback(desk)  # type: ignore[arg-type]


def turn(desk: Desk, yaw: float, seed: int = 1) -> None:
    recipe = Recipe(seed=seed, pose=OrbitPose(yaw=yaw))
    desk.edit("Turn", lambda d: replace(d, recipe=recipe))


def two_keys(desk: Desk, head: Playback) -> None:
    """Yaw 0 at 0 s and 40 at 4 s, of a timeline of 5 s."""
    head.set_key()
    head.scrub(4.02)
    turn(desk, 40.0, 2)
    head.set_key()


def test_until_there_are_two_keys_scrubbing_moves_the_playhead_alone(
    desk: Desk, head: Playback
) -> None:
    head.scrub(2.0)
    turn(desk, 15.0)
    head.set_key()
    turn(desk, 33.0)
    head.scrub(3.0)
    assert head.time == 3.0 and desk.document.pose.yaw == 33.0 and head.selected is None
    with pytest.raises(UserError, match="Add two keys"):
        head.play_or_pause()


def test_a_drag_of_the_playhead_is_one_step_and_can_be_undone(desk: Desk, head: Playback) -> None:
    two_keys(desk, head)
    assert [key.time for key in desk.document.timeline.keys] == [0.0, 4.0] and head.selected == 1
    turn(desk, 77.0)
    steps = len(desk.history.past)
    for time in (3.0, 2.0, 1.04, 1.01):
        head.scrub(time)
    desk.end_gesture()
    assert head.time == 1.0 and desk.document.pose.yaw == pytest.approx(10.0)
    assert len(desk.history.past) == steps + 1 and desk.history.undo_name == "Scrub"
    # What no key held is not lost.
    assert desk.history.undo().document.pose.yaw == 77.0
    head.scrub(-9.0)
    assert head.time == 0.0 and head.selected == 0


def test_it_plays_by_the_clock_and_leaves_frames_out(desk: Desk, head: Playback) -> None:
    two_keys(desk, head)
    head.scrub(0.0)
    desk.end_gesture()
    asked, steps = desk.asked, len(desk.history.past)
    head.play_or_pause()
    for later in (0.0, 0.01, 0.02):
        desk.now = 100.0 + later
        head.tick()
    assert desk.asked == asked  # still the same frame
    for later in (1.0, 2.5):
        desk.now = 100.0 + later
        head.tick()
    assert head.time == 2.5 and desk.asked == asked + 2
    assert desk.document.pose.yaw == pytest.approx(25.0)
    desk.now = 107.0
    head.tick()
    assert not head.is_playing and head.time == 5.0 and desk.document.pose.yaw == 40.0
    assert len(desk.history.past) == steps + 1 and desk.history.undo_name == "Play"
    # From the end it begins anew.
    head.play_or_pause()
    desk.now = 108.0
    head.tick()
    assert head.time == 1.0
    head.play_or_pause()
    assert not head.is_playing and head.time == 1.0


def test_a_loop_goes_on_and_a_hand_stops_it(desk: Desk, head: Playback) -> None:
    two_keys(desk, head)
    desk.edit("Loop", lambda d: edits.set_loop(d, True))
    head.scrub(0.0)
    head.play_or_pause()
    desk.now = 112.0
    head.tick()
    assert head.is_playing and head.time == 2.0
    turn(desk, -60.0)
    head.tick()
    assert not head.is_playing and desk.document.pose.yaw == -60.0


def test_keys_are_stepped_through_and_changed(desk: Desk, head: Playback) -> None:
    with pytest.raises(UserError, match="no keys yet"):
        head.step(1)
    with pytest.raises(UserError, match="Choose a key"):
        head.delete()
    two_keys(desk, head)
    head.step(1)
    assert head.time == 0.0 and head.selected == 0 and desk.document.recipe.seed == 1
    head.step(1)
    assert head.time == 4.0 and desk.document.recipe.seed == 2
    head.scrub(2.0)
    head.step(-1)
    assert head.time == 0.0
    head.scrub(2.0)
    head.select(0)
    head.duplicate()
    assert head.selected == 1 and desk.document.timeline.keys[1].time == 2.0
    assert head.move(1, 4.7) == 2 and head.selected == 2
    head.delete()
    assert head.selected is None and len(desk.document.timeline.keys) == 2
    # Undo may take away the key that is selected.
    head.select(1)
    desk.edit("Clear", edits.clear)
    assert head.selected is None and head.time == 2.0


def test_times_lie_along_the_strip() -> None:
    strip = TimeStrip(528, 5.0)
    assert strip.x_of(0) == 14 and strip.x_of(5) == 514 and strip.time_at(264) == 2.5
    assert strip.time_at(-50) == 0 and strip.time_at(9999) == 5.0
    assert [text for _, text in strip.ticks()] == ["0", "1", "2", "3", "4", "5"]
    assert strip.key_under([1.0, 1.1, 4.0], strip.x_of(1.1) + 3, strip.middle) == 1
    assert strip.key_under([1.0], strip.x_of(1.0), 3) is None
    assert strip.key_under([1.0], strip.x_of(2.0), strip.middle) is None
    assert strip.key_under([], 20, strip.middle) is None
    for width, duration in ((300, 0.1), (2000, 3600.0), (650, 90.0)):
        times = [time for time, _ in TimeStrip(width, duration).ticks()]
        assert 1 <= len(times) <= width / 40 and times[-1] <= duration + 1e-9
    assert (label(0.5), label(4.0), label(90)) == ("0.5", "4", "1:30")


def test_the_strip_stands_below_the_picture() -> None:
    layout, without = arrange(1280, 720, timeline=True), arrange(1280, 720)
    assert without.timeline.height == 0 and without.viewport.height > layout.viewport.height
    assert layout.viewport.bottom == layout.grip_timeline.y
    assert layout.grip_timeline.bottom == layout.timeline.y
    assert layout.timeline.bottom == layout.status.y == without.viewport.bottom
    assert (layout.timeline.x, layout.timeline.width) == (layout.viewport.x, layout.viewport.width)
    assert arrange(500, 300, 3.0, True).viewport.height >= 1
    # In a narrow window it has the whole width, and the panels make room for it as well.
    narrow = arrange(960, 620, timeline=True)
    assert (narrow.timeline.x, narrow.timeline.width) == (0, 960)
    assert narrow.left.bottom == narrow.right.bottom == narrow.grip_timeline.y
    assert narrow.timeline.bottom == narrow.status.y and arrange(960, 620).left.height == 536
