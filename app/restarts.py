"""When a process that died is started again, and when it is left alone."""

from __future__ import annotations

from app.messages import EngineDied, EngineRestored, ModelFailed

#: After so many deaths within so many seconds, or without a success between them, it stops.
MAX_DEATHS, DEATH_SECONDS = 3, 20.0
#: Pause before a restart that is not the first, in seconds.
PAUSE = 1.0
#: So many deaths by kernels, each of which is left out afterwards, are no reason to stop: there are fewer kernels.
MOST_KERNELS = 16
#: How much smaller pictures are after a process died again before it drew one: it may have been
#: ended because it took all the memory there is (see :data:`app.frugality.STEPS`).
FRUGAL = 2


class RestartPolicy:
    """Counts deaths. Time comes in as an argument, in seconds of any clock."""

    def __init__(self) -> None:
        self._deaths: list[float] = []
        self._fruitless = self._kernels = 0

    def succeeded(self) -> None:
        """The process did what it is for."""
        self._fruitless = 0

    def died(self, now: float, kernel_left_out: bool = False) -> float | None:
        """The process died: seconds until it shall be started again, or ``None`` for not
        any more.

        Args:
            now: seconds.
            kernel_left_out: a kernel broke the GPU, which the next process does without.
        """
        if kernel_left_out and self._kernels < MOST_KERNELS:
            self._kernels += 1
            return 0.0
        self._deaths = [then for then in self._deaths if now - then < DEATH_SECONDS] + [now]
        self._fruitless += 1
        if max(len(self._deaths), self._fruitless) >= MAX_DEATHS:
            return None
        return 0.0 if len(self._deaths) == 1 and self._fruitless == 1 else PAUSE

    @property
    def frugal(self) -> int:
        """What the next process is started with."""
        return FRUGAL if self._fruitless > 1 else 0

    def reset(self) -> None:
        """A person asked to try again: what was does not count."""
        self._deaths.clear()
        self._fruitless = self._kernels = 0


def died(how: str, pause: float | None) -> EngineDied:
    """What is told of an engine that ended.

    Args:
        how: in words, as an exit code says it.
        pause: seconds until it is started again; ``None``: not by itself.
    """
    if pause is not None:
        return EngineDied(f"The engine stopped ({how}). Starting it again...")
    message = (
        f"The engine stopped again and again ({how}) and is not started again by itself; "
        "close other programs, then restart the engine."
    )
    return EngineDied(message, restarting=False)


def restored(replaced: bool) -> EngineRestored:
    """What is told of an engine that is there again.

    Args:
        replaced: the model's file is another one than before.
    """
    if not replaced:
        return EngineRestored()
    return EngineRestored(
        "The engine is back, but the file of the model was replaced meanwhile: faces may look different. "
        "Your work is as it was.",
        "warning",
    )


def died_opening(how: str, path: str) -> ModelFailed:
    """What is told where the engine ended while it opened a model."""
    return ModelFailed(
        path, f"The engine stopped ({how}) while it opened {path}; the model was not opened."
    )


def lost(failed: ModelFailed) -> ModelFailed:
    """What is told where a new engine cannot open the model that the one before had open."""
    message = f"The engine is back without its model; your work is as it was. {failed.message}"
    return ModelFailed(failed.path, message)
