"""Layers that a second model lends to the one that draws, as part of a recipe.

What that means, layer by layer, is :mod:`engine.generators.blending`'s; who builds the joined model
is :mod:`engine.joining`. Needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from engine.errors import UserError
from engine.model_ref import ModelRef

#: Most layers that can be named, and longest name, in a file.
MAX_LAYERS, MAX_NAME = 256, 80


@dataclass(frozen=True)
class LayerSwap:
    """``(1 - gamma) * the model's own + gamma * the second model's`` in some layers.

    Attributes:
        model: the second model, of the first one's family and sizes.
        layers: names as :func:`engine.generators.blending.swappable_layers` gives them.
        gamma: share of the second model in these layers, 0 to 1.

    Raises:
        UserError: on making one whose numbers are out of range.
    """

    model: ModelRef
    layers: tuple[str, ...] = ()
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gamma) and 0.0 <= self.gamma <= 1.0):
            raise UserError(f"The share of the other model must be 0 to 1, not {self.gamma:g}.")
        if len(self.layers) > MAX_LAYERS or any(len(name) > MAX_NAME for name in self.layers):
            raise UserError("A layer swap names more layers than any model has.")

    @property
    def changes(self) -> bool:
        """Whether anything of the second model is seen."""
        return bool(self.layers) and self.gamma > 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return {**asdict(self), "layers": list(self.layers)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form. Raises ``KeyError``, ``TypeError`` or ``ValueError`` where
        it is damaged, and :class:`~engine.errors.UserError` where a number is out of range."""
        model = ModelRef(**{name: str(value) for name, value in data["model"].items()})
        if not isinstance(data["layers"], list):
            raise TypeError("the layers of a swap are not a list")
        return cls(model, tuple(map(str, data["layers"])), float(data["gamma"]))


def joined_sha256(model: ModelRef, swap: LayerSwap | None) -> str:
    """What a model is called with the layers that it borrows: its own hash without any, else one of
    both models, the layers and the share."""
    if swap is None or not swap.changes:
        return model.sha256
    facts = json.dumps([model.sha256, swap.model.sha256, swap.layers, swap.gamma])
    return hashlib.sha256(facts.encode()).hexdigest()
