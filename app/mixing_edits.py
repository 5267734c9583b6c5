"""Edits of who is mixed and blended: pure functions ``Document -> Document``.

The document's own face is A. Style mixing takes rows of the extended latent w from other faces,
B to I, one face a row; a blend lies between A and one other face. Knows neither the toolkit nor
torch.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.document import MAX_SEED, Document
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.identity import MAX_WEIGHT, Blend, BlendSpace, StyleSource, give_rows

#: Most faces that the window mixes in.
MAX_SOURCES = 8
LETTERS = "ABCDEFGHI"


def letter(index: int | None) -> str:
    """What the window calls a face: ``None`` is the document's own, A; source 0 is B."""
    return LETTERS[0] if index is None else LETTERS[index + 1]


def drawn_seed(taken: Iterable[int], source: random.Random | None = None) -> int:
    """A seed at random that is none of ``taken``. Six digits at most, to be read aloud."""
    draw, known = source or random.Random(), set(taken)
    while (seed := draw.randrange(1_000_000)) in known:
        pass
    return seed


# Sources ------------------------------------------------------------------------------------


def add_source(document: Document, seed: int, rows: Iterable[int] = ()) -> Document:
    """One more face to take layers from, at the end.

    Args:
        seed: wraps around like :func:`app.document.set_seed`.
        rows: what is taken from it at once, and from nobody else any more.

    Raises:
        UserError: there are :data:`MAX_SOURCES` already.
    """
    sources = document.recipe.mixes
    if len(sources) >= MAX_SOURCES:
        raise UserError(f"At most {MAX_SOURCES} faces can be mixed in; remove one first.")
    sources = (*sources, StyleSource(_wrapped(seed), ()))
    return _mixing(document, give_rows(sources, len(sources) - 1, rows))


def add_face(
    document: Document, capabilities: Capabilities, source: random.Random | None = None
) -> Document:
    """One more face at random, of which something is seen at once where that takes nothing from
    the other faces: the first one gives its look, a later one the first group of layers that is
    all A's. Without such a group it waits for layers.

    Raises:
        UserError: as :func:`add_source`.
    """
    sources = document.recipe.mixes
    seed = drawn_seed([document.recipe.seed, *(s.seed for s in sources)], source)
    taken = {row for other in sources for row in other.rows}
    groups = [capabilities.rows(name) for name in capabilities.layer_groups]
    free = next((rows for rows in groups if rows and taken.isdisjoint(rows)), ())
    return add_source(document, seed, free if sources else capabilities.look_rows)


def remove_source(document: Document, index: int) -> Document:
    """Without one of the faces; its rows are A's again."""
    sources = document.recipe.mixes
    return _mixing(document, (*sources[:index], *sources[index + 1 :]))


def clear(document: Document) -> Document:
    """Nobody is mixed in."""
    return _mixing(document, ())


def set_source_seed(document: Document, index: int, seed: int) -> Document:
    """Another face in the place of one; it keeps the rows and the weight."""
    return _changed(document, index, seed=_wrapped(seed))


def random_source_seed(
    document: Document, index: int, source: random.Random | None = None
) -> Document:
    """A face at random in the place of one, never one that is there."""
    taken = [document.recipe.seed, *(s.seed for s in document.recipe.mixes)]
    return set_source_seed(document, index, drawn_seed(taken, source))


def set_weight(document: Document, index: int, weight: float) -> Document:
    """How far the rows of one face go from A (0) to it (1)."""
    return _changed(document, index, weight=min(max(weight, -MAX_WEIGHT), MAX_WEIGHT))


# Rows ---------------------------------------------------------------------------------------


def paint(document: Document, index: int | None, rows: Iterable[int]) -> Document:
    """Take rows from a face and from nobody else; ``None`` gives them back to A."""
    return _mixing(document, give_rows(document.recipe.mixes, index, rows))


def erase(document: Document, index: int, rows: Iterable[int]) -> Document:
    """Give those of the rows that are taken from this face back to A."""
    held = set(rows) & set(document.recipe.mixes[index].rows)
    return paint(document, None, held)


def owner(sources: tuple[StyleSource, ...], row: int) -> int | None:
    """Which source a row is taken from; ``None`` is A. Where a recipe from elsewhere names
    several, the last one."""
    return next((i for i in reversed(range(len(sources))) if row in sources[i].rows), None)


# Presets ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preset:
    """A way to share all rows out.

    Attributes:
        title: for people, with the letter of the chosen face.
        rows: the rows that are taken from the chosen face, the others from A; ``None`` deals
            the rows out in turn to A and every face.
    """

    title: str
    rows: tuple[int, ...] | None


def presets(capabilities: Capabilities, index: int) -> tuple[Preset, ...]:
    """What is offered for one of the faces, by the groups that the model has."""
    groups, name = capabilities.layer_groups, letter(index)
    found = []
    if {"shape", "appearance"} <= groups.keys():
        found.append(Preset(f"Shape of A, look of {name}", capabilities.rows("appearance")))
        found.append(Preset(f"Shape of {name}, look of A", capabilities.rows("shape")))
    found += [
        Preset(f"{group.capitalize()} layers of {name}", capabilities.rows(group))
        for group in groups
        if group not in ("shape", "appearance")
    ]
    found.append(Preset(f"All layers of {name}", capabilities.rows("all")))
    found.append(Preset("Every face in turn", None))
    return tuple(found)


def apply_preset(
    document: Document, capabilities: Capabilities, preset: Preset, index: int
) -> Document:
    """Share the rows out as a preset says."""
    count = capabilities.num_ws
    document = paint(document, None, range(count))
    if preset.rows is not None:
        return paint(document, index, preset.rows)
    faces = len(document.recipe.mixes)
    for number in range(faces):
        document = paint(document, number, range(number + 1, count, faces + 1))
    return document


# Blend --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Partner:
    """The other end of a blend, as the window shows it.

    Attributes:
        seed: the other face.
        amount: 0 is A, 1 the other face.
        space: as in :class:`~engine.identity.Blend`.
        others: how many faces there are besides A; the window makes blends with one.
    """

    seed: int
    amount: float
    space: BlendSpace
    others: int


def partner(document: Document) -> Partner | None:
    """The other end of the document's blend, if it has one."""
    blend = document.recipe.blend
    if blend is None or len(blend.seeds) < 2:
        return None
    total = sum(blend.weights)
    share = blend.weights[-1] / total if total else blend.weights[-1]
    return Partner(blend.seeds[-1], share, blend.space, len(blend.seeds) - 1)


def set_blend(
    document: Document,
    seed: int | None = None,
    amount: float | None = None,
    space: BlendSpace | None = None,
) -> Document:
    """Blend A with another face; what is not given stays.

    Args:
        seed: the other face; wraps around.
        amount: 0 (A) to 1 (the other face); a half in a new blend.
        space: ``"w"`` (straight, the default) or ``"z"`` (along a great circle).

    Raises:
        UserError: a new blend without a seed.
    """
    before = partner(document)
    if before is None:
        if seed is None:
            raise UserError("Choose the other face of the blend first.")
        before = Partner(seed, 0.5, "w", 1)
    other = before.seed if seed is None else _wrapped(seed)
    share = min(max(before.amount if amount is None else amount, 0.0), 1.0)
    first = document.recipe.seed
    blend = Blend((first, other), (1.0 - share, share), space or before.space)
    return _with(document, blend=blend)


def new_blend(document: Document, source: random.Random | None = None) -> Document:
    """Half-way to a face at random."""
    return set_blend(document, seed=drawn_seed([document.recipe.seed], source))


def random_partner(document: Document, source: random.Random | None = None) -> Document:
    """Another face at random at the other end."""
    taken = [document.recipe.seed]
    if (before := partner(document)) is not None:
        taken.append(before.seed)
    return set_blend(document, seed=drawn_seed(taken, source))


def swap(document: Document) -> Document:
    """The other face becomes A and A the other; the amount stays. Nothing without a blend.

    Raises:
        UserError: A is a latent, which a blend takes only as its first face.
    """
    before = partner(document)
    if before is None:
        return document
    if document.recipe.latent is not None:
        raise UserError("A face that is given by its numbers has to stay the first of a blend.")
    changed = _with(document, seed=before.seed, blend=None)
    return set_blend(changed, document.recipe.seed, before.amount, before.space)


def clear_blend(document: Document) -> Document:
    """A alone."""
    return _with(document, blend=None)


def _changed(document: Document, index: int, **changes: int | float) -> Document:
    sources = list(document.recipe.mixes)
    sources[index] = replace(sources[index], **changes)  # type: ignore[arg-type]
    return _mixing(document, tuple(sources))


def _mixing(document: Document, sources: tuple[StyleSource, ...]) -> Document:
    return _with(document, mixes=sources)


def _with(document: Document, **changes: object) -> Document:
    recipe = replace(document.recipe, **changes)  # type: ignore[arg-type]
    return replace(document, recipe=recipe.checked())


def _wrapped(seed: int) -> int:
    return int(seed) % (MAX_SEED + 1)
