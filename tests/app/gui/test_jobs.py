"""The list of jobs in the real window: several queue, each can be cancelled and begun again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.gui.driver import App, State

pytestmark = pytest.mark.gui


@pytest.fixture
def window(display: str, tmp_path: Path) -> Iterator[App]:
    """A window of its own, on a machine with a file manager."""
    tools = tmp_path / "bin"
    tools.mkdir()
    manager = tools / "xdg-open"
    manager.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/shown"\n')
    manager.chmod(0o755)
    model = tmp_path / "Study head.head"
    model.touch()
    with App(tmp_path, display, model, extra_path=tools) as app:
        app.point(*app.middle())
        yield app


def states(state: State) -> list[str]:
    return [entry[2] for entry in state["jobs"]]


def long_videos(app: App, count: int) -> None:
    """Put some videos into the queue under the names that are proposed."""
    app.click("tab_video")
    app.fill("video_seconds", "300", enter=False)
    app.fill("video_size", "64", enter=False)
    for number in range(1, count + 1):
        app.click("video_start")
        app.wait("one job more", lambda s, n=number: len(s["jobs"]) == n)
        # A double-click would be two.
        time.sleep(0.5)


def test_exports_queue_and_each_can_be_cancelled_and_begun_again(
    window: App, tmp_path: Path
) -> None:
    app = window
    long_videos(app, 2)
    state = app.wait("the first runs", lambda s: states(s) == ["running", "waiting"])
    names = [Path(entry[3]).name for entry in state["jobs"]]
    assert names == ["head-0000.mp4", "head-0000-2.mp4"]
    app.wait("its progress", lambda s: s["exports"]["video"]["done"] > 0)
    app.click("jobs")
    app.wait("the list", lambda s: s["jobs_open"])
    app.click("job_1_cancel")
    app.wait("the next", lambda s: states(s) == ["cancelled", "running"])
    app.click("job_2_cancel")
    app.wait("the end", lambda s: states(s) == ["cancelled", "cancelled"])
    assert not list(tmp_path.glob("*.mp4"))

    # The same again: the old entry makes room for the new one.
    app.click("job_1_again")
    state = app.wait("it runs again", lambda s: states(s) == ["cancelled", "running"])
    assert [entry[0] for entry in state["jobs"]] == [2, 3]
    assert Path(state["jobs"][1][3]).name == "head-0000.mp4"
    app.click("job_3_cancel")
    app.wait("the end", lambda s: states(s) == ["cancelled", "cancelled"])
    app.click("jobs_clear")
    app.wait("an empty list", lambda s: s["jobs"] == [])
    app.key("ctrl+j")
    app.wait("no list", lambda s: not s["jobs_open"])


def test_a_finished_export_shows_its_folder_and_asks_before_it_is_replaced(
    window: App, tmp_path: Path
) -> None:
    app = window
    app.fill("picture_path", str(tmp_path / "face.png"))
    app.wait("the picture", lambda s: states(s) == ["finished"])
    stamp = (tmp_path / "face.png").stat().st_mtime_ns
    app.key("Escape")
    app.point(*app.middle())
    app.key("ctrl+j")
    app.wait("the list", lambda s: s["jobs_open"])
    app.click("job_1_folder")
    end = time.monotonic() + 10
    shown = tmp_path / "shown"
    while not shown.exists() or shown.read_text() != str(tmp_path):
        assert time.monotonic() < end, "no folder was shown, or another"
        time.sleep(0.1)
    app.click("job_1_again")
    app.click("confirm_no")
    app.wait("no question", lambda s: s["project"]["question"] is None)
    assert (tmp_path / "face.png").stat().st_mtime_ns == stamp
    app.click("job_1_again")
    app.click("confirm_yes")
    app.wait("another", lambda s: [e[:1] + e[2:3] for e in s["jobs"]] == [[2, "finished"]])
    assert (tmp_path / "face.png").stat().st_mtime_ns > stamp
    app.click("job_2_remove")
    app.wait("an empty list", lambda s: s["jobs"] == [])
    assert (tmp_path / "face.png").exists()


def test_closing_with_a_job_asks(window: App, tmp_path: Path) -> None:
    app = window
    long_videos(app, 1)
    app.wait("progress", lambda s: s["exports"]["video"]["done"] > 0)
    app.ask_to_close()
    app.wait("the question", lambda s: "not finished" in (s["project"]["question"] or ""))
    app.click("jobs_keep")
    app.wait("no question", lambda s: s["project"]["question"] is None)
    assert states(app.state) == ["running"]
    app.ask_to_close()
    app.wait("the question", lambda s: s["project"]["question"])
    app.click("jobs_cancel")
    assert app.ended() == 0
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".maquette-*"))
