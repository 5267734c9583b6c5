"""The reference in the picture: beside the present one with a divider to drag, or whole."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app import theme
from app.comparison import Comparison
from app.geometry import Rect
from app.kit import Kit
from app.live_texture import UV, LiveTexture
from app.split import HANDLE, divider_x, grabs, grip, left_piece, right_piece, share_at

#: Opacity of what stands in for a picture that is still being drawn.
WAITING = 80
#: Height of the labels' letters, and room around them, at a scale of 1, pixels.
LETTERS, PAD = 14, 7


class SplitView:
    """Draws the reference into layers of the viewport, and takes the mouse on the divider.

    Args:
        kit: of the window.
        texture: the reference, which outlives a change of scale.
    """

    def __init__(self, kit: Kit, texture: LiveTexture) -> None:
        self._kit, self._texture = kit, texture
        self._uploaded: object = None
        self._grip: float | None = None
        #: The mouse is on the divider.
        self.hot = False

    def build_picture(self) -> None:
        """Create the reference's picture, in the layer that is open."""
        self._image = int(dpg.draw_image(self._texture.item, (0, 0), (1, 1), show=False))

    def build_divider(self) -> None:
        """Create the layer of the divider and the labels."""
        with dpg.draw_layer() as layer:
            pass
        self._layer = int(layer)

    @property
    def _compare(self) -> Comparison:
        return self._kit.studio.compare

    # Drawing ----------------------------------------------------------------------------

    def update(self) -> tuple[object, ...]:
        """Take in the newest picture of the reference, once a frame of the window; what is
        returned changes with everything that :meth:`draw` shows."""
        self._texture.after_frame()
        compare = self._compare
        if compare.mode == "present":
            self.hot = False
            return ("present",)
        frame = compare.picture
        if frame is not None and frame is not self._uploaded:
            self._uploaded = frame
            self._texture.show(frame.image)
        return (
            compare.mode, compare.share, compare.labels, frame is None, self.hot, self.dragging,
            self._texture.item, self._texture.corners,
        )  # fmt: skip

    def draw(
        self, present: int, texture: int, corners: tuple[UV, UV], box: Rect, opacity: int
    ) -> None:
        """Show both pictures, or one of them.

        Args:
            present: the item of the present picture.
            texture, corners: its texture, and where it lies in that.
            box: where the picture lies in the viewport.
            opacity: of what is shown, 0 to 255: less while the engine is away.
        """
        compare, mode = self._compare, self._compare.mode
        dpg.delete_item(self._layer, children_only=True)
        x = {"present": box.right, "reference": box.x}.get(mode, divider_x(box, compare.share))
        left = left_piece(box, corners, x)
        dpg.configure_item(
            present, texture_tag=texture, pmin=(left.box.x, left.box.y),
            pmax=(left.box.right, left.box.bottom), uv_min=left.uv_min, uv_max=left.uv_max,
            color=(255, 255, 255, opacity), show=mode != "reference",
        )  # fmt: skip
        dpg.configure_item(self._image, show=mode != "present")
        if mode == "present":
            return
        # Until the reference has been drawn the present picture stands there, dim.
        ready = compare.picture is not None
        other, its_corners = texture, corners
        if ready:
            other, its_corners = self._texture.item, self._texture.corners
        right = right_piece(box, its_corners, x)
        dpg.configure_item(
            self._image, texture_tag=other, pmin=(right.box.x, right.box.y),
            pmax=(right.box.right, right.box.bottom), uv_min=right.uv_min, uv_max=right.uv_max,
            color=(255, 255, 255, opacity if ready else WAITING),
        )  # fmt: skip
        now, then = compare.labels
        if mode == "split":
            self._label(now, left.box, at_right=False)
            self._divider(x, box)
        self._label(then, right.box, at_right=mode == "split")

    def _divider(self, x: float, box: Rect) -> None:
        px, layer = self._kit.px, self._layer
        lit = self.hot or self.dragging
        line = theme.ACCENT if lit else (255, 255, 255, 235)
        for color, width in (((0, 0, 0, 110), 4), (line, 2)):
            dpg.draw_line(
                (x, box.y), (x, box.bottom), parent=layer, color=color, thickness=px(width)
            )
        middle, reach = box.center[1], px(HANDLE) - (0 if lit else px(1))
        fill = theme.ACCENT if self.dragging else theme.POPUP
        arrow = theme.ON_ACCENT if self.dragging else theme.ACCENT if lit else theme.TEXT
        dpg.draw_circle(
            (x, middle), reach, parent=layer, fill=fill, color=line, thickness=px(2)
        )  # fmt: skip
        for side in (-1, 1):
            tip, foot, half = x + side * px(9), x + side * px(4), px(4)
            dpg.draw_triangle(
                (tip, middle), (foot, middle - half), (foot, middle + half), parent=layer,
                color=arrow, fill=arrow,
            )  # fmt: skip

    def _label(self, text: str, box: Rect, at_right: bool) -> None:
        """A small label in a lower corner of a piece; left out where it does not fit."""
        px, font = self._kit.px, self._kit.fonts.small
        shown, width = text, 0.0
        for shown in (text, text.partition(":")[0]):
            measured = dpg.get_text_size(shown, font=font)
            width = (measured[0] if measured else 7.0 * len(shown)) + 2 * px(PAD)
            if width + 2 * px(PAD) <= box.width:
                break
        else:
            return
        height = px(LETTERS) + px(PAD)
        x = box.right - px(PAD) - width if at_right else box.x + px(PAD)
        y = box.bottom - px(PAD) - height
        dpg.draw_rectangle(
            (x, y), (x + width, y + height), parent=self._layer, rounding=px(4),
            color=theme.LINE, fill=theme.faded(theme.POPUP, 0.88),
        )  # fmt: skip
        words = dpg.draw_text(
            (x + px(PAD), y + px(PAD) / 2), shown, parent=self._layer, size=px(LETTERS),
            color=theme.TEXT,
        )  # fmt: skip
        dpg.bind_item_font(words, font)

    # The mouse --------------------------------------------------------------------------

    @property
    def dragging(self) -> bool:
        """Whether the divider is being dragged."""
        return self._grip is not None

    def contains(self, box: Rect, x: float, y: float) -> bool:
        """Whether a point of the viewport is on the divider."""
        compare = self._compare
        return compare.mode == "split" and grabs(box, compare.share, x, y, self._kit.scale)

    def press(self, box: Rect, x: float) -> None:
        """Take hold of the divider; it keeps its distance from the mouse."""
        self._grip = x - divider_x(box, self._compare.share)

    def move(self, box: Rect, x: float) -> None:
        """The mouse moved while it holds the divider."""
        if self._grip is not None:
            self._compare.divide(share_at(box, x - self._grip))

    def release(self) -> None:
        """Let go."""
        self._grip = None

    def center(self) -> None:
        """The divider back into the middle."""
        self._grip = None
        self._compare.divide(0.5)

    def places(self, area: Rect, box: Rect) -> dict[str, Rect]:
        """Where the handle lies in the window, if it is shown."""
        if self._compare.mode != "split":
            return {}
        handle = grip(box, self._compare.share, self._kit.scale)
        return {"divider": Rect(area.x + handle.x, area.y + handle.y, handle.width, handle.height)}
