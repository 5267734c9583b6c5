"""EpiGRAF's training: patches of changing scale, and a discriminator that knows where they lie.

Skorokhodov et al., "EpiGRAF" (2022), sections 3.2 to 3.4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.errors import UserError
from engine.generators.epigraf_config import EpiGRAFConfig
from engine.generators.epigraf_network import EpiGRAFNetwork
from engine.training.gan.adversarial import (
    Seen,
    Step,
    Verdict,
    adam,
    read_off,
)
from engine.training.gan.ball import BallOptions, BallTraining
from engine.training.gan.contract import Moments, Network, OptimiserOptions, Progress
from engine.training.gan.discriminator_blocks import block_widths, narrowed
from engine.training.gan.discriminator_patch import PatchDiscriminator
from engine.training.gan.discriminator_residual import widths_of
from engine.training.gan.epigraf_drawing import (
    drawn_patches,
    field_of,
    patches_of,
    planes_of,
)
from engine.training.gan.epigraf_files import PATCH, saved_networks
from engine.training.gan.epigraf_resume import whole_state
from engine.training.gan.families import Kind
from engine.training.gan.losses import gaussian_blur
from engine.training.gan.poses import PosePrior, known_poses, orbit, poses_of


@dataclass(frozen=True)
class EpiGRAFOptions(BallOptions):
    """EpiGRAF's losses; defaults as published for faces.

    Attributes:
        patch_side: pixels of a patch; 0 is 64, or half of pictures that are not larger.
        beta_from, beta_to, beta_images: of the scales' distribution, which begins with whole
            pictures and ends with all scales; over so many images.
        blur_sigma, blur_images: pictures shown to the discriminator are blurred, in pixels of 64,
            falling to none. Not in fine-tuning.
        noise_from, noise_images: standard deviation of the noise on raw densities, falling to
            none. Not in fine-tuning.
        pose_weight: see :class:`~engine.training.gan.eg3d.EG3DOptions`.
        data_poses: draw from the batch's cameras where they are known; else, and without any,
            from ``yaw_spread`` and ``pitch_spread`` (gaussian, radians).
    """

    r1_gamma: float = 0.1
    patch_side: int = 0
    beta_from: float = 0.001
    beta_to: float = 0.8
    beta_images: float = 10_000_000
    blur_sigma: float = 10.0
    blur_images: float = 200_000
    noise_from: float = 1.0
    noise_images: float = 5_000_000
    pose_weight: float = 0.0
    data_poses: bool = True
    yaw_spread: float = 0.3
    pitch_spread: float = 0.155


class EpiGRAFTraining(BallTraining):
    """See the module; arguments as :class:`~engine.training.gan.eg3d.EG3DTraining`."""

    generator: EpiGRAFNetwork
    discriminator: PatchDiscriminator
    config: EpiGRAFConfig

    def __init__(
        self,
        config: EpiGRAFConfig,
        options: EpiGRAFOptions,
        generator: EpiGRAFNetwork | None = None,
        discriminator: PatchDiscriminator | None = None,
    ) -> None:
        if config.c_dim:
            raise UserError("EpiGRAF models of several classes cannot be trained.")
        side = config.img_resolution
        patch = patch_side(side, options)
        if discriminator is None:
            # As many blocks more as halvings lie between picture and patch.
            nominal = patch << max(math.ceil(math.log2(side / patch)), 0)
            widths = narrowed(block_widths(nominal), options.judge_channels)
            embedded = 256 if not options.judge_channels else options.judge_channels
            discriminator = PatchDiscriminator(
                patch,
                widths,
                2 if config.camera_cond else 0,
                embedded=embedded,
                angles=2 if options.pose_weight else 0,
            )
        network = generator or EpiGRAFNetwork(config)
        super().__init__("epigraf", config, network, discriminator, side, options)
        self.options, self.patch = options, patch
        self.prior = PosePrior(yaw_spread=options.yaw_spread, pitch_spread=options.pitch_spread)

    # ----------------------------------------------------------------------- schedules

    def beta(self, progress: Progress) -> float:
        """Second parameter of the scales' Beta(1, beta)."""
        done = 1.0 if self.options.fine_tuning else self.faded(progress, self.options.beta_images)
        return self.options.beta_from + (self.options.beta_to - self.options.beta_from) * done

    def blur(self, progress: Progress) -> float:
        """Width of the blur of what the discriminator sees, in pixels of a patch."""
        left = 1.0 - self.faded(progress, self.options.blur_images)
        started = 0.0 if self.options.fine_tuning else self.options.blur_sigma
        return started * left * self.patch / PATCH

    def noise(self, progress: Progress) -> float:
        """Standard deviation of the noise on densities."""
        left = 1.0 - self.faded(progress, self.options.noise_images)
        return 0.0 if self.options.fine_tuning else self.options.noise_from * left

    def places(self, step: Step) -> Tensor:
        """``[N, 3]`` scales and offsets of patches: scales are ``least + (1 - least) Beta(1, b)``,
        ``least`` the patch's share of the picture; offsets are uniform."""
        least = min(self.patch / self.resolution, 1.0)
        # The inverse of Beta(1, b)'s distribution function, 1 - (1 - x)^b.
        drawn = 1.0 - (1.0 - step.uniform(1)) ** (1.0 / self.beta(step.progress))
        scale = least + (1.0 - least) * drawn
        return torch.cat([scale, step.uniform(2) * (1.0 - scale)], dim=1)

    # ------------------------------------------------------------------------- drawing

    def drawn(self, step: Step, phase: str) -> Seen:
        """Patches of new latents."""
        angles = poses_of(step, self.prior, self.options.data_poses)
        cameras = orbit(angles, self.config.radius, "epigraf")
        label = camera_label(cameras) if self.config.camera_cond else None
        update = phase == "discriminator"
        z = step.normal(self.config.z_dim)
        ws = self.generator.mapping(z, label, update_average=update)
        places = self.places(step)
        noise = self.noise(step.progress)
        patches = drawn_patches(self.generator, ws, cameras, places, self.patch, step.random, noise)
        return Seen((patches,), self._told(places, label), angles)

    @property
    def reach(self) -> float:
        """See :class:`~engine.training.gan.ball.BallTraining`."""
        return self.config.radius * math.tan(math.radians(self.config.fov) / 2.0)

    def raw_densities(self, step: Step, points: Tensor) -> Tensor:
        """See :class:`~engine.training.gan.ball.BallTraining`."""
        angles = poses_of(step, self.prior, self.options.data_poses)
        label = None
        if self.config.camera_cond:
            label = camera_label(orbit(angles, self.config.radius, "epigraf"))
        ws = self.generator.mapping(step.normal(self.config.z_dim), label)
        planes = planes_of(self.generator, ws, step.random)[0]
        return field_of(self.generator, planes, points)[0]

    def _told(self, places: Tensor, label: Tensor | None) -> Tensor:
        return places if label is None else torch.cat([places, label], dim=1)

    def real(self, step: Step) -> Seen:
        """Patches of the batch's pictures, taken as those of drawn ones are."""
        places = self.places(step)
        label: Tensor | None = None
        if self.config.camera_cond:
            angles = poses_of(step, self.prior, self.options.data_poses)
            label = camera_label(orbit(angles, self.config.radius, "epigraf"))
        patches = patches_of(step.batch.images, places, self.patch)
        truth = known_poses(step, self.options.data_poses)
        return Seen((patches,), self._told(places, label), truth)

    def judged(self, seen: Seen, step: Step) -> Verdict:
        """Logits of patches, given where they were taken."""
        assert seen.told is not None
        patches = gaussian_blur(seen.pictures[0], self.blur(step.progress))
        return Verdict(*self.discriminator.read(step.augment(patches), seen.told))

    def read_angles(self, seen: Seen, verdict: Verdict) -> dict[str, Tensor]:
        """Pose alignment, where the discriminator reads angles."""
        return read_off(seen, verdict, self.options.pose_weight)

    # --------------------------------------------------------------------------- facts

    def optimiser(self, network: Network) -> OptimiserOptions:
        """Adam, (0, 0.99)."""
        return adam(self.rate(network), (0.0, 0.99))

    def ema_half_life(self, progress: Progress) -> float:
        """20,000 images, at most a twentieth of what was seen."""
        return self.averaged_over(progress, 20_000, 0.05)

    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        """The planes hold shape and colour alike, and one small network reads both from them."""
        groups: dict[str, tuple[str, ...]] = {
            "mapping": ("mapping.",),
            "geometry": ("synthesis.tri_plane_decoder.", "synthesis.tri_plane_mlp."),
        }
        if self.config.background == "sphere":
            groups["background"] = ("synthesis.bg_model.",)
        return groups

    def colour_rows(self) -> Mapping[str, slice]:
        """The small network's last layer says red, green, blue and density."""
        last = len(self.generator.synthesis.tri_plane_mlp.model) - 1
        stem = f"synthesis.tri_plane_mlp.model.{last}"
        return {f"{stem}.{name}": slice(0, 3) for name in ("weight", "bias")}

    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        """``network.pt``: the generator, averaged and as it is, and the discriminator."""
        saved = saved_networks(self.config, self.generator, state, self.discriminator)
        return {"network.pt": saved}

    def authors_resume(self, state: Mapping[str, Tensor], moments: Moments) -> Mapping[str, object]:
        """``network.pkl`` with all that their training reads, where it can."""
        saved = saved_networks(self.config, self.generator, state, self.discriminator)
        config = self.config
        whole = whole_state(
            saved, self.generator, self.discriminator, config.z_dim, config.c_dim, moments
        )
        return {} if whole is None else {"network.pkl": whole}


def patch_side(side: int, options: EpiGRAFOptions) -> int:
    """Pixels of a patch of pictures of ``side`` pixels.

    Raises:
        UserError: no discriminator can judge such patches.
    """
    patch = options.patch_side or (PATCH if side > PATCH else side // 2)
    if patch < 8 or patch & (patch - 1) or patch > side:
        raise UserError(
            f"EpiGRAF's patches are 8, 16, 32 ... pixels and no larger than the picture, not {patch}."
        )
    return patch


def camera_label(cameras: Tensor) -> Tensor:
    """``[N, 4, 4]`` authors' cameras -> ``[N, 2]`` yaw and pitch (from the pole) as shares of a
    turn, as the mapping is shown them."""
    x, y, z = cameras[:, :3, 3].unbind(dim=1)
    angles = torch.stack([torch.atan2(z, x), torch.atan2(torch.hypot(x, z), y)], dim=1)
    return angles.sign() * (angles.abs() % math.tau) / math.tau


def fresh_config(resolution: int, **changes: Any) -> EpiGRAFConfig:
    """A small model to train from nothing, for pictures of 32 to 128 pixels."""
    width = 64
    base: dict[str, Any] = {
        "z_dim": 128,
        "w_dim": 128,
        "plane_resolution": max(32, resolution),
        "plane_channels": 16,
        "channel_base": 32 * width,
        "channel_max": width,
        "mlp_channels": (32,),
        "img_resolution": resolution,
        "num_ray_steps": 16,
    }
    return EpiGRAFConfig(**(base | changes))


def _make(
    config: EpiGRAFConfig,
    options: EpiGRAFOptions,
    network: EpiGRAFNetwork | None,
    judge: Mapping[str, Tensor] | None,
) -> EpiGRAFTraining:
    discriminator: PatchDiscriminator | None = None
    if judge is not None:
        layers = re.compile(r"hyper_mod_mapping\.fc\d+\.weight")
        found = judge.get("scalar_enc.const_embed.weight")
        place = 0 if found is None else 3 * (found.shape[1] + 20)
        head = judge.get("head_mapping.embed.weight")
        discriminator = PatchDiscriminator(
            patch_side(config.img_resolution, options),
            widths_of(judge),
            0 if head is None else head.shape[1] - place,
            found is not None,
            256 if found is None else found.shape[1],
            max(sum(layers.fullmatch(name) is not None for name in judge), 1),
            angles=0 if head is None else judge["b4.out.weight"].shape[0] - head.shape[0],
        )
        discriminator.load_state_dict(dict(judge))
    return EpiGRAFTraining(config, options, network, discriminator)


KIND = Kind(EpiGRAFOptions, _make, fresh_config)
