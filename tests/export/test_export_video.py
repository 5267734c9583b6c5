"""Videos: what players and probes find in them, and what failures leave behind."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from engine.draw import Painter
from engine.errors import Cancelled, ExportError, UserError
from engine.export.options import VideoOptions
from engine.export.picture import read_recipe
from engine.export.video import export_video
from engine.generators.base import CancelToken
from engine.recipe import Recipe
from engine.trajectories import poses


@dataclass(frozen=True)
class Found:
    """What one probe says about a video."""

    codec: str
    pixels: str
    size: tuple[int, int]
    rate: Fraction
    frames: int
    seconds: float


def by_av(path: Path) -> Found:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        frames = list(container.decode(stream))
        return Found(
            context.codec.name,
            context.pix_fmt,
            (context.width, context.height),
            Fraction(stream.average_rate),
            len(frames),
            float(stream.duration * stream.time_base),
        )


def by_ffprobe(path: Path) -> Found:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json"]
    text = subprocess.run([*command, str(path)], check=True, capture_output=True, text=True).stdout
    stream = json.loads(text)["streams"][0]
    return Found(
        stream["codec_name"],
        stream["pix_fmt"],
        (stream["width"], stream["height"]),
        Fraction(stream["avg_frame_rate"]),
        int(stream["nb_read_frames"]),
        float(stream["duration"]),
    )


#: FFmpeg's own tool where it is installed, and its library always.
PROBES: list[Callable[[Path], Found]] = [by_av]
if shutil.which("ffprobe"):
    PROBES.append(by_ffprobe)


def bt709(rgb: np.ndarray) -> np.ndarray:
    """``[..., 3]`` uint8 RGB -> limited-range Y'CbCr by the formulas of ITU-R BT.709."""
    r, g, b = np.moveaxis(rgb.astype(float) / 255.0, -1, 0)
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    blue, red = (b - luma) / 1.8556, (r - luma) / 1.5748
    return np.stack([16 + 219 * luma, 128 + 224 * blue, 128 + 224 * red], axis=-1)


@pytest.mark.parametrize(
    ("fps", "rate"), [(25, Fraction(25)), (29.97, Fraction(30000, 1001)), (12.5, Fraction(25, 2))]
)
def test_mp4(tmp_path: Path, painter: Painter, recipe: Recipe, fps: float, rate: Fraction) -> None:
    path = export_video(
        painter, recipe, VideoOptions(frames=13, fps=fps, size=47), tmp_path / "a.mp4"
    )
    for probe in PROBES:
        found = probe(path)
        assert (found.codec, found.pixels) == ("h264", "yuv420p")
        assert found.size == (48, 48)
        assert (found.frames, found.rate) == (13, rate)
        assert found.seconds == pytest.approx(13 / float(rate), abs=1e-3)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_mp4_colours_and_order(tmp_path: Path, painter: Painter, recipe: Recipe) -> None:
    """Decoded with the file's own flags, frames are the pictures of the trajectory's poses."""
    options = VideoOptions("yaw-sweep", frames=8, size=64, crf=0, yaw_amplitude=60)
    target = export_video(painter, recipe, options, tmp_path / "a.mp4")
    path = poses("yaw-sweep", recipe.pose, 8, yaw_amplitude=60)
    wanted = [painter.picture(replace(recipe, pose=p, size=64)).numpy() for p in path]
    assert np.abs(wanted[2].astype(int) - wanted[6]).mean() > 5
    with av.open(str(target)) as container:
        planes = [frame.to_ndarray() for frame in container.decode(video=0)]
    for plane, want in zip(planes, wanted, strict=True):
        ycc = bt709(want)
        assert np.abs(plane[:64] - ycc[..., 0]).max() <= 1.0
        chroma = plane[64:].reshape(2, 32, 32)
        # The corner is flat background, untouched by the halving of the colour planes.
        assert np.abs(chroma[:, :4, :4] - ycc[0, 0, 1:, None, None]).max() <= 1.0
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
        assert context.color_range == 1


@pytest.mark.parametrize("fps", [25, 10, 30, 50])
def test_gif(tmp_path: Path, painter: Painter, recipe: Recipe, fps: int) -> None:
    path = export_video(painter, recipe, VideoOptions(frames=30, fps=fps), tmp_path / "a.gif")
    for probe in PROBES:
        found = probe(path)
        assert found.codec == "gif"
        assert (found.size, found.frames) == ((32, 32), 30)
        assert found.frames / found.seconds == pytest.approx(fps, rel=1e-6)
        if probe is by_ffprobe:
            # GIF counts in hundredths of a second, so 30 a second is a mixture of 3 and 4 of them;
            # FFmpeg 7 states the rate of the first few, FFmpeg 5 that of all.
            assert 100 / math.ceil(100 / fps) <= found.rate <= 100 / math.floor(100 / fps)
    with Image.open(path) as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (30, (32, 32), 0)
        total = 0
        for index in range(image.n_frames):
            image.seek(index)
            total += image.info["duration"]
    assert total == pytest.approx(30_000 / fps, abs=10)


def test_gif_colours(tmp_path: Path, painter: Painter, recipe: Recipe) -> None:
    options = VideoOptions("circle", frames=6, size=64)
    path = export_video(painter, recipe, options, tmp_path / "a.gif")
    with Image.open(path) as image:
        for index, pose in enumerate(poses("circle", recipe.pose, 6)):
            image.seek(index)
            want = painter.picture(replace(recipe, pose=pose, size=64)).numpy()
            got = np.asarray(image.convert("RGB")).astype(int)
            assert np.abs(got - want).mean() < 4


def test_gif_of_a_still_keeps_every_frame(tmp_path: Path, painter: Painter, recipe: Recipe) -> None:
    options = VideoOptions("yaw-sweep", frames=5, yaw_amplitude=0)
    path = export_video(painter, recipe, options, tmp_path / "a.gif")
    assert [probe(path).frames for probe in PROBES] == [5] * len(PROBES)


def test_transparent_gif(tmp_path: Path, painter: Painter, recipe: Recipe) -> None:
    clear = replace(recipe, transparent=True)
    path = export_video(painter, clear, VideoOptions(frames=4), tmp_path / "a.gif")
    with Image.open(path) as image:
        for index, pose in enumerate(poses("orbit", recipe.pose, 4)):
            image.seek(index)
            want = painter.picture(replace(clear, pose=pose)).numpy()[..., 3] >= 128
            got = np.asarray(image.convert("RGBA"))[..., 3] >= 128
            assert 0.02 < want.mean() < 0.98
            assert np.array_equal(got, want)


def test_transparency_is_left_out_of_mp4(tmp_path: Path, painter: Painter, recipe: Recipe) -> None:
    clear = replace(recipe, transparent=True)
    path = export_video(painter, clear, VideoOptions(frames=2), tmp_path / "a.mp4")
    assert by_av(path).frames == 2


def test_png_sequence(tmp_path: Path, painter: Painter, recipe: Recipe) -> None:
    options = VideoOptions("figure-eight", frames=3, size=20, view="depth")
    path = export_video(painter, recipe, options, tmp_path / "frames")
    files = sorted(path.iterdir())
    assert [f.name for f in files] == [f"frame_000{i}.png" for i in (1, 2, 3)]
    for file, pose in zip(files, poses("figure-eight", recipe.pose, 3), strict=True):
        own = read_recipe(file)
        assert own == replace(recipe, pose=pose, view="depth", size=20)
        with Image.open(file) as image:
            assert np.array_equal(np.asarray(image), painter.picture(own).numpy())
    with pytest.raises(ExportError, match="not empty"):
        export_video(painter, recipe, options, path)
    assert sorted(path.iterdir()) == files


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames"])
def test_progress(tmp_path: Path, painter: Painter, recipe: Recipe, name: str) -> None:
    steps: list[tuple[int, int]] = []
    export_video(
        painter,
        recipe,
        VideoOptions(frames=4),
        tmp_path / name,
        progress=lambda done, total: steps.append((done, total)),
    )
    count = 8 if name == "a.gif" else 4
    assert steps == [(i + 1, count) for i in range(count)]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames"])
@pytest.mark.parametrize("how", ["cancel", "ctrl-c"])
def test_stopping_leaves_nothing(
    tmp_path: Path, painter: Painter, recipe: Recipe, name: str, how: str
) -> None:
    token = CancelToken()

    def progress(done: int, total: int) -> None:
        if done == total // 2 + 1:
            if how == "ctrl-c":
                raise KeyboardInterrupt
            token.cancel()

    if name != "frames":
        (tmp_path / name).write_bytes(b"old")
    with pytest.raises(Cancelled if how == "cancel" else KeyboardInterrupt):
        export_video(painter, recipe, VideoOptions(frames=6), tmp_path / name, progress, token)
    left = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert left == ({} if name == "frames" else {name: b"old"})


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames"])
def test_full_disk(
    tmp_path: Path, painter: Painter, recipe: Recipe, full_disk: None, name: str
) -> None:
    with pytest.raises(ExportError, match=f"/{name}.* could not be written: the disk is full"):
        export_video(painter, recipe, VideoOptions(frames=6, size=64), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_bad_place_is_told_before_drawing(tmp_path: Path, painter: Painter, recipe: Recipe) -> None:
    with pytest.raises(ExportError, match="does not exist"):
        export_video(painter, recipe, VideoOptions(frames=2), tmp_path / "no" / "a.mp4")
    assert painter.generator.renders == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        (VideoOptions(), "a.avi", r"must end in \.mp4, \.gif"),
        (VideoOptions(format="mp4"), "a.gif", r"must end in \.mp4"),
        (VideoOptions(format="png"), "a.png", "a folder's name"),
        (VideoOptions(fps=60), "a.gif", "GIF plays at most 50"),
        (VideoOptions(fps=0), "a.mp4", "frame rate"),
        (VideoOptions(fps=float("nan")), "a.mp4", "frame rate"),
        (VideoOptions(seconds=0), "a.mp4", "longer than 0"),
        (VideoOptions(seconds=float("inf")), "a.mp4", "longer than 0"),
        (VideoOptions(seconds=1e9), "a.mp4", "1 to 10000 frames"),
        (VideoOptions(frames=0), "a.mp4", "1 to 10000 frames"),
        (VideoOptions(size=0), "a.mp4", "size must be 16 to 8192"),
        (VideoOptions(size=100_000), "a.mp4", "size must be 16 to 8192"),
        (VideoOptions(crf=52), "a.mp4", "crf"),
        (VideoOptions(turns=0), "a.mp4", "turns"),
        (VideoOptions(trajectory="spiral"), "a.mp4", "trajectory"),  # type: ignore[arg-type]
        (VideoOptions(view="x-ray"), "a.mp4", "view"),  # type: ignore[arg-type]
        (VideoOptions(yaw_amplitude=181), "a.mp4", "yaw amplitude"),
        (VideoOptions(pitch_amplitude=-1), "a.mp4", "pitch amplitude"),
    ],
)
def test_bad_options(
    tmp_path: Path,
    painter: Painter,
    recipe: Recipe,
    options: VideoOptions,
    name: str,
    message: str,
) -> None:
    with pytest.raises(UserError, match=message):
        export_video(painter, recipe, options, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_seconds_and_rate_give_the_frames() -> None:
    assert VideoOptions(seconds=4, fps=25).frame_count == 100
    assert VideoOptions(seconds=0.01, fps=25).frame_count == 1
    assert VideoOptions(seconds=4, fps=25, frames=7).frame_count == 7
