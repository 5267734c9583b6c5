"""The engine is killed, crashes, or loses its window."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.child import KERNEL_LEFT_OUT, how_it_ended
from app.client import EngineClient
from app.faults import sentence
from app.messages import EngineDied, EngineRestored, FrameReady, ModelFailed, ModelLoaded
from app.processes import _logged
from app.restarts import MOST_KERNELS, RestartPolicy
from engine.errors import GpuLost, UserError
from tests.app.harness import PATIENCE, Harness, process_runs, recipe, running_engine, shows, until

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_engine(tmp_path_factory.mktemp("engine")) as harness:
        yield harness


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_the_same_picture_comes_back_after_sigkill(engine: Harness) -> None:
    engine.open("fake")
    before = engine.draw(7, 45.0)
    old = engine.client.pid
    kill(old)
    died = engine.wait(EngineDied)
    assert died.message == "The engine stopped (killed by signal 9). Starting it again..."
    assert died.restarting
    engine.poll()
    seen = []

    def picture() -> bool:
        engine.poll()
        seen.extend(engine.events)
        engine.events.clear()
        return any(isinstance(event, FrameReady) for event in seen)

    until(picture, "the picture after the engine's death")
    # The model and the picture come by themselves; the model is no news to the window.
    assert [type(event) for event in seen] == [EngineRestored, FrameReady]
    after = seen[-1]
    assert isinstance(after, FrameReady) and after.generation == before.generation
    assert after.full_quality and np.array_equal(after.image, before.image)
    assert engine.client.pid != old and engine.client.alive
    assert engine.client.model is not None and engine.client.model.ref.path == "fake"


def test_dying_of_a_new_model_brings_the_old_one_back(engine: Harness) -> None:
    engine.open("fake")
    engine.draw(3)
    engine.client.open_model("deadly")
    failed = engine.wait(ModelFailed)
    assert failed.path == "deadly" and "killed by signal 9" in failed.message
    engine.wait(EngineRestored)
    assert shows(engine.wait(FrameReady), 3)


def test_an_engine_that_dies_again_and_again_is_left_alone(engine: Harness) -> None:
    engine.client.request(recipe(999), moving=False)
    while (died := engine.wait(EngineDied)).restarting:
        pass
    assert "again and again (killed by signal 9)" in died.message
    assert not engine.client.alive and not engine.client.busy
    generation = engine.client.request(recipe(4), moving=False)
    assert engine.client.poll() == []
    engine.client.restart()
    engine.wait(EngineRestored)
    assert shows(engine.full_frame(generation), 4)


def test_restarts_by_hand() -> None:
    policy = RestartPolicy()
    assert policy.died(100.0) == 0.0
    assert policy.died(101.0) == 1.0
    assert policy.died(102.0) is None
    policy.reset()
    assert policy.died(103.0) == 0.0


def test_kernels_that_are_left_out_one_by_one_neither_stop_it_nor_make_pictures_smaller() -> None:
    policy = RestartPolicy()
    for now in range(MOST_KERNELS):
        assert policy.died(float(now), kernel_left_out=True) == 0.0 and policy.frugal == 0
    # More than there are: something else is wrong.
    pauses = [policy.died(100.0 + now, kernel_left_out=True) for now in range(3)]
    assert pauses == [0.0, 1.0, None]


def test_a_kernel_that_takes_the_gpu_away_costs_one_restart(
    engine: Harness, tmp_path: Path
) -> None:
    engine.open(f"fake?lost={tmp_path / 'left-out'}")
    generation = engine.client.request(recipe(5), moving=False)
    died = engine.wait(EngineDied)
    assert (
        died.restarting and "a kernel was tried out, which is left out from now on" in died.message
    )
    engine.wait(EngineRestored)
    frame = engine.full_frame(generation)
    # As large as ever: it did not die for want of memory.
    assert shows(frame, 5) and frame.resolution == (64, 256)


@pytest.mark.parametrize(("left_out", "words"), [(True, "left out from now on"), (False, "MAQUETTE_KERNELS=0")])  # fmt: skip
def test_the_window_is_told_that_the_gpu_is_lost(left_out: bool, words: str) -> None:
    """By the exit code: a process that has lost it ends at once."""
    with pytest.raises(SystemExit) as end, _logged("engine"):
        raise GpuLost("gone", left_out)
    code = end.value.code
    assert isinstance(code, int) and words in how_it_ended(code)
    assert (code == KERNEL_LEFT_OUT) is left_out


def test_an_error_of_a_gpu_that_is_lost_is_no_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each further drawing would fail as well, and the process would never end."""
    import torch

    def lost(device: torch.device) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    assert "A fault in Maquette stopped drawing" in sentence("drawing", error, "engine")
    for name, answer in (("is_initialized", True), ("device_count", 1), ("memory_reserved", 1),
                         ("is_current_stream_capturing", False)):  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    assert "A fault in Maquette" not in sentence("drawing", UserError("no such file"), "engine")
    monkeypatch.setattr(torch.cuda, "synchronize", lost)
    with pytest.raises(GpuLost, match="illegal memory access"):
        sentence("drawing", error, "engine")


def test_rare_deaths_with_pictures_between_them_never_stop_it() -> None:
    policy = RestartPolicy()
    for now in range(0, 1000, 25):
        assert policy.died(float(now)) == 0.0
        policy.succeeded()


def test_frequent_deaths_stop_it_even_with_pictures_between_them() -> None:
    policy = RestartPolicy()
    pauses = []
    for now in (0.0, 5.0, 10.0):
        pauses.append(policy.died(now))
        policy.succeeded()
    assert pauses == [0.0, 1.0, None]


def test_deaths_without_a_picture_stop_it_however_slow_its_start() -> None:
    policy = RestartPolicy()
    assert [policy.died(now) for now in (0.0, 60.0, 120.0)] == [0.0, 1.0, None]


def test_closing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_FAKE_LOG", "")
    harness = Harness(tmp_path / "log")
    client = harness.client
    client.start()
    client.open_model("fake")
    harness.wait(ModelLoaded)
    pid, names = client.pid, client._ring.info.names  # type: ignore[union-attr]
    assert pid is not None and process_runs(pid)
    assert all(Path("/dev/shm", name).exists() for name in names)
    client.close()
    client.close()
    assert not process_runs(pid)
    assert not any(Path("/dev/shm", name).exists() for name in names)
    assert client.poll() == [] and client.pid is None and not client.alive


_PARENT = """
import sys, time
from app.client import EngineClient
if __name__ == "__main__":
    client = EngineClient("cpu", opener="tests.app.fake:open_model")
    client.start()
    client.open_model("fake?open=60")
    while client.opening and not client.poll() and not sys.stdout.closed:
        print(client.pid, *client._ring.info.names, flush=True)
        sys.stdin.readline()
"""


def test_the_engine_ends_with_its_window(tmp_path: Path) -> None:
    """The window is killed: no engine and no shared memory stay, even mid-way in opening."""
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "MAQUETTE_CONFIG_DIR": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the resource tracker tells that it cleans up
        text=True,
        env=environment,
    )
    assert parent.stdout is not None
    pid, *names = parent.stdout.readline().split()
    assert process_runs(int(pid)) and len(names) == 3
    parent.kill()
    parent.wait(PATIENCE)
    until(lambda: not process_runs(int(pid)), "the engine's end")
    until(
        lambda: not any(Path("/dev/shm", name).exists() for name in names),
        "the end of the shared memory",
    )


_IMPORTS = """
import sys
import app.client, app.document, app.settings, app.messages, app.jobs, app.export_queue
assert "torch" not in sys.modules and "dearpygui" not in sys.modules
"""


def test_the_window_process_never_loads_torch() -> None:
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", _IMPORTS], check=True, cwd=root)


def test_a_client_that_was_never_started_can_be_closed() -> None:
    client = EngineClient("cpu")
    assert client.poll() == [] and client.pid is None and not client.alive
    client.close()
