"""pi-GAN's training: logistic loss, R1 and poses, growing from small pictures.

Chan et al., "pi-GAN" (2021), section 3.3, with the release's values for CelebA.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.errors import UserError
from engine.generators.pigan_config import PiGANConfig
from engine.generators.pigan_network import PiGANNetwork
from engine.generators.siren import film_frequencies, film_sine
from engine.rendering.nerf_march import March, unit_rays
from engine.training.gan.adversarial import (
    Adversarial,
    CommonOptions,
    Seen,
    Step,
    Verdict,
    adam,
)
from engine.training.gan.contract import Moments, Network, OptimiserOptions, Progress
from engine.training.gan.discriminator_blocks import narrowed
from engine.training.gan.discriminator_coord import coord_widths
from engine.training.gan.discriminator_growing import GrowingDiscriminator
from engine.training.gan.families import Kind
from engine.training.gan.losses import generator_logistic, pose_alignment, resized, scores
from engine.training.gan.nerf_batches import march_batch
from engine.training.gan.pigan_files import drawing_files, resuming_files
from engine.training.gan.poses import PosePrior, known_poses, orbit, poses_of

#: Distance of the training cameras.
_RADIUS = 1.0


@dataclass(frozen=True)
class PiGANOptions(CommonOptions):
    """pi-GAN's losses; defaults as released for CelebA.

    Attributes:
        side: of the largest pictures that are trained on, pixels; 0 is the model's own. The model
            keeps its own to draw with.
        least_side: of the first pictures.
        grow_images, fade_images: images between two doublings of the side, and of these the
            ones in which a new block is faded in. Not in fine-tuning.
        noise_steps: steps in which the noise on densities falls from 1 to 0.
        pose_weight: of the angles that the discriminator reads.
        best_share, best_decay: the generator learns from the best of a batch: their share falls by
            ``best_decay`` every 2,000 steps, down to ``best_share``.
        yaw_spread, pitch_spread: standard deviations of the poses, radians.
        style_start: factor on the last weights of a new mapping: how much people differ at first.
        density_start: factor on the first weights of a new field's density. With the published 1
            heads are mist for the first tens of thousands of steps.
        deviation_group: pictures that a new discriminator compares with each other, so that it sees
            it when one head is drawn for all latents; 0 for none, as published.
        data_poses: draw from the batch's cameras where these are known, and let the discriminator
            read their angles off real pictures too. As published, cameras are never known, and
            poses are drawn from the range.
    """

    r1_gamma: float = 0.2
    r1_interval: int = 1
    generator_rate: float = 6e-5
    discriminator_rate: float = 2e-4
    side: int = 0
    least_side: int = 32
    grow_images: float = 1_000_000
    fade_images: float = 500_000
    noise_steps: int = 5000
    pose_weight: float = 15.0
    best_share: float = 0.6
    best_decay: float = 0.99
    yaw_spread: float = 0.3
    pitch_spread: float = 0.155
    style_start: float = 0.25
    density_start: float = 1.0
    deviation_group: int = 0
    data_poses: bool = True


class PiGANTraining(Adversarial):
    """See the module; arguments as :class:`~engine.training.gan.eg3d.EG3DTraining`."""

    generator: PiGANNetwork
    discriminator: GrowingDiscriminator
    config: PiGANConfig

    def __init__(
        self,
        config: PiGANConfig,
        options: PiGANOptions,
        generator: PiGANNetwork | None = None,
        discriminator: GrowingDiscriminator | None = None,
    ) -> None:
        side = options.side or config.resolution
        if side < 8 or side & (side - 1):
            raise UserError(f"pi-GAN is trained at 8, 16, 32 ... pixels, not {side}.")
        # Averages of styles that are still learnt are found anew when they are needed.
        config = replace(config, stored_averages=False)
        network = PiGANNetwork(config)
        if generator is not None:
            own = {n: t for n, t in generator.state_dict().items() if not n.startswith("avg_")}
            network.load_state_dict(own)
        else:
            with torch.no_grad():
                # Styles that hardly differ at first, as in the release.
                last = network.siren.mapping_network.network[-1]
                assert isinstance(last, torch.nn.Linear)
                last.weight.mul_(options.style_start)
                network.siren.final_layer.weight.mul_(options.density_start)
        least = min(options.least_side, side)
        if discriminator is None:
            widths = narrowed(coord_widths(side), options.judge_channels)
            discriminator = GrowingDiscriminator(widths, least, options.deviation_group)
        super().__init__("pigan", config, network, discriminator, side, options)
        self.options, self.least = options, least
        self.prior = PosePrior(yaw_spread=options.yaw_spread, pitch_spread=options.pitch_spread)

    # ----------------------------------------------------------------------- schedules

    def growth(self, progress: Progress) -> tuple[int, float]:
        """Side of the pictures, and the share of the newest block."""
        doublings = (self.resolution // self.least).bit_length() - 1
        if self.options.fine_tuning or not doublings:
            return self.resolution, 1.0
        stage, within = divmod(progress.images, self.images(self.options.grow_images))
        if stage == 0 or stage > doublings:
            return min(self.least << int(min(stage, doublings)), self.resolution), 1.0
        fade = min(within / self.images(self.options.fade_images), 1.0)
        return self.least << int(stage), fade

    def noise(self, progress: Progress) -> float:
        """Standard deviation of the noise on densities."""
        if self.options.fine_tuning:
            return 0.0
        steps = max(self.options.noise_steps * self.options.pace, 1e-9)
        return max(1.0 - progress.step / steps, 0.0)

    # ------------------------------------------------------------------------- drawing

    def pictures(
        self,
        z: Tensor,
        cameras: Tensor,
        side: int,
        march: March,
        random: torch.Generator | None,
        noise: float = 0.0,
    ) -> Tensor:
        """``[N, 3, side, side]`` in [-1, 1] of ``[N, z_dim]`` latents."""
        config, siren = self.config, self.generator.siren
        styles = siren.mapping_network(z).reshape(len(z), 2, config.rows, config.hidden)
        frequencies, phases = film_frequencies(styles[:, 0]), styles[:, 1]

        def sine(row: int, film: torch.nn.Module, x: Tensor) -> Tensor:
            linear = film.layer
            assert isinstance(linear, torch.nn.Linear)
            return film_sine(x, linear.weight, linear.bias, frequencies[:, row], phases[:, row])

        def field(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
            x = points * config.point_scale
            for row, film in enumerate(siren.network):
                x = sine(row, film, x)
            density = siren.final_layer(x)[..., 0]
            seen = sine(config.layers, siren.color_layer_sine, torch.cat([directions, x], dim=-1))
            return density, siren.color_layer_linear(seen).sigmoid()

        rays = [unit_rays(camera, config.data.fov_y, side, side) for camera in cameras]
        origins = torch.stack([ray[0] for ray in rays])
        directions = torch.stack([ray[1] for ray in rays])
        found = march_batch(field, origins, directions, march, random, noise)
        return (found.features * 2.0 - 1.0).reshape(-1, side, side, 3).movedim(-1, 1)

    def march(self) -> March:
        """How rays are marched in training: what light is left over stays dark, or is white."""
        config, data = self.config, self.config.data
        return March(data.near, data.far, config.steps, config.steps, white_back=config.white_back)

    def drawn(self, step: Step, phase: str) -> Seen:
        """Pictures of the present side."""
        angles = poses_of(step, self.prior, self.options.data_poses)
        cameras = orbit(angles, _RADIUS, "pigan")
        z = step.normal(self.config.z_dim)
        side, _ = self.growth(step.progress)
        noise = self.noise(step.progress)
        picture = self.pictures(z, cameras, side, self.march(), step.random, noise)
        return Seen((picture,), truth=angles)

    def real(self, step: Step) -> Seen:
        """Real pictures of the present side, with the angles of their cameras where known."""
        images = resized(step.batch.images, self.growth(step.progress)[0])
        return Seen((images,), truth=known_poses(step, self.options.data_poses))

    def judged(self, seen: Seen, step: Step) -> Verdict:
        """Logits and angles, the newest block faded in."""
        fade = self.growth(step.progress)[1]
        return Verdict(*self.discriminator(step.augment(seen.pictures[0]), fade))

    def read_angles(self, seen: Seen, verdict: Verdict) -> dict[str, Tensor]:
        """Of drawn pictures, for both networks, and of real ones where cameras are known."""
        if verdict.angles is None or seen.truth is None or not self.options.pose_weight:
            return {}
        return {"pose": pose_alignment(verdict.angles, seen.truth) * self.options.pose_weight}

    def best(self, progress: Progress, count: int) -> int:
        """How many of ``count`` pictures the generator learns from."""
        decayed = math.pow(self.options.best_decay, progress.step / 2000.0)
        return max(math.ceil(max(decayed, self.options.best_share) * count), 1)

    def _generator(self, step: Step) -> dict[str, Tensor]:
        seen = self._drawn(step, "generator")
        verdict = self._judged(seen, step)
        best = verdict.logits.topk(self.best(step.progress, step.count)).values
        found = {"generator": generator_logistic(best)} | self.read_angles(seen, verdict)
        return found | scores("fake", verdict.logits)

    # --------------------------------------------------------------------------- facts

    def optimiser(self, network: Network) -> OptimiserOptions:
        """Adam, (0, 0.9)."""
        return adam(self.rate(network), (0.0, 0.9), 10.0)

    def ema_half_life(self, progress: Progress) -> float:
        """0.999 a step of 56 images."""
        return self.averaged_over(progress, 38_800, None)

    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        """The layer that sees the ray's direction is appearance."""
        return {
            "mapping": ("siren.mapping_network.",),
            "geometry": ("siren.network.", "siren.final_layer."),
            "appearance": ("siren.color_layer_sine.", "siren.color_layer_linear."),
        }

    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        """``generator.pth``, the present state, ``ema.pth``, the average, and ``discriminator.pth``, if theirs
        can be it: objects of their classes."""
        return drawing_files(self.generator, state, self.discriminator)

    def authors_resume(self, state: Mapping[str, Tensor], moments: Moments) -> Mapping[str, object]:
        """All that their training reads."""
        return resuming_files(self.generator, state, self.discriminator, moments)


def fresh_config(resolution: int, **changes: Any) -> PiGANConfig:
    """A small model to train from nothing, for pictures of 32 or 64 pixels."""
    base = PiGANConfig(
        z_dim=64,
        hidden=64,
        layers=4,
        mapping_width=64,
        steps=8,
        resolution=resolution,
    )
    return replace(base, **changes)


def _make(
    config: PiGANConfig,
    options: PiGANOptions,
    network: PiGANNetwork | None,
    judge: Mapping[str, Tensor] | None,
) -> PiGANTraining:
    if judge is not None:
        compares = (
            judge["final.conv.weight"].shape[1] > judge["blocks.4.conv2.conv.conv.weight"].shape[0]
        )
        group = (options.deviation_group or 4) if compares else 0
        options = replace(options, deviation_group=group)
    training = PiGANTraining(config, options, network)
    if judge is not None:
        training.discriminator.load_state_dict(dict(judge))
    return training


#: Side of pictures on a CPU.
_CPU_SIDE = 32
KIND = Kind(
    PiGANOptions,
    _make,
    fresh_config,
    lambda config: {"side": min(1 << (config.resolution.bit_length() - 1), _CPU_SIDE)},
)
