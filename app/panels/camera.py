"""Where the camera stands, in numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dearpygui.dearpygui as dpg

from app import document as edits
from app.commands import tip
from app.document import RADIUS_RANGE, Direction, Document
from app.kit import Kit
from app.studio import Studio
from engine.camera import MAX_FOV, MAX_PITCH, MIN_FOV


class CameraPanel:
    """Yaw, pitch, roll, angle of view, distance; the named views; reset."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        hint = "Drag sideways, or double-click to type."
        with kit.row("Yaw", f"Around the head; positive shows the person's left side. {hint}"):
            self._yaw = kit.number(self._set_yaw, "yaw", -180, 180, 0.4, "%.1f°")
        with kit.row("Pitch", f"Up and down; positive looks from above. {hint}"):
            self._pitch = kit.number(self._set_pitch, "pitch", -MAX_PITCH, MAX_PITCH, 0.3, "%.1f°")
        with kit.row("Roll", f"About the viewing direction. {hint}"):
            self._roll = kit.number(self._set_roll, "roll", -180, 180, 0.4, "%.1f°")
        with kit.row("Field of view", f"Full vertical angle of view. {hint}"):
            self._fov = kit.number(self._set_fov, "fov", MIN_FOV, MAX_FOV, 0.1, "%.1f°")
        with kit.row("Distance", f"From the middle of the head, in the model's own unit. {hint}"):
            self._radius = kit.number(self._set_radius, "radius", 0.01, 100, 0.01, "%.2f")
        third = kit.px(58)
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            self._view_button("Front", "front", third)
            self._view_button("Side", "left", third)
            self._view_button("Top", "top", third)
            kit.button("Reset", self.reset, "camera_reset", tip("camera_reset"), width=-1)

    def _view_button(self, label: str, direction: Direction, width: int) -> None:
        name = f"look_{direction}"
        self._kit.button(label, lambda: self.look_from(direction), name, tip(name), width=width)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, document = self._kit, studio.document
        pose = document.pose
        kit.show_value(self._yaw, pose.yaw)
        kit.show_value(self._pitch, pose.pitch)
        kit.show_value(self._roll, pose.roll)
        kit.show_value(self._fov, pose.fov_y)
        low, high = (factor * document.home.radius for factor in RADIUS_RANGE)
        dpg.configure_item(self._radius, min_value=low, max_value=high)
        kit.show_value(self._radius, pose.radius)

    def look_from(self, direction: Direction) -> None:
        """One of the named views."""
        self._kit.studio.edit(f"Look from {direction}", lambda d: edits.look_from(d, direction))

    def reset(self) -> None:
        """Back to the model's own framing."""
        self._kit.studio.edit("Reset camera", edits.reset_view)

    def _set_yaw(self, value: float) -> None:
        self._pose("Yaw", lambda d: edits.set_pose(d, replace(d.pose, yaw=value)))

    def _set_pitch(self, value: float) -> None:
        self._pose("Pitch", lambda d: edits.set_pose(d, replace(d.pose, pitch=value)))

    def _set_roll(self, value: float) -> None:
        self._pose("Roll", lambda d: edits.set_roll(d, value))

    def _set_fov(self, value: float) -> None:
        self._pose("Field of view", lambda d: edits.set_fov(d, value))

    def _set_radius(self, value: float) -> None:
        self._pose("Distance", lambda d: edits.set_radius(d, value))

    def _pose(self, name: str, change: Callable[[Document], Document]) -> None:
        self._kit.studio.edit(name, change, gesture=name)
