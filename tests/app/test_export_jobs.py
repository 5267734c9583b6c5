"""Exports in their own process: results, progress, cancelling, crashes."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from app import export_queue
from app.export_queue import ExportQueue
from app.jobs import ExportMesh, ExportPicture, ExportSheet, ExportVideo, Job
from app.messages import JobCancelled, JobEvent, JobFailed, JobFinished, JobProgress
from app.wire import ProcessOptions
from engine.export.picture import read_recipe
from engine.keyframe import Keyframe
from engine.recipe import ModelRef, Recipe
from engine.timeline import Timeline
from tests.app.fake import color
from tests.app.harness import OPENER, process_runs, recipe, until

OUTCOMES = (JobFinished, JobFailed, JobCancelled)


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExportQueue]:
    folder = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAQUETTE_CONFIG_DIR", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("MAQUETTE_FAKE_LOG", "")
        made = ExportQueue(ProcessOptions("cpu", OPENER))
        yield made
        made.close()


def on(path: str, seed: int = 1) -> Recipe:
    return replace(recipe(seed), model=ModelRef(path))


def run(queue: ExportQueue, *numbers: int) -> list[JobEvent]:
    """Wait until these jobs are over; all events until then."""
    events: list[JobEvent] = []

    def over() -> bool:
        events.extend(queue.poll())
        return set(numbers) <= {e.job for e in events if isinstance(e, OUTCOMES)}

    until(over, f"the end of jobs {numbers}")
    return events


def outcome(queue: ExportQueue, job: Job) -> JobEvent:
    return run(queue, queue.add(job))[-1]


def start(queue: ExportQueue, job: Job) -> int:
    """Start a job and wait until it has made some steps."""
    number = queue.add(job)

    def runs() -> bool:
        queue.poll()
        return any(state.job == number and state.done > 1 for state in queue.jobs)

    until(runs, "the job's first steps")
    return number


#: A minute of pictures: none of these tests waits for its end.
LONG = {"seconds": 60.0, "fps": 50.0}


def test_a_timeline_is_filmed(queue: ExportQueue, tmp_path: Path) -> None:
    first = on("fake", 1)
    last = replace(first, pose=replace(first.pose, yaw=40.0))
    line = Timeline((Keyframe.of(first, 0.0), Keyframe.of(last, 0.4)), 0.4, 10.0)
    # The options' own rate is not used: a GIF would refuse it.
    options = {"format": "png", "fps": 60.0, "size": 64}
    event = outcome(queue, ExportVideo(first, str(tmp_path / "frames"), options, line))
    assert isinstance(event, JobFinished), event
    shown = [read_recipe(path) for path in sorted((tmp_path / "frames").iterdir())]
    assert [recipe.pose.yaw for recipe in shown] == pytest.approx([0.0, 10.0, 20.0, 30.0, 40.0])
    gif = ExportVideo(first, str(tmp_path / "a.gif"), options | {"format": "gif"}, line)
    assert isinstance(outcome(queue, gif), JobFinished)
    refused = outcome(queue, replace(gif, timeline=replace(line, fps=60.0)))
    assert isinstance(refused, JobFailed) and "GIF" in refused.message


def test_a_picture(queue: ExportQueue, tmp_path: Path) -> None:
    path = tmp_path / "head.png"
    wanted = replace(on("fake", 7), size=100)
    event = outcome(queue, ExportPicture(wanted, str(path)))
    assert event == JobFinished(event.job, "Picture head.png", str(path))
    image = np.asarray(Image.open(path))
    assert image.shape == (100, 100, 3)
    assert np.allclose(image[0, 0] / 255.0, color(7, 0.0), atol=0.003)
    assert read_recipe(path) == wanted
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["turn.mp4", "turn.gif", "frames"])
def test_a_video_with_progress(queue: ExportQueue, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    job = ExportVideo(on("fake?chunk=0.01&size=64"), str(path), {"frames": 12, "fps": 10.0})
    events = run(queue, queue.add(job))
    assert isinstance(events[-1], JobFinished), events[-1]
    steps = [e for e in events if isinstance(e, JobProgress) and e.total]
    done = [e.done for e in steps]
    assert done == sorted(done) and steps[-1].done == steps[-1].total
    assert steps[-1].seconds_left == 0 and steps[0].title == f"Video {name}"
    assert path.exists() and (name != "frames" or len(list(path.iterdir())) == 12)
    assert list(tmp_path.iterdir()) == [path]


def test_a_mesh(queue: ExportQueue, tmp_path: Path) -> None:
    path = tmp_path / "head.glb"
    event = outcome(queue, ExportMesh(on("fake"), str(path), {"resolution": 24}))
    assert isinstance(event, JobFinished), event
    assert trimesh.load(path, force="mesh").extents == pytest.approx([0.6] * 3, abs=0.05)
    assert list(tmp_path.iterdir()) == [path]


def test_a_sheet_with_progress(queue: ExportQueue, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    options = {"kind": "views", "angles": ((-30.0, 0.0), (0.0, 0.0)), "cell": 64, "labels": False}
    events = run(queue, queue.add(ExportSheet(on("fake?chunk=0.1", 7), str(path), options)))
    assert events[-1] == JobFinished(events[-1].job, "Sheet sheet.png", str(path))
    steps = [(e.done, e.total) for e in events if isinstance(e, JobProgress) and e.total]
    assert steps[0][0] < 2 and steps[-1] == (2, 2)
    with Image.open(path) as image:
        sheet = np.asarray(image) / 255.0
    # A gap of two pixels, a picture of 64, and so on.
    assert sheet.shape == (68, 134, 3)
    assert np.allclose(sheet[34, 34], color(7, -30.0), atol=0.003)
    assert np.allclose(sheet[34, 100], color(7, 0.0), atol=0.003)
    assert read_recipe(path) == replace(on("fake?chunk=0.1", 7), size=64)
    assert list(tmp_path.iterdir()) == [path]


def test_a_sheet_is_cancelled(queue: ExportQueue, tmp_path: Path) -> None:
    options = {"kind": "views", "angles": tuple((float(n), 0.0) for n in range(500)), "cell": 16}
    number = start(queue, ExportSheet(on("fake?chunk=0.02"), str(tmp_path / "a.png"), options))
    queue.cancel(number)
    assert run(queue, number)[-1] == JobCancelled(number, "Sheet a.png")
    assert list(tmp_path.iterdir()) == []


def test_time_left_is_estimated(queue: ExportQueue, tmp_path: Path) -> None:
    job = ExportVideo(on("fake?chunk=0.05&size=64"), str(tmp_path / "a.gif"), {"frames": 400})
    number = queue.add(job)

    def estimated() -> bool:
        queue.poll()
        return queue.jobs[0].seconds_left is not None

    until(estimated, "an estimate")
    state = queue.jobs[0]
    # 400 drawings of at least 12 ms, counted as 800 steps.
    assert state.total == 800 and state.seconds_left is not None and state.seconds_left > 5.0
    queue.cancel(number)
    run(queue, number)


def test_cancelling_leaves_the_folder_as_it_was(queue: ExportQueue, tmp_path: Path) -> None:
    old = tmp_path / "turn.mp4"
    old.write_bytes(b"what was there before")
    number = start(queue, ExportVideo(on("fake?chunk=0.01"), str(old), LONG))
    assert len(list(tmp_path.iterdir())) == 2  # the unfinished one
    queue.cancel(number)
    assert queue.jobs[0].state == "cancelling"
    assert run(queue, number)[-1] == JobCancelled(number, "Video turn.mp4")
    assert list(tmp_path.iterdir()) == [old] and old.read_bytes() == b"what was there before"
    assert queue.jobs == ()


def test_a_job_is_cancelled_while_its_model_is_still_being_opened(
    queue: ExportQueue, tmp_path: Path
) -> None:
    number = queue.add(ExportPicture(on("fake?open=0.5"), str(tmp_path / "a.png")))
    queue.cancel(number)
    assert isinstance(run(queue, number)[-1], JobCancelled)
    assert list(tmp_path.iterdir()) == []


def test_waiting_jobs_run_in_order_or_are_cancelled(queue: ExportQueue, tmp_path: Path) -> None:
    numbers = [
        queue.add(ExportPicture(on("fake?chunk=0.05", seed), str(tmp_path / f"{seed}.png")))
        for seed in range(4)
    ]
    assert [state.state for state in queue.jobs] == ["running", "waiting", "waiting", "waiting"]
    queue.cancel(numbers[2])
    events = [e for e in run(queue, *numbers) if isinstance(e, OUTCOMES)]
    assert [e.job for e in events if isinstance(e, JobFinished)] == [
        numbers[0],
        numbers[1],
        numbers[3],
    ]
    assert not (tmp_path / "2.png").exists()
    queue.cancel(numbers[0])  # over already: nothing happens
    assert queue.poll() == []


def test_a_crash_is_told_and_leaves_no_half_file(queue: ExportQueue, tmp_path: Path) -> None:
    first = start(queue, ExportVideo(on("fake?chunk=0.01"), str(tmp_path / "a.mp4"), LONG))
    second = queue.add(ExportPicture(on("fake", 5), str(tmp_path / "b.png")))
    pid = queue.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    events = [e for e in run(queue, first, second) if isinstance(e, OUTCOMES)]
    failed = events[0]
    assert isinstance(failed, JobFailed) and failed.job == first
    assert "killed by signal 9" in failed.message and "a.mp4" in failed.message
    # The queue goes on in a new process.
    assert isinstance(events[1], JobFinished) and queue.pid != pid
    assert list(tmp_path.iterdir()) == [tmp_path / "b.png"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: ExportPicture(on("fake"), str(p / "no" / "a.png")), "does not exist"),
        (lambda p: ExportPicture(on("fake"), str(p / "a.txt")), "picture format"),
        (lambda p: ExportPicture(on("missing"), str(p / "a.png")), "no file named missing"),
        (lambda p: ExportPicture(on("fake", 666), str(p / "a.png")), "a fault of this identity"),
        (lambda p: ExportVideo(on("fake"), str(p / "a.mp4"), {"fps": 0}), "frame rate"),
        (lambda p: ExportVideo(on("fake"), str(p / "a.mp4"), {"speed": 2}), "options"),
        (lambda p: ExportVideo(on("fake"), str(p / "a.avi")), "must end in"),
        (lambda p: ExportMesh(on("fake"), str(p / "a.glb"), {"resolution": 1}), "resolution"),
        (lambda p: ExportMesh(on("fake"), str(p / "a.fbx")), "a.fbx"),
        (lambda p: ExportMesh(on("fake"), str(p / "a.glb"), {"level": 1e9}), "level"),
        (lambda p: ExportSheet(on("fake"), str(p / "a.jpg")), "must end in .png"),
        (lambda p: ExportSheet(on("fake"), str(p / "a.png"), {"kind": "x"}), "Unknown sheet"),
        (lambda p: ExportSheet(on("fake"), str(p / "a.png"), {"layers": "hair"}), "no layers"),
    ],
)
def test_faults_are_one_sentence_and_leave_nothing(
    queue: ExportQueue, tmp_path: Path, make: object, sentence: str
) -> None:
    event = outcome(queue, make(tmp_path))  # type: ignore[operator]
    assert isinstance(event, JobFailed)
    assert sentence in event.message and "\n" not in event.message
    assert ".maquette-" not in event.message
    assert list(tmp_path.iterdir()) == []


def test_closing_stops_the_export_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    folder = tmp_path / "out"
    folder.mkdir()
    queue = ExportQueue(ProcessOptions("cpu", OPENER))
    start(queue, ExportVideo(on("fake?chunk=0.01"), str(folder / "a.mp4"), LONG))
    pid = queue.pid
    assert pid is not None
    queue.close()
    # Which the export did not live to see the end of.
    assert not process_runs(pid) and list(folder.iterdir()) == []
    assert queue.jobs == () and queue.poll() == []


def test_a_system_that_starts_no_more_processes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(export_queue, "spawn", full)
    queue = ExportQueue(ProcessOptions("cpu", OPENER))
    numbers = [queue.add(ExportPicture(on("fake"), str(tmp_path / f"{n}.png"))) for n in "ab"]
    events = [*queue.poll(), *queue.poll()]
    assert [event.job for event in events if isinstance(event, JobFailed)] == numbers
    assert all("starts no more processes (Cannot allocate memory)" in e.message for e in events)  # type: ignore[union-attr]
    assert queue.jobs == ()
    queue.close()
