"""One rendering, many pictures: colour, raw, depth, normals, opacity."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.capabilities import ViewMode
from engine.frame import Frame


def view_image(frame: Frame, view: ViewMode) -> Tensor:
    """The picture of a frame that ``view`` names.

    Returns:
        ``[H, W, 3]`` float32 in ``[0, 1]``, on the frame's device. ``depth`` is bright where
        the surface is near, scaled between the nearest and farthest visible surface;
        ``normals`` maps -1..1 to 0..1 with a mid-grey background.

    Raises:
        ValueError: ``view`` is ``"normals"`` and the frame was rendered without them.
    """
    if view == "picture":
        return frame.rgb.clamp(0, 1)
    if view == "raw":
        return frame.raw.clamp(0, 1)
    if view == "opacity":
        return frame.alpha.clamp(0, 1)[..., None].expand(-1, -1, 3)
    if view == "normals":
        if frame.normal is None:
            raise ValueError("this frame was rendered without normals")
        return frame.normal * 0.5 + 0.5
    visible = (frame.alpha >= 0.5) & torch.isfinite(frame.depth)
    if not bool(visible.any()):
        return torch.zeros(*frame.depth.shape, 3, device=frame.depth.device)
    near, far = frame.depth[visible].min(), frame.depth[visible].max()
    bright = 1.0 - 0.85 * (frame.depth - near) / (far - near).clamp(min=1e-6)
    return (bright.clamp(0, 1) * visible)[..., None].expand(-1, -1, 3)
