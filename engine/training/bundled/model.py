"""The bundled generator as it is trained: an EG3D network, a reader of attributes, crops.

It is an ordinary member of the EG3D family (no conditioning, corrected plane axes, light
grey backdrop), made so lean that two CPU cores can train it in some hours: planes of 3 x 16
channels and 128 pixels, rays at 128 pixels, and a thin super-resolution to 256. Before its
mapping stands a fixed layer that spells out what z says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from engine.camera import Camera, OrbitPose
from engine.errors import CheckpointError
from engine.generators.eg3d import EG3D
from engine.generators.eg3d_network import EG3DConfig, EG3DNetwork
from engine.generators.stylegan2 import FullyConnected, SynthesisLayer, ToRGB
from engine.generators.triplane import CORRECTED_AXES
from engine.rendering.rays import intrinsics_from_focal
from engine.rendering.volume import RayResult, RenderSettings, render_rays
from engine.training.bundled.trained import (
    BACKDROP,
    DENSITY_GAIN,
    Rated,
    TrainedModel,
    rated_groups,
)
from engine.training.heads.attributes import LATENT_SIZE
from engine.training.heads.steps import latent_steps
from engine.training.heads.world import FOV_Y, RADIUS


def bundled_config() -> EG3DConfig:
    """The options of the generator that ships with Maquette."""
    pose = OrbitPose(radius=RADIUS, fov_y=FOV_Y)
    return EG3DConfig(
        z_dim=LATENT_SIZE,
        c_dim=0,
        w_dim=256,
        mapping_layers=3,
        mapping_lr_multiplier=1.0,
        latent_steps=latent_steps(),
        plane_resolution=128,
        plane_channels=48,
        block_channels=(256, 256, 160, 96, 64, 32),
        decoder_hidden=32,
        decoder_features=16,
        sr_module="SuperresolutionHybrid2X",
        sr_channels=(32, 16),
        neural_rendering_resolution=128,
        img_resolution=256,
        rendering=RenderSettings(
            depth_resolution=14,
            depth_resolution_importance=12,
            ray_start="auto",
            ray_end="auto",
            white_back=True,
            backdrop=BACKDROP,
            plane_axes=CORRECTED_AXES,
        ),
        avg_camera_radius=RADIUS,
        focal=Camera(pose.camera().cam2world, FOV_Y).focal,
        mesh_level=30.0,
        yaw_range=(-180.0, 180.0),
        pitch_range=(-30.0, 30.0),
    )


class Drawn(NamedTuple):
    """What one pass draws.

    Attributes:
        picture: ``[N, 3, s, s]`` in about ``[-1, 1]``.
        raw: ``[N, 3, r, r]`` volume rendering before the super-resolution.
        depth: ``[N, 1, r, r]`` world units along the ray.
        alpha: ``[N, 1, r, r]`` opacity.
        w: ``[heads, w_dim]``.
    """

    picture: Tensor
    raw: Tensor
    depth: Tensor
    alpha: Tensor
    w: Tensor


class HeadGenerator(TrainedModel):
    """The EG3D network with what training adds to it.

    Args:
        config: options of the network.
        attributes: see :class:`~engine.training.bundled.trained.TrainedModel`.
        mixed: convolutions compute in bfloat16, while training and when judged here.
    """

    family, title = "eg3d", "Bundled heads"
    # Not CIPS-3D's: the rates of its sine layers were found for Adam, and by absolute errors.
    advised: ClassVar[Mapping[str, Any]] = {
        "optimiser": "muon",
        "outline_share": 0.2,
        "middle_share": 0.3,
        "squares": 0.7,
    }
    network: EG3DNetwork

    def __init__(self, config: EG3DConfig, attributes: Tensor, mixed: bool = False) -> None:
        super().__init__(EG3DNetwork(config), config.w_dim, attributes)
        self.network.decoder.register_forward_hook(_raise_density)
        with torch.no_grad():
            # At first the super-resolution hardly adds to the plainly enlarged picture.
            for block in (self.network.superresolution.block0, self.network.superresolution.block1):
                block.torgb.weight.mul_(0.1)
        self.mixed = mixed
        if mixed:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def of(
        cls, attributes: Tensor, options: Mapping[str, Any] | None = None, mixed: bool = False
    ) -> Self:
        """See :meth:`TrainedModel.of`."""
        config = bundled_config() if options is None else EG3DConfig.from_json(options)
        return cls(config, attributes, mixed)

    @property
    def enlargement(self) -> int:
        """How many times wider a final picture is than its volume rendering."""
        config = self.network.config
        return config.img_resolution // config.neural_rendering_resolution

    def groups(
        self, field_rate: float, mapping_rate: float, decoder_rate: float | None = None
    ) -> list[dict[str, Any]]:
        """The parameters for an optimiser; ``scale`` is the factor on the rate of each group.

        Weights are stored at unit size and shrunk when they are used, so that one learning rate
        would move wide layers by a far smaller share of what they do than narrow ones. Here
        the rate counts for the weight **as used**, as if it were stored so.

        Args:
            field_rate: multiplier for the planes; 0 freezes them.
            mapping_rate: for what turns z into w and w into attributes; 0 freezes it.
            decoder_rate: for what reads the planes; ``field_rate`` if absent.
        """
        network = self.network
        parts: list[Rated] = [
            (1.0, (network.superresolution,)),
            (field_rate, (network.backbone.synthesis,)),
            (field_rate if decoder_rate is None else decoder_rate, (network.decoder,)),
            (mapping_rate, self._mapping_parts),
        ]
        return rated_groups(parts, _scaled)

    @property
    def _mapping_parts(self) -> tuple[nn.Module, ...]:
        return self.network.backbone.mapping, self.reader

    def mapping_groups(self) -> list[dict[str, Any]]:
        """The groups of :meth:`groups` that turn z into w and w into attributes."""
        return _scaled(self._mapping_parts)

    def style(self, z: Tensor) -> Tensor:
        """``[N, z_dim]`` -> w ``[N, w_dim]``."""
        return self.network.mapping(z)[:, 0]

    def generator(self) -> EG3D:
        """See :meth:`TrainedModel.generator`."""
        state = {name: value.float() for name, value in self.network.state_dict().items()}
        network = EG3DNetwork(self.network.config).to(next(self.parameters()).device)
        network.load_state_dict(self._rescaled(state, DENSITY_GAIN))
        return EG3D(network, next(self.parameters()).device)

    def rays(
        self,
        z: Tensor,
        rays_o: Tensor,
        rays_d: Tensor,
        jitter: torch.Generator | None = None,
        depth_guide: Tensor | None = None,
        samples: float = 1.0,
    ) -> tuple[RayResult, Tensor]:
        """See :meth:`TrainedModel.rays` and :func:`~engine.rendering.volume.render_rays`; the
        styles are w ``[heads, w_dim]``."""
        network = self.network
        ws = network.mapping(z)
        with torch.autocast(z.device.type, torch.bfloat16, enabled=self.mixed):
            planes = network.planes(ws, "none")
        settings = network.config.rendering.scaled(samples)
        found = render_rays(
            planes.float(), network.decoder, rays_o, rays_d, settings, jitter, depth_guide
        )
        return found, ws[:, 0]

    def crop(
        self,
        z: Tensor,
        cam2world: Tensor,
        corner: Tensor,
        side: int,
        resolution: int,
        jitter: torch.Generator | None,
        depth_guide: Tensor | None = None,
        samples: float = 1.0,
    ) -> Drawn:
        """Draw square crops of views, several views a head.

        Args:
            z: ``[heads, z_dim]``.
            cam2world: ``[heads * views, 4, 4]``, head by head.
            corner: ``[heads * views, 2]`` row and column of each crop's first pixel, multiples
                of :attr:`enlargement`.
            side: of the crops, in pixels of the whole picture's ``resolution``.
            jitter: random numbers for the samples along rays.
            depth_guide: ``[heads * views, 1, s, s]`` known depths of the raw pixels (0 = none).
            samples: multiplier on the samples along rays.
        """
        network = self.network
        views = len(cam2world) // len(z)
        mixed = torch.autocast(z.device.type, torch.bfloat16, enabled=self.mixed)
        ws = network.mapping(z)
        with mixed:
            planes = network.planes(ws, "none")
        planes = planes.float().repeat_interleave(views, dim=0)
        lens = self._lens(corner, side, resolution)
        volume = network.volume(
            planes,
            cam2world,
            lens,
            side // self.enlargement,
            network.config.rendering.scaled(samples),
            jitter=jitter,
            depth_guide=depth_guide,
        )
        with mixed:
            picture = self.enlarged(volume.features, ws[:, -1].repeat_interleave(views, dim=0))
        return Drawn(picture.float(), volume.rgb, volume.depth, volume.alpha, ws[:, 0])

    def _lens(self, corner: Tensor, side: int, resolution: int) -> Tensor:
        """A crop is a whole picture of a longer, shifted lens: intrinsics ``[N, 3, 3]``."""
        share = side / resolution
        focal = torch.full((len(corner),), self.network.config.focal, device=corner.device)
        lens = intrinsics_from_focal(focal / share)
        lens[:, 0, 2] = (0.5 - corner[:, 1] / resolution) / share
        lens[:, 1, 2] = (0.5 - corner[:, 0] / resolution) / share
        return lens

    def volumes(self, z: Tensor, cam2world: Tensor) -> tuple[Tensor, Tensor]:
        """Whole volume renderings of one head ``[1, z_dim]`` from ``[V, 4, 4]``: features ``[V, C, r, r]``
        and w ``[w_dim]``."""
        network = self.network
        ws = network.mapping(z)
        planes = network.planes(ws, "none")
        lens = torch.full((1,), network.config.focal, device=z.device)
        drawn = [
            network.volume(planes, view[None], lens, check=lambda: None).features
            for view in cam2world
        ]
        return torch.cat(drawn), ws[0, -1]

    def enlarged(self, features: Tensor, w: Tensor) -> Tensor:
        """The super-resolution at the crop's own size (its ``forward`` would resize it): features
        ``[N, C, s, s]`` and w ``[N, w_dim]`` -> pictures of ``enlargement`` times the side."""
        upsampler = self.network.superresolution
        rows = w[:, None].expand(-1, 3, -1)
        x, image = upsampler.block0(features, features[:, :3], rows, "none")
        return upsampler.block1(x, image, rows, "none")[1]  # type: ignore[no-any-return]

    def whole(self, z: Tensor, cam2world: Tensor, resolution: int) -> Drawn:
        """Draw whole pictures deterministically: ``[N, z_dim]`` from ``[N, 4, 4]``."""
        corner = torch.zeros(len(cam2world), 2, device=z.device)
        return self.crop(z, cam2world, corner, resolution, resolution, None)

    @torch.no_grad()
    def set_average(self, count: int = 10_000) -> None:
        """Store the mean w of ``count`` fixed random latents, for truncation."""
        random = torch.Generator().manual_seed(0)
        z = torch.randn(count, self.network.config.z_dim, generator=random)
        mapping = self.network.backbone.mapping
        mapping.w_avg.copy_(self.network.mapping(z.to(mapping.w_avg.device))[:, 0].mean(0))

    def _comparable(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A model of coarser planes will do, if its blocks are the first ones of this one's."""
        rest = {k: v for k, v in config.items() if k not in ("plane_resolution", "block_channels")}
        ours = list(self.network.config.block_channels or ())
        theirs = list(config.get("block_channels") or ())
        return rest | {"blocks": theirs == ours[: len(theirs)] and len(theirs) > 0}

    @torch.no_grad()
    def _take_over(self, state: dict[str, Tensor]) -> None:
        """Blocks that the other model does not have add nothing to its planes at first: what it
        drew is drawn at once, by planes twice as fine (Karras et al. 2018 grow so)."""
        own = self.network.state_dict()
        missing = own.keys() - state.keys()
        if foreign := state.keys() - own.keys():
            raise CheckpointError(f"The model to go on from has a part too many: {min(foreign)}.")
        silent = {
            name: torch.zeros_like(own[name])
            for name in missing
            if name.endswith((".torgb.weight", ".torgb.bias"))
        }
        self.network.load_state_dict(own | state | silent)

    def before_packing(self) -> None:
        """The packed model holds the mean w."""
        self.set_average()

    def _rescaled(self, state: dict[str, Tensor], factor: float) -> dict[str, Tensor]:
        changed = dict(state)
        for name in ("decoder.net.2.weight", "decoder.net.2.bias"):
            changed[name] = _scaled_density(state[name], factor)
        return changed


def _scaled(modules: tuple[nn.Module, ...]) -> list[dict[str, Any]]:
    """Parameters grouped by how much smaller they are used than stored (``scale``)."""
    shrinking: dict[nn.Parameter, float] = {}
    for module in (inner for outer in modules for inner in outer.modules()):
        if isinstance(module, FullyConnected):
            shrinking[module.weight] = 1.0 / module.weight_gain
        elif isinstance(module, (SynthesisLayer, ToRGB)):
            shrinking[module.weight] = math.sqrt(module.weight[0].numel())
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in (inner for outer in modules for inner in outer.parameters()):
        groups.setdefault(shrinking.get(parameter, 1.0), []).append(parameter)
    return [{"params": parameters, "scale": scale} for scale, parameters in groups.items()]


def _raise_density(
    module: nn.Module, _: object, out: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    return out[0] * DENSITY_GAIN, out[1]


def _scaled_density(values: Tensor, factor: float) -> Tensor:
    """The decoder's last weights or biases with the density's row (the first) scaled."""
    scaled = values.clone()
    scaled[0] *= factor
    return scaled
