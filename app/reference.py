"""The pinned reference of a document: the B that the present state, A, is compared with.

Knows neither toolkit nor torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from app.favourites import MAX_NAME, with_identity
from engine.errors import UserError
from engine.recipe import ModelRef, Recipe


@dataclass(frozen=True)
class Reference:
    """A state that was kept to compare with.

    Attributes:
        name: for people, 1 to 60 letters.
        recipe: model, face, settings and camera of that state.
        own_camera: whether it is seen by the camera that it was kept with; otherwise by the
            present one, so that turning the head turns both.

    Raises:
        UserError: on making one whose name is empty or too long.
    """

    name: str
    recipe: Recipe
    own_camera: bool = False

    def __post_init__(self) -> None:
        if not (self.name.strip() and len(self.name) <= MAX_NAME):
            raise UserError(f"The name of a reference must be 1 to {MAX_NAME} letters.")

    def beside(self, present: Recipe) -> Recipe:
        """What is drawn beside a present recipe: this face with these settings, looked at in
        the same way (view, size, quality) and, unless it has its own, by the same camera."""
        pose = self.recipe.pose if self.own_camera else present.pose
        return seen_like(self.recipe, replace(present, pose=pose))

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return {
            "name": self.name,
            "recipe": self.recipe.to_json(),
            "own_camera": self.own_camera,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form. Raises ``KeyError``, ``TypeError`` or ``ValueError`` where
        it is damaged, and :class:`~engine.errors.UserError` where a value is out of range."""
        return cls(str(data["name"]), Recipe.from_json(data["recipe"]), bool(data["own_camera"]))


def seen_like(who: Recipe, present: Recipe) -> Recipe:
    """The face and the settings of ``who``; model, camera, view and quality of ``present``."""
    return replace(with_identity(present, who), settings=who.settings)


def same_model(first: ModelRef, second: ModelRef) -> bool:
    """Whether two references name the same weights; by path where a hash is not known."""
    if first.sha256 and second.sha256:
        return first.sha256 == second.sha256
    return first.path == second.path
