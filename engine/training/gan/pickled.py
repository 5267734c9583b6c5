"""Networks as plain state dicts, where authors pickle whole modules (NVIDIA's lineage).

A pickled module carries its source, which is the authors'. Ours is a dictionary of the state
dict, which ``load_state_dict`` of the authors' class takes as it is, and of the attributes that
say how the class is to be made; :mod:`engine.checkpoints.modules` reads it. The same dictionary is
what :mod:`engine.training.gan.persistent` has their programs make the class from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from engine.checkpoints.modules import ATTRIBUTES, CLASS, PARTS, STATE

#: Entries for the authors' programs: where their class stands, and what it is made with.
MODULE, ARGUMENTS = "module", "arguments"
#: Attributes of single layers that no shape tells.
_OF_LAYERS = ("up", "conv_clamp", "bias_gain")


@dataclass(frozen=True)
class TheirClass:
    """An authors' class, and what a network that is saved is as an object of it.

    Attributes:
        name: of the class.
        module: of the authors', which it is imported from.
        arguments: of its constructor, by name; ``None`` where no arguments make it what the network is.
        attributes: of the whole.
        parts: attributes of modules by path, beside those of layers; ``"class"`` names a module's.
    """

    name: str
    module: str
    arguments: Mapping[str, Any] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def module_state(
    network: nn.Module, state: Mapping[str, Tensor], theirs: TheirClass
) -> dict[str, Any]:
    """A network to be saved.

    Args:
        network: whose layers' attributes are taken.
        state: its tensors under the authors' names; copied to the CPU.
    """
    parts: dict[str, dict[str, Any]] = {}
    for path, part in network.named_modules():
        found = {name: getattr(part, name) for name in _OF_LAYERS if hasattr(part, name)}
        if found:
            parts[path] = found
    for path, more in theirs.parts.items():
        parts[path] = {**parts.get(path, {}), **more}
    return {
        CLASS: theirs.name,
        STATE: {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()},
        ATTRIBUTES: dict(theirs.attributes),
        PARTS: parts,
        MODULE: theirs.module,
        ARGUMENTS: None if theirs.arguments is None else dict(theirs.arguments),
    }


def networks_of(
    generator: nn.Module,
    average: Mapping[str, Tensor],
    drawing: TheirClass,
    judge: nn.Module,
    judging: TheirClass,
) -> dict[str, Any]:
    """The networks of a training snapshot: the generator, averaged and as it is, and the discriminator.

    Args:
        average: state of the averaged generator.
        drawing, judging: what the two are in the authors' program.
    """
    return {
        "G_ema": module_state(generator, average, drawing),
        "G": module_state(generator, generator.state_dict(), drawing),
        "D": module_state(judge, judge.state_dict(), judging),
    }


def published_widths(widths: Mapping[int, int]) -> dict[str, int] | None:
    """``channel_base`` and ``channel_max`` of StyleGAN2's rule
    (:func:`~engine.training.gan.discriminator_blocks.block_widths`) that give these widths, side ->
    channels; ``None`` if none do."""
    base, limit = max(side * width for side, width in widths.items()), max(widths.values())
    fits = all(width == min(base // side, limit) for side, width in widths.items())
    return {"channel_base": base, "channel_max": limit} if fits else None
