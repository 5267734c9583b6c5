"""Workers whose command was killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.orphans import end_with_parent

_START = {
    "rendering of heads": (
        "from engine.training.heads import dataset\n"
        # Its first step: it then waits for a builder that never comes.
        "def busy(pack):\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
        "dataset._make_builder = busy\n"
        "def work():\n"
        "    dataset._work(type('Job', (), {'pack': None})(), None, None)\n"
        "if __name__ == '__main__':\n"
        "    worker = get_context('spawn').Process(target=work)\n"
        "    worker.start()\n"
        "    worker.join()\n"
    ),
    "benchmark": (
        "from engine.benchmark import _apart\n"
        "def busy(plan, stem):\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    _apart(busy, None, '')\n"
    ),
    "pairs": (
        "from engine.training.bundled import pairs\n"
        "def busy(task):\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
        "pairs._chunk = busy\n"
        "os.cpu_count = lambda: 2\n"
        "if __name__ == '__main__':\n"
        "    pairs.latent_attribute_pairs(4000)\n"
    ),
}


@pytest.mark.parametrize("name", _START)
def test_a_worker_does_not_outlive_a_command_that_was_killed(name: str, tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text("import os, time\nfrom multiprocessing import get_context\n" + _START[name])
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        worker = int(command.stdout.readline())
        command.kill()
    end = time.monotonic() + 60.0
    while _runs(worker):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_without_a_parent_nothing_waits() -> None:
    before = threading.active_count()
    end_with_parent()
    assert threading.active_count() == before


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
