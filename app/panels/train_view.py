"""How a training run goes: curves, samples, what it says, and what can be done with it."""

from __future__ import annotations

from pathlib import Path

import dearpygui.dearpygui as dpg
import numpy as np

from app.conversation import Choice, nothing
from app.exports import time_left
from app.kit import Kit
from app.panels.gallery import Textures
from app.sample_grid import SEEDS, SampleGrid
from app.training import Training
from app.training_curves import Curve

#: Plots by the first part of a curve's name.
PLOTS = {"losses": "Losses", "scores": "Scores", "rates": "Learning rates", "speed": "Speed"}
_PLOT_TIPS = {
    "losses": "What each network is punished for; they fight, so that none of them goes to nothing",
    "scores": "What the discriminator says of real and of drawn pictures, FID and KID where they are "
    "measured, and how strongly pictures are augmented",
    "rates": "The learning rate of each network",
    "speed": "Real pictures shown in a second",
}
PLOT_HEIGHT, CELL, COLUMNS = 210, 118, 4
#: Sentences that are shown.
NOTES = 6
#: How a snapshot that was set aside ends in the list.
ASIDE = ", set aside"
#: Degrees that the samples turn by when the mouse crosses one of them.
DEGREES_PER_CELL = 60.0
STATES = {
    "idle": "No run",
    "looking": "Looking",
    "starting": "Starting",
    "training": "Training",
    "paused": "Paused",
    "stopping": "Stopping, and keeping what there is",
    "over": "The run is over",
}


def choices(training: Training) -> dict[str, tuple[int, int | None]]:
    """What can be gone to, newest first and what was set aside last: label -> step and line."""
    found: dict[str, tuple[int, int | None]] = {
        str(step): (step, None) for step in reversed(training.snapshots)
    }
    steps = [step for step, _line in training.aside]
    for step, line in reversed(training.aside):
        which = f"{step}/{line}" if steps.count(step) > 1 else f"{step}"
        found[f"{which}{ASIDE}"] = step, line
    return found


class TrainView:
    """The right side of the window for training.

    Args:
        kit: what every panel is given.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._lines: dict[str, tuple[int, int]] = {}
        self._steps: dict[str, tuple[int, int | None]] = {}
        self._sheet = ("", 0)
        self._old: list[int] = []
        self._drawn: object = None
        self._mouse: tuple[float, float] | None = None

    @property
    def _training(self) -> Training:
        return self._kit.studio.training

    @property
    def _grid(self) -> SampleGrid:
        return self._training.grid

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._textures = Textures()
        self._state = kit.name("train_state", kit.text("", font=kit.fonts.strong, wrap=0))
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            self._pause = kit.button(
                "Pause", lambda: self._training.pause(), "train_pause",
                "Stand still after the present step, or go on", width=kit.px(84),
            )  # fmt: skip
            self._stop = kit.button(
                "Stop and keep", lambda: self._training.stop(), "train_stop",
                "Stop after the present step; the model is kept, and the run can go on later",
                width=kit.px(124),
            )  # fmt: skip
            self._open = kit.button(
                "Open the model", lambda: self._training.open_result(), "train_result",
                "Open what came of the run", width=kit.px(130),
            )  # fmt: skip
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            kit.label("Go back to", width=78)
            self._back = int(
                dpg.add_combo(
                    [], width=kit.px(130),
                    callback=lambda _sender, shown: self._training.go_back(*self._steps[shown]),
                )
            )  # fmt: skip
            kit.tip(
                kit.name("train_back", self._back),
                "A step of which a snapshot is kept; training goes on from there. What came after it, the "
                "present state, too, is set aside and stays in this list",
            )
            self._delete = kit.button(
                "Delete ...", self._ask_delete, "train_aside",
                "Delete the snapshots that were set aside when training went back", width=kit.px(78),
            )  # fmt: skip
            self._watch = int(
                dpg.add_checkbox(
                    label="Watch it live", callback=lambda _sender, on: self._training.watch(on)
                )
            )
            kit.tip(
                kit.name("train_watch", self._watch),
                "Open the model while it is trained: it can be turned and mixed like any other, and "
                "is renewed every few seconds",
            )
        with dpg.tab_bar():
            self._axes = {name: self._plot(name) for name in PLOTS}
        with dpg.group(horizontal=True):
            side = kit.px(CELL)
            self._canvas = int(dpg.add_drawlist(COLUMNS * side, len(SEEDS) // COLUMNS * side))
            kit.name("train_samples", self._canvas)
        self._hint = kit.text("", theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        self._notes = kit.name(
            "train_notes", kit.text("", theme=kit.themes.muted, font=kit.fonts.small, wrap=0)
        )
        kit.copied(self._notes)

    def _ask_delete(self) -> None:
        training = self._training
        count = len(training.aside)
        what = "a snapshot" if count == 1 else f"{count} snapshots"
        delete = Choice(
            "Delete", "train_aside_delete", training.delete_aside,
            "What was set aside cannot be gone to any more; the run itself goes on",
        )  # fmt: skip
        keep = Choice("Keep", "train_aside_keep", nothing, "They stay in the run's folder")
        steps = ", ".join(label for label in self._steps if ASIDE in label)
        self._kit.studio.desk.talk.ask(f"Going back has set aside {what}: {steps}.", delete, keep)

    def _plot(self, name: str) -> int:
        kit = self._kit
        with (
            dpg.tab(label=PLOTS[name]) as tab,
            dpg.plot(height=kit.px(PLOT_HEIGHT), width=-1, no_mouse_pos=True, no_menus=True),
        ):
            dpg.add_plot_legend(location=dpg.mvPlot_Location_NorthEast)
            dpg.add_plot_axis(dpg.mvXAxis, label="step")
            axis = int(dpg.add_plot_axis(dpg.mvYAxis))
            dpg.bind_colormap(dpg.top_container_stack(), kit.themes.curves)
        kit.tip_of_tab(kit.name(f"train_tab_{name}", int(tab)), _PLOT_TIPS[name])
        return axis

    def update(self) -> None:
        """Show the present state."""
        kit, training = self._kit, self._training
        kit.show_value(self._state, self._sentence())
        active = training.state in ("training", "paused")
        kit.enable(self._pause, active)
        label = "Go on" if training.state == "paused" else "Pause"
        if dpg.get_item_label(self._pause) != label:
            dpg.configure_item(self._pause, label=label)
        kit.enable(self._stop, active or training.state in ("starting", "looking"))
        kit.enable(self._open, bool(training.model))
        self._steps = choices(training)
        if dpg.get_item_configuration(self._back)["items"] != list(self._steps):
            dpg.configure_item(self._back, items=list(self._steps))
        kit.enable(self._back, active and bool(self._steps))
        kit.show(self._delete, bool(training.aside))
        kit.enable(self._delete, active)
        kit.show_value(self._watch, training.watching)
        self._show_curves()
        kit.show_value(self._notes, "\n".join(f"{step}: {text}" for step, text in
                                              reversed(training.notes[-NOTES:])))  # fmt: skip
        self._show_samples()

    def _sentence(self) -> str:
        training, last = self._training, self._training.last
        said = STATES[training.state]
        if last is None:
            return said
        # Where a text leads nothing is shown: each of its people is drawn twice.
        counted = "people drawn" if "score/reached" in last.losses else "pictures shown"
        parts = [said, f"step {last.step:,}", f"{last.images:,} {counted}"]
        if training.state == "training":
            parts.append(f"{last.images_per_second:.1f} pictures a second")
            if last.seconds_left is not None:
                parts.append(time_left(last.seconds_left))
        return "  ·  ".join(parts)

    def _show_curves(self) -> None:
        for name, curve in self._training.curves.named.items():
            plot, _, title = name.partition("/")
            axis = self._axes.get(plot) or self._axes["scores"]
            if name not in self._lines:
                line = int(dpg.add_line_series([], [], label=title or plot, parent=axis))
                self._lines[name] = (line, axis)
            self._set(self._lines[name], curve)
        for name in [n for n in self._lines if n not in self._training.curves.named]:
            dpg.delete_item(self._lines.pop(name)[0])

    def _set(self, where: tuple[int, int], curve: Curve) -> None:
        line, axis = where
        shown = dpg.get_value(line)
        if len(shown[0]) == len(curve.steps) and list(shown[0][-1:]) == curve.steps[-1:]:
            return
        dpg.set_value(line, [list(curve.steps), list(curve.values)])
        parent = dpg.get_item_parent(axis)
        for one in dpg.get_item_children(parent, 1) or []:
            dpg.fit_axis_data(one)

    # Samples ----------------------------------------------------------------------------

    def _show_samples(self) -> None:
        grid, training = self._grid, self._training
        live = training.live.path if training.live is not None and training.watching else ""
        grid.show(live)
        if live and grid.pictures:
            hint = "Drag to turn them."
            shown: object = tuple((n, id(grid.pictures.get(n))) for n in SEEDS)
        else:
            shown = training.samples
            hint = "Seeds 0 to 7 at the newest snapshot, from the front and from the side. " if (
                training.samples) else ""  # fmt: skip
            hint += "Watch it live to turn them with the mouse." if training.is_busy else ""
        self._kit.show_value(self._hint, hint)
        if shown == self._drawn:
            return
        self._drawn = shown
        dpg.delete_item(self._canvas, children_only=True)
        if live and grid.pictures:
            side = self._kit.px(CELL)
            for place, seed in enumerate(SEEDS):
                left, top = place % COLUMNS * side, place // COLUMNS * side
                texture = self._textures.of(grid.pictures.get(seed))
                corners = (left, top), (left + side - 2, top + side - 2)
                dpg.draw_image(texture, *corners, parent=self._canvas)
        elif training.samples:
            self._draw_sheet(training.samples)

    def _draw_sheet(self, path: str) -> None:
        """The picture that the run itself has drawn."""
        from PIL import Image

        try:
            with Image.open(Path(path)) as image:
                pixels = np.asarray(image.convert("RGBA"), np.float32) / 255.0
        except (OSError, ValueError):
            return
        height, width = pixels.shape[:2]
        if self._sheet[1]:
            self._old.append(self._sheet[1])
        texture = int(
            dpg.add_static_texture(
                width, height, pixels.ravel().tolist(), parent=self._textures.registry
            )
        )
        self._sheet = (path, texture)
        room = COLUMNS * self._kit.px(CELL)
        dpg.draw_image(texture, (0, 0), (room, round(room * height / width)), parent=self._canvas)

    def after_frame(self, window: int) -> None:
        """Follow the mouse on the samples, and free what is shown no more; call once a frame.

        Args:
            window: what the samples lie in.
        """
        self._textures.after_frame()
        if self._old and self._drawn is not None:
            old, self._old = self._old, []
            for texture in old:
                dpg.delete_item(texture)
        over, down = dpg.is_item_hovered(self._canvas), dpg.is_mouse_button_down(0)
        # The toolkit moves a window that is dragged where nothing takes the mouse.
        held = bool(over or self._mouse is not None)
        if dpg.get_item_configuration(window)["no_move"] != held:
            dpg.configure_item(window, no_move=held)
        if not down:
            self._mouse = None
        elif held:
            x, y = self._kit.pointer.newest()
            if self._mouse is not None and (x, y) != self._mouse:
                degrees = DEGREES_PER_CELL / self._kit.px(CELL)
                self._grid.turn(-(x - self._mouse[0]) * degrees, (y - self._mouse[1]) * degrees)
                self._kit.studio.touch()
            self._mouse = (x, y)

    def delete(self) -> None:
        """Take away what is no part of the window."""
        self._textures.delete()
