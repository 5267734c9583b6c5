"""The picture in the middle of the window, and the mouse on it."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app import document as edits
from app import interaction, path_preview, theme
from app.commands import command
from app.engine_state import EngineState
from app.geometry import Rect, fit_picture
from app.gizmo import AxisEnd, Gizmo, end_at
from app.keyboard import is_down
from app.kit import Kit
from app.live_texture import LiveTextures
from app.playback import Playback
from app.split_view import SplitView
from app.studio import BRIEF_GESTURE, Studio
from engine.timeline import Timeline

LEFT, RIGHT, MIDDLE = 0, 1, 2
MARGIN = 20
NO_PATH = Timeline()


class Viewport:
    """Shows the newest frame, centred and scaled; turns mouse moves into edits.

    The main window calls ``press``, ``move``, ``release``, ``wheel`` and ``double_click`` with
    positions in window pixels.
    """

    def __init__(self, kit: Kit, textures: LiveTextures, playback: Playback) -> None:
        self._kit, self._texture, self._playback = kit, textures.present, playback
        self._split = SplitView(kit, textures.reference)
        self._area = Rect(0, 0, 1, 1)
        self.picture = Rect(0, 0, 1, 1)
        self._hidden = False
        self._drag: str | None = None
        self._hover: AxisEnd | None = None
        self._last = (0.0, 0.0)
        self._shown: object = None
        self._drawn: object = None

    def build(self) -> None:
        """Create the items inside the window that is open."""
        kit = self._kit
        with dpg.drawlist(10, 10) as canvas:
            with dpg.draw_layer() as frame:
                self._image = int(dpg.draw_image(self._texture.item, (0, 0), (1, 1)))
                self._split.build_picture()
            with dpg.draw_layer() as path:
                pass
            self._split.build_divider()
            with dpg.draw_layer() as words:
                pass
            with dpg.draw_layer() as corner:
                pass
        self._canvas = int(canvas)
        self._frame, self._path, self._words = int(frame), int(path), int(words)
        self.gizmo = Gizmo(int(corner), kit.fonts.numerals, kit.scale)

    # Drawing ----------------------------------------------------------------------------

    def place(self, area: Rect) -> None:
        """Take another place in the window."""
        if area == self._area:
            return
        self._area = area
        width, height = max(int(area.width), 1), max(int(area.height), 1)
        dpg.configure_item(self._canvas, width=width, height=height)
        reach = self.gizmo.reach + self._kit.px(8)
        self.gizmo.center = (width - reach, reach)
        self._drawn = None

    def update(self, studio: Studio, cover: Rect | None = None) -> None:
        """Show the newest frame and the present state; call once before each frame.

        Args:
            studio: what is shown.
            cover: what something else hides of the window. A picture that is all hidden is not
                painted: without a graphics card it is the dearest thing in the window.
        """
        if studio.compare.is_held and not is_down("compare_hold"):
            studio.compare.let_go()
        frame = studio.frame
        if frame is not None and frame is not self._shown:
            self._shown = frame
            self._texture.show(frame.image)
        aspect = 1.0
        if frame is not None:
            aspect = frame.image.shape[1] / frame.image.shape[0]
        margin = self._kit.px(MARGIN)
        self.picture = fit_picture(self._area.width, self._area.height, aspect, margin)
        message = self._message(studio)
        box = self.picture
        whole = Rect(self._area.x + box.x, self._area.y + box.y, box.width, box.height)
        self._hidden = cover is not None and cover.holds(whole)
        state = (
            self._texture.item, self._texture.corners, self.picture, studio.is_stale,
            frame is None, message, studio.document.pose, self._hover, self.gizmo.hot,
            self._timeline, self._split.update(), self._hidden,
        )  # fmt: skip
        if state != self._drawn:
            self._drawn = state
            self._draw(studio, message)

    def _draw(self, studio: Studio, message: str) -> None:
        box = self.picture
        dim = studio.is_stale or (studio.model is None and studio.frame is not None)
        corners, opacity = self._texture.corners, 90 if dim else 255
        self._split.draw(self._image, self._texture.item, corners, box, opacity)
        dpg.configure_item(self._frame, show=studio.frame is not None and not self._hidden)
        pose, scale = studio.document.pose, self._kit.scale
        path_preview.draw(self._path, self._timeline, pose, box, scale)
        dpg.delete_item(self._words, children_only=True)
        if studio.frame is None:
            dpg.draw_rectangle(
                (box.x, box.y), (box.right, box.bottom), parent=self._words,
                color=theme.LINE, fill=(0, 0, 0, 40), rounding=self._kit.px(6),
            )  # fmt: skip
        if message:
            self._write(message, box)
        self.gizmo.draw(studio.document.pose, self._hover)

    @property
    def _timeline(self) -> Timeline:
        """The path to draw: none while the timeline is put away or plays."""
        playback = self._playback
        return playback.timeline if playback.is_open and not playback.is_playing else NO_PATH

    def _write(self, message: str, box: Rect) -> None:
        size = self._kit.px(17)
        measured = dpg.get_text_size(message, font=self._kit.fonts.body)
        width = (measured[0] if measured else 8 * len(message)) * 17 / 16
        x, y = box.center
        pad = self._kit.px(14)
        dpg.draw_rectangle(
            (x - width / 2 - pad, y - size / 2 - pad * 0.7),
            (x + width / 2 + pad, y + size / 2 + pad * 0.8), parent=self._words,
            color=theme.LINE, fill=theme.faded(theme.POPUP, 0.92), rounding=self._kit.px(6),
        )  # fmt: skip
        dpg.draw_text(
            (x - width / 2, y - size / 2), message, parent=self._words, size=size, color=theme.TEXT
        )

    def _message(self, studio: Studio) -> str:
        state = studio.engine
        if state is EngineState.RESTARTING:
            return "The engine stopped; starting it again ..."
        if state is EngineState.DEAD:
            return "The engine has stopped."
        if studio.opening is not None:
            return "Opening the model ..."
        if state is EngineState.EMPTY:
            return "No model is open. Open a checkpoint on the left."
        return "Drawing the first picture ..." if studio.frame is None else ""

    # The mouse --------------------------------------------------------------------------

    @property
    def dragging(self) -> bool:
        """Whether a drag that began here is under way."""
        return self._drag is not None

    def press(self, button: int, x: float, y: float) -> None:
        """A button went down on the picture's area."""
        if not self._is_mine():
            return
        local = self._local(x, y)
        studio = self._kit.studio
        if button == LEFT and self.gizmo.contains(*local):
            end = self._end_under(*local)
            if end is not None:
                studio.edit(
                    f"Look from {end.direction}", lambda d: edits.look_from(d, end.direction)
                )
            return
        if self._drag is None and button == LEFT and self._split.contains(self.picture, *local):
            self._drag = "divider"
            self._split.press(self.picture, local[0])
        elif self._drag is None and studio.model is not None:
            self._drag = "orbit" if button == LEFT else "pan"
            self._last = (x, y)

    def move(self, x: float, y: float) -> None:
        """The mouse moved, anywhere."""
        local = self._local(x, y)
        self.gizmo.hot = self._drag is None and self._is_mine() and self.gizmo.contains(*local)
        self._hover = self._end_under(*local) if self.gizmo.hot else None
        free = self._drag is None and self._is_mine() and not self.gizmo.hot
        self._split.hot = free and self._split.contains(self.picture, *local)
        if self._drag == "divider":
            self._split.move(self.picture, local[0])
        if self._drag in (None, "divider"):
            return
        dx, dy = x - self._last[0], y - self._last[1]
        if not (dx or dy):
            return
        self._last = (x, y)
        side = self.picture.height
        if self._drag == "orbit":
            change = interaction.drag_orbit
            name = "Orbit"
        else:
            change = interaction.drag_pan
            name = "Pan"
        self._kit.studio.edit(name, lambda d: change(d, dx, dy, side), gesture=name)

    def release(self, button: int) -> None:
        """A button went up, anywhere."""
        if self._drag == "divider" and button == LEFT:
            self._drag = None
            self._split.release()
        elif self._drag == ("orbit" if button == LEFT else "pan"):
            self._drag = None
            self._kit.studio.end_gesture()

    def wheel(self, notches: float) -> None:
        """The wheel turned while the mouse is on the picture's area."""
        studio = self._kit.studio
        if self._is_mine() and studio.model is not None:
            studio.edit("Zoom", lambda d: interaction.wheel_zoom(d, notches), "Zoom", BRIEF_GESTURE)

    def double_click(self, x: float, y: float) -> None:
        """The left button was pressed twice on the picture."""
        local = self._local(x, y)
        if self._is_mine() and self._split.contains(self.picture, *local):
            self._drag = None
            self._split.center()
        elif self._is_mine() and not self.gizmo.contains(*local):
            self._drag = None
            self._kit.studio.edit("Reset camera", edits.reset_view)

    def hold_reference(self) -> None:
        """Show the reference as long as its key is down."""
        compare = self._kit.studio.compare
        if is_down("compare_hold"):
            compare.hold()
        else:
            key = command("compare_hold").keys
            self._kit.studio.say(f"Hold {key} to see it; let go to come back.", key="command")

    def described(self) -> dict[str, object]:
        """The comparison, and where its divider lies in the window, for the tests."""
        places = self._split.places(self._area, self.picture)
        drawn = {name: [r.x, r.y, r.width, r.height] for name, r in places.items()}
        return {**self._kit.studio.compare.described(), "places": drawn, "hot": self._split.hot}

    def _end_under(self, x: float, y: float) -> AxisEnd | None:
        cx, cy = self.gizmo.center
        return end_at(self._kit.studio.document.pose, x - cx, y - cy, self._kit.scale)

    def _local(self, x: float, y: float) -> tuple[float, float]:
        return x - self._area.x, y - self._area.y

    def _is_mine(self) -> bool:
        """Whether the mouse is on the picture's area with no other window above it."""
        return bool(dpg.is_item_hovered(self._canvas))
