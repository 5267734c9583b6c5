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

    Several parts of the window want pictures, each its own; no two use the same key.

    Args:
        send: gives a record to the engine.
    """

    def __init__(self, send: Callable[[object], None]) -> None:
        self._send = send
        #: Part of the window -> what it waits for.
        self._waiting: dict[str, list[tuple[str, Recipe]]] = {}
        #: Key -> for which part, and of what.
        self._given: dict[str, tuple[str, Recipe]] = {}

    def want(self, wanted: Sequence[tuple[str, Recipe]], part: str = "gallery") -> None:
        """Draw these, the first one first, and nothing that this part of the window wanted
        before."""
        keys = {key for key, _ in wanted}
        given = self._given
        if any(owner == part and key not in keys for key, (owner, _) in given.items()):
            self._send(DropThumbnails())
            # What others had there comes first again.
            for key, (owner, recipe) in reversed(given.items()):
                self._waiting.setdefault(owner, []).insert(0, (key, recipe))
            given.clear()
        self._waiting[part] = [(key, recipe) for key, recipe in wanted if key not in given]

    def flush(self) -> None:
        """Give the engine what it has room for, by turns from each part of the window."""
        while len(self._given) < _AT_ONCE and any(self._waiting.values()):
            part = next(part for part, waiting in self._waiting.items() if waiting)
            waiting = self._waiting.pop(part)
            key, recipe = waiting.pop(0)
            # It stands last now.
            self._waiting[part] = waiting
            self._given[key] = (part, recipe)
            self._send(DrawThumbnail(key, recipe, SIDE))

    def took(self, message: ThumbnailDrawn) -> ThumbnailReady:
        """What the engine answered."""
        self._given.pop(message.key, None)
        image = None
        if message.pixels is not None:
            image = np.frombuffer(message.pixels, np.uint8).reshape(SIDE, SIDE, 3)
        return ThumbnailReady(message.key, image, message.tried)

    def restarted(self) -> list[ThumbnailReady]:
        """The engine is a new one: what the old one had may have been its death."""
        lost = [ThumbnailReady(key, None, True) for key in self._given]
        self._given.clear()
        return lost
