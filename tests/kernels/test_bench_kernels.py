"""The benchmark of the kernels runs, here on the emulation."""

from __future__ import annotations

import pytest

from engine.kernels import launch
from tests.benchmarks import bench_kernels


@pytest.mark.slow
def test_every_stage_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_kernels.main(["--emulated"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 22
    assert all("floor" in line for line in lines[2::2])


@pytest.mark.skipif(launch.available()[0], reason="says what holds without a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_kernels.main([]) == 1
    assert capsys.readouterr().out.strip() == launch.available()[1]
