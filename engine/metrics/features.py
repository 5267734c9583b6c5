"""The network whose features FID and KID compare. Numbers of different networks mean different
things, so that every score carries its network's name."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from engine.errors import UserError
from engine.hashing import file_sha256
from engine.training.bundled.kid import FeatureNetwork, bundled_features

#: Pictures that the network sees at once.
BATCH = 16


def feature_network(source: str = "", device: torch.device | str = "cpu") -> FeatureNetwork:
    """The bundled text encoder's image tower, or that of the user's own CLIP weights.

    Unit vectors are stretched to length sqrt(D), see :func:`kid.bundled_features`.

    Args:
        source: empty for the bundled one, else as :func:`engine.text.encoder.load` takes it.

    Raises:
        UserError: there are no such weights, or they cannot be read.
    """
    device = torch.device(device)
    if not source:
        bundled = bundled_features(device)
        if bundled is None:
            raise UserError(
                "The bundled text encoder, whose features are compared, is missing; install "
                "Maquette again or name CLIP weights with --features."
            )
        return bundled
    from engine.text.encoder import load
    from engine.text.spec import find_spec

    encoder = load(source, device)

    def stretched(pictures: Tensor) -> Tensor:
        vectors = encoder.encode_image(pictures.to(device))
        return vectors * math.sqrt(vectors.shape[1])

    name = f"the image tower of {encoder.name}"
    return FeatureNetwork(name, file_sha256(find_spec(source).weights), stretched)


@torch.inference_mode()
def features_of(network: FeatureNetwork, pictures: Iterable[Tensor]) -> Tensor:
    """``[N, D]`` float64 features on the CPU of pictures ``[3, H, W]`` in [0, 1], one at a time."""
    rows: list[Tensor] = []
    waiting: list[Tensor] = []
    for picture in pictures:
        waiting.append(picture)
        if len(waiting) == BATCH:
            rows.append(network.features(torch.stack(waiting)).double().cpu())
            waiting = []
    if waiting:
        rows.append(network.features(torch.stack(waiting)).double().cpu())
    return torch.cat(rows)
