"""What a loaded generator can do: the record that tells the window which controls to show.

Needs no torch, so that the window process can hold it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from engine.camera import OrbitPose, Vec3

#: Every picture that a viewport can show of one rendering.
ViewMode = Literal["picture", "raw", "depth", "normals", "opacity"]
VIEW_MODES: tuple[ViewMode, ...] = ("picture", "raw", "depth", "normals", "opacity")


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
        }
        return cls(**{**data, **fixed})
