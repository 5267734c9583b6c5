"""StyleNeRF's options as plain data: what a file or a converted model states about its network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.camera import MAX_FOV, MIN_FOV
from engine.errors import UserError
from engine.generators.family_config import FamilyConfig, check_kinds

#: How a block doubles its size: by nearest neighbours and half sums of neighbours, or by
#: channels that become pixels.
UPSAMPLERS = ("nn_cat", "pixelshuffle")
#: Fewest samples of a ray that importance sampling can work from, and most of all.
MIN_SAMPLES, MAX_SAMPLES = 3, 4096


@dataclass(frozen=True)
class StyleNeRFConfig(FamilyConfig):
    """Everything that defines a StyleNeRF network, as plain data.

    Angles are radians where they are the authors' camera ranges and degrees in ``fov``; lengths
    are world units, sides pixels.

    Attributes:
        z_dim, c_dim, w_dim: lengths of latent, class label (0 for none) and style.
        mapping_layers, mapping_lr_multiplier, embed_features: the mapping.
        img_resolution: side of the final picture.
        resolution_vol: side of the volume rendering.
        block_channels: widths of the upsampler's blocks, the lowest resolution first.
        kernel_size: of the upsampler's convolutions, 1 or 3.
        upsample_mode: ``"nn_cat"`` or ``"pixelshuffle"``.
        adapter_channels: widths inside the blocks' upsampling.
        conv_clamp: limit of the upsampler's activations, or ``None``.
        magnitude_ema: whether inputs are divided by a stored average magnitude.
        use_noise: whether convolutions add stored noise.
        no_residual_img: the picture is the last block's alone, not a sum over the blocks.
        rgb_out_dim: features of a pixel of the volume rendering.
        fg_hidden, fg_blocks: width and further layers of the head's field.
        fg_posenc, bg_posenc: octaves of the positional encodings.
        fg_downscale, bg_downscale: points are divided by it before the encoding.
        fg_normalized_feat, bg_normalized_feat: features have unit length (see the field).
        background: whether a second field draws what lies beyond the unit sphere.
        bg_hidden, bg_blocks: its width and further layers.
        z_dim_bg: length of the background's own latent, 0 for none.
        n_ray_samples, n_bg_samples: even samples of a ray, for head and background.
        hierarchical: draw as many samples again where the first found something.
        bg_start: inverse distance of the first background sample.
        fov: full angle of view, degrees.
        depth_near, depth_far: where rays begin and end, seen from ``radius``.
        dists_normalized: densities are per unit of the ray's parameter, not of length.
        ray_align_corner: rays pass through corners of pixels of the final picture.
        radius: the training cameras' distance from the origin.
        yaw, yaw_spread, pitch, pitch_spread: middle and spread of the training cameras: yaw
            towards the person's left, pitch upwards.
        gaussian_camera: the spreads are standard deviations, not limits.
        progressive: whether blocks were faded in during training.

    Raises:
        UserError: the options contradict each other.
    """

    title = "StyleNeRF"

    z_dim: int = 512
    c_dim: int = 0
    w_dim: int = 512
    mapping_layers: int = 8
    mapping_lr_multiplier: float = 0.01
    embed_features: int = 0
    img_resolution: int = 512
    resolution_vol: int = 32
    block_channels: tuple[int, ...] = (512, 256, 128, 64)
    kernel_size: int = 1
    upsample_mode: str = "nn_cat"
    adapter_channels: tuple[int, ...] = (128, 64, 32, 16)
    conv_clamp: float | None = 256.0
    magnitude_ema: bool = True
    use_noise: bool = False
    no_residual_img: bool = False
    rgb_out_dim: int = 256
    fg_hidden: int = 128
    fg_blocks: int = 7
    fg_posenc: int = 10
    bg_posenc: int = 10
    fg_downscale: float = 1.0
    bg_downscale: float = 1.0
    fg_normalized_feat: bool = False
    bg_normalized_feat: bool = False
    background: bool = True
    bg_hidden: int = 64
    bg_blocks: int = 3
    z_dim_bg: int = 32
    n_ray_samples: int = 14
    n_bg_samples: int = 4
    hierarchical: bool = True
    bg_start: float = 0.5
    fov: float = 12.0
    depth_near: float = 0.88
    depth_far: float = 1.12
    dists_normalized: bool = False
    ray_align_corner: bool = False
    radius: float = 1.0
    yaw: float = 0.0
    yaw_spread: float = 0.3
    pitch: float = 0.0
    pitch_spread: float = 0.155
    gaussian_camera: bool = True
    progressive: bool = True

    def __post_init__(self) -> None:
        for name in ("block_channels", "adapter_channels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.background and self.z_dim_bg:
            object.__setattr__(self, "z_dim_bg", 0)
        check_kinds(self)
        self._check_network()
        self._check_rays()

    def _check_network(self) -> None:
        if self.upsample_mode not in UPSAMPLERS:
            raise UserError(
                f"The upsampler {self.upsample_mode!r} is unknown; it is one of "
                f"{', '.join(UPSAMPLERS)}."
            )
        if self.kernel_size not in (1, 3):
            raise UserError(f"The upsampler's kernels must be 1 or 3 wide, not {self.kernel_size}.")
        blocks = len(self.block_channels)
        if self.resolution_vol < 2 or self.resolution_vol * 2**blocks != self.img_resolution:
            raise UserError(
                f"{blocks} blocks enlarge {self.resolution_vol} pixels to "
                f"{self.resolution_vol * 2**blocks}, but the model says {self.img_resolution}."
            )
        if len(self.adapter_channels) != blocks:
            raise UserError(
                f"{blocks} blocks need as many adapters, not {len(self.adapter_channels)}."
            )
        sizes = ("z_dim", "w_dim", "mapping_layers", "rgb_out_dim", "fg_hidden", "bg_hidden",
                 "fg_posenc", "bg_posenc")  # fmt: skip
        for name in sizes:
            if getattr(self, name) < 1:
                raise UserError(f"The option {name} must be 1 or more.")

    def _check_rays(self) -> None:
        for name, least in (("n_ray_samples", MIN_SAMPLES), ("n_bg_samples", 2)):
            if not least <= getattr(self, name) <= MAX_SAMPLES:
                raise UserError(
                    f"The option {name} must be {least} to {MAX_SAMPLES}, not "
                    f"{getattr(self, name)}."
                )
        if not 0.0 < self.depth_near < self.depth_far:
            raise UserError(
                f"Rays must end behind their start, not run from {self.depth_near:g} to "
                f"{self.depth_far:g}."
            )
        if not MIN_FOV <= self.fov <= MAX_FOV:
            raise UserError(
                f"The angle of view must be {MIN_FOV:g} to {MAX_FOV:g} degrees, not {self.fov:g}."
            )
        if not 0.0 < self.bg_start <= 1.0:
            raise UserError(
                f"The option bg_start must be above 0 and at most 1: {self.bg_start:g}."
            )
        for name in ("radius", "fg_downscale", "bg_downscale"):
            if getattr(self, name) <= 0.0:
                raise UserError(f"The option {name} must be above 0, not {getattr(self, name):g}.")

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        """Sides of the upsampler's blocks."""
        return tuple(self.resolution_vol * 2 ** (i + 1) for i in range(len(self.block_channels)))

    @property
    def field_ws(self) -> int:
        """Rows of w that style the head's field: its layers, density and features."""
        return self.fg_blocks + 3

    @property
    def style_ws(self) -> int:
        """Rows of w that are styles; a block takes two and shares its third with the next."""
        return self.field_ws + (2 * len(self.block_channels) + 1 if self.block_channels else 0)

    @property
    def num_ws(self) -> int:
        """Rows of w: the styles, and one that is the background's latent."""
        return self.style_ws + (1 if self.z_dim_bg else 0)

    @property
    def row_width(self) -> int:
        """Columns of w: the longer of style and background latent."""
        return max(self.w_dim, self.z_dim_bg)

    @property
    def half_depth(self) -> float:
        """Half the length of a ray along the viewing axis: the head's box reaches as far."""
        return (self.depth_far - self.depth_near) / 2.0

    @property
    def mesh_level(self) -> float:
        """Density at which a layer as thick as a quarter of the rays holds back half of the
        light: low enough for the soft surfaces that so few samples a ray learn."""
        return math.log(2.0) / (self.half_depth / 2.0)


def _released(resolution: int, base: float, mode: str, features: int) -> StyleNeRFConfig:
    """The layout of a released model: widths halve as sides double, up to 1024."""
    sides = [2**i for i in range(6, resolution.bit_length())]
    widths = tuple(min(int(32768 * base / side), 1024) for side in sides)
    return StyleNeRFConfig(
        img_resolution=resolution,
        block_channels=widths,
        adapter_channels=tuple(width // 4 for width in widths),
        upsample_mode=mode,
        rgb_out_dim=features,
        ray_align_corner=mode == "nn_cat",
    )


#: The authors' released faces, as far as sizes and public threads tell (files state their own).
RELEASED: dict[str, StyleNeRFConfig] = {
    "ffhq-256": _released(256, 0.5, "pixelshuffle", 64),
    "ffhq-512": _released(512, 1.0, "nn_cat", 256),
    "ffhq-1024": _released(1024, 2.0, "pixelshuffle", 256),
}
