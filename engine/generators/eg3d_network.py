"""EG3D's network: its modules, for drawing and for training.

Chan et al., "Efficient Geometry-aware 3D Generative Adversarial Networks" (2022). State-dict
names are the authors'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.generators.eg3d_config import EG3DConfig
from engine.generators.stylegan2 import (
    MappingNetwork,
    NoiseMode,
    NoiseSource,
    SynthesisNetwork,
)
from engine.generators.superresolution import SuperResolution
from engine.generators.triplane import TriplaneDecoder, sample_planes
from engine.kernels.graphs import replayed
from engine.kernels.launch import reaches
from engine.rendering.occupancy import Occupancy
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays
from engine.rendering.volume import (
    RayResult,
    RenderSettings,
    render_rays,
    render_rays_in_chunks,
)

__all__ = ["EG3DConfig", "EG3DNetwork", "Volume"]


class Volume(NamedTuple):
    """A volume rendering.

    Attributes:
        features: ``[N, C, h, w]`` in ``[-1, 1]``; the first three are the raw picture.
        depth: ``[N, 1, h, w]`` distance along the unit rays.
        alpha: ``[N, 1, h, w]`` opacity.
    """

    features: Tensor
    depth: Tensor
    alpha: Tensor

    @property
    def rgb(self) -> Tensor:
        """``[N, 3, h, w]`` the raw picture in ``[-1, 1]``."""
        return self.features[:, :3]


class _Backbone(nn.Module):
    """Mapping and synthesis under the authors' names."""

    def __init__(self, config: EG3DConfig) -> None:
        super().__init__()
        self.synthesis = SynthesisNetwork(
            config.w_dim,
            config.plane_resolution,
            config.plane_channels,
            config.block_channels,
            config.conv_clamp,
        )
        self.mapping = MappingNetwork(
            config.z_dim,
            config.c_dim,
            config.w_dim,
            config.num_ws,
            num_layers=config.mapping_layers,
            lr_multiplier=config.mapping_lr_multiplier,
            embed_features=config.embed_features,
            layer_features=config.mapping_width,
            latent_steps=config.latent_steps,
        )


class EG3DNetwork(nn.Module):
    """EG3D's generator as a module: random at first, ready to be trained or loaded.

    Args:
        config: its options; every size follows from them.
    """

    dataset_label_std: Tensor

    def __init__(self, config: EG3DConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = _Backbone(config)
        assert config.sr_channels is not None and config.sr_input_resolution is not None
        c0, c1 = config.sr_channels
        self.superresolution = SuperResolution(
            config.decoder_features,
            (c0, c1),
            config.sr_input_resolution,
            bool(config.sr_first_upsamples),
            config.w_dim,
            antialias=config.sr_antialias,
            conv_clamp=config.sr_conv_clamp,
            noise_mode=config.superresolution_noise_mode,
        )
        self.decoder = TriplaneDecoder(
            config.plane_channels // 3,
            config.decoder_features,
            config.decoder_hidden,
            config.decoder_lr_multiplier,
        )
        #: Spread of the training labels; kept for files, unused in drawing.
        self.register_buffer("dataset_label_std", torch.zeros(config.c_dim))

    def mapping(
        self,
        z: Tensor,
        c: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        update_average: bool = False,
    ) -> Tensor:
        """``z`` ``[N, z_dim]`` and cameras ``c`` ``[N, 25]`` -> ``ws`` ``[N, num_ws, w_dim]``.

        The camera is zeroed or scaled as the model wants it.
        """
        if c is not None:
            zeroed = self.config.c_gen_conditioning_zero
            c = torch.zeros_like(c) if zeroed else c * self.config.c_scale
        ws: Tensor = self.backbone.mapping(z, c, psi, cutoff, update_average)
        return ws

    def planes(self, ws: Tensor, noise_mode: NoiseSource = "const") -> Tensor:
        """``[N, num_ws, w_dim]`` -> ``[N, 3, C, H, W]``."""
        flat: Tensor = self.backbone.synthesis(ws, noise_mode)
        n, _, h, w = flat.shape
        return flat.reshape(n, 3, -1, h, w)

    def volume(
        self,
        planes: Tensor,
        cam2world: Tensor,
        intrinsics: Tensor,
        resolution: int | None = None,
        settings: RenderSettings | None = None,
        jitter: torch.Generator | None = None,
        depth_guide: Tensor | None = None,
        check: Callable[[], None] | None = None,
        grid: Occupancy | None = None,
    ) -> Volume:
        """Render tri-planes.

        Args:
            planes: ``[N, 3, C, H, W]``.
            cam2world: ``[N, 4, 4]`` OpenCV cameras.
            intrinsics: ``[N, 3, 3]`` normalised, or ``[N]`` focal lengths in picture sides.
            resolution: side of the picture; the model's own if absent.
            settings: how to march; the model's own if absent.
            jitter, depth_guide: see :func:`~engine.rendering.volume.render_rays` (training).
            check: given, the rays are marched in chunks and it is called before each.
            grid: where the field is empty, if that is known (with ``check``).
        """
        side = resolution or self.config.neural_rendering_resolution
        settings = settings or self.config.rendering
        if intrinsics.ndim == 1:
            intrinsics = intrinsics_from_focal(intrinsics)
        rays_o, rays_d = pinhole_rays(cam2world, intrinsics, side, side)
        result: RayResult
        if check is not None:
            result = render_rays_in_chunks(
                planes, self.decoder, rays_o, rays_d, settings, check, grid=grid
            )
        else:
            guide = None if depth_guide is None else depth_guide.reshape(planes.shape[0], -1)
            result = render_rays(planes, self.decoder, rays_o, rays_d, settings, jitter, guide)

        def picture(x: Tensor) -> Tensor:
            return x.reshape(x.shape[0], side, side, -1).movedim(-1, 1)

        return Volume(
            picture(result.features).contiguous(),
            picture(result.depth[..., None]),
            picture(result.weight_sum[..., None]),
        )

    def superresolve(self, rgb: Tensor, features: Tensor, ws: Tensor) -> Tensor:
        """``[N, 3, h, w]``, ``[N, C, h, w]`` and ``ws`` -> ``[N, 3, H, W]`` in ``[-1, 1]``."""
        module = self.superresolution
        inputs = (rgb, features, ws)
        drawn: Tensor = replayed("eg3d", module, module, inputs, module.noise_mode)
        return drawn

    def field_at(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """``[N, M, 3]`` world points -> raw density ``[N, M]`` and features ``[N, M, F]``."""
        quick = self._evaluated(planes, points, features=True)
        if quick is not None and quick[1] is not None:
            return quick[0], quick[1]
        density, features = self.decoder(self._read(planes, points))
        return density, features

    def density_at(self, planes: Tensor, points: Tensor) -> Tensor:
        """``[N, M, 3]`` world points -> raw density ``[N, M]``."""
        quick = self._evaluated(planes, points, features=False)
        return self.decoder.density(self._read(planes, points)) if quick is None else quick[0]

    def _evaluated(
        self, planes: Tensor, points: Tensor, features: bool
    ) -> tuple[Tensor, Tensor | None] | None:
        """Density and features by a kernel, or ``None`` where none can run."""
        if reaches(planes.device):
            from engine.kernels.triplane import try_evaluate
        else:
            from engine.kernels.cpu import try_evaluate

        settings = self.config.rendering
        return try_evaluate(
            planes, self.decoder, points, settings.box_warp, settings.plane_axes, features
        )

    def _read(self, planes: Tensor, points: Tensor) -> Tensor:
        settings = self.config.rendering
        return sample_planes(planes, points, settings.box_warp, settings.plane_axes)

    def forward(
        self,
        z: Tensor,
        c: Tensor,
        resolution: int | None = None,
        jitter: torch.Generator | None = None,
        noise_mode: NoiseMode = "const",
        conditioning: Tensor | None = None,
    ) -> tuple[Tensor, Volume]:
        """Latents and cameras to pictures, as in training.

        Args:
            z: ``[N, z_dim]``.
            c: ``[N, 25]`` cameras to draw (16 of cam2world, 9 of intrinsics, row-major).
            conditioning: ``[N, 25]`` cameras shown to the mapping; default ``c``.

        Returns:
            ``[N, 3, H, W]`` in about ``[-1, 1]``, and the volume rendering.
        """
        ws = self.mapping(z, c if conditioning is None else conditioning)
        cam2world, intrinsics = c[:, :16].reshape(-1, 4, 4), c[:, 16:].reshape(-1, 3, 3)
        volume = self.volume(
            self.planes(ws, noise_mode), cam2world, intrinsics, resolution, jitter=jitter
        )
        return self.superresolve(volume.rgb, volume.features, ws), volume
