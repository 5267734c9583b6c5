"""What can be wrong inside a file, before the path is known.

The readers raise these with a phrase; :func:`engine.checkpoints.read_checkpoint` turns them
into one sentence with the file's path (:class:`engine.errors.CheckpointError`).
"""

from __future__ import annotations


class Damaged(Exception):
    """The bytes do not make sense: truncated, altered, or inconsistent with themselves."""


class Refused(Exception):
    """The file asks for something that a model file does not need, or for too much of it."""


class Unsupported(Exception):
    """A sound file of a kind that Maquette does not read; the phrase says what to do."""
