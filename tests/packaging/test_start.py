"""What a start costs: nothing is imported that it does not need, and the benchmark counts rightly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.bench_start import children, cpu_seconds, moments, with_bytecode

ROOT = Path(__file__).resolve().parents[2]
#: What takes a moment to import and is used later, or by few.
LATER = {
    "tyro",
    "importlib.metadata",
    "docstring_parser",
    "torch",
    "scipy",
    "skimage",
    "av",
    "numba",
}


def modules(code: str) -> set[str]:
    """What is loaded after some imports in a new process."""
    words = [sys.executable, "-c", f"import json, sys; {code}; print(json.dumps([*sys.modules]))"]
    return set(json.loads(subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout))


def test_the_window_starts_without_what_it_does_not_need() -> None:
    loaded = modules("import app.cli.main, app.cli.window, app.window")
    assert loaded & LATER == set()


def test_so_do_the_processes_behind_it_until_they_compute() -> None:
    assert modules("import app.__main__, app.processes") & LATER == set()


def test_a_start_on_a_file_reads_its_path_without_the_parser(tmp_path: Path) -> None:
    code = (
        "from app.cli.window import _read; a = _read([]); b = _read(['~/face.pkl']);"
        "assert a == (None, 'auto') and b[1] == 'auto' and '~' not in str(b[0]), (a, b)"
    )
    assert "tyro" not in modules(code)
    code = "from app.cli.window import _read; c = _read(['--device', 'cpu']); assert c == (None, 'cpu'), c"
    assert "tyro" in modules(code)


def test_the_first_frame_and_the_first_full_picture_are_told_apart() -> None:
    loops = [["loop", 1.0, 1.5, 1.6], ["loop", 2.0, 2.5, 2.6]]
    coarse, full = ["shown", 2.0, 2.5, 1, False, 9.0, 64], ["shown", 3.0, 3.5, 2, True, 9.0, 128]
    assert moments(loops) is None
    assert moments([*loops, coarse]) is None
    assert moments([*loops, coarse, full, ["shown", 4.0, 4.5, 3, True, 9.0, 128]]) == (1.5, 3.5)


def test_processor_time_counts_a_process_and_its_ended_children() -> None:
    before = cpu_seconds(os.getpid())
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert cpu_seconds(os.getpid()) >= before + 0.1
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.pid in children(os.getpid())
    child.communicate(b"\n")
    assert cpu_seconds(child.pid) == 0.0


def test_a_second_start_finds_compiled_modules(tmp_path: Path) -> None:
    environment = with_bytecode(tmp_path)
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    subprocess.run(
        [sys.executable, "-c", "import app.version"], cwd=ROOT, env=environment, check=True
    )
    assert list((tmp_path / "bytecode").rglob("version.*.pyc"))
