"""One photograph: where the eyes and the corners of the mouth are, and from where it is seen."""

from __future__ import annotations

import math

import dearpygui.dearpygui as dpg
import numpy as np

from app import theme
from app.kit import Kit
from app.panels.prepare_list import WORDS
from app.preparing import Pixels, Place, Pointed, Preparing
from app.preparing_wire import PhotoSeen
from engine.training.data.photos.faces import Face

#: Side of the room for the photograph, radius of a point, how far from it one may grab it, at a scale
#: of 1, pixels.
SIDE, RADIUS, REACH = 380, 7, 22
#: Farthest angles of the sliders, degrees.
MOST_YAW, MOST_PITCH = 90, 60
HINT = (
    "Drag the two rings onto the middles of the eyes and the two dots onto the corners of the mouth; the "
    "square is what will be cut. Then turn yaw and pitch until the line points where the nose does."
)
#: What is said of a face that is not to be used: of the only one, and of one of several.
NO_FACE, NOT_THIS = "There is no face", "Leave this face out"
_YAW = "To the side: positive sees more of the person's left cheek, and the nose points to the left"
_PITCH = "Positive sees the person from above, and the nose points down"


class PreparePoints:
    """The right side of the window for photographs.

    Args:
        kit: what every panel is given.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._texture: tuple[Pixels | None, int] = (None, 0)
        self._old: list[tuple[int, int]] = []
        self._drawn: object = None
        self._grabbed: int | None = None
        self._was_down = False

    @property
    def _preparing(self) -> Preparing:
        return self._kit.studio.training.preparing

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.texture_registry() as registry:
            self._registry = int(registry)
        self._title = kit.name("prepare_chosen", kit.text("", font=kit.fonts.strong, wrap=0))
        with dpg.group(show=False) as group:
            side = kit.px(SIDE)
            with dpg.drawlist(side, side) as canvas:
                self._photo, self._marks = int(dpg.add_draw_layer()), int(dpg.add_draw_layer())
            self._canvas = kit.name("prepare_canvas", int(canvas))
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)) as several:
                kit.arrows(lambda by: self._preparing.next_face(by), "prepare_face", "face")
                self._which = kit.name("prepare_which", kit.text(""))
            self._several = int(several)
            kit.text(HINT, theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
            with kit.row("Yaw", _YAW):
                self._yaw_number = self._number("yaw", MOST_YAW)
                self._yaw = self._slider("yaw", MOST_YAW)
            with kit.row("Pitch", _PITCH):
                self._pitch_number = self._number("pitch", MOST_PITCH)
                self._pitch = self._slider("pitch", MOST_PITCH)
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                kit.button(
                    "This is right", lambda: self._preparing.confirm(), "prepare_right",
                    "Use the face as it is pointed at, and go on to the next that waits",
                    theme=kit.themes.primary, width=kit.px((SIDE - 6) // 2),
                )  # fmt: skip
                self._none = kit.button(
                    NO_FACE, lambda: self._preparing.refuse(), "prepare_none",
                    "Leave it out, and go on to the next that waits",
                    width=kit.px((SIDE - 6) // 2),
                )  # fmt: skip
        self._group = int(group)

    def _number(self, what: str, most: float) -> int:
        kit = self._kit
        return kit.number(
            lambda value: self._preparing.turn(**{what: value}), f"prepare_{what}", -most, most, 0.5,
            "%.0f°", width=kit.px(64),
        )  # fmt: skip

    def _slider(self, what: str, most: float) -> int:
        return self._kit.slider(
            lambda value: self._preparing.turn(**{what: value}),
            f"prepare_{what}_slider",
            -most,
            most,
        )

    def update(self) -> None:
        """Show the present state."""
        kit, preparing = self._kit, self._preparing
        photo, pointed = preparing.photos.get(preparing.chosen), preparing.pointed
        kit.show_value(self._title, preparing.chosen)
        ready = photo is not None and pointed is not None
        kit.show(self._group, ready)
        if photo is None or pointed is None:
            return
        for number, slider, angle in (
            (self._yaw_number, self._yaw, pointed.yaw),
            (self._pitch_number, self._pitch, pointed.pitch),
        ):
            kit.show_value(number, angle)
            kit.show_value(slider, angle)
        count = len(photo.faces)
        kit.show(self._several, count > 1)
        if count > 1:
            kind = WORDS[photo.faces[preparing.at].kind]
            kit.show_value(self._which, f"Face {preparing.at + 1} of {count}: {kind}")
        label = NOT_THIS if count > 1 else NO_FACE
        if dpg.get_item_label(self._none) != label:
            dpg.configure_item(self._none, label=label)
        state = (photo.name, id(preparing.picture), pointed, id(photo.faces), preparing.at)
        if state != self._drawn:
            self._drawn = state
            self._draw(photo, pointed)

    # Drawing ----------------------------------------------------------------------------

    def _scale(self, photo: PhotoSeen) -> tuple[float, float, float]:
        """Pixels on the screen for one of the photograph, and the corner of it in its room."""
        side = self._kit.px(SIDE)
        factor = side / max(photo.size)
        return factor, (side - factor * photo.size[0]) / 2, (side - factor * photo.size[1]) / 2

    def places(self) -> list[Place]:
        """Where the four points stand in the room for the photograph, pixels of the screen."""
        preparing = self._preparing
        photo, pointed = preparing.photos.get(preparing.chosen), preparing.pointed
        if photo is None or pointed is None:
            return []
        factor, left, top = self._scale(photo)
        return [(left + factor * x, top + factor * y) for x, y in pointed.points]

    def _draw(self, photo: PhotoSeen, pointed: Pointed) -> None:
        factor, left, top = self._scale(photo)
        picture = self._preparing.picture
        if picture is not self._texture[0]:
            dpg.delete_item(self._photo, children_only=True)
            if self._texture[1]:
                self._old.append((self._texture[1], 2))
            self._texture = (picture, 0 if picture is None else self._texture_of(picture))
            if picture is not None:
                corner = left + factor * photo.size[0], top + factor * photo.size[1]
                dpg.draw_image(self._texture[1], (left, top), corner, parent=self._photo)
        dpg.delete_item(self._marks, children_only=True)
        for number, other in enumerate(photo.faces):
            if number != self._preparing.at:
                color = (255, 255, 255, 60) if other.kind == "left" else (*theme.GOOD[:3], 130)
                self._draw_square(other.face, factor, left, top, color)
        self._draw_square(pointed.face(), factor, left, top, (255, 255, 255, 150))
        self._draw_nose(pointed, factor, left, top)
        radius, places = self._kit.px(RADIUS), self.places()
        for place in places[:2]:
            for color, width in (((0, 0, 0, 160), 4), (theme.ACCENT_HOVER, 2)):
                dpg.draw_circle(place, radius, color=color, thickness=width, parent=self._marks)
        for place in places[2:]:
            dpg.draw_circle(
                place, radius * 0.7, color=(0, 0, 0, 160), fill=theme.WARNING, parent=self._marks
            )

    def _draw_square(
        self, face: Face, factor: float, left: float, top: float, line: tuple[int, ...]
    ) -> None:
        """What would be cut of a face."""
        from engine.training.data.photos.pose import angles_of, framed

        square, _ = framed(face, angles_of(face), self._preparing.wish.framing)
        corners = square.outward(np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]))
        shown = [(left + factor * x, top + factor * y) for x, y in corners]
        for color, width in (((0, 0, 0, 70), 3), (line, 1)):
            dpg.draw_polygon([*shown, shown[0]], color=color, thickness=width, parent=self._marks)

    def _draw_nose(self, pointed: Pointed, factor: float, left: float, top: float) -> None:
        """A line from the middle of the face to where the nose points."""
        face = pointed.face()
        right = face.eyes[1] - face.eyes[0]
        right = right / max(float(np.hypot(*right)), 1e-9)
        down = np.array([-right[1], right[0]])
        yaw, pitch = math.radians(pointed.yaw), math.radians(pointed.pitch)
        start = (face.eyes.mean(0) + face.mouth.mean(0)) / 2
        end = start + face.size * (
            -math.sin(yaw) * math.cos(pitch) * right + math.sin(pitch) * down
        )
        line = [(left + factor * x, top + factor * y) for x, y in (start, end)]
        for color, width in (((0, 0, 0, 160), 4), (theme.GOOD, 2)):
            dpg.draw_line(*line, color=color, thickness=width, parent=self._marks)
        dpg.draw_circle(line[1], 3, color=theme.GOOD, fill=theme.GOOD, parent=self._marks)

    def _texture_of(self, picture: Pixels) -> int:
        height, width = picture.shape[:2]
        rgba = np.ones((height, width, 4), np.float32)
        rgba[..., :3] = picture / 255.0
        return int(
            dpg.add_static_texture(width, height, rgba.ravel().tolist(), parent=self._registry)
        )

    # The mouse --------------------------------------------------------------------------

    def after_frame(self, window: int) -> None:
        """Follow the mouse on the points, and free what is shown no more; call once a frame.

        Args:
            window: what the photograph lies in.
        """
        for item, frames in self._old:
            if frames == 0:
                dpg.delete_item(item)
        self._old = [(item, frames - 1) for item, frames in self._old if frames]
        shown = dpg.is_item_shown(self._group)
        over, down = shown and dpg.is_item_hovered(self._canvas), dpg.is_mouse_button_down(0)
        # The toolkit moves a window that is dragged where nothing takes the mouse.
        held = bool(over or self._grabbed is not None)
        if dpg.get_item_configuration(window)["no_move"] != held:
            dpg.configure_item(window, no_move=held)
        if not down or not shown:
            self._grabbed = None
        elif over and not self._was_down:
            self._grabbed = self._near(*self._mouse())
        elif self._grabbed is not None:
            self._drag(*self._mouse())
        self._was_down = bool(down)

    def _mouse(self) -> Place:
        """Where the mouse is in the room for the photograph."""
        x, y = self._kit.pointer.newest()
        left, top = dpg.get_item_rect_min(self._canvas)
        return x - left, y - top

    def _near(self, x: float, y: float) -> int | None:
        """The point that the mouse takes, if one is near."""
        apart = [math.hypot(x - px, y - py) for px, py in self.places()]
        if not apart or min(apart) > self._kit.px(REACH):
            return None
        return apart.index(min(apart))

    def _drag(self, x: float, y: float) -> None:
        preparing = self._preparing
        photo = preparing.photos.get(preparing.chosen)
        if photo is not None and self._grabbed is not None:
            factor, left, top = self._scale(photo)
            preparing.move(self._grabbed, (x - left) / factor, (y - top) / factor)

    def delete(self) -> None:
        """Take away what is no part of the window."""
        dpg.delete_item(self._registry)
