"""The small head with three axes in the viewport's corner: where one is looking from.

Clicking the end of an axis looks from there. The projection is orthographic, by the
camera's rotation alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import dearpygui.dearpygui as dpg
import numpy as np

from app import theme
from app.document import Direction
from app.geometry import Rect
from app.palettes import Color
from engine.camera import Matrix, OrbitPose, Vec3


@dataclass(frozen=True)
class AxisEnd:
    """One end of an axis.

    Attributes:
        axis: unit vector in the world.
        label: drawn on the positive ends.
        color: colour of the axis.
        direction: the view that a click gives.
    """

    axis: Vec3
    label: str
    color: Color
    direction: Direction


ENDS = (
    AxisEnd((1, 0, 0), "X", theme.AXIS_X, "left"),
    AxisEnd((-1, 0, 0), "", theme.AXIS_X, "right"),
    AxisEnd((0, 1, 0), "Y", theme.AXIS_Y, "top"),
    AxisEnd((0, -1, 0), "", theme.AXIS_Y, "bottom"),
    AxisEnd((0, 0, 1), "Z", theme.AXIS_Z, "front"),
    AxisEnd((0, 0, -1), "", theme.AXIS_Z, "back"),
)

#: Radius of the gizmo and of its parts at a scale of 1, pixels.
REACH, KNOB, HEAD = 44.0, 9.5, 15.0
#: An end that points at the viewer more than this would hide the small face: it is left out,
#: and one looks from there already.
FACING = -0.96
#: Points of the small face on the unit sphere: two eyes and a nose that stands out.
_EYES: tuple[Vec3, Vec3] = ((-0.38, 0.25, 0.89), (0.38, 0.25, 0.89))
_NOSE: Vec3 = (0.0, -0.08, 1.3)


def project(rotation: Matrix, point: Vec3) -> tuple[float, float, float]:
    """A world direction in the picture: ``(right, down, away)``, lengths kept.

    Args:
        rotation: ``[3, 3]`` camera-to-world rotation, OpenCV axes.
        point: world vector.
    """
    right, down, away = rotation.T @ np.asarray(point, dtype=np.float64)
    return float(right), float(down), float(away)


def end_at(pose: OrbitPose, dx: float, dy: float, scale: float = 1.0) -> AxisEnd | None:
    """The axis end under a point ``dx, dy`` pixels from the gizmo's middle; the nearest one
    to the viewer where two overlap."""
    rotation = pose.camera().cam2world[:3, :3]
    hits: list[tuple[float, AxisEnd]] = []
    for end in ENDS:
        right, down, away = project(rotation, end.axis)
        if away < FACING:
            continue
        distance = math.hypot(dx - right * REACH * scale, dy - down * REACH * scale)
        if distance <= (KNOB + 2) * scale:
            hits.append((away, end))
    return min(hits, key=lambda hit: hit[0])[1] if hits else None


class Gizmo:
    """Draws the gizmo into a draw layer that belongs to the viewport."""

    def __init__(self, layer: int, font: int, scale: float) -> None:
        self._layer, self._font, self._scale = layer, font, scale
        self.center = (0.0, 0.0)
        #: The mouse is over the gizmo.
        self.hot = False

    @property
    def reach(self) -> float:
        """Radius of the whole thing, pixels."""
        return (REACH + KNOB + 4) * self._scale

    @property
    def box(self) -> Rect:
        """The square around it, in the viewport's pixels."""
        reach = self.reach
        return Rect(self.center[0] - reach, self.center[1] - reach, 2 * reach, 2 * reach)

    def contains(self, x: float, y: float) -> bool:
        """Whether a point of the viewport is on the gizmo."""
        return math.hypot(x - self.center[0], y - self.center[1]) <= self.reach

    def draw(self, pose: OrbitPose, hovered: AxisEnd | None) -> None:
        """Draw it anew for a pose, far parts first."""
        dpg.delete_item(self._layer, children_only=True)
        rotation = pose.camera().cam2world[:3, :3]
        if hovered is not None or self.hot:
            dpg.draw_circle(
                self.center,
                self.reach,
                parent=self._layer,
                fill=(255, 255, 255, 12),
                color=(0,) * 4,
            )
        order = sorted(ENDS, key=lambda end: -project(rotation, end.axis)[2])
        behind = [end for end in order if project(rotation, end.axis)[2] > 0]
        before = [end for end in order if FACING <= project(rotation, end.axis)[2] <= 0]
        for end in behind:
            self._end(rotation, end, end is hovered)
        self._head(rotation)
        for end in before:
            self._end(rotation, end, end is hovered)

    def _at(self, rotation: Matrix, point: Vec3, radius: float) -> tuple[float, float]:
        right, down, _ = project(rotation, point)
        size = radius * self._scale
        return self.center[0] + right * size, self.center[1] + down * size

    def _end(self, rotation: Matrix, end: AxisEnd, hovered: bool) -> None:
        away = project(rotation, end.axis)[2]
        tip, size = self._at(rotation, end.axis, REACH), KNOB * self._scale
        # Ends that point away sink into what lies behind.
        color = theme.mixed(end.color, theme.PANEL, 0.5 * max(away, 0.0) + 0.05)
        if not end.label:
            ring = theme.mixed(color, theme.PANEL, 0.35)
            fill = color if hovered else theme.mixed(color, theme.PANEL, 0.75)
            dpg.draw_circle(
                tip, size * 0.78, parent=self._layer, color=ring, fill=fill,
                thickness=1.3 * self._scale,
            )  # fmt: skip
            return
        start = self._at(rotation, end.axis, HEAD)
        dpg.draw_line(start, tip, parent=self._layer, color=color, thickness=2.2 * self._scale)
        dpg.draw_circle(
            tip, size, parent=self._layer, color=(255, 255, 255, 230) if hovered else color,
            fill=color, thickness=1.3 * self._scale,
        )  # fmt: skip
        height = 14 * self._scale
        text = dpg.draw_text(
            (tip[0] - 0.31 * height, tip[1] - 0.56 * height), end.label,
            parent=self._layer, size=height, color=(18, 20, 23, 255),
        )  # fmt: skip
        dpg.bind_item_font(text, self._font)

    def _head(self, rotation: Matrix) -> None:
        size = HEAD * self._scale
        dpg.draw_circle(
            self.center, size, parent=self._layer, color=theme.faded(theme.MUTED, 0.8),
            fill=theme.FIELD_ACTIVE, thickness=1.2 * self._scale,
        )  # fmt: skip
        if project(rotation, _NOSE)[2] < 0.35:
            root = self._at(rotation, (0.0, -0.05, 0.95), HEAD)
            tip = self._at(rotation, _NOSE, HEAD)
            dpg.draw_line(
                root, tip, parent=self._layer, color=theme.TEXT, thickness=3.2 * self._scale
            )
            dpg.draw_circle(
                tip, 1.7 * self._scale, parent=self._layer, fill=theme.TEXT, color=theme.TEXT
            )
        for eye in _EYES:
            if project(rotation, eye)[2] < -0.05:
                dpg.draw_circle(
                    self._at(rotation, eye, HEAD), 1.8 * self._scale, parent=self._layer,
                    fill=theme.TEXT, color=theme.TEXT,
                )  # fmt: skip
