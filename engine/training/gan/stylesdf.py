"""StyleSDF's training, in its two stages.

Or-El et al., "StyleSDF" (2022), section 3.4. First the volume renderer: it begins as a sphere, then
learns from small pictures by a discriminator that also reads their poses. Then the decoder, on
top of the renderer, which stays as it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Generator as RandomState
from torch import Tensor, nn

from engine.generators.stylesdf_config import StyleSDFConfig
from engine.generators.stylesdf_network import StyleSDFNetwork
from engine.training.gan.adversarial import (
    Adversarial,
    CommonOptions,
    Seen,
    Step,
    Verdict,
    adam,
    copied,
    unmixed,
)
from engine.training.gan.contract import (
    Augment,
    Batch,
    Moments,
    Network,
    OptimiserOptions,
    Phase,
    Progress,
)
from engine.training.gan.discriminator_blocks import narrowed
from engine.training.gan.discriminator_coord import (
    CoordDiscriminator,
    coord_widths,
    coord_widths_of,
)
from engine.training.gan.discriminator_equal import PlacedDiscriminator, placed_widths_of
from engine.training.gan.families import Kind
from engine.training.gan.losses import (
    eikonal,
    minimal_surface,
    path_lengths,
    path_penalty,
    pose_alignment,
)
from engine.training.gan.poses import PosePrior, known_poses, orbit, poses_of
from engine.training.gan.stylesdf_drawing import VolumeBatch, decoded, sphere_error, volumes

#: The release's widths in the second stage.
_WIDTHS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
_SPHERE = Phase("generator_sphere", "generator")


@dataclass(frozen=True)
class StyleSDFOptions(CommonOptions):
    """StyleSDF's losses. Rates of 0 and the interval 0 are the published ones of the stage.

    Attributes:
        doublings: of a new decoder that is put on a volume renderer without one.
        decoder_channels: of that decoder at the renderer's side; each doubling has half.
        sphere_steps, sphere_radius, sphere_points: of the first stage's beginning: steps, radius in
            world units, points an identity and step.
        pose_weight, eikonal_weight, surface_weight: of the first stage's losses.
        path_weight, path_decay, path_interval, path_shrink, mixing: of the second stage, see
            :class:`~engine.training.gan.stylenerf.StyleNeRFOptions`.
        data_poses: draw from the batch's cameras where these are known, and let the first stage's
            discriminator read their angles off real pictures too. As published, cameras are never
            known, and poses are drawn from the range.
    """

    r1_gamma: float = 10.0
    r1_interval: int = 0
    generator_rate: float = 0.0
    discriminator_rate: float = 0.0
    doublings: int = 0
    decoder_channels: int = 512
    sphere_steps: int = 10_000
    sphere_radius: float = 0.06
    sphere_points: int = 4096
    pose_weight: float = 15.0
    eikonal_weight: float = 0.1
    surface_weight: float = 0.05
    path_weight: float = 2.0
    path_decay: float = 0.01
    path_interval: int = 4
    path_shrink: int = 2
    mixing: float = 0.9
    data_poses: bool = True


class StyleSDFTraining(Adversarial):
    """See the module; arguments as :class:`~engine.training.gan.eg3d.EG3DTraining`. A model with a
    decoder is in the second stage, one without in the first."""

    generator: StyleSDFNetwork
    config: StyleSDFConfig
    path_average: Tensor

    def __init__(
        self,
        config: StyleSDFConfig,
        options: StyleSDFOptions,
        generator: StyleSDFNetwork | None = None,
        discriminator: nn.Module | None = None,
    ) -> None:
        if options.doublings and config.decoder_channels is None:
            config, generator = _with_decoder(config, options, generator)
        decoding = config.decoder_channels is not None
        side = config.resolution
        if discriminator is None and decoding:
            widths = {s: w for s, w in _WIDTHS.items() if s <= side}
            discriminator = PlacedDiscriminator(side, narrowed(widths, options.judge_channels))
        elif discriminator is None:
            widths = narrowed(coord_widths(side), options.judge_channels)
            discriminator = CoordDiscriminator(side, widths)
        interval = options.r1_interval or (16 if decoding else 1)
        common = replace(options, r1_interval=interval)
        network = generator or StyleSDFNetwork(config)
        super().__init__("stylesdf", config, network, discriminator, side, common)
        self.decoding, self.options = decoding, options
        self.path_interval = options.path_interval if decoding and options.path_weight else 0
        self.prior = PosePrior(yaw_spread=config.yaw_std, pitch_spread=config.pitch_std)
        self.register_buffer("path_average", torch.zeros([]))

    def phases(self, progress: Progress) -> Sequence[Phase]:
        """The sphere alone at first, then as everywhere."""
        begun = progress.step >= self.options.sphere_steps * self.options.pace
        if self.decoding or self.options.fine_tuning or begun:
            return super().phases(progress)
        return [_SPHERE]

    def losses(
        self,
        phase: Phase,
        batch: Batch,
        progress: Progress,
        random: RandomState,
        augment: Augment,
    ) -> Mapping[str, Tensor]:
        """See :meth:`FamilyTraining.losses`."""
        if phase.name == _SPHERE.name:
            step = Step(batch, progress, random, augment)
            with unmixed(step.device):
                return self._sphere(step)
        return super().losses(phase, batch, progress, random, augment)

    def _sphere(self, step: Step) -> dict[str, Tensor]:
        options = self.options
        styles = self.generator.style(step.normal(self.config.style_dim))
        box = step.uniform(options.sphere_points, 3) * 2.0 - 1.0
        points = box * self.config.half_depth
        return {"sphere": sphere_error(self.generator, styles, points, options.sphere_radius)}

    # ------------------------------------------------------------------------ drawing

    def volume(
        self,
        styles: Tensor,
        angles: Tensor,
        random: torch.Generator | None,
        with_gradients: bool = False,
    ) -> VolumeBatch:
        """Volume renderings of ``[N, style_dim]`` styles from ``[N, 2]`` angles."""
        cameras = orbit(angles, self.config.radius, "stylesdf")
        return volumes(self.generator, styles, cameras, random, with_gradients)

    def _rows(self, step: Step, styles: Tensor, count: int) -> Tensor:
        """``[count, decoder_rows, decoder_style_dim]``, some of them mixed."""
        decoder, rows = self.generator.decoder, self.config.decoder_rows
        assert decoder is not None
        with torch.no_grad():
            second = self.generator.style(step.normal(self.config.style_dim)[:count])
        own, other = decoder.style(styles), decoder.style(second)
        first = 1 + (step.uniform()[:count] * (rows - 1)).long()
        first = torch.where(step.uniform()[:count] < self.options.mixing, first, rows)
        behind = (torch.arange(rows, device=own.device) >= first[:, None])[..., None]
        mixed = torch.where(behind, other[:, None], own[:, None])
        return mixed if mixed.requires_grad else mixed.requires_grad_(torch.is_grad_enabled())

    def _picture(self, step: Step, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The second stage's pictures, the rows of w behind them, and the angles."""
        decoder = self.generator.decoder
        assert decoder is not None
        angles = poses_of(step, self.prior, self.options.data_poses)[:count]
        # The renderer and its mapping are frozen.
        with torch.no_grad():
            styles = self.generator.style(step.normal(self.config.style_dim)[:count])
            volume = self.volume(styles, angles, step.random)
        rows = self._rows(step, styles, count)
        return decoded(decoder, volume.features, rows, step.random), rows, angles

    def drawn(self, step: Step, phase: str) -> Seen:
        """Pictures of the stage; the first one's with the surface's own losses."""
        if self.decoding:
            picture, _, angles = self._picture(step, step.count)
            return Seen((picture,), truth=angles)
        options = self.options
        angles = poses_of(step, self.prior, options.data_poses)
        styles = self.generator.style(step.normal(self.config.style_dim))
        shaping = phase == "generator" and options.eikonal_weight > 0.0
        volume = self.volume(styles, angles, step.random, shaping)
        losses: dict[str, Tensor] = {}
        if volume.gradients is not None:
            losses["eikonal"] = eikonal(volume.gradients) * options.eikonal_weight
        if phase == "generator" and options.surface_weight:
            losses["surface"] = minimal_surface(volume.distances) * options.surface_weight
        return Seen((volume.rgb,), truth=angles, losses=losses)

    def real(self, step: Step) -> Seen:
        """The batch's pictures, with the angles of their cameras where known."""
        return Seen((step.batch.images,), truth=known_poses(step, self.options.data_poses))

    def judged(self, seen: Seen, step: Step) -> Verdict:
        """Logits, in the first stage with the angles that are read."""
        found = self.discriminator(step.augment(seen.pictures[0]))
        return Verdict(found) if isinstance(found, Tensor) else Verdict(*found)

    def read_angles(self, seen: Seen, verdict: Verdict) -> dict[str, Tensor]:
        """Pose alignment, of both networks on drawn pictures, and on real ones of known cameras."""
        if verdict.angles is None or seen.truth is None or not verdict.angles.shape[1]:
            return {}
        return {"pose": pose_alignment(verdict.angles, seen.truth) * self.options.pose_weight}

    def regularised(self, step: Step) -> Mapping[str, Tensor]:
        """Path lengths of the decoder's rows, of a part of the batch."""
        options = self.options
        picture, rows, _ = self._picture(step, max(step.count // options.path_shrink, 1))
        lengths = path_lengths(picture, rows, step.random)
        penalty, average = path_penalty(
            lengths, self.path_average, options.path_decay, options.path_weight
        )
        self.path_average.copy_(average)
        return {"path": penalty}

    # --------------------------------------------------------------------------- facts

    def optimiser(self, network: Network) -> OptimiserOptions:
        """Adam: slow, with (0, 0.9), in the first stage; StyleGAN2's in the second."""
        drawing, own = network == "generator", self.rate(network)
        if self.decoding:
            return adam(own or 0.002, (0.0, 0.99))
        return adam(own or (2e-5 if drawing else 2e-4), (0.0, 0.9))

    def ema_half_life(self, progress: Progress) -> float:
        """10,000 images."""
        return self.averaged_over(progress, 10_000, None)

    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        """The field up to its distance is geometry."""
        field = "renderer.network."
        groups: dict[str, tuple[str, ...]] = {
            "mapping": ("style.",),
            "geometry": (f"{field}pts_linears.", f"{field}sigma_linear.", "renderer.sigmoid_beta"),
            "appearance": (f"{field}views_linears.", f"{field}rgb_linear."),
        }
        return groups | ({"upsampler": ("decoder.",)} if self.decoding else {})

    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        """``model.pt``: generator, discriminator and average, as the release has them."""
        return {
            "model.pt": {
                "g": OrderedDict(copied(self.generator.state_dict())),
                "d": OrderedDict(copied(self.discriminator.state_dict())),
                "g_ema": OrderedDict(copied(state)),
            }
        }

    def authors_resume(self, state: Mapping[str, Tensor], moments: Moments) -> Mapping[str, object]:
        """The same with both optimisers, which the authors' first stage goes on from; their second
        begins them anew."""
        learnt = moments.optimisers
        if self.config.decoder_channels or learnt.keys() != {"generator", "discriminator"}:
            return {}
        saved = cast(dict[str, object], self.authors_files(state)["model.pt"])
        optimisers = {"g_optim": learnt["generator"], "d_optim": learnt["discriminator"]}
        return {"model.pt": {**saved, **optimisers}}


def _with_decoder(
    config: StyleSDFConfig, options: StyleSDFOptions, renderer: StyleSDFNetwork | None
) -> tuple[StyleSDFConfig, StyleSDFNetwork]:
    """A volume renderer with a new decoder on top."""
    first = options.decoder_channels
    channels = tuple(max(first >> i, 8) for i in range(options.doublings + 1))
    config = replace(config, decoder_channels=channels, decoder_style_dim=first)
    network = StyleSDFNetwork(config)
    if renderer is not None:
        own = {**network.state_dict(), **renderer.state_dict()}
        network.load_state_dict(own)
    return config, network


def fresh_config(resolution: int, **changes: Any) -> StyleSDFConfig:
    """A small volume renderer to train from nothing, for pictures of 32 or 64 pixels."""
    base = StyleSDFConfig(
        style_dim=64, width=64, depth=4, render_size=resolution, samples_per_ray=16
    )
    return replace(base, **changes)


def _make(
    config: StyleSDFConfig,
    options: StyleSDFOptions,
    network: StyleSDFNetwork | None,
    judge: Mapping[str, Tensor] | None,
) -> StyleSDFTraining:
    discriminator: nn.Module | None = None
    if judge is not None and "final_linear.1.weight" in judge:
        widths = placed_widths_of(judge)
        discriminator = PlacedDiscriminator(max(widths), widths)
    elif judge is not None:
        widths = coord_widths_of(judge)
        outputs = judge["final_conv.conv.weight"].shape[0]
        discriminator = CoordDiscriminator(max(widths), widths, outputs)
    if discriminator is not None and judge is not None:
        discriminator.load_state_dict(dict(judge))
        if config.decoder_channels is None and network is not None:
            # A volume renderer's file does not state the side of its pictures; this does.
            config = network.config = replace(config, render_size=max(widths))
        if max(widths) != config.resolution:
            raise ValueError("the discriminator judges pictures of another size")
        # One of the first stage judges nothing in the second.
        new_stage = options.doublings and config.decoder_channels is None
        discriminator = None if new_stage else discriminator
    return StyleSDFTraining(config, options, network, discriminator)


KIND = Kind(StyleSDFOptions, _make, fresh_config)
