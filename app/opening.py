"""How the engine process and the export process open a model."""

from __future__ import annotations

import importlib

from app.wire import ProcessOptions
from engine.errors import CheckpointError
from engine.generators.base import Generator
from engine.recipe import ModelRef


def open_generator(path: str, options: ProcessOptions) -> Generator:
    """Open a model with the registry, or with the function that a test named.

    Raises:
        CheckpointError: the file is no model, or not one that is known.
    """
    if not options.opener:
        from engine.generators.registry import open_model

        return open_model(path, options.device)
    module, _, function = options.opener.partition(":")
    generator = getattr(importlib.import_module(module), function)(path, options.device)
    if not isinstance(generator, Generator):
        raise CheckpointError(f"{options.opener} gave no generator.")
    return generator


def reference(path: str) -> ModelRef:
    """The model's reference with the hash of the file that holds its tensors."""
    from engine.assets import model_place, shipped_generator
    from engine.checkpoints import model_name, model_sha256, weights_file

    where, shipped = model_place(path), shipped_generator(path)
    name = shipped.name if shipped else model_name(where)
    sha256 = model_sha256(weights_file(where)) if where.exists() else ""
    return ModelRef(path, sha256, name)
