"""When the window describes itself to the tests: when it is asked, or a dozen times a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.state_hook import ASK, PULSE, StateHook


class Hook(StateHook):
    """Notes after which frames it described the window."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(str(path) if path else None)
        self.frames: list[int] = []

    def _describe(self, *_what: Any) -> None:
        self.frames.append(self._finished)

    def frame(self) -> None:
        """One turn of the window's loop."""
        nothing: Any = None
        self.begin()
        self.write(nothing, nothing, nothing, nothing)


def pulse(path: Path) -> tuple[int, ...]:
    return PULSE.unpack(path.with_suffix(".pulse").read_bytes())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def ask(path: Path, frame: int, draws: bool) -> None:
    path.with_suffix(".ask").write_bytes(ASK.pack(frame, draws))


def test_it_does_nothing_unless_it_is_wanted(tmp_path: Path) -> None:
    hook = Hook(None)
    hook.frame()
    assert hook.frames == [] and not hook.waits and list(tmp_path.iterdir()) == []


def test_nobody_can_ask_and_it_describes_by_itself(path: Path) -> None:
    hook = Hook(path)
    ask(path, 9, True)  # too late: it was not there when the window started
    hook.frame()
    assert hook.frames == [1] and pulse(path) == (1, 1, 1) and not hook.waits


def test_it_describes_the_frame_that_is_asked_for(path: Path) -> None:
    path.with_suffix(".ask").touch()
    hook = Hook(path)
    hook.frame()
    hook.frame()
    assert hook.frames == [] and pulse(path) == (2, 2, 0) and not hook.waits
    # One that is drawn already: the window does not rest until it has been told.
    ask(path, 2, False)
    assert hook.waits
    hook.frame()
    assert hook.frames == [3] and pulse(path) == (3, 3, 3) and not hook.waits
    hook.frame()
    assert hook.frames == [3] and pulse(path) == (4, 4, 3)


def test_a_frame_to_come_is_drawn_towards_or_waited_for(path: Path) -> None:
    path.with_suffix(".ask").touch()
    hook = Hook(path)
    ask(path, 3, False)
    hook.frame()
    assert not hook.waits and hook.frames == []
    ask(path, 3, True)
    assert hook.waits
    hook.frame()
    assert hook.waits and hook.frames == []
    hook.frame()
    assert hook.frames == [3] and not hook.waits
    hook.begin()
    assert pulse(path) == (4, 3, 3)
