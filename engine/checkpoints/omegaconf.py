"""omegaconf's configuration nodes as plain data."""

from __future__ import annotations

from typing import Any

from engine.checkpoints.plain import Node
from engine.errors import CheckpointError

#: Deepest nesting and most values of a configuration.
MAX_DEPTH = 60
MAX_VALUES = 100_000


def unwrap_omegaconf(node: Any) -> Any:
    """A configuration read from a file as dictionaries, lists and values.

    Args:
        node: a ``DictConfig``, ``ListConfig`` or value node of omegaconf as the reader gives it
            (:class:`Node`), a plain dictionary or list (also with such nodes inside), or a
            value.

    Returns:
        plain data; references to other places (``"${training.patch}"``) stay as they are.

    Raises:
        CheckpointError: it contains itself, or is absurdly large.
    """
    left = MAX_VALUES

    def unwrap(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > MAX_DEPTH:
            raise CheckpointError(
                "The configuration in the file contains itself or is far too large; use another "
                "copy of the file."
            )
        if isinstance(value, Node) and value.kind.startswith("omegaconf."):
            # Containers and values alike keep what they hold in _content or _val.
            state = value.state
            return unwrap(
                state["_content"] if "_content" in state else state.get("_val"), depth + 1
            )
        if isinstance(value, dict):
            return {_key(key): unwrap(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [unwrap(item, depth + 1) for item in value]
        return value

    return unwrap(node, 0)


def _key(key: Any) -> Any:
    return key.state.get("_val") if isinstance(key, Node) else key
