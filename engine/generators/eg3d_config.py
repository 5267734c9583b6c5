"""EG3D's options as plain data: what a file or a converted model states about its network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from engine.errors import UserError
from engine.generators.family_config import FamilyConfig, check_kinds
from engine.generators.latent_features import LatentStep, steps_from_json
from engine.generators.stylegan2 import NoiseMode, num_ws_of, stylegan_channels
from engine.generators.superresolution import SR_LAYOUTS
from engine.rendering.volume import RenderSettings

#: Focal length, in picture sides, that the face and cat models were trained with.
FACE_FOCAL = 4.2647


@dataclass(frozen=True)
class EG3DConfig(FamilyConfig):
    """Everything that defines an EG3D network, as plain data.

    ``None`` and empty defaults are filled in from the other fields, so that a config is
    always complete once made. Sizes are pixels, lengths world units.

    Attributes:
        z_dim, c_dim, w_dim: lengths of latent, conditioning (0 or 25) and style.
        mapping_layers, mapping_width, embed_features, mapping_lr_multiplier: the mapping.
        latent_steps: of a fixed layer before it, which the authors' models do not have.
        plane_resolution, plane_channels: the tri-planes; channels of all three together.
        channel_base, channel_max: StyleGAN2's rule for ``block_channels``.
        block_channels: widths of the backbone's blocks from 4 x 4 upwards.
        conv_clamp: limit of the backbone's activations, or ``None``.
        decoder_hidden, decoder_features, decoder_lr_multiplier: the field's decoder.
        sr_module: the authors' class name of the super-resolution.
        sr_channels, sr_input_resolution, sr_first_upsamples, sr_antialias, sr_conv_clamp:
            its layout.
        superresolution_noise_mode: ``"none"``, ``"const"`` or ``"random"``.
        neural_rendering_resolution: side of the volume rendering.
        img_resolution: side of the final picture.
        c_gen_conditioning_zero: hide the camera from the mapping.
        c_scale: factor on the camera before the mapping.
        rendering: how rays are marched.
        avg_camera_radius, avg_camera_pivot: the default camera orbits the world's origin at
            this distance and looks at the pivot.
        focal: default focal length in picture sides.
        mesh_level: raw density at which a mesh is cut by default. 10 is the authors'; there
            light is dimmed by 9 per unit of length.
        yaw_range, pitch_range: degrees in which the training poses lay.

    Raises:
        UserError: the options contradict each other.
    """

    title = "EG3D"

    z_dim: int = 512
    c_dim: int = 25
    w_dim: int = 512
    mapping_layers: int = 2
    mapping_width: int | None = None
    embed_features: int | None = None
    mapping_lr_multiplier: float = 0.01
    latent_steps: tuple[LatentStep, ...] = ()
    plane_resolution: int = 256
    plane_channels: int = 96
    channel_base: int = 32768
    channel_max: int = 512
    block_channels: tuple[int, ...] = ()
    conv_clamp: float | None = None
    decoder_hidden: int = 64
    decoder_features: int = 32
    decoder_lr_multiplier: float = 1.0
    sr_module: str = "SuperresolutionHybrid8XDC"
    sr_channels: tuple[int, int] | None = None
    sr_input_resolution: int | None = None
    sr_first_upsamples: bool | None = None
    sr_antialias: bool = True
    sr_conv_clamp: float | None = 256.0
    superresolution_noise_mode: NoiseMode = "none"
    neural_rendering_resolution: int = 64
    img_resolution: int = 512
    c_gen_conditioning_zero: bool = False
    c_scale: float = 0.0
    rendering: RenderSettings = field(default_factory=RenderSettings)
    avg_camera_radius: float = 2.7
    avg_camera_pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)
    focal: float = FACE_FOCAL
    mesh_level: float = 10.0
    yaw_range: tuple[float, float] = (-45.0, 45.0)
    pitch_range: tuple[float, float] = (-25.0, 25.0)

    def __post_init__(self) -> None:
        def fill(name: str, value: Any) -> None:
            if getattr(self, name) in (None, ()):
                object.__setattr__(self, name, value)

        layout = SR_LAYOUTS.get(self.sr_module)
        if layout is None and (self.sr_channels is None or self.sr_first_upsamples is None):
            raise UserError(
                f"The super-resolution module {self.sr_module!r} is unknown; the known ones are "
                f"{', '.join(SR_LAYOUTS)}."
            )
        try:
            rule = stylegan_channels(self.plane_resolution, self.channel_base, self.channel_max)
        except ValueError as error:
            raise UserError(
                f"The planes' resolution cannot be {self.plane_resolution}: {error}."
            ) from error
        fill("mapping_width", self.w_dim)
        fill("embed_features", self.w_dim)
        fill("block_channels", rule)
        if layout is not None:
            fill("sr_channels", layout.channels)
            fill("sr_first_upsamples", layout.first_upsamples)
        factor = 4 if self.sr_first_upsamples else 2
        fill("sr_input_resolution", self.img_resolution // factor)
        self._check(factor, len(rule))
        object.__setattr__(self, "latent_steps", steps_from_json(self.latent_steps, self.z_dim))
        for name in (
            "block_channels",
            "sr_channels",
            "avg_camera_pivot",
            "yaw_range",
            "pitch_range",
        ):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def _check(self, factor: int, blocks: int) -> None:
        check_kinds(self)
        if self.plane_channels % 3:
            raise UserError(
                f"The channels of three planes must divide by 3, not be {self.plane_channels}."
            )
        if len(self.block_channels) != blocks:
            raise UserError(
                f"{self.plane_resolution} pixel planes need {blocks} block widths, not "
                f"{len(self.block_channels)}."
            )
        if self.sr_input_resolution is None or self.sr_input_resolution * factor != (
            self.img_resolution
        ):
            raise UserError(
                f"{self.sr_module} enlarges {factor} times, but the file says "
                f"{self.sr_input_resolution} to {self.img_resolution} pixels."
            )
        if self.decoder_features < 3:
            raise UserError("The decoder must give at least red, green and blue.")
        if self.superresolution_noise_mode not in ("none", "const", "random"):
            raise UserError(
                f"The noise mode {self.superresolution_noise_mode!r} is unknown; it is 'none', "
                "'const' or 'random'."
            )
        if self.c_dim not in (0, 25):
            raise UserError(f"A camera is 25 numbers to the mapping (or none), not {self.c_dim}.")

    @property
    def num_ws(self) -> int:
        """Rows of the extended latent, which follows from the planes' resolution."""
        return num_ws_of(self.plane_resolution)

    @property
    def conditioned(self) -> bool:
        """Whether the camera changes the identity at all."""
        return self.c_dim > 0 and not self.c_gen_conditioning_zero and self.c_scale != 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; :meth:`from_json` is its inverse."""
        return super().to_json() | {"rendering": self.rendering.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """See :meth:`FamilyConfig.from_json`."""
        values = dict(data)
        try:
            if "rendering" in values:
                values["rendering"] = RenderSettings.from_json(dict(values["rendering"]))
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(f"The options of the EG3D model cannot be read ({error}).") from error
        return super().from_json(values)


def visualizer_focal(fov: float) -> float:
    """Focal length for the "fov" of the authors' tools: ``1 / (tan(fov * 3.14159 / 360) *
    1.414)``, which is neither the vertical nor exactly the diagonal angle."""
    return 1.0 / (math.tan(fov * 3.14159 / 360.0) * 1.414)


#: The authors' released models.
RELEASED: dict[str, EG3DConfig] = {
    "ffhq512-128": EG3DConfig(c_scale=1.0, neural_rendering_resolution=128),
    "shapenetcars128-64": EG3DConfig(
        sr_module="SuperresolutionHybrid2X",
        img_resolution=128,
        c_gen_conditioning_zero=True,
        c_scale=1.0,
        rendering=RenderSettings(64, 64, 0.1, 2.6, box_warp=1.6, white_back=True),
        avg_camera_radius=1.7,
    ),
}
