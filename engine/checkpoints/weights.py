"""Which file holds the tensors of a model: the one whose hash names it."""

from __future__ import annotations

from pathlib import Path

from engine.checkpoints.releases import main_file


def weights_file(path: Path) -> Path:
    """The file whose bytes tell one model from another.

    Of a converted model that is the ``.safetensors`` beside its ``.json``; of the folder of a
    release it is the file that the reader chooses there; any other file is its own.

    Raises:
        CheckpointError: it is a folder that holds no model.
    """
    if path.is_dir():
        return main_file(path)
    beside = path.with_suffix(".safetensors")
    return beside if path.suffix == ".json" and beside.is_file() else path


def model_name(path: Path) -> str:
    """A model's title for people: its file's name without the ending, or its folder's name."""
    return path.name if path.is_dir() else path.stem
