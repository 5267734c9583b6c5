"""Runs the toolkit's callbacks so that a fault in one never ends the window.

With ``manual_callback_management`` Dear PyGui hands over what it would have called. Its own
helper lets an exception leave the loop; this one logs the traceback and shows a sentence.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, TypeVar

from engine.errors import Cancelled, UserError

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])
#: What a callback is marked with: it may run while its frame is painted, or others may pass it.
_EARLY, _PASSED = "_runs_early", "_may_be_passed"


def early(callback: F) -> F:
    """Mark a callback that may run in the early thread (:mod:`app.early`): it edits the document
    and neither measures text nor makes or deletes items or textures."""
    setattr(callback, _EARLY, True)
    return callback


def passed(when: Callable[[Any], bool] = lambda _data: True) -> Callable[[F], F]:
    """Mark a callback that those marked :func:`early` may overtake: it does nothing to the document
    where ``when`` holds of its ``app_data``."""

    def mark(callback: F) -> F:
        setattr(callback, _PASSED, when)
        return callback

    return mark


class CallbackRunner:
    """Calls callbacks with as many of ``(sender, app_data, user_data)`` as they take.

    Args:
        show: told the sentence of everything that goes wrong.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._left: list[tuple[Any, ...]] = []

    def run(self, jobs: Iterable[tuple[Any, ...]] | None) -> int:
        """Run what :meth:`run_early` left and what ``get_callback_queue()`` gave; the number of
        callbacks that were run."""
        waiting, self._left = [*self._left, *(jobs or ())], []
        count = 0
        for callback, *arguments in waiting:
            if callback is None:
                continue
            count += 1
            self.call(callback, *arguments)
        return count

    def run_early(self, jobs: Iterable[tuple[Any, ...]] | None) -> int:
        """Run what is marked :func:`early` and has nothing before it that it may not overtake; keep
        the rest, in order, for :meth:`run`. The number of callbacks that were run."""
        waiting, self._left = [*self._left, *(jobs or ())], []
        count = 0
        for number, job in enumerate(waiting):
            callback, *arguments = job
            if callback is None:
                continue
            if getattr(callback, _EARLY, False):
                count += 1
                self.call(callback, *arguments)
            elif (passes := getattr(callback, _PASSED, None)) is not None and passes(arguments[1]):
                self._left.append(job)
            else:
                self._left += waiting[number:]
                break
        return count

    def call(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Run one callback; whatever it raises is logged and shown, never raised."""
        try:
            callback(*arguments[: _arity(callback)])
        except Cancelled:
            pass
        except UserError as error:
            self._show(str(error))
        except Exception as error:
            log.exception("A callback of the window failed")
            self._show(f"Something went wrong in the window: {type(error).__name__}: {error}")


def _arity(callback: Callable[..., Any]) -> int:
    """The number of positional arguments a callback takes (at most 3 are offered)."""
    # Nothing is remembered: that would keep callbacks, and the panels that they belong to, for good.
    function = getattr(callback, "__func__", callback)
    if isinstance(function, FunctionType):
        if function.__code__.co_flags & inspect.CO_VARARGS:
            return 3
        return function.__code__.co_argcount - (function is not callback)
    parameters = inspect.signature(callback).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 3
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
