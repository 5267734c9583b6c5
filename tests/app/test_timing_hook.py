"""The hook that notes when requests leave and pictures come."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.client import EngineClient
from app.messages import FrameReady
from app.timing_hook import VARIABLE, TimedClient, TimingHook, timed
from app.wire import Draw, Taken
from engine.recipe import Recipe
from tests.benchmarks.feel_report import read


class Pipe:
    """The window's end of a pipe to an engine that answers only what a test puts into it."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.answers: list[Any] = []

    def poll(self) -> bool:
        return bool(self.answers)

    def recv(self) -> object:
        return self.answers.pop(0)

    def send(self, message: object) -> None:
        self.sent.append(message)

    def close(self) -> None:
        pass


def lines(file: io.StringIO) -> list[list[Any]]:
    return [json.loads(line) for line in file.getvalue().splitlines()]


def picture(generation: int, full: bool) -> FrameReady:
    return FrameReady(np.zeros((8, 8, 4), np.float32), Recipe(), (40, 8), 31.257, full, generation)


def test_without_the_variable_there_is_no_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    client, hook = timed("cpu")
    assert hook is None and type(client) is EngineClient


def test_a_request_leaves_at_once_where_the_engine_has_taken_the_one_before() -> None:
    client, pipe = EngineClient("cpu"), Pipe()
    client._connection = pipe  # type: ignore[assignment]
    first = client.request(Recipe(seed=1), moving=True)
    second = client.request(Recipe(seed=2), moving=True)  # not taken yet: it waits
    assert [d.generation for d in pipe.sent] == [first]
    pipe.answers.append(Taken(first))
    third = client.request(Recipe(seed=3), moving=True)  # without a poll between
    assert [d.generation for d in pipe.sent] == [first, third] and second < third
    client._connection = None


def test_requests_are_noted_when_made_and_when_they_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "times.jsonl"))
    client, hook = timed("cpu")
    assert isinstance(client, TimedClient) and hook is not None
    hook.mouse = lambda: (12.0, 34.0)
    pipe = Pipe()
    client._connection = pipe  # type: ignore[assignment]
    first = client.request(Recipe(seed=1), moving=True)
    second = client.request(Recipe(seed=2), moving=True)  # waits: the first was not taken yet
    assert client.request(Recipe(seed=2), moving=True) == second  # the mouse rests: no new wish
    client._connection = None
    hook.write()
    noted = read(tmp_path / "times.jsonl")
    assert [(a.generation, a.x, a.y, a.moving) for a in noted.asked] == [
        (first, 12, 34, True),
        (second, 12, 34, True),
    ]
    assert list(noted.sent) == [first] and noted.sent[first] >= noted.asked[0].time
    assert [m.generation for m in pipe.sent if isinstance(m, Draw)] == [first]


def test_a_picture_is_noted_once_and_written_when_the_window_rests() -> None:
    file = io.StringIO()
    hook, frame = TimingHook(file), picture(3, False)
    hook.drawn(10.0, 10.1, 10.2, 10.25, frame)
    hook.drawn(10.3, 10.31, 10.32, 10.33, frame)
    assert file.getvalue() == ""  # something moved a moment ago
    hook.drawn(10.8, 10.81, 10.82, 10.83, frame)
    assert lines(file) == [
        ["shown", 10.1, 10.2, 3, False, 31.26, 40],
        ["loop", 10.0, 10.2, 10.25],
        ["loop", 10.3, 10.32, 10.33],
        ["loop", 10.8, 10.82, 10.83],
    ]
    hook.drawn(11.0, 11.1, 11.2, 11.3, picture(3, True))
    hook.drawn(12.0, 12.1, 12.2, 12.3, None)
    assert lines(file)[4] == ["shown", 11.1, 11.2, 3, True, 31.26, 40]
    assert len(lines(file)) == 7
