"""EG3D's training: dual discrimination, poses that are told and swapped, smooth densities.

Chan et al., "Efficient Geometry-aware 3D Generative Adversarial Networks" (2022), section 4 and
its supplement, with the schedules of the released models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.errors import UserError
from engine.generators.eg3d_config import EG3DConfig
from engine.generators.eg3d_network import EG3DNetwork
from engine.generators.stylegan2 import FullyConnected
from engine.generators.triplane import CORRECTED_AXES, sample_planes
from engine.training.gan.adversarial import (
    Seen,
    Step,
    Verdict,
    adam,
    read_off,
)
from engine.training.gan.ball import BallOptions, BallTraining
from engine.training.gan.contract import Network, OptimiserOptions, Progress
from engine.training.gan.discriminator_blocks import block_widths, narrowed
from engine.training.gan.discriminator_residual import DualDiscriminator, pair, widths_of
from engine.training.gan.eg3d_files import saved_networks
from engine.training.gan.families import Kind
from engine.training.gan.losses import density_smoothness, gaussian_blur, resized
from engine.training.gan.poses import angles_of


@dataclass(frozen=True)
class EG3DOptions(BallOptions):
    """EG3D's losses; defaults as published for faces.

    Attributes:
        swap_from, swap_to, swap_images: probability that the mapping is shown another picture's
            camera than the one drawn, falling linearly over so many images.
        density_weight, density_points, density_distance, density_interval: of the smoothness of
            densities: weight, points an identity, standard deviation of the steps between
            neighbours in world units, steps between two.
        blur_sigma, blur_images: pictures shown to the discriminator are blurred, in pixels at
            512, falling to none over so many images. Not in fine-tuning.
        neural_from, neural_to, neural_images: side of the volume rendering at first, at last and
            the images between; ``None`` is the model's own. A model that is fine-tuned keeps its
            own to draw with, unless ``neural_to`` names another.
        pose_weight: of the angles of the pose that a new discriminator reads off real and drawn
            pictures, beside being told the camera, which takes long to be of use. The authors' reads
            none; without, small models of few pictures often learn the hollow mould of a head.
        density_start: what raw densities of a new model begin at. With the published 0 a box before
            an empty backdrop begins as mist, through which bright faces are seen as holes.
        volume_side: side of the volume rendering while training, pixels, which the model does not
            keep: its super-resolution takes any. 0 is the model's present one.
    """

    swap_from: float = 1.0
    swap_to: float = 0.5
    swap_images: float = 1_000_000
    density_weight: float = 0.25
    density_points: int = 1000
    density_distance: float = 0.004
    density_interval: int = 4
    blur_sigma: float = 10.0
    blur_images: float = 200_000
    neural_from: int | None = None
    neural_to: int | None = None
    neural_images: float = 1_000_000
    pose_weight: float = 0.0
    density_start: float = 0.0
    volume_side: int = 0


class EG3DTraining(BallTraining):
    """See the module.

    Args:
        config: of the generator.
        options: of the losses.
        generator: with its weights; a new one if absent.
        discriminator: with its weights; a new one if absent.
    """

    path_phase = "generator_density"
    generator: EG3DNetwork
    discriminator: DualDiscriminator
    config: EG3DConfig
    neural_side: Tensor

    def __init__(
        self,
        config: EG3DConfig,
        options: EG3DOptions,
        generator: EG3DNetwork | None = None,
        discriminator: DualDiscriminator | None = None,
    ) -> None:
        side = config.img_resolution
        if discriminator is None:
            widths = block_widths(side, config.channel_base, config.channel_max)
            widths = narrowed(widths, options.judge_channels)
            angles = 2 if options.pose_weight else 0
            discriminator = DualDiscriminator(side, widths, angles=angles)
        network = generator or _started(EG3DNetwork(config), options.density_start)
        super().__init__("eg3d", config, network, discriminator, side, options)
        if network.superresolution.noise_mode == "random":
            network.superresolution.noise_mode = "const"
        self.options = options
        self.path_interval = options.density_interval if options.density_weight else 0
        first = config.neural_rendering_resolution
        if options.neural_from and not options.fine_tuning:
            first = options.neural_from
        self.register_buffer("neural_side", torch.tensor(first))

    # ------------------------------------------------------------------------ drawing

    def neural_resolution(self, progress: Progress) -> int:
        """Side of the volume rendering, pixels."""
        own = self.config.neural_rendering_resolution
        first, last = self.options.neural_from or own, self.options.neural_to or own
        share = self.faded(progress, self.options.neural_images)
        return round(first * (1.0 - share) + last * share)

    def volume_resolution(self, progress: Progress) -> int:
        """Side that the volume is rendered at in this step, pixels."""
        return self.options.volume_side or self.neural_resolution(progress)

    def swap_probability(self, progress: Progress) -> float:
        """Probability that the mapping is shown another picture's camera."""
        first, last = self.options.swap_from, self.options.swap_to
        return first + (last - first) * self.faded(progress, self.options.swap_images)

    def blur(self, progress: Progress) -> float:
        """Width of the blur of what the discriminator sees, in pixels of the picture."""
        if self.options.fine_tuning:
            return 0.0
        left = 1.0 - self.faded(progress, self.options.blur_images)
        return self.options.blur_sigma * left * self.resolution / 512.0

    def _ws(self, step: Step, cameras: Tensor, update_average: bool = False) -> Tensor:
        """Styles of new latents, shown the batch's cameras or the next picture's."""
        z = step.normal(self.config.z_dim)
        swapped = step.uniform(1) < self.swap_probability(step.progress)
        shown = torch.where(swapped, cameras.roll(1, dims=0), cameras)
        told = shown if self.config.c_dim else None
        return self.generator.mapping(z, told, update_average=update_average)

    def drawn(self, step: Step, phase: str) -> Seen:
        """Both pictures of new latents from the batch's cameras."""
        cameras = _cameras(step)
        ws = self._ws(step, cameras, update_average=phase == "discriminator")
        planes = self.generator.planes(ws, step.random)
        if not self.options.fine_tuning or self.options.neural_to is not None:
            self.neural_side.fill_(self.neural_resolution(step.progress))
        side = self.volume_resolution(step.progress)
        poses, lenses = cameras[:, :16].reshape(-1, 4, 4), cameras[:, 16:].reshape(-1, 3, 3)
        volume = self.generator.volume(planes, poses, lenses, side, jitter=step.random)
        picture = self.generator.superresolve(volume.rgb, volume.features, ws)
        return Seen((picture, volume.rgb), cameras, angles_of(cameras))

    def real(self, step: Step) -> Seen:
        """Real pictures, and the same as small as the volume is rendered."""
        images = step.batch.images
        raw = resized(images, self.volume_resolution(step.progress))
        raw = gaussian_blur(raw, self.blur(step.progress) * raw.shape[-1] / images.shape[-1])
        return Seen((images, raw), _cameras(step), angles_of(_cameras(step)))

    def judged(self, seen: Seen, step: Step) -> Verdict:
        """Logits of the pair, given the true camera."""
        picture, raw = seen.pictures
        picture = gaussian_blur(picture, self.blur(step.progress))
        return Verdict(*self.discriminator.read(step.augment(pair(picture, raw)), seen.told))

    def read_angles(self, seen: Seen, verdict: Verdict) -> dict[str, Tensor]:
        """Pose alignment, where the discriminator reads angles."""
        return read_off(seen, verdict, self.options.pose_weight)

    def regularised(self, step: Step) -> Mapping[str, Tensor]:
        """Densities at random points against densities a small step away."""
        ws = self._ws(step, _cameras(step))
        planes = self.generator.planes(ws, step.random)
        points = step.uniform(self.options.density_points, 3) * 2.0 - 1.0
        beside = (
            points + step.normal(self.options.density_points, 3) * self.options.density_distance
        )
        both = self._densities(planes, torch.cat([points, beside], dim=1))
        densities, nearby = both.chunk(2, dim=1)
        return {"density": density_smoothness(densities, nearby) * self.options.density_weight}

    def _densities(self, planes: Tensor, points: Tensor) -> Tensor:
        settings = self.config.rendering
        axes = torch.tensor(settings.plane_axes, device=points.device)
        # Not through density_at, whose compiled kernels know no gradients.
        features = sample_planes(planes, points, settings.box_warp, axes)
        return self.generator.decoder.density(features)

    @property
    def reach(self) -> float:
        """See :class:`~engine.training.gan.ball.BallTraining`."""
        return self.config.avg_camera_radius / (2.0 * self.config.focal)

    def raw_densities(self, step: Step, points: Tensor) -> Tensor:
        """See :class:`~engine.training.gan.ball.BallTraining`."""
        ws = self._ws(step, _cameras(step))
        return self._densities(self.generator.planes(ws, step.random), points)

    # --------------------------------------------------------------------------- facts

    def optimiser(self, network: Network) -> OptimiserOptions:
        """Adam, (0, 0.99)."""
        return adam(self.rate(network), (0.0, 0.99))

    def ema_half_life(self, progress: Progress) -> float:
        """10,000 images at a batch of 32."""
        return self.averaged_over(progress, 10_000, 0.05)

    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        """The planes hold shape and colour alike, so that only the super-resolution is
        appearance alone."""
        return {
            "mapping": ("backbone.mapping.",),
            "geometry": ("backbone.synthesis.", "decoder."),
            "upsampler": ("superresolution.",),
        }

    def colour_rows(self) -> Mapping[str, slice]:
        """The decoder's last layer says the density first, then colours."""
        return {f"decoder.net.2.{name}": slice(1, None) for name in ("weight", "bias")}

    def drawing_config(self) -> EG3DConfig:
        """With the present side of the volume rendering."""
        return replace(self.config, neural_rendering_resolution=int(self.neural_side))

    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        """``network.pt``: the generator, averaged and as it is, and the discriminator."""
        if self.config.latent_steps:
            raise UserError(
                "This model spells out its latents before the mapping, which the authors' EG3D does "
                "not; it can be saved as Maquette's own file only."
            )
        config = self.drawing_config()
        return {"network.pt": saved_networks(config, self.generator, state, self.discriminator)}


def _cameras(step: Step) -> Tensor:
    """``[N, 25]`` cameras of the batch.

    Raises:
        UserError: the pictures have none.
    """
    if step.batch.cameras is None:
        raise UserError(
            "EG3D learns from pictures whose cameras are known, and these have none; prepare them "
            "with poses first."
        )
    return step.batch.cameras


def fresh_config(resolution: int, **changes: Any) -> EG3DConfig:
    """A small model to train from nothing, for pictures of 32 to 128 pixels. Of the released models'
    planes none tells y and z together, which makes it hard to be round: new ones have the mended planes."""
    width = 64 if resolution <= 64 else 96
    base: dict[str, Any] = {
        "z_dim": 128,
        "w_dim": 128,
        "plane_resolution": max(32, resolution),
        "plane_channels": 48,
        "channel_base": 32 * width,
        "channel_max": width,
        "decoder_hidden": 32,
        "decoder_features": 16,
        "sr_module": "SuperresolutionHybrid2X",
        "sr_channels": (32, 16),
        "img_resolution": resolution,
        "neural_rendering_resolution": resolution // 2,
        "c_scale": 1.0,
        "rendering": replace(
            EG3DConfig().rendering,
            depth_resolution=16,
            depth_resolution_importance=16,
            plane_axes=CORRECTED_AXES,
        ),
    }
    return EG3DConfig(**(base | changes))


def _started(network: EG3DNetwork, density: float) -> EG3DNetwork:
    last = network.decoder.net[2]
    assert isinstance(last, FullyConnected) and last.bias is not None
    with torch.no_grad():
        # Biases are stored before their learning rate multiplier.
        last.bias[0] = density / last.bias_gain
    return network


def _make(
    config: EG3DConfig,
    options: EG3DOptions,
    network: EG3DNetwork | None,
    judge: Mapping[str, Tensor] | None,
) -> EG3DTraining:
    discriminator: DualDiscriminator | None = None
    if judge is not None:
        layers = sum(re.fullmatch(r"mapping\.fc\d+\.weight", name) is not None for name in judge)
        widths = widths_of(judge, config.img_resolution)
        # As many numbers as it is told the camera in, and the angles.
        angles = judge["b4.out.weight"].shape[0] - judge["mapping.embed.weight"].shape[0]
        discriminator = DualDiscriminator(max(widths), widths, mapping_layers=layers, angles=angles)
        discriminator.load_state_dict(dict(judge))
    return EG3DTraining(config, options, network, discriminator)


def _suited(config: EG3DConfig) -> dict[str, Any]:
    """Surfaces of generators that were taught from rendered heads are sharp: their raw densities
    are some thirty times as steep as those of the published models, and the published weight
    would pay for making them soft before anything else."""
    return {"density_weight": 0.25 / 30.0} if config.latent_steps else {}


#: Rays of a picture on a CPU: 40 a side.
_CPU_SIDE = 40
KIND = Kind(
    EG3DOptions,
    _make,
    fresh_config,
    lambda config: {"volume_side": min(config.neural_rendering_resolution, _CPU_SIDE)},
    _suited,
)
