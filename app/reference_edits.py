"""Edits of the pinned reference: pure functions ``Document -> Document``.

Knows neither the toolkit nor torch.
"""

from __future__ import annotations

from dataclasses import replace

from app.document import Document
from app.favourites import MAX_NAME, title
from app.reference import Reference, same_model, seen_like
from engine.errors import UserError
from engine.recipe import Recipe

NOTHING_PINNED = "No reference is pinned yet; pin one first."


def pin(document: Document, state: Recipe | None = None, name: str = "") -> Document:
    """Keep a state as the reference, in place of the one before; how the reference is looked at
    stays as it was chosen.

    Args:
        state: the state; ``None`` for the present one.
        name: what to call it; empty for a name made from the face.
    """
    recipe, before = state or document.recipe, document.reference
    made = Reference((name.strip() or title(recipe))[:MAX_NAME], recipe)
    return replace(document, reference=made if before is None else replace(
        made, own_camera=before.own_camera))  # fmt: skip


def pin_face(document: Document, who: Recipe, name: str = "") -> Document:
    """Keep a face as the reference, on the present model and with its present settings."""
    state = replace(seen_like(who, document.recipe), settings=document.recipe.settings)
    return pin(document, state, name)


def unpin(document: Document) -> Document:
    """Without a reference."""
    return replace(document, reference=None)


def keep_camera(document: Document, own: bool) -> Document:
    """Let the reference be seen by its own camera, or by the present one.

    Raises:
        UserError: nothing is pinned.
    """
    return replace(document, reference=replace(_pinned(document), own_camera=own))


def swap(document: Document) -> Document:
    """The reference becomes the present state, and the present state the reference. The camera
    stays, unless the reference has its own: then the cameras change places, too.

    Raises:
        UserError: nothing is pinned, or it belongs to another model.
    """
    pinned = _pinned(document)
    if why := why_apart(document):
        raise UserError(why)
    present = document.recipe
    other = replace(pinned, name=title(present)[:MAX_NAME], recipe=present)
    return replace(document, recipe=pinned.beside(present).checked(), reference=other)


def why_apart(document: Document) -> str:
    """Why the reference cannot be shown beside the present state; empty if it can, or if there
    is none."""
    pinned = document.reference
    if pinned is None or same_model(pinned.recipe.model, document.model):
        return ""
    model = pinned.recipe.model
    return (
        f"The reference was pinned on another model ({model.name or model.path}); open that one "
        "again to compare, or pin another reference."
    )


def _pinned(document: Document) -> Reference:
    if document.reference is None:
        raise UserError(NOTHING_PINNED)
    return document.reference
