"""The pi-GAN family: authors' files, and drawing with a trained model.

Chan, Monteiro, Kellnhofer, Wu and Wetzstein, "pi-GAN: Periodic Implicit Generative Adversarial
Networks for 3D-Aware Image Synthesis" (2021), as released (CelebA, Cats, CARLA). Every pixel is
a ray through one sine network; there is no upsampler, so a picture has any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.camera import FAMILY_AXES, Camera, OrbitPose
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.frame import Frame, normals_from_depth
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality
from engine.generators.evaluation import Stopwatch, by_chunks, exact
from engine.generators.loading import load_strictly, read_config
from engine.generators.memo import LastFew
from engine.generators.pigan_capabilities import settings_of
from engine.generators.pigan_config import DATA_SETS, RELEASED, PiGANConfig
from engine.generators.pigan_network import ModulatedSiren, PiGANNetwork
from engine.generators.pigan_source import matches, source
from engine.generators.registry import Family
from engine.kernels.field import packed_once, try_evaluate
from engine.kernels.graphs import places
from engine.kernels.launch import reaches
from engine.rendering.nerf_march import March, PointField, march_in_chunks, unit_rays
from engine.rendering.occupancy import EVERYWHERE, Survey, level_below, paid_after, reach

__all__ = ["FAMILY", "RELEASED", "PiGAN", "PiGANConfig", "PiGANField", "PiGANNetwork"]

_AXES = FAMILY_AXES["pigan"]
#: Identities whose modulated layers stay in memory (2.3 MB each at full size).
_CACHED_LAYERS = 4
#: Cells of a face's grid along one axis, and points that are looked at in one slice (7 ms).
_SURVEY_CELLS, _SURVEY_POINTS = 64, 1 << 9
#: See :func:`~engine.rendering.occupancy.paid_after`.
_SURVEY_COST = 3.0
#: The direction of every ray where the colour must not depend on the view: straight ahead.
_AHEAD = (0.0, 0.0, -1.0)
#: Distance of the camera that the limits of the rays are stated for.
_RADIUS = 1.0


class PiGANField(Field):
    """The radiance field of one identity.

    Args:
        siren: its layers.
        half: half the side of its box, world units.
        locked: colours are those seen from the front, whatever the directions.
    """

    def __init__(self, siren: ModulatedSiren, half: float, locked: bool = False) -> None:
        self._siren, self._locked = siren, locked
        self._device = siren.color_bias.device
        corner = torch.full((3,), half, device=self._device)
        self.bounds = (-corner, corner)

    def density(self, points: Tensor) -> Tensor:
        """``[N, 3]`` -> ``[N]`` raw density (before relu), on the points' device."""
        siren = self._siren
        return by_chunks(
            _theirs(points), self._device, lambda p: siren.densities(siren.features(p))
        )

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """``[N, 3]`` -> ``[N, 3]`` in ``[0, 1]``, seen along unit ``directions`` ``[N, 3]``
        (away from the eye); without them straight from the front."""
        siren = self._siren
        ahead = torch.tensor([_AHEAD], device=self._device)
        if directions is None or self._locked:
            return by_chunks(
                _theirs(points), self._device, lambda p: siren.colors(siren.features(p), ahead)
            )
        both = torch.cat([_theirs(points), _theirs(directions).to(points)], dim=1)
        return by_chunks(
            both, self._device, lambda p: siren.colors(siren.features(p[:, :3]), p[:, 3:])
        )


def _theirs(points: Tensor) -> Tensor:
    """Points or directions of our world in the authors'; both have +Y up and the face at +Z."""
    turn = torch.from_numpy(_AXES.world_rotation).to(points)
    return points if torch.equal(turn, torch.eye(3).to(turn)) else points @ turn


class PiGAN(Generator):
    """A trained pi-GAN model, ready to draw.

    Args:
        network: with its tensors loaded, on ``device``.
        device: where it computes.
    """

    def __init__(self, network: PiGANNetwork, device: torch.device) -> None:
        self.network = network.eval().requires_grad_(False)
        self.config = config = network.config
        self.device = device
        self._average: Tensor | None = None
        self._layers: LastFew[ModulatedSiren] = LastFew(_CACHED_LAYERS)
        data, thirds = config.data, (config.rows // 3, 2 * config.rows // 3)
        half = data.half
        no_upsampler = "pi-GAN draws every pixel itself; there is no upsampler to leave out."
        self.capabilities = Capabilities(
            family="pigan",
            z_dim=config.z_dim,
            num_ws=config.rows,
            w_dim=2 * config.hidden,
            resolution=config.resolution,
            neural_resolution=config.resolution,
            samples_per_ray=2 * config.steps,
            default_pose=OrbitPose(pitch=data.pitch, radius=_RADIUS, fov_y=data.fov_y),
            bounds=((-half, -half, -half), (half, half, half)),
            mesh_level=config.mesh_level,
            view_modes=("picture", "depth", "normals", "opacity"),
            absent={
                "conditioning": "This model's identities do not depend on a camera.",
                "upsample": no_upsampler,
                "raw": "Without an upsampler, the raw picture is the picture.",
            },
            layer_groups={
                "coarse": (0, thirds[0]),
                "middle": thirds,
                "fine": (thirds[1], config.rows),
                "shape": (0, config.layers),
                "appearance": (config.layers, config.rows),
            },
            yaw_range=data.yaw_range,
            pitch_range=data.pitch_range,
            settings=settings_of(config),
        )

    def settings_changed(self) -> None:
        """The box of the field follows the limits of the rays."""
        half = DATA_SETS[str(self.settings["range"])].half
        self.capabilities = replace(
            self.capabilities, bounds=((-half, -half, -half), (half, half, half))
        )

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        """See :meth:`Generator.map`. Rows hold what the mapping puts out: 256 frequencies,
        which the field takes times 15 plus 30, then 256 phases."""
        z = self.checked_latent(z)
        if psi != 1.0 and self._average is None:
            with exact(self.device):
                self._average = self.network.average()
        return self._truncated(z, psi, cutoff, self._average)

    def _truncated(
        self, z: Tensor, psi: float, cutoff: int | None, average: Tensor | None
    ) -> Tensor:
        with exact(self.device):
            mapping = self.network.siren.mapping_network
            w = self.network.rows(mapping(z.to(self.device, torch.float32)[None])[0])
            if psi != 1.0 and average is not None:
                rows = slice(None, cutoff)
                w[rows] = average[rows].lerp(w[rows], psi)
        return w

    def siren(self, w: Tensor) -> ModulatedSiren:
        """The layers of ``w`` ``[num_ws, w_dim]``; the last few are kept.

        Raises:
            UserError: ``w`` has another shape.
        """
        with exact(self.device):
            return self._layers.get(self.checked_rows(w), self.network.modulated)

    def field(self, w: Tensor) -> PiGANField:
        """The radiance field of ``w`` ``[num_ws, w_dim]``."""
        half = self.capabilities.bounds[1][0]
        return PiGANField(self.siren(w), half, bool(self.settings["lock_view_dependence"]))

    def survey(self, w: Tensor) -> Survey | None:
        """See :meth:`Generator.survey`."""
        siren, data = self.siren(w), DATA_SETS[str(self.settings["range"])]
        return Survey(
            lambda points: siren.densities(siren.features(points)),
            reach(data.half, _RADIUS, data.fov_y),
            _SURVEY_CELLS,
            level_below(data.far - data.near, "relu"),
            _SURVEY_POINTS,
        )

    def survey_pays_after(self, quality: Quality) -> float:
        """See :meth:`Generator.survey_pays_after`."""
        side, march = quality.neural_resolution or self.config.resolution, self.march(_RADIUS)
        each = march.scaled(quality.samples)
        return paid_after(_SURVEY_COST, _SURVEY_CELLS, side**2 * (each.coarse + each.fine))

    def march(self, distance: float, samples: float = 1.0) -> March:
        """How rays are marched with the present settings from a camera at ``distance``."""
        data, steps = DATA_SETS[str(self.settings["range"])], int(self.settings["steps"])
        march = March(
            data.near,
            data.far,
            steps,
            steps,
            last_back=bool(self.settings["last_back"]),
            white_back=self.config.white_back,
        )
        return march.scaled(samples).shifted(distance - _RADIUS)

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        """See :meth:`Generator.render`. Timings: map (modulating the layers), volume, normals."""
        watch = Stopwatch(self.device)
        side = quality.neural_resolution or self.config.resolution
        march = self.march(float(np.linalg.norm(camera.position)), quality.samples)
        cancel.check()
        with exact(self.device):
            with watch.stage("map"):
                siren = self.siren(w)
            cam2world = torch.from_numpy(_AXES.from_ours(camera.cam2world))
            with watch.stage("volume"):
                origin, directions = (
                    rays.to(self.device, torch.float32)
                    for rays in unit_rays(
                        cam2world, camera.fov_y, side, side, self.config.resolution
                    )
                )
                locked = bool(self.settings["lock_view_dependence"])
                marched = march_in_chunks(
                    _point_field(siren, locked),
                    origin,
                    directions,
                    march,
                    cancel.check,
                    grid=self.grids.find(w) or EVERYWHERE,
                    owner=siren,
                    key=(locked, places(siren.density, siren.rgb)),
                )
            rgb = marched.features.clamp(0.0, 1.0).reshape(side, side, 3)
            depth = marched.expected_depth(march.far).reshape(side, side)
            alpha = marched.opacity.reshape(side, side)
            normal: Tensor | None = None
            if quality.normals:
                with watch.stage("normals"):
                    turn = torch.from_numpy(_AXES.world_rotation).to(directions)
                    ways = (directions @ turn.T).reshape(side, side, 3)
                    normal = normals_from_depth(depth, alpha, (turn @ origin).expand_as(ways), ways)
        return Frame(rgb, rgb, depth, alpha, normal, watch.seconds)

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        """See :meth:`Generator.golden_case`.

        Options that are understood: ``fov_y``, ``near``, ``far``, ``samples`` (coarse and
        fine), ``last_back``, ``white_back``, ``lock_view_dependence``, ``mix_from_layer`` with
        the latent ``z_mix``; the latents ``avg_freq`` and ``avg_phase`` are the averages.

        Raises:
            UserError: the case asks for what this family cannot draw.
        """
        options, data = case.options, self.config.data
        with exact(self.device):
            w = self._golden_w(case)
            if case.points is not None:
                points = case.points.to(self.device, torch.float32)
                return {"density": self.network.density(w, points)}
            if case.cam2world is None or case.side is None:
                raise UserError(f"Golden case {case.name!r} has neither a camera nor points.")
            steps = options.get("samples", [self.config.steps] * 2)
            march = March(
                float(options.get("near", data.near)),
                float(options.get("far", data.far)),
                int(steps[0]),
                int(steps[1]),
                last_back=bool(options.get("last_back", self.config.last_back)),
                white_back=bool(options.get("white_back", self.config.white_back)),
            )
            fov_y = float(options.get("fov_y", data.fov_y))
            origin, directions = (
                rays.to(self.device, torch.float32)
                for rays in unit_rays(case.cam2world.double(), fov_y, case.side, case.side)
            )
            locked = bool(options.get("lock_view_dependence", self.config.lock_view_dependence))
            field = _point_field(self.network.modulated(w), locked)
            grid = self.grids.find(w) or EVERYWHERE
            marched = march_in_chunks(field, origin, directions, march, grid=grid)
        side = case.side
        rgb = (marched.features * 2.0 - 1.0).T.reshape(3, side, side)
        return {"rgb": rgb, "depth": marched.depth.reshape(1, side, side)}

    def _golden_w(self, case: GoldenCase) -> Tensor:
        latents = case.latents
        if "z" not in latents:
            raise UserError(
                f"Golden case {case.name!r} has no latent 'z', which pi-GAN draws from."
            )
        average: Tensor | None = None
        if {"avg_freq", "avg_phase"} <= set(latents):
            both = torch.cat([latents["avg_freq"].reshape(-1), latents["avg_phase"].reshape(-1)])
            average = self.network.rows(both.to(self.device, torch.float32))
        elif case.psi != 1.0:
            average = self.network.average()

        def mapped(z: Tensor) -> Tensor:
            return self._truncated(z.reshape(-1), case.psi, case.cutoff, average)

        w = mapped(latents["z"])
        first = case.options.get("mix_from_layer")
        if first is None:
            return w
        if "z_mix" not in latents:
            raise UserError(f"Golden case {case.name!r} mixes styles but has no latent 'z_mix'.")
        return torch.cat([w[: int(first)], mapped(latents["z_mix"])[int(first) :]])


def _point_field(siren: ModulatedSiren, locked: bool) -> PointField:
    """The field as the march asks for it. It may be recorded, so that it reads what ``siren`` holds and nothing
    that was made besides, nor copies from the processor's memory."""

    def evaluate(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        packed = None
        if reaches(points.device):
            packed = packed_once(siren.color_weight, siren.point_layers)
        seen, each = directions, 1
        if locked:
            seen, each = points.new_zeros(1, 3), len(points)
            seen[:, 2] = _AHEAD[2]
        quick = try_evaluate(packed, points, seen, each, ("density", "colour"))
        if quick is not None and quick.density is not None and quick.colour is not None:
            return quick.density, quick.colour
        features = siren.features(points)
        colors = siren.colors(features, seen)
        return siren.densities(features), colors

    return evaluate


def build(config: dict[str, Any], tensors: Mapping[str, Tensor], device: torch.device) -> PiGAN:
    """Options and tensors -> a model that draws.

    Raises:
        CheckpointError: options that contradict each other, or tensors that are missing, not
            part of pi-GAN, of the wrong shape or not finite.
    """
    options = read_config(PiGANConfig.from_json, config)
    return PiGAN(load_strictly("pi-GAN", lambda: PiGANNetwork(options), tensors, device), device)


def swappable(config: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The sine layers from the first, the density they end in, and the colour; the mapping stays."""
    count = PiGANConfig.from_json(config).layers
    return {
        **{str(index + 1): (f"siren.network.{index}.",) for index in range(count)},
        "density": ("siren.final_layer.",),
        "colour": ("siren.color_layer_sine.", "siren.color_layer_linear."),
    }


FAMILY = Family(
    name="pigan",
    title="pi-GAN (Chan, Monteiro et al. 2021)",
    matches=matches,
    source=source,
    build=build,
    network=lambda config: PiGANNetwork(PiGANConfig.from_json(config)),
    released={name: config.to_json() for name, config in RELEASED.items()},
    swappable=swappable,
)
