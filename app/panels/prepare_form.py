"""What photographs are prepared, how, and by which finder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import dearpygui.dearpygui as dpg

from app.kit import Kit
from app.panels.path_box import path_box
from app.preparing import Preparing
from app.preparing_wire import FaceChoice, FinderChoice
from engine.training.data.photos.environment import WHAT

if TYPE_CHECKING:
    from engine.training.data.photos.pose import Framing

#: Width of the form and height of what stands below it, at a scale of 1, pixels.
WIDTH, FOOT = 310, 174
FRAMINGS: dict[str, Framing] = {"As FFHQ": "ffhq", "As the bundled generator": "bundled"}
_FRAMING_TIP = (
    "Which square is cut around a face. As FFHQ: for models that were trained on FFHQ, which most "
    "released ones were. As the bundled generator: heads stand in the picture as its own do, for "
    "training it further; needs yaw and pitch"
)
FINDERS: dict[str, FinderChoice] = {
    "The best at hand": "auto",
    "The rough finder": "cascade",
    "I point at the faces": "none",
}
_FINDER_TIP = (
    "MediaPipe tells eyes, mouth and angles by itself. The rough finder sees frontal faces and "
    "guesses eyes and mouths, which you then confirm"
)
FACES: dict[str, FaceChoice] = {
    "The largest": "largest",
    "All of them": "all",
    "I choose": "choose",
}
_FACES_TIP = (
    "Which faces of a photograph that shows several. Where you choose, such photographs wait: go "
    "through their faces with the arrows and say which are right"
)
ASKING = "Looking for MediaPipe ..."
READY = "MediaPipe is at hand."
MISSING = (
    "MediaPipe is not installed, so the rough finder is used: it sees frontal faces and guesses eyes "
    "and mouths, which wait for you."
)
_DOING = {
    "installing": "Installing the finder",
    "finding": "Looking at photographs",
    "making": "Cutting faces",
}


class PrepareForm:
    """The left side of the window for photographs.

    Args:
        kit: what every panel is given.
        done: called when the set was put into the form for training.
    """

    def __init__(self, kit: Kit, done: Callable[[], None]) -> None:
        self._kit, self._done = kit, done

    @property
    def _preparing(self) -> Preparing:
        return self._kit.studio.training.preparing

    def build(self) -> None:
        """Create the items: a form that scrolls, and below it what is always at hand."""
        kit = self._kit
        with dpg.child_window(height=-kit.px(FOOT), border=False):
            self._build_form()
        self._build_foot()

    def _build_form(self) -> None:
        kit = self._kit
        kit.heading("Photographs", first=True)
        self._photos = path_box(
            kit, "prepare_photos", "A folder or a zip archive of photographs",
            lambda text: self._edit(photos=text), folder=True, files=(".zip",),
        )  # fmt: skip
        kit.text(
            "Only those that you may use for this. Nothing leaves your machine.",
            theme=kit.themes.faint, font=kit.fonts.small, wrap=0,
        )  # fmt: skip
        dpg.add_spacer(height=kit.px(2))
        kit.text("Make the folder", theme=kit.themes.muted, font=kit.fonts.small)
        self._out = path_box(
            kit, "prepare_out", "A new folder for the set", lambda text: self._edit(out=text),
            folder=True,
        )  # fmt: skip
        with kit.row("Framing", _FRAMING_TIP):
            self._framing = self._combo(
                "prepare_framing", list(FRAMINGS), lambda t: self._edit(framing=FRAMINGS[t])
            )
        with kit.row("Resolution", "Side of the pictures: that of the model, or more"):
            self._resolution = kit.number(
                lambda value: self._edit(resolution=round(value)), "prepare_resolution", 16, 4096,
                1.0, "%d pixels", whole=True,
            )  # fmt: skip
        with kit.row("Finder", _FINDER_TIP):
            self._finder = self._combo(
                "prepare_finder", list(FINDERS), lambda t: self._edit(finder=FINDERS[t])
            )
        with kit.row("Faces", _FACES_TIP):
            self._faces = self._combo(
                "prepare_faces", list(FACES), lambda t: self._edit(faces=FACES[t])
            )
        self._at_hand = kit.name("prepare_at_hand", kit.text("", font=kit.fonts.small, wrap=0))
        with dpg.group() as offer:
            self._install = kit.button(
                "Install the finder", lambda: self._preparing.install(), "prepare_install", WHAT,
                width=-1,
            )  # fmt: skip
            kit.text(WHAT, theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        self._offer = int(offer)

    def _build_foot(self) -> None:
        kit = self._kit
        dpg.add_separator()
        half = kit.px((WIDTH - 6) // 2)
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            self._find = kit.button(
                "Find the faces", lambda: self._preparing.find(), "prepare_find",
                "Look at every photograph; nothing is written yet", width=half,
            )  # fmt: skip
            self._cancel = kit.button(
                "Cancel", lambda: self._preparing.cancel(), "prepare_cancel",
                "End what goes on; nothing half made is left", width=half,
            )  # fmt: skip
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            self._make = kit.button(
                "Make the set", lambda: self._preparing.make(), "prepare_make",
                "Cut the faces that were found or confirmed, and write them with their cameras; "
                "what still waits is left out", width=half,
            )  # fmt: skip
            self._train = kit.button(
                "Train on them", self._train_on_them, "prepare_train",
                "Put the set into the form for training", width=half,
            )  # fmt: skip
        # Below, so that the buttons stay where they are.
        self._said = kit.name(
            "prepare_said", kit.text("", theme=kit.themes.muted, font=kit.fonts.small, wrap=0)
        )
        self._bar = int(dpg.add_progress_bar(width=-1, height=kit.px(6)))

    def _combo(self, name: str, lines: list[str], choose: Callable[[str], None]) -> int:
        item = int(dpg.add_combo(lines, width=-1, callback=lambda _sender, text: choose(str(text))))
        return self._kit.explain(self._kit.name(name, item))

    def update(self) -> None:
        """Show the present state."""
        kit, preparing = self._kit, self._preparing
        wish, busy = preparing.wish, preparing.is_busy
        kit.show_value(self._photos, wish.photos)
        kit.show_value(self._out, wish.out)
        kit.show_value(self._resolution, wish.resolution)
        for item, lines, value in (
            (self._framing, FRAMINGS, wish.framing), (self._finder, FINDERS, wish.finder),
            (self._faces, FACES, wish.faces),
        ):  # fmt: skip
            kit.show_value(item, next(line for line, one in lines.items() if one == value))
        self._show_finder()
        said = self._sentence()
        kit.show_value(self._said, said)
        kit.show(self._bar, busy)
        dpg.set_value(self._bar, preparing.done / max(preparing.total, 1))
        for item, on in (
            (self._find, not busy), (self._cancel, busy), (self._install, not busy),
            (self._make, not busy and preparing.looked and preparing.made is None),
            (self._train, preparing.made is not None and preparing.made.count > 0),
        ):  # fmt: skip
            kit.enable(item, on)
        # What comes next stands out.
        ready = self._make if preparing.looked and not preparing.waiting else 0
        first = self._train if preparing.made else ready if preparing.looked else self._find
        for item in (self._find, self._make, self._train):
            dpg.bind_item_theme(item, kit.themes.primary if item == first else 0)

    def _show_finder(self) -> None:
        kit, finder = self._kit, self._preparing.finder
        if finder is None:
            text, theme = ASKING, kit.themes.muted
        elif finder.ready:
            text, theme = READY, kit.themes.good
        else:
            text, theme = f"{finder.trouble} {MISSING}".strip(), kit.themes.warning
        wanted = self._preparing.wish.finder == "auto"
        kit.show_value(self._at_hand, text)
        kit.show(self._at_hand, wanted)
        if dpg.get_item_theme(self._at_hand) != theme:
            dpg.bind_item_theme(self._at_hand, theme)
        kit.show(self._offer, wanted and finder is not None and not finder.ready)

    def _sentence(self) -> str:
        preparing = self._preparing
        if preparing.is_busy:
            count = f": {preparing.done} of {preparing.total}" if preparing.total else ""
            return preparing.said or f"{_DOING[preparing.state]}{count} ..."
        if preparing.made is not None:
            made = preparing.made
            count = "1 picture was" if made.count == 1 else f"{made.count} pictures were"
            parts = [f"{count} made.", *made.notes]
            return "\n".join(parts[:3])
        if preparing.looked:
            usable, waiting = preparing.usable, len(preparing.waiting)
            waits = f" {waiting} wait for you." if waiting else ""
            return f"{usable} of {len(preparing.photos)} photographs can be used.{waits}"
        return ""

    def _train_on_them(self) -> None:
        self._preparing.train_on_them()
        self._done()

    def _edit(self, **changes: object) -> None:
        self._preparing.change(lambda wish: replace(wish, **changes))  # type: ignore[arg-type]
