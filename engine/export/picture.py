"""Pictures that know how they were made: PNG, JPEG and WebP with the recipe inside.

A PNG carries the recipe as JSON in an ``iTXt`` chunk named ``maquette-recipe``; a JPEG or
WebP carries the same JSON in the EXIF field UserComment. Drawing the recipe again gives the
pixels that were handed to :func:`save_picture`; a PNG and a WebP (lossless here) hold exactly
those pixels, a JPEG an approximation.

Nothing here needs torch, so that the window can read recipes by itself.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from engine.errors import ExportError, UserError
from engine.export.files import atomic_path
from engine.export.options import PICTURE_SUFFIXES
from engine.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

RECIPE_KEY = "maquette-recipe"
#: A text chunk of pictures for which what is empty around the face was found out (:mod:`engine.surveyed`), and
#: must be again for the very same pixels.
SURVEYED_KEY = "maquette-surveyed"
SOFTWARE = "Maquette"

#: A recipe takes about half a kilobyte, one with a latent of its own up to some hundred.
MAX_RECIPE_BYTES = 1 << 20
#: An EXIF segment of a JPEG has 16 bits for its length.
_MAX_JPEG_RECIPE = 64_000

_EXIF_SOFTWARE, _EXIF_DESCRIPTION = 0x0131, 0x010E
_EXIF_IFD, _EXIF_USER_COMMENT = 0x8769, 0x9286
#: EXIF 2.32, section 4.6.5: a UserComment starts with eight bytes that name its code.
_ASCII_COMMENT = b"ASCII\0\0\0"
_NO_RECIPE = "it was not made by Maquette, or another program took the recipe out"


def recipe_title(recipe: Recipe) -> str:
    """One line for people: what a picture shows."""
    pose = recipe.pose
    face = f"seed {recipe.seed}" if recipe.latent is None else recipe.latent.name or "a latent"
    name = recipe.model.name or Path(recipe.model.path).stem or "model"
    return (
        f"{name}, {face}, psi {recipe.psi:g}, yaw {pose.yaw:.1f}, "
        f"pitch {pose.pitch:.1f}, {recipe.view}"
    )


def picture_suffix(path: str | Path) -> str:
    """The lower-case suffix of a picture's name.

    Raises:
        ExportError: it is not one of :data:`engine.export.options.PICTURE_SUFFIXES`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise ExportError(
            f"{path} does not end in the name of a picture format that Maquette writes; "
            f"use one of {', '.join(PICTURE_SUFFIXES)}."
        )
    return suffix


def save_picture(
    pixels: Tensor | NDArray[np.uint8],
    path: str | Path,
    recipe: Recipe,
    *,
    quality: int = 95,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a picture together with its recipe.

    Args:
        pixels: ``[H, W, 3]`` or ``[H, W, 4]`` (straight alpha) uint8, row 0 on top.
        path: where to; the suffix chooses the format: ``.png``, ``.webp`` (both lossless) or
            ``.jpg`` / ``.jpeg``. An existing file is replaced.
        recipe: what ``Painter.picture`` was given.
        quality: of a JPEG, 1 to 100.
        notes: more text chunks of a PNG, by name; see :func:`read_note`.

    Raises:
        ExportError: unknown suffix, a transparent picture in a format without transparency,
            or the file cannot be written.
        ValueError: the pixels are not uint8 of that shape (a mistake in the program).
    """
    suffix = picture_suffix(path)
    image = _to_image(pixels)
    if image.mode == "RGBA" and suffix in (".jpg", ".jpeg"):
        raise ExportError(f"A JPEG cannot be transparent; save {Path(path).name} as .png or .webp.")
    text = json.dumps(recipe.to_json(), allow_nan=False)
    if suffix in (".jpg", ".jpeg") and len(text) > _MAX_JPEG_RECIPE:
        raise ExportError(
            f"The latent of this face is too long for a JPEG; save {Path(path).name} as .png or "
            ".webp."
        )
    # Encoded in memory: straight into a file, Pillow's JPEG takes a write that was cut short by a
    # full disk for a whole one.
    out = io.BytesIO()
    if suffix == ".png":
        image.save(out, "PNG", pnginfo=_png_info(text, recipe, notes or {}), compress_level=6)
    elif suffix == ".webp":
        image.save(out, "WEBP", lossless=True, exact=True, exif=_exif(text, recipe))
    else:
        image.save(out, "JPEG", quality=quality, subsampling=0, exif=_exif(text, recipe))
    with atomic_path(path) as temporary:
        temporary.write_bytes(out.getbuffer())


def read_recipe(path: str | Path) -> Recipe:
    """The recipe inside a picture. The pixels are never decoded.

    Raises:
        UserError: the file is missing, not a picture, holds no recipe, or a damaged, oversized
            or newer one.
    """
    where = Path(path).expanduser()
    with warnings.catch_warnings():
        # Pillow warns of large pictures, which are no danger where no pixel is decoded, and of
        # damaged metadata, which we tell ourselves.
        warnings.simplefilter("ignore")
        text = _open_quietly(where, _recipe_text)
    if text is None:
        raise UserError(f"{where} holds no Maquette recipe; {_NO_RECIPE}.")
    if len(text) > MAX_RECIPE_BYTES:
        raise UserError(f"The recipe in {where} is too long to be one of Maquette's.")
    try:
        if isinstance(text, bytes):
            # Told bytes, json would try whichever encoding they look like.
            text = text.decode("utf-8")
        data: Any = json.loads(text, parse_constant=_refuse_constant)
        return Recipe.from_json(data)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"The recipe in {where} is damaged; {_NO_RECIPE}.") from error


def read_note(path: str | Path, key: str) -> str | None:
    """A text chunk of a PNG, at most 1 MiB; ``None`` where there is none. The pixels are never
    decoded.

    Raises:
        UserError: the file is missing, damaged, or not a picture.
    """

    def note(image: Image.Image) -> str | None:
        found = image.info.get(key) if image.format == "PNG" else None
        return found if isinstance(found, str) else None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = _open_quietly(Path(path).expanduser(), note)
    return text if isinstance(text, str) and len(text) <= MAX_RECIPE_BYTES else None


def _open_quietly(
    where: Path, read: Callable[[Image.Image], str | bytes | None]
) -> str | bytes | None:
    try:
        with Image.open(where, formats=("PNG", "JPEG", "WEBP")) as image:
            return read(image)
    except FileNotFoundError as error:
        raise UserError(f"There is no picture at {where}; check the path.") from error
    except Image.DecompressionBombError as error:
        raise UserError(
            f"{where} claims to be an enormous picture ({error}); it is not one of Maquette's."
        ) from error
    except UnidentifiedImageError as error:
        raise UserError(f"{where} is not a PNG, JPEG or WebP picture.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"The picture {where} cannot be read ({reason}).") from error
    except (ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError) as error:
        # Pillow's readers raise these for damaged chunks and for text beyond its limits.
        raise UserError(f"The picture {where} is damaged ({error}).") from error


def _recipe_text(image: Image.Image) -> str | bytes | None:
    """The recipe's JSON, or nothing. Pillow bounds every text chunk to 1 MiB, inflated."""
    found = image.info.get(RECIPE_KEY)
    if isinstance(found, str):
        return found
    if image.format == "PNG":
        return None
    comment = image.getexif().get_ifd(_EXIF_IFD).get(_EXIF_USER_COMMENT)
    if isinstance(comment, bytes) and comment.startswith(_ASCII_COMMENT):
        return comment[len(_ASCII_COMMENT) :]
    return None


def _to_image(pixels: Tensor | NDArray[np.uint8]) -> Image.Image:
    array = np.ascontiguousarray(pixels if isinstance(pixels, np.ndarray) else pixels.cpu().numpy())
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (3, 4):
        raise ValueError(f"pixels must be uint8 [H, W, 3 or 4], not {array.dtype} {array.shape}")
    return Image.fromarray(array)


def _png_info(text: str, recipe: Recipe, notes: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    title = notes.get("Title", recipe_title(recipe))
    info.add_itxt("Title", title.encode("utf-8", "replace").decode())
    info.add_text("Software", SOFTWARE)
    info.add_itxt(RECIPE_KEY, text)
    for key, note in notes.items():
        if key != "Title":
            info.add_itxt(key, note)
    return info


def _exif(text: str, recipe: Recipe) -> Image.Exif:
    exif = Image.Exif()
    exif[_EXIF_SOFTWARE] = SOFTWARE
    exif[_EXIF_DESCRIPTION] = recipe_title(recipe).encode("ascii", "replace").decode()
    exif.get_ifd(_EXIF_IFD)[_EXIF_USER_COMMENT] = _ASCII_COMMENT + text.encode("ascii")
    return exif


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
