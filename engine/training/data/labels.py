"""Reading ``dataset.json``: which camera a picture was taken with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.errors import UserError
from engine.training.data.cameras import LENGTH, Label, trouble_of
from engine.training.data.decode import Unreadable
from engine.training.data.files import LABELS_NAME, Files


@dataclass(frozen=True)
class Labels:
    """What a file of labels says.

    Attributes:
        cameras: name of a picture -> its 25 numbers.
        bad: name of a picture -> what is wrong with its camera ("is not a rotation ...").
        foreign: how many labels are something else than cameras (numbers of classes).
    """

    cameras: Mapping[str, Label]
    bad: Mapping[str, str]
    foreign: int = 0


def read_labels(files: Files) -> Labels | None:
    """The labels of a data set; ``None`` where it has none.

    Raises:
        UserError: the file is there but is not what StyleGAN's and EG3D's tools write.
    """
    try:
        data = files.labels()
    except (Unreadable, OSError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise UserError(
            f"{LABELS_NAME} of {files.path} cannot be read ({why}); mend it, or allow reading it."
        ) from error
    if data is None:
        return None
    try:
        stated = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{LABELS_NAME} of {files.path} is no JSON ({error}); mend it.") from error
    pairs = stated.get("labels") if isinstance(stated, dict) else None
    if pairs is None and isinstance(stated, dict) and "labels" in stated:
        return None
    if isinstance(pairs, dict):
        pairs = list(pairs.items())
    if not isinstance(pairs, list):
        raise UserError(
            f'{LABELS_NAME} of {files.path} lacks the list "labels" of names and numbers; '
            "write it as EG3D's tools do, or remove it."
        )
    return _parsed(pairs)


def _parsed(pairs: list[object]) -> Labels:
    cameras: dict[str, Label] = {}
    bad: dict[str, str] = {}
    foreign = 0
    for pair in pairs:
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            foreign += 1
            continue
        name, numbers = pair[0].replace("\\", "/").removeprefix("./"), pair[1]
        if not (isinstance(numbers, list) and len(numbers) == LENGTH and all(map(_real, numbers))):
            foreign += 1
            continue
        label = np.array([_bounded(number) for number in numbers], np.float32)
        trouble = trouble_of(label)
        if trouble is None:
            cameras[name] = label
        else:
            bad[name] = trouble
    return Labels(cameras, bad, foreign)


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounded(value: float) -> float:
    """A whole number of a thousand digits is JSON, but no float."""
    return float(value) if -1e30 < value < 1e30 else math.nan
