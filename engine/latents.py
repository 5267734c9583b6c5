"""Arithmetic on latents: great circles between z, blends, mixes and edits of w."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.edits import Edit
from engine.errors import UserError
from engine.identity import Blend, StyleSource


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Spherical interpolation (Shoemake 1985): ``[D]`` and ``[D]`` -> ``[D]``.

    The directions move along their great circle at an even pace, the lengths linearly. Between
    vectors of all but the same or opposite direction it is a straight line.
    """
    wide_a, wide_b = a.double(), b.double()
    lengths = wide_a.norm(), wide_b.norm()
    cosine = (wide_a @ wide_b / (lengths[0] * lengths[1]).clamp(min=1e-30)).clamp(-1.0, 1.0)
    angle = torch.acos(cosine)
    sine = torch.sin(angle)
    if float(sine) < 1e-6:
        return torch.lerp(wide_a, wide_b, t).to(a.dtype)
    direction = (
        torch.sin((1.0 - t) * angle) * wide_a / lengths[0]
        + torch.sin(t * angle) * wide_b / lengths[1]
    ) / sine
    result: Tensor = direction * torch.lerp(lengths[0], lengths[1], t)
    return result.to(a.dtype)


def blend_z(latents: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Walk along great circles from the first ``[D]`` latent to each next one, as far as its
    share of the weights so far (see :class:`~engine.identity.Blend`)."""
    z, total = latents[0], weights[0]
    for latent, weight in zip(latents[1:], weights[1:], strict=True):
        total += weight
        if weight:
            z = slerp(z, latent, weight / total)
    return z


def blended(
    blend: Blend,
    latent_of: Callable[[int], Tensor],
    w_of_seed: Callable[[int], Tensor],
    map_z: Callable[[Tensor], Tensor],
    own: Tensor | None = None,
) -> Tensor:
    """``[num_ws, w_dim]`` of a blend.

    Args:
        latent_of: seed -> ``[z_dim]``.
        w_of_seed: seed -> ``[num_ws, w_dim]``.
        map_z: ``[z_dim]`` -> ``[num_ws, w_dim]``.
        own: the first face in the space of the blend, in place of its seed's.
    """
    look = latent_of if blend.space == "z" else w_of_seed
    first = own if own is not None else look(blend.seeds[0])
    faces = [first, *(look(seed) for seed in blend.seeds[1:])]
    if blend.space == "z":
        return map_z(blend_z(faces, blend.weights))
    terms = [face * weight for face, weight in zip(faces, blend.weights, strict=True)]
    return torch.stack(terms).sum(dim=0)


def mixed(w: Tensor, sources: Sequence[StyleSource], w_of_seed: Callable[[int], Tensor]) -> Tensor:
    """``w`` ``[num_ws, w_dim]`` with rows moved towards other faces, one source after another.

    Raises:
        UserError: a source names a row that this model does not have.
    """
    taken = [source for source in sources if source.rows]
    if not taken:
        return w
    result = w.clone()
    for source in taken:
        if source.rows[-1] >= w.shape[0]:
            raise UserError(
                f"This model has the layers 0 to {w.shape[0] - 1}, so layer {source.rows[-1]} of "
                f"seed {source.seed} cannot be mixed in."
            )
        rows = list(source.rows)
        result[rows] = torch.lerp(result[rows], w_of_seed(source.seed)[rows], source.weight)
    return result


def edited(w: Tensor, edits: Sequence[Edit]) -> Tensor:
    """``w`` ``[num_ws, w_dim]`` with what edits add to it, in their order.

    Raises:
        UserError: an edit is made for a w of another size, or names a row that there is none of.
    """
    acting = [edit for edit in edits if edit.effect and edit.rows != ()]
    if not acting:
        return w
    rows, columns = w.shape
    result = w.clone()
    for edit in acting:
        if why := edit.offset.why_not(rows, columns):
            raise UserError(f"The edit {edit.name!r} cannot be made: {why}.")
        if edit.rows is not None and edit.rows[-1] >= rows:
            raise UserError(
                f"This model has the layers 0 to {rows - 1}, so the edit {edit.name!r} cannot "
                f"touch layer {edit.rows[-1]}."
            )
        offset = torch.from_numpy(edit.offset.numbers.astype("float32")).to(w)
        step = (offset * edit.effect).expand(rows, -1)
        touched = slice(None) if edit.rows is None else list(edit.rows)
        result[touched] += step[touched]
    return result
