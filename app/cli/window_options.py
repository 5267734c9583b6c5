"""The words of the command line that opens the window, and the parser, which takes a moment to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.parsing import parse

__all__ = ["WindowOptions", "parse"]


@dataclass(frozen=True)
class WindowOptions:
    """Open the window on a 3D-aware generator and turn the head with the mouse."""

    path: Annotated[
        tyro.conf.Positional[Path | None],
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: the bundled generator)"),
    ] = None
    """A checkpoint to open (the authors' file or a converted model), or a .maquette project."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to compute; 'cuda:1' names the second GPU."""
