"""A small text encoder."""

from tests.editing.conftest import opened

__all__ = ["opened"]
