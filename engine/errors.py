"""The one kind of error that is shown to a person.

Everything that can go wrong because of what a user gave us (a file, a number, a
folder) raises :class:`UserError` with one clear sentence: what is wrong, where, and
what to do. The command line prints that sentence and exits with code 2; the window
shows it as a notice. Any other exception is a fault of ours and keeps its traceback.
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake in the input, told in one sentence.

    ``str(error)`` is the whole sentence, ready to be shown.
    """

    exit_code = 2


class CheckpointError(UserError):
    """A model file that is missing, damaged, foreign or unsafe."""


class ExportError(UserError):
    """A picture, video or mesh that could not be made or written."""


class Cancelled(Exception):
    """Raised between chunks of work after the caller asked to stop.

    It is not a :class:`UserError`: nothing is wrong and nothing is shown.
    """
