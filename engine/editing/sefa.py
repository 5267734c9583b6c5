"""The ways in w to which a model's layers answer most: closed-form factorisation.

Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs" (SeFa, 2021): the
eigenvectors of ``A^T A`` with the largest eigenvalues, where A holds the weights by which layers
are modulated. No samples of pictures are needed. Strength 1 is one standard deviation of w along
the direction.

The paper goes equally far along each and so takes the largest eigenvalues first. Trained layers may
answer most to what hardly varies among a model's people (in both bundled generators the largest
eigenvalue's direction holds a fifth of a percent of the variance of w), where a standard deviation
shows nothing. So factors come in the order of what layers answer to one standard deviation: the
eigenvalue times the variance.

Which weights read w is found by watching one small drawing: every layer whose input is a row of w
is one of them, modulated convolutions and FiLM's frequencies and phases alike, so that no family
has to be known. Where no layer reads w because w itself is frequencies and phases (pi-GAN), the
mapping's last layer takes their place: what it makes largest.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.editing.cache import Cache
from engine.editing.directions import Direction
from engine.editing.pca import MOST, Doubles, check_count, upright
from engine.editing.samples import ModelId, sampled_w
from engine.edits import Offset
from engine.errors import UserError
from engine.generators.base import NEVER, CancelToken, Generator, Quality
from engine.generators.evaluation import gradients

#: People by whom the spread of w is measured.
SAMPLES = 256
_TINY = 4


def readers(generator: Generator) -> list[Doubles | None]:
    """For each row of w the weights ``[outputs, w_dim]`` of all layers that read it, as they are
    used, one below the other; ``None`` where none does."""
    facts, modules = generator.capabilities, dict(network_of(generator).named_modules())
    found: list[list[Doubles]] = [[] for _ in range(facts.num_ws)]
    for row, name in reading_layers(generator):
        module = modules[name]
        gain = float(getattr(module, "weight_gain", 1.0))
        weight = module.weight.detach().cpu().double().numpy() * gain  # type: ignore[union-attr, operator]
        wide = np.zeros((len(weight), facts.w_dim))
        wide[:, : weight.shape[1]] = weight
        found[row].append(wide)
    return [np.concatenate(each) if each else None for each in found]


def reading_layers(generator: Generator) -> list[tuple[int, str]]:
    """Rows of w, and the names of the network's layers that read them, as they come in one drawing.

    Raises:
        UserError: the network cannot be looked into.
    """
    facts = generator.capabilities
    # Rows that no two of are alike, about where w lies.
    draw = torch.Generator().manual_seed(0)
    noise = 0.05 * torch.randn(facts.num_ws, facts.w_dim, generator=draw)
    w = generator.mean_w().cpu() + noise
    found: dict[tuple[int, str], None] = {}

    def look(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not inputs or not isinstance(inputs[0], Tensor) or not isinstance(module.weight, Tensor):
            return
        given = inputs[0].detach().cpu().float()
        length = module.weight.shape[1]
        if given.shape[-1] != length or length > facts.w_dim:
            return
        if given.numel() // length > 2 * facts.num_ws:
            return
        for vector in given.reshape(-1, length):
            for row in range(facts.num_ws):
                if torch.allclose(w[row, :length], vector, rtol=0.0, atol=1e-6):
                    found[row, name] = None

    hooks = [
        module.register_forward_pre_hook(partial(look, name))
        for name, module in network_of(generator).named_modules()
        if isinstance(getattr(module, "weight", None), Tensor) and module.weight.ndim == 2  # type: ignore[union-attr]
    ]
    try:
        side = min(_TINY, facts.neural_resolution)
        # What is to be differentiated is made anew, however often it was drawn before.
        with gradients():
            drawn = w.to(generator.device, copy=True).requires_grad_()
            generator.render(drawn, facts.default_pose.camera(), Quality(side))
    finally:
        for hook in hooks:
            hook.remove()
    return list(found)


def network_of(generator: Generator) -> nn.Module:
    """A generator's network.

    Raises:
        UserError: it has none that can be looked into.
    """
    network = getattr(generator, "network", None)
    if not isinstance(network, nn.Module):
        raise UserError("This model's layers cannot be looked into, so there is no factorisation.")
    return network


def blocks_of(w: np.ndarray) -> list[list[int]]:
    """Rows of samples ``[N, num_ws, w_dim]`` that are always equal, and so come from one mapping,
    together."""
    blocks: list[list[int]] = []
    for row in range(w.shape[1]):
        for block in blocks:
            if np.array_equal(w[:, block[0]], w[:, row]):
                block.append(row)
                break
        else:
            blocks.append([row])
    return blocks


def factorised(weights: list[Doubles | None], w: np.ndarray, count: int) -> list[Doubles]:
    """Directions ``[num_ws, w_dim]`` of unit strength: eigenvectors, first those to one standard
    deviation of which layers answer most.

    Args:
        weights: of :func:`readers`.
        w: ``[N, num_ws, w_dim]`` samples, which tell the standard deviations.
    """
    rows, columns = w.shape[1:]
    ranked: list[tuple[float, Doubles]] = []
    for block in blocks_of(w):
        read = [weights[row] for row in block]
        present = [one for one in read if one is not None]
        if not present:
            continue
        stacked = np.concatenate(present)
        values, vectors = np.linalg.eigh(stacked.T @ stacked)
        vectors = upright(vectors.T[::-1])
        spread = (w[:, block[0]].astype(np.float64) @ vectors.T).std(0)
        # Columns that no layer reads are no direction.
        for value, vector, sigma in zip(values[::-1], vectors, spread, strict=True):
            if value <= 1e-12 * values[-1]:
                break
            offset = np.zeros((rows, columns))
            offset[block] = sigma * vector
            ranked.append((float(value) * float(sigma) ** 2 / len(stacked), offset))
    ranked.sort(key=lambda one: -one[0])
    return [offset for _, offset in ranked[:count]]


def last_layer(generator: Generator) -> list[Doubles]:
    """Directions in w by the last layer of the mapping, where w is what it gives: its left
    singular vectors times their singular values, the longest first.

    Raises:
        UserError: this family's mapping has no such layer.
    """
    network, facts = network_of(generator), generator.capabilities
    rows_of, size = getattr(network, "rows", None), facts.num_ws * facts.w_dim
    layers = [m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == size]
    if rows_of is None or not layers:
        raise UserError("No layer of this model reads w, so there is no factorisation.")
    weight = layers[-1].weight.detach().cpu().double()
    left, values, _ = torch.linalg.svd(weight, full_matrices=False)
    kept = values > 1e-12 * values[0]
    left, values = left[:, kept], values[kept]
    vectors = upright((left * values).T.numpy())
    return [rows_of(torch.from_numpy(vector)).numpy() for vector in vectors]


def sefa_directions(
    generator: Generator,
    model: ModelId,
    count: int = 10,
    cache: Cache | None = None,
    cancel: CancelToken = NEVER,
) -> list[Direction]:
    """The directions to which the model's layers answer most. The same on every call.

    Raises:
        UserError: ``count`` is not 1 to 100, or the model cannot be factorised.
        Cancelled: ``cancel`` was set.
    """
    check_count(count)
    facts, cache = generator.capabilities, cache or Cache()
    key = cache.key(what="sefa", version=2, samples=SAMPLES, most=MOST, **model.facts(generator))
    kept = cache.read(key, ("offsets",))
    if kept is None:
        weights = readers(generator)
        w = sampled_w(generator, SAMPLES, cancel).numpy()
        if any(each is not None for each in weights):
            offsets = factorised(weights, w, MOST)
        else:
            offsets = last_layer(generator)
            centred = (w - w.mean(0)).astype(np.float64)
            for place, offset in enumerate(offsets):
                unit = offset / np.linalg.norm(offset)
                offsets[place] = unit * (centred * unit).sum((1, 2)).std()
            offsets = sorted(offsets, key=lambda one: -float(np.linalg.norm(one)))[:MOST]
        kept = {"offsets": np.stack(offsets)}
        cache.write(key, kept)
    return [
        Direction(
            f"Factor {number + 1}",
            Offset.of(offset),
            "sefa",
            facts.family,
            model.sha256,
            (("factor", float(number + 1)),),
        )
        for number, offset in enumerate(kept["offsets"][:count])
    ]
