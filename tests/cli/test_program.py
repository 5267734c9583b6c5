"""The program around the commands: help, version, speed, interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from app.cli.main import COMMANDS
from app.cli.parsing import parse_seeds
from engine.errors import GpuLost, UserError
from tests import forks
from tests.cli.conftest import GOLDEN, Run

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
PROGRAM = [sys.executable, "-m", "app"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.status == 0 and f"usage: maquette {command}" in result.out
    assert result.err == ""


def test_the_overview_names_every_command(run: Run) -> None:
    result = run("--help")
    assert result.status == 0
    assert all(f"maquette {command} " in result.out for command in COMMANDS)


def test_the_version(run: Run) -> None:
    result = run("--version")
    assert result.status == 0 and result.out.startswith("maquette ")


def test_help_does_not_wait_for_torch() -> None:
    command = [PROGRAM[0], "-X", "importtime", *PROGRAM[1:], "--help"]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "app.cli.main" in loaded and not loaded & {"torch", "dearpygui", "numba"}


def test_a_gpu_that_is_lost_is_told_in_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app import window

    def lost(path: object, device: object) -> int:
        raise GpuLost("The GPU stopped working; start again.")

    monkeypatch.setattr(window, "run", lost)
    result = run()
    assert result.status == 2 and result.err == "maquette: The GPU stopped working; start again.\n"


def test_a_file_may_be_opened_beside_the_commands(
    run: Run, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app import window

    asked: list[tuple[object, object]] = []
    monkeypatch.setattr(window, "run", lambda path, device: asked.append((path, device)) or 0)
    assert run(checkpoint, "--device", "cpu").status == 0
    assert run().status == 0
    assert [(str(path) if path else None, device) for path, device in asked] == [
        (str(checkpoint), "cpu"),
        (None, "auto"),
    ]


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["7"], [7]),
        (["0-3"], [0, 1, 2, 3]),
        (["1,5,8-9", "2"], [1, 5, 8, 9, 2]),
        (["4294967295"], [4294967295]),
    ],
)
def test_seeds(words: list[str], seeds: list[int]) -> None:
    assert parse_seeds(words) == seeds


@pytest.mark.parametrize("word", ["", "1,", "a", "1-", "-3", "3-1", "1.5", "0-10000"])
def test_no_seeds(word: str) -> None:
    with pytest.raises(UserError):
        parse_seeds([word])


@pytest.mark.parametrize(
    ("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminate"]
)
@pytest.mark.parametrize("out", ["long.mp4", "long.gif", "frames"])
def test_a_stop_leaves_no_half_file(
    tmp_path: Path, out: str, stop: signal.Signals, status: int
) -> None:
    words = ["video", "--model", str(GOLDEN / "checkpoint.pkl"), "--frames", "5000", "--out", out]
    with tempfile.TemporaryFile("w+") as said:
        process = forks.start(["-m", "app", *words], cwd=tmp_path, env=ENVIRONMENT, stderr=said)
        try:
            deadline = time.monotonic() + 120
            while not _has_begun(tmp_path) and time.monotonic() < deadline:
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(stop)
            assert process.wait(60) == status
        finally:
            process.kill()
        said.seek(0)
        assert said.read() == ""
    assert list(tmp_path.iterdir()) == []


_INTERRUPTED = """
import sys
from app.cli.terminal import stoppable

if __name__ == "__main__":
    try:
        with stoppable():
            exec("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)")
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_ctrl_c_inside_a_text_that_is_executed(tmp_path: Path) -> None:
    """Python would remember it as unhandled, and die of it in the end."""
    (tmp_path / "interrupted.py").write_text(_INTERRUPTED)
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True,
        text=True, timeout=60, preexec_fn=_hear_ctrl_c,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")


_CALLED_BACK = """
import ctypes, os, signal, sys, time
from app.cli.terminal import Terminated, stoppable

@ctypes.CFUNCTYPE(None)
def called_back():
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(0.1)

try:
    with stoppable():
        called_back()
        time.sleep(30)
except (KeyboardInterrupt, Terminated) as stop:
    sys.exit(130 if isinstance(stop, KeyboardInterrupt) else 143)
"""


@pytest.mark.parametrize(("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_that_c_swallows_comes_again(stop: signal.Signals, status: int) -> None:
    """Python cannot raise through a function that C has called back, such as Numba's compiler does."""
    done = subprocess.run(
        [sys.executable, "-c", _CALLED_BACK, str(int(stop))], env=ENVIRONMENT, capture_output=True,
        text=True, timeout=60, preexec_fn=_hear_ctrl_c,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, "")


def _hear_ctrl_c() -> None:
    """A shell starts what runs in its background (as CI may be) deaf to Ctrl-C, and so are the
    children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _has_begun(folder: Path) -> bool:
    """Something is being written (the check before the start leaves nothing behind)."""
    for path in folder.iterdir():
        if path.is_dir() and len(list(path.iterdir())) > 1:
            return True
        if path.is_file() and path.suffix == ".tmp":
            time.sleep(0.3)
            return path.exists()
    return False


def test_a_reader_that_goes_away_is_no_error() -> None:
    words = ["-m", "app", "inspect", str(GOLDEN / "checkpoint.pkl"), "--tensors"]
    with tempfile.TemporaryFile("w+") as said:
        process = forks.start(words, stdout=subprocess.PIPE, stderr=said, env=ENVIRONMENT)
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
        said.seek(0)
        assert "Traceback" not in said.read()
