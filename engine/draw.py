"""From a recipe to a picture: the one path that window, command line and exports share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.capabilities import SettingValue
from engine.edits import Edit
from engine.errors import UserError
from engine.faces import Fade
from engine.frame import Frame
from engine.generators.base import NEVER, CancelToken, Generator, Quality, latent_from_seed
from engine.identity import Blend, Latent, StyleSource
from engine.joining import Joiner
from engine.latents import blended, edited, mixed
from engine.layer_swap import LayerSwap
from engine.recipe import Recipe
from engine.surveyed import Drawn, Surveys
from engine.views import view_image

#: Faces whose w is kept, for blends and mixes of several.
_KEPT_FACES = 64
#: Composed w that are kept: a picture and what it is compared with are drawn in turn.
_KEPT_COMPOSED = 4


@dataclass(frozen=True)
class LatentKey:
    """What w depends on: while it stays the same, planes and features stay cached."""

    seed: int
    psi: float
    cutoff: int | None
    blend: Blend | None
    mixes: tuple[StyleSource, ...]
    latent: Latent | None
    settings: tuple[tuple[str, SettingValue], ...]
    fades: tuple[Fade, ...] = ()
    edits: tuple[Edit, ...] = ()


class Painter:
    """Draws recipes with one generator and keeps what does not depend on the camera."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        #: Builds what ``generator`` is with the layers of a second model.
        self.joiner = Joiner(generator)
        self._composed: OrderedDict[LatentKey, Tensor] = OrderedDict()
        self._mapped: OrderedDict[LatentKey, Tensor] = OrderedDict()

    def latent(self, recipe: Recipe) -> Tensor:
        """``[num_ws, w_dim]`` of a recipe; the same object while nothing about it changes.

        Raises:
            UserError: the recipe mixes layers, or sets settings, that this model lacks, or holds a
                latent or an edit of another model.
        """
        self.generator.adjust(dict(recipe.settings))
        key = _latent_key(recipe)
        w = self._composed.get(key)
        if w is None:
            with torch.inference_mode():
                w = self._compose(key)
            self._composed[key] = w
            if len(self._composed) > _KEPT_COMPOSED:
                self._composed.popitem(last=False)
        else:
            self._composed.move_to_end(key)
        return w

    def _compose(self, key: LatentKey) -> Tensor:
        """``[num_ws, w_dim]`` of a face, or between faces, edited."""
        if key.edits:
            # Kept without them, since a drag changes their strength alone.
            return edited(self._kept(replace(key, edits=()), self._compose), key.edits)
        own = replace(key, fades=())
        if not key.fades:
            return self._face(own)
        rest = 1.0 - sum(fade.weight for fade in key.fades)
        w = self._kept(own, self._face) * rest
        for fade in key.fades:
            face = LatentKey(**vars(fade.face), settings=key.settings)
            w = w + self._kept(face, self._face) * fade.weight
        return w

    def _face(self, key: LatentKey) -> Tensor:
        def of_seed(seed: int) -> Tensor:
            plain = replace(key, seed=seed, blend=None, mixes=(), latent=None)
            return self._kept(plain, self._seed)

        def map_z(z: Tensor) -> Tensor:
            return self.generator.map(z, psi=key.psi, cutoff=key.cutoff)

        own = None
        if key.latent is not None:
            own = self._explicit(key.latent)
            if key.latent.space == "z" and (key.blend is None or key.blend.space == "w"):
                own = map_z(own)
        if key.blend is not None:
            z_dim = self.generator.capabilities.z_dim
            w = blended(key.blend, lambda seed: latent_from_seed(seed, z_dim), of_seed, map_z, own)
        else:
            w = of_seed(key.seed) if own is None else own
        return mixed(w, key.mixes, of_seed)

    def _explicit(self, latent: Latent) -> Tensor:
        """``[num_ws, w_dim]``, or ``[z_dim]`` of a latent in z."""
        facts = self.generator.capabilities
        if why := latent.why_not(facts.num_ws, facts.w_dim, facts.z_dim):
            raise UserError(why)
        numbers = torch.from_numpy(latent.numbers.astype("float32"))
        if latent.space == "z":
            return numbers[0]
        return numbers.expand(facts.num_ws, -1).contiguous().to(self.generator.device)

    def _seed(self, key: LatentKey) -> Tensor:
        z = latent_from_seed(key.seed, self.generator.capabilities.z_dim)
        return self.generator.map(z, psi=key.psi, cutoff=key.cutoff)

    def _kept(self, key: LatentKey, make: Callable[[LatentKey], Tensor]) -> Tensor:
        """What ``make`` gives, or gave before."""
        w = self._mapped.get(key)
        if w is None:
            w = make(key)
            self._mapped[key] = w
            if len(self._mapped) > _KEPT_FACES:
                self._mapped.popitem(last=False)
        else:
            self._mapped.move_to_end(key)
        return w

    def frame(
        self, recipe: Recipe, cancel: CancelToken = NEVER, quality: Quality | None = None
    ) -> Frame:
        """Render a recipe. ``quality`` overrides the recipe's own (used for previews)."""
        recipe.checked()
        chosen = quality or full_quality(recipe)
        with torch.inference_mode():
            w, model = self.latent(recipe), self.model(recipe)
            return model.render(w, recipe.pose.camera(), chosen, cancel)

    def explore(self, recipe: Recipe) -> bool:
        """Look at a part of the field of a recipe's face (:meth:`Generator.explore`), whose pictures are
        drawn faster once nothing is left to look at: then it returns true.

        Raises:
            UserError: see :meth:`latent` and :meth:`model`.
        """
        return self.model(recipe).explore(self.latent(recipe))

    def model(self, recipe: Recipe) -> Generator:
        """The generator that a recipe is drawn by: the open one, or that with the layers of a
        second model. w is the same for both: no mapping is exchanged.

        Raises:
            UserError: the second model is gone, or does not fit.
        """
        if recipe.swap is None or not recipe.swap.changes:
            return self.generator
        joined = self.joiner.join(recipe.swap)
        joined.adjust(dict(recipe.settings))
        return joined

    def picture(self, recipe: Recipe, cancel: CancelToken = NEVER, survey: bool = False) -> Tensor:
        """The finished picture of a recipe, see :meth:`pictures`: its pixels."""
        return next(self.pictures([recipe], cancel, survey)).pixels

    def pictures(
        self, recipes: Sequence[Recipe], cancel: CancelToken = NEVER, survey: bool = False
    ) -> Iterator[Drawn]:
        """The finished pictures of some recipes, one after the other.

        What is empty around a face is found out before its first picture where so many of it follow one
        another that this pays for itself (:mod:`engine.surveyed`). What else was drawn or looked at with
        this generator, before or meanwhile, changes nothing.

        Args:
            recipes: in the order in which they are drawn.
            cancel: checked between ray chunks, slices of looking, and pictures.
            survey: look around every face, whether that pays for itself or not: what a picture of many
                showed is drawn again by itself so.

        Yields:
            ``[S, S, 3]`` or, with ``recipe.transparent``, ``[S, S, 4]`` (straight alpha)
            uint8 on the CPU, where S is ``recipe.size`` or the model's own.

        Raises:
            UserError: the recipe is out of range, or the model drew NaN.
            Cancelled: ``cancel`` was set.
        """
        surveys = Surveys()
        for (_, _, quality), several in groupby(recipes, _alike):
            run = list(several)
            for recipe in run:
                cancel.check()
                w, model = self.latent(recipe), self.model(recipe)
                pays = survey or len(run) >= model.survey_pays_after(quality)
                with surveys.known(model, w, pays, cancel) as surveyed:
                    pixels = self._finished(recipe, cancel)
                yield Drawn(pixels, surveyed)

    def _finished(self, recipe: Recipe, cancel: CancelToken) -> Tensor:
        """A picture as it is saved."""
        frame = self.frame(recipe, cancel)
        image = view_image(frame, recipe.view)
        if recipe.transparent:
            image = torch.cat([image, _resize(frame.alpha[..., None], image.shape[0])], dim=-1)
        side = recipe.size or self.generator.capabilities.resolution
        image = _resize(image, side)
        if not bool(torch.isfinite(image).all()):
            raise UserError(
                "The model drew a picture with NaN in it (values that are not numbers); try another "
                "seed or pose, or check that the model's file is intact."
            )
        image = image.clamp(0, 1)
        return (image * 255.0 + 0.5).to(torch.uint8).cpu()


def _latent_key(recipe: Recipe) -> LatentKey:
    # Those that give nothing change nothing.
    mixes = tuple(source for source in recipe.mixes if source.rows)
    edits = tuple(edit for edit in recipe.edits if edit.effect)
    return LatentKey(
        recipe.seed, recipe.psi, recipe.cutoff, recipe.blend, mixes, recipe.latent,
        recipe.settings, recipe.fades, edits,
    )  # fmt: skip


def _alike(recipe: Recipe) -> tuple[LatentKey, LayerSwap | None, Quality]:
    """What pictures have in common that show the same face, by the same model, with the same effort.

    Raises:
        UserError: the recipe is out of range.
    """
    recipe.checked()
    return _latent_key(recipe), recipe.swap, full_quality(recipe)


def full_quality(recipe: Recipe) -> Quality:
    """What a recipe's own picture may spend: the sides and samples that it asks for."""
    return Quality(
        neural_resolution=recipe.neural_resolution,
        samples=recipe.samples,
        upsample=recipe.view == "picture",
        normals=recipe.view == "normals",
    )


def _resize(image: Tensor, side: int) -> Tensor:
    """``[H, W, C]`` -> ``[side, side, C]``, antialiased bicubic."""
    if image.shape[0] == side and image.shape[1] == side:
        return image
    planar = image.permute(2, 0, 1)[None]
    planar = F.interpolate(
        planar, (side, side), mode="bicubic", align_corners=False, antialias=True
    )
    return planar[0].permute(1, 2, 0).contiguous()
