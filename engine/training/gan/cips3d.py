"""CIPS-3D's training: an auxiliary discriminator for the NeRF, gradients for a part of the pixels.

Zhou et al., "CIPS-3D" (2021), sections 3.3 and 4. Pixels do not know each other, so that pictures of any
side come from the same network: a run at 32 pixels is followed by one at 64. To transfer a model to
another domain the NeRF stays frozen and the implicit network alone is trained (the group
``appearance``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.errors import UserError
from engine.generators.cips3d_network import CIPS3DNetwork, FilmLayer, Styled
from engine.generators.cips3d_source import CIPS3DConfig
from engine.rendering.nerf_march import unit_rays
from engine.training.gan.adversarial import (
    Adversarial,
    CommonOptions,
    Seen,
    Step,
    Verdict,
    adam,
    copied,
    read_off,
)
from engine.training.gan.contract import Network, OptimiserOptions, Progress
from engine.training.gan.discriminator_blocks import narrowed
from engine.training.gan.discriminator_equal import (
    AuxiliaryDiscriminator,
    MultiScaleDiscriminator,
    auxiliary_of,
)
from engine.training.gan.families import Kind
from engine.training.gan.losses import resized
from engine.training.gan.nerf_batches import march_batch
from engine.training.gan.poses import PosePrior, known_poses, orbit, poses_of

#: The release's widths: of the discriminator of pictures, and of the one for the NeRF's own.
_MAIN = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
_AUX = {4: 256, 8: 256, 16: 256, 32: 256, 64: 256, 128: 256, 256: 128, 512: 64, 1024: 32}


@dataclass(frozen=True)
class CIPS3DOptions(CommonOptions):
    """CIPS-3D's losses. Rates of 0 are the published ones for the pictures' side.

    Attributes:
        side: of the pictures that are trained on, pixels; 0 is the model's own. The model keeps
            its own to draw with.
        auxiliary: judge the NeRF's own picture too: 1 yes, 0 no, -1 up to 128 pixels, as published.
        gradient_pixels: pixels of a picture that carry gradients; 0 is all of them.
        noise_steps: steps in which the noise on densities falls from 1 to 0.
        yaw_spread, pitch_spread: standard deviations of the poses, radians.
        pose_weight: see :class:`~engine.training.gan.eg3d.EG3DOptions`.
        style_start: factor on the first weights that say how a style changes the NeRF: how much
            people differ at first. A quarter as in pi-GAN.
        data_poses: draw from the batch's cameras where these are known. As published, cameras are
            never known, and poses are drawn from the range.
    """

    r1_gamma: float = 10.0
    r1_interval: int = 1
    generator_rate: float = 0.0
    discriminator_rate: float = 0.0
    side: int = 0
    auxiliary: int = -1
    gradient_pixels: int = 96 * 96
    noise_steps: int = 5000
    yaw_spread: float = 0.3
    pitch_spread: float = 0.155
    pose_weight: float = 0.0
    style_start: float = 0.25
    data_poses: bool = True


class CIPS3DTraining(Adversarial):
    """See the module; arguments as :class:`~engine.training.gan.eg3d.EG3DTraining`."""

    generator: CIPS3DNetwork
    discriminator: AuxiliaryDiscriminator
    config: CIPS3DConfig

    def __init__(
        self,
        config: CIPS3DConfig,
        options: CIPS3DOptions,
        generator: CIPS3DNetwork | None = None,
        discriminator: AuxiliaryDiscriminator | None = None,
    ) -> None:
        side = trained_side(config, options)
        if side < 8 or side & (side - 1):
            raise UserError(f"CIPS-3D is trained at 8, 16, 32 ... pixels, not {side}.")
        both = options.auxiliary > 0 or (options.auxiliary < 0 and side <= 128)
        if discriminator is None:
            discriminator = AuxiliaryDiscriminator(
                *(
                    MultiScaleDiscriminator(
                        narrowed(
                            {s: w for s, w in widths.items() if s <= side}, options.judge_channels
                        ),
                        (side,),
                        early,
                        angles=2 if options.pose_weight else 0,
                    )
                    for widths, early in ((_MAIN, False), (_AUX, True))
                )
            )
        network = generator or _started(CIPS3DNetwork(config), options.style_start)
        super().__init__("cips3d", config, network, discriminator, side, options)
        self.both, self.options = both, options
        self.prior = PosePrior(yaw_spread=options.yaw_spread, pitch_spread=options.pitch_spread)

    # ------------------------------------------------------------------------ drawing

    def noise(self, progress: Progress) -> float:
        """Standard deviation of the noise on densities."""
        if self.options.fine_tuning:
            return 0.0
        return max(
            1.0 - progress.step / max(self.options.noise_steps * self.options.pace, 1e-9), 0.0
        )

    def styled(self, z: Tensor) -> Styled:
        """``[N, z_dim]`` -> what the networks need of N identities."""
        network, config = self.generator, self.config
        nerf, inr = network.latents(z)
        shape, look = network.mapping_network_nerf(nerf), network.mapping_network_inr(inr)
        return Styled(
            network.siren.films(shape.expand(config.nerf_rows, -1, -1)),
            network.inr_net.styled(look.expand(2 * config.inr_blocks, -1, -1)),
        )

    def pixels(
        self,
        styled: Styled,
        origins: Tensor,
        directions: Tensor,
        random: torch.Generator | None,
        noise: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """``[N, R, 3]`` colours of pictures and of auxiliary ones, of ``[N, R, 3]`` unit rays."""
        network, march = self.generator, self.config.march()

        def field(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
            seen: tuple[Tensor, Tensor] = network.siren(styled.films, points)
            return seen

        # White belongs to the features, which follow from the sums of activations.
        plain = replace(march, white_back=False)
        ray = march_batch(field, origins, directions, plain, random, noise)
        features = network.siren.features(ray.features, ray.weight_sum[..., None])
        if march.white_back:
            features = features + (1.0 - ray.weight_sum)[..., None]
        colours = network.inr_net(styled.weights, features)
        auxiliary = network.auxiliary(features)
        return (
            network.over_backdrop(colours, ray.opacity),
            network.over_backdrop(auxiliary, ray.opacity),
        )

    def pictures(
        self,
        z: Tensor,
        cameras: Tensor,
        random: torch.Generator | None,
        noise: float = 0.0,
        chosen: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Pictures and auxiliary pictures ``[N, 3, S, S]``.

        Args:
            z: ``[N, z_dim]``. cameras: ``[N, 4, 4]`` OpenGL.
            random, noise: of training.
            chosen: pixels that carry gradients, the same in every picture; 0 is all of them.
        """
        side = self.resolution
        rays = [unit_rays(camera, self.config.fov_y, side, side) for camera in cameras]
        origins = torch.stack([ray[0] for ray in rays])
        directions = torch.stack([ray[1] for ray in rays])
        styled = self.styled(z)
        total = side * side
        if not 0 < chosen < total or random is None or not torch.is_grad_enabled():
            found = self.pixels(styled, origins, directions, random, noise)
        else:
            order = torch.randperm(total, generator=random, device=z.device)
            first, rest = directions[:, order[:chosen]], directions[:, order[chosen:]]
            carried = self.pixels(styled, origins, first, random, noise)
            with torch.no_grad():
                plain = self.pixels(styled, origins, rest, random, noise)
            back = order.argsort()
            joined = [torch.cat(pair, dim=1)[:, back] for pair in zip(carried, plain, strict=True)]
            found = joined[0], joined[1]
        picture, auxiliary = (p.reshape(-1, side, side, 3).movedim(-1, 1) for p in found)
        return picture, auxiliary

    def drawn(self, step: Step, phase: str) -> Seen:
        """Pictures of new latents; with the auxiliary ones behind them, twice as many."""
        z = step.normal(self.config.z_dim)
        angles = poses_of(step, self.prior, self.options.data_poses)
        cameras = orbit(angles, self.config.radius, "cips3d")
        noise = self.noise(step.progress)
        found = self.pictures(z, cameras, step.random, noise, self.options.gradient_pixels)
        return Seen((torch.cat(found) if self.both else found[0],), truth=self._both(angles))

    def real(self, step: Step) -> Seen:
        """Real pictures, twice where the auxiliary ones are judged too."""
        images = resized(step.batch.images, self.resolution)
        truth = known_poses(step, self.options.data_poses)
        pictures = torch.cat([images, images]) if self.both else images
        return Seen((pictures,), truth=None if truth is None else self._both(truth))

    def _both(self, angles: Tensor) -> Tensor:
        return torch.cat([angles, angles]) if self.both else angles

    def judged(self, seen: Seen, step: Step) -> Verdict:
        """Logits of both discriminators, one after the other."""
        return Verdict(*self.discriminator.read(step.augment(seen.pictures[0]), self.both))

    def read_angles(self, seen: Seen, verdict: Verdict) -> dict[str, Tensor]:
        """Pose alignment, where the discriminator reads angles."""
        return read_off(seen, verdict, self.options.pose_weight)

    # --------------------------------------------------------------------------- facts

    def optimiser(self, network: Network) -> OptimiserOptions:
        """Adam, (0, 0.999); the discriminator learns ten times as fast up to 128 pixels."""
        drawing, own = network == "generator", self.rate(network)
        small = 2e-4 if self.resolution <= 64 else 1e-4
        published = small if drawing else (5e-4 if self.resolution > 128 else 10.0 * small)
        return adam(own or published, (0.0, 0.999), 10.0)

    def ema_half_life(self, progress: Progress) -> float:
        """0.999 a step of 32 images (four on each of eight GPUs), from step 1,000 on."""
        if not self.options.fine_tuning and progress.step < 1000 * self.options.pace:
            return 0.0
        return 22_160 * self.options.pace

    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        """What transfer to another domain leaves alone is mapping and geometry."""
        return {
            "mapping": ("mapping_network_nerf.",),
            "geometry": ("siren.", "aux_to_rbg."),
            "appearance": ("inr_net.", "mapping_network_inr."),
        }

    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        """``G_ema.pth``, ``generator.pth`` (the present state, which the authors' training goes on
        from) and ``discriminator.pth``: flat state dicts."""
        config = self.config
        ours = config.nerf_latent_steps or config.inr_latent_steps or config.nerf_reads is not None
        if ours or config.backdrop is not None:
            raise UserError(
                "This model spells out its latents or has a backdrop, which the authors' CIPS-3D "
                "has not; it can be saved as Maquette's own file only."
            )
        judge = self.discriminator.state_dict()
        return {
            "G_ema.pth": OrderedDict(copied(state)),
            "generator.pth": OrderedDict(copied(self.generator.state_dict())),
            "discriminator.pth": OrderedDict(copied(judge)),
        }


def trained_side(config: CIPS3DConfig, options: CIPS3DOptions) -> int:
    """Side of the pictures that are trained on."""
    return options.side or config.img_resolution


def _started(network: CIPS3DNetwork, share: float) -> CIPS3DNetwork:
    """Frequencies and phases that differ between people by this share of a layer's usual spread."""
    with torch.no_grad():
        for layer in network.siren.modules():
            if isinstance(layer, FilmLayer):
                layer.gain_fc.weight.mul_(share)
                layer.bias_fc.weight.mul_(share)
    return network


def fresh_config(resolution: int, **changes: Any) -> CIPS3DConfig:
    """A small model to train from nothing, for pictures of 32 to 128 pixels."""
    base = CIPS3DConfig(
        z_nerf_dim=64,
        z_inr_dim=64,
        nerf_style_dim=64,
        inr_style_dim=64,
        inr_mapping_layers=4,
        nerf_width=64,
        nerf_color_width=64,
        nerf_features=32,
        inr_blocks=6,
        inr_width=64,
        img_resolution=resolution,
        samples_per_pass=8,
    )
    return replace(base, **changes)


def _make(
    config: CIPS3DConfig,
    options: CIPS3DOptions,
    network: CIPS3DNetwork | None,
    judge: Mapping[str, Tensor] | None,
) -> CIPS3DTraining:
    discriminator = None if judge is None else auxiliary_of(judge)
    side = str(trained_side(config, options))
    if discriminator is not None and side not in discriminator.main_disc.conv_in:
        raise ValueError("the discriminator judges pictures of other sizes")
    return CIPS3DTraining(config, options, network, discriminator)


#: Side of pictures on a CPU, and pixels of them that carry gradients there.
_CPU_SIDE, _CPU_PIXELS = 64, 32 * 32
KIND = Kind(
    CIPS3DOptions,
    _make,
    fresh_config,
    lambda config: {
        "side": min(1 << (config.img_resolution.bit_length() - 1), _CPU_SIDE),
        "gradient_pixels": _CPU_PIXELS,
    },
)
