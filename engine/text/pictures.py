"""Picture files as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.errors import UserError

#: What shows through where a picture is transparent: a light grey, as in training.
BACKDROP = 0.9
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")


def read_picture(path: Path) -> Tensor:
    """``[1, 3, H, W]`` in [0, 1].

    Raises:
        UserError: the file is no picture, is damaged, or is far too large.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255.0
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} cannot be read as a picture ({' '.join(str(error).split())[:120]}); choose a "
            "PNG, JPEG or WebP file."
        ) from error
    rgb = rgba[..., :3] * rgba[..., 3:] + BACKDROP * (1.0 - rgba[..., 3:])
    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None]
