"""Sharing the processor between window and engine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.processor import paint_in_one_thread, preview_threads, wait_asleep


@pytest.mark.parametrize(
    ("cores", "before", "after"),
    [
        (1, {}, {"LP_NUM_THREADS": "0"}),
        (2, {}, {"LP_NUM_THREADS": "0"}),
        (3, {}, {}),
        (2, {"LP_NUM_THREADS": "2"}, {"LP_NUM_THREADS": "2"}),
    ],
)
def test_the_window_is_painted_in_one_thread_on_few_cores(
    cores: int, before: dict[str, str], after: dict[str, str]
) -> None:
    paint_in_one_thread(before, cores)
    assert before == after


def test_waiting_threads_sleep_unless_the_environment_says_otherwise() -> None:
    mine: dict[str, str] = {}
    wait_asleep(mine)
    assert mine == {"OMP_WAIT_POLICY": "PASSIVE"}
    theirs = {"OMP_WAIT_POLICY": "ACTIVE"}
    wait_asleep(theirs)
    assert theirs == {"OMP_WAIT_POLICY": "ACTIVE"}


def test_a_preview_leaves_one_core_to_the_window() -> None:
    assert [preview_threads(n, "cpu") for n in (1, 2, 3, 16)] == [1, 1, 2, 15]
    assert preview_threads(2, "cuda:0") == 2


def test_torch_is_not_loaded_before_the_engine_process_has_said_how_to_wait() -> None:
    """OpenMP reads the environment once, when torch loads it."""
    code = "import sys, app.processes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
