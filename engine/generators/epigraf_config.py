"""EpiGRAF's options as plain data, and those of the authors' models."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from engine.errors import UserError
from engine.generators.family_config import FamilyConfig, check_kinds
from engine.generators.stylegan2 import num_ws_of, stylegan_channels
from engine.rendering.nerf_march import March

#: Where the light goes that no sample holds back.
BACKGROUNDS = ("none", "plane", "sphere")
#: Length of the step behind the last sample: opaque where nothing follows, next to none where a
#: background does.
_LAST_STEP = {"none": 1e10, "plane": 1e-3, "sphere": 1e-3}


@dataclass(frozen=True)
class EpiGRAFConfig(FamilyConfig):
    """Everything that defines an EpiGRAF generator, as plain data.

    ``None`` and empty defaults are filled in from the other fields, so that a config is always
    complete once made. Sizes are pixels, lengths world units.

    Attributes:
        z_dim, w_dim: lengths of latent and style.
        c_dim: classes (0 for none); the mapping is shown one of them.
        camera_cond: the mapping is also shown the camera's yaw and pitch.
        mapping_layers, mapping_width, embed_features, mapping_lr_multiplier: the mapping.
        plane_resolution: side of the tri-planes.
        plane_channels: channels of one plane.
        channel_base, channel_max: StyleGAN2's rule for ``block_channels``.
        block_channels: widths of the backbone's blocks from 4 x 4 upwards.
        conv_clamp: limit of the backbone's activations, or ``None``.
        use_noise: the backbone's convolutions add stored noise.
        mlp_channels: widths of the hidden layers between planes and colour.
        cube_scale: the planes span ``-cube_scale`` to ``cube_scale``.
        img_resolution: side of the picture.
        num_ray_steps: even samples on a ray, and as many again where they found something.
        ray_start, ray_end: distances of a ray's first and last sample from a camera that stands
            at ``radius``.
        radius: distance of the training cameras from the world's origin.
        fov: full angle in degrees between the middles of the outermost pixels.
        clamp_mode: activation of the density, ``"softplus"`` or ``"relu"``.
        density_shift: added to the density before that.
        last_back: what light is left belongs to the last sample.
        white_back: what light is left is white.
        background: ``"none"``, ``"plane"`` (a picture that the backbone draws beside the planes)
            or ``"sphere"`` (NeRF++: a second field outside the unit sphere).
        bg_channels: widths of the sphere background's blocks.
        bg_steps: spheres on each of its rays.
        bg_start: inverse radius of the nearest of them; the last is infinitely far away.
        bg_scale: factor on its coordinates before their sines.
        bg_frequencies: sines of each coordinate (and as many cosines).
        mesh_level: raw density at which a mesh is cut by default; 25 is the authors'.
        yaw_range, pitch_range: degrees in which the training poses lay.

    Raises:
        UserError: the options contradict each other.
    """

    title = "EpiGRAF"

    z_dim: int = 512
    c_dim: int = 0
    w_dim: int = 512
    camera_cond: bool = False
    mapping_layers: int = 2
    mapping_width: int | None = None
    embed_features: int | None = None
    mapping_lr_multiplier: float = 0.01
    plane_resolution: int = 512
    plane_channels: int = 32
    channel_base: int = 32768
    channel_max: int = 512
    block_channels: tuple[int, ...] = ()
    conv_clamp: float | None = 256.0
    use_noise: bool = True
    mlp_channels: tuple[int, ...] = (64,)
    cube_scale: float = 0.2
    img_resolution: int = 512
    num_ray_steps: int = 48
    ray_start: float = 0.88
    ray_end: float = 1.12
    radius: float = 1.0
    fov: float = 12.0
    clamp_mode: str = "softplus"
    density_shift: float = 0.0
    last_back: bool = False
    white_back: bool = False
    background: str = "none"
    bg_channels: tuple[int, ...] = (128, 128)
    bg_steps: int = 8
    bg_start: float = 1.0
    bg_scale: float = 64.0
    bg_frequencies: int = 6
    mesh_level: float = 25.0
    yaw_range: tuple[float, float] = (-45.0, 45.0)
    pitch_range: tuple[float, float] = (-25.0, 25.0)

    def __post_init__(self) -> None:
        try:
            rule = stylegan_channels(self.plane_resolution, self.channel_base, self.channel_max)
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f"The planes' resolution cannot be {self.plane_resolution}: {error}."
            ) from error
        filled = {
            "mapping_width": self.w_dim,
            "embed_features": self.w_dim,
            "block_channels": rule,
        }
        for name, value in filled.items():
            if getattr(self, name) in (None, ()):
                object.__setattr__(self, name, value)
        check_kinds(self)
        for item in fields(self):
            if isinstance(getattr(self, item.name), list):
                object.__setattr__(self, item.name, tuple(getattr(self, item.name)))
        self._check(len(rule))

    def _check(self, blocks: int) -> None:
        if len(self.block_channels) != blocks:
            raise UserError(
                f"{self.plane_resolution} pixel planes need {blocks} block widths, not "
                f"{len(self.block_channels)}."
            )
        if self.background not in BACKGROUNDS:
            raise UserError(
                f"The background {self.background!r} is unknown; it is {', '.join(BACKGROUNDS)}."
            )
        for name in ("cube_scale", "radius", "bg_start", "bg_scale"):
            if not getattr(self, name) > 0.0:
                raise UserError(f"The option {name} must be above 0, not {getattr(self, name)}.")
        if self.bg_start > 1.0:
            raise UserError(f"The background cannot start inside the unit sphere: {self.bg_start}.")
        if not 1.0 <= self.fov <= 120.0:
            raise UserError(f"The angle of view must be 1 to 120 degrees, not {self.fov:g}.")
        least = {"img_resolution": 4, "plane_channels": 1, "mapping_layers": 1, "bg_steps": 2}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UserError(f"The option {name} must be {low} or more.")
        self.march()

    @property
    def plane_ws(self) -> int:
        """Rows of the extended latent that style the planes."""
        return num_ws_of(self.plane_resolution)

    @property
    def num_ws(self) -> int:
        """Rows of the extended latent: the planes', then the sphere background's."""
        return self.plane_ws + (2 * len(self.bg_channels) if self.background == "sphere" else 0)

    @property
    def label_dim(self) -> int:
        """Numbers that the mapping is shown beside z: the class, then yaw and pitch."""
        return self.c_dim + (2 if self.camera_cond else 0)

    def march(self) -> March:
        """How rays of a camera at ``radius`` are marched.

        Raises:
            UserError: limits or counts that no ray can be marched with.
        """
        if self.clamp_mode not in ("softplus", "relu"):
            raise UserError(
                f"The density activation {self.clamp_mode!r} is unknown; it is 'softplus' or 'relu'."
            )
        return March(
            self.ray_start,
            self.ray_end,
            self.num_ray_steps,
            self.num_ray_steps,
            self.last_back,
            self.white_back,
            "relu" if self.clamp_mode == "relu" else "softplus",
            _LAST_STEP[self.background],
        )


_OBJECTS: dict[str, Any] = {
    "img_resolution": 256,
    "cube_scale": 0.475,
    "fov": 30.0,
    "ray_start": 0.75,
    "ray_end": 1.25,
    "white_back": True,
    "yaw_range": (-180.0, 180.0),
    "pitch_range": (-89.0, 89.0),
}
#: The authors' models. Those of plants have classes besides, whose number only the file tells.
RELEASED: dict[str, EpiGRAFConfig] = {
    "ffhq-512": EpiGRAFConfig(),
    "cats-256": EpiGRAFConfig(img_resolution=256),
    "megascans-plants-256": EpiGRAFConfig(**_OBJECTS),
    "megascans-food-256": EpiGRAFConfig(**_OBJECTS),
}
