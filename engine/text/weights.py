"""A user's CLIP weights as named tensors, read without executing a byte of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints import LazyTensor, Node, module_tensors, read_checkpoint
from engine.errors import UserError

#: Where training programs keep the model among other things, in the order they are looked for.
_PLACES = ("state_dict", "model", "model_state_dict")
#: Numbers that OpenAI's files hold beside the tensors.
_NOT_WEIGHTS = frozenset({"input_resolution", "context_length", "vocab_size"})


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file or of a checkpoint of ``torch.save`` by name, in the file's shapes, on the CPU.

    Raises:
        UserError: the file is missing, damaged, asks for more than data, or holds no weights.
    """
    if path.suffix == ".safetensors":
        tensors = _read_safetensors(path)
    else:
        tensors = _tensors(read_checkpoint(path).root)
    if not tensors:
        raise UserError(f"{path} holds no weights of a network; choose the file of a CLIP model.")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return {name: value for name, value in tensors.items() if name not in _NOT_WEIGHTS}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError(f"There is no file {path}; check the path.")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as safetensors ({error}); download or copy it again."
        ) from error
    return tensors


def _tensors(root: Any) -> dict[str, Tensor]:
    """The tensors of the first place that holds some."""
    if isinstance(root, Node):
        return {name: lazy.load() for name, lazy in module_tensors(root)}
    if not isinstance(root, Mapping):
        return {}
    for place in _PLACES:
        inside = root.get(place)
        if isinstance(inside, Mapping | Node) and (found := _tensors(inside)):
            return found
    found = {}
    for name, value in root.items():
        # Parameters of a saved module may come wrapped in a record of their class.
        if isinstance(name, str) and isinstance(value, LazyTensor):
            found[name] = value.load()
    return found


def as_float(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors by their names and in their shapes, every floating one in 32 bits."""
    return {
        name: value.to(torch.float32) if value.is_floating_point() else value
        for name, value in tensors.items()
    }
