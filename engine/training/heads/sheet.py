"""A contact sheet: random heads in rows, and one head turning."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import UserError
from engine.training.heads.attributes import attributes_from_latent, caption
from engine.training.heads.build import HeadBuilder
from engine.training.heads.dataset import make_renderer
from engine.training.heads.pack import HeadPack
from engine.training.heads.world import head_latent, orbit_camera, view_angles

log = logging.getLogger(__name__)
_BACKGROUND = np.array([0.62, 0.64, 0.66], np.float32)


def over_background(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Premultiplied ``[..., 4]`` pictures over the sheet's grey, ``[..., 3]`` uint8."""
    values = rgba.astype(np.float32) / 255.0
    mixed = values[..., :3] + _BACKGROUND * (1.0 - values[..., 3:])
    return (mixed * 255.0 + 0.5).clip(0, 255).astype(np.uint8)


def contact_sheet(
    pack_folder: Path,
    out: Path,
    *,
    heads: int = 12,
    first: int = 0,
    columns: int = 6,
    size: int = 256,
    samples: int = 3,
    seed: int = 0,
    frontal: bool = False,
) -> list[str]:
    """Write a PNG of ``heads`` heads and a last row in which the first one turns.

    Returns:
        The heads' captions.
    """
    pack = HeadPack(pack_folder)
    builder, renderer = HeadBuilder(pack), make_renderer(pack, size, samples)
    tiles, captions = [], []
    for index in range(first, first + heads):
        person = attributes_from_latent(head_latent(seed, index))
        yaw, pitch = (0.0, 0.0) if frontal else view_angles(seed, index, 1)[0]
        drawn = renderer.render(builder.build(person), [orbit_camera(yaw, pitch)])
        tiles.append(over_background(drawn.rgba[0]))
        captions.append(caption(person))
    person = attributes_from_latent(head_latent(seed, first))
    turn = [orbit_camera(yaw, 0.0) for yaw in np.linspace(-90.0, 90.0, columns)]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    tiles += list(over_background(renderer.render(builder.build(person), turn).rgba))
    rows = [np.concatenate(tiles[i : i + columns], 1) for i in range(0, len(tiles), columns)]
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        Image.fromarray(np.concatenate(rows, 0)).save(temporary, format="PNG")
        temporary.replace(out)
    except OSError as error:
        raise UserError(f"The sheet {out} cannot be written ({error}).") from error
    finally:
        temporary.unlink(missing_ok=True)
    renderer.close()
    return captions
