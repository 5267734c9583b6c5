"""Tensors of a file into a network, strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from engine.errors import CheckpointError

M = TypeVar("M", bound=nn.Module)


def load_strictly(
    title: str,
    make: Callable[[], M],
    tensors: Mapping[str, Tensor],
    device: torch.device,
    defaults: Mapping[str, Tensor] | None = None,
) -> M:
    """A network that holds a file's tensors, for evaluation, without gradients.

    Args:
        title: the family's name in messages, ``"EG3D"``.
        make: makes the network; called on the meta device, so it must not compute with
            tensors (a division there imports torch's compiler) nor hold buffers that its
            state dict leaves out.
        tensors: state-dict name -> tensor.
        device: where the network will compute, in float32.
        defaults: tensors that files may leave out.

    Raises:
        CheckpointError: no network can be made, or tensors are missing, not part of it, of
            another shape, not floating point or not finite; the sentence names them.
    """
    # Shapes only: a file can ask for any size, and the tensors come from the file anyway.
    try:
        with torch.device("meta"):
            network = make()
    except (RuntimeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"No {title} network can be made from the model's options ({error})."
        ) from error
    wanted = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    given = {**(defaults or {}), **tensors}
    _check(title, wanted, given)
    state = {name: given[name].to(device, torch.float32) for name in wanted}
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"The {title} model is damaged: {name} holds values that are not finite numbers; "
                "download or copy it again."
            )
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _check(title: str, wanted: Mapping[str, tuple[int, ...]], given: Mapping[str, Tensor]) -> None:
    problems = {
        "lacks": [name for name in wanted if name not in given],
        f"holds, beyond what {title} has,": [name for name in given if name not in wanted],
        "has other shapes than its options say for": [
            f"{name} ({_sides(given[name].shape)} instead of {_sides(shape)})"
            for name, shape in wanted.items()
            if name in given and tuple(given[name].shape) != shape
        ],
        "has something other than numbers in": [
            name for name in wanted if name in given and not given[name].is_floating_point()
        ],
    }
    said = [f"{what} {first_few(names)}" for what, names in problems.items() if names]
    if said:
        raise CheckpointError(f"The {title} model does not fit together: it {'; it '.join(said)}.")


def first_few(names: list[str], count: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def _sides(shape: tuple[int, ...] | torch.Size) -> str:
    return " x ".join(str(side) for side in shape) or "a single number"
