"""Training the bundled generator: supervised by rendered heads, then sharpened.

The heads are a fixed function of z, so the generator can be **told** what each z looks like
from every side: colour, opacity and depth of random crops, many views a head. That is fast
and stable, gives true geometry, and keeps z ~ N(0, I) as the latent of the shipped model.
An auxiliary linear head reads the heads' attributes off w, so that w carries them plainly
(and directions in w mean something). In the last part a patch discriminator sharpens.

The loop is bounded by **time**, not steps, and may be stopped and resumed at any moment.
"""

from __future__ import annotations

import copy
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.export.files import atomic_path
from engine.training.bundled.discriminator import PatchDiscriminator, dual
from engine.training.bundled.losses import (
    gradient_l1,
    halved,
    halved_depth,
    non_saturating,
    r1_penalty,
    region_weight,
    weighted_l1,
)
from engine.training.bundled.meter import Meter
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool, Patch


@dataclass(frozen=True)
class TrainingOptions:
    """What a run is told.

    Attributes:
        minutes: length of the run's schedule; the learning rate falls to 5 % by its end.
        heads, views, side: a batch is ``heads * views`` crops of ``side`` pixels.
        learning_rate: of Adam. Weights with runtime scaling have unit size, so this is the
            relative change of a step; four times StyleGAN2's, for a schedule of an hour.
            At 3e-2 small batches keep shaking the picture and nothing fine is learned.
        mapping_rate: multiplier for the mapping network, whose stored weights are a hundred
            times larger and would otherwise hardly move.
        mask, depth, edges, attributes: weights of those losses beside the colours' L1.
        adversarial: weight of the discriminator's loss; 0 leaves it out.
        adversarial_from: share of the schedule after which the discriminator joins.
        r1: gamma of the gradient penalty on the sum of the patches' logits, every 8th step.
        fine_labels: segmentation labels whose pixels count ``fine_gain`` times.
        guided_until: share of the schedule during which the true depth tells the rays where
            to look, which saves a third of the samples; afterwards rays find the surface as
            they will have to without a teacher.
        guided_samples: share of the model's samples that a guided ray takes.
        save_every: seconds between saved states.
        seed: of everything random.
    """

    minutes: float = 60.0
    heads: int = 8
    views: int = 3
    side: int = 32
    learning_rate: float = 1e-2
    reader_rate: float = 0.03
    warmup: int = 100
    mapping_rate: float = 3.0
    mask: float = 0.5
    depth: float = 2.0
    edges: float = 0.1
    attributes: float = 0.5
    adversarial: float = 0.0
    adversarial_from: float = 0.8
    r1: float = 0.05
    fine_labels: tuple[int, ...] = ()
    fine_gain: float = 4.0
    guided_until: float = 0.85
    guided_samples: float = 0.7
    save_every: float = 60.0
    seed: int = 0


class Trainer:
    """One run: the generator, its average, the discriminator, their optimisers.

    Args:
        model: what is trained; its average over time is :attr:`average`.
        pool: rendered heads.
        options: see :class:`TrainingOptions`.
        folder: where the state and the log are written.
        pairs: latents ``[N, z_dim]`` and attributes ``[N, A]`` beyond the rendered heads.
    """

    def __init__(
        self,
        model: HeadGenerator,
        pool: HeadPool,
        options: TrainingOptions,
        folder: Path,
        pairs: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.pairs = pairs and (pairs[0].to(pool.device), pairs[1].to(pool.device))
        self.model, self.pool, self.options, self.folder = model, pool, options, folder
        self.device = pool.device
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.discriminator = PatchDiscriminator().to(self.device)
        parts = (
            [p for name, p in model.named_parameters() if not _is_reading(name)],
            list(model.network.backbone.mapping.parameters()),
            list(model.reader.parameters()),
        )
        groups = [{"params": part} for part in parts]
        self.optimizer = torch.optim.Adam(groups, lr=options.learning_rate, betas=(0.9, 0.99))
        self.critic = torch.optim.Adam(self.discriminator.parameters(), lr=2e-3, betas=(0.0, 0.99))
        self.random = np.random.default_rng(options.seed)
        self.jitter = torch.Generator(device=self.device).manual_seed(options.seed)
        self.step, self.elapsed = 0, 0.0
        self.sharpened = False
        self.meter = Meter()

    def teach_mapping(self, seconds: float) -> float:
        """Teach the mapping network alone, by the pairs; returns the error at the end.

        Until w tells people apart, the rest of the network can only learn their average. The
        pairs say at once, and without drawing anything, what w has to tell.
        """
        if self.pairs is None:
            raise ValueError("the mapping is taught by pairs, and there are none")
        z, truth = self.pairs
        mapping = self.model.network.backbone.mapping
        groups = [
            {"params": list(mapping.parameters()), "scale": 100.0},
            {"params": list(self.model.reader.parameters()), "scale": 1.0},
        ]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-12)
        started, error = time.monotonic(), math.inf
        while (progress := (time.monotonic() - started) / seconds) < 1.0:
            for group in optimizer.param_groups:
                group["lr"] = 4e-3 * group["scale"] * (0.02 + 0.98 * (1.0 - progress) ** 1.5)
            rows = torch.randint(len(z), (512,), generator=self.jitter, device=self.device)
            loss = self.model.attribute_error(mapping(z[rows])[:, 0], truth[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            error = float(loss.detach())
        self.average.load_state_dict(self.model.state_dict())
        return error

    # -- one step -----------------------------------------------------------------------

    def losses(self, patch: Patch, guided: bool) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Supervised losses of a batch, and the generated final and raw crops.

        ``guided``: rays are told the true depth, see :attr:`TrainingOptions.guided_until`.
        """
        options = self.options
        drawn = self.model.crop(
            patch.z[:: options.views],
            patch.cam2world,
            patch.corner,
            options.side,
            self.pool.resolution,
            self.jitter,
            halved_depth(patch.depth) if guided else None,
            options.guided_samples if guided else 1.0,
        )
        weight = region_weight(patch.segmentation, options.fine_labels, options.fine_gain)
        small_weight, small = halved(weight), halved(patch.rgb)
        # At a crop's border the upsampler sees zeros where the picture goes on: not judged.
        edge = 4 if options.side < self.pool.resolution else 0
        inner = (..., slice(edge, options.side - edge), slice(edge, options.side - edge))
        sharp, sharp_truth, sharp_weight = drawn.picture[inner], patch.rgb[inner], weight[inner]
        truth_depth = halved_depth(patch.depth)
        solid = (truth_depth > 0).float()
        attributes = self.model.attribute_error(drawn.w, patch.attributes[:: options.views])
        parts = {
            "picture": weighted_l1(sharp, sharp_truth, sharp_weight),
            "raw": weighted_l1(drawn.raw, small, small_weight),
            "edges": options.edges
            * (
                gradient_l1(sharp, sharp_truth, sharp_weight)
                + 0.5 * gradient_l1(drawn.raw, small, small_weight)
            ),
            "mask": options.mask * (drawn.alpha - halved(patch.alpha)).abs().mean(),
            "depth": options.depth * ((drawn.depth - truth_depth).abs() * solid).mean(),
            "attributes": options.attributes * attributes,
        }
        if self.pairs is not None:
            z, truth = self.pairs
            rows = torch.randint(len(z), (256,), generator=self.jitter, device=self.device)
            w = self.model.network.mapping(z[rows])[:, 0]
            parts["pairs"] = options.attributes * self.model.attribute_error(w, truth[rows])
        return parts, drawn.picture, drawn.raw

    def train_step(self, progress: float) -> None:
        """One update. ``progress`` is the elapsed share of the schedule, 0 to 1."""
        options = self.options
        rate = options.learning_rate * min(1.0, (self.step + 1) / options.warmup)
        rate *= 0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        scales = (1.0, options.mapping_rate, options.reader_rate)
        for group, scale in zip(self.optimizer.param_groups, scales, strict=True):
            group["lr"], group["eps"] = rate * scale, 1e-12
        patch = self.pool.sample(options.heads, options.views, options.side, self.random)
        parts, picture, raw = self.losses(patch, guided=progress < options.guided_until)
        sharpening = options.adversarial > 0 and progress >= options.adversarial_from
        if sharpening and not self.sharpened:
            self.save("before_sharpening.pt")
            self.sharpened = True
        if sharpening:
            ramp = min(1.0, (progress - options.adversarial_from) / 0.05)
            logits = self.discriminator(dual(picture, raw))
            parts["adversarial"] = options.adversarial * ramp * non_saturating(logits)
        loss = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
        if sharpening:
            parts.update(self._critic_step(patch, picture.detach(), raw.detach()))
        self._follow()
        self.meter.add({name: value.detach() for name, value in parts.items()})
        self.step += 1

    def _critic_step(self, patch: Patch, picture: Tensor, raw: Tensor) -> dict[str, Tensor]:
        real = dual(patch.rgb, halved(patch.rgb))
        lazy = self.step % 8 == 0
        real.requires_grad_(lazy)
        on_real = self.discriminator(real)
        loss = non_saturating(on_real) + non_saturating(-self.discriminator(dual(picture, raw)))
        if lazy:
            loss = loss + 8 * 0.5 * self.options.r1 * r1_penalty(on_real, real)
        self.critic.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic.step()
        return {"critic": loss.detach(), "confidence": torch.sigmoid(on_real.detach()).mean()}

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average: a window of a tenth of the steps so far, at most 2,000 steps."""
        keep = min(1.0 - 1.0 / (0.1 * self.step + 1.0), 0.9995)
        for ours, theirs in zip(self.average.parameters(), self.model.parameters(), strict=True):
            ours.lerp_(theirs, 1.0 - keep)

    # -- the run ------------------------------------------------------------------------

    def run(self) -> None:
        """Train until the schedule's end, saving as it goes."""
        options = self.options
        started = time.monotonic() - self.elapsed
        saved = logged = time.monotonic()
        while self.elapsed < options.minutes * 60:
            now = time.monotonic()
            self.elapsed = now - started
            self.train_step(self.elapsed / (options.minutes * 60))
            if now - logged > 15:
                self.log()
                logged = now
            if now - saved > options.save_every:
                self.save()
                saved = now
        self.save()

    def log(self) -> None:
        """Print and keep one line of means."""
        means = {name: round(value, 4) for name, value in self.meter.take().items()}
        line = {
            "seconds": round(self.elapsed),
            "step": self.step,
            "heads": self.pool.count,
            **means,
        }
        print(json.dumps(line), flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def save(self, name: str = "state.pt") -> None:
        """Write everything that a resumed run needs, by temporary name and rename."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "critic": self.critic.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "sharpened": self.sharpened,
        }
        with atomic_path(self.folder / name) as temporary:
            torch.save(state, temporary)

    def resume(self) -> bool:
        """Continue from the folder's saved state, if there is one."""
        path = self.folder / "state.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.critic.load_state_dict(state["critic"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        self.sharpened = bool(state["sharpened"])
        return True


def _is_reading(name: str) -> bool:
    """Whether a parameter turns z into w or w into attributes, rather than w into pictures."""
    return name.startswith(("network.backbone.mapping.", "reader."))
