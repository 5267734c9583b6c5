"""The StyleSDF family: authors' files, and drawing with a trained model.

Or-El et al., "StyleSDF: High-Resolution 3D-Consistent Image and Geometry Generation" (2022), as
released: faces at 1024 and animals at 512 pixels, and the volume renderers that they were built
on, which draw 64 pixel pictures of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.camera import FAMILY_AXES, Camera
from engine.errors import UserError
from engine.frame import Frame, normals_from_depth
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality
from engine.generators.evaluation import Stopwatch, by_chunks, exact, frozen_mean, unit_picture
from engine.generators.loading import load_strictly, read_config
from engine.generators.memo import LastFew
from engine.generators.registry import Family
from engine.generators.stylesdf_capabilities import NOISES, capabilities_of
from engine.generators.stylesdf_config import MIN_SAMPLES, RELEASED, StyleSDFConfig
from engine.generators.stylesdf_network import BothMappings, StyleSDFNetwork
from engine.generators.stylesdf_source import matches, source
from engine.generators.stylesdf_volume import (
    FilmField,
    Volume,
    depth_limits,
    empty_beyond,
    picture_rays,
    render,
)
from engine.kernels.graphs import replayed
from engine.kernels.launch import reaches
from engine.rendering.occupancy import EVERYWHERE, Survey, paid_after, reach

__all__ = [
    "FAMILY",
    "RELEASED",
    "Means",
    "SDFField",
    "StyleSDF",
    "StyleSDFConfig",
    "StyleSDFNetwork",
]

_AXES = FAMILY_AXES["stylesdf"]
#: Identities whose folded FiLM layers stay in memory (2 MB each at full size).
_CACHED_FIELDS = 8
#: Cells of a face's grid along one axis, and points that are looked at in one slice (7 ms).
_SURVEY_CELLS, _SURVEY_POINTS = 48, 1 << 9
#: See :func:`~engine.rendering.occupancy.paid_after`: its rays end early without a grid, too.
_SURVEY_COST = 30.0
#: Length of a ray to the corner of a picture, in those of the one to its middle, at most.
_LONGEST = 1.1
#: Seed of the noise "random": drawn once, so that the same arguments give the same picture.
_NOISE_SEED = 0


class Means(NamedTuple):
    """The two averages that styles are pulled towards.

    Attributes:
        renderer: ``[style_dim]``.
        decoder: ``[decoder_style_dim]``, or ``None`` without a decoder.
    """

    renderer: Tensor
    decoder: Tensor | None


class SDFField(Field):
    """The signed distance field of one identity.

    Args:
        film: its folded layers.
        half_depth: half the side of the box around the origin that was trained.
    """

    def __init__(self, film: FilmField, half_depth: float, device: torch.device) -> None:
        self._film, self._device = film, device
        corner = torch.full((3,), half_depth, device=device)
        self.bounds = (-corner, corner)

    def density(self, points: Tensor) -> Tensor:
        """``[N, 3]`` -> ``[N]`` signed distance in world units, negative inside."""
        film = self._film
        return by_chunks(points, self._device, film.distances)

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """``[N, 3]`` -> ``[N, 3]`` in ``[0, 1]``, as the middle of every picture shows it: when
        the authors draw, the network is shown directions in the camera's own axes, so that
        ``directions`` in the world do not count."""
        film = self._film
        ahead = torch.tensor([[0.0, 0.0, -1.0]], device=self._device)

        def colours(part: Tensor) -> Tensor:
            return film.colour(film.features(film.hidden(part)[None], ahead))[0]

        return by_chunks(points, self._device, colours)


class StyleSDF(Generator):
    """A trained StyleSDF model, ready to draw.

    Rows of w: one for each FiLM layer of the volume renderer (the last one for the layer that
    sees the view direction), then the decoder's. A row of the renderer fills the first
    ``style_dim`` columns.

    Args:
        network: with its tensors loaded, on ``device``.
        device: where it computes.
    """

    def __init__(self, network: StyleSDFNetwork, device: torch.device) -> None:
        self.network = network.eval().requires_grad_(False)
        self.config = config = network.config
        self.device = device
        self._means: Means | None = None
        self._fields: LastFew[FilmField] = LastFew(_CACHED_FIELDS)
        self._random: dict[int, Tensor] = {}
        self.capabilities = capabilities_of(config)

    # Latents ---------------------------------------------------------------------------------

    def means(self) -> Means:
        """The model's own averages, over latents of one seed; computed when first needed."""
        if self._means is None:
            decoder, dim = self.network.decoder, self.config.style_dim
            both = BothMappings(self.network.style, None if decoder is None else decoder.style)
            joined = frozen_mean(both, dim).to(self.device)
            self._means = Means(joined[:dim], None if decoder is None else joined[dim:])
        return self._means

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        """See :meth:`Generator.map`. Truncation happens twice, as in the authors' code: the
        renderer's style is pulled towards its average, and what the decoder's mapping makes of
        the result towards its own. Rows from ``cutoff`` on are not truncated at all."""
        return self._map(z, psi, cutoff, self.means() if psi != 1.0 else None)

    def _map(self, z: Tensor, psi: float, cutoff: int | None, means: Means | None) -> Tensor:
        z = self.checked_latent(z)
        with exact(self.device):
            style: Tensor = self.network.style(z.to(self.device, torch.float32)[None])[0]
            w = self._rows(style, 1.0, None)
            if means is not None:
                truncated = self._rows(means.renderer.lerp(style, psi), psi, means.decoder)
                rows = self.config.num_ws if cutoff is None else cutoff
                rows = max(0, min(rows, self.config.num_ws))
                w = torch.cat([truncated[:rows], w[rows:]])
        return w

    def _rows(self, style: Tensor, psi: float, mean: Tensor | None) -> Tensor:
        """``[style_dim]`` -> ``[num_ws, w_dim]``, the decoder's part truncated towards a mean."""
        config, decoder = self.config, self.network.decoder
        w = style.new_zeros(config.num_ws, config.w_dim)
        w[: config.renderer_rows, : config.style_dim] = style
        if decoder is not None:
            own: Tensor = decoder.style(style[None])[0]
            own = own if mean is None else mean.lerp(own, psi)
            w[config.renderer_rows :, : config.decoder_style_dim] = own
        return w

    # Drawing ---------------------------------------------------------------------------------

    def _film(self, w: Tensor) -> FilmField:
        """The folded field of ``w``; the last few are kept.

        Raises:
            UserError: ``w`` has another shape.
        """
        rows = self.checked_rows(w)[: self.config.renderer_rows]
        with exact(self.device):
            return self._fields.get(rows, lambda rows: FilmField(self.network, rows))

    def field(self, w: Tensor) -> SDFField:
        """The signed distance field of ``w`` ``[num_ws, w_dim]``, in the model's unit of length."""
        return SDFField(self._film(w), self.config.half_depth, self.device)

    def survey(self, w: Tensor) -> Survey | None:
        """See :meth:`Generator.survey`."""
        config, film = self.config, self._film(w)
        # Rays in the corners are a little longer than the slab is deep.
        length = 2.0 * config.half_depth * _LONGEST
        return Survey(
            lambda points: -film.distances(points),
            reach(config.half_depth, config.radius, config.fov_y),
            _SURVEY_CELLS,
            -empty_beyond(float(film.beta), length),
            _SURVEY_POINTS,
        )

    def survey_pays_after(self, quality: Quality) -> float:
        """See :meth:`Generator.survey_pays_after`."""
        side = quality.neural_resolution or self.config.render_size
        return paid_after(_SURVEY_COST, _SURVEY_CELLS, side**2 * self._samples(quality.samples))

    def _samples(self, factor: float) -> int:
        return max(MIN_SAMPLES, round(int(self.settings["samples_per_ray"]) * factor))

    def _noise(self, layer: int, kind: str) -> Tensor | None:
        decoder = self.network.decoder
        if kind == "none" or decoder is None:
            return None
        if kind == "stored":
            return decoder.stored_noise(layer)
        if layer not in self._random:
            side = self.config.noise_side(layer)
            draw = torch.Generator().manual_seed(_NOISE_SEED + layer)
            noise = torch.randn((1, 1, side, side), generator=draw)
            self._random[layer] = noise.to(self.device)
        return self._random[layer]

    def _decode(self, volume: Volume, w: Tensor, noise: str) -> Tensor:
        """``[1, 3, resolution, resolution]`` about -1 to 1."""
        decoder, side = self.network.decoder, self.config.render_size
        assert decoder is not None and volume.features is not None
        x = volume.features
        if x.shape[-1] != side:
            # The decoder was trained on one size only; every size shows the same view, so that
            # resizing features keeps the framing.
            smaller = x.shape[-1] > side
            x = F.interpolate(
                x, (side, side), mode="bilinear", align_corners=False, antialias=smaller
            )
        rows = w[self.config.renderer_rows :, : self.config.decoder_style_dim]
        rows = rows.to(self.device, torch.float32)
        # Channels innermost, as the volume gives them, saves a CPU a quarter of the decoder; the
        # kernels for GPUs read rows of pixels.
        rows_first = reaches(x.device)
        x = x.contiguous() if rows_first else x.contiguous(memory_format=torch.channels_last)

        def picture(x: Tensor, rows: Tensor) -> Tensor:
            drawn: Tensor = decoder(x, rows, lambda layer: self._noise(layer, noise))
            return drawn

        return replayed("stylesdf", decoder, picture, (x, rows), noise)

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        """See :meth:`Generator.render`. Timings: map, volume, upsample, normals."""
        watch = Stopwatch(self.device)
        matrix = torch.from_numpy(_AXES.from_ours(camera.cam2world))
        cam2world = matrix.to(self.device, torch.float32)
        side = quality.neural_resolution or self.config.render_size
        upsample = quality.upsample and self.network.decoder is not None
        cancel.check()
        with exact(self.device):
            with watch.stage("map"):
                film = self._film(w)
            with watch.stage("volume"):
                rays = picture_rays(
                    cam2world,
                    camera.fov_y,
                    side,
                    depth_limits(matrix, self.config.half_depth),
                    self._samples(quality.samples),
                    bool(self.settings["static_view"]),
                )
                volume = render(
                    film, rays, upsample, cancel.check, self.grids.find(w) or EVERYWHERE
                )
            raw = unit_picture(volume.rgb)
            depth = volume.z * rays.lengths.reshape(side, side)
            alpha = (1.0 - volume.background).clamp(0.0, 1.0)
            rgb = raw
            if upsample:
                cancel.check()
                with watch.stage("upsample"):
                    rgb = unit_picture(self._decode(volume, w, str(self.settings["noise"])))
            normal: Tensor | None = None
            if quality.normals:
                with watch.stage("normals"):
                    directions = rays.unit.reshape(side, side, 3)
                    origins = rays.origin.expand_as(directions)
                    normal = normals_from_depth(depth, alpha, origins, directions)
        return Frame(rgb, raw, depth, alpha, normal, watch.seconds)

    # Golden sets -----------------------------------------------------------------------------

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        """See :meth:`Generator.golden_case`.

        Options that are understood: ``fov_y`` (full angle), ``near`` and ``far`` (along the
        camera's axis), ``samples``, ``noise``, ``neural_resolution``, ``mix_from_layer`` (of
        the decoder: the renderer keeps the first style) with the latent ``z_mix``; the latents
        ``mean_renderer`` and ``mean_decoder`` are the averages of truncation. ``xyz`` is the
        mean point that a ray sees, in the world.

        Raises:
            UserError: the case asks for what this family cannot draw.
        """
        options, config = case.options, self.config
        w = self._golden_w(case)
        film = self._film(w)
        if case.points is not None:
            return {"density": SDFField(film, config.half_depth, self.device).density(case.points)}
        if case.cam2world is None:
            raise UserError(f"Golden case {case.name!r} has neither a camera nor points.")
        noise = str(options.get("noise", "stored"))
        if noise not in NOISES:
            raise UserError(
                f"Golden case {case.name!r} asks for noise {noise!r}; StyleSDF has "
                f"{', '.join(NOISES)}."
            )
        near, far = depth_limits(case.cam2world, config.half_depth)
        rays = picture_rays(
            case.cam2world.to(self.device, torch.float32),
            float(options.get("fov_y", config.fov_y)),
            int(options.get("neural_resolution", config.render_size)),
            (float(options.get("near", near)), float(options.get("far", far))),
            int(options.get("samples", self._samples(1.0))),
        )
        with exact(self.device):
            grid = self.grids.find(w) or EVERYWHERE
            volume = render(film, rays, self.network.decoder is not None, grid=grid)
            side = rays.side
            z = volume.z.reshape(-1, 1)
            drawn = {
                "raw": volume.rgb,
                "rgb": volume.rgb,
                "xyz": (rays.origin + z * rays.directions).T.reshape(3, side, side),
                "depth": (volume.z * rays.lengths.reshape(side, side))[None],
            }
            if self.network.decoder is not None:
                drawn["rgb"] = self._decode(volume, w, noise)[0]
        return drawn

    def _golden_w(self, case: GoldenCase) -> Tensor:
        def style(name: str) -> Tensor:
            if name not in case.latents:
                raise UserError(f"Golden case {case.name!r} has no latent {name!r}.")
            return case.latents[name].reshape(-1).to(self.device, torch.float32)

        means: Means | None = None
        if case.psi != 1.0:
            own = None if self.network.decoder is None else style("mean_decoder")
            means = Means(style("mean_renderer"), own)
        w = self._map(style("z"), case.psi, case.cutoff, means)
        first = case.options.get("mix_from_layer")
        if first is None:
            return w
        row = self.config.renderer_rows + int(first)
        other = self._map(style("z_mix"), case.psi, case.cutoff, means)
        return torch.cat([w[:row], other[row:]])


def build(config: dict[str, Any], tensors: Mapping[str, Tensor], device: torch.device) -> StyleSDF:
    """Options and tensors -> a model that draws.

    Raises:
        CheckpointError: options that contradict each other, or tensors that are missing,
            not part of StyleSDF, of the wrong shape or not finite.
    """
    options = read_config(StyleSDFConfig.from_json, config)
    network = load_strictly("StyleSDF", lambda: StyleSDFNetwork(options), tensors, device)
    return StyleSDF(network, device)


def swappable(config: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The decoder's sizes, without their noise: renderer and mappings stay."""
    options = StyleSDFConfig.from_json(config)
    if options.decoder_channels is None:
        return {}
    layers: dict[str, tuple[str, ...]] = {
        str(options.render_size): ("decoder.conv1.", "decoder.to_rgb1.")
    }
    for index in range(options.doublings):
        names = (f"convs.{2 * index}.", f"convs.{2 * index + 1}.", f"to_rgbs.{index}.")
        layers[str(options.render_size << index + 1)] = tuple(f"decoder.{n}" for n in names)
    return layers


FAMILY = Family(
    name="stylesdf",
    title="StyleSDF (Or-El et al. 2022)",
    matches=matches,
    source=source,
    build=build,
    network=lambda config: StyleSDFNetwork(StyleSDFConfig.from_json(config)),
    released={name: config.to_json() for name, config in RELEASED.items()},
    swappable=swappable,
)
