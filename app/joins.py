"""The engine process's second thread: reads second models and builds joined ones, so that the
picture of what is built already goes on.

The newest wish wins, for each of the two kinds.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from app.faults import log_failure, sentence
from app.mailboxes import EngineMailbox
from app.messages import SecondFailed, SecondRead
from app.wire import ReadSecond, SecondAnswer
from engine.errors import UserError
from engine.layer_swap import LayerSwap
from engine.recipe import Recipe

if TYPE_CHECKING:
    from engine.draw import Painter


class Joins:
    """What has been joined to the open model.

    Args:
        mailbox: is told when something has been built.
    """

    def __init__(self, mailbox: EngineMailbox) -> None:
        self._mailbox = mailbox
        self._changed = threading.Condition()
        self._painter: Painter | None = None
        self._wanted: LayerSwap | None = None
        self._reading: ReadSecond | None = None
        self._failed: dict[LayerSwap, str] = {}
        #: The swap that was built last; ``None`` for the open model alone.
        self._last: LayerSwap | None = None
        self._thread: threading.Thread | None = None

    def attend(self, painter: Painter) -> None:
        """Another model is open."""
        with self._changed:
            self._painter, self._wanted, self._last = painter, None, None
            self._failed.clear()

    def is_ready(self, recipe: Recipe) -> bool:
        """Whether a recipe can be drawn without building anything, or cannot be drawn at all."""
        swap, painter = recipe.swap, self._painter
        if swap is None or not swap.changes or painter is None or swap in self._failed:
            return True
        if painter.joiner.known(swap) is None:
            return False
        self._last = swap
        return True

    def meanwhile(self, recipe: Recipe) -> Recipe:
        """A recipe as it can be drawn until its own model is built."""
        return replace(recipe, swap=self._last)

    def check(self, recipe: Recipe) -> None:
        """Raises :class:`~engine.errors.UserError` where a recipe's models cannot be joined."""
        if recipe.swap is not None and recipe.swap.changes and recipe.swap in self._failed:
            raise UserError(self._failed[recipe.swap])

    def want(self, recipe: Recipe) -> None:
        """Build what a recipe needs, next."""
        with self._changed:
            if self._wanted != recipe.swap:
                self._wanted = recipe.swap
                self._wake()

    def read(self, wish: ReadSecond) -> None:
        """Look at a second model and answer."""
        with self._changed:
            # Chosen again: the file may be in order by now.
            self._failed.clear()
            self._reading = wish
            self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="joins", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _serve(self) -> None:
        try:
            while True:
                with self._changed:
                    while self._reading is None and self._wanted is None:
                        self._changed.wait()
                    painter, wish, swap = self._painter, self._reading, self._wanted
                    self._reading = None
                if painter is not None and wish is not None:
                    self._mailbox.send(SecondAnswer(wish.serial, _look_at(painter, wish.path)))
                elif painter is not None and swap is not None:
                    self._build(painter, swap)
        except BaseException as error:
            log_failure("engine", error)
            raise

    def _build(self, painter: Painter, swap: LayerSwap) -> None:
        failure = ""
        try:
            painter.joiner.join(swap)
        except Exception as error:
            failure = sentence("joining two models", error, "engine")
        with self._changed:
            if painter is self._painter:
                if failure:
                    self._failed[swap] = failure
                else:
                    self._last = swap
            if self._wanted == swap:
                self._wanted = None
        self._mailbox.poke()


def _look_at(painter: Painter, path: str) -> SecondRead | SecondFailed:
    from engine.joining import read_second

    first = painter.generator.source
    try:
        if first is None:
            raise UserError("The open model cannot take layers of another one.")
        ref, layers = read_second(first, path)
    except Exception as error:
        return SecondFailed(path, sentence(f"reading {path}", error, "engine"))
    return SecondRead(ref, layers)
