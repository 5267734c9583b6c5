"""Memory: only the tensors that are needed, and no more for a hostile file."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from tests import forks
from tests.checkpoints import test_hostile

#: Reads a small file first, so that what is measured is the reading and not the importing.
_CHILD = """
import sys
from pathlib import Path
from engine.checkpoints import read_checkpoint
from engine.errors import CheckpointError

def peak():
    # Not ru_maxrss, which a child inherits from the process that started it.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

def load(path):
    tensors = read_checkpoint(path).root["needed"]
    return {name: lazy.load() for name, lazy in tensors.items()}

folder = Path(sys.argv[1])
load(folder / "small")
before = peak()
if sys.argv[2] == "load":
    kept = load(folder / "large")
    print(peak() - before, sum(t.nbytes for t in kept.values()))
else:
    for path in sorted((folder / "bombs").iterdir()):
        try:
            read_checkpoint(path)
            raise SystemExit(f"{path} was opened")
        except CheckpointError:
            pass
    print(peak() - before, 0)
"""


def _run(folder: Path, what: str) -> tuple[int, int]:
    done = forks.run(["-c", _CHILD, str(folder), what], cwd=forks.ROOT)
    assert done.returncode == 0, done.stderr
    peak, needed = done.stdout.split()
    return int(peak), int(needed)


def _write(path: Path, container: str, megabytes: int) -> None:
    """Half of the file's tensors are needed; 20 in each half."""
    half = [torch.full((megabytes * 1_048_576 // 8 // 20,), float(i)) for i in range(20)]
    data = {
        "needed": {str(i): tensor for i, tensor in enumerate(half)},
        "other": {str(i): tensor + 0.5 for i, tensor in enumerate(half)},
    }
    if container == "pickle":
        path.write_bytes(pickle.dumps(data, protocol=4))
    else:
        torch.save(data, path, _use_new_zipfile_serialization=container == "torch-zip")


@pytest.mark.parametrize("container", ["torch-zip", "torch-legacy", "pickle"])
def test_only_the_needed_tensors_are_read(tmp_path: Path, container: str) -> None:
    _write(tmp_path / "small", container, 1)
    _write(tmp_path / "large", container, 120)
    size = (tmp_path / "large").stat().st_size
    peak, needed = _run(tmp_path, "load")
    assert 119 << 20 < size < 122 << 20 and 59 << 20 < needed < 61 << 20
    assert peak < 1.3 * needed
    assert peak > 0.9 * needed  # or the measurement would be blind


def test_bombs_stay_small(tmp_path: Path) -> None:
    _write(tmp_path / "small", "pickle", 1)
    (tmp_path / "bombs").mkdir()
    for index, data in enumerate(test_hostile.BOMBS.values()):
        (tmp_path / "bombs" / f"{index:03}").write_bytes(data)
    peak, _ = _run(tmp_path, "bombs")
    assert 10 << 20 < peak < 500 << 20
