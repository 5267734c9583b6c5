"""Coverage-guided fuzzing of everything that reads files of other people's making.

``python -m tests.fuzzing TARGET --runs N --seconds S --corpus DIR`` (docs/fuzzing.md). What a reader
may do with any bytes at all is give an answer or raise :class:`~engine.errors.UserError` with one
sentence; :mod:`tests.fuzzing.watch` says what else is looked at.
"""
