"""Errors in the engine process and in the export process: the sentence and the log."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from app.settings import log_folder
from engine.errors import UserError
from engine.memory import is_memory_full


def sentence(doing: str, error: BaseException, log: str) -> str:
    """One sentence for people about an error while ``doing`` ("drawing", ...).

    An error in what the user gave is told as it is; anything else is a fault of ours, is
    written to the log with its traceback, and is told with its type.

    Raises:
        GpuLost: the error is that this process has no GPU any more: each thing that it does would fail, and it must end.
    """
    if isinstance(error, UserError):
        return str(error)
    where = log_failure(log, error)
    if "torch" in sys.modules:
        from engine.kernels.broken import must_live

        must_live()
    kind = type(error).__name__
    if is_memory_full(error):
        return (
            f"There was not enough memory for {doing}; choose a lower resolution or close other "
            "programs."
        )
    text = str(error).strip().splitlines()
    first = f": {text[0][:200].rstrip('.')}" if text else ""
    details = f" (details in {where})" if where else ""
    return f"A fault in Maquette stopped {doing} with {kind}{first}{details}."


def log_failure(name: str, error: BaseException) -> Path | None:
    """Append a traceback to ``<name>.log`` in the log folder; where that is, or ``None``
    if it cannot be written."""
    folder = log_folder()
    path = folder / f"{name}.log"
    logger = logging.getLogger(f"maquette.{name}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not logger.handlers:
            handler = logging.handlers.RotatingFileHandler(
                path, maxBytes=1_000_000, backupCount=1, encoding="utf-8"
            )
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            logger.addHandler(handler)
            logger.propagate = False
        logger.error("failure", exc_info=(type(error), error, error.__traceback__))
    except OSError:
        return None
    return path
