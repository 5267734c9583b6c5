"""Eyes, mouths and angles given by hand: a small file that people and the window write.

``{"format": 1, "faces": {"photo.jpg": [{"eyes": [[x, y], [x, y]], "mouth": [[x, y], [x, y]],
"yaw": 12.0, "pitch": -3.0, "certain": true}]}}``: pixels of the upright picture from its top left
corner, left before right (they are put in order); ``yaw`` and ``pitch`` may be missing, and ``certain`` is false where the
places are only a guess that nobody has confirmed. An empty list says that there is no face.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import UserError
from engine.export.files import write_bytes
from engine.json_text import json_text
from engine.training.data.photos.faces import Face, Points

_FORMAT = 1
_MOST = 256 << 20


def read_points(path: Path) -> dict[str, tuple[Face, ...]]:
    """The faces of each picture that the file names.

    Raises:
        UserError: the file cannot be read, or is not as the module's docstring says.
    """
    try:
        if path.stat().st_size > _MOST:
            raise ValueError("it is too large")
        stated = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stated, dict) or stated.get("format") != _FORMAT:
            raise ValueError("it is of another format")
        return {name: tuple(map(_face, faces)) for name, faces in stated["faces"].items()}
    except OSError as error:
        raise UserError(
            f"The points {path} cannot be read ({error.strerror or error}); check the path."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"The points in {path} cannot be read ({error}); mend them.") from error


def write_points(path: Path, faces: Mapping[str, Sequence[Face]]) -> None:
    """Store faces; what is dense stays out.

    Raises:
        ExportError: the file cannot be written.
    """
    stated = {name: [_plain(face) for face in each] for name, each in sorted(faces.items())}
    text = json_text({"format": _FORMAT, "faces": stated}, 1, allow_nan=True)
    write_bytes(path, (text + "\n").encode())


def _plain(face: Face) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "eyes": np.round(face.eyes, 2).tolist(),
        "mouth": np.round(face.mouth, 2).tolist(),
        "certain": face.certain,
    }
    for name, value in (("yaw", face.yaw), ("pitch", face.pitch)):
        if value is not None:
            plain[name] = round(value, 3)
    return plain


def _face(stated: Mapping[str, Any]) -> Face:
    yaw, pitch = (_angle(stated, name) for name in ("yaw", "pitch"))
    if (yaw is None) != (pitch is None):
        raise ValueError("yaw and pitch belong together")
    eyes, mouth = _pair(stated["eyes"]), _pair(stated["mouth"])
    face = Face(eyes, mouth, None, yaw, pitch, bool(stated.get("certain", True)))
    if face.size < 1.0:
        raise ValueError("eyes and mouth are at the same place")
    return in_order(face)


def _pair(stated: Any) -> Points:
    points = np.array(stated, np.float64)
    if points.shape != (2, 2) or not np.isfinite(points).all() or np.abs(points).max() > 1e6:
        raise ValueError("eyes and mouth are two points of two numbers each")
    return points


def in_order(face: Face) -> Face:
    """The same face with its eyes and its corners of the mouth in the order that it wants."""
    down = face.mouth.mean(0) - face.eyes.mean(0)
    return replace(face, eyes=_ordered(face.eyes, down), mouth=_ordered(face.mouth, down))


def _ordered(pair: Points, down: Points) -> Points:
    """Two points, first the one that is further left once ``down`` (from the eyes to the mouth) points
    down: people mix them up."""
    across = pair[1] - pair[0]
    return pair[::-1].copy() if across[0] * down[1] - across[1] * down[0] < 0 else pair


def _angle(stated: Mapping[str, Any], name: str) -> float | None:
    if name not in stated:
        return None
    value = float(stated[name])
    if not math.isfinite(value) or abs(value) > (180 if name == "yaw" else 89):
        raise ValueError(f"{name} is out of range")
    return value
