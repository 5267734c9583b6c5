"""JSON for files that people read as well."""

from __future__ import annotations

import json
from typing import Any


def json_text(facts: Any, indent: int | None = None, allow_nan: bool = False) -> str:
    """Facts as JSON with letters as they are, which UTF-8 can write in any case: bytes of file names that are no letters
    (halves of letters to Python) are written by their numbers, and come back as they were.

    Raises:
        ValueError: a number is infinite or none, and that is not allowed.
    """
    text = json.dumps(facts, indent=indent, ensure_ascii=False, allow_nan=allow_nan)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(facts, indent=indent, allow_nan=allow_nan)
    return text
