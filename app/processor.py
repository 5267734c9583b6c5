"""Sharing a few processor cores between the window and the engine.

Without a graphics card both draw on the processor: the engine computes pictures, and the window is
painted by Mesa's llvmpipe. Each spreads over all cores by itself, and torch's threads wait for one
another at the end of every operation; on two cores each then takes twice as long as alone. So
while something moves the engine leaves one core to the window, and on two cores the window's
painting stays in one thread. Knows neither torch nor the toolkit.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

#: Up to so many cores the window is painted in one thread.
FEW_CORES = 2


def paint_in_one_thread(
    environment: MutableMapping[str, str] = os.environ, cores: int | None = None
) -> None:
    """Tell llvmpipe, before it starts, to paint in the thread that draws, where there are few
    cores. What the environment says already stays; graphics cards do not look at it.

    Args:
        environment: read by Mesa when the window is created.
        cores: of this machine; ``None`` asks the system.
    """
    if (cores or os.cpu_count() or 1) <= FEW_CORES:
        environment.setdefault("LP_NUM_THREADS", "0")


def wait_asleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Tell OpenMP, before torch loads it, that a thread that waits for the others sleeps.

    By itself it spins, at the end of every operation, on the very core that the others may need:
    beside another busy program a picture then took ten times as long. What the environment says
    already stays.

    Args:
        environment: read by OpenMP when it is loaded.
    """
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def preview_threads(threads: int, device: str) -> int:
    """Threads for a preview, of so many that a full-quality picture is drawn with."""
    return max(1, threads - 1) if device.startswith("cpu") else threads
