"""The timeline's camera path, drawn into the live picture.

The cameras of a path surround the head outside of what is seen. They are shown on a small globe
around the point that is looked at, each where its camera would be seen from: what faces the
present camera lies in the middle, and what is behind the head is fainter.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

from app import theme
from app.geometry import Rect
from engine.camera import OrbitPose
from engine.timeline import Timeline

Points = NDArray[np.float64]
#: Radius of the globe in units of half the picture's height.
GLOBE = 0.8
#: Most points of the curve.
MOST = 400


@lru_cache(maxsize=4)
def directions(timeline: Timeline) -> tuple[Points, Points]:
    """Where the cameras of a path are, seen from what they circle.

    Returns:
        the curve ``[N, 3]`` and the keys ``[K, 3]``: unit vectors times the distance, in units
        of the mean distance of the keys.
    """
    keys = timeline.keys
    start, end = keys[0].time, keys[-1].time
    if timeline.loop and len(keys) > 1:
        end = start + timeline.duration
    count = min(MOST, 32 * len(keys)) if len(keys) > 1 else 1
    curve = [timeline.pose_at(time) for time in np.linspace(start, end, count)]
    mean = sum(key.pose.radius for key in keys) / len(keys)
    return _offsets(curve) / mean, _offsets([key.pose for key in keys]) / mean


def _offsets(poses: list[OrbitPose]) -> Points:
    return np.array([pose.camera().position - np.asarray(pose.center) for pose in poses])


def seen(points: Points, pose: OrbitPose) -> Points:
    """Points on the globe as the present camera sees them.

    Args:
        points: ``[N, 3]``, see :func:`directions`.
        pose: the present camera.

    Returns:
        ``[N, 3]``: across and down in units of the picture's height from its upper left corner,
        and 1 for what lies on this side of the globe's middle, else 0.
    """
    camera = pose.camera()
    middle = np.asarray(pose.look_at)
    distance = float(np.linalg.norm(middle - camera.position))
    radius = GLOBE * distance * 0.5 / camera.focal
    # A wide angle close up: the globe must stay in front of the camera.
    radius = min(radius, 0.6 * distance)
    matrix = camera.world_to_camera()
    world = middle + radius * np.clip(points, -1.5, 1.5)
    local = world @ matrix[:3, :3].T + matrix[:3, 3]
    depth = np.maximum(local[:, 2], 0.05 * distance)
    plane = 0.5 + camera.focal * local[:, :2] / depth[:, None]
    return np.column_stack([plane, local[:, 2] <= distance])


def draw(layer: int, timeline: Timeline, pose: OrbitPose, picture: Rect, scale: float) -> None:
    """Draw a path anew into a layer of the picture.

    Args:
        layer: what is in it goes.
        timeline: nothing is drawn of one without keys.
        pose: the present camera.
        picture: where the live picture lies.
        scale: of the interface.
    """
    dpg.delete_item(layer, children_only=True)
    if not timeline.keys:
        return
    curve, keys = (seen(points, pose) for points in directions(timeline))
    for run, near in _runs(curve):
        color = theme.faded(theme.ACCENT, 0.85 if near else 0.25)
        line = [_place(point, picture) for point in run]
        dpg.draw_polyline(line, parent=layer, color=color, thickness=2 * scale)
    reach = 5 * scale
    for point in keys:
        x, y = _place(point, picture)
        fill = theme.faded(theme.TEXT, 0.9 if point[2] else 0.3)
        corners = [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y), (x, y - reach)]
        dpg.draw_polygon(corners, parent=layer, color=theme.BACKGROUND, fill=fill)


def _runs(curve: Points) -> list[tuple[Points, bool]]:
    """Stretches of the curve on one side of the globe, each with the first point of the next."""
    turns = np.flatnonzero(np.diff(curve[:, 2])) + 1
    edges = [0, *turns.tolist(), len(curve)]
    runs = [(curve[start : end + 1], bool(curve[start, 2])) for start, end in pairwise(edges)]
    return [(run, near) for run, near in runs if len(run) > 1]


def _place(point: Points, picture: Rect) -> tuple[float, float]:
    side = picture.height
    left = picture.center[0] - side / 2
    return float(left + point[0] * side), float(picture.y + point[1] * side)
