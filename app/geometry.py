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

    def holds(self, other: Rect) -> bool:
        """Whether another rectangle lies wholly inside."""
        across = self.x <= other.x and other.right <= self.right
        return across and self.y <= other.y and other.bottom <= self.bottom


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
    """What lies where: a bar on top, columns left and right with a grip beside each, a status
    line; the timeline below the picture, and its grip, have no height while it is put away."""

    toolbar: Rect
    left: Rect
    right: Rect
    viewport: Rect
    timeline: Rect
    status: Rect
    grip_left: Rect
    grip_right: Rect
    grip_timeline: Rect


#: Sizes at a scale of 1, pixels.
TOOLBAR_HEIGHT, STATUS_HEIGHT, TIMELINE_HEIGHT = 52, 32, 118
LEFT_WIDTH, RIGHT_WIDTH = 300, 316
#: A narrower column would cut controls of some section, beside its scrollbar.
LEAST_WIDTH = 300
#: What is dragged to make a column wider, and a column with nothing in it.
GRIP, EMPTY_WIDTH = 5, 14
#: The picture keeps this width, or this share of a narrow window.
PICTURE_WIDTH, PICTURE_SHARE = 280, 0.3
MIN_WIDTH, MIN_HEIGHT = 960, 620
#: Where the picture is narrower than this, the timeline lies below the panels, too.
TIMELINE_WIDTH = 600
#: Below this height the panels scroll and the rest still fits.
LEAST_HEIGHT = 500


@dataclass(frozen=True)
class Extents:
    """How much room the columns and the timeline ask for, in pixels at a scale of 1. A width of
    ``None`` is that of an empty column; columns that are hidden have no width at all."""

    left: float | None = LEFT_WIDTH
    right: float | None = RIGHT_WIDTH
    timeline: float = TIMELINE_HEIGHT
    hidden: bool = False


#: The UI scales that are offered.
SCALES = (0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def next_scale(scale: float, step: int) -> float:
    """The next larger (``step`` 1) or smaller (-1) of the offered scales."""
    if step > 0:
        return next((s for s in SCALES if s > scale + 1e-6), SCALES[-1])
    return next((s for s in reversed(SCALES) if s < scale - 1e-6), SCALES[0])


def first_scale(screen: tuple[int, int] | None, dots: float | None = None) -> float:
    """The UI scale to begin with, one of those that are offered.

    Args:
        screen: width and height in pixels, if they are known.
        dots: per inch, as the desktop has been set up; ``None`` if it says nothing. 96 is 100 %.
    """
    if dots is not None and dots > 96:
        return max(s for s in SCALES if s <= max(dots / 96, 1.0) + 1e-6)
    # A person sits at about the same distance from every desk's screen, and most are about as
    # high; so the letters of a screen with more lines need more of them.
    height = screen[1] if screen else 0
    return 2.0 if height >= 2800 else 1.5 if height >= 2000 else 1.25 if height >= 1500 else 1.0


def first_size(
    usual: tuple[int, int], screen: tuple[int, int] | None, scale: float
) -> tuple[int, int]:
    """The size of the window to begin with: the usual one at the UI scale, within the screen."""
    wide, tall = (round(side * scale) for side in usual)
    if screen is None:
        return wide, tall
    return min(wide, round(0.95 * screen[0])), min(tall, round(0.95 * screen[1]))


def fitting_scale(wished: float, width: int, height: int) -> float:
    """The UI scale for a window of ``width x height`` pixels: the wished one, or the largest of
    the offered ones at which no label is cut. The smallest is not gone below."""
    room = min(width / MIN_WIDTH, height / LEAST_HEIGHT)
    if wished <= room:
        return wished
    return min(wished, max((s for s in SCALES if s <= room), default=SCALES[0]))


def arrange(
    width: int,
    height: int,
    scale: float = 1.0,
    timeline: bool = False,
    extents: Extents = Extents(),
) -> Layout:
    """The layout of a window of ``width x height`` pixels at a UI scale.

    The columns have the width that is asked for and the viewport takes the rest, never less than
    :data:`PICTURE_WIDTH` or, in a narrow window, :data:`PICTURE_SHARE` of it: there the columns
    shrink instead. The timeline, if it is shown, takes its height from the viewport, at most half
    of it; it is as wide as that, or in a narrow window as wide as all.
    """
    top, foot = round(TOOLBAR_HEIGHT * scale), round(STATUS_HEIGHT * scale)
    grip = max(round(GRIP * scale), 3)
    left, right = _sides(width, scale, extents)
    left_grip, right_grip = (
        grip if asked is not None and not extents.hidden else 0
        for asked in (extents.left, extents.right)
    )
    tall = max(height - top - foot, 1)
    strip = min(round(extents.timeline * scale) + grip, tall // 2) if timeline else 0
    start = left + left_grip
    middle = width - start - right - right_grip
    wide = middle < TIMELINE_WIDTH * scale
    sides = tall - strip if wide else tall
    line = Rect(0 if wide else start, top + tall - strip, width if wide else middle, strip)
    bar = min(grip, strip)
    return Layout(
        toolbar=Rect(0, 0, width, top),
        left=Rect(0, top, left, sides),
        right=Rect(width - right, top, right, sides),
        viewport=Rect(start, top, middle, tall - strip),
        timeline=Rect(line.x, line.y + bar, line.width, strip - bar),
        status=Rect(0, height - foot, width, foot),
        grip_left=Rect(left, top, left_grip, sides),
        grip_right=Rect(width - right - right_grip, top, right_grip, sides),
        grip_timeline=Rect(line.x, line.y, line.width, bar),
    )


def widest(width: int, scale: float, extents: Extents, other: float | None) -> float:
    """How wide a column can be, in pixels at a scale of 1, beside another one of the width
    ``other``, if the picture is to keep its least width."""
    return _room(width, scale, extents) / scale - (other or 0.0)


def _room(width: int, scale: float, extents: Extents) -> float:
    """What the columns can have together, in pixels."""
    asked = sum(side is not None for side in (extents.left, extents.right))
    kept = min(PICTURE_WIDTH * scale, PICTURE_SHARE * width)
    taken = (2 - asked) * round(EMPTY_WIDTH * scale) + asked * max(round(GRIP * scale), 3)
    return max(width - kept - taken, 1.0)


def _sides(width: int, scale: float, extents: Extents) -> tuple[int, int]:
    """The widths of the columns, in pixels."""
    if extents.hidden:
        return 0, 0
    wished = [side for side in (extents.left, extents.right) if side is not None]
    asked = sum(wished)
    room = _room(width, scale, extents) / scale
    # What a column has more than it needs goes first.
    needed = sum(min(side, LEAST_WIDTH) for side in wished)
    spare = min(max((room - needed) / max(asked - needed, 1.0), 0.0), 1.0)
    squeeze = min(1.0, room / max(needed, 1.0)) * scale
    left, right = (
        round(EMPTY_WIDTH * scale)
        if side is None
        else int((min(side, LEAST_WIDTH) + max(side - LEAST_WIDTH, 0.0) * spare) * squeeze)
        for side in (extents.left, extents.right)
    )
    return left, right
