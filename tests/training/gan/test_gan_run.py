"""A run is never lost: kills, full disks, numbers that are not finite, memory, vanished pictures."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import ExportError, UserError
from engine.export import files
from engine.memory import is_memory_full
from engine.training.gan.events import (
    Event,
    Finished,
    Notice,
    Returned,
    SnapshotWritten,
    StepDone,
)
from engine.training.gan.faults import MOST_RETURNS, patiently
from engine.training.gan.logs import read_journal
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.options import TrainingOptions
from engine.training.gan.run import Run
from tests import forks
from tests.training.gan.test_gan_loop import ALONE
from tests.training.gan.toy import Squares, Toy, noisy

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = TrainingOptions(
    batch=8, pass_size=4, augmentation_images=200, snapshot_steps=3, snapshot_minutes=0.0, samples=0,
    steps=40, keep=2, wait_minutes=0.0,
)  # fmt: skip


def start(folder: Path, options: TrainingOptions = OPTIONS, **more: Any) -> tuple[Run, list[Event]]:
    """A run of the toy in a folder and what it tells."""
    folder.mkdir(exist_ok=True)
    events: list[Event] = []
    loop = TrainingLoop(Toy(), Squares(), options, ALONE, noisy)
    return Run(folder, loop, events.append, **more), events


def losses(events: list[Event]) -> dict[int, dict[str, float]]:
    """Step -> losses, of what counts."""
    return {event.step: dict(event.losses) for event in events if isinstance(event, StepDone)}


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, float]]:
    """The losses of a run that nothing happened to."""
    run, events = start(tmp_path_factory.mktemp("straight"))
    assert run.train().why == "budget"
    assert set(losses(events)) == set(range(1, 41))
    return losses(events)


def words_of(folder: Path, options: TrainingOptions) -> list[str]:
    return ["-m", "tests.training.gan.toy_run", str(folder), json.dumps(options.to_json())]


def process(folder: Path) -> forks.Fork:
    return forks.start(words_of(folder, OPTIONS), modules=forks.TRAINING, cwd=ROOT)


def reached(folder: Path) -> int:
    """The last step in a run's log."""
    return max(losses(read_journal(folder)), default=0)


def test_a_run_that_is_killed_again_and_again_is_the_run_that_never_was(
    tmp_path: Path, straight: dict[int, dict[str, float]]
) -> None:
    """SIGKILL at steps drawn by chance, wherever the process is then; to the last bit."""
    chance = random.Random(int.from_bytes(os.urandom(4), "little"))
    kills = sorted(chance.sample(range(2, 38), 3))
    for kill in kills:
        running = process(tmp_path)
        while reached(tmp_path) < kill:
            ended = running.poll() is not None
            assert not ended or reached(tmp_path) >= kill, f"it ended by itself before {kills}"
            time.sleep(0.001)
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert process(tmp_path).wait() == 0
    assert losses(read_journal(tmp_path)) == straight, kills


def test_two_processes_give_the_losses_of_one_with_the_doubled_batch(
    tmp_path: Path, straight: dict[int, dict[str, float]]
) -> None:
    """Four pictures each under torchrun, against eight of which four at a time."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *launcher, *words_of(tmp_path, replace(OPTIONS, steps=12))]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    found = losses(read_journal(tmp_path))
    assert set(found) == set(range(1, 13))
    for step, told in found.items():
        assert told == pytest.approx(straight[step], abs=1e-5), step


def test_stop_keeps_and_resume_goes_on(
    tmp_path: Path, straight: dict[int, dict[str, float]]
) -> None:
    kept = tmp_path / "model.json"
    run, events = start(tmp_path, keep=lambda: kept)
    run._listeners.listeners.append(
        lambda event: run.stop() if isinstance(event, StepDone) and event.step == 10 else None
    )
    assert run.train() == Finished(10, "stopped", str(kept))
    again, later = start(tmp_path)
    assert again.resume() == 10
    assert again.train().why == "budget"
    assert losses(events) | losses(later) == straight


def test_going_back_drops_what_came_after(
    tmp_path: Path, straight: dict[int, dict[str, float]]
) -> None:
    run, _events = start(tmp_path, replace(OPTIONS, steps=20, keep=100))
    run.train()
    assert [one.step for one in run.snapshots()] == [0, 3, 6, 9, 12, 15, 18, 20]
    again, _ = start(tmp_path, replace(OPTIONS, steps=10))
    with pytest.raises(UserError, match=r"no snapshot of step 7 .* there are: 0, 3, 6"):
        again.resume(7)
    assert again.resume(6) == 6
    assert [one.step for one in again.snapshots()] == [0, 3, 6]
    again.train()
    told = losses(read_journal(tmp_path))
    assert told == {step: straight[step] for step in range(1, 11)}


def test_going_back_while_it_runs(tmp_path: Path, straight: dict[int, dict[str, float]]) -> None:
    run, _events = start(tmp_path, replace(OPTIONS, steps=9, keep=100))
    seen: list[int] = []

    def once(event: Event) -> None:
        if isinstance(event, StepDone):
            seen.append(event.step)
            if event.step == 8 and seen.count(8) == 1:
                run.back_to(3)

    run._listeners.listeners.append(once)
    run.train()
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 4, 5, 6, 7, 8, 9]
    assert losses(read_journal(tmp_path)) == {step: straight[step] for step in range(1, 10)}


def test_pausing_stands_still(tmp_path: Path) -> None:
    run, _events = start(tmp_path, replace(OPTIONS, steps=4))
    turns = []

    def between() -> None:
        turns.append(run.loop.position.step)
        if run.loop.position.step == 2 and turns.count(2) == 1:
            run.pause()
        elif turns.count(2) == 3:
            run.go_on()

    run._between = between
    run.train()
    assert turns == [1, 2, 2, 2, 3, 4] and not run.paused


def test_only_the_newest_snapshots_and_the_first_are_kept(tmp_path: Path) -> None:
    run, _ = start(tmp_path, replace(OPTIONS, steps=13))
    run.train()
    assert [one.step for one in run.snapshots()] == [0, 12, 13]


def test_the_budget_may_be_time(tmp_path: Path) -> None:
    ticks = iter(range(10_000))
    run, events = start(
        tmp_path, replace(OPTIONS, steps=0, minutes=0.1), clock=lambda: float(next(ticks))
    )
    assert run.train() == Finished(6, "budget", "")
    last = [event for event in events if isinstance(event, StepDone)][-2]
    assert (last.seconds, last.seconds_left, last.images_per_second) == (5.0, 1.0, 8.0)


def test_a_full_disk_costs_a_snapshot_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight: dict[int, dict[str, float]]
) -> None:
    run, events = start(tmp_path, replace(OPTIONS, steps=12))
    real = files._flush_to_disk

    def full(path: Path) -> None:
        if run.loop.position.step in (6, 9):
            raise OSError(28, "No space left on device")
        real(path)

    monkeypatch.setattr(files, "_flush_to_disk", full)
    run.train()
    (said, also) = texts(events)
    assert "the disk is full; free some space" in said and "Training goes on" in said and also
    assert [one.step for one in run.snapshots()] == [0, 3, 12]
    assert losses(events) == {step: straight[step] for step in range(1, 13)}
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_disk_that_stays_full_says_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _events = start(tmp_path, replace(OPTIONS, steps=5))
    real = files._flush_to_disk

    def full(path: Path) -> None:
        if run.loop.position.step > 3:
            raise OSError(28, "No space left on device")
        real(path)

    monkeypatch.setattr(files, "_flush_to_disk", full)
    with pytest.raises(ExportError, match=r"step 3 is the newest that was\. .* the disk is full"):
        run.train()


def test_numbers_that_are_not_finite_go_back_and_slow_down(
    tmp_path: Path, straight: dict[int, dict[str, float]]
) -> None:
    run, events = start(tmp_path, replace(OPTIONS, steps=10))
    times = []

    def spoil(name: str, pictures: torch.Tensor) -> None:
        if run.loop.position.step == 7 and name == "discriminator" and not times:
            times.append(1)
            pictures.fill_(float("nan"))

    run.loop.training.watch = spoil
    run.train()
    (said,) = texts(events)
    assert said == (
        "Step 8 gave numbers that are not finite (phase discriminator): training went back to step 6 "
        "and goes on with 0.5 of the learning rate."
    )
    rates = {e.step: e.rates["generator"] for e in events if isinstance(e, StepDone)}
    assert (rates[6], rates[7], rates[10]) == (0.01, 0.005, 0.005)
    told = losses(read_journal(tmp_path))
    assert set(told) == set(range(1, 11)) and told[6] == straight[6] and told[8] != straight[8]
    assert Returned(6) in events
    # The lower rate is part of the snapshots.
    again, _ = start(tmp_path)
    again.resume()
    assert again.loop.position.rate_scale == 0.5


def test_a_run_that_diverges_again_and_again_ends_with_a_sentence(tmp_path: Path) -> None:
    run, events = start(tmp_path)

    def spoil(name: str, pictures: torch.Tensor) -> None:
        if run.loop.position.step == 4:
            pictures.fill_(float("inf"))

    run.loop.training.watch = spoil
    with pytest.raises(UserError, match="start again with a lower --rate"):
        run.train()
    assert len(texts(events)) == MOST_RETURNS
    assert events[-1] == Finished(4, "failed", "")


def test_memory_that_does_not_suffice_halves_the_passes_and_keeps_the_batch(tmp_path: Path) -> None:
    """What is learnt then is what smaller passes learn from the start."""
    options = replace(OPTIONS, pass_size=8, steps=4)
    run, events = start(tmp_path / "full", options)
    sizes = []

    def small(name: str, pictures: torch.Tensor) -> None:
        sizes.append(len(pictures))
        if len(pictures) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    run.loop.training.watch = small
    run.train()
    assert sizes[:7] == [8, 4, 2, 2, 2, 2, 2] and set(sizes[3:]) == {2}
    assert texts(events) == [
        f"{many} pictures at once do not fit into memory: training goes on with {many // 2} at once, and "
        "the batch stays 8."
        for many in (8, 4)
    ]
    other, expected = start(tmp_path / "small", replace(options, pass_size=2))
    other.train()
    assert losses(events) == losses(expected)
    again, _ = start(tmp_path / "full", options)
    again.resume()
    assert again.loop.position.pass_size == 2


def test_one_picture_that_does_not_fit_ends_with_a_sentence(tmp_path: Path) -> None:
    run, _events = start(tmp_path, replace(OPTIONS, batch=2, pass_size=1))

    def full(name: str, pictures: torch.Tensor) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"
        )

    run.loop.training.watch = full
    with pytest.raises(UserError, match="Not even one picture at once fits into memory"):
        run.train()
    assert [one.step for one in run.snapshots()] == [0]


def test_samples_that_cannot_be_drawn_do_not_stop_a_run(tmp_path: Path) -> None:
    run, events = start(tmp_path, replace(OPTIONS, steps=3, samples=2))
    monkey = torch.OutOfMemoryError("CUDA out of memory")

    def full(state: object) -> None:
        raise monkey

    run.loop.training.drawable = full  # type: ignore[method-assign, assignment]
    assert run.train().why == "budget"
    assert texts(events)[-1].startswith("The samples of step 3 could not be drawn")


def test_what_says_that_memory_is_full() -> None:
    assert is_memory_full(MemoryError()) and is_memory_full(torch.OutOfMemoryError("x"))
    assert is_memory_full(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert not is_memory_full(RuntimeError("shapes differ"))
    assert not is_memory_full(ValueError("out of memory"))


def test_pictures_that_vanish_for_good_stop_the_run_and_lose_nothing(
    tmp_path: Path, straight: dict[int, dict[str, float]]
) -> None:
    run, events = start(tmp_path)
    run._between = lambda: setattr(run.loop.data, "gone", run.loop.position.step == 5)
    with pytest.raises(UserError, match=r"its pictures cannot be read: .*img00000001.png.*resume"):
        run.train()
    assert [one.step for one in run.snapshots()][-1] == 5
    again, later = start(tmp_path)
    again.resume()
    again.train()
    assert losses(events) | losses(later) == straight


def test_pictures_that_come_back_are_waited_for() -> None:
    now, said, tries = [0.0], [], []

    def work() -> str:
        tries.append(now[0])
        if now[0] < 100.0:
            raise FileNotFoundError(2, "No such file or directory", "heads")
        return "done"

    def sleep(seconds: float) -> None:
        now[0] += seconds

    found = patiently(work, 2.0, said.append, clock=lambda: now[0], sleep=sleep)
    assert (
        found == "done" and len(said) == 2 and said[0].startswith("Training waits for its pictures")
    )
    now[0] = 0.0
    with pytest.raises(UserError, match="bring them back and resume"):
        patiently(work, 1.0, said.append, clock=lambda: now[0], sleep=sleep)
    now[0], stop = 0.0, iter([False, True])
    with pytest.raises(UserError):
        patiently(work, 2.0, said.append, lambda: next(stop), lambda: now[0], sleep)
    assert now[0] == 1.0


def test_a_log_that_was_cut_off_is_read_and_gone_on_with(tmp_path: Path) -> None:
    run, _events = start(tmp_path, replace(OPTIONS, steps=3))
    run.train()
    log = tmp_path / "log.jsonl"
    log.write_bytes(log.read_bytes() + b'{"kind": "step", "step": 4, "los')
    again, _ = start(tmp_path, replace(OPTIONS, steps=5))
    again.resume()
    again.train()
    assert list(losses(read_journal(tmp_path))) == [1, 2, 3, 4, 5]
    assert any(isinstance(event, SnapshotWritten) for event in read_journal(tmp_path))


def test_a_line_may_be_the_mean_of_several_steps(
    tmp_path: Path, straight: dict[int, dict[str, float]]
) -> None:
    run, events = start(tmp_path, replace(OPTIONS, steps=9, log_steps=4))
    run.train()
    told = losses(events)
    assert list(told) == [4, 8, 9] and told[9] == straight[9]
    assert told[4]["generator"] == sum(straight[n]["generator"] for n in (1, 2, 3, 4)) / 4
    assert told[4]["path"] == straight[1]["path"]
