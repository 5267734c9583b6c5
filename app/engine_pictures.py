"""What the engine process makes of a frame: qualities, small pictures, RGBA for the window."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from app.adaptive import AdaptiveQuality
from app.frames import MAX_SIDE, bucket_bytes
from app.pinned import Arriving, PinnedPictures, copier_of
from engine.draw import Painter
from engine.frame import Frame
from engine.generators.base import CancelToken, Quality
from engine.kernels import graphs
from engine.recipe import Recipe
from engine.views import view_image


def preview_quality(recipe: Recipe, controller: AdaptiveQuality) -> Quality:
    """What the target rate allows."""
    rung = controller.quality
    return Quality(
        neural_resolution=rung.resolution,
        samples=rung.samples,
        upsample=recipe.view == "picture" and controller.upsample,
        normals=recipe.view == "normals",
        blocks=rung.blocks,
    )


#: Above this side a super-resolution costs more than a thumbnail shows of it, pixels.
_SMALL_PICTURE = 256


def thumbnail(painter: Painter, recipe: Recipe, side: int, cancel: CancelToken) -> bytes:
    """A small picture, RGB bytes row by row, drawn no finer than it shows.

    Raises:
        UserError: the recipe is out of range.
        Cancelled: ``cancel`` was set.
    """
    facts = painter.generator.capabilities
    full = recipe.neural_resolution or facts.neural_resolution
    quality = Quality(
        neural_resolution=None if facts.why_not("neural_resolution") else min(full, side),
        samples=min(recipe.samples, 1.0),
        upsample=facts.resolution <= _SMALL_PICTURE,
    )
    frame = painter.frame(recipe, cancel, quality).cpu()
    planar = view_image(frame, "picture").float().permute(2, 0, 1)[None]
    small = F.interpolate(planar, (side, side), mode="bilinear", antialias=True)[0]
    pixels = (small.permute(1, 2, 0).nan_to_num().clamp(0, 1) * 255 + 0.5).to(torch.uint8)
    data: bytes = pixels.contiguous().numpy().tobytes()
    return data


def give_back_memory() -> None:
    """Let go of what nobody uses any more, so that the next drawing finds room."""
    graphs.forget()
    gc.collect()
    # Does nothing where no graphics card is in use.
    torch.cuda.empty_cache()


def rgba_planes(frame: Frame, recipe: Recipe) -> Tensor:
    """``[H, W, 4]`` float32 picture of a frame, where the frame is."""
    image = view_image(frame, recipe.view).float()
    height, width = image.shape[:2]
    if recipe.transparent:
        planar = frame.alpha.float()[None, None]
        alpha = F.interpolate(planar, (height, width), mode="bilinear", align_corners=False)[0, 0]
    else:
        alpha = torch.ones(height, width, device=image.device)
    return torch.cat([image, alpha.clamp(0, 1)[..., None]], dim=-1).contiguous()


def rgba(frame: Frame, recipe: Recipe) -> NDArray[np.float32]:
    """``[H, W, 4]`` float32 picture of a frame in main memory, no side above 2048."""
    pixels: NDArray[np.float32] = rgba_planes(frame.cpu(), recipe).numpy()
    if max(pixels.shape[:2]) > MAX_SIDE:
        return shrunk(pixels, bucket_bytes(MAX_SIDE, MAX_SIDE))
    return pixels


class PictureTaker:
    """Pictures of frames for the window, from the CPU and from graphics cards.

    A frame on a graphics card becomes RGBA there and is copied beside the next one's drawing
    (:mod:`app.pinned`); where that is not possible, or it is larger than the window takes, it is copied first.
    """

    def __init__(self) -> None:
        self._pinned: dict[torch.device, PinnedPictures | None] = {}

    def take(self, frame: Frame, recipe: Recipe) -> NDArray[np.float32] | Arriving:
        """``[H, W, 4]`` float32, no side above 2048, in main memory or on its way there."""
        device = frame.rgb.device
        if device not in self._pinned:
            copier = copier_of(device)
            self._pinned[device] = None if copier is None else PinnedPictures(copier)
        pinned = self._pinned[device]
        if pinned is not None:
            picture = rgba_planes(frame, recipe)
            arriving = pinned.begin(picture) if max(picture.shape[:2]) <= MAX_SIDE else None
            if arriving is not None:
                return arriving
        return rgba(frame, recipe)


def shrunk(image: NDArray[np.float32], capacity: int) -> NDArray[np.float32]:
    """A picture ``[H, W, 4]`` made small enough for ``capacity`` bytes, antialiased."""
    height, width = image.shape[:2]
    scale = min(1.0, (capacity / (height * width * 16)) ** 0.5, MAX_SIDE / max(height, width))
    size = (max(1, int(height * scale)), max(1, int(width * scale)))
    planar = torch.from_numpy(image).permute(2, 0, 1)[None]
    small: Any = F.interpolate(planar, size, mode="bilinear", align_corners=False, antialias=True)
    pixels: NDArray[np.float32] = small[0].permute(1, 2, 0).contiguous().numpy()
    return pixels
