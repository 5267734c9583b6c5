"""``maquette convert``: a checkpoint as safetensors and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.converted import check_targets, common_path, write_and_say
from app.cli.parsing import Flag, parse


@dataclass(frozen=True)
class ConvertOptions:
    """Write a checkpoint as NAME.safetensors and NAME.json, which open faster, hold only
    what drawing needs, and can be read by any tool."""

    path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    """The authors' checkpoint."""
    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: beside FILE, same name)"),
    ] = None
    """Where to: the common name of both files, or a folder."""
    half: Flag = False
    """Store 16-bit floats: half the size; pictures differ slightly."""
    overwrite: Flag = False
    """Replace files that are there already."""
    json: Flag = False
    """Print what was written as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(ConvertOptions, words, "maquette convert")
    from app.cli.subject import checkpoint_path

    path = checkpoint_path(str(options.path))
    stem = common_path(options.out, path if path.is_dir() else path.with_suffix(""))
    check_targets(stem, [path], options.overwrite)
    from engine.checkpoints import read_checkpoint
    from engine.generators.registry import find_source

    write_and_say(find_source(read_checkpoint(path)), stem, options.half, options.json)
    return 0
