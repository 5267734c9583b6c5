"""The document: what the person is making, and the history of how it came to be.

Everything is immutable. An edit is a pure function ``Document -> Document``; a
:class:`History` keeps the named steps. Nothing here knows the window or torch.

    history = History(Document())
    history = history.edit("Seed", set_seed(history.document, 7))
    history = history.edit("Orbit", orbit(history.document, 5, 0), gesture="orbit")
    history = history.edit("Orbit", orbit(history.document, 5, 0), gesture="orbit")
    history = history.end_gesture()      # the mouse button went up: one step, not two
    history = history.undo()
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.camera import MAX_FOV, MAX_PITCH, MIN_FOV, OrbitPose
from engine.capabilities import Capabilities, ModelSetting, SettingValue, ViewMode
from engine.errors import UserError
from engine.recipe import ModelRef, Recipe

MAX_SEED = 2**32 - 1
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
    """

    recipe: Recipe = field(default_factory=Recipe)
    home: OrbitPose = field(default_factory=OrbitPose)

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
    (equal ``default_pose``); values that this model lacks are brought into its range.
    """
    recipe = document.recipe
    cutoff = recipe.cutoff
    if cutoff is not None and cutoff > capabilities.num_ws:
        cutoff = None
    home = capabilities.default_pose
    pose = recipe.pose if home == document.home else home
    view: ViewMode = recipe.view if recipe.view in capabilities.view_modes else "picture"
    recipe = replace(
        recipe, model=ref, cutoff=cutoff, pose=pose, view=view, neural_resolution=None
    ).with_settings(_kept_settings(dict(recipe.settings), capabilities))
    return Document(recipe, home)


def _kept_settings(
    values: dict[str, SettingValue], capabilities: Capabilities
) -> dict[str, SettingValue]:
    """The settings that the model has and whose values it takes, if not their defaults."""
    kept: dict[str, SettingValue] = {}
    for setting in capabilities.settings:
        try:
            value = setting.checked(values.get(setting.name, setting.default))
        except UserError:
            continue
        if value != setting.default:
            kept[setting.name] = value
    return kept


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


# Identity -----------------------------------------------------------------------------------


def set_seed(document: Document, seed: int) -> Document:
    """Another identity; the seed is brought into 0 to 4294967295 by wrapping around."""
    return _with(document, seed=int(seed) % (MAX_SEED + 1))


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
    return _with(document, psi=_clamped("Truncation psi", psi, -1.0, 2.0))


def set_cutoff(document: Document, cutoff: int | None) -> Document:
    """Truncate only the first so many layers; ``None`` means all."""
    return _with(document, cutoff=None if cutoff is None else max(0, int(cutoff)))


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


# History ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One entry of the history: what the edit was called and the document beyond it (the
    state before the edit in ``past``, the state after it in ``future``)."""

    name: str
    document: Document


@dataclass(frozen=True)
class History:
    """A document with its undo and redo steps.

    Attributes:
        document: the present state.
        past: steps that can be undone, the latest last.
        future: steps that can be redone, the next one last.
        gesture: key of the drag under way whose edits join one step, or ``None``.
        limit: how many steps are kept.
    """

    document: Document = field(default_factory=Document)
    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()
    gesture: str | None = None
    limit: int = 500

    def edit(self, name: str, document: Document, gesture: str | None = None) -> History:
        """The history after an edit.

        Args:
            name: what the step is called in the menu ("Undo orbit").
            document: the new state. If nothing changed, no step is made.
            gesture: edits in a row with the same key join one step until
                :meth:`end_gesture` (a drag of the mouse or of a slider). An edit without
                a key, or with another one, starts a step of its own.
        """
        joins = gesture is not None and gesture == self.gesture and bool(self.past)
        if joins:
            return replace(self, document=document, future=())
        if document == self.document:
            return replace(self, gesture=None)
        past = (*self.past, Step(name, self.document))[-self.limit :]
        return replace(self, document=document, past=past, future=(), gesture=gesture)

    def end_gesture(self) -> History:
        """The drag is over: the next edit is a step of its own. A drag that came back to
        where it began leaves no step."""
        if self.gesture is None:
            return self
        if self.past and self.past[-1].document == self.document:
            return replace(self, past=self.past[:-1], gesture=None)
        return replace(self, gesture=None)

    def amend(self, document: Document) -> History:
        """Another present state without a step, for what is no edit by the person (the
        hash of the model that has just become known, for instance)."""
        return replace(self, document=document)

    def undo(self) -> History:
        """One step back; the same history if there is none."""
        ended = self.end_gesture()
        if not ended.past:
            return ended
        step = ended.past[-1]
        return replace(
            ended,
            document=step.document,
            past=ended.past[:-1],
            future=(*ended.future, Step(step.name, ended.document)),
        )

    def redo(self) -> History:
        """One step forward again; the same history if there is none."""
        ended = self.end_gesture()
        if not ended.future:
            return ended
        step = ended.future[-1]
        return replace(
            ended,
            document=step.document,
            past=(*ended.past, Step(step.name, ended.document)),
            future=ended.future[:-1],
        )

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self.past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self.future)

    @property
    def undo_name(self) -> str | None:
        """Name of the step that undo would take back."""
        return self.past[-1].name if self.past else None

    @property
    def redo_name(self) -> str | None:
        """Name of the step that redo would bring back."""
        return self.future[-1].name if self.future else None
