"""What all families' training has in common: who judges what, and the penalties between.

A family (a subclass) says how it draws, what it shows its discriminator of drawn and of real
pictures, and what it adds; the phases and the losses of a step follow from that.

Where a loop computes in mixed precision, discriminators do and generators do not: sine layers and
encodings of places multiply their inputs by up to hundreds, and densities by 1e10.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Generator as RandomState
from torch import Tensor, nn

from engine.generators.base import Generator
from engine.generators.registry import families
from engine.training.gan.contract import (
    Augment,
    Batch,
    FamilyTraining,
    Network,
    OptimiserOptions,
    Phase,
    Progress,
)
from engine.training.gan.losses import (
    discriminator_logistic,
    generator_logistic,
    pose_alignment,
    r1_penalty,
    scores,
)


class NetworkConfig(Protocol):
    """Options of a network, as every family's configuration has them."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, an entry an option."""
        ...


@dataclass(frozen=True)
class CommonOptions:
    """What every family lets one choose.

    Attributes:
        pace: factor on every length of a published schedule that counts images (fades, growth,
            moving averages), so that small runs go through all of it. 1 is as published.
        r1_gamma: weight of R1 (half of it multiplies the squared gradient).
        r1_interval: taken every so many steps; 1 adds it to every step of the discriminator.
        judge_channels: of the widest layer of a new discriminator, the others in proportion; 0 is
            as published (64 for a new small model).
        generator_rate, discriminator_rate: learning rates of Adam, before lazy scaling.
        fine_tuning: training starts from weights that can draw: what is only there to get
            started (blurs, ramps) is left out.
        real_poses_only: a discriminator that reads angles learns to from real pictures alone, where
            their cameras are known. One that learns from drawn ones too finds a hollow mould's
            angles as it finds a head's, as soon as it can tell the two apart.
    """

    pace: float = 1.0
    r1_gamma: float = 1.0
    r1_interval: int = 16
    judge_channels: int = 0
    generator_rate: float = 0.0025
    discriminator_rate: float = 0.002
    fine_tuning: bool = False
    real_poses_only: bool = False


@dataclass(frozen=True)
class Step:
    """The arguments of :meth:`FamilyTraining.losses` in one hand."""

    batch: Batch
    progress: Progress
    random: RandomState
    augment: Augment

    @property
    def count(self) -> int:
        """Pictures of the batch."""
        return self.batch.images.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the batch is."""
        return self.batch.images.device

    def normal(self, *shape: int) -> Tensor:
        """``[count, *shape]`` from N(0, 1)."""
        return torch.randn((self.count, *shape), generator=self.random, device=self.device)

    def uniform(self, *shape: int) -> Tensor:
        """``[count, *shape]`` from U(0, 1)."""
        return torch.rand((self.count, *shape), generator=self.random, device=self.device)


@dataclass(frozen=True)
class Seen:
    """What the discriminator is shown of one batch.

    Attributes:
        pictures: what R1 is taken at, ``[N, C, H, W]`` each, before augmentation.
        told: what stands beside them (cameras, places of patches), ``[N, D]``.
        truth: angles that it should read off them, ``[N, 2]``.
        losses: what drawing them adds to the generator's losses.
    """

    pictures: tuple[Tensor, ...]
    told: Tensor | None = None
    truth: Tensor | None = None
    losses: Mapping[str, Tensor] = field(default_factory=dict)

    def watched(self) -> Seen:
        """The same pictures as leaves that gradients reach."""
        leaves = tuple(p.detach().requires_grad_(True) for p in self.pictures)
        return Seen(leaves, self.told, self.truth)


@dataclass(frozen=True)
class Verdict:
    """What the discriminator says: logits ``[N]``, and the angles that it reads ``[N, 2]``."""

    logits: Tensor
    angles: Tensor | None = None

    def exact(self) -> Verdict:
        """The same in single precision."""
        return Verdict(self.logits.float(), None if self.angles is None else self.angles.float())


class Adversarial(FamilyTraining):
    """See the module.

    Args:
        family: registry name, by which the state is drawn.
        config: the network's options.
        generator, discriminator: the networks.
        resolution: side of the real pictures.
        options: of the losses.
    """

    def __init__(
        self,
        family: str,
        config: NetworkConfig,
        generator: nn.Module,
        discriminator: nn.Module,
        resolution: int,
        options: CommonOptions,
    ) -> None:
        super().__init__()
        self.family, self.config, self.common = family, config, options
        self.resolution = resolution
        self.generator = generator.requires_grad_(True).train()
        self.discriminator = discriminator.requires_grad_(True).train()

    # ---------------------------------------------------------------- what a family says

    @abstractmethod
    def drawn(self, step: Step, phase: str) -> Seen:
        """Pictures of new latents, and what drawing them costs the generator."""

    @abstractmethod
    def real(self, step: Step) -> Seen:
        """The batch as the discriminator is shown it."""

    @abstractmethod
    def judged(self, seen: Seen, step: Step) -> Verdict:
        """What the discriminator says of it, augmented."""

    def regularised(self, step: Step) -> Mapping[str, Tensor]:
        """Losses of the phase ``"generator_path"``, in families that have one."""
        raise NotImplementedError

    #: Steps between two of ``"generator_path"``; 0 where there is none.
    path_interval: int = 0
    path_phase: str = "generator_path"

    # ------------------------------------------------------------------- what follows

    def phases(self, progress: Progress) -> Sequence[Phase]:
        """See :meth:`FamilyTraining.phases`."""
        found = [Phase("generator", "generator")]
        if self.path_interval:
            found.append(Phase(self.path_phase, "generator", self.path_interval))
        found.append(Phase("discriminator", "discriminator"))
        if self.common.r1_interval > 1 and self.common.r1_gamma:
            r1 = Phase("discriminator_r1", "discriminator", self.common.r1_interval)
            found.append(r1)
        return found

    def losses(
        self,
        phase: Phase,
        batch: Batch,
        progress: Progress,
        random: RandomState,
        augment: Augment,
    ) -> Mapping[str, Tensor]:
        """See :meth:`FamilyTraining.losses`.

        Raises:
            ValueError: the family has no such phase.
        """
        step = Step(batch, progress, random, augment)
        if phase.name == "generator":
            return self._generator(step)
        if phase.name == "discriminator":
            return self._discriminator(step)
        if phase.name == "discriminator_r1":
            return self._r1(step)
        if self.path_interval and phase.name == self.path_phase:
            with unmixed(step.device):
                return self.regularised(step)
        raise ValueError(f"{self.family} has no training phase {phase.name!r}")

    def _drawn(self, step: Step, phase: str) -> Seen:
        with unmixed(step.device):
            return self.drawn(step, phase)

    def _judged(self, seen: Seen, step: Step) -> Verdict:
        return self.judged(seen, step).exact()

    def _generator(self, step: Step) -> dict[str, Tensor]:
        seen = self._drawn(step, "generator")
        verdict = self._judged(seen, step)
        found = {"generator": generator_logistic(verdict.logits), **seen.losses}
        found |= self.read_angles(seen, verdict)
        return found | scores("fake", verdict.logits)

    def _discriminator(self, step: Step) -> dict[str, Tensor]:
        with torch.no_grad():
            fake_seen = self._drawn(step, "discriminator")
        fake = self._judged(fake_seen, step)
        every_step = self.common.r1_interval == 1 and self.common.r1_gamma > 0.0
        real_seen = self.real(step)
        if every_step:
            real_seen = real_seen.watched()
        real = self._judged(real_seen, step)
        on_fake, on_real = discriminator_logistic(fake.logits, real.logits)
        found = {"fake": on_fake, "real": on_real}
        if every_step:
            found["r1"] = r1_penalty(real.logits, real_seen.pictures, self.common.r1_gamma)
        # From drawn pictures alone a head and its hollow mould, which turns the other way, are alike.
        known = self.read_angles(real_seen, real)
        if not (known and self.common.real_poses_only):
            found |= self.read_angles(fake_seen, fake)
        found |= {f"{name}_real": value for name, value in known.items()}
        return found | scores("fake", fake.logits) | scores("real", real.logits)

    def _r1(self, step: Step) -> dict[str, Tensor]:
        seen = self.real(step).watched()
        verdict = self._judged(seen, step)
        return {"r1": r1_penalty(verdict.logits, seen.pictures, self.common.r1_gamma)}

    def read_angles(self, seen: Seen, verdict: Verdict) -> dict[str, Tensor]:
        """The loss of the angles that the discriminator reads, in families where it does."""
        return {}

    # ---------------------------------------------------------------------- the rest

    def rate(self, network: Network) -> float:
        """Learning rate of a network by the options; 0 in some families: as published."""
        common = self.common
        return common.generator_rate if network == "generator" else common.discriminator_rate

    def images(self, published: float) -> float:
        """A length of a published schedule, in images of this run."""
        return max(published * self.common.pace, 1e-9)

    def faded(self, progress: Progress, published: float) -> float:
        """Share of a fade of so many published images that is done, in 0 to 1."""
        return min(progress.images / self.images(published), 1.0)

    def averaged_over(self, progress: Progress, published: float, ramp: float | None) -> float:
        """Half-life of the generator's average: as published, but not above the share ``ramp``
        of what has been seen, while training from nothing."""
        life = published * self.common.pace
        if ramp is None or self.common.fine_tuning:
            return life
        return min(life, progress.images * ramp)

    def drawing_config(self) -> NetworkConfig:
        """Options that the present state is drawn with, where training changes them."""
        return self.config

    def drawing_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What :class:`~engine.generators.registry.Family` builds from a state of the generator."""
        return dict(state)

    def drawable(self, state: Mapping[str, Tensor]) -> Generator:
        """See :meth:`FamilyTraining.drawable`."""
        own = {n: t.detach().clone() for n, t in self.drawing_state(state).items()}
        device = next(iter(own.values())).device
        return families()[self.family].build(self.drawing_config().to_json(), own, device)


def read_off(seen: Seen, verdict: Verdict, weight: float) -> dict[str, Tensor]:
    """``{"pose": loss}`` of the angles that a discriminator reads, if it does and they are known."""
    read, truth = verdict.angles, seen.truth
    if read is None or truth is None or not read.shape[1] or not weight:
        return {}
    return {"pose": pose_alignment(read, truth) * weight}


def unmixed(device: torch.device) -> torch.autocast:
    """A block that computes in single precision, whatever the loop does outside."""
    return torch.autocast(device.type, enabled=False)


def adam(rate: float, betas: tuple[float, float], clip_norm: float = 0.0) -> OptimiserOptions:
    """Adam as most of the papers have it."""
    return OptimiserOptions(rate, betas, 1e-8, clip_norm)


def copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state's tensors on the CPU, sharing no memory with it."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}
