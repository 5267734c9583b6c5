"""Where things lie in the window: pure arithmetic, in pixels, y down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rect:
    """A rectangle in window pixels. ``x, y`` is the upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of the lower edge."""
        return self.y + self.height

    @property
    def center(self) -> tuple[float, float]:
        """The middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    def contains(self, x: float, y: float) -> bool:
        """Whether a point lies inside (left and upper edge included)."""
        return self.x <= x < self.right and self.y <= y < self.bottom


def fit_picture(
    width: float, height: float, aspect: float = 1.0, margin: float = 0.0, minimum: float = 32.0
) -> Rect:
    """The largest centred rectangle of ``aspect`` (width / height) inside ``width x height``.

    ``margin`` pixels stay free on each side; the shorter side is never below ``minimum``. The
    corners are whole pixels, so that a picture at its own size is drawn unblurred.
    """
    free_width = max(width - 2 * margin, minimum)
    free_height = max(height - 2 * margin, minimum)
    tall = min(free_height, free_width / aspect)
    wide, tall = float(round(tall * aspect)), float(round(tall))
    return Rect(float(round((width - wide) / 2)), float(round((height - tall) / 2)), wide, tall)


@dataclass(frozen=True)
class Layout:
    """The window's fixed arrangement: a bar on top, panels left and right, a status line; the
    timeline below the picture has no height while it is put away."""

    toolbar: Rect
    left: Rect
    right: Rect
    viewport: Rect
    timeline: Rect
    status: Rect


#: Sizes at a scale of 1, pixels.
TOOLBAR_HEIGHT, STATUS_HEIGHT, TIMELINE_HEIGHT = 52, 32, 118
LEFT_WIDTH, RIGHT_WIDTH = 292, 316
MIN_WIDTH, MIN_HEIGHT = 960, 620
#: Where the picture is narrower than this, the timeline lies below the panels, too.
TIMELINE_WIDTH = 600
#: Below this height the panels scroll and the rest still fits.
LEAST_HEIGHT = 500
#: The UI scales that are offered.
SCALES = (0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def next_scale(scale: float, step: int) -> float:
    """The next larger (``step`` 1) or smaller (-1) of the offered scales."""
    if step > 0:
        return next((s for s in SCALES if s > scale + 1e-6), SCALES[-1])
    return next((s for s in reversed(SCALES) if s < scale - 1e-6), SCALES[0])


def fitting_scale(wished: float, width: int, height: int) -> float:
    """The UI scale for a window of ``width x height`` pixels: the wished one, or the largest of
    the offered ones at which no label is cut. The smallest is not gone below."""
    room = min(width / MIN_WIDTH, height / LEAST_HEIGHT)
    if wished <= room:
        return wished
    return min(wished, max((s for s in SCALES if s <= room), default=SCALES[0]))


def arrange(width: int, height: int, scale: float = 1.0, timeline: bool = False) -> Layout:
    """The layout of a window of ``width x height`` pixels at a UI scale.

    The panels keep their width and the viewport takes the rest, never less than a fifth of
    the window: on a small screen at a large scale the panels shrink instead. The timeline, if
    it is shown, takes its height from the viewport, at most half of it; it is as wide as that, or
    in a narrow window as wide as all.
    """
    top, foot = round(TOOLBAR_HEIGHT * scale), round(STATUS_HEIGHT * scale)
    squeeze = min(1.0, 0.8 * width / ((LEFT_WIDTH + RIGHT_WIDTH) * scale))
    left, right = round(LEFT_WIDTH * scale * squeeze), round(RIGHT_WIDTH * scale * squeeze)
    tall = max(height - top - foot, 1)
    strip = min(round(TIMELINE_HEIGHT * scale), tall // 2) if timeline else 0
    middle = width - left - right
    wide = middle < TIMELINE_WIDTH * scale
    sides = tall - strip if wide else tall
    return Layout(
        toolbar=Rect(0, 0, width, top),
        left=Rect(0, top, left, sides),
        right=Rect(width - right, top, right, sides),
        viewport=Rect(left, top, width - left - right, tall - strip),
        timeline=Rect(0 if wide else left, top + tall - strip, width if wide else middle, strip),
        status=Rect(0, height - foot, width, foot),
    )
