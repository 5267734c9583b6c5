"""omegaconf's references (``${training.patch}``) resolved, without omegaconf."""

from __future__ import annotations

import re
from typing import Any

from engine.checkpoints.omegaconf import MAX_VALUES, unwrap_omegaconf
from engine.checkpoints.plain import Node
from engine.errors import CheckpointError

#: Deepest chain of configurations inside each other, and of references to references.
_MAX_PARENTS, _MAX_HOPS = 60, 30
#: Longest text that references are filled into.
_MAX_TEXT = 4096
_REFERENCE = re.compile(r"\$\{([^${}:]*)\}")
_MISSING = object()


def resolve_omegaconf(node: Any) -> Any:
    """A configuration as plain data with its references replaced by what they point to.

    A reference is a path from the root of the whole configuration, which a node reaches through
    its ``_parent``. A value that is one reference becomes what stands there (a section, a
    number); references inside longer text become text. Those that point nowhere, in a circle or
    to a resolver (``${oc.env:HOME}``) stay as they are.

    Args:
        node: see :func:`~engine.checkpoints.omegaconf.unwrap_omegaconf`.

    Raises:
        CheckpointError: it contains itself, or grows absurdly large.
    """
    left = MAX_VALUES
    root = unwrap_omegaconf(_root(node))

    def look_up(path: str) -> Any:
        here = root
        for step in path.strip().split("."):
            if isinstance(here, dict) and step in here:
                here = here[step]
            elif isinstance(here, list) and step.isdigit() and int(step) < len(here):
                here = here[int(step)]
            else:
                return _MISSING
        return here

    def resolve(value: Any, hops: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise CheckpointError(
                "The configuration in the file refers to itself so often that it would grow without "
                "end; use another copy of the file."
            )
        if isinstance(value, dict):
            return {key: resolve(item, hops) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item, hops) for item in value]
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            return value
        if "${" not in value or hops > _MAX_HOPS:
            return value
        whole = _REFERENCE.fullmatch(value)
        if whole:
            found = look_up(whole[1])
            return value if found is _MISSING else resolve(found, hops + 1)

        def text(match: re.Match[str]) -> str:
            found = look_up(match[1])
            if found is _MISSING or isinstance(found, (dict, list)) or len(str(found)) > _MAX_TEXT:
                return match[0]
            return str(found)

        replaced = _REFERENCE.sub(text, value)
        if replaced == value or len(replaced) > _MAX_TEXT:
            return value
        return resolve(replaced, hops + 1)

    return resolve(unwrap_omegaconf(node), 0)


def _root(node: Any) -> Any:
    for _ in range(_MAX_PARENTS):
        parent = node.state.get("_parent") if isinstance(node, Node) else None
        if not isinstance(parent, Node):
            return node
        node = parent
    return node
