"""Tensors of a file into a network, strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from engine.errors import CheckpointError, UserError

C = TypeVar("C")
M = TypeVar("M", bound=nn.Module)


class _ShapesOnly(TorchFunctionMode):
    """Random and filled tensors are only as large as they should be.

    On the meta device nothing has values anyway, but asking for random ones there makes torch
    import its compiler and sympy: a second, and 60 MB, at the first model opened.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM:
            return torch.empty(*args, **kwargs)
        if func is torch.normal and len(args) == 3:
            return torch.empty(args[2])
        if func in _IN_PLACE:
            return args[0] if args else kwargs["tensor"]
        if func in _SCALED and not isinstance(args[1], Tensor):
            return args[0]
        return func(*args, **kwargs)


_RANDOM = {torch.randn, torch.rand}
_IN_PLACE = {
    Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_, Tensor.clamp_, Tensor.mul_,
    nn.init.normal_, nn.init.uniform_, nn.init.zeros_, nn.init.ones_, nn.init.constant_,
    nn.init.kaiming_uniform_, nn.init.kaiming_normal_,
}  # fmt: skip
_SCALED = {Tensor.mul, Tensor.div, Tensor.true_divide, Tensor.add, Tensor.sub,
           Tensor.__mul__, Tensor.__rmul__, Tensor.__truediv__}  # fmt: skip


def read_config(read: Callable[[dict[str, Any]], C], config: dict[str, Any]) -> C:
    """The options of a model: what contradicts itself there is the file's fault.

    Args:
        read: makes a family's config of plain data; raises ``UserError``.
        config: the plain data.

    Raises:
        CheckpointError: with what ``read`` says.
    """
    try:
        return read(config)
    except CheckpointError:
        raise
    except UserError as error:
        raise CheckpointError(str(error)) from error


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
        make: makes the network; called on the meta device, so it must not hold
            buffers that its state dict leaves out, and should only make tensors, not compute
            with them (arithmetic there imports torch's compiler).
        tensors: state-dict name -> tensor.
        device: where the network will compute, in float32.
        defaults: tensors that files may leave out.

    Raises:
        CheckpointError: no network can be made, or tensors are missing, not part of it, of
            another shape, not floating point or not finite; the sentence names them.
    """
    # Shapes only: a file can ask for any size, and the tensors come from the file anyway.
    try:
        with torch.device("meta"), _ShapesOnly():
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
        if not _finite(tensor):
            raise CheckpointError(
                f"The {title} model is damaged: {name} holds values that are not finite numbers; "
                "download or copy it again."
            )
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _finite(tensor: Tensor) -> bool:
    """Whether no number is infinite or NaN. Such numbers survive a sum, which needs no memory;
    a sum of finite ones may overflow, so that only then each is looked at."""
    return bool(tensor.sum().isfinite()) or bool(torch.isfinite(tensor).all())


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
