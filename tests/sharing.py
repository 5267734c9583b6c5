"""How tests are shared out over the workers of pytest-xdist.

The tests of the window mostly wait, for a toolkit that paints and for an engine that starts; all others
compute. So the first of three workers begins with the one kind and the others with the other, and whoever
is done helps: there is a worker more than cores, and the cores never wait. Those that compute step
back behind the one that waits (tests/conftest.py).

A file goes to one worker as a whole, since its tests share what they have built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

WINDOW = "tests/app/gui/"
#: Folders that go to one worker: what they build takes longer than what they test.
TOGETHER = ("tests/packaging/",)
#: The single tests that take longest, in short files.
LONG = ("tests/app/gui/test_first_steps.py", "tests/app/gui/test_edit_command.py")


def begins_with_window(worker: str) -> bool:
    """Whether a worker ("gw0", "gw1", ...) takes the tests of the window first."""
    return int(worker.removeprefix("gw")) % 3 == 0


class Sharing(LoadScopeScheduling):
    """See the module's docstring."""

    def schedule(self) -> None:
        """Share everything out at first, what is left later."""
        self.config.option.loadscopereorder = False
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return next(
            (folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.split("::")[0]
        )

    def _assign_work_unit(self, node: Any) -> None:
        waits = begins_with_window(node.gateway.id)
        scope = min(self.workqueue, key=lambda scope: self._rank(scope, waits))
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _rank(self, scope: str, waits: bool) -> tuple[bool, float]:
        """Small for what a worker should do first: its own kind, and long files before short ones, so
        that none is left with a long one in the end."""
        path = Path(self.config.rootpath, scope)
        size = path.stat().st_size if path.is_file() else float("inf")
        return scope.startswith(WINDOW) != waits, -float("inf") if scope in LONG else -size
