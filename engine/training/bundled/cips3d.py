"""A second bundled generator as it is trained: a small CIPS-3D on the same rendered heads.

It reads the same z as the bundled EG3D, so that one seed is one person in both. What shapes a
person styles the NeRF, what colours one styles the implicit network, and what does both (gender,
age, ethnicity) is read by both: the colour of the skin must not hang on the shape, or the look of
one person could not be laid over the shape of another.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from engine.errors import UserError
from engine.generators.cips3d import CIPS3D
from engine.generators.cips3d_network import CIPS3DNetwork, FilmLayer, ModulatedLinear
from engine.generators.cips3d_source import CIPS3DConfig
from engine.generators.latent_features import LatentStep
from engine.rendering.nerf_march import march_guided, march_rays
from engine.rendering.volume import RayResult
from engine.training.bundled.losses import COLOUR_UNIT, partly_squared
from engine.training.bundled.trained import (
    BACKDROP,
    DENSITY_GAIN,
    Rated,
    TrainedModel,
    rated_groups,
)
from engine.training.heads.attributes import AXES
from engine.training.heads.steps import latent_steps
from engine.training.heads.world import FOV_Y, RADIUS

#: Coordinates of a head's latent that the shape and the look both follow from.
BOTH = ("gender", "age", "caucasian", "asian", "african")
#: Those that only colours follow from.
LOOK = (
    "skin_lightness", "skin_warmth", "skin_texture", "hair_lightness", "hair_red", "hair_grey",
    "hair_dye", "eye_color", "frame_color", "lipstick", "lip_color", "cloth_value",
    "cloth_warmth", "cloth_green", "cloth_pattern", "hat_color", "hat_tone",
)  # fmt: skip

#: Standard deviation of the guided samples around the true depth, as a share of a ray.
GUIDE_WIDTH = 0.03
#: What the parts of a sine layer learn at, beside all other weights. A step in its weights is
#: taken about thirty times as far, and one in what moves frequencies half of that; these were
#: found by trial.
SINE_RATES = {"linear": 0.01, "gain_fc": 0.1, "bias_fc": 0.3}
#: Weight of the auxiliary picture's colours beside the picture's.
AUXILIARY = 0.2


def axes_read() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which coordinates of a head's latent the NeRF reads, and which the implicit network."""
    shape = tuple(axis for name, axis in AXES.items() if name not in LOOK)
    look = tuple(AXES[name] for name in (*BOTH, *LOOK))
    return shape, look


def steps_along(axes: Sequence[int]) -> tuple[LatentStep, ...]:
    """The steps of a head's latent that lie along ``axes``, counted along these.

    The gate of a step must be among them.
    """
    place = {axis: i for i, axis in enumerate(axes)}
    return tuple(
        step._replace(axis=place[step.axis], gate=place[step.gate])
        for step in latent_steps()
        if step.axis in place
    )


def cips3d_config() -> CIPS3DConfig:
    """The options of the CIPS-3D that is trained on heads."""
    shape, look = axes_read()
    side = 128
    # The family's field of view ends at the middles of the outermost pixels.
    edge = math.tan(math.radians(FOV_Y) / 2.0) * (side - 1) / side
    return CIPS3DConfig(
        z_nerf_dim=len(shape),
        z_inr_dim=len(look),
        nerf_reads=shape,
        inr_reads=look,
        nerf_latent_steps=steps_along(shape),
        inr_latent_steps=steps_along(look),
        nerf_style_dim=256,
        nerf_mapping_layers=3,
        inr_style_dim=128,
        inr_mapping_layers=3,
        nerf_layers=3,
        nerf_width=128,
        nerf_color_width=64,
        nerf_features=32,
        inr_blocks=4,
        inr_width=64,
        box=1.0,
        img_resolution=side,
        radius=RADIUS,
        fov_y=math.degrees(2.0 * math.atan(edge)),
        near=RADIUS - 0.55,
        far=RADIUS + 0.5,
        samples_per_pass=8,
        activation="softplus",
        mesh_level=30.0,
        yaw_range=(-180.0, 180.0),
        pitch_range=(-30.0, 30.0),
        backdrop=BACKDROP,
    )


class HeadCIPS3D(TrainedModel):
    """The CIPS-3D network with what training adds to it.

    Args:
        config: options of the network, with a backdrop.
        attributes: see :class:`~engine.training.bundled.trained.TrainedModel`.
    """

    family, title = "cips3d", "Bundled heads (CIPS-3D)"
    # Each ray costs several times what one through planes does: fewer of them, more steps. At the
    # others' rate the mapping forgets the attributes that it was taught at first. Rays that are
    # always told the depth leave skins so thin that a drawn ray passes through: holes.
    advised: ClassVar[Mapping[str, Any]] = {
        "learning_rate": 5e-3,
        "mapping_rate": 0.2,
        "rays": 256,
        "samples": 0.5,
        "guided_until": 0.75,
    }
    network: CIPS3DNetwork

    def __init__(self, config: CIPS3DConfig, attributes: Tensor) -> None:
        styles = config.nerf_style_dim + config.inr_style_dim
        super().__init__(CIPS3DNetwork(config), styles, attributes)
        siren = self.network.siren
        with torch.no_grad():
            # At first people hardly differ, and space is nearly empty: frequencies that jump
            # from head to head, or a fog that nothing is seen through, are not learnt away.
            for layer in siren.modules():
                if isinstance(layer, FilmLayer):
                    layer.gain_fc.weight.mul_(0.1)
                    layer.bias_fc.weight.mul_(0.3)
            siren.final_layer.weight.mul_(0.1)
            siren.final_layer.bias.fill_(-0.02)

    @classmethod
    def of(
        cls, attributes: Tensor, options: Mapping[str, Any] | None = None, mixed: bool = False
    ) -> Self:
        """See :meth:`TrainedModel.of`."""
        if mixed:
            raise UserError("--mixed is about convolutions, and CIPS-3D has none.")
        config = cips3d_config() if options is None else CIPS3DConfig.from_json(options)
        return cls(config, attributes)

    def groups(
        self, field_rate: float, mapping_rate: float, decoder_rate: float | None = None
    ) -> list[dict[str, Any]]:
        """See :meth:`TrainedModel.groups`. The rate counts for weights as they are used: modulated
        ones are brought to unit length, those of sine layers multiplied (:data:`SINE_RATES`)."""
        network = self.network
        parts: list[Rated] = [
            (field_rate, (network.siren,)),
            (
                field_rate if decoder_rate is None else decoder_rate,
                (network.inr_net, network.aux_to_rbg),
            ),
            (mapping_rate, self._mapping_parts),
        ]
        return rated_groups(parts, _scaled)

    @property
    def _mapping_parts(self) -> tuple[nn.Module, ...]:
        network = self.network
        return network.mapping_network_nerf, network.mapping_network_inr, self.reader

    def mapping_groups(self) -> list[dict[str, Any]]:
        """See :meth:`TrainedModel.mapping_groups`."""
        return _scaled(self._mapping_parts)

    def style(self, z: Tensor) -> Tensor:
        """``[N, z_dim]`` -> ``[N, S]``: the NeRF's style, then the implicit network's."""
        network = self.network
        shape, look = network.latents(z)
        return torch.cat(
            [network.mapping_network_nerf(shape), network.mapping_network_inr(look)], dim=1
        )

    def rays(
        self,
        z: Tensor,
        rays_o: Tensor,
        rays_d: Tensor,
        jitter: torch.Generator | None = None,
        depth_guide: Tensor | None = None,
        samples: float = 1.0,
    ) -> tuple[RayResult, Tensor]:
        """See :meth:`TrainedModel.rays`. Features 3 to 5 are the auxiliary picture's colours.
        Without a guide rays are marched as they are drawn, in two passes and without jitter."""
        network, config = self.network, self.network.config
        heads, rays = rays_o.shape[:2]
        style = self.style(z)
        shape, look = style[:, : config.nerf_style_dim], style[:, config.nerf_style_dim :]
        films = network.siren.films(shape.expand(config.nerf_rows, -1, -1))
        weights = network.inr_net.styled(look.expand(2 * config.inr_blocks, -1, -1))

        def field(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
            density, hidden = network.siren(films, points.reshape(heads, -1, 3))
            return density.flatten() * DENSITY_GAIN, hidden.flatten(0, 1)

        march = config.march().scaled(samples)
        origins, directions = rays_o.reshape(-1, 3), rays_d.reshape(-1, 3)
        if depth_guide is None:
            found = march_rays(field, origins, directions, march)
        else:
            guide = depth_guide.reshape(-1)
            found = march_guided(field, origins, directions, march, guide, GUIDE_WIDTH, jitter)
        total, opacity = found.weight_sum.reshape(heads, rays), found.opacity.reshape(heads, rays)
        features = network.siren.features(found.features.reshape(heads, rays, -1), total[..., None])
        colours = [network.inr_net(weights, features), network.auxiliary(features)]
        picture = [network.over_backdrop(each, opacity) for each in colours]
        depth = found.expected_depth(march.far).reshape(heads, rays)
        limits = depth.new_tensor([march.near, march.far]).expand(heads, 2)
        return RayResult(torch.cat(picture, dim=-1), depth, opacity, limits), style

    def colour_error(self, found: RayResult, rgb: Tensor, squares: float = 0.0) -> Tensor:
        """See :meth:`TrainedModel.colour_error`; the auxiliary picture's counts as well."""
        error = found.features[..., 3:6] - (2.0 * rgb - 1.0)
        auxiliary = partly_squared(error, squares, COLOUR_UNIT)
        return super().colour_error(found, rgb, squares) + AUXILIARY * auxiliary

    def generator(self) -> CIPS3D:
        """See :meth:`TrainedModel.generator`."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self._rescaled(network.state_dict(), DENSITY_GAIN))
        return CIPS3D(network, next(self.parameters()).device)

    def _rescaled(self, state: dict[str, Tensor], factor: float) -> dict[str, Tensor]:
        names = ("siren.final_layer.weight", "siren.final_layer.bias")
        return state | {name: state[name] * factor for name in names}


def _scaled(modules: tuple[nn.Module, ...]) -> list[dict[str, Any]]:
    """Parameters grouped by what the learning rate is multiplied with (``scale``)."""
    scales: dict[nn.Parameter, float] = {}
    for module in (inner for outer in modules for inner in outer.modules()):
        if isinstance(module, FilmLayer):
            for name, rate in SINE_RATES.items():
                for parameter in module.get_submodule(name).parameters():
                    scales[parameter] = rate
        elif isinstance(module, ModulatedLinear):
            scales[module.weight] = math.sqrt(module.weight.shape[1])
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in (inner for outer in modules for inner in outer.parameters()):
        groups.setdefault(scales.get(parameter, 1.0), []).append(parameter)
    return [{"params": parameters, "scale": scale} for scale, parameters in groups.items()]
