"""What a command draws: from options, or from the recipe inside a picture or a project, to a
recipe with its model open."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.mixing import MixingOptions
from app.cli.options import (
    CameraOptions,
    FaceOptions,
    QualityOptions,
    SettingOptions,
    SubjectOptions,
)
from app.cli.parsing import one_seed
from engine.assets import model_place, shipped_generator
from engine.capabilities import Capabilities
from engine.errors import CheckpointError, UserError
from engine.memory import keep_freed
from engine.recipe import ModelRef, Recipe

if TYPE_CHECKING:
    from engine.generators.base import Generator


@dataclass(frozen=True)
class DrawingOptions:
    """The options of every command that draws."""

    subject: SubjectOptions = field(default_factory=SubjectOptions)
    face: FaceOptions = field(default_factory=FaceOptions)
    mixing: MixingOptions = field(default_factory=MixingOptions)
    camera: CameraOptions = field(default_factory=CameraOptions)
    quality: QualityOptions = field(default_factory=QualityOptions)
    settings: SettingOptions = field(default_factory=SettingOptions)


def read_subject(options: DrawingOptions) -> Recipe:
    """The recipe as far as it is known before the model is open, checked.

    Raises:
        UserError: a value out of range, or a picture without a recipe.
    """
    recipe = Recipe()
    if options.subject.source is not None:
        recipe = _recipe_of(options.subject.source)
    if options.face.latent is not None and options.mixing.blend:
        raise UserError("--latent and --blend both say whose face it is; give one of them.")
    recipe = options.quality.apply(options.mixing.apply(options.face.apply(recipe)))
    options.camera.apply(recipe.pose)
    options.settings.given()
    return recipe.checked()


def chosen_seed(options: DrawingOptions, recipe: Recipe, seed: str | None) -> Recipe:
    """``recipe`` with the face of ``--seed``, if it was given.

    Raises:
        UserError: it is no seed, or there is a latent beside it.
    """
    if seed is None:
        return recipe
    check_one_face(options)
    return recipe.of_seed(one_seed(seed))


def check_one_face(options: DrawingOptions) -> None:
    """Refuse a seed beside a latent.

    Raises:
        UserError: there is a latent.
    """
    if options.face.latent is not None:
        raise UserError("--latent and --seed both say whose face it is; give one of them.")


def _recipe_of(source: Path) -> Recipe:
    """What a picture or a project shows."""
    from app.project import is_project, read_project

    if is_project(source):
        return read_project(source).document.recipe
    from engine.export.picture import read_recipe

    return read_recipe(source)


def open_subject(options: DrawingOptions, recipe: Recipe) -> tuple[Generator, Recipe]:
    """Open the model and finish the recipe with what only the model knows.

    Raises:
        UserError: the model is missing, damaged or foreign, is no longer the one that drew
            what was given with ``--from``, or cannot do what is asked of it.
    """
    subject = options.subject
    if subject.source is not None and subject.model is None:
        _check_same_model(recipe, subject.source)
    path = subject.model or recipe.model.path
    where = checkpoint_path(path)
    from engine.checkpoints import model_name, model_sha256, weights_file
    from engine.generators.registry import open_model

    keep_freed()
    generator = open_model(where, subject.device)
    capabilities = generator.capabilities
    foreign = subject.source is not None and subject.model is not None
    if foreign:
        # Layers were lent to the model that drew it, not to this one.
        recipe = replace(recipe, swap=None)
    recipe = _possible(options, recipe, capabilities)
    recipe = options.settings.apply(recipe, capabilities, foreign)
    kept = path if shipped_generator(path) else str(Path(path).expanduser().resolve())
    pose = recipe.pose if subject.source is not None else capabilities.default_pose
    finished = replace(
        recipe,
        model=ModelRef(kept, model_sha256(weights_file(where)), model_name(where)),
        pose=options.camera.apply(pose),
    )
    latent = finished.latent
    if latent is not None and (
        why := latent.why_not(capabilities.num_ws, capabilities.w_dim, capabilities.z_dim)
    ):
        raise UserError(why)
    return generator, options.mixing.mixes(finished, capabilities)


def _possible(options: DrawingOptions, recipe: Recipe, capabilities: Capabilities) -> Recipe:
    """``recipe`` without what another model left in it and this one has not.

    Raises:
        UserError: something was asked for that the model cannot do; the reason is told.
    """
    if why := capabilities.why_not("cutoff"):
        if options.face.cutoff is not None:
            raise UserError(f"--cutoff has no meaning for this model: {why}")
        recipe = replace(recipe, cutoff=None)
    if why := capabilities.why_not("neural_resolution"):
        if options.quality.neural_resolution is not None:
            raise UserError(f"--neural-resolution has no meaning for this model: {why}")
        recipe = replace(recipe, neural_resolution=None)
    if why := capabilities.why_not(recipe.view):
        raise UserError(f"This model has no view {recipe.view!r}: {why}")
    if recipe.transparent and (why := capabilities.why_not("opacity")):
        raise UserError(f"This model's background cannot be cut away: {why}")
    return recipe


def checkpoint_path(path: str) -> Path:
    """What the reader is given for ``path``: itself (a file, or the folder of a release), or
    the JSON of a model that ships with Maquette.

    Raises:
        CheckpointError: there is nothing there.
    """
    where = model_place(path)
    if not where.exists():
        raise CheckpointError(f"There is no model at {where}; check the path.")
    return where


def _check_same_model(recipe: Recipe, source: Path) -> None:
    """The model that drew a picture or a project must still be what it was."""
    from engine.checkpoints import model_sha256, weights_file

    reference = recipe.model
    try:
        where = weights_file(checkpoint_path(reference.path))
    except CheckpointError:
        if shipped_generator(reference.path):
            raise
        raise UserError(
            f"The model that drew {source} is no longer at {reference.path}; name it with --model."
        ) from None
    if reference.sha256 and model_sha256(where) != reference.sha256:
        raise UserError(
            f"The model at {where} has changed since {source} was made, so the same pixels "
            "cannot come out; name a model with --model to draw with it all the same."
        )
