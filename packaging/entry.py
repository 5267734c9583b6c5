"""Where a bundle begins: the window, a command, or one of the processes behind them.

Every process of a bundle is this program. Those of :mod:`multiprocessing` (the engine, exports, edits, training,
preparing) are told apart by ``freeze_support``, those that run a module by :func:`engine.frozen.run_module`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys


def main() -> int:
    """Run what the words ask for; the exit status."""
    # Libraries would compile functions from their source, which stays out of the bundle.
    os.environ.setdefault("PYTORCH_JIT", "0")
    multiprocessing.freeze_support()
    from engine.frozen import run_module

    if run_module(sys.argv[1:]):
        return 0
    from app.cli.main import main as commands

    return commands()


if __name__ == "__main__":
    sys.exit(main())
