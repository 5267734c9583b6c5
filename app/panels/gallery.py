"""The gallery's window: pages of small pictures to choose a face from."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import dearpygui.dearpygui as dpg
import numpy as np

from app import theme
from app.commands import tip
from app.gallery import PAGE, SORTS, TABS, Cell, Gallery, Pixels, Tab
from app.geometry import Rect
from app.kit import Kit
from app.latent_pad import FASTEST, LARGEST, SLOWEST, SMALLEST
from app.live_texture import LiveTexture
from app.panels.gallery_order import OrderBox
from app.panels.identity import read_seed
from app.panels.pad import PadCanvas
from app.panels.popup import Popup
from app.studio import Studio
from app.thumbnail_queue import SIDE

SIZE = (784, 700)
#: Side of a picture at a scale of 1, pixels.
SHOWN = 112
#: Between two pictures, and what the window's edges and its scroll bar take of the width.
GAP, EDGES = 10, 44
#: Least size of the window; it has room for so many pictures side by side.
LEAST, LEAST_COLUMNS = (420, 300), 3
RIGHT_BUTTON = 1
_TIPS: dict[Tab, str] = {
    "seeds": "One seed after the other, with the present truncation",
    "favourites": "The faces that are pinned in this project",
    "variations": "Faces at random that are like the present one",
    "pad": "Drag through a square of seeds, with a smooth blend of the four nearest ones",
}


class GalleryWindow(Popup):
    """Opened above the picture; it draws only while it is open.

    Args:
        kit: what every panel is given.
        live: the live picture.
    """

    def __init__(self, kit: Kit, live: LiveTexture) -> None:
        super().__init__(kit, SIZE, fitted=True)
        self._cells = [FaceCell(kit, index) for index in range(PAGE)]
        self._pad, self._order = PadCanvas(kit, live), OrderBox(kit)
        self._tabs: dict[Tab, int] = {}

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._textures = Textures()
        with dpg.window(
            label="Gallery", show=False, no_collapse=True, width=kit.px(SIZE[0]),
            height=kit.px(SIZE[1]), min_size=(kit.px(LEAST[0]), kit.px(LEAST[1])),
            no_scrollbar=True, no_scroll_with_mouse=True, on_close=self._gallery.close,
        ) as window:  # fmt: skip
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)):
                for tab, title in TABS.items():
                    self._tabs[tab] = kit.button(
                        title, lambda tab=tab: self._gallery.choose_tab(tab),  # type: ignore[misc]
                        f"gallery_{tab}", _TIPS[tab], width=kit.px(110),
                    )  # fmt: skip
                self._state = kit.name("gallery_state", kit.text("", theme=kit.themes.muted))
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                self._build_tools()
            dpg.add_separator()
            with dpg.child_window(border=False, horizontal_scrollbar=True) as scroll:
                self._rows = [
                    int(dpg.add_group(horizontal=True, horizontal_spacing=kit.px(GAP), show=False))
                    for _ in range(PAGE // LEAST_COLUMNS)
                ]
                for cell in self._cells:
                    cell.build(self._gallery, self._rows[0])
                self._pad.build()
                self._empty = kit.text("", theme=kit.themes.muted, wrap=0)
        self.window, self._scroll = int(window), int(scroll)
        with dpg.item_handler_registry() as registry:
            dpg.add_item_clicked_handler(RIGHT_BUTTON, callback=self._right_clicked)
        self._handlers, self._columns = int(registry), 0
        for cell in self._cells:
            dpg.bind_item_handler_registry(cell.button, registry)

    def _build_tools(self) -> None:
        kit, gallery = self._kit, self._gallery
        with dpg.group(horizontal=True) as pages:
            kit.arrows(gallery.turn, "gallery", "page")
        with dpg.group(horizontal=True) as seeds:
            kit.label("From seed", width=70)
            self._seed = kit.box("gallery_seed", width=kit.px(110), auto_select_all=True)
            kit.tip(self._seed, "The first seed of the page; type another one")
            kit.on_release(self._seed, self._seed_typed)
        with dpg.group(horizontal=True) as order:
            self._sort = int(
                dpg.add_combo(
                    list(SORTS.values()), width=kit.px(160), default_value=SORTS[gallery.sort],
                    callback=lambda _sender, title: gallery.set_sort(
                        next(key for key, known in SORTS.items() if known == title)
                    ),
                )
            )  # fmt: skip
            kit.tip(kit.name("gallery_sort", self._sort), "The order in which they are shown here")
        order_box = self._order.build()
        with dpg.group(horizontal=True) as like:
            kit.label("Strength", width=64)
            self._strength = kit.number(
                gallery.set_strength, "gallery_strength", 0, 100, 0.5, "%.0f %%", kit.px(90)
            )
            kit.tip(self._strength, "How far these faces are from the present one")
            kit.button("Others", gallery.again, "gallery_again", "Other faces like this one")
            kit.button(
                "From the present face", lambda: gallery.choose_tab("variations"),
                "gallery_base", "Begin anew from the face that is shown now",
            )  # fmt: skip
        with dpg.group(horizontal=True) as pad:
            kit.label("Scale", width=44)
            self._side = kit.number(
                lambda size: gallery.pad.resize(int(size)), "pad_size", SMALLEST, LARGEST, 0.03,
                "%d", kit.px(56), whole=True,
            )  # fmt: skip
            kit.tip(self._side, "Seeds along a side")
            self._play = kit.button(
                "Animate", self._animate, "pad_play", "Move through the pad by itself, or stop",
                width=kit.px(86),
            )  # fmt: skip
            kit.label("Speed", width=48)
            self._speed = kit.number(
                gallery.pad.set_speed, "pad_speed", SLOWEST, FASTEST, 0.01, "%.1f", kit.px(70)
            )
            kit.tip(self._speed, "Seeds a second")
        self._tools = {"pad": int(pad), "pages": int(pages), "seeds": int(seeds), "favourites": int(order), "text": order_box,
                       "variations": int(like)}  # fmt: skip

    @property
    def _gallery(self) -> Gallery:
        return self._kit.studio.gallery

    def toggle(self) -> None:
        """Open or close it."""
        super().toggle()
        if self.is_open:
            self._gallery.open()

    def close(self) -> None:
        """Close it; what is not drawn yet is not drawn."""
        super().close()
        self._gallery.close()

    def described(self) -> dict[str, Any] | None:
        """What it shows, for the tests; ``None`` while it is closed."""
        gallery = self._gallery
        if not self.is_open:
            return None
        cells = gallery.cells()
        return {
            "tab": gallery.tab,
            "titles": [cell.title for cell in cells],
            "drawn": sum(gallery.picture(cell) is not None for cell in cells),
            "waiting": gallery.waiting,
            "columns": self._columns,
            "box": [*dpg.get_item_pos(self.window), *dpg.get_item_rect_size(self.window)],
            "pad": [*gallery.pad.place, gallery.pad.size, gallery.pad.is_moving],
        }

    def delete(self) -> None:
        """Close it and take away what is no part of the window."""
        self.close()
        self._textures.delete()
        dpg.delete_item(self._handlers)

    def update(self, studio: Studio) -> None:
        """Show the present state, if it can be seen."""
        kit, gallery = self._kit, studio.gallery
        if not self.is_open:
            return
        for tab, item in self._tabs.items():
            dpg.bind_item_theme(
                item, kit.themes.chosen if tab == gallery.tab else kit.themes.segment
            )
            kit.show(self._tools[tab], tab == gallery.tab)
        kit.show(self._tools["seeds"], gallery.tab in ("seeds", "pad"))
        kit.show(self._tools["pages"], gallery.tab != "variations")
        kit.show(self._tools["text"], gallery.tab in ("seeds", "favourites"))
        kit.show_value(self._seed, str(gallery.first))
        kit.show_value(self._strength, gallery.strength)
        cells, waiting = gallery.cells(), gallery.waiting
        text = f"{waiting} still to be drawn" if waiting else ""
        text = gallery.order.doing or text
        ordered = gallery.order.best(gallery.tab) is not None
        if (gallery.tab == "favourites" or ordered) and gallery.pages > 1:
            text = f"Page {min(gallery.page, gallery.pages - 1) + 1} of {gallery.pages}   {text}"
        kit.show_value(self._state, text)
        empty = ""
        if not cells:
            empty = f"No face is pinned yet: {tip('face_pin')}, or Pin below a picture."
        kit.show(self._empty, not cells)
        kit.show_value(self._empty, empty)
        kit.show_value(self._side, gallery.pad.size)
        kit.show_value(self._speed, gallery.pad.speed)
        playing = kit.themes.chosen if gallery.pad.is_moving else 0
        dpg.bind_item_theme(self._play, playing)
        is_pad = gallery.tab == "pad"
        textures = [(c, self._textures.of(gallery.picture(c))) for c in cells] if is_pad else None
        self._pad.show(gallery, textures)
        for index, view in enumerate(self._cells):
            cell = cells[index] if index < len(cells) and not is_pad else None
            picture = None if cell is None else gallery.picture(cell)
            failed = cell is not None and gallery.has_failed(cell)
            view.show(cell, self._textures.of(picture), failed)

    def after_frame(self) -> None:
        """Free what no picture needs any more, follow the mouse; call once after each frame."""
        self._textures.after_frame()
        if self.is_open:
            self._reflow()
        if self.is_open and self._gallery.tab == "pad":
            self._pad.follow(self._gallery, self.window)
        else:
            self._pad.leave(self._gallery, self.window)

    @property
    def dragging(self) -> bool:
        """Whether the mouse drags through the pad."""
        return self._pad.dragging

    @property
    def cover(self) -> Rect | None:
        """What it hides for certain, in pixels of the window: where it lies while the mouse drags
        through the pad, for then it cannot be moved itself."""
        if not (self.is_open and self.dragging):
            return None
        return Rect(*dpg.get_item_pos(self.window), *dpg.get_item_rect_size(self.window))

    def move(self, x: float, y: float) -> None:
        """Follow a drag through the pad, in pixels of the window."""
        self._pad.move(self._gallery, x, y)

    def _reflow(self) -> None:
        """Put as many pictures side by side as the window has room for."""
        px = self._kit.px
        room = dpg.get_item_width(self.window) - px(EDGES) + px(GAP)
        columns = min(max(room // px(SHOWN + GAP), LEAST_COLUMNS), PAGE)
        if columns == self._columns:
            return
        self._columns = columns
        for index, cell in enumerate(self._cells):
            dpg.move_item(cell.group, parent=self._rows[index // columns])
        for number, row in enumerate(self._rows):
            self._kit.show(row, number * columns < PAGE)
        self._kit.studio.touch()

    def _animate(self) -> None:
        pad = self._gallery.pad
        if pad.is_moving:
            pad.pause()
        else:
            pad.play()

    def _seed_typed(self) -> None:
        self._gallery.go_to(read_seed(dpg.get_value(self._seed)))

    def _right_clicked(self, _sender: int, data: tuple[int, int]) -> None:
        for cell in self._cells:
            if cell.button == data[1]:
                cell.pin()


class FaceCell:
    """One picture with its title and a button to pin it."""

    def __init__(self, kit: Kit, index: int) -> None:
        self._kit, self._name = kit, f"gallery_{index}"
        self._cell: Cell | None = None
        self._texture = 0
        self.button = self.group = 0

    def build(self, gallery: Gallery, parent: int) -> None:
        """Create the items."""
        kit, self._gallery = self._kit, gallery
        side = kit.px(SHOWN)
        with dpg.group(show=False, parent=parent) as group:
            self.button = int(
                dpg.add_image_button(
                    Textures.blank(), width=side, height=side, frame_padding=0,
                    callback=lambda: self._chosen(),
                )
            )  # fmt: skip
            kit.tip(kit.name(self._name, self.button), "Click: this face. Right click: pin it")
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(2)) as line:
                self._title = kit.label("", width=SHOWN - 44)
                self._pin = kit.button(
                    "Pin", self.pin, f"{self._name}_pin", "Keep it, or keep it no longer",
                    width=kit.px(42),
                )  # fmt: skip
            dpg.bind_item_theme(line, kit.themes.compact)
            dpg.bind_item_font(line, kit.fonts.small)
        self.group = int(group)

    def show(self, cell: Cell | None, texture: int, failed: bool) -> None:
        """Show a face, or nothing."""
        kit, self._cell = self._kit, cell
        kit.show(self.group, cell is not None)
        if cell is None:
            return
        if texture != self._texture:
            self._texture = texture
            dpg.configure_item(self.button, texture_tag=texture)
        title = f"{cell.title}: no picture" if failed else cell.title
        if dpg.get_item_label(self._title) != title:
            dpg.configure_item(self._title, label=title)
        themes = kit.themes
        dpg.bind_item_theme(self._title, themes.chosen if cell.here else themes.label)
        dpg.bind_item_theme(
            self._pin, themes.chosen if cell.favourite is not None else themes.quiet
        )

    def _chosen(self) -> None:
        if self._cell is not None:
            self._gallery.choose(self._cell)

    def pin(self) -> None:
        """Make the face a favourite, or none any more."""
        if self._cell is not None:
            self._gallery.toggle_pin(self._cell)


class Textures:
    """Pictures on the graphics card, by the arrays that they were made of."""

    _blank = 0

    def __init__(self) -> None:
        with dpg.texture_registry() as registry:
            grey = [channel / 255 for channel in theme.FIELD]
            Textures._blank = int(dpg.add_static_texture(1, 1, grey))
        self.registry = int(registry)
        self._kept: OrderedDict[int, tuple[Pixels, int]] = OrderedDict()
        self._old: list[tuple[int, int]] = []

    @classmethod
    def blank(cls) -> int:
        """A grey picture."""
        return cls._blank

    def of(self, picture: Pixels | None) -> int:
        """The texture of a picture ``[S, S, 3]``; a grey one for none."""
        if picture is None:
            return self._blank
        known = self._kept.get(id(picture))
        if known is not None:
            self._kept.move_to_end(id(picture))
            return known[1]
        rgba = np.ones((SIDE, SIDE, 4), np.float32)
        rgba[..., :3] = picture / 255.0
        item = int(dpg.add_static_texture(SIDE, SIDE, rgba.ravel().tolist(), parent=self.registry))
        # The array is kept, too: its id stands for it.
        self._kept[id(picture)] = (picture, item)
        # The toolkit keeps the numbers of each as well, 256 KiB: this page and the one before.
        while len(self._kept) > 2 * PAGE:
            _, (_, gone) = self._kept.popitem(last=False)
            self._old.append((gone, 2))
        return item

    def after_frame(self) -> None:
        """Delete what nothing has shown for some frames."""
        for item, frames in self._old:
            if frames == 0:
                dpg.delete_item(item)
        self._old = [(item, frames - 1) for item, frames in self._old if frames]

    def delete(self) -> None:
        """Take all of them away."""
        dpg.delete_item(self.registry)
