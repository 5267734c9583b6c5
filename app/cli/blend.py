"""``maquette blend``: a model between two others, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.converted import check_targets, common_path, write_and_say
from app.cli.parsing import Flag, finite, parse
from engine.errors import UserError


@dataclass(frozen=True)
class BlendOptions:
    """Write SOURCE with some of its layers taken from TARGET, wholly or in part, as a converted
    model. Both must be of one family, and one trained on from the other: a model of photos with
    the late layers of a model of cartoons draws the same faces as cartoons."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SOURCE")]
    """The model that is changed: a checkpoint, a folder or archive of a release, or a converted
    model."""
    target: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TARGET")]
    """The model that layers are taken from."""
    out: Annotated[Path, tyro.conf.arg(metavar="NAME")]
    """Where to: the common name of both files, or a folder."""
    layers: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="LAYER ...", help_behavior_hint="(default: all)"),
    ] = ("all",)
    """Layers to blend, such as 1024 512 256 128 64 32 (the CIPS-3D authors' choice), or all."""
    gamma: Annotated[float, tyro.conf.arg(metavar="SHARE")] = 0.5
    """Share of TARGET in these layers, 0 to 1."""
    half: Flag = False
    """Store 16-bit floats: half the size; pictures differ slightly."""
    overwrite: Flag = False
    """Replace files that are there already."""
    json: Flag = False
    """Print what was written as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(BlendOptions, words, "maquette blend")
    finite(gamma=options.gamma)
    if not 0.0 <= options.gamma <= 1.0:
        raise UserError(f"--gamma must be 0 to 1, not {options.gamma:g}.")
    from app.cli.subject import checkpoint_path

    paths = [checkpoint_path(path) for path in (options.source, options.target)]
    from engine.checkpoints import model_name

    both = "-".join(model_name(path) for path in paths)
    stem = common_path(options.out, options.out.expanduser() / both)
    check_targets(stem, paths, options.overwrite)
    from engine.checkpoints import read_checkpoint
    from engine.generators.blending import blend_sources
    from engine.generators.registry import find_source

    source, target = (find_source(read_checkpoint(path)) for path in paths)
    blended = blend_sources(source, target, options.layers, options.gamma)
    write_and_say(blended, stem, options.half, options.json)
    return 0
