"""What ``maquette inspect`` says about a file."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

from engine.checkpoints.names import shown
from engine.checkpoints.plain import Checkpoint, LazyTensor
from engine.checkpoints.weights import weights_file
from engine.errors import CheckpointError
from engine.generators.registry import ModelSource, build_generator, families, find_source
from engine.hashing import file_sha256, model_sha256

#: Most things at the top level that are listed.
_MOST_CONTENTS = 1000


def describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """Plain facts about a checkpoint, fit for JSON.

    Returns:
        ``path, container, bytes, sha256`` of the file; ``identity``, by which recipes name the
        model, which is another hash where a second file belongs to it; ``family, title, name, options,
        assumptions, parameters`` (number of elements) and ``tensors`` (``name, shape, dtype``)
        of the generator in it; ``capabilities`` is what it can do and which settings it has
        (:meth:`~engine.capabilities.Capabilities.to_json`), or ``None`` with a sentence in
        ``note`` where its tensors do not fit. A file of no known family has ``family`` ``None``,
        a sentence in ``note``, and lists what stands at its top level under ``contents`` instead.
    """
    weights = weights_file(checkpoint.path)
    facts: dict[str, Any] = {
        "path": str(checkpoint.path),
        "container": checkpoint.container,
        "bytes": weights.stat().st_size,
        "sha256": file_sha256(weights),
        "identity": model_sha256(weights),
    }
    try:
        source = find_source(checkpoint)
    except CheckpointError as error:
        return facts | {"family": None, "note": str(error), "contents": _contents(checkpoint.root)}
    tensors = [
        {
            "name": name,
            "shape": list(tensor.shape),
            "dtype": str(tensor.stored_dtype or tensor.dtype).removeprefix("torch."),
        }
        for name, tensor in source.tensors.items()
    ]
    return facts | {
        "family": source.family,
        "title": families()[source.family].title,
        "name": source.name,
        "parameters": sum(math.prod(tensor.shape) for tensor in source.tensors.values()),
        "options": source.config,
        "assumptions": list(source.assumptions),
        "tensors": tensors,
        **_capabilities(source),
    }


def _capabilities(source: ModelSource) -> dict[str, Any]:
    """What the generator can do, which only it knows: it is built, on the CPU."""
    try:
        return {"capabilities": build_generator(source, "cpu").capabilities.to_json()}
    except CheckpointError as error:
        return {"capabilities": None, "note": str(error)}


def _contents(root: Any) -> list[dict[str, Any]]:
    """One line for each thing at the top level."""
    if isinstance(root, dict):
        items = [(_title(key), value) for key, value in islice(root.items(), _MOST_CONTENTS)]
    elif isinstance(root, (list, tuple)):
        items = [(str(index), value) for index, value in enumerate(root[:_MOST_CONTENTS])]
    else:
        items = [("", root)]
    return [{"name": name, "what": _kind(value)} for name, value in items]


def _title(key: Any) -> str:
    """A key of any kind; a tuple's texts could each be as long as the file."""
    if isinstance(key, (str, int, float, bool)):
        return shown(str(key), 200)
    return type(key).__name__


def _kind(value: Any) -> str:
    if isinstance(value, LazyTensor):
        return f"tensor {list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    kind = getattr(value, "kind", None)
    if isinstance(kind, str):
        return shown(kind, 200)
    if isinstance(value, (dict, list, tuple, set)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
