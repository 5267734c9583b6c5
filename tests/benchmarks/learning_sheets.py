"""Pictures of what was learnt: people and their shapes, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from engine.export.files import atomic_path
from engine.generators.base import Generator
from engine.metrics.sampling import latent

#: Degrees that the second row is turned by.
TURN = 40.0
#: Depths from black to white, in heights of what the picture shows.
SPAN = 0.5
_INK, _PAPER, _LINE = (30, 30, 30), (255, 255, 255), (205, 205, 205)
_COLOURS = (
    (31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14), (23, 160, 170),
)  # fmt: skip


@torch.inference_mode()
def rows_of(generator: Generator, people: int, side: int) -> Tensor:
    """``[3 * side, people * side, 3]`` 8-bit: the first seeds from the front, turned, and their
    depth from the front (near is bright; white where nothing is)."""
    facts = generator.capabilities
    front = replace(facts.default_pose, yaw=0.0, pitch=0.0)
    rows: tuple[list[Tensor], ...] = ([], [], [])
    for number in range(people):
        camera = front.camera()
        w = generator.map(latent(facts, 0, number), 1.0, conditioning=camera)
        frame = generator.render(w, camera)
        turned = generator.render(w, replace(front, yaw=TURN).camera())
        depth = frame.depth / (front.radius / camera.focal)
        there = frame.alpha > 0.5
        middle = depth[there].median() if bool(there.any()) else depth.median()
        near = (0.5 - (depth - middle) / SPAN).clamp(0.0, 1.0)
        near = torch.where(there, near, torch.ones_like(near))
        shown = (frame.rgb, turned.rgb, near[..., None].expand(-1, -1, 3))
        for row, picture in zip(rows, shown, strict=True):
            row.append(_enlarged(picture.clamp(0.0, 1.0), side))
    whole = torch.cat([torch.cat(row, dim=1) for row in rows])
    return (whole * 255.0 + 0.5).to(torch.uint8)


def _enlarged(picture: Tensor, side: int) -> Tensor:
    moved = picture.movedim(-1, 0)[None].float().cpu()
    return torch.nn.functional.interpolate(moved, (side, side), mode="nearest")[0].movedim(0, -1)


def save(pixels: Tensor, path: Path) -> None:
    """``[H, W, 3]`` 8-bit as a PNG."""
    _save(Image.fromarray(pixels.numpy()), path)


def sheet(strips: Mapping[str, Path], path: Path) -> None:
    """The strips that :func:`rows_of` made, one below the other with their titles."""
    opened = {title: Image.open(strip).convert("RGB") for title, strip in strips.items()}
    gap = 18
    width = max(strip.width for strip in opened.values())
    height = sum(strip.height + gap for strip in opened.values())
    whole = Image.new("RGB", (width, height), _PAPER)
    pen, top = ImageDraw.Draw(whole), 0
    for title, strip in opened.items():
        pen.text((3, top + 3), title, _INK, ImageFont.load_default(12))
        whole.paste(strip, (0, top + gap))
        top += strip.height + gap
    _save(whole.quantize(128), path)


Lines = Mapping[str, Sequence[tuple[float, float]]]


def curves(panels: Sequence[tuple[str, Lines]], across: str, path: Path) -> None:
    """Line charts side by side.

    Args:
        panels: title, and line by name: points (x, y). Every panel has the same names.
        across: what x is.
    """
    width, height = 420, 300
    whole = Image.new("RGB", (width * len(panels), height + 24), _PAPER)
    pen = ImageDraw.Draw(whole)
    for place, (title, lines) in enumerate(panels):
        _panel(pen, (place * width, 0, width, height), title, lines, across)
    left = 40.0
    for (name, _), colour in zip(panels[0][1].items(), _COLOURS, strict=False):
        pen.line((left, height + 10, left + 18, height + 10), colour, 3)
        pen.text((left + 23, height + 3), name, _INK, ImageFont.load_default(12))
        left += 48 + pen.textlength(name, ImageFont.load_default(12))
    _save(whole.quantize(64), path)


def _panel(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    title: str,
    lines: Lines,
    across: str,
) -> None:
    font = ImageFont.load_default(11)
    points = [point for line in lines.values() for point in line]
    most = max(x for x, _ in points) or 1.0
    low, high = min(0.0, *(y for _, y in points)), max(y for _, y in points)
    high += (high == low) + 0.05 * (high - low)
    left, top, right, bottom = box[0] + 36, box[1] + 24, box[0] + box[2] - 12, box[1] + box[3] - 34

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + (right - left) * x / most,
            bottom - (bottom - top) * (y - low) / (high - low),
        )

    pen.text((left, box[1] + 5), title, _INK, ImageFont.load_default(12))
    for share in range(5):
        value = low + (high - low) * share / 4
        height = at(0.0, value)[1]
        pen.line((left, height, right, height), _LINE)
        pen.text((box[0] + 4, height - 6), f"{value:.1f}", _INK, font)
        x = most * share / 4
        pen.text((at(x, low)[0] - 6, bottom + 4), f"{x:.1f}", _INK, font)
    pen.text(((left + right) / 2 - 40, bottom + 17), across, _INK, font)
    for line, colour in zip(lines.values(), _COLOURS, strict=False):
        pen.line([at(*point) for point in line], colour, 2, joint="curve")


def _save(image: Image.Image, path: Path) -> None:
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)
