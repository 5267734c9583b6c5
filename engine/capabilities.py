"""What a loaded generator can do: the record that tells the window which controls to show.

Needs no torch, so that the window process can hold it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from engine.camera import OrbitPose, Vec3
from engine.errors import UserError

#: Every picture that a viewport can show of one rendering.
ViewMode = Literal["picture", "raw", "depth", "normals", "opacity"]
VIEW_MODES: tuple[ViewMode, ...] = ("picture", "raw", "depth", "normals", "opacity")


#: What a setting of a model can be.
SettingValue = bool | int | float | str


@dataclass(frozen=True)
class ModelSetting:
    """A choice that a family offers and its files do not make, such as StyleSDF's samples a ray.

    Attributes:
        name: key in recipes and on the command line, ``"samples_per_ray"``.
        title: label for people.
        kind: ``"flag"``, ``"integer"``, ``"number"`` or ``"choice"``.
        default: what holds unless a recipe says otherwise.
        help: one sentence: what it changes.
        low, high: least and greatest value of a number.
        choices: the values of a choice.
    """

    name: str
    title: str
    kind: Literal["flag", "integer", "number", "choice"]
    default: SettingValue
    help: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    def checked(self, value: Any) -> SettingValue:
        """``value`` in this setting's kind; text as typed on a command line is understood.

        Raises:
            UserError: of another kind or out of range.
        """
        if self.kind == "flag":
            words = {"true": True, "yes": True, "on": True, "1": True,
                     "false": False, "no": False, "off": False, "0": False}  # fmt: skip
            known = words.get(str(value).lower())
            if known is None:
                raise UserError(f"The setting {self.name} is on or off, not {value!r}.")
            return known
        if self.kind == "choice":
            if value not in self.choices:
                raise UserError(
                    f"The setting {self.name} is one of {', '.join(self.choices)}, not {value!r}."
                )
            return str(value)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        whole = self.kind == "integer"
        if (
            isinstance(value, bool)
            or not math.isfinite(number)
            or not self.low <= number <= self.high
            or (whole and number != int(number))
        ):
            what = "a whole number" if whole else "a number"
            raise UserError(
                f"The setting {self.name} is {what} from {self.low:g} to {self.high:g}, "
                f"not {value!r}."
            )
        return int(number) if whole else number


@dataclass(frozen=True)
class Capabilities:
    """Facts about one loaded model.

    Attributes:
        family: registry name, ``"eg3d"`` for instance.
        z_dim: length of the input latent z, drawn from N(0, I).
        num_ws: rows of the extended latent ``w`` ``[num_ws, w_dim]``.
        w_dim: columns of ``w``.
        resolution: side of the native output picture in pixels.
        neural_resolution: side of the volume rendering before any upsampler, pixels.
        samples_per_ray: total field evaluations per ray at full quality.
        default_pose: the camera that frames a head, in world units.
        bounds: ``(minimum, maximum)`` corners of the field's box, world units.
        mesh_level: density (or signed distance) at which a mesh is cut by default.
        mesh_level_meaning: ``"density"`` (inside is above) or ``"sdf"`` (inside is below).
        view_modes: what the viewport can show.
        absent: control name -> why this family has no such thing (shown as a tooltip).
        layer_groups: name -> half-open range of ``w`` rows (coarse, middle, fine).
        yaw_range, pitch_range: degrees within which the training poses lay.
        settings: choices that the family offers beyond what all families share.
    """

    family: str
    z_dim: int
    num_ws: int
    w_dim: int
    resolution: int
    neural_resolution: int
    samples_per_ray: int
    default_pose: OrbitPose
    bounds: tuple[Vec3, Vec3]
    mesh_level: float
    mesh_level_meaning: Literal["density", "sdf"] = "density"
    view_modes: tuple[ViewMode, ...] = VIEW_MODES
    absent: dict[str, str] = field(default_factory=dict)
    layer_groups: dict[str, tuple[int, int]] = field(default_factory=dict)
    yaw_range: tuple[float, float] = (-45.0, 45.0)
    pitch_range: tuple[float, float] = (-25.0, 25.0)
    settings: tuple[ModelSetting, ...] = ()

    def settings_with(self, changes: Mapping[str, Any]) -> dict[str, SettingValue]:
        """Every setting's value: its default, or what ``changes`` says.

        Raises:
            UserError: a change to a setting that this model does not have, or of a wrong value.
        """
        known = {setting.name: setting for setting in self.settings}
        if unknown := sorted(set(changes) - set(known)):
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UserError(f"This model has no setting {unknown[0]!r}; {has}.")
        return {
            name: setting.checked(changes[name]) if name in changes else setting.default
            for name, setting in known.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data (``inspect --json``, and the message from the engine to the window)."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_json`."""
        low, high = data["bounds"]
        fixed = {
            "default_pose": OrbitPose.from_json(data["default_pose"]),
            "bounds": (tuple(low), tuple(high)),
            "view_modes": tuple(data["view_modes"]),
            "layer_groups": {k: tuple(v) for k, v in data["layer_groups"].items()},
            "yaw_range": tuple(data["yaw_range"]),
            "pitch_range": tuple(data["pitch_range"]),
            "settings": tuple(
                ModelSetting(**{**item, "choices": tuple(item["choices"])})
                for item in data["settings"]
            ),
        }
        return cls(**{**data, **fixed})
