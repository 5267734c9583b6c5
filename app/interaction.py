"""What the mouse and the arrow keys do to the camera: pure functions on documents.

Signs follow the picture: what is under the mouse goes where the mouse goes. Dragging to the
right turns the nose to the right, so the camera's yaw falls; dragging down nods the head, so
the camera rises.
"""

from __future__ import annotations

from app import document as edits
from app.document import Document

#: Degrees turned by dragging across one whole picture side.
DEGREES_PER_PICTURE = 180.0
#: Factor on the camera's distance for one notch of the wheel towards the head.
WHEEL_STEP = 0.9
#: Degrees turned by one press of an arrow key.
NUDGE = 5.0


def drag_orbit(document: Document, dx: float, dy: float, side: float) -> Document:
    """The document after dragging by ``dx, dy`` pixels on a picture of ``side`` pixels."""
    degrees = DEGREES_PER_PICTURE / max(side, 1.0)
    return edits.orbit(document, -dx * degrees, dy * degrees)


def drag_pan(document: Document, dx: float, dy: float, side: float) -> Document:
    """The document after pulling the picture by ``dx, dy`` pixels, as one pulls a map."""
    side = max(side, 1.0)
    return edits.pan(document, -dx / side, -dy / side)


def wheel_zoom(document: Document, notches: float) -> Document:
    """The document after turning the wheel; positive ``notches`` come closer."""
    return edits.zoom(document, WHEEL_STEP**notches)


def nudge(document: Document, right: int, up: int) -> Document:
    """The document after an arrow key: the head turns towards the arrow."""
    return edits.orbit(document, -NUDGE * right, -NUDGE * up)
