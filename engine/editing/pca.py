"""The main ways in which a model's people differ: principal components of w.

Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls" (2020): a principal component
analysis of w of many samples. Strength 1 is one standard deviation along the component.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.editing.cache import Cache
from engine.editing.directions import Direction
from engine.editing.samples import ModelId, sampled_w
from engine.edits import Offset
from engine.errors import UserError
from engine.generators.base import NEVER, CancelToken, Generator

#: How many people are mapped, and the most components that are offered.
SAMPLES, MOST = 1000, 100
Doubles = NDArray[np.float64]


def flat_rows(w: NDArray[np.floating]) -> Doubles:
    """``[N, num_ws, w_dim]`` -> ``[N, D]``: one row for all where all rows are always equal, else
    all rows one after another."""
    same = bool((w == w[:, :1]).all())
    kept = w[:, 0] if same else w.reshape(len(w), -1)
    return kept.astype(np.float64)


def as_offset(flat: NDArray[np.floating], w_dim: int) -> Offset:
    """``[D]`` of :func:`flat_rows` -> what is added to w, whose rows have ``w_dim`` numbers."""
    return Offset.of(flat.reshape(-1, w_dim))


def principal(data: Doubles, count: int) -> tuple[Doubles, Doubles, float]:
    """The main components of ``[N, D]``.

    Returns:
        ``[count, D]`` unit vectors, the largest entry of each positive; ``[count]`` standard
        deviations along them, falling; and the whole variance. Fewer where there are no more.
    """
    centred = data - data.mean(0)
    number, length = centred.shape
    if length <= number:
        values, vectors = np.linalg.eigh(centred.T @ centred / number)
        vectors = vectors.T
    else:
        values, inner = np.linalg.eigh(centred @ centred.T / number)
        vectors = inner.T @ centred
    order = np.argsort(values)[::-1]
    whole = float(values.clip(0).sum())
    order = order[values[order] > 1e-12 * max(whole, 1e-30)][:count]
    vectors = vectors[order]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return upright(vectors), np.sqrt(values[order]), whole


def upright(vectors: Doubles) -> Doubles:
    """Rows with the sign that makes the largest entry of each positive, since a component has
    none of its own."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
    return vectors * np.where(largest < 0, -1.0, 1.0)


def check_count(count: int) -> None:
    """Raises :class:`~engine.errors.UserError` where it is no number of components."""
    if not 1 <= count <= MOST:
        raise UserError(f"The number of components must be 1 to {MOST}, not {count}.")


def pca_directions(
    generator: Generator,
    model: ModelId,
    count: int = 10,
    cache: Cache | None = None,
    cancel: CancelToken = NEVER,
) -> list[Direction]:
    """The first components, the one with the most variance first. The same on every call.

    Raises:
        UserError: ``count`` is not 1 to 100.
        Cancelled: ``cancel`` was set.
    """
    check_count(count)
    facts, cache = generator.capabilities, cache or Cache()
    key = cache.key(what="pca", samples=SAMPLES, most=MOST, **model.facts(generator))
    kept = cache.read(key, ("vectors", "spread", "whole"))
    if kept is None:
        data = flat_rows(sampled_w(generator, SAMPLES, cancel).numpy())
        vectors, spread, whole = principal(data, MOST)
        kept = {"vectors": vectors, "spread": spread, "whole": np.array([whole])}
        cache.write(key, kept)
    found = []
    for number, (vector, sigma) in enumerate(zip(kept["vectors"], kept["spread"], strict=True)):
        if number == count:
            break
        share = float(sigma**2 / kept["whole"][0])
        details = (("component", float(number + 1)), ("share of the variance", round(share, 6)))
        offset = as_offset(vector * sigma, facts.w_dim)
        name = f"Component {number + 1}"
        found.append(Direction(name, offset, "pca", facts.family, model.sha256, details))
    return found
