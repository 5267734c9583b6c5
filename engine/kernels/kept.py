"""Functions compiled by Numba, kept on disk where that can be.

Numba raises where it finds no folder to write in (an installation and a home that are read-only, or no home), where
the disk is full, and where a file of its own is damaged, as one is after a power cut. None of that is a reason
not to draw: the function is compiled in each process then, and a damaged file is written anew.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

_log = logging.getLogger(__name__)


class _Kept(FunctionCache):  # type: ignore[misc]
    """Numba's files of one function; whatever is wrong with them, there is no more to it than that they are
    no help."""

    def load_overload(self, signature: Any, context: Any) -> Any:
        try:
            return super().load_overload(signature, context)
        except Exception as error:
            _log.info("%s was not read from the disk: %s", self._name, error)
            with contextlib.suppress(Exception):
                self.flush()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        try:
            super().save_overload(signature, compiled)
        except Exception as error:
            _log.info("%s was not kept on the disk: %s", self._name, error)


def kept(**options: object) -> Callable[[Callable[..., object]], Any]:
    """``numba.njit`` with these options, kept on disk where that can be.

    Unlike ``cache=True`` it never raises for want of a place or of room, nor for what lies there.
    """

    def decorate(function: Callable[..., object]) -> Any:
        dispatcher = njit(**options)(function)
        # Where compiling is turned off (NUMBA_DISABLE_JIT), what comes back is the function itself.
        if hasattr(dispatcher, "_cache"):
            try:
                dispatcher._cache = _Kept(function)
            except Exception as error:
                _log.info("%s will not be kept on the disk: %s", function.__name__, error)
        return dispatcher

    return decorate


def place(function: Any) -> Path | None:
    """The folder in which a function of :func:`kept` is kept; ``None`` where it cannot be."""
    found = getattr(function, "_cache", None)
    return Path(found.cache_path) if isinstance(found, _Kept) else None
