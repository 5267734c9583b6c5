"""What every network that learns from rendered heads has in common while it is trained.

A run (:mod:`engine.training.bundled.run`) knows a model by this class alone, so that another
family is another subclass: the network as it will ship, the way single rays are drawn through it,
and how fast each part of it may learn.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.camera import Camera, OrbitPose
from engine.checkpoints import read_checkpoint, write_model
from engine.checkpoints.plain import LazyTensor
from engine.errors import CheckpointError
from engine.generators.base import Generator
from engine.generators.registry import ModelSource, find_source
from engine.rendering.volume import RayResult
from engine.training.bundled.losses import COLOUR_UNIT, partly_squared
from engine.training.heads.world import FOV_Y

#: The light grey behind the heads, sRGB in 0 to 1. Before pure white every strand of dark hair
#: is an error of the largest size, and a portrait looks cut out.
BACKDROP = 0.75

#: Densities are multiplied by this while training, and the factor is folded into the layer that
#: gives them when packed. A head's skin must turn opaque within a fiftieth of the box, so
#: raw densities in the hundreds are wanted, which weights of unit size are slow to reach.
DENSITY_GAIN = 30.0


def heads_focal() -> float:
    """Focal length of the rendered heads' lens, in picture sides."""
    return Camera(OrbitPose().camera().cam2world, FOV_Y).focal


#: Modules, and the factor on the learning rate of all in them.
Rated = tuple[float, tuple[nn.Module, ...]]
#: Parameters for an optimiser, with ``scale``, the factor on their rate.
Groups = list[dict[str, Any]]


def rated_groups(
    parts: Sequence[Rated], scaled: Callable[[tuple[nn.Module, ...]], Groups]
) -> Groups:
    """The parameters of modules that are to learn; the others are frozen.

    Args:
        parts: the modules with their factors; 0 freezes.
        scaled: the groups of modules, with the factor that each kind of weight needs.
    """
    found: Groups = []
    for rate, modules in parts:
        for module in modules:
            module.requires_grad_(rate > 0)
        if rate > 0:
            found += [group | {"scale": group["scale"] * rate} for group in scaled(modules)]
    return found


class TrainedModel(nn.Module, ABC):
    """A network with what training adds to it: a linear reader of attributes.

    Args:
        network: as it will ship, with its options under ``config``.
        style_dim: length of what :meth:`style` gives.
        attributes: ``[N, A]`` attributes of many heads, whose mean and spread scale the
            attribute loss.
    """

    #: Name of the family that the packed model belongs to, and of the packed model.
    family: ClassVar[str]
    title: ClassVar[str]
    #: Options of :class:`~engine.training.bundled.field.FieldOptions` that suit it, where they are
    #: others than the defaults.
    advised: ClassVar[Mapping[str, Any]] = {}
    network: Any
    attribute_mean: Tensor
    attribute_spread: Tensor

    def __init__(self, network: nn.Module, style_dim: int, attributes: Tensor) -> None:
        super().__init__()
        self.network = network
        self.reader = nn.Linear(style_dim, attributes.shape[1])
        self.register_buffer("attribute_mean", attributes.float().mean(0))
        self.register_buffer("attribute_spread", attributes.float().std(0, correction=0) + 0.05)

    @classmethod
    @abstractmethod
    def of(
        cls, attributes: Tensor, options: Mapping[str, Any] | None = None, mixed: bool = False
    ) -> Self:
        """A new model with random weights.

        Args:
            attributes: see the class.
            options: of the network, as its configuration's ``to_json`` gives them; those of the
                model that ships if absent.
            mixed: convolutions compute in bfloat16.

        Raises:
            UserError: the options contradict each other, or ``mixed`` is of no use here.
        """

    @abstractmethod
    def groups(
        self, field_rate: float, mapping_rate: float, decoder_rate: float | None = None
    ) -> list[dict[str, Any]]:
        """The parameters for an optimiser; ``scale`` is the factor on the rate of each group.

        Args:
            field_rate: multiplier for the radiance field; 0 freezes it.
            mapping_rate: for what turns z into styles and styles into attributes; 0 freezes it.
            decoder_rate: for what turns the field into colours; ``field_rate`` if absent.
        """

    @abstractmethod
    def mapping_groups(self) -> list[dict[str, Any]]:
        """The groups of :meth:`groups` that turn z into styles and styles into attributes."""

    @abstractmethod
    def style(self, z: Tensor) -> Tensor:
        """``[N, z_dim]`` -> ``[N, style_dim]``: what the mapping makes of z."""

    @abstractmethod
    def rays(
        self,
        z: Tensor,
        rays_o: Tensor,
        rays_d: Tensor,
        jitter: torch.Generator | None = None,
        depth_guide: Tensor | None = None,
        samples: float = 1.0,
    ) -> tuple[RayResult, Tensor]:
        """March single rays, a head a row; what they bring back, and the styles.

        The first three features are the picture's colours, in about ``[-1, 1]``.

        Args:
            z: ``[heads, z_dim]``.
            rays_o, rays_d: ``[heads, R, 3]``.
            jitter: random numbers for where the samples lie.
            depth_guide: ``[heads, R]`` known depths (0 = none), around which samples then lie.
            samples: multiplier on the samples along rays.
        """

    @abstractmethod
    def generator(self) -> Generator:
        """A copy of the network, which draws as the packed one will."""

    @abstractmethod
    def _rescaled(self, state: dict[str, Tensor], factor: float) -> dict[str, Tensor]:
        """A state dict whose densities are multiplied by ``factor``."""

    def colour_error(self, found: RayResult, rgb: Tensor, squares: float = 0.0) -> Tensor:
        """Mean error of the colours that :meth:`rays` brought back.

        Args:
            rgb: ``[heads, R, 3]`` the truth, in ``[0, 1]``.
            squares: how much of it is squared, see :func:`~engine.training.bundled.losses.partly_squared`.
        """
        error = found.features[..., :3] - (2.0 * rgb - 1.0)
        return partly_squared(error, squares, COLOUR_UNIT)

    def attribute_error(self, style: Tensor, attributes: Tensor) -> Tensor:
        """Mean Huber error of the attributes ``[N, A]`` read off ``style`` ``[N, style_dim]``, in
        units of each attribute's spread."""
        truth = (attributes - self.attribute_mean) / self.attribute_spread
        return F.smooth_l1_loss(self.reader(style), truth)

    @torch.no_grad()
    def fit_reader(self, z: Tensor, attributes: Tensor) -> None:
        """Have the reader of a model that came without one read attributes as well as is
        possible, by least squares: a random one would pull the mapping anywhere at first.

        Args:
            z: ``[N, z_dim]``, many more than a style has numbers.
            attributes: ``[N, A]``.
        """
        styles = torch.cat([self.style(part) for part in torch.split(z, 2000)]).double()
        truth = ((attributes - self.attribute_mean) / self.attribute_spread).double()
        mean = styles.mean(0)
        styles = styles - mean
        # Styles that do not differ between people (an unused direction) read nothing.
        among = styles.T @ styles / len(z)
        among += 1e-4 * among.diagonal().mean() * torch.eye(len(among), device=z.device)
        slope = torch.linalg.solve(among, styles.T @ (truth - truth.mean(0)) / len(z))
        self.reader.weight.copy_(slope.T)
        self.reader.bias.copy_(truth.mean(0) - mean @ slope)

    def before_packing(self) -> None:
        """Called on a model that is about to be packed."""
        return

    def pack(self, path: Path) -> Path:
        """Write the network alone as a Maquette model in half precision; its JSON's path."""
        self.before_packing()
        state = {k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
        lazy = {
            name: LazyTensor(tuple(value.shape), value.dtype, partial(torch.clone, value))
            for name, value in self._rescaled(state, DENSITY_GAIN).items()
        }
        config = self.network.config.to_json()
        return write_model(ModelSource(self.family, self.title, config, lazy), path, half=True)

    def start_from(self, path: Path) -> None:
        """Take over the weights of a packed model, to go on from it.

        Raises:
            CheckpointError: it is not a model of exactly this network's options and sizes.
        """
        source = find_source(read_checkpoint(path))
        ours = json.loads(json.dumps(self.network.config.to_json()))
        if source.family != self.family or self._comparable(source.config) != self._comparable(
            ours
        ):
            raise CheckpointError(f"{path} has other options than the network to be trained.")
        state = {name: lazy.load() for name, lazy in source.tensors.items()}
        self._take_over(self._rescaled(state, 1.0 / DENSITY_GAIN))

    def _comparable(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The options in which a model to go on from must be the same."""
        return dict(config)

    def _take_over(self, state: dict[str, Tensor]) -> None:
        """Load the tensors of a model to go on from."""
        self.network.load_state_dict(state)
