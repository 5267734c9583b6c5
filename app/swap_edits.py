"""Edits of the layers that a second model lends. Pure functions from a document to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.document import Document
from engine.errors import UserError
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef

#: Share of a second model in its layers at first.
FIRST_SHARE = 0.5


@dataclass(frozen=True)
class Choice:
    """A set of layers with a name.

    Attributes:
        title: for its button.
        about: for its tooltip.
        layers: which.
    """

    title: str
    about: str
    layers: tuple[str, ...]


def choices(layers: Sequence[str]) -> tuple[Choice, ...]:
    """Sets of layers worth a button, for a model with these."""
    third = -(-len(layers) // 3)
    return (
        Choice("All", "Every layer from the second model", tuple(layers)),
        Choice("Early", "The first third: what a face is like", tuple(layers[:third])),
        Choice("Late", "All but the first third: how a face is painted, such as a cartoon's lines",
               tuple(layers[third:])),
        Choice("None", "No layer: the open model alone", ()),
    )  # fmt: skip


def lend(
    document: Document, ref: ModelRef, layers: Sequence[str], fitting: Iterable[str]
) -> Document:
    """Take layers of another model. Those that were taken of one before are taken of this one,
    where it can lend them; at first it is the late ones, at half.

    Args:
        document: what is changed.
        ref: the second model.
        layers: every layer of the open model that can be exchanged, in order.
        fitting: those that this one can lend.
    """
    before, can = document.recipe.swap, set(fitting)
    share = FIRST_SHARE if before is None else before.gamma
    chosen = _late(layers) if before is None else before.layers
    kept = tuple(name for name in layers if name in chosen and name in can)
    return _with(document, LayerSwap(ref, kept, share))


def _late(layers: Sequence[str]) -> tuple[str, ...]:
    return next(choice.layers for choice in choices(layers) if choice.title == "Late")


def set_share(document: Document, share: float) -> Document:
    """How much of the second model its layers are, 0 to 1."""
    return _with(document, replace(_swap(document), gamma=min(max(share, 0.0), 1.0)))


def set_layers(document: Document, wanted: Iterable[str], layers: Sequence[str]) -> Document:
    """Take exactly these.

    Args:
        document: what is changed.
        wanted: the layers.
        layers: every layer that can be exchanged, in order.
    """
    these = set(wanted)
    return _with(document, replace(_swap(document), layers=tuple(n for n in layers if n in these)))


def toggle_layer(document: Document, name: str, layers: Sequence[str]) -> Document:
    """Take one layer more, or one less."""
    return set_layers(document, set(_swap(document).layers) ^ {name}, layers)


def clear(document: Document) -> Document:
    """The open model alone."""
    return _with(document, None)


def _swap(document: Document) -> LayerSwap:
    if document.recipe.swap is None:
        raise UserError("No second model is chosen; choose one first.")
    return document.recipe.swap


def _with(document: Document, swap: LayerSwap | None) -> Document:
    return replace(document, recipe=replace(document.recipe, swap=swap))
