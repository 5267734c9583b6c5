"""Videos of a turning head: H.264 in MP4, GIF, or a folder of PNG pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from numpy.typing import NDArray

from engine.draw import Painter
from engine.errors import ExportError, UserError
from engine.export.files import atomic_folder, atomic_path, check_new_folder, check_writable
from engine.export.gif_palette import PaletteBuilder
from engine.export.options import VideoFormat, VideoOptions, timed
from engine.export.picture import SURVEYED_KEY, save_picture
from engine.generators.base import NEVER, CancelToken
from engine.identity import morph
from engine.recipe import Recipe
from engine.timeline import Timeline
from engine.trajectories import poses

__all__ = ["VideoOptions", "export_video", "frame_recipes"]

#: ``progress(done, total)``; a GIF counts every frame twice, once drawn and once written.
Progress = Callable[[int, int], None]
Pixels = NDArray[np.uint8]

#: ITU-T H.273 code points: 1 is BT.709 for primaries, transfer and matrix alike; colour
#: range 1 is "limited" (16 to 235), what players expect of yuv420p.
_BT709, _LIMITED = 1, 1


def _no_progress(done: int, total: int) -> None:
    pass


def frame_recipes(
    recipe: Recipe, options: VideoOptions, side: int, timeline: Timeline | None = None
) -> list[Recipe]:
    """One recipe per frame: ``recipe`` seen from every pose of the trajectory, and the faces of
    the morph if there is one (layers mixed in stay so); or what the timeline holds.

    Args:
        recipe: identity, base pose and quality.
        options: checked options.
        side: the pictures' side in pixels.
        timeline: cameras and faces, in place of the trajectory and the morph.

    Raises:
        UserError: the timeline has no keys.
    """
    view = options.view or recipe.view
    if timeline is not None:
        if not timeline.keys:
            raise UserError("The timeline has no keys yet; add some first.")
        moments = (timeline.frame_time(index) for index in range(timeline.frame_count))
        return [
            replace(timeline.at(recipe, moment), view=view, size=side).checked()
            for moment in moments
        ]
    path = poses(
        options.trajectory,
        recipe.pose,
        options.frame_count,
        yaw_amplitude=options.yaw_amplitude,
        pitch_amplitude=options.pitch_amplitude,
        turns=options.turns,
    )
    recipes = [replace(recipe, pose=pose, view=view, size=side) for pose in path]
    if not options.morph:
        return recipes
    faces = morph(options.morph, len(recipes), options.morph_mode, options.morph_loop)
    pairs = zip(recipes, faces, strict=True)
    return [one.of_blend(face) for one, face in pairs]


def export_video(
    painter: Painter,
    recipe: Recipe,
    options: VideoOptions,
    path: str | Path,
    progress: Progress = _no_progress,
    cancel: CancelToken = NEVER,
    timeline: Timeline | None = None,
) -> Path:
    """Draw a video and write it.

    An MP4 cannot be transparent: it is drawn with the background even where the recipe asks
    for transparency. A GIF's transparency is on or off per pixel (at one half).

    Args:
        painter: holds the generator.
        recipe: what to draw; its pose is the middle of the trajectory.
        options: see :class:`VideoOptions`.
        path: the file, or the folder for a PNG sequence (new or empty).
        progress: called with (steps done, all steps) after every frame.
        cancel: checked between ray chunks and between frames.
        timeline: cameras, faces, length and rate, in place of the options' path and morph.

    Returns:
        The path that was written.

    Raises:
        UserError: an option or the recipe is out of range.
        ExportError: the target cannot be written.
        Cancelled: nothing was written.
    """
    options = timed(options, timeline).checked()
    kind = options.format_for(path)
    target = check_new_folder(path) if kind == "png" else check_writable(path)
    side = options.size or recipe.size or painter.generator.capabilities.resolution
    if kind == "mp4":
        side += side % 2
        recipe = replace(recipe, transparent=False)
    recipes = frame_recipes(recipe.checked(), options, side, timeline)
    total = len(recipes)
    cancel.check()
    if kind == "png":
        _write_sequence(painter, recipes, target, progress, cancel)
    elif kind == "gif":
        _write_gif(painter, recipes, options, target, progress, cancel)
    else:
        with atomic_path(target) as temporary:
            frames = _draw(painter, recipes, cancel)
            _write_mp4(temporary, frames, side, options, lambda done: progress(done, total))
    return target


def _draw(painter: Painter, recipes: list[Recipe], cancel: CancelToken) -> Iterator[Pixels]:
    """``[S, S, 3 or 4]`` uint8 per recipe."""
    return (drawn.pixels.numpy() for drawn in painter.pictures(recipes, cancel))


def _write_sequence(
    painter: Painter,
    recipes: list[Recipe],
    target: Path,
    progress: Progress,
    cancel: CancelToken,
) -> None:
    digits = max(4, len(str(len(recipes))))
    with atomic_folder(target) as folder:
        for index, drawn in enumerate(painter.pictures(recipes, cancel)):
            save_picture(
                drawn.pixels,
                folder / f"frame_{index + 1:0{digits}d}.png",
                recipes[index],
                # By itself it would be drawn without.
                notes={SURVEYED_KEY: "yes"} if drawn.surveyed else None,
            )
            progress(index + 1, len(recipes))


def _write_mp4(
    path: Path,
    frames: Iterator[Pixels],
    side: int,
    options: VideoOptions,
    progress: Callable[[int], None],
) -> None:
    """H.264, yuv420p, BT.709, index in front so that a browser can start before the end."""
    with _Output(path, "mp4", {"movflags": "+faststart"}) as container:
        stream = container.add_stream(
            _encoder("libx264"), rate=options.rate, options={"crf": str(options.crf)}
        )
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        stream.time_base = 1 / options.rate
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace="ITU709",
                src_color_range="JPEG",
                dst_color_range="MPEG",
            )
            frame.pts, frame.time_base = index, 1 / options.rate
            container.mux(stream.encode(frame))
            progress(index + 1)
        container.mux(stream.encode(None))


def _write_gif(
    painter: Painter,
    recipes: list[Recipe],
    options: VideoOptions,
    target: Path,
    progress: Progress,
    cancel: CancelToken,
) -> None:
    """Two passes with one palette for the whole video, so that colours do not flicker.

    The drawn frames wait in an unnamed temporary file between the passes, not in memory. It
    lies in the target's folder, so that "the disk is full" is said of the right disk.
    """
    total = len(recipes)
    folder = target.parent
    with atomic_path(target) as temporary, tempfile.TemporaryFile(dir=folder) as spool:
        palette = PaletteBuilder(total)
        shape = (0, 0, 0)
        for index, pixels in enumerate(_draw(painter, recipes, cancel)):
            palette.add(pixels)
            spool.write(pixels.tobytes())
            shape = pixels.shape
            progress(index + 1, 2 * total)
        spool.seek(0)
        quantizer = palette.build()
        with _Output(temporary, "gif", {"loop": "0"}) as container:
            stream = container.add_stream(_encoder("gif"), rate=options.rate)
            stream.height, stream.width = shape[:2]
            stream.pix_fmt = "pal8"
            # GIF stores whole hundredths; rounding the times (not the delays) keeps the rate.
            stream.time_base = hundredth = Fraction(1, 100)
            for index in range(total):
                cancel.check()
                pixels = _read_frame(spool, shape)
                indices = quantizer.indices(pixels)
                frame = av.VideoFrame.from_ndarray((indices, quantizer.argb), format="pal8")
                frame.pts, frame.time_base = _gif_time(index, options.rate), hundredth
                frame.duration = _gif_time(index + 1, options.rate) - frame.pts
                container.mux(stream.encode(frame))
                progress(total + index + 1, 2 * total)
            container.mux(stream.encode(None))


def _gif_time(index: int, rate: Fraction) -> int:
    return round(index * 100 / rate)


def _read_frame(spool: IO[bytes], shape: tuple[int, ...]) -> Pixels:
    count = int(np.prod(shape))
    return np.frombuffer(spool.read(count), dtype=np.uint8).reshape(shape)


def _encoder(name: str) -> str:
    if name not in av.codecs_available:
        raise ExportError(
            f"This installation's PyAV has no {name} encoder; install the av package from its "
            "ready-made wheel, or export a PNG sequence."
        )
    return name


class _Output:
    """A container that is closed whatever happens and reports errors as ``OSError``.

    FFmpeg's errors carry the errno of the write that failed; only some of PyAV's classes
    for them are also ``OSError``, so they are turned into one here.
    """

    def __init__(self, path: Path, kind: VideoFormat, options: dict[str, str]) -> None:
        self._path, self._kind, self._options = path, kind, options
        self._container: Any = None

    def __enter__(self) -> Any:
        self._container = av.open(
            str(self._path), "w", format=self._kind, container_options=self._options
        )
        return self._container

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        try:
            self._container.close()
        except av.error.FFmpegError as failure:
            if kind is None:
                raise OSError(failure.errno, failure.strerror) from failure
        if isinstance(error, av.error.FFmpegError) and not isinstance(error, OSError):
            raise OSError(error.errno, error.strerror) from error
