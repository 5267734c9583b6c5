"""The latent pad: drawn in the gallery's window, and dragged through with the mouse."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app import theme
from app.gallery import Cell, Gallery
from app.kit import Kit
from app.live_texture import LiveTexture

#: Sides of the pad and of the live picture beside it, at a scale of 1, pixels.
SIDE, LIVE = 500, 216
LEFT_BUTTON = 0
#: Of the numbers, on pictures of any colour.
BARELY, LETTERS = (0, 0, 0, 120), (255, 255, 255, 255)


class PadCanvas:
    """A square of seeds with a mark where one is.

    Pressing goes there, dragging goes on; one drag is one step of the history.

    Args:
        kit: what every panel is given.
        live: the live picture, which this window may lie upon.
    """

    def __init__(self, kit: Kit, live: LiveTexture) -> None:
        self._kit, self._live = kit, live
        self._live_drawn: object = None
        self._drawn: object = None
        #: The circles of the mark, and where it stands.
        self._mark: tuple[int, ...] = ()
        self._marked: object = None
        self._dragging = self._was_down = False
        self._cell = 1.0

    def build(self) -> None:
        """Create the items."""
        side = self._kit.px(SIDE)
        small = self._kit.px(LIVE)
        with dpg.group(show=False, horizontal=True, horizontal_spacing=self._kit.px(14)) as group:
            self._canvas = int(dpg.add_drawlist(side, side))
            self._picture = int(dpg.add_drawlist(small, small))
        self._kit.name("pad", self._canvas)
        self._group = int(group)

    def show(self, gallery: Gallery, cells: list[tuple[Cell, int]] | None) -> None:
        """Show seeds with their textures row by row, or nothing."""
        self._kit.show(self._group, cells is not None)
        if cells is None:
            return
        pad, side = gallery.pad, self._kit.px(SIDE)
        here = pad.is_shown(gallery.first)
        self._cell = side / pad.size
        state = (pad.size, theme.ACCENT, [(cell.title, texture) for cell, texture in cells])
        if state != self._drawn:
            self._drawn = state
            self._draw(pad.size, cells)
        # The mark moves with the mouse: two circles are told, not a hundred items made.
        at = ((pad.place[0] + 0.5) * self._cell, (pad.place[1] + 0.5) * self._cell)
        if (at, here) != self._marked:
            self._marked = (at, here)
            for circle, color in zip(self._mark, (theme.ON_ACCENT, theme.ACCENT), strict=True):
                fill = color if here else theme.faded(color, 0.25)
                dpg.configure_item(circle, center=at, fill=fill)

    def _draw(self, side: int, cells: list[tuple[Cell, int]]) -> None:
        size, gap, letters = self._cell, self._kit.px(1), self._kit.px(13)
        dpg.delete_item(self._canvas, children_only=True)
        dpg.push_container_stack(self._canvas)
        for index, (cell, texture) in enumerate(cells):
            left, top = index % side * size, index // side * size
            dpg.draw_image(texture, (left, top), (left + size - gap, top + size - gap))
            at = (left + self._kit.px(5), top + self._kit.px(3))
            # The picture behind the number may be white.
            plate = (left + letters * (0.56 * len(cell.title) + 0.8), top + letters * 1.5)
            dpg.draw_rectangle((left, top), plate, color=BARELY, fill=BARELY)
            dpg.draw_text(at, cell.title, size=letters, color=LETTERS)
        self._marked = None
        self._mark = tuple(
            int(dpg.draw_circle((0, 0), self._kit.px(radius), color=color, fill=color))
            for radius, color in ((9, theme.ON_ACCENT), (7, theme.ACCENT))
        )
        dpg.pop_container_stack()

    def follow(self, gallery: Gallery, window: int) -> None:
        """Follow the mouse and the live picture; call once after each frame while the pad is
        shown."""
        live = (self._live.item, self._live.corners)
        if live != self._live_drawn:
            self._live_drawn = live
            dpg.delete_item(self._picture, children_only=True)
            small, (low, high) = self._kit.px(LIVE), self._live.corners
            dpg.draw_image(
                self._live.item, (0, 0), (small, small), uv_min=low, uv_max=high,
                parent=self._picture,
            )  # fmt: skip
        down = bool(dpg.is_mouse_button_down(LEFT_BUTTON))
        over = bool(dpg.is_item_hovered(self._canvas))
        if self._dragging and not down:
            self._dragging = False
            gallery.pad.let_go()
        elif self._dragging or (down and over and not self._was_down):
            if not self._dragging:
                gallery.pad.pause()
                self._dragging = True
            self.move(gallery, *self._kit.pointer.newest())
        self._was_down = down
        # The toolkit moves a window that is dragged where nothing takes the mouse.
        held = over or self._dragging
        if dpg.get_item_configuration(window)["no_move"] != held:
            dpg.configure_item(window, no_move=held)

    @property
    def dragging(self) -> bool:
        """Whether the mouse drags through the pad."""
        return self._dragging

    def move(self, gallery: Gallery, x: float, y: float) -> None:
        """Go to where the mouse is, in pixels of the window, if that is another place."""
        left, top = dpg.get_item_rect_min(self._canvas)
        place = ((x - left) / self._cell - 0.5, (y - top) / self._cell - 0.5)
        last = gallery.pad.size - 1.0
        place = (min(max(place[0], 0.0), last), min(max(place[1], 0.0), last))
        if place != gallery.pad.place or not gallery.pad.is_shown(gallery.first):
            gallery.pad.go_to(gallery.first, *place)

    def leave(self, gallery: Gallery, window: int) -> None:
        """The pad is not shown any more: a drag under way is over."""
        if self._live_drawn is not None:
            # The live picture's texture may be replaced while nobody looks.
            self._live_drawn = None
            dpg.delete_item(self._picture, children_only=True)
        if self._dragging:
            self._dragging = False
            gallery.pad.let_go()
        if dpg.get_item_configuration(window)["no_move"]:
            dpg.configure_item(window, no_move=False)
