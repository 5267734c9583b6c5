"""open_clip, imported when it is needed and also where torchvision is only half there.

open_clip imports torchvision, whose compiled operators are built for one build of torch. Beside
another (a CPU-only torch, say) they do not load, and then torchvision's own Python code fails at
import because two operators that it describes are unknown. Nothing here uses these operators, so
their signatures are declared and the rest of torchvision works.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch

from engine.errors import UserError

#: Operators that torchvision describes at import without asking whether they are there.
DESCRIBED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
#: A library's declarations live as long as the object does.
_declared: list[torch.library.Library] = []


@cache
def open_clip() -> Any:
    """The module ``open_clip``; takes a few seconds the first time.

    Raises:
        UserError: it is not installed, or what it needs cannot be loaded.
    """
    try:
        if "torchvision" not in sys.modules and not operators_load():
            declare_operators()
        return importlib.import_module("open_clip")
    except (ImportError, RuntimeError, OSError) as error:
        raise UserError(
            f"The library open_clip cannot be loaded ({' '.join(str(error).split())[:200]}); "
            "install Maquette again."
        ) from error


def operators_load() -> bool:
    """Whether torchvision's compiled operators fit this torch. Imports nothing of it."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        library = folder / f"_C{suffix}"
        if library.exists():
            try:
                torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
            except (OSError, RuntimeError):
                return False
            return True
    return False


def declare_operators() -> None:
    """Declare the operators that torchvision expects, unless they are there."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for signature in DESCRIBED:
        name = signature.partition("(")[0]
        if not hasattr(torch.ops.torchvision, name):
            library.define(signature)  # type: ignore[no-untyped-call]
    _declared.append(library)
