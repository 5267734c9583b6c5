"""Which pictures a person ticked off: a small file beside the data set.

``maquette-choices.json`` in the folder (or ``NAME.maquette-choices.json`` beside ``NAME.zip``)
holds ``{"format": 1, "dropped": [name, ...]}``. Everything that is not named is kept, so that
pictures that are added later take part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from engine.errors import UserError
from engine.export.files import write_bytes

#: Names it ends with, after ``maquette-``.
NAME = "choices.json"
_FORMAT = 1
_MOST = 256 << 20


def read_dropped(path: Path) -> frozenset[str]:
    """Names of the pictures that are left out; none where there is no such file.

    Raises:
        UserError: the file cannot be read. A choice that is lost silently would put pictures
            into the training that somebody took out.
    """
    if not path.exists():
        return frozenset()
    try:
        if path.stat().st_size > _MOST:
            raise ValueError("it is too large")
        stated = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stated, dict) or stated.get("format") != _FORMAT:
            raise ValueError("it is of another format")
        names = stated["dropped"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError('"dropped" is no list of names')
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise UserError(
            f"The choice of pictures in {path} cannot be read ({error}); mend or remove it."
        ) from error
    return frozenset(names)


def write_dropped(path: Path, names: Iterable[str]) -> None:
    """Store which pictures are left out.

    Raises:
        ExportError: the file cannot be written.
    """
    stated = {"format": _FORMAT, "dropped": sorted(set(names))}
    write_bytes(path, (json.dumps(stated, indent=1) + "\n").encode())
