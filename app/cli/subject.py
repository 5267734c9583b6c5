"""What a command draws: from options, or from the recipe inside a picture, to a recipe with
its model open."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.mixing import MixingOptions
from app.cli.options import CameraOptions, FaceOptions, QualityOptions, SubjectOptions
from engine.errors import CheckpointError, UserError
from engine.recipe import ModelRef, Recipe

if TYPE_CHECKING:
    from engine.generators.base import Generator

BUNDLED = "bundled"


@dataclass(frozen=True)
class DrawingOptions:
    """The options of every command that draws."""

    subject: SubjectOptions = field(default_factory=SubjectOptions)
    face: FaceOptions = field(default_factory=FaceOptions)
    mixing: MixingOptions = field(default_factory=MixingOptions)
    camera: CameraOptions = field(default_factory=CameraOptions)
    quality: QualityOptions = field(default_factory=QualityOptions)


def read_subject(options: DrawingOptions) -> Recipe:
    """The recipe as far as it is known before the model is open, checked.

    Raises:
        UserError: a value out of range, or a picture without a recipe.
    """
    recipe = Recipe()
    if options.subject.source is not None:
        from engine.export.picture import read_recipe

        recipe = read_recipe(options.subject.source)
    recipe = options.quality.apply(options.mixing.apply(options.face.apply(recipe)))
    options.camera.apply(recipe.pose)
    return recipe.checked()


def open_subject(options: DrawingOptions, recipe: Recipe) -> tuple[Generator, Recipe]:
    """Open the model and finish the recipe with what only the model knows.

    Raises:
        UserError: the model is missing, damaged or foreign, or is no longer the one that drew
            the picture given with ``--from``.
    """
    subject = options.subject
    if subject.source is not None and subject.model is None:
        _check_same_model(recipe, subject.source)
    path = subject.model or recipe.model.path
    weights = model_file(path)
    from engine.checkpoints import file_sha256
    from engine.generators.registry import open_model

    generator = open_model(checkpoint_path(path), subject.device)
    kept = path if path == BUNDLED else str(Path(path).expanduser().resolve())
    pose = recipe.pose if subject.source is not None else generator.capabilities.default_pose
    finished = replace(
        recipe,
        model=ModelRef(kept, file_sha256(weights), weights.stem),
        pose=options.camera.apply(pose),
    )
    return generator, options.mixing.mixes(finished, generator.capabilities)


def checkpoint_path(path: str) -> Path:
    """The file that the reader is given for ``path``: itself, or the bundled model's JSON.

    Raises:
        CheckpointError: there is no such file.
    """
    from engine.assets import bundled_generator

    where = bundled_generator() if path == BUNDLED else Path(path).expanduser()
    if where.is_dir():
        raise CheckpointError(f"{where} is a folder; name the model file in it.")
    if not where.is_file():
        raise CheckpointError(f"There is no model at {where}; check the path.")
    return where


def model_file(path: str) -> Path:
    """The file that holds a model's tensors: what a recipe's hash is of.

    For a converted model that is the ``.safetensors`` beside its ``.json``.

    Args:
        path: ``"bundled"`` or a file.

    Raises:
        CheckpointError: there is no such file.
    """
    where = checkpoint_path(path)
    weights = where.with_suffix(".safetensors")
    return weights if where.suffix == ".json" and weights.is_file() else where


def _check_same_model(recipe: Recipe, picture: Path) -> None:
    """The model that drew a picture must still be what it was."""
    from engine.checkpoints import file_sha256

    reference = recipe.model
    try:
        where = model_file(reference.path)
    except CheckpointError:
        if reference.path == BUNDLED:
            raise
        raise UserError(
            f"The model that drew {picture} is no longer at {reference.path}; name it with --model."
        ) from None
    if reference.sha256 and file_sha256(where) != reference.sha256:
        raise UserError(
            f"The model at {where} has changed since {picture} was drawn, so the same pixels "
            "cannot come out; name a model with --model to draw with it all the same."
        )
