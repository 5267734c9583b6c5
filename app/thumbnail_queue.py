"""The window's end of drawing thumbnails: what is wanted, and what the engine has been given.

The engine draws them while nothing else is to be drawn. It is given two at a time, so that a
changed mind costs little and the pipe never fills up. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from app.messages import ThumbnailReady
from app.wire import DrawThumbnail, DropThumbnails, ThumbnailDrawn
from engine.recipe import Recipe

#: Side of a thumbnail, pixels.
SIDE = 128
_AT_ONCE = 2


class ThumbnailQueue:
    """Keys and recipes that wait, and the keys that the engine has.

    Args:
        send: gives a record to the engine.
    """

    def __init__(self, send: Callable[[object], None]) -> None:
        self._send = send
        self._waiting: list[tuple[str, Recipe]] = []
        self._given: list[str] = []

    def want(self, wanted: Sequence[tuple[str, Recipe]]) -> None:
        """Draw these, the first one first, and nothing that was wanted before."""
        keys = {key for key, _ in wanted}
        if any(key not in keys for key in self._given):
            self._send(DropThumbnails())
            self._given.clear()
        self._waiting = [(key, recipe) for key, recipe in wanted if key not in self._given]

    def flush(self) -> None:
        """Give the engine what it has room for."""
        while self._waiting and len(self._given) < _AT_ONCE:
            key, recipe = self._waiting.pop(0)
            self._given.append(key)
            self._send(DrawThumbnail(key, recipe, SIDE))

    def took(self, message: ThumbnailDrawn) -> ThumbnailReady:
        """What the engine answered."""
        if message.key in self._given:
            self._given.remove(message.key)
        image = None
        if message.pixels is not None:
            image = np.frombuffer(message.pixels, np.uint8).reshape(SIDE, SIDE, 3)
        return ThumbnailReady(message.key, image, message.tried)

    def restarted(self) -> list[ThumbnailReady]:
        """The engine is a new one: what the old one had may have been its death."""
        lost = [ThumbnailReady(key, None, True) for key in self._given]
        self._given.clear()
        return lost
