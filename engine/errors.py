"""The one kind of error that is shown to a person.

Everything that can go wrong because of what a user gave us (a file, a number, a
folder) raises :class:`UserError` with one clear sentence: what is wrong, where, and
what to do. The command line prints that sentence and exits with code 2; the window
shows it as a notice. Any other exception is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

import unicodedata
from typing import Any

#: Longest sentence; of a longer one the beginning and the end are kept.
MAX_SENTENCE = 580


class UserError(Exception):
    """A mistake in the input, told in one sentence.

    ``str(error)`` is the whole sentence, ready to be shown: on one line, and whatever a file or a
    file's name brought into it does no harm to a terminal and fits a notice.
    """

    exit_code = 2

    def __init__(self, sentence: str = "") -> None:
        super().__init__(_fit(sentence))


def _fit(sentence: str) -> str:
    if len(sentence) > MAX_SENTENCE:
        half = MAX_SENTENCE // 2
        sentence = f"{sentence[:half]} … {sentence[3 - half :]}"
    if sentence.isprintable():
        return sentence
    return "".join(_letter(char) for char in sentence)


def _letter(char: str) -> str:
    """Spaces of any width stay; control characters, and those that turn the direction of writing
    or are half a letter, do not."""
    if char.isprintable() or unicodedata.category(char) == "Zs":
        return char
    return " " if char in "\t\n" else "?"


class CheckpointError(UserError):
    """A model file that is missing, damaged, foreign or unsafe."""


class ExportError(UserError):
    """A picture, video or mesh that could not be made or written."""


class GpuLost(BaseException):
    """A GPU does no more work for this process, which cannot go on; the next one can.

    It is no :class:`Exception`: what catches faults to go on must not catch it. A process of the
    window's ends by it and is started again; the command line prints the sentence.

    Attributes:
        left_out: a kernel of ours did it, and the next process leaves that one out.
    """

    def __init__(self, message: str, left_out: bool = False) -> None:
        super().__init__(message)
        self.left_out = left_out


class Cancelled(Exception):
    """Raised between chunks of work after the caller asked to stop.

    It is not a :class:`UserError`: nothing is wrong and nothing is shown.
    """


def in_words(value: Any) -> str:
    """A value from a file for a sentence. Of what holds other values only the kind: lists that hold
    each other twice over take a line of a pickle each, and are endless to write out."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value[:60] if isinstance(value, str) else value)
    return f"a value of the type {type(value).__name__}"
