"""The StyleNeRF family: authors' files, and drawing with a trained model.

Gu et al., "StyleNeRF: A Style-based 3D-Aware Generator for High-resolution Image Synthesis"
(2022), as released (faces at 256, 512 and 1024 pixels) and the models trained from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.camera import FAMILY_AXES, Camera, OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.errors import UserError
from engine.frame import Frame, normals_from_depth
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality
from engine.generators.evaluation import Stopwatch, by_chunks, exact, unit_picture
from engine.generators.loading import load_strictly, read_config
from engine.generators.memo import LastFew
from engine.generators.registry import Family
from engine.generators.stylenerf_config import RELEASED, StyleNeRFConfig
from engine.generators.stylenerf_field import PointNetwork
from engine.generators.stylenerf_network import Identity, StyleNeRFNetwork
from engine.generators.stylenerf_source import growth_of, matches, source
from engine.generators.stylenerf_upsampler import upsample
from engine.generators.stylenerf_volume import March, Rays, Volume, camera_rays, render_volume
from engine.kernels.graphs import replayed
from engine.kernels.launch import reaches
from engine.kernels.recording import unless_recording

__all__ = ["FAMILY", "RELEASED", "HeadField", "StyleNeRF", "StyleNeRFConfig", "StyleNeRFNetwork"]

_AXES = FAMILY_AXES["stylenerf"]
#: Identities whose folded weights stay in memory (8 MB each at 512 pixels).
_CACHED_IDENTITIES = 6
#: Rows of w that the authors' tools call geometry.
_SHAPE_ROWS = 8


class HeadField(Field):
    """The radiance field of one head, without its background."""

    def __init__(self, head: PointNetwork, half: float) -> None:
        self._head = head
        self._device = head.density[0].device
        self._rotation = torch.tensor(_AXES.world_rotation, dtype=torch.float32)
        corner = torch.full((3,), half, device=self._device)
        self.bounds = (-corner, corner)

    def _hidden(self, points: Tensor) -> Tensor:
        # Rows times the rotation that leads from theirs to ours: from ours to theirs.
        return self._head.hidden(points @ self._rotation.to(points.device))

    def density(self, points: Tensor) -> Tensor:
        """``[N, 3]`` -> ``[N]`` raw density (before its ReLU), on the points' device."""
        return by_chunks(
            points, self._device, lambda part: self._head.raw_density(self._hidden(part))
        )

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """``[N, 3]`` -> ``[N, 3]`` in ``[0, 1]``; the field does not depend on directions."""
        head = self._head

        def colours(part: Tensor) -> Tensor:
            features = F.linear(self._hidden(part), *head.features)
            rgb = head.rgb_of(features, torch.ones_like(features[:, 0]))
            return (rgb * 0.5 + 0.5).clamp(0.0, 1.0)

        return by_chunks(points, self._device, colours)


class StyleNeRF(Generator):
    """A trained StyleNeRF model, ready to draw.

    Args:
        network: with its tensors loaded, on ``device``.
        device: where it computes.
    """

    def __init__(self, network: StyleNeRFNetwork, device: torch.device) -> None:
        self.network = network.eval().requires_grad_(False)
        self.config = config = network.config
        self.device = device
        self._identities: LastFew[Identity] = LastFew(_CACHED_IDENTITIES)
        blocks = len(config.block_channels)
        self._growth = growth_of(float(network.synthesis.alpha)) * blocks
        self._pose = OrbitPose(
            yaw=math.degrees(config.yaw),
            pitch=math.degrees(config.pitch),
            radius=config.radius,
            fov_y=config.fov,
        )
        half = config.half_depth
        reach = 2.0 if config.gaussian_camera else 1.0
        absent = {
            "conditioning": "This family's identities do not depend on a camera.",
        }
        if not self._growth:
            absent["upsample"] = "This model was saved before its upsampler took part in training."
        self.capabilities = Capabilities(
            family="stylenerf",
            z_dim=config.z_dim + config.z_dim_bg,
            num_ws=config.num_ws,
            w_dim=config.row_width,
            resolution=config.resolution_vol * 2 ** math.ceil(self._growth),
            neural_resolution=config.resolution_vol,
            samples_per_ray=config.n_ray_samples * (2 if config.hierarchical else 1)
            + (config.n_bg_samples if config.background else 0),
            default_pose=self._pose,
            bounds=((-half, -half, -half), (half, half, half)),
            mesh_level=config.mesh_level,
            absent=absent,
            layer_groups=_layer_groups(config),
            yaw_range=_range(config.yaw, config.yaw_spread * reach, 180.0),
            pitch_range=_range(config.pitch, config.pitch_spread * reach, 89.0),
            settings=_settings(config),
        )

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        """See :meth:`Generator.map`. ``z`` is the head's latent, then the background's, which
        truncation leaves alone; ``conditioning`` is ignored."""
        config, z = self.config, self.checked_latent(z)
        with exact(self.device):
            label = None
            if config.c_dim:
                label = torch.zeros(config.c_dim, device=self.device)
                label[int(self.settings["label"])] = 1.0
            return self.network.map(z, label, psi, cutoff)

    def identity(self, w: Tensor) -> Identity:
        """What ``w`` ``[num_ws, w_dim]`` makes of the network; the last few are kept.

        Raises:
            UserError: ``w`` has another shape.
        """
        noise, rows = bool(self.settings.get("noise", True)), self.checked_rows(w)
        # Two views side by side may differ in nothing else.
        key = torch.cat([rows.reshape(-1), rows.new_full((1,), float(noise))])
        with exact(self.device):
            return self._identities.get(key, lambda _: self.network.identity(rows, noise))

    def field(self, w: Tensor) -> HeadField:
        """The field of the head that ``w`` ``[num_ws, w_dim]`` stands for; its background is no part of it."""
        return HeadField(self.identity(w).head, self.config.half_depth)

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        """See :meth:`Generator.render`. Timings: map, volume, upsample, normals.

        The upsampler always works at the size that it was trained on: another neural resolution
        is brought to that first, so that the picture's size and framing do not change.
        """
        watch = Stopwatch(self.device)
        config, side = self.config, quality.neural_resolution or self.config.resolution_vol
        cam2world = self._authors(camera)
        # The same slab of the world around the origin, wherever the camera stands.
        distance = float((cam2world[:3, 3] * cam2world[:3, 2]).sum())
        if reaches(self.device):
            # Turning a head changes its last digits, and a recording is made for one distance.
            distance = round(distance, 5)
        march = self._march().scaled(quality.samples).seen_from(distance, config.radius)
        cancel.check()
        with exact(self.device):
            with watch.stage("map"):
                identity = self.identity(w)
            with watch.stage("volume"):
                volume = self._volume(identity, cam2world, camera.fov_y, side, march, cancel)
            raw = unit_picture(volume.rgb)
            rgb = raw
            if quality.upsample and self._growth:
                with watch.stage("upsample"):
                    rgb = unit_picture(self._picture(identity, volume, cancel))
            normal: Tensor | None = None
            if quality.normals:
                with watch.stage("normals"):
                    world = torch.tensor(_AXES.world_rotation, dtype=torch.float32)
                    rays = camera_rays(config, cam2world, camera.fov_y, side)
                    unit = F.normalize(rays.directions, dim=-1) @ world.to(self.device).T
                    origin = (world.to(self.device) @ rays.origin).expand_as(unit)
                    normal = normals_from_depth(volume.depth, volume.alpha, origin, unit)
        return Frame(rgb, raw, volume.depth, volume.alpha, normal, watch.seconds)

    def _authors(self, camera: Camera) -> Tensor:
        """``[4, 4]`` matrix of a camera in the authors' world, on the device."""
        return torch.tensor(_AXES.from_ours(camera.cam2world), dtype=torch.float32).to(self.device)

    def _march(self) -> March:
        return replace(
            March.of(self.config),
            hierarchical=bool(self.settings["hierarchical"]),
            across_columns=self.settings.get("unit_features", "columns") == "columns",
        )

    def _volume(
        self,
        identity: Identity,
        cam2world: Tensor,
        fov: float,
        side: int,
        march: March,
        cancel: CancelToken,
    ) -> Volume:
        rays = behind = camera_rays(self.config, cam2world, fov, side)
        if identity.background is not None and self.settings["freeze_bg"]:
            front = self._authors(self._pose.camera())
            behind = camera_rays(self.config, front, fov, side)
        check = unless_recording(cancel.check)

        def drawn(origin: Tensor, ways: Tensor, behind: Tensor, ways_behind: Tensor) -> Volume:
            both = Rays(origin, ways), Rays(behind, ways_behind)
            return render_volume(identity.head, identity.background, *both, march, check)

        return replayed("stylenerf volume", identity, drawn, (*rays, *behind), march)

    def _picture(self, identity: Identity, volume: Volume, cancel: CancelToken) -> Tensor:
        """``[3, H, W]`` of a volume rendering of any size."""
        features, rgb, side = volume.features, volume.rgb, self.config.resolution_vol
        if features.shape[-1] != side:
            features, rgb = (
                F.interpolate(x[None], (side, side), mode="bilinear", antialias=True)[0]
                for x in (features, rgb)
            )
        residual, growth = not self.config.no_residual_img, self._growth
        check = unless_recording(cancel.check)

        def picture(features: Tensor, rgb: Tensor) -> Tensor:
            return upsample(identity.blocks, features, rgb, residual, growth, check)

        return replayed("stylenerf", identity, picture, (features, rgb), (residual, growth))

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        """See :meth:`Generator.golden_case`.

        Latents: ``z``, ``z_shape_bg`` and, with the option ``mix_from_layer``, ``z_mix``.
        Options that are understood: ``fov_y``, ``near``, ``far``.

        Raises:
            UserError: the case asks for what this family cannot draw.
        """
        config, options = self.config, case.options
        identity = self.identity(self._golden_w(case))
        with exact(self.device):
            if case.points is not None:
                head = identity.head
                points = case.points.to(self.device, torch.float32)
                return {"density": head.raw_density(head.hidden(points))}
            if case.cam2world is None:
                raise UserError(f"Golden case {case.name!r} has neither a camera nor points.")
            march = replace(
                self._march(),
                near=float(options.get("near", config.depth_near)),
                far=float(options.get("far", config.depth_far)),
            )
            cam2world = case.cam2world.to(self.device, torch.float32)
            fov = float(options.get("fov_y", config.fov))
            volume = self._volume(identity, cam2world, fov, config.resolution_vol, march, NEVER)
            return {"rgb": self._picture(identity, volume, NEVER), "raw": volume.rgb}

    def _golden_w(self, case: GoldenCase) -> Tensor:
        def mapped(name: str) -> Tensor:
            parts = [name, *(["z_shape_bg"] if self.config.z_dim_bg else [])]
            for part in parts:
                if part not in case.latents:
                    raise UserError(
                        f"Golden case {case.name!r} has no latent {part!r}, which StyleNeRF draws "
                        "from."
                    )
            latent = torch.cat([case.latents[part].reshape(-1).float() for part in parts])
            return self.map(latent, case.psi, case.cutoff)

        w = mapped("z")
        first = case.options.get("mix_from_layer")
        if first is None:
            return w
        return torch.cat([w[: int(first)], mapped("z_mix")[int(first) :]])


def _layer_groups(config: StyleNeRFConfig) -> dict[str, tuple[int, int]]:
    """The authors' split into geometry and appearance, and the background's own row."""
    middle = min(_SHAPE_ROWS, config.field_ws - 1)
    groups = {"shape": (0, middle), "appearance": (middle, config.style_ws)}
    if config.z_dim_bg:
        groups["background"] = (config.style_ws, config.num_ws)
    return groups


def _range(middle: float, spread: float, limit: float) -> tuple[float, float]:
    low, high = math.degrees(middle - spread), math.degrees(middle + spread)
    return max(low, -limit), min(high, limit)


def _settings(config: StyleNeRFConfig) -> tuple[ModelSetting, ...]:
    settings = [
        ModelSetting(
            "hierarchical",
            "Hierarchical sampling",
            "flag",
            config.hierarchical,
            "Look twice along each ray, the second time where the first found something.",
        )
    ]
    if config.background:
        settings.append(
            ModelSetting(
                "freeze_bg",
                "Hold the background still",
                "flag",
                False,
                "The background stays as seen from the front while the head turns.",
            )
        )
    if config.use_noise:
        settings.append(
            ModelSetting(
                "noise",
                "Noise",
                "flag",
                True,
                "Add the noise that is stored in the model, which gives fine texture.",
            )
        )
    if config.fg_normalized_feat or config.bg_normalized_feat:
        settings.append(
            ModelSetting(
                "unit_features",
                "Unit features along",
                "choice",
                "columns",
                "What this model's features are brought to unit length along: the picture's "
                "columns, as in the authors' code, or the feature's own channels; try it if "
                "pictures look washed out.",
                choices=("columns", "channels"),
            )
        )
    if config.c_dim:
        settings.append(
            ModelSetting(
                "label",
                "Class",
                "integer",
                0,
                "Which of the classes that the model was trained on is drawn.",
                low=0,
                high=config.c_dim - 1,
            )
        )
    return tuple(settings)


def build(config: dict[str, Any], tensors: Mapping[str, Tensor], device: torch.device) -> StyleNeRF:
    """Options and tensors -> a model that draws.

    Raises:
        CheckpointError: options that contradict each other, or tensors that are missing,
            not part of StyleNeRF, of the wrong shape or not finite.
    """
    options = read_config(StyleNeRFConfig.from_json, config)
    network = load_strictly("StyleNeRF", lambda: StyleNeRFNetwork(options), tensors, device)
    return StyleNeRF(network, device)


def swappable(config: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The upsampler's blocks by resolution; the fields and the mapping stay."""
    sides = StyleNeRFConfig.from_json(config).block_resolutions
    return {str(side): (f"synthesis.b{side}.",) for side in sides}


FAMILY = Family(
    name="stylenerf",
    title="StyleNeRF (Gu et al. 2022)",
    matches=matches,
    source=source,
    build=build,
    network=lambda config: StyleNeRFNetwork(StyleNeRFConfig.from_json(config)),
    released={name: config.to_json() for name, config in RELEASED.items()},
    swappable=swappable,
)
