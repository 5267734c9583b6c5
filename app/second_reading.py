"""The window's end of looking at second models: the newest wish wins. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable

from app.messages import SecondFailed, SecondRead
from app.wire import ReadSecond, SecondAnswer


class SecondReading:
    """Asks the engine whether a model can lend layers to the open one.

    Args:
        send: gives a record to the engine.
    """

    def __init__(self, send: Callable[[object], None]) -> None:
        self._send = send
        self._serial = 0
        self._wish: ReadSecond | None = None

    @property
    def path(self) -> str | None:
        """What is being looked at."""
        return None if self._wish is None else self._wish.path

    def read(self, path: str) -> None:
        """Look at a file; answered by :class:`~app.messages.SecondRead` or
        :class:`~app.messages.SecondFailed`, unless a newer call comes before."""
        self._serial += 1
        self._wish = ReadSecond(self._serial, path)
        self._send(self._wish)

    def again(self) -> None:
        """Ask once more: another model is open, or the engine is a new one."""
        if self._wish is not None:
            self.read(self._wish.path)

    def took(self, message: SecondAnswer) -> list[SecondRead | SecondFailed]:
        """What the engine answered, if it is still of interest."""
        if self._wish is None or message.serial != self._wish.serial:
            return []
        self._wish = None
        return [message.result]
