"""The EG3D family: authors' files, and drawing with a trained model.

Chan et al., "Efficient Geometry-aware 3D Generative Adversarial Networks" (2022), as released
(FFHQ, AFHQ cats, ShapeNet cars) and the many models that share its file format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.camera import FAMILY_AXES, Camera, OrbitPose
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.frame import Frame, normals_from_depth
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality
from engine.generators.eg3d_config import RELEASED, EG3DConfig
from engine.generators.eg3d_network import EG3DNetwork, Volume
from engine.generators.eg3d_source import matches, source
from engine.generators.evaluation import Stopwatch, by_chunks, exact, unit_picture
from engine.generators.loading import load_strictly, read_config
from engine.generators.memo import LastFew
from engine.generators.registry import Family
from engine.kernels.graphs import replayed
from engine.kernels.recording import unless_recording
from engine.rendering.occupancy import Survey, level_below, paid_after
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays

__all__ = ["EG3D", "FAMILY", "EG3DConfig", "EG3DNetwork", "TriplaneField", "Volume"]

_AXES = FAMILY_AXES["eg3d"]
#: Identities whose planes stay in memory (25 MB each at full size).
_CACHED_PLANES = 4

#: Cells of a face's grid along one axis, and points that are looked at in one slice (5 ms).
_SURVEY_CELLS, _SURVEY_POINTS = 96, 1 << 15
#: See :func:`~engine.rendering.occupancy.paid_after`.
_SURVEY_COST = 6.0


def camera_label(camera: Camera) -> Tensor:
    """``[25]`` float32: cam2world row by row, then the normalised intrinsics."""
    f = camera.focal
    intrinsics = [f, 0.0, 0.5, 0.0, f, 0.5, 0.0, 0.0, 1.0]
    return torch.tensor([*_AXES.from_ours(camera.cam2world).reshape(-1).tolist(), *intrinsics])


class TriplaneField(Field):
    """The radiance field of one identity: its tri-planes and the shared decoder."""

    quick = True

    def __init__(self, network: EG3DNetwork, planes: Tensor) -> None:
        self._network, self._planes = network, planes
        half = network.config.rendering.box_warp / 2.0
        corner = torch.full((3,), half, device=planes.device)
        self.bounds = (-corner, corner)

    def density(self, points: Tensor) -> Tensor:
        """``[N, 3]`` -> ``[N]`` raw density (before softplus), on the points' device."""
        planes, network = self._planes, self._network
        return by_chunks(points, planes.device, lambda p: network.density_at(planes, p[None])[0])

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """``[N, 3]`` -> ``[N, 3]`` in ``[0, 1]``; the field does not depend on directions."""
        planes, network = self._planes, self._network

        def colours(part: Tensor) -> Tensor:
            return network.field_at(planes, part[None])[1][0, :, :3].clamp(0.0, 1.0)

        return by_chunks(points, planes.device, colours)


class EG3D(Generator):
    """A trained EG3D model, ready to draw.

    Args:
        network: with its tensors loaded, on ``device``.
        device: where it computes.
    """

    def __init__(self, network: EG3DNetwork, device: torch.device) -> None:
        self.network = network.eval().requires_grad_(False)
        self.config = config = network.config
        self.device = device
        if config.superresolution_noise_mode == "random":
            # The same arguments must give the same picture; the stored noise is one draw.
            network.superresolution.noise_mode = "const"
        self._planes: LastFew[Tensor] = LastFew(_CACHED_PLANES)
        pose = OrbitPose(
            radius=config.avg_camera_radius,
            fov_y=Camera.fov_from_focal(config.focal),
            look_at=config.avg_camera_pivot,
        )
        self._front = camera_label(pose.camera())
        half = config.rendering.box_warp / 2.0
        absent = {}
        if not config.conditioned:
            absent["conditioning"] = "This model's identities do not depend on a camera."
        self.capabilities = Capabilities(
            family="eg3d",
            z_dim=config.z_dim,
            num_ws=config.num_ws,
            w_dim=config.w_dim,
            resolution=config.img_resolution,
            neural_resolution=config.neural_rendering_resolution,
            samples_per_ray=config.rendering.depth_resolution
            + config.rendering.depth_resolution_importance,
            default_pose=pose,
            bounds=((-half, -half, -half), (half, half, half)),
            mesh_level=config.mesh_level,
            absent=absent,
            layer_groups=_layer_groups(config.num_ws),
            yaw_range=config.yaw_range,
            pitch_range=config.pitch_range,
        )

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        """See :meth:`Generator.map`; ``conditioning`` defaults to the default pose."""
        label = self._front if conditioning is None else camera_label(conditioning)
        return self._map(z, label, psi, cutoff)

    def _map(self, z: Tensor, label: Tensor, psi: float, cutoff: int | None) -> Tensor:
        z = self.checked_latent(z)
        with exact(self.device):
            c = label.to(self.device, torch.float32)[None] if self.config.c_dim else None
            return self.network.mapping(z[None], c, psi, cutoff)[0]

    def planes(self, w: Tensor) -> Tensor:
        """``[1, 3, C, H, W]`` tri-planes of ``w`` ``[num_ws, w_dim]``; the last few are kept.

        Raises:
            UserError: ``w`` has another shape.
        """
        with exact(self.device):
            return self._planes.get(
                self.checked_rows(w), lambda rows: _interleaved(self.network.planes(rows[None]))
            )

    def field(self, w: Tensor) -> TriplaneField:
        """The radiance field of ``w`` ``[num_ws, w_dim]``; raw density and colours without view dependence."""
        return TriplaneField(self.network, self.planes(w))

    def survey(self, w: Tensor) -> Survey | None:
        """See :meth:`Generator.survey`."""
        planes, settings = self.planes(w), self.config.rendering
        return Survey(
            lambda points: self.network.density_at(planes, points[None])[0],
            settings.box_warp / 2.0,
            _SURVEY_CELLS,
            # A softplus of one less.
            level_below(settings.longest, "softplus", shift=-1.0),
            _SURVEY_POINTS,
        )

    def survey_pays_after(self, quality: Quality) -> float:
        """See :meth:`Generator.survey_pays_after`."""
        side = quality.neural_resolution or self.config.neural_rendering_resolution
        march = self.config.rendering.scaled(quality.samples)
        each = march.depth_resolution + march.depth_resolution_importance
        return paid_after(_SURVEY_COST, _SURVEY_CELLS, side**2 * each)

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        """See :meth:`Generator.render`. Timings: planes, volume, upsample, normals."""
        watch = Stopwatch(self.device)
        label = camera_label(camera).to(self.device)
        cam2world, intrinsics = label[:16].reshape(1, 4, 4), label[16:].reshape(1, 3, 3)
        side = quality.neural_resolution or self.config.neural_rendering_resolution
        cancel.check()
        with exact(self.device):
            with watch.stage("planes"):
                planes = self.planes(w)
            with watch.stage("volume"):
                volume = self._volume(w, (planes, cam2world, intrinsics), side, quality, cancel)
            raw = unit_picture(volume.rgb)
            depth, alpha = volume.depth[0, 0], volume.alpha[0, 0].clamp(0.0, 1.0)
            rgb = raw
            if quality.upsample:
                cancel.check()
                with watch.stage("upsample"):
                    ws = w.to(self.device, torch.float32)[None]
                    rgb = unit_picture(self.network.superresolve(volume.rgb, volume.features, ws))
            normal: Tensor | None = None
            if quality.normals:
                with watch.stage("normals"):
                    rays = pinhole_rays(cam2world, intrinsics, side, side)
                    origins, directions = (r.reshape(side, side, 3) for r in rays)
                    normal = normals_from_depth(depth, alpha, origins, directions)
        return Frame(rgb, raw, depth, alpha, normal, watch.seconds)

    def _volume(
        self,
        w: Tensor,
        inputs: tuple[Tensor, Tensor, Tensor],
        side: int,
        quality: Quality,
        cancel: CancelToken,
    ) -> Volume:
        """The volume rendering of planes ``[1, 3, C, H, W]`` by a camera ``[1, 4, 4]``, ``[1, 3, 3]``."""
        settings, check = (
            self.config.rendering.scaled(quality.samples),
            unless_recording(cancel.check),
        )
        grid = self.grids.find(w)

        def drawn(planes: Tensor, cam2world: Tensor, intrinsics: Tensor) -> Volume:
            return self.network.volume(
                planes, cam2world, intrinsics, side, settings, check=check, grid=grid
            )

        return replayed("eg3d volume", self.network.decoder, drawn, inputs, (side, settings))

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        """See :meth:`Generator.golden_case`.

        Options that are understood: ``intrinsics`` (9 numbers) or ``fov_y``,
        ``neural_resolution``, ``samples_factor``, ``mix_from_layer`` with the latent
        ``z_mix``, ``noise``; the latent ``cond`` is the camera shown to the mapping.

        Raises:
            UserError: the case asks for what this family cannot draw.
        """
        options = case.options
        w = self._golden_w(case)
        noise = options.get("noise", "const")
        if noise not in ("const", "none"):
            raise UserError(
                f"Golden case {case.name!r} asks for noise {noise!r}; EG3D has 'const' and 'none'."
            )
        with exact(self.device):
            planes = self.planes(w) if noise == "const" else self.network.planes(w[None], "none")
            if case.points is not None:
                points = case.points.to(self.device, torch.float32)[None]
                return {"density": self.network.density_at(planes, points)[0]}
            if case.cam2world is None:
                raise UserError(f"Golden case {case.name!r} has neither a camera nor points.")
            volume = self.network.volume(
                planes,
                case.cam2world.to(self.device, torch.float32)[None],
                self._golden_intrinsics(options),
                options.get("neural_resolution"),
                self.config.rendering.scaled(float(options.get("samples_factor", 1.0))),
                check=NEVER.check,
                grid=self.grids.find(w),
            )
            image = self.network.superresolve(volume.rgb, volume.features, w[None])
        return {"rgb": image[0], "raw": volume.rgb[0], "depth": volume.depth[0]}

    def _golden_w(self, case: GoldenCase) -> Tensor:
        if "z" not in case.latents:
            raise UserError(f"Golden case {case.name!r} has no latent 'z', which EG3D draws from.")
        label = case.latents.get("cond", self._front)
        w = self._map(case.latents["z"].reshape(-1), label.reshape(-1), case.psi, case.cutoff)
        first = case.options.get("mix_from_layer")
        if first is None:
            return w
        if "z_mix" not in case.latents:
            raise UserError(f"Golden case {case.name!r} mixes styles but has no latent 'z_mix'.")
        other = self._map(
            case.latents["z_mix"].reshape(-1), label.reshape(-1), case.psi, case.cutoff
        )
        return torch.cat([w[: int(first)], other[int(first) :]])

    def _golden_intrinsics(self, options: Mapping[str, Any]) -> Tensor:
        if "intrinsics" in options:
            values = np.asarray(options["intrinsics"], dtype=np.float32).reshape(1, 3, 3)
            return torch.from_numpy(values).to(self.device)
        focal = self.config.focal
        if "fov_y" in options:
            focal = 0.5 / float(np.tan(np.radians(float(options["fov_y"])) / 2.0))
        return intrinsics_from_focal(torch.tensor([focal], device=self.device))


def _interleaved(planes: Tensor) -> Tensor:
    """The same ``[1, 3, C, H, W]`` with channels innermost in memory: a sample then reads
    its features from four places instead of 4 C, which makes sampling 2-3 times faster."""
    return planes[0].contiguous(memory_format=torch.channels_last)[None]


def _layer_groups(num_ws: int) -> dict[str, tuple[int, int]]:
    """StyleGAN's coarse (to 8 px), middle (to 32 px) and fine rows; thirds of small models."""
    first, second = (4, 8) if num_ws >= 10 else (num_ws // 3, 2 * num_ws // 3)
    return {"coarse": (0, first), "middle": (first, second), "fine": (second, num_ws)}


def build(config: dict[str, Any], tensors: Mapping[str, Tensor], device: torch.device) -> EG3D:
    """Options and tensors -> a model that draws.

    Raises:
        CheckpointError: options that contradict each other, or tensors that are missing,
            not part of EG3D, of the wrong shape or not finite.
    """
    options = read_config(EG3DConfig.from_json, config)
    # Nothing is drawn from it, and models trained elsewhere leave it out.
    defaults = {"dataset_label_std": torch.zeros(options.c_dim)}
    network = load_strictly("EG3D", lambda: EG3DNetwork(options), tensors, device, defaults)
    return EG3D(network, device)


def swappable(config: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The backbone's blocks by resolution; mapping, decoder and super-resolution stay."""
    sides = range(2, EG3DConfig.from_json(config).plane_resolution.bit_length())
    return {str(1 << i): (f"backbone.synthesis.b{1 << i}.",) for i in sides}


FAMILY = Family(
    name="eg3d",
    title="EG3D (Chan et al. 2022)",
    matches=matches,
    source=source,
    build=build,
    network=lambda config: EG3DNetwork(EG3DConfig.from_json(config)),
    released={name: config.to_json() for name, config in RELEASED.items()},
    swappable=swappable,
)
