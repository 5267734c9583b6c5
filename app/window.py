"""The window: puts the parts together and runs the loop.

This loop takes in what the engine sent, shows what changed, draws one frame, runs the callbacks,
and sleeps; when nothing happens it sleeps longer. Only it touches Dear PyGui, but for what a drag
asks for, which is taken in while the frame is painted (:mod:`app.early`).
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial

import dearpygui.dearpygui as dpg

from app import theme
from app.dialogs import Dialogs
from app.display import require_display, screen_dots, screen_size
from app.early import EarlyThread
from app.folder_search import FolderSearch
from app.geometry import (
    MIN_HEIGHT,
    MIN_WIDTH,
    Layout,
    Rect,
    arrange,
    first_scale,
    first_size,
    fitting_scale,
)
from app.held import Held
from app.input_watch import InputWatch
from app.keyboard import Keyboard, is_key
from app.kit import Kit
from app.live_texture import LiveTexture, LiveTextures
from app.meter import Pace
from app.parts import Parts
from app.playback import Playback
from app.pointer import Pointer
from app.processor import paint_in_one_thread
from app.recovery import Recovery
from app.runner import CallbackRunner, passed
from app.settings import Settings, load_settings
from app.state_hook import StateHook
from app.studio import Studio
from app.timing_hook import TimingHook, timed
from engine.assets import BUNDLED, asset
from engine.errors import UserError
from engine.memory import give_back

log = logging.getLogger(__name__)

TITLE = "Maquette"
#: Of the mouse: left, right, middle.
BUTTONS = (0, 1, 2)
#: Frames a second while things change, soon after that, and while nothing does. Without a watch on the input it is
#: noticed only by drawing; with one, it and what the engine sends are drawn when they come.
WATCHED_RATES, BLIND_RATES = (30.0, 10.0, 1.0), (60.0, 60.0, 10.0)
#: Seconds between two looks at what may have changed otherwise while the window rests.
ENGINE_PERIOD = 0.02


def run(path: str | None = None, device: str = "auto", *, opener: str = "") -> int:
    """Open the window and stay until it is closed.

    Args:
        path: a checkpoint or a project to open; ``None`` opens the bundled generator.
        device: ``"auto"`` (the remembered choice), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        opener: see :class:`~app.client.EngineClient`; for tests only.

    Returns:
        Exit status 0.

    Raises:
        UserError: there is no display to open a window on.
    """
    require_display()
    paint_in_one_thread()
    loaded = load_settings()
    settings = loaded.settings
    if loaded.is_first:
        settings = _for_this_screen(settings)
    chosen = device if device != "auto" else settings.device
    client, times = timed(chosen, target_fps=settings.target_fps, opener=opener)
    # The engine loads torch while the window is being built.
    client.start()
    studio = Studio(client, settings, recovery=Recovery())
    try:
        if loaded.notice:
            studio.say(loaded.notice, "warning")
        _open_first(studio, path)
        studio.desk.safe.offer()
        Window(studio, times).run()
    finally:
        studio.desk.shut()
        studio.gallery.shut()
        studio.training.close()
        client.close()
        studio.kept.flush()
    return 0


def _for_this_screen(settings: Settings) -> Settings:
    """The size of letters and window to begin with, before anybody has chosen another."""
    scale = first_scale(screen := screen_size(), screen_dots())
    size = first_size(settings.window_size, screen, scale)
    return replace(settings, ui_scale=scale, window_size=size)


def _open_first(studio: Studio, path: str | None) -> None:
    """Open what the command line named; what is wrong with it becomes a notice."""
    try:
        studio.open_model(path or BUNDLED)
    except UserError as error:
        studio.complain(str(error))
        studio.open_model(BUNDLED)


class Window:
    """The parts of the window and its loop."""

    def __init__(self, studio: Studio, times: TimingHook | None = None) -> None:
        self._studio, self._times = studio, times
        self._dialogs = Dialogs()
        self._runner = CallbackRunner(studio.complain)
        self._watch = InputWatch()
        self._pointer = Pointer(self._watch.pointer, _mouse, dpg.get_viewport_pos)
        if times is not None:
            times.mouse = self._pointer.newest
        self._early = EarlyThread(
            self._runner, self._follow, dpg.get_callback_queue, dpg.get_frame_count, self._chase
        )
        self._pace = Pace(*(WATCHED_RATES if self._watch.works else BLIND_RATES))
        self._hook = StateHook.from_environment()
        self._keyboard = Keyboard()
        self._search = FolderSearch()
        self._playback = Playback(studio)
        self._placed: tuple[int, int] = (0, 0)
        self._arranged: tuple[bool, int] = (False, -1)
        # Never deleted: the toolkit takes a deleted font out of its atlas a frame later, and dies
        # if the atlas was made anew meanwhile.
        self._fonts: dict[float, theme.Fonts] = {}
        self._rescale_to: float | None = None

    def run(self) -> None:
        """Show the window until it is closed."""
        dpg.create_context()
        try:
            self._open()
            while dpg.is_dearpygui_running() and not self._studio.desk.closed:
                self._step()
            self._remember_size()
        finally:
            self._early.close()
            self._search.cancel()
            self._dialogs.close()
            self._watch.close()
            dpg.destroy_context()

    # Building ---------------------------------------------------------------------------

    def _open(self) -> None:
        settings = self._studio.settings
        dpg.configure_app(manual_callback_management=True, keyboard_navigation=False, init_file="")
        position = settings.window_position
        place = {} if position is None else {"x_pos": position[0], "y_pos": position[1]}
        width, height = settings.window_size
        # No waiting for the screen's refresh: the swap would hold up the callbacks behind it, and
        # with them what the mouse asked for, by up to two refreshes. The pace limits the frames.
        dpg.create_viewport(
            title=TITLE, width=max(width, MIN_WIDTH), height=max(height, MIN_HEIGHT),
            min_width=MIN_WIDTH, min_height=MIN_HEIGHT, clear_color=theme.PANEL, vsync=False,
            disable_close=True,
            small_icon=str(asset("icons/maquette-32.png")),
            large_icon=str(asset("icons/maquette-128.png")), **place,
        )  # fmt: skip
        dpg.set_exit_callback(lambda: self._studio.desk.close())
        self._textures = LiveTextures(LiveTexture(), LiveTexture())
        with dpg.handler_registry():
            for button in BUTTONS:
                dpg.add_mouse_click_handler(button, callback=partial(self._mouse_down, button))
                dpg.add_mouse_release_handler(button, callback=partial(self._mouse_up, button))
            dpg.add_mouse_double_click_handler(0, callback=self._mouse_double)
            dpg.add_mouse_move_handler(callback=self._mouse_moved)
            dpg.add_mouse_wheel_handler(callback=self._mouse_wheel)
            dpg.add_key_press_handler(callback=self._key)
        self._build(fitting_scale(settings.ui_scale, width, height))
        dpg.setup_dearpygui()
        dpg.show_viewport()

    def _build(self, scale: float) -> None:
        """Create fonts, themes and every part at a UI scale."""
        self._look = self._studio.settings.theme
        theme.use(self._look)
        dpg.set_viewport_clear_color(list(theme.PANEL))
        fonts = self._fonts[scale] = self._fonts.get(scale) or theme.load_fonts(scale)
        themes = theme.make_themes(scale)
        dpg.bind_font(fonts.body)
        dpg.bind_theme(themes.base)
        held = Held(theme.GRAB * scale, _mouse)
        self._kit = Kit(self._studio, self._dialogs, fonts, themes, scale, self._pointer, held)
        self._parts = Parts(
            self._kit, self._textures, self._search, self._playback, self._ask_rescale
        )
        self._placed = (0, 0)
        self._seen = -1

    def _ask_rescale(self, scale: float) -> None:
        self._studio.change_settings(replace(self._studio.settings, ui_scale=scale))
        fitting = self._fit_scale(*self._placed)
        if fitting < scale:
            self._studio.say(
                f"At {scale:.0%} the interface does not fit into this window; it is shown at "
                f"{fitting:.0%} until the window is larger.",
                key="scale",
            )

    def _fit_scale(self, width: int, height: int) -> float:
        """See to it that the wished scale, or what fits of it, is shown."""
        scale = fitting_scale(self._studio.settings.ui_scale, width, height)
        # Built anew between two frames, not inside the callback of a widget that would go.
        self._rescale_to = None if scale == self._kit.scale else scale
        return scale

    def _rescale(self, scale: float) -> None:
        """Build everything anew at a UI scale, in the chosen colours; what was typed stays, and
        so does what is open."""
        parts, kit = self._parts, self._kit
        values, memory, opened = kit.values(), parts.export.memory, parts.opened
        parts.delete()
        self._build(scale)
        self._kit.restore(values)
        self._parts.export.recall(memory)
        self._parts.open_again(opened, at_their_places=scale == kit.scale)
        give_back()

    # The loop ---------------------------------------------------------------------------

    def _step(self) -> None:
        started = time.monotonic()
        if self._rescale_to is not None:
            scale, self._rescale_to = self._rescale_to, None
            self._rescale(scale)
        if self._studio.settings.theme != self._look:
            self._rescale(self._kit.scale)
        self._runner.call(self._studio.poll)
        self._runner.call(self._playback.tick)
        self._runner.call(self._poll_dialogs)
        if self._studio.revision != self._seen:
            self._runner.call(self._update)
            self._pace.touch(started)
        if not dpg.is_mouse_button_down(0) and self._kit.typing:
            # The text cursor blinks.
            self._pace.stir(started)
        self._place()
        self._parts.viewport.update(self._studio, self._parts.gallery.cover)
        handed = time.monotonic()
        if self._watch.forget():
            self._pace.touch(handed)
        if self._paint():
            self._pace.touch(started)
        drawn = time.monotonic()
        self._pointer.compare(self._watch.last)
        self._textures.present.after_frame()
        self._runner.call(self._parts.after_frame)
        self._keyboard.see_modifiers()
        if self._runner.run(dpg.get_callback_queue()):
            self._pace.touch(started)
        if self._times is not None:
            self._times.drawn(started, handed, drawn, time.monotonic(), self._studio.frame)
        self._hook.write(self._studio, self._kit, self._places, self._parts.described)
        self._rest(started)

    def _paint(self) -> int:
        """Draw a frame; the number of callbacks that have run meanwhile, while a button is held."""
        self._hook.begin()
        if any(dpg.is_mouse_button_down(button) for button in BUTTONS):
            return self._early.paint(dpg.render_dearpygui_frame)
        dpg.render_dearpygui_frame()
        return 0

    def _rest(self, started: float) -> None:
        """Sleep until the next frame is due. Input and what the engine sends end the sleep, but
        where drawing is slow the engine is left its share."""
        now = time.monotonic()
        due, soonest = now + self._pace.sleep(started, now), now + self._pace.least(started, now)
        while (left := due - time.monotonic()) > 0:
            if self._watch.wait(min(left, ENGINE_PERIOD), self._studio.client.descriptor):
                self._pace.touch(time.monotonic())
                due = soonest
            elif self._studio.poll() or self._hook.waits:
                due = soonest

    def _poll_dialogs(self) -> None:
        self._dialogs.poll()
        if self._parts.models.poll():
            self._pace.touch(time.monotonic())

    def _update(self) -> None:
        studio = self._studio
        self._seen = studio.revision
        self._parts.update(studio)
        title = f"{studio.desk.title} - {TITLE}"
        if dpg.get_viewport_title() != title:
            dpg.set_viewport_title(title)

    def _place(self) -> None:
        """Follow the size of the window."""
        size = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        opened, docking = self._playback.is_open, self._parts.docking
        docking.tick()
        layout = arrange(*size, self._kit.scale, opened, docking.extents)
        self._parts.toasts.place(layout.viewport)
        # A window that is put away has no size.
        state = opened, docking.revision
        if (size, state) == (self._placed, self._arranged) or 0 in size:
            return
        self._placed, self._arranged = size, state
        self._fit_scale(*size)
        for name, window in self._parts.windows.items():
            rect: Rect = getattr(layout, name)
            dpg.configure_item(
                window, pos=(int(rect.x), int(rect.y)), width=int(rect.width),
                height=int(rect.height), show=rect.height > 0 and rect.width > 0,
            )  # fmt: skip
        docking.place(layout)
        self._parts.dock_drag.place()
        self._parts.viewport.place(layout.viewport)
        self._parts.timeline.place(layout.timeline)
        self._parts.toolbar.place(layout.toolbar.width, layout.viewport.x, layout.viewport.width)
        self._layout: Layout = layout
        self._pace.touch(time.monotonic())

    def _places(self) -> dict[str, Rect]:
        """Where the drawn parts lie in the window."""
        area = self._layout.viewport
        parts = {"picture": self._parts.viewport.picture, "gizmo": self._parts.viewport.gizmo.box}
        drawn = self._parts.mixing.canvas.places | self._parts.timeline.canvas.places
        return drawn | {
            name: Rect(area.x + box.x, area.y + box.y, box.width, box.height)
            for name, box in parts.items()
        }

    def _remember_size(self) -> None:
        x, y = (int(v) for v in dpg.get_viewport_pos())
        size = max(dpg.get_viewport_width(), MIN_WIDTH), max(dpg.get_viewport_height(), MIN_HEIGHT)
        place = max(x, 0), max(y, 0)
        settings = replace(self._studio.settings, window_size=size, window_position=place)
        self._studio.change_settings(settings)

    # Mouse and keys ---------------------------------------------------------------------

    def _mouse_down(self, button: int) -> None:
        self._parts.press(button)
        for part in self._parts.drawn:
            part.press(button, *_mouse())

    def _mouse_up(self, button: int) -> None:
        for part in self._parts.drawn:
            part.release(button)

    def _mouse_double(self) -> None:
        self._parts.viewport.double_click(*_mouse())

    def _follow(self) -> None:
        """What is dragged takes in where the mouse is; called in the early thread. A button that has
        just gone up comes first, in the main loop."""
        part = self._parts.dragged
        if part is not None and any(dpg.is_mouse_button_down(button) for button in BUTTONS):
            part.move(*self._pointer.newest())

    def _chase(self) -> None:
        """What is dragged takes in where the mouse has gone since; called in the early thread."""
        place = self._pointer.held()
        if place is not None:
            (self._parts.dragged or self._kit.held).move(*place)

    @passed()
    def _mouse_moved(self) -> None:
        place = self._pointer.newest()
        for part in self._parts.drawn:
            part.move(*place)

    def _mouse_wheel(self, _sender: int, notches: float) -> None:
        self._parts.viewport.wheel(notches)

    @passed(lambda code: not is_key(code))
    def _key(self, _sender: int, code: int) -> None:
        waits = self._studio.desk.talk.is_open
        if self._parts.key(code):
            return
        command = self._keyboard.command(code, self._kit.typing)
        if command is not None and (not waits or command.name == "close_popup"):
            self._parts.perform(command)


def _mouse() -> tuple[float, float]:
    x, y = dpg.get_mouse_pos(local=False)
    return float(x), float(y)
