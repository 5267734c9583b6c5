"""The steps of adversarial training, for every family alike.

A step shows one batch of real pictures to each phase that is due. A phase runs in passes: parts
of the batch whose gradients add up, in one process or several. Passes of a phase start from the same
buffers, whose new values are averaged, so that how a batch is cut does not change what is
learnt, save for what a family computes across the pictures of a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.memory import is_memory_full
from engine.training.gan.chance import chance
from engine.training.gan.contract import FamilyTraining, Network, Phase, Progress
from engine.training.gan.distributed import Team
from engine.training.gan.events import Notice
from engine.training.gan.faults import Diverged, MemoryFull
from engine.training.gan.options import TrainingOptions
from engine.training.gan.passes import Passes, PictureSource
from engine.training.gan.precision import in_halves
from engine.training.gan.steering import Steering

NETWORKS: tuple[Network, Network] = ("generator", "discriminator")
#: The sign of what the discriminator says of real pictures, which steers augmentation.
REAL_SIGN = "score/real_sign"


#: Changes ``[N, C, H, W]`` pictures at random; the strength is 0 to 1.
Augmentation = Callable[[Tensor, float, torch.Generator], Tensor]


@dataclass
class Position:
    """Where a run is: all of its state that is neither a network nor an optimiser.

    Attributes:
        step, images: done so far.
        attempt: how often training went back because numbers were no longer finite.
        rate_scale: factor on the learning rates since then.
        pass_size: pictures of a pass in one process.
        strength, sign_sum, sign_count: see :class:`~.steering.Steering`.
        seconds: of training, pauses left out.
    """

    step: int = 0
    images: int = 0
    attempt: int = 0
    rate_scale: float = 1.0
    pass_size: int = 1
    strength: float = 0.0
    sign_sum: float = 0.0
    sign_count: int = 0
    seconds: float = 0.0

    @property
    def progress(self) -> Progress:
        """For the family."""
        return Progress(self.step, self.images)


class _Losses(nn.Module):
    """A family's losses as the forward of a module, which DistributedDataParallel wants."""

    def __init__(self, training: FamilyTraining) -> None:
        super().__init__()
        self.training_of = training

    def forward(self, *words: object) -> tuple[Tensor, dict[str, Tensor]]:
        """The losses of a pass. Without words a zero that depends on whatever has a gradient already:
        the backward of it has DistributedDataParallel average those."""
        if not words:
            there = [p for p in self.parameters() if p.requires_grad and p.grad is not None]
            return 0.0 * torch.stack([p.float().sum() for p in there]).sum(), {}
        parts = self.training_of.losses(*words)  # type: ignore[arg-type]
        minimised = [value for name, value in parts.items() if not name.startswith("score/")]
        return torch.stack([v.float() for v in minimised]).sum(), {
            name: value.detach().float() for name, value in parts.items()
        }


class TrainingLoop:
    """Networks, optimisers, average and position of a run, and what a step does to them.

    Args:
        training: the family's networks, on the team's device.
        data: real pictures.
        options: see there.
        team: who trains together.
        augmentation: what the discriminator's pictures go through; ``None`` is nothing.

    Attributes:
        average: the generator's state averaged over time, under the state dict's names.
        optimisers: Adam of each network; not every run has a discriminator.
        notify: called with sentences for a person.
        between_steps: whether the state is that after a whole step.

    Raises:
        UserError: the batch cannot be shared by the team, ``layers`` names what is no group, or the device
            has not the precision that is asked for.
    """

    def __init__(
        self,
        training: FamilyTraining,
        data: PictureSource,
        options: TrainingOptions,
        team: Team,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.training, self.data, self.options, self.team = training, data, options, team
        self.augmentation = augmentation
        self.notify: Callable[[Notice], None] = lambda notice: None
        self.between_steps = True
        self.position = Position(
            pass_size=options.passes(team.size), strength=options.augmentation_strength
        )
        self.steering = Steering(options)
        self._halves = in_halves(team.device, options.precision)
        self._trained = trained_parameters(training, options)
        training.train()
        self.optimisers = {
            network: torch.optim.Adam(
                [p for _, p in self._trained[network]],
                lr=training.optimiser(network).learning_rate,
                eps=training.optimiser(network).epsilon,
            )
            for network in NETWORKS
            if self._trained[network]
        }
        self._modules: dict[Network, nn.Module] = {}
        for network in self.optimisers:
            self._only(network)
            self._modules[network] = team.shared(_Losses(training))
        self.average = {
            name: value.detach().clone() for name, value in training.generator.state_dict().items()
        }

    def trained(self, network: Network) -> list[tuple[str, nn.Parameter]]:
        """Names and parameters of a network that move."""
        return self._trained[network]

    def leave(self) -> None:
        """Part from the team; no step can follow."""
        self._modules.clear()
        self.team.leave()

    def _only(self, network: Network) -> None:
        """Gradients for the trained parameters of one network and for nothing else."""
        self.training.requires_grad_(False)
        for _, parameter in self._trained[network]:
            parameter.requires_grad_(True)

    # ------------------------------------------------------------------ a step

    def step(self) -> dict[str, float]:
        """One step. Returns the losses of the phases that were due, by name.

        Raises:
            Diverged: a loss or gradient is not finite; networks are not what they were.
            MemoryFull: a pass of one picture does not fit.
            UserError, OSError: pictures cannot be read. Nothing has changed then.
        """
        progress, position = self.position.progress, self.position
        batches = Passes(
            self.data, position.images, self.options.batch, position.pass_size, self.team
        )
        self.between_steps = False
        phases = self.training.phases(progress)
        told: dict[str, float] = {}
        for phase in phases:
            if position.step % phase.interval:
                continue
            if phase.network == "generator" and position.images < self.options.judge_first:
                continue
            told.update(self._phase(phase, phases, progress, batches))
        self._follow(progress)
        position.step += 1
        position.images += self.options.batch
        if REAL_SIGN in told:
            self.steering.heard(position, told[REAL_SIGN])
        self.between_steps = True
        return told

    def _phase(
        self, phase: Phase, phases: Sequence[Phase], progress: Progress, batches: Passes
    ) -> dict[str, float]:
        self._only(phase.network)
        optimiser = self.optimisers[phase.network]
        buffers = {name: value.clone() for name, value in self.training.named_buffers()}
        # Memory may run out in one process only, at any moment: until all of them have come through
        # their passes nobody waits for another one.
        while (sums := self._fitting(phase, progress, batches, buffers)) is None:
            self._smaller_passes(optimiser, batches)
        losses = self._averaged(phase, sums)
        finite = all(bool(torch.isfinite(value)) for value in losses.values())
        if not (finite and self._finite_gradients(phase.network)):
            raise Diverged(phase.name)
        self.set_rate(phase.network, phases)
        limit = self.training.optimiser(phase.network).clip_norm
        if limit > 0.0:
            nn.utils.clip_grad_norm_([p for _, p in self._trained[phase.network]], limit)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return {name: float(value) for name, value in losses.items()}

    def _fitting(
        self, phase: Phase, progress: Progress, batches: Passes, buffers: Mapping[str, Tensor]
    ) -> dict[str, Tensor] | None:
        """The passes; ``None`` if they do not fit into the memory of one of the processes."""
        sums: dict[str, Tensor] | None = None
        try:
            sums = self._passes(phase, progress, batches, buffers)
        except (RuntimeError, MemoryError) as error:
            if not is_memory_full(error):
                raise
        # Outside of the handler, which would keep the failed pass's tensors alive.
        if self.team.any(sums is None):
            self._set_buffers(buffers)
            return None
        return sums

    def _averaged(self, phase: Phase, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """Gradients, buffers and losses of the whole batch from those of all processes."""
        if self.team.size > 1:
            if any(p.grad is not None for _, p in self._trained[phase.network]):
                self._modules[phase.network]()[0].backward()
            self.team.average(b for b in self.training.buffers() if b.is_floating_point())
            self.team.average(sums.values())
        return sums

    def _passes(
        self,
        phase: Phase,
        progress: Progress,
        batches: Passes,
        buffers: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Gradients of this process's pictures; returns the losses' means."""
        module = self._modules[phase.network]
        self.optimisers[phase.network].zero_grad(set_to_none=True)
        mine = batches.parts
        sums: dict[str, Tensor] = {}
        ahead = {n: torch.zeros_like(v) for n, v in buffers.items() if v.is_floating_point()}
        for place, (number, batch) in enumerate(mine):
            if place:
                self._set_buffers(buffers)
            position = self.position
            where = (self.options.seed, position.attempt, progress.step, phase.name, number)
            random = chance(self.team.device, *where)
            augment = self._augment(chance(self.team.device, *where, "augmentation"))
            # Both, since gradients are waited for where the forward was not apart.
            with self.team.apart(module):
                with torch.autocast(self.team.device.type, torch.bfloat16, self._halves):
                    total, parts = module(phase, batch, progress, random, augment)
                scaled = total * (phase.interval / len(mine))
                # Nothing to do where a penalty reaches frozen layers only.
                if scaled.requires_grad:
                    scaled.backward()  # type: ignore[no-untyped-call]
            for name, value in parts.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value / len(mine)
            for name, value in self.training.named_buffers():
                if name in ahead:
                    ahead[name] += value / len(mine)
        if len(mine) > 1:
            self._set_buffers(ahead)
        return sums

    def _augment(self, random: torch.Generator) -> Callable[[Tensor], Tensor]:
        augmentation, strength = self.augmentation, self.position.strength
        if augmentation is None or strength <= 0.0 or self.options.augmentation == "none":
            return lambda pictures: pictures
        return lambda pictures: augmentation(pictures, strength, random)

    def _set_buffers(self, values: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, buffer in self.training.named_buffers():
                if name in values:
                    buffer.copy_(values[name])

    def _finite_gradients(self, network: Network) -> bool:
        gradients = [p.grad for _, p in self._trained[network] if p.grad is not None]
        if not gradients:
            return True
        norms = torch.stack(torch._foreach_norm(gradients))
        return bool(torch.isfinite(norms).all())

    def set_rate(self, network: Network, phases: Sequence[Phase]) -> None:
        """Adam's options, as lazy regularisation scales them (StyleGAN2, appendix B)."""
        published = self.training.optimiser(network)
        share = lazy_share(network, phases)
        for group in self.optimisers[network].param_groups:
            group["lr"] = self.rate(network) * share
            group["betas"] = tuple(beta**share for beta in published.betas)

    def rate(self, network: Network) -> float:
        """Learning rate now, before lazy regularisation's scaling."""
        own = self.options.discriminator_rate if network == "discriminator" else 1.0
        published = self.training.optimiser(network).learning_rate
        return published * self.options.rate * own * self.position.rate_scale

    @torch.no_grad()
    def _follow(self, progress: Progress) -> None:
        """Move the average; it stands still while only the discriminator trains."""
        half_life = average_half_life(self.training, self.options, progress)
        keep = 0.5 ** (self.options.batch / half_life) if half_life > 0 else 0.0
        parameters = {name for name, _ in self.training.generator.named_parameters()}
        for name, value in self.training.generator.state_dict().items():
            if name in parameters:
                self.average[name].lerp_(value.to(self.average[name].dtype), 1.0 - keep)
            else:
                self.average[name].copy_(value)

    def _smaller_passes(self, optimiser: torch.optim.Optimizer, batches: Passes) -> None:
        """Halve the passes, so that the batch fits; the gradients of a batch stay the same."""
        optimiser.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        size, shared = self.position.pass_size, self.options.batch // self.team.size
        if size == 1:
            raise MemoryFull
        smaller = next(n for n in range(size // 2, 0, -1) if shared % n == 0)
        self.position.pass_size = smaller
        batches.cut(smaller)
        self.notify(
            Notice(
                self.position.step,
                f"{size} pictures at once do not fit into memory: training goes on with {smaller} at "
                f"once, and the batch stays {self.options.batch}.",
            )
        )


def trained_parameters(
    training: FamilyTraining, options: TrainingOptions
) -> dict[Network, list[tuple[str, nn.Parameter]]]:
    """Names and parameters of both networks that move: of the generator those of the chosen
    groups, of the discriminator all.

    Raises:
        UserError: ``layers`` names what is no group.
    """
    groups = training.layer_groups()
    frozen = tuple(p for name in options.frozen(groups) for p in groups[name])
    generator = [
        (name, parameter)
        for name, parameter in training.generator.named_parameters()
        if not name.startswith(frozen)
    ]
    discriminator = list(training.discriminator.named_parameters())
    return {"generator": generator, "discriminator": discriminator}


def lazy_share(network: Network, phases: Sequence[Phase]) -> float:
    """``k / (k + 1)`` of the largest interval k of a network's phases; 1 without lazy ones."""
    largest = max((phase.interval for phase in phases if phase.network == network), default=1)
    return largest / (largest + 1) if largest > 1 else 1.0


def average_half_life(
    training: FamilyTraining, options: TrainingOptions, progress: Progress
) -> float:
    """Half-life of the generator's average, in pictures; 0 follows at once."""
    own = options.average_images
    half_life = training.ema_half_life(progress) if own < 0 else own
    if options.average_share > 0:
        shown = progress.images + options.batch
        half_life = min(half_life, shown * options.average_share)
    return half_life
