"""Writing a converted model: where to, what may be replaced, what is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.terminal import say, show_json
from engine.errors import UserError

if TYPE_CHECKING:
    from engine.checkpoints.plain import ModelSource


def common_path(out: Path | None, default: Path) -> Path:
    """Path of both files without an ending.

    Args:
        out: the common name, either file, or a folder.
        default: the path if there is no ``out``, and the name in a folder.
    """
    if out is None:
        return default
    out = out.expanduser()
    if out.is_dir():
        return out / default.name
    return out.with_suffix("") if out.suffix in (".json", ".safetensors") else out


def check_targets(stem: Path, sources: Sequence[Path], overwrite: bool) -> None:
    """Before anything is read: both files may be written.

    Raises:
        UserError: one is what is read, or is there already, or cannot be written to.
    """
    targets = [stem.with_name(stem.name + end) for end in (".json", ".safetensors")]
    places = [target.resolve() for target in targets]
    for path in sources:
        if path.resolve() in places:
            raise UserError(f"{path} is a converted model already; name another place with --out.")
    if not overwrite and (there := [t for t in targets if t.exists()]):
        raise UserError(f"{there[0]} exists already; add --overwrite or another --out.")
    from engine.export.files import check_writable

    for target in targets:
        check_writable(target)


def write_and_say(source: ModelSource, stem: Path, half: bool, as_json: bool) -> None:
    """Write both files, and say what they are.

    Raises:
        CheckpointError: they cannot be written.
    """
    from engine.checkpoints import file_sha256, write_model

    written = write_model(source, stem, half=half)
    weights = written.with_suffix(".safetensors")
    if not as_json:
        say(f"{written} and {weights.name}, {weights.stat().st_size / 1e6:.1f} MB")
        return
    show_json(
        {
            "path": str(written),
            "tensors": str(weights),
            "bytes": weights.stat().st_size,
            "sha256": file_sha256(weights),
            "family": source.family,
        }
    )
