"""The one table of commands: what keys, menus, tooltips, the palette and the help window show.

To add a command, add one line to :data:`COMMANDS`; nothing else is needed for the palette, the
help window and its keys. A button for it takes its tooltip from :func:`tip`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app import interaction
from app import possible as can
from app.chords import Chord, chords, first_of
from app.document import Direction
from app.studio import BRIEF_GESTURE, Studio
from engine.capabilities import ViewMode

if TYPE_CHECKING:
    from app.parts import Parts


def always(_studio: Studio) -> str:
    """For commands that can be done at any time."""
    return ""


@dataclass(frozen=True)
class Command:
    """One line of the table.

    Attributes:
        name: unique, for the code.
        title: what it does, in a few words, as the palette and the help window show it.
        group: heading in the help window.
        do: does it; may raise UserError.
        keys: ``"Ctrl+Z"``; several with ", " between, the one to show first; empty for none.
        tip: the sentence of its button; empty for the title.
        why_not: the reason why it cannot be done now; empty if it can.
        repeats: holding the key does it again and again.
        everywhere: works while a text box is being typed in, too.
    """

    name: str
    title: str
    group: str
    do: Callable[[Parts], None]
    keys: str = ""
    tip: str = ""
    why_not: Callable[[Studio], str] = always
    repeats: bool = False
    everywhere: bool = False

    @property
    def chords(self) -> tuple[Chord, ...]:
        """Keys that do it."""
        return chords(self.keys)


CAMERA, IDENTITY, VIEW, GENERAL = "Camera", "Identity", "View", "General"
TIMELINE, COMPARE, EDIT = "Timeline", "Compare", "Edit"
PROJECT, EXPORT, WINDOW = "Project", "Export", "Window"


def _look(direction: Direction) -> Callable[[Parts], None]:
    return lambda w: w.camera.look_from(direction)


def _view(mode: ViewMode) -> Callable[[Parts], None]:
    return lambda w: w.toolbar.choose(mode)


def _nudge(right: int, up: int) -> Callable[[Parts], None]:
    return lambda w: w.kit.studio.edit(
        "Nudge", lambda d: interaction.nudge(d, right, up), "Nudge", BRIEF_GESTURE
    )


def _zoom(notches: int) -> Callable[[Parts], None]:
    return lambda w: w.kit.studio.edit(
        "Zoom", lambda d: interaction.wheel_zoom(d, notches), "Zoom", BRIEF_GESTURE
    )


COMMANDS: tuple[Command, ...] = (
    Command("look_front", "Look from the front", CAMERA, _look("front"), "1"),
    Command("look_left", "Look from the side", CAMERA, _look("left"), "3"),
    Command("look_top", "Look from the top", CAMERA, _look("top"), "7"),
    Command("look_back", "Look from behind", CAMERA, _look("back"), "Ctrl+1"),
    Command("look_right", "Look from the other side", CAMERA, _look("right"), "Ctrl+3"),
    Command("look_bottom", "Look from below", CAMERA, _look("bottom"), "Ctrl+7"),
    Command("camera_reset", "Reset the camera", CAMERA, lambda w: w.camera.reset(), "Home, 0",
            "Back to the model's own framing, as a double-click on the picture"),
    Command("nudge_left", "Turn the head left", CAMERA, _nudge(-1, 0), "Left", repeats=True),
    Command("nudge_right", "Turn the head right", CAMERA, _nudge(1, 0), "Right", repeats=True),
    Command("nudge_up", "Tilt the head up", CAMERA, _nudge(0, 1), "Up", repeats=True),
    Command("nudge_down", "Tilt the head down", CAMERA, _nudge(0, -1), "Down", repeats=True),
    Command("zoom_in", "Come closer", CAMERA, _zoom(1), "+", repeats=True),
    Command("zoom_out", "Go farther", CAMERA, _zoom(-1), "-", repeats=True),

    Command("seed_random", "Random identity", IDENTITY, lambda w: w.identity.random(), "R",
            "A face at random"),
    Command("seed_type", "Type a seed", IDENTITY,
            lambda w: w.type_into("identity", lambda: w.identity.seed_box), "Ctrl+G",
            "Put the keyboard into the box of the seed; Enter takes it"),
    Command("seed_previous", "Previous seed", IDENTITY, lambda w: w.identity.previous(), "[",
            repeats=True),
    Command("seed_next", "Next seed", IDENTITY, lambda w: w.identity.next(), "]", repeats=True),
    Command("psi_reset", "Reset the truncation", IDENTITY, lambda w: w.identity.reset_psi()),
    Command("face_pin", "Pin this face", IDENTITY, lambda w: w.faces.pin(), "F",
            "Keep the face with a name, in this project"),
    Command("face_vary", "More like this", IDENTITY, lambda w: w.faces.vary(), "V",
            "A face at random that is like this one", can.model),
    Command("gallery", "Gallery of faces", IDENTITY, lambda w: w.gallery.toggle(), "G",
            "Small pictures of many seeds, of the favourites, and of faces like this one"),
    Command("latent_load", "Load a latent", IDENTITY, lambda w: w.faces.ask_load(),
            tip="Show the face of an .npz file, such as projected_w.npz", why_not=can.model),
    Command("latent_save", "Save the latent of this face", IDENTITY,
            lambda w: w.faces.ask_save(),
            tip="Write the face as numbers (w), for other tools or to load it again",
            why_not=can.model),
    Command("blend_start", "Blend with another face", IDENTITY, lambda w: w.blend.start(),
            tip="Go half-way to a face at random; then choose the face and how far",
            why_not=can.model),
    Command("blend_type", "Type the face to blend with", IDENTITY,
            lambda w: w.type_into("blend", lambda: w.blend.seed_box),
            tip="Put the keyboard into the box of the other seed; Tab goes on to how far",
            why_not=can.blended),
    Command("blend_swap", "Swap the two faces of the blend", IDENTITY, lambda w: w.blend.swap(),
            tip="Exchange the two faces", why_not=can.blended),
    Command("blend_clear", "Clear the blend", IDENTITY, lambda w: w.blend.clear(),
            tip="The face above alone", why_not=can.blended),
    Command("mix_add", "Mix in another face", IDENTITY, lambda w: w.mixing.add(),
            why_not=can.model),
    Command("mix_type", "Type the face to mix in", IDENTITY,
            lambda w: w.type_into("style_mixing", lambda: w.mixing.seed_box),
            tip="Put the keyboard into the box of the seed; Tab goes on to how much of it",
            why_not=can.mixed),
    Command("mix_clear", "Clear the style mix", IDENTITY, lambda w: w.mixing.clear(),
            tip="A alone: remove all the others", why_not=can.mixed),
    Command("edit_by_text", "Edit the face by a text", EDIT,
            lambda w: w.type_into("edit", lambda: w.edit.text_box), "E",
            "Say what should be seen; it becomes a slider", can.model),
    Command("edit_ways", "Ways of the model", EDIT, lambda w: w.ways.toggle(),
            tip="What the model itself can change, with small pictures, to choose from",
            why_not=can.model),
    Command("edit_load", "Load a direction", EDIT, lambda w: w.edit.ask_load(),
            tip="Add an edit from a direction's files", why_not=can.model),
    Command("edit_stop", "Stop looking for an edit", EDIT, lambda w: w.edit.stop(),
            tip="Take no more steps; what is reached can be kept", why_not=can.sought),
    Command("edit_keep", "Keep the edit that is tried out", EDIT, lambda w: w.edit.keep(),
            tip="Make it one of the edits, as it is now", why_not=can.tried),
    Command("edit_discard", "Discard the edit that is tried out", EDIT,
            lambda w: w.edit.discard(), tip="The face as it was before", why_not=can.tried),
    Command("edit_mute", "All edits off, or on again", EDIT, lambda w: w.edit.mute_all(),
            why_not=can.edited),
    Command("edit_clear", "Remove all edits", EDIT, lambda w: w.edit.clear(), why_not=can.edited),
    Command("second_choose", "Take layers of a second model", IDENTITY,
            lambda w: w.second.browse(),
            tip="Choose a model of the same build whose layers the open one borrows",
            why_not=lambda s: s.second.why_not),
    Command("second_save", "Save the two models as one", IDENTITY, lambda w: w.second.ask_save(),
            tip="Write the open model with the borrowed layers as a model of its own",
            why_not=can.swapped),
    Command("second_clear", "Remove the second model", IDENTITY, lambda w: w.second.clear(),
            tip="The open model alone", why_not=can.swapped),
    Command("model_settings_reset", "Reset the model's settings", IDENTITY,
            lambda w: w.model_settings.reset(),
            tip="All of these back to the model's own defaults", why_not=can.own_settings),

    Command("view_picture", "Show the picture", VIEW, _view("picture"), "P",
            "The finished picture", can.seen("picture")),
    Command("view_raw", "Show the raw volume rendering", VIEW, _view("raw"), "W",
            "The volume rendering before the upsampler", can.seen("raw")),
    Command("view_depth", "Show the depth", VIEW, _view("depth"), "D",
            "Distance from the camera, near is bright", can.seen("depth")),
    Command("view_normals", "Show the normals", VIEW, _view("normals"), "N",
            "Direction of the surface", can.seen("normals")),
    Command("view_opacity", "Show the opacity", VIEW, _view("opacity"), "O",
            "How much of each pixel is covered", can.seen("opacity")),

    Command("palette", "Find a command", GENERAL, lambda w: w.palette.toggle(), "Ctrl+P",
            "Every command, found by a few letters of its name", everywhere=True),
    Command("help", "This list of keys", GENERAL, lambda w: w.help.toggle(), "F1, ?",
            "All keys, and what the mouse does"),
    Command("undo", "Undo", GENERAL, lambda w: w.kit.studio.undo(), "Ctrl+Z", why_not=can.undo,
            repeats=True),
    Command("redo", "Redo", GENERAL, lambda w: w.kit.studio.redo(), "Ctrl+Shift+Z, Ctrl+Y",
            why_not=can.redo, repeats=True),
    Command("history", "History of all steps", GENERAL, lambda w: w.history.toggle(), "Ctrl+H",
            "Every step, to go back or forward to any of them"),
    Command("open", "Open a checkpoint", GENERAL, lambda w: w.model.browse(), "Ctrl+O",
            "Choose a checkpoint"),
    Command("path_type", "Type the path of a model", GENERAL,
            lambda w: w.type_into("model", lambda: w.model.path_box), "Ctrl+L",
            "Put the keyboard into the box of the path; Enter opens it"),
    Command("open_folder", "Open the folder of a model", GENERAL,
            lambda w: w.model.browse_folder(),
            tip="Choose the folder of a release that comes as one, such as CIPS-3D's"),
    Command("models", "All models", GENERAL, lambda w: w.models.toggle(),
            tip="Find models in a folder, and see what their authors have released"),
    Command("copy_message", "Copy the last message", GENERAL, lambda w: w.kit.copies.message(),
            "Ctrl+Shift+C", "Put what was said last on the clipboard, even when it has gone", can.told),
    Command("copy_model", "Copy the path of the model", GENERAL, lambda w: w.kit.copies.model(),
            tip="Put it on the clipboard", why_not=can.model),
    Command("engine_restart", "Start the engine again", GENERAL,
            lambda w: w.kit.studio.restart_engine(),
            tip="Start the process that draws once more", why_not=can.stopped),

    Command("export", "Export what the panel shows", EXPORT, lambda w: w.export.start(),
            "Ctrl+E", "Put it into the queue of exports; work goes on meanwhile", can.model),
    Command("export_type", "Type where to export", EXPORT,
            lambda w: w.type_into("export", lambda: w.export.path_box), "Ctrl+Shift+E",
            "Put the keyboard into the box of the file; Enter begins the export", can.model),
    Command("jobs", "Jobs: what is exported, and was", EXPORT, lambda w: w.jobs.toggle(), "Ctrl+J",
            "Everything that is exported or was: progress, cancel, folder, again"),
    Command("copy_export", "Copy the path of the last export", EXPORT,
            lambda w: w.kit.copies.export(), tip="Put it on the clipboard", why_not=can.exported),
    Command("jobs_clear", "Clear finished jobs", EXPORT, lambda w: w.kit.studio.jobs.clear(),
            tip="Take what is over out of the list of jobs; the files stay", why_not=can.finished),
    Command("export_picture", "Prepare a picture", EXPORT, lambda w: w.prepare_export("picture")),
    Command("export_video", "Prepare a video", EXPORT, lambda w: w.prepare_export("video")),
    Command("export_mesh", "Prepare a mesh", EXPORT, lambda w: w.prepare_export("mesh")),
    Command("export_sheet", "Prepare a sheet", EXPORT, lambda w: w.prepare_export("sheet")),

    Command("compare_hold", "Hold: reference or before the edit", COMPARE,
            lambda w: w.viewport.hold_reference(), "B",
            "While the key is held the whole picture shows the reference; with nothing "
            "pinned, the state before the last edit", can.before),
    Command("compare_pin", "Pin as reference", COMPARE, lambda w: w.kit.studio.compare.pin(), "C",
            "Keep the present state and show it beside what comes next", can.model),
    Command("compare_split", "Show or hide the split", COMPARE,
            lambda w: w.kit.studio.compare.toggle_split(), "S",
            "The reference beside the picture, with a line to drag between the two", can.pinned),
    Command("compare_swap", "Swap with the reference", COMPARE,
            lambda w: w.kit.studio.compare.swap(), "X",
            "The reference becomes the present state, and the present state the reference",
            can.pinned),
    Command("compare_camera", "Let the reference keep its own camera, or not", COMPARE,
            lambda w: w.kit.studio.compare.toggle_camera(),
            tip="Seen as it was pinned, or by the present camera", why_not=can.pinned),
    Command("compare_unpin", "Unpin the reference", COMPARE,
            lambda w: w.kit.studio.compare.unpin(), tip="Compare no more", why_not=can.reference),

    Command("timeline", "Show or hide the timeline", TIMELINE,
            lambda w: w.timeline.playback.toggle(), "T",
            "Keys of camera and face in time: play them, film them"),
    Command("timeline_play", "Play or pause the timeline", TIMELINE,
            lambda w: w.timeline.playback.play_or_pause(), "Space",
            "Play from the playhead in real time, or stop", can.keyed),
    Command("timeline_add", "Add a key to the timeline", TIMELINE,
            lambda w: w.timeline.set_key(), "K",
            "Keep this view and face at the playhead; a key that is there takes them over", can.model),
    Command("timeline_previous", "Go to the previous key", TIMELINE,
            lambda w: w.timeline.playback.step(-1), ",", why_not=can.keyed),
    Command("timeline_next", "Go to the next key", TIMELINE,
            lambda w: w.timeline.playback.step(1), ".", why_not=can.keyed),
    Command("timeline_duplicate", "Duplicate the chosen key", TIMELINE,
            lambda w: w.timeline.playback.duplicate(),
            tip="Copy the chosen key to the playhead, or a second on", why_not=can.keyed),
    Command("timeline_delete", "Delete the chosen key", TIMELINE,
            lambda w: w.timeline.playback.delete(), "Delete", "Remove the chosen key", can.keyed),
    Command("timeline_clear", "Clear the timeline", TIMELINE, lambda w: w.timeline.clear(),
            tip="Remove all keys", why_not=can.keyed),
    Command("timeline_load", "Load a timeline", TIMELINE, lambda w: w.timeline.ask_load(),
            tip="Take over the keys of a saved path (.json)"),
    Command("timeline_save", "Save the timeline as a file", TIMELINE,
            lambda w: w.timeline.ask_save(),
            tip="Keep the path as a file of its own, for other projects and for maquette video",
            why_not=can.keyed),
    Command("timeline_export", "Export a video of the timeline", TIMELINE,
            lambda w: w.film_timeline(),
            tip="Film the timeline at full quality in the background, with the size and the "
            "format of the Video tab", why_not=can.keyed),

    Command("train", "Train a model", PROJECT, lambda w: w.train.toggle(),
            tip="Fine-tune a generator on pictures of your own, and watch it"),
    Command("prepare", "Prepare photographs to train on", PROJECT, lambda w: w.prepare.toggle(),
            tip="Find the faces in photographs, cut them, and make a set to train on"),
    Command("project_new", "New project", PROJECT, lambda w: w.kit.studio.desk.new(), "Ctrl+N",
            "Begin anew on the present model"),
    Command("project_open", "Open a project", PROJECT, lambda w: w.kit.studio.desk.ask_open(),
            "Ctrl+Shift+O"),
    Command("project_save", "Save the project", PROJECT, lambda w: w.kit.studio.desk.save(),
            "Ctrl+S", everywhere=True),
    Command("project_save_as", "Save under another name", PROJECT,
            lambda w: w.kit.studio.desk.ask_save_as(), "Ctrl+Shift+S", everywhere=True),
    Command("quit", "Quit", PROJECT, lambda w: w.kit.studio.desk.close(), "Ctrl+Q",
            "Leave; asks about what is not saved", everywhere=True),

    Command("settings", "Settings", WINDOW, lambda w: w.settings.toggle(),
            tip="Size of the letters, rate while moving, device"),
    Command("colours", "Switch between dark and light", WINDOW, lambda w: w.settings.switch_theme()),
    Command("larger", "Larger letters and controls", WINDOW, lambda w: w.resize(1), "Ctrl++",
            everywhere=True),
    Command("smaller", "Smaller letters and controls", WINDOW, lambda w: w.resize(-1), "Ctrl+-",
            everywhere=True),
    Command("reset_layout", "Reset the layout", WINDOW, lambda w: w.reset_layout(),
            tip="Every section at its first place and unfolded, columns as wide as at first, "
            "all popups closed"),
    Command("columns", "Hide or show the columns", WINDOW, lambda w: w.docking.toggle_columns(),
            "H", "The picture alone in the window, or the sections beside it again"),
    Command("fold_all", "Fold every section", WINDOW, lambda w: w.fold_all(True)),
    Command("close_popup", "Close lists and notices", WINDOW, lambda w: w.close_popups(), "Esc",
            everywhere=True),
)  # fmt: skip

#: What the mouse does in the picture, for the help window.
MOUSE: tuple[tuple[str, str], ...] = (
    ("Left drag", "Turn the head"),
    ("Right or middle drag", "Move the picture"),
    ("Wheel", "Come closer, go farther"),
    ("Double-click", "Reset the camera"),
    ("Click an axis", "Look along that axis"),
    ("Drag the divider", "Show more of either side"),
    ("Right-click a step", "Compare with it"),
    ("Right-click a message", "Copy it, as paths and facts"),
)

_BY_NAME = {command.name: command for command in COMMANDS}
_BY_CHORD = {chord: command for command in COMMANDS for chord in command.chords}


def command(name: str) -> Command:
    """The command of a name."""
    return _BY_NAME[name]


def find(chord: Chord, typing: bool) -> Command | None:
    """The command of a chord.

    Args:
        chord: what was pressed.
        typing: a text box is being typed in; then only those marked ``everywhere`` count.
    """
    found = _BY_CHORD.get(chord)
    return found if found is not None and (found.everywhere or not typing) else None


def with_keys(text: str, name: str) -> str:
    """A text with the keys of a command behind it: ``Undo: Orbit (Ctrl+Z)``."""
    keys = command(name).keys
    return f"{text} ({first_of(keys)})" if keys else text


def tip(name: str) -> str:
    """The tooltip of a command's button: ``Choose a checkpoint (Ctrl+O)``."""
    found = command(name)
    return with_keys(found.tip or found.title, name)


def perform(wanted: Command, parts: Parts) -> None:
    """Do a command, or say why it cannot be done now.

    Raises:
        UserError: it cannot be done.
    """
    studio = parts.kit.studio
    if why := wanted.why_not(studio):
        # A key that is held would say it many times.
        if all(notice.text != why for notice in studio.notices.notices):
            studio.say(why, key="command")
        return
    wanted.do(parts)
