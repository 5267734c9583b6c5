"""What holds for every test."""

from __future__ import annotations

import os
from typing import Any

import pytest

# Workers share the cores; more threads only fight each other. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: Folders whose tests run one after the other, in one worker: those of the window and its
#: processes are timed by the clock, those of the wheel share one build.
TOGETHER = ("tests/app/", "tests/packaging/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread single tests over the workers, and keep :data:`TOGETHER` together.

    xdist's own ``loadgroup`` does that by marks, but writes them into an attribute of pytest's
    items that newer versions of pytest no longer have.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Rooms(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((room for room in TOGETHER if nodeid.startswith(room)), nodeid)

    return Rooms(config, log)
