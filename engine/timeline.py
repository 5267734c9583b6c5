"""A path through time: keys that hold a camera and a face, and what lies between them.

The camera runs on a cardinal spline through the keys (Catmull-Rom for a tension of 0, straight
lines that rest at the keys for 1), in the terms of an orbit: angles the shorter way round, the
distance by its logarithm. The face runs on the same spline in w, except that it rests between
two keys of the same face. Every key is met exactly.

Needs no torch, so that the window can show and play a path.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from engine.camera import MAX_FOV, MAX_PITCH, MIN_FOV, OrbitPose, Vec3
from engine.capabilities import Capabilities
from engine.edits import Offset
from engine.errors import UserError
from engine.export.files import atomic_path
from engine.faces import Face, Identity, between
from engine.keyframe import MAX_SECONDS, Keyframe, eased
from engine.recipe import Recipe
from engine.trajectories import MAX_FRAMES

TIMELINE_FORMAT = "maquette-timeline/1"
MAX_KEYS = 1000
MIN_SECONDS = 0.1
MIN_FPS, MAX_FPS = 1.0, 120.0
MAX_FILE = 16 << 20
#: Most bytes of faces that are given by their numbers, and of what edits add; as text they take
#: a third more.
MAX_LATENTS = 8 << 20


@dataclass(frozen=True)
class Timeline:
    """Keys in time, and how the way between them is gone.

    Attributes:
        keys: at different times within the duration; they are sorted on making one.
        duration: seconds. In a loop the first key comes again so long after itself, so
            that all keys lie before the end.
        fps: frames a second of the video.
        loop: the last key leads back to the first.
        tension: 0 (a Catmull-Rom spline) to 1 (straight from key to key, resting at each).
        framing: of a path outside its document: the default pose of the model that the keys
            were set with, which tells what their distances mean; see :meth:`fitted`.

    Raises:
        UserError: on making one with a value out of range.
    """

    keys: tuple[Keyframe, ...] = ()
    duration: float = 5.0
    fps: float = 25.0
    loop: bool = False
    tension: float = 0.0
    framing: OrbitPose | None = None
    _times: tuple[float, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        if not MIN_SECONDS <= self.duration <= MAX_SECONDS:
            raise UserError(
                f"A timeline lasts {MIN_SECONDS:g} to {MAX_SECONDS:g} s, not {self.duration:g}."
            )
        if not MIN_FPS <= self.fps <= MAX_FPS:
            raise UserError(
                f"A timeline's frame rate must be {MIN_FPS:g} to {MAX_FPS:g}, not {self.fps:g}."
            )
        if self.frame_count > MAX_FRAMES:
            raise UserError(
                f"{self.duration:g} s at {self.fps:g} frames a second are {self.frame_count} "
                f"frames, more than {MAX_FRAMES}; change the length or the rate."
            )
        if not 0.0 <= self.tension <= 1.0:
            raise UserError(f"The tension must be 0 to 1, not {self.tension:g}.")
        if self.framing is not None:
            self.framing.camera()
        if len(self.keys) > MAX_KEYS:
            raise UserError(f"A timeline holds at most {MAX_KEYS} keys, not {len(self.keys)}.")
        keys = tuple(sorted(self.keys, key=lambda key: key.time))
        times = tuple(key.time for key in keys)
        for first, second in pairwise(times):
            if first == second:
                raise UserError(f"Two keys stand at the same time, {first:g} s.")
        if keys and times[-1] > self.duration:
            raise UserError(
                f"The key at {times[-1]:g} s lies beyond the timeline's {self.duration:g} s."
            )
        if self.loop and keys and times[-1] == self.duration:
            raise UserError(
                f"In a loop the keys lie before the end; none can stand at {self.duration:g} s."
            )
        latents = {face.latent for face in self.faces if face.latent is not None}
        kept = (*(latent.data for latent in latents), *(offset.data for offset in self.offsets))
        if sum(map(len, kept)) > MAX_LATENTS:
            raise UserError(
                "The keys hold too many faces that have no seed, or too many different edits; "
                "remove some of them."
            )
        object.__setattr__(self, "keys", keys)
        object.__setattr__(self, "_times", times)

    @property
    def faces(self) -> tuple[Face, ...]:
        """Every face of the keys, once."""
        shares = (face for key in self.keys for face in key.identity.shares)
        return tuple(dict.fromkeys(shares))

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """What the keys' edits add, each once."""
        edits = (edit.offset for key in self.keys for edit in key.identity.edits)
        return tuple(dict.fromkeys(edits))

    # Frames -----------------------------------------------------------------------------

    @property
    def frame_count(self) -> int:
        """Frames of the video. Not in a loop both ends are shown, which makes one more."""
        whole = max(1, round(self.duration * self.fps))
        return whole if self.loop else whole + 1

    def frame_time(self, index: int) -> float:
        """Seconds at which frame ``index`` stands."""
        return min(index / self.fps, self.duration)

    def nearest_frame(self, time: float) -> int:
        """The frame of the video that is nearest to a time."""
        last = self.frame_count - 1
        # The last frame of a path that is shorter than a frame stands at its end.
        return last if time >= self.duration else min(max(round(time * self.fps), 0), last)

    # Between the keys -------------------------------------------------------------------

    def at(self, recipe: Recipe, time: float) -> Recipe:
        """``recipe`` with the camera and the face of a moment; itself where there are no keys.

        Args:
            recipe: model, view, quality and settings.
            time: seconds. Beyond the first and the last key the path rests, in a loop it
                begins anew.
        """
        if not self.keys:
            return recipe
        return recipe.with_identity(self.identity_at(time), pose=self.pose_at(time))

    def pose_at(self, time: float) -> OrbitPose:
        """The camera of a moment; there must be keys."""
        part = self._part(time)
        if part.share == 0.0:
            return part.keys[1].pose
        weights = self._weights(part)
        poses = [key.pose for key in part.keys]

        def mixed(values: Sequence[float]) -> float:
            # Relative to the key before, so that what does not change stays to the bit.
            base = values[1]
            return base + sum(w * (v - base) for w, v in zip(weights, values, strict=True))

        def point(points: Sequence[Vec3]) -> Vec3:
            x, y, z = (mixed([p[axis] for p in points]) for axis in range(3))
            return (x, y, z)

        pitch = mixed([pose.pitch for pose in poses])
        return OrbitPose(
            yaw=_wrapped(mixed(_unwrapped([pose.yaw for pose in poses]))),
            pitch=min(max(pitch, -MAX_PITCH), MAX_PITCH),
            roll=_wrapped(mixed(_unwrapped([pose.roll for pose in poses]))),
            # The logarithm keeps it above zero where the spline swings out.
            radius=poses[1].radius
            * math.exp(mixed([math.log(p.radius / poses[1].radius) for p in poses])),
            fov_y=min(max(mixed([pose.fov_y for pose in poses]), MIN_FOV), MAX_FOV),
            center=point([pose.center for pose in poses]),
            look_at=point([pose.look_at for pose in poses]),
        )

    def identity_at(self, time: float) -> Identity:
        """The face of a moment; there must be keys."""
        part = self._part(time)
        here, there = part.keys[1].identity, part.keys[2].identity
        if part.share == 0.0 or here == there:
            return here
        weights = self._weights(part)
        return between(zip((key.identity for key in part.keys), weights, strict=True))

    def _part(self, time: float) -> _Part:
        """Where between which keys a time lies."""
        keys, times, count = self.keys, self._times, len(self.keys)
        if self.loop and count > 1:
            # Times are counted from the first key, which is met again after the duration.
            if not times[0] <= time < times[0] + self.duration:
                time = times[0] + (time - times[0]) % self.duration
            index = max(bisect_right(times, time) - 1, 0)
            around = [index - 1, index, index + 1, index + 2]
            four = [keys[i % count] for i in around]
            at = [times[i % count] + self.duration * (i // count) for i in around]
        else:
            index = min(max(bisect_right(times, time) - 1, 0), count - 1)
            around = [min(max(index + i, 0), count - 1) for i in (-1, 0, 1, 2)]
            four, at = [keys[i] for i in around], [times[i] for i in around]
        span = at[2] - at[1]
        share = 0.0 if span <= 0 else min(max((time - at[1]) / span, 0.0), 1.0)
        if share == 1.0:  # rounded up to the next key
            share = math.nextafter(1.0, 0.0)
        share = eased(four[1].easing, share)
        return _Part((four[0], four[1], four[2], four[3]), tuple(at), share)

    def _weights(self, part: _Part) -> tuple[float, float, float, float]:
        """Shares of the four keys around a moment; they sum to one.

        A cubic Hermite curve whose tangents are ``(1 - tension)`` times the slope between a
        key's two neighbours in time; at an end, between the key and its one neighbour.
        """
        before, start, stop, after = part.times
        s = part.share
        span, slack = stop - start, 1.0 - self.tension
        first = slack * span * (s**3 - 2 * s**2 + s) / (stop - before)
        second = slack * span * (s**3 - s**2) / (after - start)
        # At an end the neighbour beyond is the key itself.
        b, c = 2 * s**3 - 3 * s**2 + 1 - second, -2 * s**3 + 3 * s**2 + first
        return -first, b, c, second

    # Elsewhere --------------------------------------------------------------------------

    def reframed(self, old: OrbitPose, new: OrbitPose) -> Self:
        """This path for another model: angles stay, distances follow the models' own framings.

        Args:
            old, new: the models' default poses; where they are equal nothing changes.
        """
        if old == new:
            return self
        factor, widening = new.radius / old.radius, new.fov_y / old.fov_y
        return replace(
            self,
            keys=tuple(
                replace(
                    key,
                    pose=replace(
                        key.pose,
                        radius=key.pose.radius * factor,
                        fov_y=min(max(key.pose.fov_y * widening, MIN_FOV), MAX_FOV),
                        center=new.center,
                        look_at=new.look_at,
                    ),
                )
                for key in self.keys
            ),
        )

    def fitted(self, home: OrbitPose) -> Self:
        """This path as part of a document whose model has the default pose ``home``. Where it is
        not known what model the keys were set with, they are taken as they stand."""
        line = replace(self, framing=None)
        return line if self.framing is None else line.reframed(self.framing, home)

    def for_model(self, facts: Capabilities) -> Self:
        """This path with faces that a model can draw."""
        keys = (replace(key, identity=key.identity.for_model(facts)) for key in self.keys)
        return replace(self, keys=tuple(keys))

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        places = {face: place for place, face in enumerate(self.faces)}
        offsets = {offset: place for place, offset in enumerate(self.offsets)}
        return {
            "format": TIMELINE_FORMAT,
            "duration": self.duration,
            "fps": self.fps,
            "loop": self.loop,
            "tension": self.tension,
            "faces": [face.to_json() for face in places],
            "keys": [key.to_json(places, offsets) for key in self.keys],
            **({"directions": [offset.to_json() for offset in offsets]} if offsets else {}),
        } | ({} if self.framing is None else {"framing": self.framing.to_json()})

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form, checked.

        Raises:
            UserError: no timeline, one of a newer version, or a value out of range.
        """
        if not isinstance(data, dict) or not str(data.get("format", "")).startswith(
            "maquette-timeline/"
        ):
            raise UserError("This is not a Maquette timeline.")
        if data["format"] != TIMELINE_FORMAT:
            raise UserError(
                f"This timeline is of the format {data['format']!r}, which this version of "
                "Maquette cannot read; install a newer one."
            )
        try:
            keys = data["keys"]
            if not isinstance(keys, list) or len(keys) > MAX_KEYS:
                raise UserError(f"A timeline holds at most {MAX_KEYS} keys.")
            faces = [Face.from_json(item) for item in data["faces"]]
            offsets = tuple(Offset.from_json(item) for item in data.get("directions", ()))
            framing = data.get("framing")
            return cls(
                tuple(Keyframe.from_json(item, faces, offsets) for item in keys),
                float(data["duration"]),
                float(data["fps"]),
                bool(data["loop"]),
                float(data["tension"]),
                None if framing is None else OrbitPose.from_json(framing),
            )
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(
                f"This timeline is damaged ({type(error).__name__}: {error})."
            ) from error


@dataclass(frozen=True)
class _Part:
    """The four keys around a moment, their times, and how far it is from the second to the
    third (eased), in [0, 1)."""

    keys: tuple[Keyframe, Keyframe, Keyframe, Keyframe]
    times: tuple[float, ...]
    share: float


def _unwrapped(angles: Sequence[float]) -> list[float]:
    """Angles in degrees such that each lies at most half a turn from the one before; the second
    is left as it is."""
    result = [angles[1] - _turn(angles[0], angles[1]), angles[1]]
    for angle, before in zip(angles[2:], angles[1:], strict=False):
        result.append(result[-1] + _turn(before, angle))
    return result


def _turn(start: float, end: float) -> float:
    """The shorter way from one angle to another, degrees in [-180, 180)."""
    return (end - start + 180.0) % 360.0 - 180.0


def _wrapped(angle: float) -> float:
    return angle if -180.0 <= angle <= 180.0 else (angle + 180.0) % 360.0 - 180.0


def save_timeline(timeline: Timeline, path: str | Path) -> None:
    """Write a timeline as a JSON file, whole or not at all.

    Raises:
        ExportError: it cannot be written.
    """
    text = json.dumps(timeline.to_json(), allow_nan=False, indent=1)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_timeline(path: str | Path) -> Timeline:
    """Read a file that :func:`save_timeline` wrote. Executes nothing and bounds everything.

    Raises:
        UserError: it is missing, foreign, damaged or of a newer version.
    """
    where = Path(path).expanduser()
    try:
        if not where.is_file():
            raise UserError(f"There is no timeline at {where}; check the path.")
        if where.stat().st_size > MAX_FILE:
            raise UserError(f"{where} is far too large to be a timeline.")
        data = json.loads(where.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not a Maquette timeline"
        raise UserError(f"The timeline {where} cannot be read ({reason}).") from error
    try:
        return Timeline.from_json(data)
    except UserError as error:
        raise UserError(f"The timeline {where} cannot be used. {error}") from error
