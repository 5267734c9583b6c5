"""CIPS-3D's options, and how they are read off the authors' files.

A file is a flat state dict and states nothing: the sizes of the network follow from the shapes of
its tensors, and what no tensor tells (camera, samples, the picture's side) is the release's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engine.checkpoints.plain import Checkpoint, LazyTensor, ModelSource
from engine.errors import CheckpointError, UserError
from engine.generators.family_config import FamilyConfig, check_kinds
from engine.generators.latent_features import LatentStep, steps_from_json
from engine.generators.options import (
    blamed_on,
    plain_dict,
    shape_of,
)
from engine.rendering.nerf_march import March

#: Most layers of one kind: a guard against nonsense in files.
_MAX_LAYERS = 64
#: First of the INR's blocks that gives colours.
FIRST_COLOUR = 3
#: Options that authors' models do not have, stated only where they are made use of.
_OURS = ("nerf_reads", "inr_reads", "nerf_latent_steps", "inr_latent_steps", "backdrop")
#: Tensors that no other family has together.
_MARKS = ("siren.color_layer_sine.gain_fc.weight", "inr_net.network.4.mod1.weight")


@dataclass(frozen=True)
class CIPS3DConfig(FamilyConfig):
    """Everything that defines a CIPS-3D generator, as plain data. Lengths are world units.

    Attributes:
        z_nerf_dim, z_inr_dim: lengths of the two latents.
        nerf_style_dim, nerf_mapping_layers: the NeRF's mapping.
        inr_style_dim, inr_mapping_layers: the INR's mapping.
        nerf_layers, nerf_width: sine layers up to the density, and their width.
        nerf_color_width, nerf_features: the sine layer behind them, and the features it gives.
        inr_blocks, inr_width: the INR's blocks ("4", "8" ... doubling) and their width.
        box: side of the cube that the NeRF sees as -1 to 1.
        img_resolution: side of the picture; each pixel is drawn by itself, so that any will do.
        radius, fov_y: the camera of training: distance from the origin, full angle in degrees
            between the middles of the outermost pixels.
        near, far: where rays begin and end for that camera.
        samples_per_pass: even samples of a ray, and as many again where these found something.
        last_back, white_back, activation: see :class:`~engine.rendering.nerf_march.March`.
        mesh_level: raw density at which a mesh is cut by default.
        yaw_range, pitch_range: degrees in which most training poses lay (two deviations).

    What follows the authors' models do not have; all of it is left out by default.

    Attributes:
        nerf_reads, inr_reads: which numbers of z are the NeRF's latent and the INR's, which may
            share some. ``None``: the NeRF's come first, then the INR's.
        nerf_latent_steps, inr_latent_steps: of a fixed layer before each mapping, which takes
            the place of its normalisation (:mod:`engine.generators.latent_features`). They count
            along that network's own latent.
        backdrop: brightness behind the head, 0 (black) to 1 (white): pictures are laid over it
            by the opacity. ``None``: whatever the networks draw there.

    Raises:
        UserError: the options contradict each other.
    """

    title = "CIPS-3D"

    z_nerf_dim: int = 256
    z_inr_dim: int = 512
    nerf_style_dim: int = 128
    nerf_mapping_layers: int = 4
    inr_style_dim: int = 512
    inr_mapping_layers: int = 8
    nerf_layers: int = 2
    nerf_width: int = 128
    nerf_color_width: int = 64
    nerf_features: int = 32
    inr_blocks: int = 9
    inr_width: int = 512
    box: float = 0.24
    img_resolution: int = 256
    radius: float = 1.0
    fov_y: float = 12.0
    near: float = 0.88
    far: float = 1.12
    samples_per_pass: int = 12
    last_back: bool = False
    white_back: bool = False
    activation: str = "relu"
    mesh_level: float = 25.0
    yaw_range: tuple[float, float] = (-34.0, 34.0)
    pitch_range: tuple[float, float] = (-18.0, 18.0)
    nerf_reads: tuple[int, ...] | None = None
    inr_reads: tuple[int, ...] | None = None
    nerf_latent_steps: tuple[LatentStep, ...] = ()
    inr_latent_steps: tuple[LatentStep, ...] = ()
    backdrop: float | None = None

    def __post_init__(self) -> None:
        check_kinds(self)
        for network in ("nerf", "inr"):
            length = getattr(self, f"z_{network}_dim")
            name = f"{network}_latent_steps"
            object.__setattr__(self, name, steps_from_json(getattr(self, name), length))
        self._check_reads()
        if self.backdrop is not None and not 0.0 <= self.backdrop <= 1.0:
            raise UserError(f"The backdrop's brightness lies in 0 to 1, not {self.backdrop:g}.")
        for name in (
            "nerf_mapping_layers", "inr_mapping_layers", "nerf_layers", "inr_blocks"
        ):  # fmt: skip
            if not 1 <= getattr(self, name) <= _MAX_LAYERS:
                raise UserError(f"The option {name} must be 1 to {_MAX_LAYERS}.")
        if self.inr_blocks <= FIRST_COLOUR:
            raise UserError(
                "The INR needs 4 or more blocks: only from the fourth on does it give colours."
            )
        if min(self.z_nerf_dim, self.z_inr_dim, self.nerf_width, self.inr_width) < 1:
            raise UserError("The widths of the latents and networks must be 1 or more.")
        if self.img_resolution < 2 or not (self.box > 0 and self.radius > 0):
            raise UserError("The picture's side, the box and the camera's distance must be sizes.")
        self.march()

    def to_json(self) -> dict[str, Any]:
        """See :meth:`FamilyConfig.to_json`."""
        unused = {name for name in _OURS if getattr(self, name) in (None, ())}
        return {k: v for k, v in super().to_json().items() if k not in unused}

    def _check_reads(self) -> None:
        if (self.nerf_reads is None) != (self.inr_reads is None):
            raise UserError("The options nerf_reads and inr_reads must be given both or neither.")
        if self.nerf_reads is None or self.inr_reads is None:
            return
        if (len(self.nerf_reads), len(self.inr_reads)) != (self.z_nerf_dim, self.z_inr_dim):
            raise UserError("The options nerf_reads and inr_reads must be as long as the latents.")
        if {*self.nerf_reads, *self.inr_reads} != set(range(self.z_dim)):
            raise UserError("The options nerf_reads and inr_reads leave numbers of z unread.")

    @property
    def z_dim(self) -> int:
        """Length of z, of which both latents are taken."""
        if self.nerf_reads is None or self.inr_reads is None:
            return self.z_nerf_dim + self.z_inr_dim
        return max(*self.nerf_reads, *self.inr_reads) + 1

    @property
    def block_names(self) -> tuple[str, ...]:
        """The INR's blocks in order, ``"4"`` to ``"1024"`` in the release."""
        return tuple(str(4 << i) for i in range(self.inr_blocks))

    @property
    def nerf_rows(self) -> int:
        """Rows of w that style the NeRF: one for each sine layer."""
        return self.nerf_layers + 1

    @property
    def num_ws(self) -> int:
        """Rows of w: the NeRF's, then two for each block of the INR."""
        return self.nerf_rows + 2 * self.inr_blocks

    @property
    def w_dim(self) -> int:
        """Columns of w; the narrower of both styles is padded with zeros."""
        return max(self.nerf_style_dim, self.inr_style_dim)

    def march(self) -> March:
        """How rays of the training camera are marched."""
        if self.activation not in ("relu", "softplus"):
            raise UserError(f"The density activation {self.activation!r} is unknown.")
        return March(
            self.near, self.far, self.samples_per_pass, self.samples_per_pass,
            self.last_back, self.white_back,
            "relu" if self.activation == "relu" else "softplus",
        )  # fmt: skip


def matches(checkpoint: Checkpoint) -> bool:
    """Whether the file is a state dict with CIPS-3D's parts."""
    state = plain_dict(checkpoint.root)
    return all(isinstance(state.get(name), LazyTensor) for name in _MARKS)


def source(checkpoint: Checkpoint) -> ModelSource:
    """Reduce an authors' file to options and tensors.

    Raises:
        CheckpointError: the file has CIPS-3D's parts but cannot be a whole model.
    """
    tensors: dict[str, LazyTensor] = {}
    for name, value in plain_dict(checkpoint.root).items():
        if not isinstance(name, str) or not isinstance(value, LazyTensor):
            raise CheckpointError(
                f"{checkpoint.path} holds {str(name)[:60]!r} among CIPS-3D's tensors, which is not "
                "a tensor; use another copy of the file."
            )
        tensors[name] = value

    def shape(name: str, sides: int = 2) -> tuple[int, ...]:
        return shape_of("CIPS-3D", tensors, name, sides)

    def count(pattern: str) -> int:
        return sum(re.fullmatch(pattern, name) is not None for name in tensors)

    nerf_style, z_nerf = shape("mapping_network_nerf.base_net.0.weight")
    inr_style, z_inr = shape("mapping_network_inr.base_net.0.weight")
    features, color_width = shape("siren.color_layer_linear.0.weight")
    with blamed_on(checkpoint.path):
        config = CIPS3DConfig(
            z_nerf_dim=z_nerf,
            z_inr_dim=z_inr,
            nerf_style_dim=nerf_style,
            nerf_mapping_layers=count(r"mapping_network_nerf\.base_net\.\d+\.weight"),
            inr_style_dim=inr_style,
            # Each layer has a second weight, that of its normalisation.
            inr_mapping_layers=count(r"mapping_network_inr\.base_net\.\d+\.weight") // 2,
            nerf_layers=count(r"siren\.network\.\d+\.linear\.weight"),
            nerf_width=shape("siren.final_layer.weight")[1],
            nerf_color_width=color_width,
            nerf_features=features,
            inr_blocks=count(r"inr_net\.network\.\d+\.mod1\.weight"),
            inr_width=shape("inr_net.network.4.mod1.weight", 3)[2],
        )
    name = checkpoint.title or checkpoint.path.stem
    return ModelSource("cips3d", name, config.to_json(), tensors, _assumptions(config))


def _assumptions(config: CIPS3DConfig) -> tuple[str, ...]:
    count = config.samples_per_pass
    return (
        f"The file does not state the picture's side; {config.img_resolution} pixels is that of "
        "the released models.",
        f"The file does not state its camera; {config.fov_y:g} degrees from a distance of "
        f"{config.radius:g}, with rays from {config.near:g} to {config.far:g}, is the release's.",
        f"The file does not state the samples of a ray; {count} and {count} is what it was "
        "trained with.",
        "The file does not say whether the light that is left belongs to the last sample "
        "(last_back); in training it did not.",
    )
