"""``maquette convert``: a checkpoint as safetensors and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.parsing import Flag, parse
from app.cli.terminal import say, show_json
from engine.errors import UserError


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
    stem = _stem(options.out.expanduser() if options.out is not None else None, path)
    targets = [stem.with_name(stem.name + end) for end in (".json", ".safetensors")]
    if path.resolve() in [target.resolve() for target in targets]:
        raise UserError(f"{path} is a converted model already; name another place with --out.")
    if not options.overwrite and (there := [t for t in targets if t.exists()]):
        raise UserError(f"{there[0]} exists already; add --overwrite or another --out.")

    from engine.export.files import check_writable

    for target in targets:
        check_writable(target)
    from engine.checkpoints import file_sha256, read_checkpoint, write_model
    from engine.generators.registry import find_source

    source = find_source(read_checkpoint(path))
    written = write_model(source, stem, half=options.half)
    weights = written.with_suffix(".safetensors")
    if options.json:
        facts = {
            "path": str(written),
            "tensors": str(weights),
            "bytes": weights.stat().st_size,
            "sha256": file_sha256(weights),
            "family": source.family,
        }
        show_json(facts)
    else:
        say(f"{written} and {weights.name}, {weights.stat().st_size / 1e6:.1f} MB")
    return 0


def _stem(out: Path | None, path: Path) -> Path:
    """Common path of both files without an ending."""
    bare = path if path.is_dir() else path.with_suffix("")
    if out is None:
        return bare
    if out.is_dir():
        return out / bare.name
    return out.with_suffix("") if out.suffix in (".json", ".safetensors") else out
