"""Forked processes are processes: arguments, environment, outputs, signals, and what multiprocessing spawns."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests import forks


def test_words_environment_folder_and_outputs_are_its_own(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "print(sys.argv, os.getcwd(), os.environ['ODD'], 'torch' in sys.modules, 'engine' in sys.modules)\n"
        "print('wrong', file=sys.stderr); sys.exit(7)"
    )
    environment = {**os.environ, "ODD": "x"}
    done = forks.run(["-c", code, "one"], cwd=tmp_path, env=environment)
    assert done == (7, f"['-c', 'one'] {tmp_path} x True False\n", "wrong\n")
    assert "ODD" not in os.environ and Path.cwd() != tmp_path


def test_modules_run_and_errors_are_told() -> None:
    assert forks.run(["-m", "app", "--version"], cwd=forks.ROOT).stdout.startswith("maquette ")
    wrong = forks.run(["-m", "app", "render", "--hat"], cwd=forks.ROOT)
    assert wrong.returncode == 2 and "--hat" in wrong.stderr
    failed = forks.run(["-c", "raise ValueError('this')"])
    assert failed.returncode == 1 and failed.stderr.endswith("ValueError: this\n")
    assert not forks.run(["-c", "import sys; sys.exit('torch._dynamo' in sys.modules)"]).returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_end_it(number: signal.Signals) -> None:
    code = "import time; print('here', flush=True); time.sleep(60)"
    fork = forks.start(["-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert fork.stdout is not None and fork.stdout.readline() == "here\n"
    assert fork.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        fork.wait(0.01)
    fork.send_signal(number)
    assert fork.wait(60) == -number == fork.poll()
    assert fork.stdout.read() == ""


def test_signals_end_it_although_they_were_blocked_where_it_comes_from() -> None:
    code = "import time; print('here', flush=True); time.sleep(60)"
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        fork = forks.start(["-c", code], modules=("json",), stdout=subprocess.PIPE)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert fork.stdout is not None and fork.stdout.readline() == "here\n"
    fork.terminate()
    assert fork.wait(60) == -signal.SIGTERM


def _echo(connection: Connection) -> None:
    connection.send((os.getpid(), "torch" in sys.modules))
    while connection.recv() != "end":
        pass
    sys.exit(5)


def test_what_multiprocessing_spawns_is_forked() -> None:
    context = multiprocessing.get_context("spawn")
    with forks.spawning():
        for end in ("end", "kill"):
            ours, theirs = context.Pipe()
            process = context.Process(target=_echo, args=(theirs,))
            process.start()
            theirs.close()
            assert ours.recv() == (process.pid, True) and process.exitcode is None
            if end == "end":
                ours.send("end")
            else:
                process.kill()
            process.join(60)
            assert process.exitcode == (5 if end == "end" else -signal.SIGKILL)
            with pytest.raises(EOFError):
                ours.recv()


def _tell(connection: Connection) -> None:
    while time.process_time() < 0.3:
        pass
    connection.send(("torch" in sys.modules, forks.LENT in os.environ))


def borrow() -> None:
    """What a process does that was lent a line, or was not."""
    context = multiprocessing.get_context("spawn")
    with forks.lent():
        ours, theirs = context.Pipe()
        process = context.Process(target=_tell, args=(theirs,))
        process.start()
        print(*ours.recv(), "torch" in sys.modules)
        process.join()


def test_a_line_is_lent_to_a_process_that_is_not_forked() -> None:
    line, code = forks.lend(), "from tests.test_forks import borrow; borrow()"
    before = forks.spent()
    for variables, told in (
        ({}, "False False False\n"),
        ({forks.LENT: str(line)}, "True False False\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=forks.ROOT, env={**os.environ, **variables}, pass_fds=[line],
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert (done.stdout, done.returncode) == (told, 0), done.stderr
    # Its processor time is known here, once it has ended.
    while forks.spent() < before + 0.3:
        time.sleep(0.01)
