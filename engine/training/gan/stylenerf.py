"""StyleNeRF's training: a path that stays a NeRF's, growing from low to high resolution.

Gu et al., "StyleNeRF" (2022), sections 3.3 and 3.4, with StyleGAN2's logistic loss, lazy R1 and path
lengths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.errors import UserError
from engine.generators.stylenerf_config import StyleNeRFConfig
from engine.generators.stylenerf_network import StyleNeRFNetwork
from engine.generators.stylenerf_source import growth_of
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
from engine.training.gan.discriminator_residual import widths_of
from engine.training.gan.discriminator_skip import SkipDiscriminator
from engine.training.gan.families import Kind
from engine.training.gan.losses import path_lengths, path_penalty, resized
from engine.training.gan.poses import PosePrior, known_poses, orbit, poses_of
from engine.training.gan.stylenerf_drawing import (
    Fields,
    blended,
    features_of,
    march_backgrounds,
    march_heads,
    picture_rays,
    upsampled,
)
from engine.training.gan.stylenerf_files import saved_networks

#: Side of the grid of pixels that are drawn a second time along the NeRF's path.
_PATH_GRID = 16


@dataclass(frozen=True)
class StyleNeRFOptions(BallOptions):
    """StyleNeRF's losses; defaults as published at 256 and 512 pixels.

    Attributes:
        path_weight, path_decay, path_interval, path_shrink: path lengths: weight, share by which
            their average follows, steps between two, divisor of the batch.
        mixing: probability that the styles from a random row on are another latent's.
        nerf_path_weight: of the difference between the picture and the NeRF's path.
        density_noise: standard deviation that is added to raw densities.
        grow_from, grow_over: images after which growing begins, and that it takes.
        pose_weight: of the angles that a new discriminator reads off drawn pictures, and off real
            ones of known cameras. The authors' reads none; without, small models of few pictures
            often learn the hollow mould of a head, which looks alike.
        magnitude_decay: share by which the stored magnitudes of layers' inputs follow.
        data_poses: draw from the batch's cameras where these are known. As published, cameras are
            never known, and poses are drawn from the range.
    """

    r1_gamma: float = 0.5
    generator_rate: float = 0.0025
    discriminator_rate: float = 0.0025
    path_weight: float = 2.0
    path_decay: float = 0.01
    path_interval: int = 4
    path_shrink: int = 2
    mixing: float = 0.9
    nerf_path_weight: float = 1.0
    density_noise: float = 1.0
    grow_from: float = 500_000
    grow_over: float = 4_500_000
    pose_weight: float = 0.0
    magnitude_decay: float = 0.001
    data_poses: bool = True


class StyleNeRFTraining(BallTraining):
    """See the module; arguments as :class:`~engine.training.gan.eg3d.EG3DTraining`."""

    generator: StyleNeRFNetwork
    discriminator: SkipDiscriminator
    config: StyleNeRFConfig
    path_average: Tensor

    def __init__(
        self,
        config: StyleNeRFConfig,
        options: StyleNeRFOptions,
        generator: StyleNeRFNetwork | None = None,
        discriminator: SkipDiscriminator | None = None,
    ) -> None:
        if config.c_dim:
            raise UserError("StyleNeRF models with class labels cannot be trained.")
        side = config.img_resolution
        if discriminator is None:
            widths = narrowed(block_widths(side), options.judge_channels)
            angles = 2 if options.pose_weight else 0
            discriminator = SkipDiscriminator(side, widths, angles=angles)
        network = generator or StyleNeRFNetwork(config)
        super().__init__("stylenerf", config, network, discriminator, side, options)
        self.options = options
        self.path_interval = options.path_interval if options.path_weight else 0
        self._start = growth_of(float(network.synthesis.alpha)) if options.fine_tuning else 0.0
        self.prior = PosePrior(
            config.yaw, config.pitch, config.yaw_spread, config.pitch_spread, config.gaussian_camera
        )
        self.register_buffer("path_average", torch.zeros([]))

    # ------------------------------------------------------------------------ growing

    def alpha(self, progress: Progress) -> float:
        """How far growing has come, in 0 to 1."""
        if not self.config.progressive:
            return 1.0
        begun = progress.images - self.images(self.options.grow_from)
        share = min(max(begun / self.images(self.options.grow_over), 0.0), 1.0)
        return max(share, self._start)

    def growth(self, progress: Progress) -> tuple[float, int, float]:
        """Blocks that take part, the picture's side, and the share of the last block."""
        blocks = self.alpha(progress) * len(self.config.block_channels)
        fade = blocks - math.floor(blocks)
        return blocks, self.config.resolution_vol << math.ceil(blocks), fade or 1.0

    # ------------------------------------------------------------------------ drawing

    def _styles(self, step: Step, count: int, update: bool = False) -> Tensor:
        """``[count, style_ws, w_dim]`` of new latents, some of them mixed."""
        config = self.config
        ws = self.generator.mapping(step.normal(config.z_dim)[:count], update_average=update)
        other = self.generator.mapping(step.normal(config.z_dim)[:count])
        first = 1 + (step.uniform()[:count] * (config.style_ws - 1)).long()
        first = torch.where(step.uniform()[:count] < self.options.mixing, first, config.style_ws)
        rows = torch.arange(config.style_ws, device=ws.device)
        mixed = torch.where((rows >= first[:, None])[..., None], other, ws)
        return mixed if mixed.requires_grad else mixed.requires_grad_(torch.is_grad_enabled())

    def _fields(self, ws: Tensor, behind: Tensor) -> tuple[Fields, Fields | None]:
        synthesis, rows = self.generator.synthesis, self.config.field_ws
        heads = Fields.of([synthesis.fg_nerf.folded(each[:rows]) for each in ws])
        if not self.config.background:
            return heads, None
        return heads, Fields.of([synthesis.bg_nerf.folded(z) for z in behind])

    def picture(
        self,
        ws: Tensor,
        behind: Tensor,
        cameras: Tensor,
        growth: float,
        random: torch.Generator | None,
        noise: float = 0.0,
        decay: float = 0.0,
    ) -> Tensor:
        """Pictures of styles.

        Args:
            ws: ``[N, style_ws, w_dim]``. behind: ``[N, z_dim_bg]``. cameras: ``[N, 4, 4]``.
            growth: blocks that take part.
            random, noise, decay: of training; without ``random`` as the model draws.
        """
        config, side = self.config, self.config.resolution_vol
        fields = self._fields(ws, behind)
        every = torch.arange(side, device=ws.device)
        rays = picture_rays(config, cameras, every, every, side)
        features, rgb = self._volume(fields, rays, side, random, noise)

        def planar(x: Tensor) -> Tensor:
            return x.reshape(x.shape[0], side, side, -1).movedim(-1, 1)

        return upsampled(self.generator, planar(features), planar(rgb), ws, growth, random, decay)

    def _volume(
        self,
        fields: tuple[Fields, Fields | None],
        rays: tuple[Tensor, Tensor],
        columns: int,
        random: torch.Generator | None,
        noise: float,
    ) -> tuple[Tensor, Tensor]:
        config, native = self.config, self.config.resolution_vol
        heads, backgrounds = fields
        marched = march_heads(heads, config, *rays, random, noise)
        features, rgb = blended(heads, marched, columns, native)
        if backgrounds is not None:
            far = march_backgrounds(backgrounds, config, *rays)
            far_features, far_rgb = blended(backgrounds, far, columns, native)
            clear = marched.clear[..., None]
            features, rgb = features + clear * far_features, rgb + clear * far_rgb
        return features, rgb

    def nerf_path(
        self,
        ws: Tensor,
        behind: Tensor,
        cameras: Tensor,
        growth: float,
        pixels: tuple[Tensor, Tensor, int],
        random: torch.Generator | None,
        noise: float = 0.0,
    ) -> Tensor:
        """``[N, 3, rows, columns]`` some pixels of the picture as a NeRF draws them: every sample
        of a ray goes through the upsampler's layers by itself, and its colour is what is blended.

        Args:
            pixels: rows, columns, and the side of the picture that they are counted in.
        """
        config = self.config
        rows, columns, side = pixels
        rays = picture_rays(config, cameras, rows, columns, side)
        total: Tensor | None = None
        share: Tensor | None = None
        for fields, is_head in zip(self._fields(ws, behind), (True, False), strict=True):
            if fields is None:
                continue
            if is_head:
                marched = march_heads(fields, config, *rays, random, noise)
            else:
                marched = march_backgrounds(fields, config, *rays)
            each = features_of(fields, marched, len(columns), config.resolution_vol)
            seen, rgb = (x.flatten(1, 2).movedim(-1, 1)[..., None] for x in each)
            colours = upsampled(self.generator, seen, rgb, ws, growth, None, enlarge=False)
            colours = colours[..., 0].movedim(1, -1).reshape(*marched.weights.shape, 3)
            own = (marched.weights[..., None] * colours).sum(dim=2)
            total = own if total is None or share is None else total + share[..., None] * own
            share = marched.clear
        assert total is not None
        return total.movedim(-1, 1).reshape(len(ws), 3, len(rows), len(columns))

    def drawn(self, step: Step, phase: str) -> Seen:
        """Pictures of the present size; in the generator's phase compared with the NeRF's path."""
        growth, side, _ = self.growth(step.progress)
        self._note(step.progress)
        update = phase == "discriminator"
        ws = self._styles(step, step.count, update)
        behind = step.normal(self.config.z_dim_bg)
        angles = poses_of(step, self.prior, self.options.data_poses)
        cameras = orbit(angles, self.config.radius, "stylenerf")
        decay = self.options.magnitude_decay if update else 0.0
        noise = self.options.density_noise
        picture = self.picture(ws, behind, cameras, growth, step.random, noise, decay)
        weight, losses = self.options.nerf_path_weight, {}
        if weight and phase == "generator" and side > self.config.resolution_vol:
            grid = min(_PATH_GRID, self.config.resolution_vol)
            stride = side // grid
            begin = (step.uniform(2)[0] * stride).long()
            steps = torch.arange(grid, device=picture.device) * stride
            rows, columns = begin[0] + steps, begin[1] + steps
            path = self.nerf_path(
                ws, behind, cameras, growth, (rows, columns, side), step.random, noise
            )
            gap = picture[:, :, rows][..., columns] - path
            losses["nerf_path"] = 2.0 * weight * gap.square().sum(dim=1).mean()
        return Seen((picture,), truth=angles, losses=losses)

    def _note(self, progress: Progress) -> None:
        """Both networks' files say how far growing has come."""
        alpha = self.alpha(progress) if self.config.progressive else -1.0
        self.generator.synthesis.alpha.fill_(alpha)
        self.discriminator.alpha.fill_(alpha)

    def real(self, step: Step) -> Seen:
        """Real pictures of the present size, with the angles of their cameras where known."""
        images = resized(step.batch.images, self.growth(step.progress)[1])
        return Seen((images,), truth=known_poses(step, self.options.data_poses))

    def judged(self, seen: Seen, step: Step) -> Verdict:
        """Logits, the newest block faded in."""
        fade = self.growth(step.progress)[2]
        return Verdict(*self.discriminator.read(step.augment(seen.pictures[0]), fade))

    def read_angles(self, seen: Seen, verdict: Verdict) -> dict[str, Tensor]:
        """Pose alignment, where the discriminator reads angles."""
        return read_off(seen, verdict, self.options.pose_weight)

    def regularised(self, step: Step) -> Mapping[str, Tensor]:
        """Path lengths of a part of the batch."""
        options = self.options
        count = max(step.count // options.path_shrink, 1)
        ws = self._styles(step, count)
        behind = step.normal(self.config.z_dim_bg)[:count]
        angles = poses_of(step, self.prior, options.data_poses)[:count]
        cameras = orbit(angles, self.config.radius, "stylenerf")
        growth = self.growth(step.progress)[0]
        picture = self.picture(ws, behind, cameras, growth, step.random, options.density_noise)
        lengths = path_lengths(picture, ws, step.random)
        penalty, average = path_penalty(
            lengths, self.path_average, options.path_decay, options.path_weight
        )
        self.path_average.copy_(average)
        return {"path": penalty}

    @property
    def reach(self) -> float:
        """See :class:`~engine.training.gan.ball.BallTraining`."""
        return self.config.radius * math.tan(math.radians(self.config.fov) / 2.0)

    def raw_densities(self, step: Step, points: Tensor) -> Tensor:
        """See :class:`~engine.training.gan.ball.BallTraining`."""
        behind = step.normal(self.config.z_dim_bg)
        heads, _ = self._fields(self._styles(step, step.count), behind)
        return heads.densities(points)

    # --------------------------------------------------------------------------- facts

    def optimiser(self, network: Network) -> OptimiserOptions:
        """Adam, (0, 0.99)."""
        return adam(self.rate(network), (0.0, 0.99))

    def ema_half_life(self, progress: Progress) -> float:
        """20,000 images."""
        return self.averaged_over(progress, 20_000, 0.05)

    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        """The head's layers up to its density are geometry."""
        field = "synthesis.fg_nerf."
        groups: dict[str, tuple[str, ...]] = {
            "mapping": ("mapping.",),
            "geometry": tuple(field + part for part in ("fc_in.", "blocks.", "sigma_out.")),
            "appearance": tuple(field + part for part in ("feat_out.", "to_rgb.")),
            "upsampler": tuple(f"synthesis.b{side}." for side in self.config.block_resolutions),
        }
        if self.config.background:
            groups["background"] = ("synthesis.bg_nerf.",)
        return groups

    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        """``network.pt``: the averaged generator and the discriminator."""
        return {"network.pt": saved_networks(self.generator, state, self.discriminator)}


def fresh_config(resolution: int, **changes: Any) -> StyleNeRFConfig:
    """A small model to train from nothing, for pictures of 32 to 128 pixels."""
    doublings = 1 if resolution <= 32 else 2
    widths = tuple(64 >> i for i in range(doublings))
    base = StyleNeRFConfig(
        z_dim=64,
        w_dim=64,
        mapping_layers=4,
        img_resolution=resolution,
        resolution_vol=resolution >> doublings,
        block_channels=widths,
        adapter_channels=tuple(max(width // 4, 4) for width in widths),
        rgb_out_dim=64,
        fg_hidden=64,
        fg_blocks=3,
        fg_posenc=6,
        bg_posenc=4,
        bg_hidden=32,
        bg_blocks=2,
        z_dim_bg=8,
        n_ray_samples=10,
    )
    return replace(base, **changes)


def _make(
    config: StyleNeRFConfig,
    options: StyleNeRFOptions,
    network: StyleNeRFNetwork | None,
    judge: Mapping[str, Tensor] | None,
) -> StyleNeRFTraining:
    discriminator: SkipDiscriminator | None = None
    if judge is not None:
        widths = widths_of(judge, config.img_resolution)
        angles = judge["b4.out.weight"].shape[0] - 1
        discriminator = SkipDiscriminator(max(widths), widths, angles=angles)
        discriminator.load_state_dict(dict(judge))
    return StyleNeRFTraining(config, options, network, discriminator)


KIND = Kind(StyleNeRFOptions, _make, fresh_config)
