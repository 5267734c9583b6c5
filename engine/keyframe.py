"""Keys of a timeline: a moment with its camera and its face, and the pace from it to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from engine.camera import OrbitPose
from engine.edits import MAX_STACK, Edit, Offset
from engine.errors import UserError
from engine.faces import Face, Fade, Identity
from engine.recipe import Recipe

Easing = Literal["linear", "ease-in", "ease-out", "ease", "hold"]
#: Name -> what it does between a key and the next, for people.
EASINGS: dict[str, str] = {
    "linear": "an even pace to the next key",
    "ease-in": "starts slowly",
    "ease-out": "arrives slowly",
    "ease": "starts and arrives slowly",
    "hold": "stays at this key, then jumps to the next",
}
#: Most faces that one key may lie between; four keys are summed.
MAX_KEY_FACES = 16
MAX_SECONDS = 3600.0


def eased(easing: Easing, share: float) -> float:
    """How far the way has gone after a share of the time, both in [0, 1]."""
    match easing:
        case "linear":
            return share
        case "ease-in":
            return share * share
        case "ease-out":
            return share * (2.0 - share)
        case "ease":
            return share * share * (3.0 - 2.0 * share)
        case "hold":
            return 0.0 if share < 1.0 else 1.0


@dataclass(frozen=True)
class Keyframe:
    """A moment that the path passes through.

    Attributes:
        time: seconds from the start, 0 or more.
        pose: the camera.
        identity: the face.
        easing: a key of :data:`EASINGS`: the pace from this key to the next.

    Raises:
        UserError: on making one with a value out of range.
    """

    time: float
    pose: OrbitPose
    identity: Identity
    easing: Easing = "linear"

    def __post_init__(self) -> None:
        if not 0.0 <= self.time <= MAX_SECONDS:
            raise UserError(f"A key's time must be 0 to {MAX_SECONDS:g} s, not {self.time:g}.")
        if self.easing not in EASINGS:
            raise UserError(f"Unknown easing {self.easing!r}; use one of {', '.join(EASINGS)}.")
        if len(self.identity.fades) >= MAX_KEY_FACES:
            raise UserError(
                f"A key can lie between {MAX_KEY_FACES} faces at most; make its face one of "
                "its own first."
            )
        if len(self.identity.edits) > MAX_STACK:
            raise UserError(
                f"A key's face can have {MAX_STACK} edits at most; remove some of them."
            )
        self.pose.camera()

    @classmethod
    def of(cls, recipe: Recipe, time: float, easing: Easing = "linear") -> Self:
        """The key that holds what a recipe shows."""
        return cls(time, recipe.pose, recipe.identity, easing)

    def to_json(self, places: Mapping[Face, int], offsets: Mapping[Offset, int]) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse.

        Args:
            places: every face -> its number in a list that is kept beside.
            offsets: the same of what edits add.
        """
        data: dict[str, Any] = {
            "time": self.time,
            "easing": self.easing,
            "pose": self.pose.to_json(),
            "face": places[self.identity.face],
        }
        if self.identity.fades:
            data["fades"] = [[places[f.face], f.weight] for f in self.identity.fades]
        if self.identity.edits:
            data["edits"] = [edit.to_json(offsets) for edit in self.identity.edits]
        return data

    @classmethod
    def from_json(cls, data: Any, faces: Sequence[Face], offsets: tuple[Offset, ...] = ()) -> Self:
        """Read :meth:`to_json`'s form. Raises ``KeyError``, ``TypeError``, ``ValueError`` or
        ``IndexError`` where it is damaged, and :class:`~engine.errors.UserError` where a number
        is out of range."""
        fades = tuple(Fade(faces[place], float(w)) for place, w in data.get("fades", ()))
        edits = tuple(Edit.from_json(item, offsets) for item in data.get("edits", ()))
        return cls(
            float(data["time"]),
            OrbitPose.from_json(data["pose"]),
            Identity(faces[data["face"]], fades, edits),
            data["easing"],
        )
