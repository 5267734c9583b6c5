"""Pinned identities: faces with names that a project keeps. Knows neither toolkit nor torch."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from numpy.typing import NDArray

from engine.errors import UserError
from engine.identity import Latent
from engine.recipe import Recipe

MAX_FAVOURITES = 500
MAX_NAME = 60
#: What of a recipe says how it is looked at, and not who it is.
_NOT_IDENTITY = frozenset(
    ("pose", "view", "size", "neural_resolution", "samples", "transparent", "model", "settings",
     "swap")
)  # fmt: skip
IDENTITY = tuple(f.name for f in fields(Recipe) if f.name not in _NOT_IDENTITY)


def identity_of(recipe: Recipe) -> Recipe:
    """Who a recipe shows: all else as it is by itself, so that equal faces are equal."""
    return with_identity(Recipe(), recipe)


def with_identity(recipe: Recipe, who: Recipe) -> Recipe:
    """``recipe`` with the face of another one."""
    return replace(recipe, **{name: getattr(who, name) for name in IDENTITY})


def title(recipe: Recipe) -> str:
    """What a face is called as long as nobody named it."""
    base = f"Seed {recipe.seed}" if recipe.latent is None else recipe.latent.name or "Latent"
    extra = [
        word
        for word, is_so in (
            ("blend", recipe.blend or recipe.fades),
            ("mix", recipe.mixes),
            ("edited", recipe.edits),
        )
        if is_so
    ]
    return f"{base} ({', '.join(extra)})" if extra else base


@dataclass(frozen=True)
class Favourite:
    """A face with a name.

    Attributes:
        name: for people, 1 to 60 printable letters.
        who: the face, as :func:`identity_of` gives it.
        added: grows with every face that is pinned: which came later.

    Raises:
        UserError: on making one whose name is empty or too long.
    """

    name: str
    who: Recipe
    added: int = 0

    def __post_init__(self) -> None:
        if not (self.name.strip() and len(self.name) <= MAX_NAME and self.name.isprintable()):
            raise UserError(f"The name of a favourite must be 1 to {MAX_NAME} ordinary letters.")

    def to_json(self, arrays: MutableMapping[str, NDArray[Any]], key: str) -> dict[str, Any]:
        """Plain data; the numbers of a latent go into ``arrays`` under ``key``."""
        plain = replace(self.who, latent=None).to_json()
        data: dict[str, Any] = {"name": self.name, "added": self.added, "recipe": plain}
        if (latent := self.who.latent) is not None:
            arrays[key] = latent.numbers
            data["latent"] = {"space": latent.space, "name": latent.name, "array": key}
        return data

    @classmethod
    def from_json(cls, data: Any, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Read :meth:`to_json`'s form. Raises ``KeyError``, ``TypeError`` or ``ValueError`` where
        it is damaged, and :class:`~engine.errors.UserError` where a value is out of range."""
        recipe, given = Recipe.from_json(data["recipe"]), data.get("latent")
        if given is not None:
            latent = Latent.of(arrays[given["array"]], given["space"], str(given["name"]))
            recipe = replace(recipe, latent=latent).checked()
        return cls(str(data["name"]), identity_of(recipe), int(data.get("added", 0)))
