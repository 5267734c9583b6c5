"""Blending the layers of two models: a face of one in the looks of the other.

Two models of which one was trained on from the other (photos, then cartoons) still agree on what
their layers mean, so that a layer of one works in the other. Pinkney and Adler, "Resolution
Dependent GAN Interpolation for Controllable Image Synthesis Between Domains" (2020); the cartoon
pictures of CIPS-3D (2021) swap layers of its per-pixel network and keep the NeRF,
hence the face's shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor

from engine.checkpoints.plain import LazyTensor, ModelSource
from engine.errors import UserError
from engine.generators.loading import first_few
from engine.generators.registry import families

#: In place of names: every layer that can be blended.
EVERY_LAYER = "all"


def swappable_layers(source: ModelSource) -> dict[str, tuple[str, ...]]:
    """Layers of a model that can be taken from another of its family.

    Returns:
        layer -> beginnings of its tensors' names, in the network's order; empty for a family whose
        models cannot be blended.
    """
    family = families()[source.family]
    return {} if family.swappable is None else dict(family.swappable(source.config))


def blend_sources(
    source: ModelSource, target: ModelSource, layers: Iterable[str], gamma: float
) -> ModelSource:
    """A model between two: ``(1 - gamma) * source + gamma * target`` in some layers, and
    ``source`` in all else (mapping, field, options).

    Nothing is read yet: each tensor is blended when it is asked for.

    Args:
        source: the model that is changed.
        target: a model of the same family whose layers have the same shapes.
        layers: names from :func:`swappable_layers`, or :data:`EVERY_LAYER`.
        gamma: 0 leaves the layers as they are, 1 replaces them.

    Raises:
        UserError: the models or layers do not fit together, or ``gamma`` is not in [0, 1].
    """
    if not (math.isfinite(gamma) and 0.0 <= gamma <= 1.0):
        raise UserError(f"The share of the other model must be 0 to 1, not {gamma:g}.")
    if source.family != target.family:
        raise UserError(
            f"{source.name} is a model of the family {source.family!r} and {target.name} of "
            f"{target.family!r}; only models of one family can be blended."
        )
    known = swappable_layers(source)
    if not known:
        raise UserError(f"Models of the family {source.family!r} have no layers to blend.")
    names = list(dict.fromkeys(layers))
    if EVERY_LAYER in names:
        names = list(known)
    if unknown := [name for name in names if name not in known]:
        raise UserError(
            f"This model has no layer {unknown[0]!r} to blend; it has {', '.join(known)}, or "
            f"{EVERY_LAYER!r} of them."
        )
    if not names:
        raise UserError(f"Name the layers to blend: {', '.join(known)}, or {EVERY_LAYER!r}.")
    names.sort(key=list(known).index)
    starts = tuple(start for name in names for start in known[name])
    _check_alike(source, target, starts)
    tensors = {
        name: _between(tensor, target.tensors[name], gamma) if name.startswith(starts) else tensor
        for name, tensor in source.tensors.items()
    }
    said = f"Blended: its layers {', '.join(names)} are {gamma:g} those of {target.name}."
    return replace(
        source,
        name=f"{source.name} with {target.name}",
        tensors=tensors,
        assumptions=(*source.assumptions, said),
    )


def _check_alike(source: ModelSource, target: ModelSource, starts: tuple[str, ...]) -> None:
    """Every tensor to be blended stands in both models, in one shape, and is of real numbers."""

    def chosen(tensors: Mapping[str, LazyTensor]) -> dict[str, LazyTensor]:
        return {name: tensor for name, tensor in tensors.items() if name.startswith(starts)}

    ours, theirs = chosen(source.tensors), chosen(target.tensors)
    odd = [
        name
        for name in {**ours, **theirs}
        if name not in ours or name not in theirs or ours[name].shape != theirs[name].shape
    ]
    if odd:
        raise UserError(
            f"{source.name} and {target.name} are not built alike: they differ in {first_few(odd)}; "
            "blend models of the same size."
        )
    if not ours:
        raise UserError(f"{source.name} holds none of these layers; it is not a whole model.")
    if wrong := [n for n in ours if not ours[n].dtype.is_floating_point
                 or not theirs[n].dtype.is_floating_point]:  # fmt: skip
        raise UserError(f"The layers cannot be blended: {first_few(wrong)} are not real numbers.")


def _between(one: LazyTensor, other: LazyTensor, gamma: float) -> LazyTensor:
    def load() -> Tensor:
        # Both ends are exact: 0 * b adds nothing to 1 * a.
        blended = one.load().float() * (1.0 - gamma) + other.load().float() * gamma
        return blended.to(one.dtype)

    return LazyTensor(one.shape, one.dtype, load, one.device_tag)
