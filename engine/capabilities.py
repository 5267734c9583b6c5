"""What a loaded generator can do: the record that tells the window which controls to show.

Needs no torch, so that the window process can hold it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
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

    @property
    def values(self) -> str:
        """What it can be, for people: ``"a whole number from 1 to 64"``."""
        if self.kind == "flag":
            return "on or off"
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        what = "a whole number" if self.kind == "integer" else "a number"
        low, high = (f"{v:.0f}" if v % 1 == 0 else f"{v:g}" for v in (self.low, self.high))
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"{what} from {low} to {high}"
        if math.isfinite(self.low):
            return f"{what}, {low} or more"
        return f"{what}, {high} or less" if math.isfinite(self.high) else what

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
                raise self._refused(value)
            return known
        if self.kind == "choice":
            if value not in self.choices:
                raise self._refused(value)
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
            raise self._refused(value)
        return int(number) if whole else number

    def _refused(self, value: Any) -> UserError:
        return UserError(f"The setting {self.name} is {self.values}, not {value!r}.")

    def to_json(self) -> dict[str, Any]:
        """Plain data; a bound that there is none of is ``None``, since JSON has no infinity."""
        bounds = {"low": self.low, "high": self.high}
        finite = {name: v if math.isfinite(v) else None for name, v in bounds.items()}
        return asdict(self) | finite

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_json`."""
        low, high = data["low"], data["high"]
        bounds = {
            "low": -math.inf if low is None else low,
            "high": math.inf if high is None else high,
        }
        return cls(**{**data, **bounds, "choices": tuple(data["choices"])})


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
        fewer_blocks: shares of an implicit network's blocks with which a picture can be drawn as
            well (``Quality.blocks``), the largest first; none where there is no such network.
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
    fewer_blocks: tuple[float, ...] = ()

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

    def changed_settings(self, changes: Mapping[str, Any]) -> dict[str, SettingValue]:
        """Those of ``changes`` that are not the defaults: what a recipe holds.

        Raises:
            UserError: as :meth:`settings_with`.
        """
        values = self.settings_with(changes)
        return {s.name: values[s.name] for s in self.settings if values[s.name] != s.default}

    def fitting_settings(self, values: Mapping[str, Any]) -> dict[str, SettingValue]:
        """What of another model's settings this one can take over, defaults left out."""
        kept: dict[str, SettingValue] = {}
        for setting in self.settings:
            with suppress(UserError):
                kept[setting.name] = setting.checked(values.get(setting.name, setting.default))
        return self.changed_settings(kept)

    def rows(self, text: str) -> tuple[int, ...]:
        """Rows of ``w`` as people write them: ``"0-3,7"``, the name of a group, or ``"all"``;
        several of these between commas.

        Returns:
            Ascending, each once.

        Raises:
            UserError: this model has no such rows; the sentence says what it has.
        """
        groups = {"all": (0, self.num_ws), **self.layer_groups}
        found: set[int] = set()
        for word in text.split(","):
            name = word.strip()
            if name in groups:
                found.update(range(*groups[name]))
                continue
            span = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", name)
            first = int(span[1]) if span else 0
            last = int(span[2] or span[1]) if span else -1
            if not first <= last < self.num_ws:
                raise UserError(
                    f"{name!r} names no layers of this model; it has 0 to {self.num_ws - 1} and "
                    f"the groups {', '.join(groups)}."
                )
            found.update(range(first, last + 1))
        return tuple(sorted(found))

    @property
    def look_rows(self) -> tuple[int, ...]:
        """The rows that colours and details come from: the group of appearance, else all but
        the coarse ones, else the second half."""
        if "appearance" in self.layer_groups:
            return self.rows("appearance")
        groups = self.layer_groups
        start = groups["coarse"][1] if "coarse" in groups else self.num_ws // 2
        return tuple(range(start, self.num_ws))

    def groups_of(self, row: int) -> tuple[str, ...]:
        """Names of the groups that a row of ``w`` belongs to."""
        return tuple(
            name for name, (start, stop) in self.layer_groups.items() if start <= row < stop
        )

    def why_not(self, control: str) -> str:
        """Why the model has no such view or control; empty if it has.

        Args:
            control: a view mode, or a key of ``absent`` such as ``"cutoff"``.
        """
        known = control not in VIEW_MODES or control in self.view_modes
        return self.absent.get(control, "" if known else "This model has no such view.")

    def to_json(self) -> dict[str, Any]:
        """Plain data as JSON has it, lists for tuples (``inspect --json``)."""
        plain = asdict(self) | {"settings": [setting.to_json() for setting in self.settings]}
        lists: dict[str, Any] = json.loads(json.dumps(plain, allow_nan=False))
        return lists

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
            "settings": tuple(ModelSetting.from_json(item) for item in data["settings"]),
            "fewer_blocks": tuple(data.get("fewer_blocks", ())),
        }
        return cls(**{**data, **fixed})
