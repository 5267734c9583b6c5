"""StyleSDF's options as plain data: what a file or a converted model states about its network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.errors import UserError
from engine.generators.family_config import MAX_OPTION, FamilyConfig, check_kinds

#: Largest side of a volume rendering or picture in pixels, and most layers of one kind.
_MAX_SIDE, _MAX_LAYERS = 8192, 64
#: Fewest and most samples on one ray that can be asked for.
MIN_SAMPLES, MAX_SAMPLES = 2, 1024


@dataclass(frozen=True)
class StyleSDFConfig(FamilyConfig):
    """Everything that defines a StyleSDF network, as plain data.

    The authors' files hold tensors only. What their shapes tell comes first below; the rest
    are the authors' values, which no file states.

    Attributes:
        style_dim: length of z and of the volume renderer's style.
        mapping_layers: layers of the renderer's mapping.
        width: of every FiLM layer, and channels of the features that the decoder is given.
        depth: FiLM layers between a point and its signed distance.
        render_size: side of the volume rendering, pixels.
        decoder_channels: width of the decoder's features at ``render_size`` and at each
            doubling of it; ``None`` where the file holds a volume renderer alone.
        decoder_style_dim: length of the decoder's style.
        decoder_mapping_layers: layers of the decoder's mapping.
        skipped_noise: decoder layers whose stored noise has another size than their result, so
            that it cannot be added, or ``None``.
        samples_per_ray: even samples on each ray.
        fov_y: full vertical angle of view, degrees (the authors' "fov" is half of it).
        radius: distance of the camera from the world's origin.
        half_depth: rays are sampled this far in front of the origin and behind it, and points
            reach the network in units of it.
        yaw_std, pitch_std: spread of the training poses, radians.

    Raises:
        UserError: the options contradict each other.
    """

    title = "StyleSDF"

    style_dim: int = 256
    mapping_layers: int = 3
    width: int = 256
    depth: int = 8
    render_size: int = 64
    decoder_channels: tuple[int, ...] | None = None
    decoder_style_dim: int = 512
    decoder_mapping_layers: int = 5
    skipped_noise: tuple[int, ...] | None = None
    samples_per_ray: int = 24
    fov_y: float = 12.0
    radius: float = 1.0
    half_depth: float = 0.12
    yaw_std: float = 0.3
    pitch_std: float = 0.15

    def __post_init__(self) -> None:
        check_kinds(self)
        limits = {"style_dim": (1, MAX_OPTION), "width": (1, MAX_OPTION), "render_size": (4, _MAX_SIDE),
                  "mapping_layers": (1, _MAX_LAYERS), "depth": (1, _MAX_LAYERS),
                  "decoder_style_dim": (1, MAX_OPTION),
                  "decoder_mapping_layers": (1, _MAX_LAYERS)}  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(f"The option {name} must be {low} to {high}.")
        channels = self.decoder_channels or ()
        if len(channels) > _MAX_LAYERS or self.resolution > _MAX_SIDE:
            raise UserError(f"The decoder's picture may have at most {_MAX_SIDE} pixels a side.")
        if not all(count > 0 for count in channels):
            raise UserError("Each resolution of the decoder needs at least one channel.")
        if any(layer > 2 * self.doublings or not channels for layer in self.skipped_noise or ()):
            raise UserError("The option skipped_noise names a layer that the decoder lacks.")
        if not MIN_SAMPLES <= self.samples_per_ray <= MAX_SAMPLES:
            raise UserError(
                f"A ray has {MIN_SAMPLES} to {MAX_SAMPLES} samples, not {self.samples_per_ray}."
            )
        if not 1.0 <= self.fov_y <= 120.0:
            raise UserError(f"The angle of view must be 1 to 120 degrees, not {self.fov_y:g}.")
        if not 0.0 < self.half_depth < self.radius:
            raise UserError(
                f"The rays' half depth must lie between 0 and the camera's distance "
                f"{self.radius:g}, not be {self.half_depth:g}."
            )
        if not (0.0 <= self.yaw_std <= math.pi and 0.0 <= self.pitch_std <= math.pi / 2):
            raise UserError("The spread of the training poses must be an angle in radians.")

    @property
    def doublings(self) -> int:
        """How many times the decoder doubles the volume rendering's size."""
        return len(self.decoder_channels or (0,)) - 1

    @property
    def resolution(self) -> int:
        """Side of the final picture."""
        return self.render_size * int(2**self.doublings)

    @property
    def renderer_rows(self) -> int:
        """Rows of w for the volume renderer: its FiLM layers, the last for the view."""
        return self.depth + 1

    @property
    def decoder_rows(self) -> int:
        """Rows of w for the decoder: two at the first size, two more for each doubling."""
        return 2 * self.doublings + 2 if self.decoder_channels else 0

    @property
    def num_ws(self) -> int:
        """Rows of the extended latent."""
        return self.renderer_rows + self.decoder_rows

    @property
    def w_dim(self) -> int:
        """Columns of the extended latent; narrower rows have zeros at their end."""
        return max(self.style_dim, self.decoder_style_dim if self.decoder_channels else 0)

    def noise_side(self, layer: int) -> int:
        """Side of the noise of decoder layer ``layer`` (0 is the first at ``render_size``)."""
        return self.render_size * int(2 ** ((layer + 1) // 2))


#: The authors' released models. Animals' poses were spread half as far to the sides.
RELEASED: dict[str, StyleSDFConfig] = {
    "ffhq1024x1024": StyleSDFConfig(decoder_channels=(512, 256, 128, 64, 32)),
    "afhq512x512": StyleSDFConfig(decoder_channels=(512, 256, 128, 64), yaw_std=0.15),
    "ffhq_vol_renderer": StyleSDFConfig(),
    "afhq_vol_renderer": StyleSDFConfig(yaw_std=0.15),
    "sphere_init": StyleSDFConfig(),
}
