"""The gallery's box for a text that faces are ordered by."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app.kit import Kit

ABOUT = (
    "Which of these faces fit a text best, such as an old man with a beard: of the next seeds, or "
    "of the favourites. Enter looks; empty shows them in their own order again"
)


class OrderBox:
    """A box in the row of tools.

    Args:
        kit: what every panel is given.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def build(self) -> int:
        """Create the items; the group that holds them."""
        kit = self._kit
        with dpg.group(horizontal=True) as group:
            kit.label("By text", width=56)
            self._text = kit.box(
                "gallery_text", width=kit.px(170), hint="an old man", enter=self._look, tip=ABOUT
            )
            kit.button("×", self._clear, "gallery_text_clear", "In their own order again",
                       width=kit.px(26))  # fmt: skip
        return int(group)

    def _look(self) -> None:
        self._kit.studio.gallery.order_by(str(dpg.get_value(self._text)))

    def _clear(self) -> None:
        dpg.set_value(self._text, "")
        self._kit.studio.gallery.order_by("")
