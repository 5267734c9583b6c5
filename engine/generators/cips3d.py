"""The CIPS-3D family: authors' files, and drawing with a trained model.

Zhou et al., "CIPS-3D" (2021), as released (FFHQ, AFHQ, cartoons). A ray is marched through a
shallow NeRF into features, and an implicit network turns them into the pixel's colour: no pixel
knows another, so that any part of a picture can be drawn at any size.

The latent z is the NeRF's (256) followed by the INR's (512). A w has one row for each sine layer
of the NeRF ("w0", "w1", "rgb") and two for each block of the INR ("4" to "1024"); the NeRF's
rows are narrower and padded with zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from engine.camera import FAMILY_AXES, Camera
from engine.errors import UserError
from engine.frame import Frame, normals_from_depth
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality
from engine.generators.cips3d_capabilities import capabilities_of
from engine.generators.cips3d_network import CIPS3DNetwork, Styled
from engine.generators.cips3d_source import FIRST_COLOUR, CIPS3DConfig, matches, source
from engine.generators.evaluation import Stopwatch, by_chunks, exact, frozen_mean, unit_picture
from engine.generators.loading import load_strictly, read_config
from engine.generators.memo import LastFew
from engine.generators.registry import Family
from engine.kernels.graphs import places, replayed
from engine.rendering.nerf_march import March, Marched, march_in_chunks, unit_rays
from engine.rendering.occupancy import Occupancy, Survey, level_below, paid_after, reach

__all__ = ["CIPS3D", "FAMILY", "RELEASED", "CIPS3DConfig", "CIPS3DNetwork", "PixelField"]

#: Only the columns of a camera differ from ours: the authors' world is right, up, back as well.
_AXES = FAMILY_AXES["cips3d"]
#: Identities whose styled weights stay in memory (18 MB each at full size).
_KEPT = 4
#: Pixels that are drawn at once, by kind of device.
TILE_PIXELS: dict[str, int] = {"cpu": 1 << 11, "cuda": 1 << 16}
#: Cells of a face's grid along one axis, and points that are looked at in one slice (10 ms).
_SURVEY_CELLS, _SURVEY_POINTS = 64, 1 << 12
#: See :func:`~engine.rendering.occupancy.paid_after`.
_SURVEY_COST = 2.5
#: The release's models: all of one size.
RELEASED: dict[str, CIPS3DConfig] = {"ffhq-256": CIPS3DConfig()}


class PixelField(Field):
    """The radiance field of one identity. A point's colour is that of a pixel whose ray meets
    nothing but this point."""

    def __init__(self, network: CIPS3DNetwork, styled: Styled, device: torch.device) -> None:
        self._network, self._styled, self._device = network, styled, device
        corner = torch.full((3,), network.config.box / 2.0, device=device)
        self.bounds = (-corner, corner)

    def density(self, points: Tensor) -> Tensor:
        """``[N, 3]`` -> ``[N]`` raw density, on the points' device."""
        siren, films = self._network.siren, self._styled.films
        return by_chunks(points, self._device, lambda part: siren.density(films, part))

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """``[N, 3]`` -> ``[N, 3]`` in ``[0, 1]``; the field does not depend on directions."""
        network, styled = self._network, self._styled

        def colours(part: Tensor) -> Tensor:
            features = network.siren.features(network.siren(styled.films, part)[1])
            picture: Tensor = network.inr_net(styled.weights, features)
            return picture * 0.5 + 0.5

        return by_chunks(points, self._device, colours)


class CIPS3D(Generator):
    """A trained CIPS-3D model, ready to draw.

    Args:
        network: with its tensors loaded, on ``device``.
        device: where it computes.
    """

    def __init__(self, network: CIPS3DNetwork, device: torch.device) -> None:
        self.network = network.eval().requires_grad_(False)
        self.config = config = network.config
        self.device = device
        self._styled: LastFew[Styled] = LastFew(_KEPT)
        self._means: tuple[Tensor, Tensor] | None = None
        self.capabilities = capabilities_of(config)

    # Latents --------------------------------------------------------------------------------

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        """See :meth:`Generator.map`; ``z`` is the NeRF's latent, then the INR's."""
        return self._map(self.checked_latent(z), psi, cutoff, None)

    def _map(
        self, z: Tensor, psi: float, cutoff: int | None, means: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        network = self.network
        with exact(self.device):
            z = z.to(self.device, torch.float32)
            nerf, inr = network.latents(z)
            w = network.rows(
                network.mapping_network_nerf(nerf[None])[0],
                network.mapping_network_inr(inr[None])[0],
            )
            if psi == 1.0:
                return w
            average = network.rows(*(m.to(w) for m in means or self._average()))
            return torch.cat([average.lerp(w, psi)[:cutoff], w[len(w[:cutoff]) :]])

    def _average(self) -> tuple[Tensor, Tensor]:
        """Mean styles of the NeRF and of the INR, frozen: the authors draw new ones for every
        picture."""
        if self._means is None:
            network, config = self.network, self.config
            self._means = (
                frozen_mean(network.mapping_network_nerf, config.z_nerf_dim),
                frozen_mean(network.mapping_network_inr, config.z_inr_dim),
            )
        return self._means

    def styled(self, w: Tensor) -> Styled:
        """What the networks need of ``w`` ``[num_ws, w_dim]``; the last few are kept.

        Raises:
            UserError: ``w`` has another shape.
        """
        with exact(self.device):
            return self._styled.get(self.checked_rows(w), self.network.styled)

    # Drawing --------------------------------------------------------------------------------

    def field(self, w: Tensor) -> PixelField:
        """The radiance field of ``w`` ``[num_ws, w_dim]``; raw density and colours without view dependence."""
        return PixelField(self.network, self.styled(w), self.device)

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        """See :meth:`Generator.render`. ``raw`` is the auxiliary picture, which the NeRF's
        features give without the INR; all pictures have the neural resolution's side, and
        ``upsample`` turns the INR off. Timings: map, volume (NeRF and INR), normals."""
        watch, config = Stopwatch(self.device), self.config
        side = quality.neural_resolution or config.img_resolution
        cancel.check()
        with exact(self.device):
            with watch.stage("map"):
                styled = self.styled(w)
            with watch.stage("volume"):
                matrix = torch.from_numpy(_AXES.from_ours(camera.cam2world)).float()
                origin, directions = unit_rays(
                    matrix.to(self.device), camera.fov_y, side, side, config.img_resolution
                )
                distance = float(matrix[:3, 3].norm())
                march = self._march().scaled(quality.samples).shifted(distance - config.radius)
                count = blocks_of(config.inr_blocks, quality.blocks) if quality.upsample else 0
                grid = self.grids.find(w)
                drawn = self._draw(styled, origin, directions, march, count, cancel, grid)
            rgb, raw = (unit_picture(p.T.reshape(3, side, side)) for p in drawn[:2])
            depth, alpha = (plane.reshape(side, side) for plane in (drawn[3], drawn[4]))
            normal: Tensor | None = None
            if quality.normals:
                with watch.stage("normals"):
                    rays = directions.reshape(side, side, 3)
                    normal = normals_from_depth(depth, alpha, origin.expand_as(rays), rays)
        return Frame(rgb if quality.upsample else raw, raw, depth, alpha, normal, watch.seconds)

    def survey(self, w: Tensor) -> Survey | None:
        """See :meth:`Generator.survey`."""
        config, march, styled = self.config, self._march(), self.styled(w)
        slab = 0.5 * (march.far - march.near)
        return Survey(
            lambda points: self.network.siren.density(styled.films, points),
            reach(slab, config.radius, config.fov_y),
            _SURVEY_CELLS,
            level_below(2.0 * slab, march.activation),
            _SURVEY_POINTS,
        )

    def survey_pays_after(self, quality: Quality) -> float:
        """See :meth:`Generator.survey_pays_after`."""
        side = quality.neural_resolution or self.config.img_resolution
        march = self._march().scaled(quality.samples)
        return paid_after(_SURVEY_COST, _SURVEY_CELLS, side**2 * (march.coarse + march.fine))

    def _march(self) -> March:
        """As the settings say."""
        settings = self.settings
        count = int(settings["samples_per_pass"])
        return replace(
            self.config.march(),
            coarse=count,
            fine=count,
            last_back=bool(settings["last_back"]),
            white_back=bool(settings["white_back"]),
            activation=settings["activation"],  # type: ignore[arg-type]
        )

    def _draw(
        self,
        styled: Styled,
        origin: Tensor,
        directions: Tensor,
        march: March,
        blocks: int,
        cancel: CancelToken = NEVER,
        grid: Occupancy | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Pixels of ``[N, 3]`` unit rays from one origin, a tile at a time.

        Args:
            blocks: of the INR that run; 0 leaves it out.
            grid: where the NeRF is empty, if that is known.

        Returns:
            ``[N, 3]`` picture (the auxiliary one without ``blocks`` of the INR) and auxiliary picture in
            [-1, 1], ``[N]`` depth as it is summed up, expected depth, and opacity.
        """
        network = self.network

        def look(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
            seen: tuple[Tensor, Tensor] = network.siren(styled.films, points)
            return seen

        # White belongs to the features, which follow from the sums of activations.
        black = replace(march, white_back=False)
        lie = places(network.siren)
        parts: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []
        for tile in torch.split(directions, TILE_PIXELS.get(directions.device.type, 1 << 14)):
            ray = march_in_chunks(
                look, origin, tile, black, cancel.check, grid=grid, owner=styled, key=lie
            )
            cancel.check()
            rgb, raw = self._pixels(styled, ray, march.white_back, blocks)
            parts.append((rgb, raw, ray.depth, ray.expected_depth(march.far), ray.opacity))
        rgb, raw, depth, expected, opacity = (torch.cat(p) for p in zip(*parts, strict=True))
        return rgb, raw, depth, expected, opacity

    def _pixels(
        self, styled: Styled, ray: Marched, white_back: bool, blocks: int
    ) -> tuple[Tensor, Tensor]:
        """``[N, 3]`` picture and auxiliary picture, see :meth:`_draw`, of what N rays bring back."""
        network = self.network

        def work(hidden: Tensor, weight_sum: Tensor, opacity: Tensor) -> tuple[Tensor, Tensor]:
            features = network.siren.features(hidden, weight_sum[:, None])
            if white_back:
                features = features + (1.0 - weight_sum)[:, None]
            raw = network.over_backdrop(network.auxiliary(features), opacity)
            if not blocks:
                return raw, raw
            pixels = network.inr_net(styled.weights, features, blocks)
            return network.over_backdrop(pixels, opacity), raw

        inputs = (ray.features, ray.weight_sum, ray.opacity)
        if not blocks or network.inr_net.by_kernel(styled.weights):
            return work(*inputs)  # a handful of launches
        lie = places(network.siren, network.aux_to_rbg, network.inr_net.to_rgbs)
        return replayed("cips3d pixels", styled, work, inputs, (white_back, blocks, lie))

    # Verification ---------------------------------------------------------------------------

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        """See :meth:`Generator.golden_case`.

        Latents: ``z_nerf``, ``z_inr``; ``avg_nerf``, ``avg_inr`` for truncation;
        ``z_nerf_mix`` and ``z_inr_mix`` (the first where absent) with ``mix_from_layer``. Options:
        ``fov_y``, ``near``, ``far``, ``samples``, ``last_back``, ``white_back``, ``activation``.

        Raises:
            UserError: the case asks for what this family cannot draw.
        """
        options, config = case.options, self.config
        w = self._golden_w(case)
        with exact(self.device):
            if case.points is not None:
                points = case.points.to(self.device, torch.float32)
                return {"density": self.network.siren.density(self.styled(w).films, points)}
            if case.cam2world is None:
                raise UserError(f"Golden case {case.name!r} has neither a camera nor points.")
            coarse, fine = options.get("samples", [config.samples_per_pass] * 2)
            march = March(
                float(options.get("near", config.near)),
                float(options.get("far", config.far)),
                int(coarse),
                int(fine),
                bool(options.get("last_back", config.last_back)),
                bool(options.get("white_back", config.white_back)),
                options.get("activation", config.activation),
            )
            side = case.side or config.img_resolution
            fov_y = float(options.get("fov_y", config.fov_y))
            matrix = case.cam2world.to(self.device, torch.float32)
            rays = unit_rays(matrix, fov_y, side, side)
            rgb, raw, depth, _, _ = self._draw(
                self.styled(w), *rays, march, config.inr_blocks, grid=self.grids.find(w)
            )
        return {
            "rgb": rgb.T.reshape(3, side, side),
            "raw": raw.T.reshape(3, side, side),
            "depth": depth.reshape(1, side, side),
        }

    def _golden_w(self, case: GoldenCase) -> Tensor:
        latents = case.latents
        if missing := sorted({"z_nerf", "z_inr"} - set(latents)):
            raise UserError(f"Golden case {case.name!r} has no latent {missing[0]!r}.")
        means = None
        if {"avg_nerf", "avg_inr"} <= set(latents):
            means = (latents["avg_nerf"].reshape(-1), latents["avg_inr"].reshape(-1))

        def mapped(end: str) -> Tensor:
            pair = [latents.get(name + end, latents[name]) for name in ("z_nerf", "z_inr")]
            z = torch.cat([part.reshape(-1) for part in pair])
            if z.shape != (self.capabilities.z_dim,):
                raise UserError(f"The latents of golden case {case.name!r} do not fit the model.")
            return self._map(z, case.psi, case.cutoff, means)

        first = case.options.get("mix_from_layer")
        w = mapped("")
        return w if first is None else torch.cat([w[: int(first)], mapped("_mix")[int(first) :]])


def blocks_of(count: int, share: float) -> int:
    """How many of an INR's blocks a share of them is: enough for a colour."""
    return min(count, max(FIRST_COLOUR + 1, round(count * share)))


def build(config: dict[str, Any], tensors: Mapping[str, Tensor], device: torch.device) -> CIPS3D:
    """Options and tensors -> a model that draws.

    Raises:
        CheckpointError: options that contradict each other, or tensors that are missing,
            not part of CIPS-3D, of the wrong shape or not finite.
    """
    options = read_config(CIPS3DConfig.from_json, config)
    return CIPS3D(load_strictly("CIPS-3D", lambda: CIPS3DNetwork(options), tensors, device), device)


def swappable(config: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The INR's blocks and their colours: the NeRF and both mappings stay."""
    return {
        name: (f"inr_net.network.{name}.", f"inr_net.to_rgbs.{name}.")
        for name in CIPS3DConfig.from_json(config).block_names
    }


FAMILY = Family(
    name="cips3d",
    title="CIPS-3D (Zhou et al. 2021)",
    matches=matches,
    source=source,
    build=build,
    network=lambda config: CIPS3DNetwork(CIPS3DConfig.from_json(config)),
    released={name: config.to_json() for name, config in RELEASED.items()},
    swappable=swappable,
)
