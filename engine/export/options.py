"""What a person may choose for a video or a mesh.

Every field's text below is the help of a command-line option and the tooltip of a control.
Needs no torch, so that the window can hold these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, Self

from engine.capabilities import VIEW_MODES, ViewMode
from engine.errors import ExportError, UserError
from engine.identity import MorphMode, morph
from engine.recipe import MAX_SIZE, MIN_SIZE
from engine.timeline import Timeline
from engine.trajectories import MAX_FRAMES, MAX_TURNS, MIN_FRAMES, TRAJECTORIES

Trajectory = Literal["orbit", "circle", "figure-eight", "yaw-sweep", "still"]
VideoFormat = Literal["mp4", "gif", "png"]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAX_FPS = 120.0
#: GIF counts in hundredths of a second, and players slow anything faster than this down.
MAX_GIF_FPS = 50.0
MIN_RESOLUTION, MAX_RESOLUTION = 16, 1024
MAX_SMOOTHING = 100
MIN_FACES = 4


@dataclass(frozen=True)
class VideoOptions:
    """How to turn a recipe into a video.

    Attributes:
        trajectory: the camera's path: orbit, circle, figure-eight, yaw-sweep or still.
        seconds: length of the video in seconds, above 0.
        frames: number of frames, 1 to 10000; overrides the seconds.
        fps: frames a second, above 0 and at most 120 (50 for a GIF).
        size: side of the square picture in pixels, 16 to 8192; empty takes the recipe's size
            or the model's own. An MP4 rounds an odd size up to the next even one.
        format: mp4 (H.264), gif, or png (a folder with one picture a frame, each with its
            recipe); empty takes it from the name's ending, where a name without an ending
            means a folder of pictures.
        crf: quality of an MP4, 0 (lossless, huge) to 51 (worst); 18 looks like the original.
        yaw_amplitude: how far the camera swings to each side, degrees, 0 to 180; not used by
            the orbit.
        pitch_amplitude: how far the camera swings up and down, degrees, 0 to 89; used by the
            circle and the figure-eight.
        turns: how often the path is run through; a negative number runs it backwards.
        view: which picture of the rendering; empty takes the recipe's view.
        morph: seeds of two or more faces that the video passes through at an even pace; empty
            keeps the recipe's face.
        morph_mode: linear (straight lines in w), spherical (great circles in z) or spline (a
            smooth curve in w).
        morph_loop: lead back to the first face, so that the video can repeat.
    """

    trajectory: Trajectory = "orbit"
    seconds: float = 4.0
    frames: int | None = None
    fps: float = 25.0
    size: int | None = None
    format: VideoFormat | None = None
    crf: int = 18
    yaw_amplitude: float = 25.0
    pitch_amplitude: float = 12.0
    turns: int = 1
    view: ViewMode | None = None
    morph: tuple[int, ...] = ()
    morph_mode: MorphMode = "linear"
    morph_loop: bool = False

    def checked(self) -> Self:
        """These options, if every value is in range.

        Raises:
            UserError: naming the value and the range.
        """
        if self.trajectory not in TRAJECTORIES:
            raise UserError(
                f"Unknown trajectory {self.trajectory!r}; use one of {', '.join(TRAJECTORIES)}."
            )
        if not 0.0 < self.fps <= MAX_FPS:
            raise UserError(
                f"The frame rate must be above 0 and at most {MAX_FPS:g}, not {self.fps:g}."
            )
        if self.frames is None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise UserError(f"A video must last longer than 0 seconds, not {self.seconds:g}.")
        if not MIN_FRAMES <= self.frame_count <= MAX_FRAMES:
            raise UserError(
                f"A video must have {MIN_FRAMES} to {MAX_FRAMES} frames, not {self.frame_count}; "
                "change its length or its frame rate."
            )
        if self.size is not None and not MIN_SIZE <= self.size <= MAX_SIZE:
            raise UserError(f"The size must be {MIN_SIZE} to {MAX_SIZE} pixels, not {self.size}.")
        if self.format not in (None, "mp4", "gif", "png"):
            raise UserError(f"Unknown video format {self.format!r}; use mp4, gif or png.")
        if not 0 <= self.crf <= 51:
            raise UserError(f"The quality (crf) must be 0 to 51, not {self.crf}.")
        if not 0.0 <= self.yaw_amplitude <= 180.0:
            raise UserError(
                f"The yaw amplitude must be 0 to 180 degrees, not {self.yaw_amplitude:g}."
            )
        if not 0.0 <= self.pitch_amplitude <= 89.0:
            raise UserError(
                f"The pitch amplitude must be 0 to 89 degrees, not {self.pitch_amplitude:g}."
            )
        if self.turns == 0 or abs(self.turns) > MAX_TURNS:
            raise UserError(
                f"The number of turns must be 1 to {MAX_TURNS}, or negative, not {self.turns}."
            )
        if self.view is not None and self.view not in VIEW_MODES:
            raise UserError(f"Unknown view {self.view!r}; use one of {', '.join(VIEW_MODES)}.")
        if self.morph:
            morph(self.morph, 1, self.morph_mode, self.morph_loop)
        return self

    @property
    def frame_count(self) -> int:
        """How many frames the video will have: ``frames``, or seconds times rate, at least 1."""
        if self.frames is not None:
            return self.frames
        wanted = self.seconds * self.fps
        return max(1, round(wanted)) if math.isfinite(wanted) else MAX_FRAMES + 1

    @property
    def rate(self) -> Fraction:
        """The frame rate as containers store it; 29.97 and 23.976 are the broadcast ones."""
        for nominal in (24, 30, 48, 60, 120):
            broadcast = Fraction(nominal * 1000, 1001)
            if abs(float(broadcast) - self.fps) < 0.005:
                return broadcast
        return Fraction(self.fps).limit_denominator(1000)

    def format_for(self, path: str | Path) -> VideoFormat:
        """The format of a video that is written to ``path``.

        Raises:
            ExportError: the name's ending is unknown or contradicts ``format``.
        """
        suffix = Path(path).suffix.lower()
        by_suffix: dict[str, VideoFormat] = {".mp4": "mp4", ".m4v": "mp4", ".gif": "gif"}
        if self.format == "png" or (self.format is None and suffix == ""):
            if suffix in (*by_suffix, ".png"):
                raise ExportError(
                    f"A PNG sequence is a folder of pictures: give a folder's name instead of "
                    f"{Path(path).name}."
                )
            return "png"
        named = by_suffix.get(suffix)
        if named is None or (self.format is not None and named != self.format):
            wanted = f".{self.format}" if self.format else ".mp4, .gif or nothing (a folder of PNG)"
            raise ExportError(f"The video's name {Path(path).name} must end in {wanted}.")
        if named == "gif" and self.fps > MAX_GIF_FPS:
            raise ExportError(
                f"A GIF plays at most {MAX_GIF_FPS:g} frames a second, not {self.fps:g}; "
                "lower the rate or choose MP4."
            )
        return named


def timed(options: VideoOptions, timeline: Timeline | None) -> VideoOptions:
    """``options`` with the length and the rate of a timeline, if there is one."""
    if timeline is None:
        return options
    return replace(options, frames=timeline.frame_count, fps=timeline.fps, morph=())


@dataclass(frozen=True)
class MeshOptions:
    """How to cut a mesh out of a radiance field.

    Attributes:
        resolution: grid samples along the longest side of the field's box, 16 to 1024; time
            and detail grow with it.
        level: density (or signed distance) at which the surface lies; empty takes the
            model's own default.
        smooth_iterations: rounds of Taubin smoothing, 0 to 100; it keeps the volume.
        target_faces: reduce the mesh to about so many triangles, 4 or more; empty keeps all.
        largest_component: keep only the largest connected piece and drop floating specks.
        colors: give every vertex the field's colour there.
    """

    resolution: int = 256
    level: float | None = None
    smooth_iterations: int = 0
    target_faces: int | None = None
    largest_component: bool = True
    colors: bool = True

    def checked(self) -> Self:
        """These options, if every value is in range.

        Raises:
            UserError: naming the value and the range.
        """
        if not MIN_RESOLUTION <= self.resolution <= MAX_RESOLUTION:
            raise UserError(
                f"The mesh resolution must be {MIN_RESOLUTION} to {MAX_RESOLUTION}, "
                f"not {self.resolution}."
            )
        if self.level is not None and not math.isfinite(self.level):
            raise UserError("The mesh level must be a finite number.")
        if not 0 <= self.smooth_iterations <= MAX_SMOOTHING:
            raise UserError(
                f"The smoothing rounds must be 0 to {MAX_SMOOTHING}, not {self.smooth_iterations}."
            )
        if self.target_faces is not None and self.target_faces < MIN_FACES:
            raise UserError(
                f"A mesh needs a target of {MIN_FACES} or more faces, not {self.target_faces}."
            )
        return self
