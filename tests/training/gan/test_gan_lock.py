"""One process a run, and nothing half-written left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import UserError
from tests.training.gan.test_gan_run import OPTIONS, start


def test_two_processes_do_not_train_one_run(tmp_path: Path) -> None:
    run, _ = start(tmp_path, replace(OPTIONS, steps=1))
    with pytest.raises(UserError, match="another process; stop that first"):
        start(tmp_path)
    run.train()
    start(tmp_path)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    rubbish = tmp_path / "snapshots" / ".maquette-0123456789ab.tmp"
    rubbish.write_bytes(b"half a snapshot")
    start(tmp_path)
    assert not rubbish.exists()
