"""Edits of who is shown: favourites and variations, pure functions ``Document -> Document``.

Knows neither the toolkit nor torch.
"""

from __future__ import annotations

import random
from dataclasses import replace

from app.document import MAX_SEED, Document, fitting_latent
from app.favourites import MAX_FAVOURITES, MAX_NAME, Favourite, identity_of, title, with_identity
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.faces import Face, Identity, between
from engine.identity import MAX_PARTS, Blend
from engine.recipe import Recipe

# Favourites ---------------------------------------------------------------------------------


def pin(document: Document, name: str = "", who: Recipe | None = None) -> Document:
    """Keep a face at the end of the favourites; nothing changes where it is one already.

    Args:
        name: what to call it; empty for a name made from the face.
        who: the face; ``None`` for the one that is shown.

    Raises:
        UserError: there are :data:`~app.favourites.MAX_FAVOURITES` already, or the name cannot
            be one.
    """
    face = identity_of(who or document.recipe)
    if index_of(document, face) is not None:
        return document
    if len(document.favourites) >= MAX_FAVOURITES:
        raise UserError(f"At most {MAX_FAVOURITES} favourites can be kept; remove one first.")
    added = 1 + max((favourite.added for favourite in document.favourites), default=0)
    made = Favourite((name.strip() or title(face))[:MAX_NAME], face, added)
    return replace(document, favourites=(*document.favourites, made))


def index_of(document: Document, who: Recipe) -> int | None:
    """Which favourite a face is, if it is one."""
    face = identity_of(who)
    found = (i for i, favourite in enumerate(document.favourites) if favourite.who == face)
    return next(found, None)


def unpin(document: Document, index: int) -> Document:
    """Without one of the favourites."""
    kept = document.favourites
    return replace(document, favourites=(*kept[:index], *kept[index + 1 :]))


def rename(document: Document, index: int, name: str) -> Document:
    """A favourite under another name.

    Raises:
        UserError: it is empty or too long.
    """
    kept = list(document.favourites)
    kept[index] = replace(kept[index], name=name.strip())
    return replace(document, favourites=tuple(kept))


def move(document: Document, index: int, by: int) -> Document:
    """A favourite so many places further down (or up, below 0), within the list."""
    kept = list(document.favourites)
    place = min(max(index + by, 0), len(kept) - 1)
    kept.insert(place, kept.pop(index))
    return replace(document, favourites=tuple(kept))


def show(document: Document, who: Recipe, capabilities: Capabilities) -> Document:
    """Another face, whole: seed or latent, truncation, blend and mix. The camera stays, and so do
    edits, as when another seed is typed, unless the face brings its own; see :func:`worn`.

    Raises:
        UserError: it is given by the numbers of another kind of model.
    """
    facts = capabilities
    if who.latent is not None and fitting_latent(who.latent, facts) is None:
        raise UserError(who.latent.why_not(facts.num_ws, facts.w_dim, facts.z_dim))
    cutoff = who.cutoff
    if facts.why_not("cutoff") or (cutoff is not None and cutoff > facts.num_ws):
        cutoff = None
    face = who.with_identity(who.identity.for_model(facts))
    face = worn(replace(face, cutoff=cutoff), document)
    return replace(document, recipe=with_identity(document.recipe, face).checked())


def worn(who: Recipe, document: Document) -> Recipe:
    """A face as it is shown when it is chosen: with the edits that it was kept with, or else with
    those of the face before, since a stack is made to be tried on many faces."""
    return who if who.edits else replace(who, edits=document.recipe.edits)


# Variations ---------------------------------------------------------------------------------


def variation(recipe: Recipe, other: int, strength: float) -> Recipe:
    """A face near the one that a recipe shows.

    A seed walks along a great circle in z, which keeps the length that the mapping expects; a
    face given in w, or blended or faded there, goes straight in w.

    Args:
        other: the seed towards which it goes.
        strength: how far, 0 (the same face) to 1 (the other one).

    Raises:
        UserError: the face lies between too many others already.
    """
    share, blend = min(max(strength, 0.0), 1.0), recipe.blend
    if recipe.fades:
        towards = Identity(Face(other, recipe.psi, recipe.cutoff), edits=recipe.edits)
        return recipe.with_identity(between([(recipe.identity, 1.0 - share), (towards, share)]))
    if blend is None:
        in_w = recipe.latent is not None and recipe.latent.space == "w"
        made = Blend((recipe.seed, other), (1.0 - share, share), "w" if in_w else "z")
    else:
        if len(blend.seeds) >= MAX_PARTS:
            raise UserError(
                f"This face lies between {MAX_PARTS} others already; choose another one first."
            )
        # In z only proportions count; in w the weights are used as they are.
        total = sum(blend.weights) if blend.space == "z" else 1.0
        kept = tuple(weight / total * (1.0 - share) for weight in blend.weights)
        made = Blend((*blend.seeds, other), (*kept, share), blend.space)
    return replace(recipe, blend=made).checked()


def vary(document: Document, strength: float, source: random.Random | None = None) -> Document:
    """A face at random that is like the present one; see :func:`variation`."""
    other = (source or random.Random()).randrange(MAX_SEED + 1)
    return replace(document, recipe=variation(document.recipe, other, strength))
