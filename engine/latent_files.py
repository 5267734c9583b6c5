"""Latents as ``.npz`` files: the form of the authors' projections (``projected_w.npz``).

Needs no torch, and executes nothing that a file holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ExportError, UserError
from engine.export.files import atomic_path
from engine.identity import MAX_LATENT, BlendSpace, Latent
from engine.zip_parts import BadArchive, read_array, read_parts

LATENT_SUFFIX = ".npz"
MAX_FILE = 64 << 20
#: Bytes of one array: 64-bit numbers and a header.
_MAX_ARRAY = 8 * MAX_LATENT + (64 << 10)


def latent_suffix(path: str | Path) -> str:
    """``".npz"``, checked.

    Raises:
        ExportError: the name ends otherwise.
    """
    if Path(path).suffix.lower() != LATENT_SUFFIX:
        raise ExportError(f"{path} must end in {LATENT_SUFFIX} to hold a latent.")
    return LATENT_SUFFIX


def write_latent(path: str | Path, w: NDArray[np.float32]) -> None:
    """Write ``[num_ws, w_dim]`` under the key ``w`` as ``[1, num_ws, w_dim]``.

    Raises:
        ExportError: the name does not end in ``.npz``, or the file cannot be written.
    """
    latent_suffix(path)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, w=np.asarray(w, dtype=np.float32)[None])


def read_latent(path: str | Path) -> Latent:
    """The face in a file: ``w`` (``[1, num_ws, w_dim]``, ``[num_ws, w_dim]``, or with one row
    that stands for all), or else ``z`` (``[z_dim]`` or ``[1, z_dim]``). Its name is the file's.

    Raises:
        UserError: the file is missing, foreign, damaged or hostile, or holds several faces.
    """
    where = Path(path).expanduser()
    try:
        if not where.exists():
            raise UserError(f"There is no latent at {where}; check the path.")
        if not where.is_file():
            raise UserError(f"{where} is not a file; name a {LATENT_SUFFIX} file.")
        if where.stat().st_size > MAX_FILE:
            raise UserError(f"{where} is far too large to be the latent of one face.")
        with where.open("rb") as file:
            parts = read_parts(file, {"w.npy": _MAX_ARRAY, "z.npy": _MAX_ARRAY})
        space: BlendSpace = "w" if "w.npy" in parts else "z"
        if f"{space}.npy" not in parts:
            raise UserError(f"{where} holds no latent: there is neither 'w' nor 'z' in it.")
        numbers = _one_face(read_array(parts[f"{space}.npy"]), space, where)
    except BadArchive as error:
        raise UserError(f"The latent {where} cannot be read: {error}.") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UserError(f"The latent {where} cannot be read ({reason}).") from error
    try:
        return Latent.of(numbers, space, where.stem)
    except UserError as error:
        raise UserError(f"The latent {where} cannot be used. {error}") from error


def _one_face(array: NDArray[Any], space: BlendSpace, where: Path) -> NDArray[Any]:
    """``[rows, columns]`` of what a file holds."""
    numbers = array
    if numbers.ndim == 3 and numbers.shape[0] != 1:
        raise UserError(f"{where} holds {numbers.shape[0]} faces; only files with one can be read.")
    if numbers.ndim == 3:
        numbers = numbers[0]
    if space == "z" and numbers.ndim == 1:
        numbers = numbers[None]
    if numbers.ndim != 2 or numbers.dtype.kind != "f":
        raise UserError(
            f"The latent in {where} is {array.dtype} {list(array.shape)}; it must be floating "
            "point, [1, rows, columns]."
        )
    return numbers
