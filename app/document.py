"""The document: what the person is making.

It is immutable. An edit is a pure function ``Document -> Document``; a
:class:`~app.history.History` keeps the named steps. Nothing here knows the window or torch.

:meth:`Document.to_json` and :meth:`Document.from_json` are the one place where a document
becomes a file's content and comes back. Who adds a field to :class:`Document` adds it there; a
file that was written before is brought up by :data:`_UPGRADES`, one version after the other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from numpy.typing import NDArray

from app.favourites import MAX_FAVOURITES, Favourite
from app.reference import Reference
from engine.camera import MAX_FOV, MAX_PITCH, MIN_FOV, OrbitPose
from engine.capabilities import Capabilities, ModelSetting, SettingValue, ViewMode
from engine.edits import edits_for, lifted, lowered
from engine.errors import UserError
from engine.faces import fades_for
from engine.identity import Latent, within_rows
from engine.recipe import ModelRef, Recipe
from engine.timeline import Timeline

MAX_SEED = 2**32 - 1
#: Version of :meth:`Document.to_json`'s form; raised with every change that an earlier Maquette
#: would misread.
DOCUMENT_VERSION = 4
#: Version -> what makes the next version's plain data of that version's.
_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda data: {**data, "favourites": [], "timeline": Timeline().to_json()},
    # The first files of version 2 had no timeline yet.
    2: lambda data: {"timeline": Timeline().to_json(), **data, "reference": None},
    # Version 4 has edits in faces, and the numbers of their directions among the arrays.
    3: lambda data: data,
}
Array = NDArray[Any]
#: The camera comes no closer than this, and goes no further away, times the model's radius.
RADIUS_RANGE = (0.2, 8.0)
Direction = Literal["front", "back", "left", "right", "top", "bottom"]

_DIRECTIONS: dict[str, tuple[float, float]] = {
    "front": (0.0, 0.0),
    "back": (180.0, 0.0),
    "left": (90.0, 0.0),
    "right": (-90.0, 0.0),
    "top": (0.0, MAX_PITCH),
    "bottom": (0.0, -MAX_PITCH),
}


@dataclass(frozen=True)
class Document:
    """What is being made.

    Attributes:
        recipe: model, identity, camera, view and export size: everything that the engine
            needs to draw it.
        home: the model's own framing of a head, to which the view returns.
        favourites: faces with names, in the order that the person gave them.
        timeline: the path of camera and face through time.
        reference: a state that was pinned to compare with, or ``None``; of any model.
    """

    recipe: Recipe = field(default_factory=Recipe)
    home: OrbitPose = field(default_factory=OrbitPose)
    favourites: tuple[Favourite, ...] = ()
    timeline: Timeline = field(default_factory=Timeline)
    reference: Reference | None = None

    def to_json(self, arrays: dict[str, Array]) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse, to the last bit.

        Args:
            arrays: takes numbers in bulk (latents), which stand in the data by the name that
                they have here: those of favourites that are given by numbers, and the directions
                of edits.
        """
        data = {
            "version": DOCUMENT_VERSION,
            "recipe": self.recipe.to_json(),
            "home": self.home.to_json(),
            "favourites": [
                favourite.to_json(arrays, f"favourite-{number}")
                for number, favourite in enumerate(self.favourites)
            ],
            "timeline": self.timeline.to_json(),
            "reference": None if self.reference is None else self.reference.to_json(),
        }
        plain: dict[str, Any] = lifted(data, arrays)
        return plain

    @classmethod
    def from_json(cls, data: Any, arrays: Mapping[str, Array]) -> Self:
        """Read what :meth:`to_json` gave, of this version or an earlier one, checked.

        Args:
            data: the plain data; nothing is taken for granted about it.
            arrays: the arrays that were kept beside it.

        Raises:
            UserError: no document, one of a newer version, or a value out of range.
        """
        version = data.get("version") if isinstance(data, dict) else None
        if not isinstance(version, int) or version < 1:
            raise UserError("There is no document in it.")
        if version > DOCUMENT_VERSION:
            raise UserError(
                "It was made by a newer version of Maquette; install that one to open it."
            )
        for older in range(version, DOCUMENT_VERSION):
            data = _UPGRADES[older](data)
        try:
            data = lowered(data, arrays)
            recipe, home = Recipe.from_json(data["recipe"]), OrbitPose.from_json(data["home"])
            favourites = tuple(Favourite.from_json(f, arrays) for f in data["favourites"])
            timeline, pinned = Timeline.from_json(data["timeline"]), data["reference"]
            reference = None if pinned is None else Reference.from_json(pinned)
            if len(favourites) > MAX_FAVOURITES:
                raise ValueError(f"more than {MAX_FAVOURITES} favourites")
        except (KeyError, OverflowError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"Its document is damaged ({type(error).__name__}: {error})."
            ) from error
        home.camera()
        return cls(recipe, home, favourites, timeline, reference)

    @property
    def model(self) -> ModelRef:
        """The generator."""
        return self.recipe.model

    @property
    def pose(self) -> OrbitPose:
        """The camera."""
        return self.recipe.pose


def set_model(document: Document, ref: ModelRef, capabilities: Capabilities) -> Document:
    """The document on a model that has just been opened.

    The camera goes to the model's own framing unless it is the same kind of framing already
    (equal ``default_pose``); values that this model lacks are brought into its range. Layers of a
    second model were lent to the model before, and do not stay.
    """
    recipe = document.recipe
    cutoff = recipe.cutoff
    if capabilities.why_not("cutoff") or (cutoff is not None and cutoff > capabilities.num_ws):
        cutoff = None
    home = capabilities.default_pose
    pose = recipe.pose if home == document.home else home
    view: ViewMode = "picture" if capabilities.why_not(recipe.view) else recipe.view
    latent = fitting_latent(recipe.latent, capabilities)
    recipe = replace(
        recipe, latent=latent, model=ref, cutoff=cutoff, pose=pose, view=view, neural_resolution=None,
        mixes=within_rows(recipe.mixes, capabilities.num_ws),
        fades=fades_for(recipe.fades, capabilities), swap=None,
        edits=edits_for(recipe.edits, capabilities),
    ).with_settings(capabilities.fitting_settings(dict(recipe.settings)))  # fmt: skip
    timeline = document.timeline.reframed(document.home, home).for_model(capabilities)
    return replace(document, recipe=recipe, home=home, timeline=timeline)


def fitting_latent(latent: Latent | None, capabilities: Capabilities) -> Latent | None:
    """``latent`` if a model can draw it, else ``None``: then the seed is shown."""
    facts = capabilities
    if latent is not None and latent.why_not(facts.num_ws, facts.w_dim, facts.z_dim):
        return None
    return latent


def set_setting(document: Document, setting: ModelSetting, value: SettingValue) -> Document:
    """Another value of one of the model's own settings.

    Raises:
        UserError: it is not one of its values.
    """
    values = dict(document.recipe.settings)
    values.pop(setting.name, None)
    checked = setting.checked(value)
    if checked != setting.default:
        values[setting.name] = checked
    return replace(document, recipe=document.recipe.with_settings(values).checked())


def reset_settings(document: Document) -> Document:
    """The model's own settings as they are by themselves."""
    return replace(document, recipe=document.recipe.with_settings({}))


# Identity -----------------------------------------------------------------------------------


def set_seed(document: Document, seed: int) -> Document:
    """Another identity; the seed is brought into 0 to 4294967295 by wrapping around. A blend
    begins with it and keeps its other faces. It takes the place of a latent."""
    seed, blend = int(seed) % (MAX_SEED + 1), document.recipe.blend
    blend = None if blend is None else blend.starting(seed)
    return _with(document, seed=seed, blend=blend, latent=None, fades=())


def set_latent(document: Document, latent: Latent, capabilities: Capabilities) -> Document:
    """A face that is given by its numbers, alone; who is mixed in stays.

    Raises:
        UserError: the model cannot draw it.
    """
    if why := latent.why_not(capabilities.num_ws, capabilities.w_dim, capabilities.z_dim):
        raise UserError(why)
    return _with(document, latent=latent, blend=None, fades=())


def next_seed(document: Document) -> Document:
    """The identity after this one (wraps around at the end)."""
    return set_seed(document, document.recipe.seed + 1)


def previous_seed(document: Document) -> Document:
    """The identity before this one (wraps around at 0)."""
    return set_seed(document, document.recipe.seed - 1)


def random_seed(document: Document, source: random.Random | None = None) -> Document:
    """An identity drawn at random, never the present one. Six digits at most, to be read
    aloud and typed again."""
    draw = source or random.Random()
    seed = document.recipe.seed
    while seed == document.recipe.seed:
        seed = draw.randrange(1_000_000)
    return set_seed(document, seed)


def set_psi(document: Document, psi: float) -> Document:
    """Truncation psi, clamped to -1 .. 2."""
    value, recipe = _clamped("Truncation psi", psi, -1.0, 2.0), document.recipe
    return replace(document, recipe=recipe.truncated(value, recipe.cutoff).checked())


def set_cutoff(document: Document, cutoff: int | None) -> Document:
    """Truncate only the first so many layers; ``None`` means all."""
    value, recipe = None if cutoff is None else max(0, int(cutoff)), document.recipe
    return replace(document, recipe=recipe.truncated(recipe.psi, value).checked())


# Camera -------------------------------------------------------------------------------------


def set_pose(document: Document, pose: OrbitPose) -> Document:
    """Another camera.

    Raises:
        UserError: no picture can be taken with it.
    """
    pose.camera()
    return _with(document, pose=pose)


def orbit(document: Document, yaw: float, pitch: float) -> Document:
    """Turn the camera around the head by so many degrees (pitch stops at +-89)."""
    return set_pose(document, document.pose.turned(yaw, pitch))


def pan(document: Document, right: float, down: float) -> Document:
    """Move the camera in its own plane, in units of the picture's height, as a map is
    dragged with the opposite sign: ``right=0.1`` shows what lies to the right."""
    return set_pose(document, document.pose.panned(right, down))


def zoom(document: Document, factor: float) -> Document:
    """Multiply the camera's distance by ``factor`` (below 1 comes closer), within
    :data:`RADIUS_RANGE` times the model's own."""
    return set_radius(document, document.pose.radius * factor)


def set_radius(document: Document, radius: float) -> Document:
    """The camera's distance in world units, within :data:`RADIUS_RANGE` times the model's."""
    low, high = (r * document.home.radius for r in RADIUS_RANGE)
    return set_pose(
        document, replace(document.pose, radius=_clamped("The radius", radius, low, high))
    )


def set_fov(document: Document, fov_y: float) -> Document:
    """The vertical angle of view in degrees, 1 to 120; the distance stays."""
    value = _clamped("The angle of view", fov_y, MIN_FOV, MAX_FOV)
    return set_pose(document, replace(document.pose, fov_y=value))


def set_roll(document: Document, roll: float) -> Document:
    """Turn the camera about its viewing direction, degrees within +-180."""
    return set_pose(document, replace(document.pose, roll=_clamped("The roll", roll, -180, 180)))


def look_from(document: Document, direction: Direction) -> Document:
    """Look at the middle of the head from one side, at the present distance and angle of
    view. ``"left"`` is the person's own left."""
    yaw, pitch = _DIRECTIONS[direction]
    pose = replace(
        document.pose,
        yaw=yaw,
        pitch=pitch,
        roll=0.0,
        center=document.home.center,
        look_at=document.home.look_at,
    )
    return set_pose(document, pose)


def reset_view(document: Document) -> Document:
    """Back to the model's own framing."""
    return set_pose(document, document.home)


# Picture ------------------------------------------------------------------------------------


def set_view(document: Document, view: ViewMode) -> Document:
    """Which picture of the rendering is shown: picture, raw, depth, normals, opacity."""
    return _with(document, view=view)


def _with(document: Document, **changes: object) -> Document:
    recipe: Recipe = replace(document.recipe, **changes)  # type: ignore[arg-type]
    return replace(document, recipe=recipe.checked())


def _clamped(name: str, value: float, low: float, high: float) -> float:
    if not math.isfinite(value):
        raise UserError(f"{name} must be a number from {low:g} to {high:g}.")
    return min(max(float(value), low), high)
