"""Worker processes of the renderer of training heads."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def test_a_worker_does_not_outlive_a_command_that_was_killed() -> None:
    """Here one that waits for its next shard; killed, the command cannot stop it."""
    code = (
        "from multiprocessing import get_context\n"
        "from engine.training.heads import dataset\n"
        "context = get_context('spawn')\n"
        "worker = context.Process(target=dataset._next, args=(context.Queue(),), daemon=True)\n"
        "worker.start()\n"
        "print(worker.pid, flush=True)\n"
        "worker.join()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        worker = int(command.stdout.readline())
        command.kill()
    end = time.monotonic() + 60.0
    while _runs(worker):
        assert time.monotonic() < end
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
