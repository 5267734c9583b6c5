"""What the commands say: facts, progress, and how a stop is answered."""

from __future__ import annotations

import codecs
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Seconds after which a stop that got lost comes again.
_AGAIN = 0.05
#: Name of how letters are written that a stream does not have.
_SPELLING = "maquette"
#: Called with (done, total).
Progress = Callable[[int, int], None]


class Terminated(BaseException):
    """SIGTERM arrived: unwind as after Ctrl-C, so that temporary files are removed."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, told apart from Python's own exception.

    Where that one passes through ``exec`` of a text (dataclasses and Numba do that all the time), the
    interpreter remembers it as unhandled, whoever handles it later: a program that was started
    by ``python -m`` then dies of SIGINT at its very end instead of ending with the status it chose.
    It looks for exactly that type.
    """


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM unwind the program as Ctrl-C does, while the block runs.

    Either may arrive while a function runs that C has called back (Numba's compiler does so for seconds), where
    Python can only write down what was raised and go on: then it is sent once more.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise Interrupted

    answers: dict[int, Callable[[int, FrameType | None], None]] = {signal.SIGTERM: stop}
    # Whoever is deaf to Ctrl-C, as in a shell's background, stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        answers[signal.SIGINT] = interrupt
    try:
        before = {number: signal.signal(number, answer) for number, answer in answers.items()}
    except ValueError:  # not in the main thread: signals are not ours
        yield
        return
    hook = sys.unraisablehook

    def lost(unraised: sys.UnraisableHookArgs) -> None:
        number = {Terminated: signal.SIGTERM, Interrupted: signal.SIGINT}.get(unraised.exc_type)
        if number is None:
            hook(unraised)
        else:
            threading.Timer(_AGAIN, os.kill, (os.getpid(), number)).start()

    sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, answer in before.items():
            signal.signal(number, answer)


def speak_any_letter() -> None:
    """Let output and error stream take every text, whatever letters the terminal has.

    File names are bytes: those that are no letters go out as they came in. Letters that the stream's encoding lacks
    become question marks.
    """
    codecs.register_error(_SPELLING, _spelled)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_SPELLING)


def _spelled(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    bytes_of_names = (bytes([ord(x) & 255]) if "\udc80" <= x <= "\udcff" else b"?" for x in letters)
    return b"".join(bytes_of_names), error.end


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A progress bar with the time left, on the error stream, gone when the block ends.

    Args:
        what: shown before the bar.
        quiet: show nothing.

    Yields:
        a function to be called with ``(done, total)``. Nothing is drawn where the error
        stream is no terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_json(facts: Any) -> None:
    """Print facts as JSON on the output stream."""
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (
        UnicodeEncodeError
    ):  # programs read this: letters are written by their numbers, not left out
        text = json.dumps(facts, indent=2, allow_nan=False)
    print(text)


def warn(text: str) -> None:
    """Print one sentence for people on the error stream; the work goes on."""
    print(f"maquette: {text}", file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Print one line for people on the output stream."""
    print(text, flush=True)
