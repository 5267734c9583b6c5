"""From a file's bytes to a square picture of the size that is trained on."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from engine.memory import give_back
from engine.training.data.allowance import Allowance

#: Endings that are taken for pictures, in lower case.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
#: The only readers that Pillow may try, whatever the ending says.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
#: Larger pictures are refused before they are decoded (Pillow warns from 89 million pixels on).
MAX_PIXELS = 89_000_000
#: Most bytes of one picture's file.
MAX_BYTES = 256 << 20
#: Pixels that all threads together decode at once, and bytes of files that they hold for it: one of the
#: largest pictures, or many of usual ones. A pixel takes up to 16 bytes on the way to 8-bit RGB.
DECODING, READING = Allowance(MAX_PIXELS), Allowance(MAX_BYTES)
#: From so many pixels on the memory of a picture is given back at once.
_LARGE = 16_000_000
#: What transparent pictures are laid over.
_BEHIND = (255, 255, 255, 255)

T = TypeVar("T")
Pixels = NDArray[np.uint8]


class Unreadable(Exception):
    """A file that is no picture we can read. ``str()`` says why, in half a sentence."""


def decode(data: bytes) -> Image.Image:
    """The picture in a file, upright, as 8-bit RGB; what is transparent is laid over white.

    Raises:
        Unreadable: damaged, foreign, or too large.
    """
    return of_picture(data, lambda picture: picture)


def of_picture(data: bytes, work: Callable[[Image.Image], T]) -> T:
    """What ``work`` makes of the picture in a file, which counts as being decoded until then: threads
    that look at large pictures wait for each other.

    Raises:
        Unreadable: as :func:`decode`.
    """
    # Pillow's readers let all kinds of errors through on damaged files, KeyError and struct.error
    # among them; whichever it is, the file is of no use and the others are.
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise Unreadable(f"it has more than {MAX_PIXELS // 1_000_000} million pixels")
            with DECODING.share(width * height):
                try:
                    opened.load()
                    return work(_eight_bits(ImageOps.exif_transpose(opened)))
                finally:
                    opened.close()
                    if width * height >= _LARGE:
                        # Else each thread keeps what its largest picture took.
                        give_back()
    except Unreadable:
        raise
    except Image.DecompressionBombError as error:
        raise Unreadable(f"it has more than {MAX_PIXELS // 1_000_000} million pixels") from error
    except MemoryError as error:
        raise Unreadable("there is not enough memory for it") from error
    except Exception as error:
        raise Unreadable("it is damaged, or no picture") from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I"):
        # Pillow cuts 16-bit greys off at 255 instead of scaling them.
        grey = np.asarray(picture).astype(np.float64) / 257.0
        return Image.fromarray((grey + 0.5).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in picture.mode or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, _BEHIND), clear).convert("RGB")
    return picture.convert("RGB")


def square(picture: Image.Image, side: int) -> Pixels:
    """``[side, side, 3]`` the middle square of a picture, resampled (Lanczos) to ``side``."""
    width, height = picture.size
    short = min(width, height)
    left, top = (width - short) // 2, (height - short) // 2
    if (width, height) != (short, short):
        picture = picture.crop((left, top, left + short, top + short))
    if short != side:
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture, np.uint8)
