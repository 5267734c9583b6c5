"""The options of each kind of export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.jobs import LAYOUTS, ExportComparison, ExportMesh, ExportPicture, ExportVideo, Job
from app.kit import Kit
from app.studio import Studio
from engine.errors import UserError
from engine.export.options import PICTURE_SUFFIXES, MeshOptions, VideoFormat, VideoOptions, timed
from engine.identity import MORPH_MODES
from engine.recipe import Recipe
from engine.trajectories import TRAJECTORIES

OWN = "Model's own"
#: A picture without the reference.
ALONE = "Without the reference"
CUT_AWAY = "Cut away by the model's own opacity, softly at the edges"
VIDEO_FORMATS: dict[str, VideoFormat] = {
    "MP4 (H.264)": "mp4",
    "GIF": "gif",
    "PNG sequence": "png",
}
#: The way of the camera that is no trajectory.
TIMELINE = "Timeline"
MESH_FORMATS = {"GLB": ".glb", "PLY": ".ply", "OBJ": ".obj", "STL": ".stl"}


class Form(ABC):
    """The controls of one kind of export.

    Attributes:
        kind: ``"picture"``, ``"video"``, ``"mesh"`` or ``"sheet"``.
        title: name of the tab.
        stem: how the names that are proposed begin.
    """

    kind: str
    title: str
    stem: str = "head"

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    @property
    @abstractmethod
    def suffix(self) -> str:
        """How the file's name ends (empty for a folder)."""

    @property
    def patterns(self) -> tuple[tuple[str, str], ...]:
        """Filters for the system's dialog."""
        return ((self.title, f"*{self.suffix}"),) if self.suffix else ()

    @abstractmethod
    def build(self, changed: Callable[[], None]) -> None:
        """Create the items; ``changed`` is called when the suffix may have changed."""

    @abstractmethod
    def update(self, studio: Studio) -> None:
        """Show what depends on the model."""

    @abstractmethod
    def job(self, recipe: Recipe, path: Path) -> Job:
        """The export as the controls say.

        Raises:
            UserError: naming the value that cannot be.
        """

    def combo(
        self,
        items: Sequence[str],
        default: str,
        name: str,
        callback: Callable[[], None] | None = None,
    ) -> int:
        """A list to choose from that fills the line."""
        call = None if callback is None else (lambda: callback())
        item = dpg.add_combo(list(items), default_value=default, width=-1, callback=call)
        return self._kit.explain(self._kit.name(name, int(item)))


def read_size(text: str) -> int | None:
    """A side in pixels; the model's own (``None``) for an empty box or its hint.

    Raises:
        UserError: it is not a whole number.
    """
    return read_whole(text, "size in pixels")


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds between commas or blanks; none from an empty box.

    Raises:
        UserError: something else stands there.
    """
    words = text.replace(",", " ").split()
    if not all(word.isdigit() for word in words):
        raise UserError(f"The faces must be seeds such as 3, 8, 21, not {text!r}.")
    return tuple(int(word) for word in words)


def read_whole(text: str, what: str) -> int | None:
    """A whole number or, from an empty box, ``None``.

    Raises:
        UserError: it is not a whole number.
    """
    if not (bare := text.strip()):
        return None
    try:
        return int(bare)
    except ValueError:
        raise UserError(f"The {what} must be a whole number, not {bare!r}.") from None


def read_number(text: str, what: str) -> float | None:
    """A number or, from an empty box, ``None``.

    Raises:
        UserError: it is not a number.
    """
    if not (bare := text.strip()):
        return None
    try:
        return float(bare)
    except ValueError:
        raise UserError(f"The {what} must be a number, not {bare!r}.") from None


def check_name(path: Path, transparent: bool) -> None:
    """Whether a picture can be written under a name: its ending chooses the format.

    Raises:
        UserError: it is the ending of no format, or of one without transparency where that is wanted.
    """
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise UserError(f"The picture's name {path.name} must end in .png, .jpg or .webp.")
    if transparent and suffix in (".jpg", ".jpeg"):
        raise UserError(f"A JPEG cannot be transparent; save {path.name} as .png or .webp.")


class PictureForm(Form):
    """Size and background of a picture."""

    kind, title = "picture", "Picture"

    @property
    def suffix(self) -> str:
        """PNG is proposed; JPEG and WebP carry the recipe, too."""
        return ".png"

    @property
    def patterns(self) -> tuple[tuple[str, str], ...]:
        """Filters for the system's dialog."""
        return ((self.title, " ".join(f"*{suffix}" for suffix in PICTURE_SUFFIXES)),)

    def build(self, changed: Callable[[], None]) -> None:
        """Create the items."""
        kit = self._kit
        with kit.row("Size", "Side of the square picture in pixels, 16 to 8192"):
            self._size = kit.box("picture_size", hint=OWN)
        with kit.row("Background", CUT_AWAY):
            self._transparent = int(dpg.add_checkbox(label="Transparent"))
            kit.name("picture_transparent", self._transparent)
            self._why = kit.name("picture_transparent_tip", kit.tip(self._transparent, CUT_AWAY))
        with kit.row(
            "Compare", "With the pinned reference: split where the divider stands, or side by side"
        ):
            choices = [ALONE, *(layout.capitalize() for layout in LAYOUTS)]
            self._compare = self.combo(choices, ALONE, "picture_compare")

    def update(self, studio: Studio) -> None:
        """Show the model's own size as the hint, and whether it knows its opacity."""
        if studio.capabilities:
            hint = f"{studio.capabilities.resolution} px (the model's own)"
            dpg.configure_item(self._size, hint=hint)
            why = studio.capabilities.why_not("opacity")
            self._kit.enable(self._transparent, not why)
            self._kit.show_value(self._why, why or CUT_AWAY)
            if why:
                self._kit.show_value(self._transparent, False)
        comparable = not studio.compare.why_not_shown
        self._kit.enable(self._compare, comparable)
        if not comparable:
            self._kit.show_value(self._compare, ALONE)

    def job(self, recipe: Recipe, path: Path) -> Job:
        """The picture of the present recipe, in the view that is shown."""
        size = read_size(dpg.get_value(self._size))
        transparent = bool(dpg.get_value(self._transparent))
        check_name(path, transparent)
        chosen = replace(recipe, size=size, transparent=transparent)
        compare, shape = self._kit.studio.compare, dpg.get_value(self._compare).lower()
        pinned = None if compare.why_not_shown else compare.pinned
        layout = next((layout for layout in LAYOUTS if layout == shape), None)
        if pinned is None or layout is None:
            return ExportPicture(chosen.checked(), str(path))
        other = pinned.beside(chosen).checked()
        return ExportComparison(chosen.checked(), other, str(path), layout, compare.share)


class VideoForm(Form):
    """Path of the camera, length, rate, size, format."""

    kind, title = "video", "Video"

    @property
    def suffix(self) -> str:
        """As the chosen format says; a PNG sequence is a folder."""
        chosen = self._chosen_format()
        return "" if chosen == "png" else f".{chosen}"

    def _chosen_format(self) -> VideoFormat:
        return VIDEO_FORMATS[dpg.get_value(self._format)]

    def build(self, changed: Callable[[], None]) -> None:
        """Create the items."""
        kit = self._kit
        with kit.row("Camera path", "The way that the camera takes"):
            self._path = self.combo(
                [*(t.capitalize() for t in TRAJECTORIES), TIMELINE],
                "Orbit",
                "video_trajectory",
                self._explain,
            )
        self._about = kit.text("", theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        with kit.row("Swing", "How far the camera swings sideways and up, degrees"):
            self._yaw = kit.box("video_yaw", width=kit.px(46), default_value="25")
            self._pitch = kit.box("video_pitch", width=kit.px(46), default_value="12")
            kit.label("degrees", width=52)
        with kit.row(
            "Morph",
            "Seeds of the faces that the video passes through, such as 3, 8, 21. "
            "Empty keeps the present face.",
        ):
            self._morph = kit.box("video_morph", hint="Seeds, such as 3, 8")
            dpg.configure_item(self._morph, callback=lambda: self._explain())
        # Only a morph has it; the column is short of room.
        with (
            dpg.group(show=False) as between,
            kit.row("Between faces", "How the morph goes from face to face"),
        ):
            self._mode = int(
                dpg.add_combo(
                    [m.capitalize() for m in MORPH_MODES], default_value="Linear",
                    width=-kit.px(72),
                )
            )  # fmt: skip
            kit.name("video_morph_mode", self._mode)
            kit.tip(self._mode, "; ".join(f"{m}: {what}" for m, what in MORPH_MODES.items()))
            self._loop = kit.name("video_morph_loop", int(dpg.add_checkbox(label="Loop")))
            kit.tip(self._loop, "Lead back to the first face, so that the video can repeat")
        self._between = int(between)
        with kit.row("Length", "Seconds, and frames a second"):
            self._seconds = kit.box("video_seconds", width=kit.px(44), default_value="4")
            kit.label("s  at", width=30)
            self._fps = kit.box("video_fps", width=kit.px(44), default_value="25")
            kit.label("fps", width=30)
        with kit.row("Size", "Side of the square picture in pixels, 16 to 8192"):
            self._size = kit.box("video_size", hint=OWN)
        with kit.row(
            "Format", "MP4 plays everywhere; GIF repeats; a sequence is a folder of pictures"
        ):
            self._format = self.combo(list(VIDEO_FORMATS), "MP4 (H.264)", "video_format", changed)

    def update(self, studio: Studio) -> None:
        """Show what the path is, and the model's own size as the hint."""
        self._explain()
        if studio.capabilities:
            hint = f"{studio.capabilities.resolution} px (the model's own)"
            dpg.configure_item(self._size, hint=hint)

    def _explain(self) -> None:
        kind = dpg.get_value(self._path).lower()
        timed = self._is_timeline
        text = self._about_timeline() if timed else TRAJECTORIES[kind]
        dpg.set_value(self._about, text[0].upper() + text[1:])
        for item in (self._morph, self._mode, self._loop, self._seconds, self._fps):
            self._kit.enable(item, not timed)
        self._kit.show(self._between, not timed and bool(dpg.get_value(self._morph).strip()))
        self._kit.enable(self._yaw, not timed and kind not in ("orbit", "still"))
        self._kit.enable(self._pitch, kind in ("circle", "figure-eight"))

    @property
    def _is_timeline(self) -> bool:
        return bool(dpg.get_value(self._path) == TIMELINE)

    def _about_timeline(self) -> str:
        line = self._kit.studio.document.timeline
        if not line.keys:
            return "The keys of the timeline; there are none yet (T shows it)"
        count = f"{len(line.keys)} keys" if len(line.keys) > 1 else "One key"
        return f"{count} of the timeline, {line.frame_count} frames at {line.fps:g} a second"

    def choose_timeline(self) -> None:
        """Let the camera and the face follow the timeline."""
        dpg.set_value(self._path, TIMELINE)
        self._explain()

    def _timeline_job(self, recipe: Recipe, path: Path) -> Job:
        line = self._kit.studio.document.timeline
        if not line.keys:
            raise UserError("The timeline has no keys yet; add some first (T shows it).")
        size = read_size(dpg.get_value(self._size))
        options = timed(VideoOptions(size=size, format=self._chosen_format()), line).checked()
        options.format_for(path)
        return ExportVideo(recipe, str(path), asdict(options), line)

    def job(self, recipe: Recipe, path: Path) -> Job:
        """The video of the present recipe."""
        if self._is_timeline:
            return self._timeline_job(recipe, path)
        default = VideoOptions()
        seconds = read_number(dpg.get_value(self._seconds), "length in seconds")
        fps = read_number(dpg.get_value(self._fps), "frame rate")
        yaw = read_number(dpg.get_value(self._yaw), "sideways swing")
        pitch = read_number(dpg.get_value(self._pitch), "upward swing")
        options = replace(
            default,
            trajectory=dpg.get_value(self._path).lower(),
            seconds=default.seconds if seconds is None else seconds,
            fps=default.fps if fps is None else fps,
            size=read_size(dpg.get_value(self._size)),
            format=self._chosen_format(),
            yaw_amplitude=default.yaw_amplitude if yaw is None else yaw,
            pitch_amplitude=default.pitch_amplitude if pitch is None else pitch,
            morph=read_seeds(dpg.get_value(self._morph)),
            morph_mode=dpg.get_value(self._mode).lower(),
            morph_loop=bool(dpg.get_value(self._loop)),
        ).checked()
        options.format_for(path)
        return ExportVideo(recipe, str(path), asdict(options))


class MeshForm(Form):
    """Grid, level, smoothing, number of faces, format."""

    kind, title = "mesh", "Mesh"

    @property
    def suffix(self) -> str:
        """As the chosen format says."""
        return MESH_FORMATS[dpg.get_value(self._format)]

    def build(self, changed: Callable[[], None]) -> None:
        """Create the items."""
        kit = self._kit
        with kit.row("Resolution", "Samples along the longest side, 16 to 1024; more is finer"):
            self._resolution = kit.box("mesh_resolution", default_value="256")
        with kit.row(
            "Level",
            "Density (or distance) at which the surface lies. Empty takes the model's default; "
            "a higher density cuts closer to the skin.",
        ):
            self._level = kit.box("mesh_level", hint="Model's default")
        with kit.row("Smoothing", "Rounds of smoothing, 0 to 100; the volume stays"):
            self._smooth = kit.box("mesh_smooth", default_value="0")
        with kit.row("Faces", "Reduce the mesh to about so many triangles. Empty keeps all."):
            self._faces = kit.box("mesh_faces", hint="All")
        with kit.row("Format", "GLB, PLY and OBJ carry colours; STL is the shape alone"):
            self._format = self.combo(list(MESH_FORMATS), "GLB", "mesh_format", changed)

    def update(self, studio: Studio) -> None:
        """Show the model's own level as the hint."""
        if studio.capabilities:
            hint = f"{studio.capabilities.mesh_level:g} (the model's default)"
            dpg.configure_item(self._level, hint=hint)

    def job(self, recipe: Recipe, path: Path) -> Job:
        """The mesh of the present identity."""
        default = MeshOptions()
        resolution = read_whole(dpg.get_value(self._resolution), "mesh resolution")
        smooth = read_whole(dpg.get_value(self._smooth), "number of smoothing rounds")
        options = replace(
            default,
            resolution=default.resolution if resolution is None else resolution,
            level=read_number(dpg.get_value(self._level), "mesh level"),
            smooth_iterations=default.smooth_iterations if smooth is None else smooth,
            target_faces=read_whole(dpg.get_value(self._faces), "number of faces"),
        ).checked()
        if path.suffix.lower() != self.suffix:
            raise UserError(
                f"The mesh's name {path.name} must end in {self.suffix}, or choose another format."
            )
        return ExportMesh(recipe, str(path), asdict(options))
