"""Networks as plain state dicts, where authors pickle whole modules (NVIDIA's lineage).

A pickled module carries its source, which is the authors'. Ours is a dictionary of the state
dict, which ``load_state_dict`` of the authors' class takes as it is, and of the attributes that
say how the class is to be made; :mod:`engine.checkpoints.modules` reads it. The same dictionary is
what :mod:`engine.training.gan.persistent` has their programs make the class from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from engine.checkpoints.modules import ATTRIBUTES, CLASS, PARTS, STATE

#: Entries for the authors' programs: where their class stands, and what it is made with.
MODULE, ARGUMENTS = "module", "arguments"
#: Attributes of single layers that no shape tells.
_OF_LAYERS = ("up", "conv_clamp", "bias_gain")


def module_state(
    network: nn.Module,
    state: Mapping[str, Tensor],
    class_name: str,
    attributes: Mapping[str, Any] | None = None,
    modules: Mapping[str, Mapping[str, Any]] | None = None,
    module: str = "",
    arguments: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A network to be saved.

    Args:
        network: whose layers' attributes are taken.
        state: its tensors under the authors' names; copied to the CPU.
        class_name: of the authors' class.
        attributes: of the whole.
        modules: of modules by path, beside those of layers; ``"class"`` names a module's.
        module: of the authors', which the class is imported from.
        arguments: of the class's constructor, by name; ``None`` where no arguments make it what the
            network is.
    """
    parts: dict[str, dict[str, Any]] = {}
    for path, part in network.named_modules():
        found = {name: getattr(part, name) for name in _OF_LAYERS if hasattr(part, name)}
        if found:
            parts[path] = found
    for path, more in (modules or {}).items():
        parts[path] = {**parts.get(path, {}), **more}
    return {
        CLASS: class_name,
        STATE: {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()},
        ATTRIBUTES: dict(attributes or {}),
        PARTS: parts,
        MODULE: module,
        ARGUMENTS: None if arguments is None else dict(arguments),
    }


def published_widths(widths: Mapping[int, int]) -> dict[str, int] | None:
    """``channel_base`` and ``channel_max`` of StyleGAN2's rule
    (:func:`~engine.training.gan.discriminator_blocks.block_widths`) that give these widths, side ->
    channels; ``None`` if none do."""
    base, limit = max(side * width for side, width in widths.items()), max(widths.values())
    fits = all(width == min(base // side, limit) for side, width in widths.items())
    return {"channel_base": base, "channel_max": limit} if fits else None
