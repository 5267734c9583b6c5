"""A model's own people, by which directions are found: their w, and how an encoder sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.editing.cache import Cache
from engine.generators.base import NEVER, CancelToken, Generator, Quality, latent_from_seed
from engine.layer_swap import joined_sha256
from engine.recipe import Recipe
from engine.text.encoder import TextImageEncoder

#: How many people are drawn, and what seed begins them: none that anybody is likely to look at.
COUNT, FIRST_SEED = 400, 3_000_000_000
#: Most pixels along a side of the volume rendering that is shown to an encoder.
SIDE = 128
Floats = NDArray[np.float32]
#: Called with (done, total).
Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class ModelId:
    """What a model is called in caches.

    Attributes:
        sha256: its hash, and what else its pictures follow from (a second model's layers).
    """

    sha256: str

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """Of a recipe's model, with what a second model lends it."""
        return cls(joined_sha256(recipe.model, recipe.swap))

    def facts(self, generator: Generator) -> dict[str, Any]:
        """What of a model its samples follow from."""
        return {"model": self.sha256, "settings": dict(generator.settings)}


def sampled_w(generator: Generator, count: int = COUNT, cancel: CancelToken = NEVER) -> Tensor:
    """``[count, num_ws, w_dim]`` of people as the mapping gives them (psi 1), always the same.

    Raises:
        Cancelled: ``cancel`` was set.
    """
    rows = []
    for number in range(count):
        cancel.check()
        z = latent_from_seed(FIRST_SEED + number, generator.capabilities.z_dim)
        rows.append(generator.map(z).cpu())
    return torch.stack(rows).clone()


def draw_small(
    generator: Generator, w: Tensor, yaw: float = 0.0, cancel: CancelToken = NEVER
) -> Tensor:
    """``[3, S, S]`` in [0, 1]: a small picture of a person, turned by some degrees."""
    facts = generator.capabilities
    side = min(SIDE, facts.neural_resolution)
    # Where the volume itself is fine enough, what enlarges it is left out.
    upsample = side < SIDE or bool(facts.why_not("raw"))
    camera = facts.default_pose.turned(yaw, 0.0).camera()
    frame = generator.render(w, camera, Quality(side, upsample=upsample), cancel)
    return (frame.rgb if upsample else frame.raw).permute(2, 0, 1)


@dataclass(frozen=True)
class SeenSamples:
    """People with the encoder's vectors of their pictures.

    Attributes:
        w: ``[N, num_ws, w_dim]``.
        seen: ``[N, D]`` unit vectors.
    """

    w: Tensor
    seen: Tensor


def seen_samples(
    generator: Generator,
    model: ModelId,
    encoder: TextImageEncoder,
    encoder_id: str,
    cache: Cache | None = None,
    count: int | None = None,
    progress: Progress = silent,
    cancel: CancelToken = NEVER,
) -> SeenSamples:
    """People and how the encoder sees them: drawn once for a model and an encoder, then kept.

    Args:
        encoder_id: what tells this encoder from others.
        progress: called with how many are done, of how many.

    Raises:
        Cancelled: ``cancel`` was set; nothing is kept then.
    """
    cache, count = cache or Cache(), count or COUNT
    key = cache.key(
        what="seen", count=count, side=SIDE, encoder=encoder_id, **model.facts(generator)
    )
    w = sampled_w(generator, count, cancel)
    kept = cache.read(key, ("seen",))
    if kept is not None and kept["seen"].ndim == 2 and len(kept["seen"]) == count:
        return SeenSamples(w, torch.from_numpy(kept["seen"].astype(np.float32)))
    vectors = []
    for number, rows in enumerate(w):
        progress(number, count)
        picture = draw_small(generator, rows, cancel=cancel)
        with torch.inference_mode():
            vectors.append(encoder.encode_image(picture[None].to(encoder.device))[0].cpu())
    progress(count, count)
    seen = torch.stack(vectors).clone()
    cache.write(key, {"seen": seen.numpy()})
    return SeenSamples(w, seen)
