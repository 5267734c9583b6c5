"""The list of jobs: what runs, waits and is over, and leaving while some are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import file_manager
from app.exports import Export
from app.job_list import MOST_OVER, JobList
from app.jobs import ExportMesh, ExportPicture, ExportVideo, Job
from app.messages import JobCancelled, JobFailed, JobFinished, JobProgress
from app.panels.jobs import button_label, progress_text, summary
from engine.errors import UserError
from engine.recipe import Recipe
from tests.app.bench import Bench


class Runner:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.given: list[Job] = []
        self.cancelled: list[int] = []

    def start_job(self, job: Job) -> int:
        self.given.append(job)
        return len(self.given)

    def cancel_job(self, job: int) -> None:
        self.cancelled.append(job)


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def jobs(runner: Runner) -> JobList:
    return JobList(runner, lambda: None)


def picture(name: str = "a.png") -> ExportPicture:
    return ExportPicture(Recipe(), f"/f/{name}")


def states(jobs: JobList) -> list[str]:
    return [entry.state for entry in jobs.entries]


def test_the_newest_is_the_last_that_was_finished(jobs: JobList) -> None:
    assert jobs.newest is None
    for job in (picture(), picture("b.png"), picture("c.png")):
        jobs.add(job)
    assert jobs.newest is None
    jobs.take(JobFinished(1, "Picture a.png", "/f/a.png"))
    jobs.take(JobFailed(2, "Picture b.png", "No room."))
    assert jobs.newest is not None and jobs.newest.path == "/f/a.png"


def test_several_wait_and_are_shown_as_they_go(jobs: JobList) -> None:
    for job in (picture(), ExportVideo(Recipe(), "/f/b.mp4"), picture("c.png")):
        jobs.add(job)
    assert states(jobs) == ["waiting"] * 3 and summary(jobs) == "3 waiting"
    jobs.take(JobProgress(1, "Picture a.png", 0, 0, None))
    assert progress_text(jobs.entries[0]) == "Starting ..."
    jobs.take(JobProgress(1, "Picture a.png", 3, 12, 70.0))
    assert progress_text(jobs.entries[0]) == "25%, 1 min 10 s left"
    assert summary(jobs) == "1 running, 2 waiting" and button_label(jobs) == "3 jobs"
    # One of a kind stands for it: the first that is not over.
    assert {kind: e.job for kind, e in jobs.by_kind.items()} == {"picture": 1, "video": 2}
    jobs.take(JobFinished(1, "Picture a.png", "/f/a.png"))
    assert jobs.by_kind["picture"].job == 3
    jobs.take(JobFinished(3, "Picture c.png", "/f/c.png"))
    jobs.take(JobFailed(2, "Video b.mp4", "The disk is full."))
    assert jobs.by_kind["picture"].job == 3
    assert [progress_text(entry) for entry in jobs.entries] == [
        "Saved to /f/a.png", "The disk is full.", "Saved to /f/c.png",
    ]  # fmt: skip
    assert summary(jobs) == "3 over" and button_label(jobs) == "Jobs" and jobs.active == ()


def test_two_never_write_the_same_file(jobs: JobList, runner: Runner) -> None:
    jobs.add(picture())
    with pytest.raises(UserError, match=r"a\.png is being exported already"):
        jobs.add(ExportMesh(Recipe(), "/f/a.png"))
    assert jobs.is_target(Path("/f/a.png")) and not jobs.is_target(Path("/f/b.png"))
    jobs.take(JobFinished(1, "Picture a.png", "/f/a.png"))
    jobs.add(picture())
    assert len(runner.given) == 2


def test_cancelling_is_asked_for_once_and_noted(jobs: JobList, runner: Runner) -> None:
    jobs.add(picture())
    jobs.cancel(1)
    jobs.cancel(1)
    jobs.cancel(9)
    assert runner.cancelled == [1] and states(jobs) == ["cancelling"]
    # Progress that was under way does not bring it back to life.
    jobs.take(JobProgress(1, "Picture a.png", 5, 10, 3.0))
    assert states(jobs) == ["cancelling"] and len(jobs.active) == 1
    jobs.take(JobCancelled(1, "Picture a.png"))
    assert progress_text(jobs.entries[0]) == "Cancelled; no file was left."
    jobs.cancel(1)
    assert runner.cancelled == [1]
    assert jobs.take(JobFinished(1, "late", "/f/a.png")) is None
    assert jobs.take(JobFinished(77, "unknown", "/f/a.png")) is None


def test_everything_is_cancelled_from_the_last(jobs: JobList, runner: Runner) -> None:
    for name in "abc":
        jobs.add(picture(name))
    jobs.take(JobFinished(1, "", "/f/a"))
    jobs.cancel_all()
    assert runner.cancelled == [3, 2]


def test_what_is_over_can_be_taken_out(jobs: JobList) -> None:
    for name in "abcd":
        jobs.add(picture(name))
    for number in (1, 2, 3):
        jobs.take(JobFinished(number, "", f"/f/{number}"))
    jobs.remove(2)
    jobs.remove(4)  # runs; stays
    assert [entry.job for entry in jobs.entries] == [1, 3, 4]
    jobs.clear()
    assert [entry.job for entry in jobs.entries] == [4]


def test_the_list_does_not_grow_without_end(jobs: JobList) -> None:
    jobs.add(picture("runs"))
    for k in range(MOST_OVER + 10):
        entry = jobs.add(picture(str(k)))
        jobs.take(JobFinished(entry.job, "", entry.path))
    assert len(jobs.entries) == MOST_OVER + 1
    assert jobs.entries[0].path == "/f/runs" and jobs.entries[-1].path == f"/f/{MOST_OVER + 9}"


def test_an_export_keeps_what_was_asked_for(jobs: JobList) -> None:
    job = picture()
    entry = jobs.add(job)
    assert isinstance(entry, Export) and entry.spec is job and entry.kind == "picture"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    bench = Bench(tmp_path)
    bench.start()
    return bench


def export(bench: Bench, name: str) -> None:
    recipe = bench.studio.document.recipe
    bench.studio.start_export(ExportPicture(recipe, str(bench.folder / name)))


def test_leaving_with_exports_asks(bench: Bench) -> None:
    export(bench, "a.png")
    bench.desk.close()
    question = bench.desk.talk.question
    assert question is not None and question.text.startswith("An export is not finished")
    assert not bench.desk.closed
    bench.choose("jobs_keep")
    assert not bench.desk.closed and bench.client.cancelled == []
    export(bench, "b.png")
    bench.desk.close()
    question = bench.desk.talk.question
    assert question is not None and question.text.startswith("2 exports are not finished")
    # Closing the question keeps the window.
    bench.desk.talk.dismiss()
    assert not bench.desk.closed
    bench.desk.close()
    bench.choose("jobs_cancel")
    assert bench.desk.closed and bench.client.cancelled == [6, 5]


def test_leaving_asks_about_changes_first(bench: Bench) -> None:
    export(bench, "a.png")
    bench.seed(7)
    bench.desk.close()
    bench.choose("unsaved_cancel")
    assert bench.desk.talk.question is None and bench.client.cancelled == []
    bench.desk.close()
    bench.choose("unsaved_discard")
    assert not bench.desk.closed
    bench.choose("jobs_keep")
    assert not bench.desk.closed and bench.desk.is_dirty
    bench.client.send(bench.studio, JobFinished(5, "Picture a.png", "a.png"))
    bench.desk.close()
    bench.choose("unsaved_discard")
    assert bench.desk.closed


def test_a_folder_that_cannot_be_shown_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="has gone"):
        file_manager.show_folder(str(tmp_path / "gone" / "a.png"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="No program was found that shows folders"):
        file_manager.show_folder(str(tmp_path / "a.png"))
