"""What can go wrong in a run, and how it is told apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from engine.errors import UserError
from engine.training.data.training_data import DataGone

T = TypeVar("T")

#: How often in a row a run may go back to the same snapshot.
MOST_RETURNS = 6
#: Factor on the learning rates after each return.
SLOWER = 0.5


class Diverged(Exception):
    """A loss or a gradient of a phase is no longer a finite number."""

    def __init__(self, phase: str) -> None:
        super().__init__(phase)
        self.phase = phase


class MemoryFull(UserError):
    """A pass of one picture does not fit into memory."""

    def __init__(self) -> None:
        super().__init__(
            "Not even one picture at once fits into memory; close other programs, or train a "
            "smaller model or on smaller pictures."
        )


def patiently(
    work: Callable[[], T],
    minutes: float,
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Do ``work``; while the data cannot be read, wait and try again.

    Args:
        work: reads pictures first and changes nothing before it has them.
        minutes: how long to wait.
        say: told once when waiting starts, and once when it is over.
        stopped: somebody asked to stop: wait no longer.
        clock, sleep: of time.

    Raises:
        UserError: the data did not come back.
    """
    since: float | None = None
    while True:
        try:
            done = work()
        except (OSError, DataGone) as error:
            what = " ".join(str(error).split()).rstrip(".")
            if since is None:
                since = clock()
                if minutes > 0:
                    say(f"Training waits for its pictures: {what}.")
            if stopped() or clock() - since >= 60.0 * minutes:
                raise UserError(
                    f"Training stopped because its pictures cannot be read: {what}; bring them back "
                    "and resume."
                ) from error
            sleep(min(1.0, max(60.0 * minutes - (clock() - since), 0.01)))
            continue
        if since is not None:
            say("The pictures are back: training goes on.")
        return done
