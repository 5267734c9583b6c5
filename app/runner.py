"""Runs the toolkit's callbacks so that a fault in one never ends the window.

With ``manual_callback_management`` Dear PyGui hands over what it would have called. Its own
helper lets an exception leave the loop; this one logs the traceback and shows a sentence.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from engine.errors import Cancelled, UserError

log = logging.getLogger(__name__)


class CallbackRunner:
    """Calls callbacks with as many of ``(sender, app_data, user_data)`` as they take.

    Args:
        show: told the sentence of everything that goes wrong.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    def run(self, jobs: Iterable[tuple[Any, ...]] | None) -> int:
        """Run what ``get_callback_queue()`` gave; the number of callbacks that were run."""
        count = 0
        for job in jobs or ():
            callback, *arguments = job
            if callback is None:
                continue
            count += 1
            self.call(callback, *arguments)
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


@lru_cache(maxsize=1024)
def _arity(callback: Callable[..., Any]) -> int:
    """The number of positional arguments a callback takes (at most 3 are offered)."""
    parameters = inspect.signature(callback).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 3
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
