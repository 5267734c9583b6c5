"""Processes that train together, started as ``torchrun`` starts them but without its own imports."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Sequence

from tests import forks


def together(words: Sequence[str], size: int = 2) -> str:
    """Run ``python *words`` in ``size`` processes that find each other; what they said of errors.

    Raises:
        AssertionError: one of them failed, or took over four minutes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryFile("w+") as told:
        team = []
        for rank in range(size):
            numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
            environment = {name: str(number) for name, number in numbers.items()}
            environment |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
            team.append(
                forks.start(words, modules=forks.TRAINING, cwd=forks.ROOT,
                            env={**os.environ, **environment}, stdout=told, stderr=told)
            )  # fmt: skip
        try:
            ends = [process.wait(240.0) for process in team]
        except subprocess.TimeoutExpired:
            ends = []
        finally:
            for process in team:
                process.kill()
        told.seek(0)
        text = told.read()
    assert ends == [0] * size, text[-2000:]
    return text
