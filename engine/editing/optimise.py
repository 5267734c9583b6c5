"""Editing one face by gradient descent: w is moved until its pictures say the text.

The loss is that of StyleCLIP's optimisation (Patashnik et al. 2021) with the direction in the
encoder's space of StyleGAN-NADA (Gal et al. 2021) in place of a bare similarity: what changed in
the pictures' vectors is compared with what lies between the neutral text and the text. It is the
mean over two random crops; the camera's views take turns from step to step, and the descent's
momentum is their mean, so that no single view is drawn upon. There is a price on the length of the
way in w and on what changes in a small picture.

What comes is an iterator: every step tells where it is, and who asks for no more has stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.camera import Camera
from engine.editing.aim import Aim, crops
from engine.editing.directions import Direction
from engine.editing.pca import flat_rows, principal
from engine.editing.samples import ModelId, sampled_w
from engine.editing.texts import NEUTRAL, checked_text
from engine.edits import Offset, name_of
from engine.errors import UserError
from engine.generators.base import NEVER, CancelToken, Generator, Quality
from engine.generators.evaluation import gradients
from engine.text.encoder import TextImageEncoder

#: Most pixels along a side of the volume rendering while it is learned (a smile is a few of
#: them), and multiplier on the samples along rays.
SIDE, SAMPLES = 128, 0.6
#: People whose w tells how far it reaches in which direction, and how many directions are used.
SPREAD_SAMPLES, SPREAD = 400, 128
MAX_STEPS, MAX_SEED = 500, 2**32 - 1
#: The small picture that is to stay like it was: pixels along a side.
ANCHOR = 8
_BETAS = (0.8, 0.95)


@dataclass(frozen=True)
class OptimiseOptions:
    """How a face is moved.

    Attributes:
        text, neutral: what should be seen, and against what.
        steps: how many, 1 to 500.
        rate: length of a step, in standard deviations of w along each direction.
        seed: of the random crops.
        views: yaws of the cameras, degrees, which take turns; the first two is where it begins.
        goal: how far the pictures should go along the text: 1 is the whole way from the neutral
            text to the text, as vectors.
        close: price of the way in w. still: of changes in the encoder's space that the text does
            not ask for. anchor: of changes in the small picture.
        keep_background: price of what changes where there is nothing of the head.
        keep_pose: price of a silhouette that moves.
        rows: the rows of w that may move; ``None`` means all.

    Raises:
        UserError: on making one with a value out of range.
    """

    text: str
    neutral: str = ""
    steps: int = 20
    rate: float = 0.12
    seed: int = 0
    views: tuple[float, ...] = (0.0, 20.0, 0.0, -20.0)
    goal: float = 0.7
    close: float = 0.004
    still: float = 1.0
    anchor: float = 1.0
    keep_background: float = 2.0
    keep_pose: float = 0.5
    rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        checked_text(self.text)
        if not 1 <= self.steps <= MAX_STEPS:
            raise UserError(f"An edit takes 1 to {MAX_STEPS} steps, not {self.steps}.")
        if not 0 <= self.seed <= MAX_SEED:
            raise UserError(
                f"The seed of an edit's crops must be 0 to {MAX_SEED}, not {self.seed}."
            )
        if not self.views or not all(math.isfinite(yaw) for yaw in self.views):
            raise UserError("An edit is looked at from one view or more, in degrees.")
        prices = (self.close, self.still, self.anchor, self.keep_background, self.keep_pose)
        if not (0.0 < self.rate <= 10.0 and 0.0 < self.goal <= 10.0):
            raise UserError("The rate and the goal of an edit lie above 0, at most 10.")
        if not all(0.0 <= price <= 1000.0 for price in prices):
            raise UserError("The prices of an edit lie between 0 and 1000.")
        if self.rows is not None and not self.rows:
            raise UserError("An edit that may touch no layer changes nothing; choose some layers.")


@dataclass(frozen=True)
class Step:
    """Where an optimisation is.

    Attributes:
        number, steps: this one, from 1 on, and how many there will be.
        offset: what is added to w now.
        loss: of this step, falling but for the views' turns.
        reached: how much of the way to the text its picture has gone; 1 is the goal.
        picture: ``[H, W, 3]`` uint8, the view of this step before the last move.
    """

    number: int
    steps: int
    offset: Offset
    loss: float
    reached: float
    picture: NDArray[np.uint8]


def learning_quality(generator: Generator) -> tuple[Quality, bool]:
    """How pictures are drawn while an edit is learned, and whether the volume's own picture is
    looked at: EG3D's is the final one at a lower resolution, by its training."""
    facts = generator.capabilities
    side = min(SIDE, facts.neural_resolution)
    raw = facts.family == "eg3d" and side >= 64
    return Quality(side, SAMPLES, upsample=not raw), raw


@dataclass(frozen=True)
class Look:
    """A picture ``[1, 3, H, W]`` with opacity and depth of the head ``[1, 1, h, w]``."""

    picture: Tensor
    alpha: Tensor
    depth: Tensor

    def clone(self) -> Look:
        """The same values in memory of their own, that gradients may be computed beside."""
        return Look(self.picture.clone(), self.alpha.clone(), self.depth.clone())


def learning_look(generator: Generator, w: Tensor, yaw: float, cancel: CancelToken) -> Look:
    """A face ``[num_ws, w_dim]`` as it is looked at while something is learned from it."""
    quality, raw = learning_quality(generator)
    camera = generator.capabilities.default_pose.turned(yaw, 0.0).camera()
    return look_at(generator, w, camera, quality, raw, cancel)


def look_at(
    generator: Generator, w: Tensor, camera: Camera, quality: Quality, raw: bool = False,
    cancel: CancelToken = NEVER,
) -> Look:  # fmt: skip
    """A face ``[num_ws, w_dim]`` from a camera; ``raw`` shows the volume's own picture."""
    frame = generator.render(w, camera, quality, cancel)
    image = frame.raw if raw else frame.rgb
    return Look(image.permute(2, 0, 1)[None], frame.alpha[None, None], frame.depth[None, None])


class _Loss:
    """What a face costs, for one text and one face to begin with."""

    def __init__(
        self, generator: Generator, start: Tensor, encoder: TextImageEncoder,
        options: OptimiseOptions, cancel: CancelToken,
    ) -> None:  # fmt: skip
        self.options, self.encoder, self.generator = options, encoder, generator
        self.aim = Aim(encoder, options.text, options.neutral, options.goal)
        with torch.no_grad():
            self.before = {
                yaw: learning_look(generator, start, yaw, cancel)
                for yaw in dict.fromkeys(options.views)
            }
        self.before = {yaw: one.clone() for yaw, one in self.before.items()}

    def __call__(self, look: Look, yaw: float, u: Tensor, draw: torch.Generator) -> _Cost:
        options, before = self.options, self.before[yaw]
        pair = torch.cat([look.picture, before.picture]).to(self.encoder.device)
        vectors = self.encoder.encode_image(crops(pair, draw, 2))
        moved = vectors[0::2] - vectors[1::2]
        along = self.aim.along(moved)
        short, rest = self.aim.short(along), self.aim.aside(moved)
        change = F.adaptive_avg_pool2d(look.picture - before.picture, ANCHOR).abs().mean()
        outside = (before.alpha < 0.02) & (look.alpha < 0.02)
        wide = F.interpolate(outside.float(), look.picture.shape[-2:])
        back = ((look.picture - before.picture).abs() * wide).mean()
        silhouette = F.adaptive_avg_pool2d(look.alpha - before.alpha, ANCHOR).square().mean()
        total = (
            short
            + options.still * rest
            + options.anchor * change
            + options.keep_background * back
            + options.keep_pose * silhouette
            + options.close * u.square().sum()
        )
        return _Cost(total, float(along.detach().mean()))


@dataclass(frozen=True)
class _Cost:
    total: Tensor
    reached: float


class _Room:
    """Ways in w in units of their own spread: ``u`` -> what is added to w.

    One part of u moves all rows alike, as people differ; another each row by itself, at a price
    that makes it the last resort.
    """

    def __init__(self, generator: Generator, rows: tuple[int, ...] | None) -> None:
        facts = generator.capabilities
        data = sampled_w(generator, SPREAD_SAMPLES).numpy()
        flat = flat_rows(data)
        vectors, spread, _ = principal(flat, SPREAD)
        basis = (vectors * spread[:, None]).astype(np.float32)
        columns = flat.shape[1]
        self.num_ws, self.w_dim = facts.num_ws, facts.w_dim
        self.basis = torch.from_numpy(basis).to(generator.device)
        self.one_row = columns == facts.w_dim
        allowed = range(facts.num_ws) if rows is None else rows
        self.mask = torch.zeros(facts.num_ws, 1, device=generator.device)
        self.mask[list(allowed)] = 1.0
        self.shared = torch.zeros(len(basis), device=generator.device)
        self.own = torch.zeros(facts.num_ws, len(basis), device=generator.device)

    def offset(self, shared: Tensor, own: Tensor) -> Tensor:
        """``[num_ws, w_dim]``."""
        if self.one_row:
            return (shared + 0.3 * own) @ self.basis * self.mask
        rows = self.basis.reshape(len(self.basis), self.num_ws, self.w_dim)
        whole = torch.einsum("k,krd->rd", shared, rows)
        each = torch.einsum("rk,krd->rd", own, rows)
        return (whole + 0.3 * each) * self.mask


def optimise(
    generator: Generator,
    start: Tensor,
    encoder: TextImageEncoder,
    options: OptimiseOptions,
    cancel: CancelToken = NEVER,
) -> Iterator[Step]:
    """Move a face until its pictures say a text; one :class:`Step` a move.

    The same arguments give the same steps. Each step's offset is whole: keeping the last one is
    keeping the edit, dropping it is undoing it.

    Args:
        start: ``[num_ws, w_dim]`` the face, with the edits that it has already.

    Raises:
        UserError: the texts say nothing, or the same; or this model's pictures do not change.
        Cancelled: ``cancel`` was set, perhaps in the middle of a step; the steps before it hold.
    """
    start = start.detach().clone().to(generator.device, torch.float32)
    room = _Room(generator, options.rows)
    loss = _Loss(generator, start, encoder, options, cancel)
    draw = torch.Generator().manual_seed(options.seed)
    with torch.inference_mode(False):
        shared, own = (t.clone().requires_grad_() for t in (room.shared, room.own))
        descent = torch.optim.Adam([shared, own], lr=options.rate, betas=_BETAS)
    for number in range(options.steps):
        cancel.check()
        yaw = options.views[number % len(options.views)]
        # Full steps at first, short ones at the end.
        for group in descent.param_groups:
            group["lr"] = options.rate * _pace(number, options.steps)
        with gradients():
            look = learning_look(generator, start + room.offset(shared, own), yaw, cancel)
            u = torch.cat([shared, own.flatten()])
            cost = loss(look, yaw, u, draw)
            slopes = torch.autograd.grad(cost.total, (shared, own))
        if not all(bool(torch.isfinite(slope).all()) for slope in slopes):
            raise UserError(
                "The model's pictures hold values that are no numbers; choose another face."
            )
        shared.grad, own.grad = slopes
        descent.step()
        with torch.no_grad():
            offset = room.offset(shared, own)
        yield Step(
            number + 1,
            options.steps,
            Offset.of(offset.cpu().numpy()),
            float(cost.total.detach()),
            cost.reached,
            _pixels(look.picture),
        )


def _pace(number: int, steps: int) -> float:
    share = number / max(steps - 1, 1)
    return min(1.0, 1.5 * (1.0 - share) + 0.05)


def _pixels(picture: Tensor) -> NDArray[np.uint8]:
    image = picture.detach()[0].permute(1, 2, 0).clamp(0, 1)
    found: NDArray[np.uint8] = (image * 255.0 + 0.5).to(torch.uint8).cpu().numpy()
    return found


def as_direction(
    step: Step, options: OptimiseOptions, generator: Generator, model: ModelId
) -> Direction:
    """What a step has reached, to be kept."""
    details = (
        ("text", checked_text(options.text)),
        ("neutral", checked_text(options.neutral) if options.neutral.strip() else NEUTRAL),
        ("seed", float(options.seed)),
        ("steps", float(step.number)),
    )
    family = generator.capabilities.family
    return Direction(name_of(options.text), step.offset, "optimised", family, model.sha256, details)
