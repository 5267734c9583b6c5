"""Following a drag while its frame is painted: what runs when, and what is left to the main loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dearpygui.dearpygui as dpg
import pytest

from app.early import EarlyThread
from app.keyboard import is_key
from app.runner import CallbackRunner, early, passed

Job = tuple[Any, ...]
#: ``ImGuiKey_MouseLeft``, for which the toolkit has no name.
MOUSE_LEFT = 656
#: Seconds after which a wait has failed.
LONG = 10.0


class Toolkit:
    """Evaluates a frame, queues what it found, and paints until it is told to stop."""

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.frame = 0
        self.jobs: list[Job] = []
        self.taken = threading.Event()

    def frames(self) -> int:
        with self.mutex:
            return self.frame

    def queue(self) -> list[Job]:
        with self.mutex:
            jobs, self.jobs = self.jobs, []
        self.taken.set()
        return jobs

    def draw(self, jobs: list[Job], painted: Callable[[], object]) -> None:
        """A frame in which these callbacks are queued, painted until ``painted`` returns."""
        self.taken.clear()
        with self.mutex:
            self.frame += 1
            self.jobs += jobs
        painted()


@contextmanager
def thread(
    toolkit: Toolkit,
    runner: CallbackRunner,
    follow: Callable[[], None] = lambda: None,
    again: Callable[[], None] = lambda: None,
) -> Iterator[EarlyThread]:
    beside = EarlyThread(runner, follow, toolkit.queue, toolkit.frames, again)
    try:
        yield beside
    finally:
        beside.close()


def test_what_a_drag_asks_for_is_run_while_the_frame_is_painted() -> None:
    toolkit, asked, seen = Toolkit(), threading.Event(), []

    @early
    def slider(_sender: int, value: float) -> None:
        seen.append((value, threading.current_thread().name))
        asked.set()

    with thread(toolkit, CallbackRunner(seen.append)) as beside:
        for value in (0.25, 0.5):
            asked.clear()
            # The painting ends only when the callback has run.
            ran = beside.paint(
                lambda value=value: toolkit.draw(  # type: ignore[misc]
                    [(slider, 7, value, None)],
                    lambda: pytest.fail("late") if not asked.wait(LONG) else None,
                )
            )
            assert ran == 1
    assert seen == [(0.25, "maquette-early"), (0.5, "maquette-early")]


def test_what_is_dragged_by_hand_follows_first() -> None:
    toolkit, done, seen = Toolkit(), threading.Event(), []

    @early
    def slider() -> None:
        seen.append("slider")
        done.set()

    with thread(toolkit, CallbackRunner(seen.append), lambda: seen.append("follow")) as beside:
        beside.paint(lambda: toolkit.draw([(slider, 1, None, None)], lambda: done.wait(LONG)))
    assert seen == ["follow", "slider"]


def test_the_mouse_is_followed_until_the_frame_is_painted() -> None:
    """Several times, after what was queued, never beside the main loop, whatever goes wrong."""
    toolkit, thrice, seen = Toolkit(), threading.Event(), []
    complaints: list[str] = []
    painting = True

    def again() -> None:
        assert painting
        seen.append("again")
        if seen.count("again") == 2:
            raise ValueError("once")
        if seen.count("again") == 3:
            thrice.set()

    with thread(
        toolkit, CallbackRunner(complaints.append), lambda: seen.append("follow"), again
    ) as beside:
        beside.paint(lambda: toolkit.draw([], lambda: thrice.wait(LONG)))
        painting = False
        count = len(seen)
        assert seen[:4] == ["follow", "again", "again", "again"]
        assert not threading.Event().wait(0.05) and len(seen) == count
        painting = True
        thrice.clear()
        beside.paint(lambda: toolkit.draw([], lambda: toolkit.taken.wait(LONG)))
    assert seen[count] == "follow"
    assert len(complaints) == 1


def test_nothing_is_run_before_the_frame_is_evaluated() -> None:
    toolkit, seen = Toolkit(), []
    toolkit.jobs = [(early(lambda: seen.append("too early")), 1, None, None)]
    runner = CallbackRunner(seen.append)
    with thread(toolkit, runner, lambda: seen.append("follow")) as beside:
        # A frame that never gets as far, as that of a window that was put away.
        assert beside.paint(lambda: toolkit.taken.wait(0.1)) == 0
    assert seen == [] and len(toolkit.jobs) == 1


def test_nothing_is_run_while_the_main_loop_runs() -> None:
    toolkit, seen = Toolkit(), []
    with thread(toolkit, CallbackRunner(seen.append), lambda: seen.append("follow")) as beside:
        beside.paint(lambda: toolkit.draw([], lambda: toolkit.taken.wait(LONG)))
        assert seen == ["follow"]
        toolkit.frame += 1
        toolkit.jobs = [(early(lambda: seen.append("beside the loop")), 1, None, None)]
        beside._begun.set()  # woken too late: the loop holds the lock
        toolkit.taken.clear()
        assert not toolkit.taken.wait(0.1)
    assert seen == ["follow"] and len(toolkit.jobs) == 1


def test_a_frame_waits_for_the_callback_that_runs() -> None:
    toolkit, inside, go_on = Toolkit(), threading.Event(), threading.Event()
    order: list[str] = []

    @early
    def slow() -> None:
        inside.set()
        threading.Timer(0.05, go_on.set).start()
        go_on.wait(LONG)
        order.append("callback")

    with thread(toolkit, CallbackRunner(order.append)) as beside:
        beside.paint(lambda: toolkit.draw([(slow, 1, None, None)], lambda: inside.wait(LONG)))
        order.append("loop")
    assert order == ["callback", "loop"]


def test_the_order_is_kept_behind_what_must_wait() -> None:
    seen: list[str] = []

    def named(name: str) -> Callable[[], None]:
        return lambda: seen.append(name)

    runner = CallbackRunner(seen.append)
    jobs = [
        (None, 1, None, None),
        (passed()(named("hover")), 2, None, None),
        (passed(lambda code: code > 600)(named("no key")), 6, 656, None),
        (early(named("slider")), 3, 0.5, None),
        (named("let go"), 4, None, None),
        (early(named("another")), 5, 0.5, None),
    ]
    assert runner.run_early(jobs) == 1
    assert seen == ["slider"]
    assert runner.run_early([(early(named("last")), 6, 0.5, None)]) == 0
    assert runner.run(None) == 5
    assert seen == ["slider", "hover", "no key", "let go", "another", "last"]
    assert runner.run(None) == 0


def test_a_key_is_not_overtaken() -> None:
    seen: list[str] = []
    key = passed(lambda code: code > 600)(lambda: seen.append("key"))
    runner = CallbackRunner(seen.append)
    jobs = [(key, 1, 546, None), (early(lambda: seen.append("slider")), 2, 0.5, None)]
    assert runner.run_early(jobs) == 0
    assert runner.run(None) == 2 and seen == ["key", "slider"]


def test_a_button_of_the_mouse_is_no_key() -> None:
    assert is_key(int(dpg.mvKey_A)) and is_key(int(dpg.mvKey_Escape)) and not is_key(MOUSE_LEFT)


def test_a_method_is_marked_for_all_its_objects() -> None:
    class Window:
        @early
        def moved(self) -> None:
            seen.append("moved")

    seen: list[str] = []
    assert CallbackRunner(seen.append).run_early([(Window().moved, 1, None, None)]) == 1
    assert seen == ["moved"]


def test_a_fault_in_the_thread_is_shown_and_does_not_end_it() -> None:
    toolkit, shown = Toolkit(), []

    def fails() -> None:
        raise ZeroDivisionError("oh")

    with thread(toolkit, CallbackRunner(shown.append), fails) as beside:
        for _ in range(2):
            beside.paint(lambda: toolkit.draw([], lambda: toolkit.taken.wait(LONG)))
    assert len(shown) == 2 and "ZeroDivisionError" in shown[0]
