"""The EpiGRAF family: drawing with a trained model.

Skorokhodov et al., "EpiGRAF: Rethinking training of 3D GANs" (2022): faces, cats, and the objects
of Megascans. A pure tri-plane NeRF: every pixel is marched, nothing enlarges the
picture afterwards, so that it can be drawn at any size and in pieces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.errors import UserError
from engine.frame import Frame, normals_from_depth
from engine.generators.base import NEVER, CancelToken, Generator, GoldenCase, Quality
from engine.generators.epigraf_config import RELEASED, EpiGRAFConfig
from engine.generators.epigraf_field import AXES, DecodedPlanes, EpiGRAFField, Identity, Patch
from engine.generators.epigraf_network import EpiGRAFNetwork, Layer, SphereLayers
from engine.generators.epigraf_source import matches, source
from engine.generators.evaluation import Stopwatch, exact, gradients_wanted, unit_picture
from engine.generators.loading import load_strictly, read_config
from engine.generators.memo import LastFew
from engine.generators.registry import Family
from engine.generators.stylegan2 import block_resolutions
from engine.rendering.nerf_march import CHUNK_SAMPLES, March, Marched
from engine.rendering.plane_lookup import tile_order
from engine.rendering.rays import framed_grid, grid_rays, inclusive_grid

__all__ = ["FAMILY", "RELEASED", "EpiGRAF", "EpiGRAFConfig", "EpiGRAFNetwork", "Patch"]

#: Identities whose planes stay in memory (200 MB each at 512 pixels on a CPU, else 100).
_CACHED = 2
#: Camera distances that differ by less than this are the same.
_SAME_DISTANCE = 1e-6


class EpiGRAF(Generator):
    """A trained EpiGRAF model, ready to draw.

    Args:
        network: with its tensors loaded, on ``device``.
        device: where it computes.
    """

    def __init__(self, network: EpiGRAFNetwork, device: torch.device) -> None:
        self.network = network.eval().requires_grad_(False)
        self.config = config = network.config
        self.device = device
        self._identities: LastFew[Identity] = LastFew(_CACHED)
        self._folded = network.synthesis.tri_plane_mlp.folded()
        self.capabilities = _capabilities(config)

    def _layers(self) -> list[Layer]:
        """The small network that reads the planes; anew where weights may be learned."""
        wanted = gradients_wanted()
        return self.network.synthesis.tri_plane_mlp.folded() if wanted else self._folded

    # ---- identities -------------------------------------------------------------------------

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        """See :meth:`Generator.map`; ``conditioning`` defaults to the model's mean pose. A model
        of several classes takes the one that the setting ``class`` names."""
        return self._map(
            z, None if conditioning is None else pose_angles(conditioning), psi, cutoff
        )

    def _map(self, z: Tensor, angles: Tensor | None, psi: float, cutoff: int | None) -> Tensor:
        z = self.checked_latent(z)
        with exact(self.device):
            label = self._label(angles)
            ws: Tensor = self.network.mapping(z[None], label, psi, cutoff)
            return ws[0]

    def _label(self, angles: Tensor | None) -> Tensor | None:
        """``[1, label_dim]`` class and camera for the mapping, or ``None`` where it takes none."""
        parts = []
        if self.config.c_dim:
            chosen = torch.tensor(int(self.settings["class"]), device=self.device)
            parts.append(F.one_hot(chosen, self.config.c_dim).float())
        if self.config.camera_cond:
            pose = self.network.mapping.mean_camera_pose if angles is None else angles
            pose = pose.to(self.device, torch.float32)[:2]
            parts.append(pose.sign() * (pose.abs() % math.tau) / math.tau)
        return torch.cat(parts)[None] if parts else None

    def identity(self, w: Tensor) -> Identity:
        """What ``w`` ``[num_ws, w_dim]`` alone decides; the last few are kept.

        Raises:
            UserError: ``w`` has another shape.
        """
        with exact(self.device):
            return self._identities.get(self.checked_rows(w), self._identified)

    def _identified(self, w: Tensor) -> Identity:
        planes, picture = self.network.planes(w)
        if picture is not None:
            picture = picture.clone()
        background = self.network.synthesis.bg_model
        sphere = None if background is None else background.modulated(w[self.config.plane_ws :])
        decoded = DecodedPlanes(planes, self._layers(), self.config.cube_scale)
        return Identity(decoded, picture, sphere)

    def field(self, w: Tensor) -> EpiGRAFField:
        """The radiance field of ``w`` ``[num_ws, w_dim]`` without its background."""
        return EpiGRAFField(self.identity(w).planes, self.config.cube_scale)

    # ---- drawing ----------------------------------------------------------------------------

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        """See :meth:`Generator.render`. Timings: planes, volume, normals. The neural resolution
        is the picture's own."""
        side = quality.neural_resolution or self.config.img_resolution
        return self._render(
            w, camera, framed_grid(side, self.config.img_resolution, self.device), quality, cancel
        )

    def render_patch(
        self,
        w: Tensor,
        camera: Camera,
        patch: Patch,
        side: int,
        quality: Quality = Quality(),
        cancel: CancelToken = NEVER,
    ) -> Frame:
        """Draw a part of the picture, ``side`` x ``side`` pixels of it, without the rest.

        Parts made by :meth:`Patch.pixels` are tiles that fit together. ``quality`` decides on
        samples and normals only.

        Raises:
            Cancelled: ``cancel`` was set; checked between ray chunks.
        """
        replace(quality, neural_resolution=side)  # the same limits
        return self._render(
            w, camera, patch.place(*inclusive_grid(side, side, self.device)), quality, cancel
        )

    def _render(
        self,
        w: Tensor,
        camera: Camera,
        grid: tuple[Tensor, Tensor],
        quality: Quality,
        cancel: CancelToken,
    ) -> Frame:
        watch = Stopwatch(self.device)
        cam2world = torch.from_numpy(AXES.from_ours(camera.cam2world))
        further = float(cam2world[:3, 3].norm()) - self.config.radius
        march = self.config.march().scaled(quality.samples)
        if abs(further) > _SAME_DISTANCE:
            march = march.shifted(further)
        cancel.check()
        with exact(self.device):
            with watch.stage("planes"):
                identity = self.identity(w)
            with watch.stage("volume"):
                origin, directions = self._rays(cam2world, grid, camera.fov_y)
                marched = self._march(identity, origin, directions, grid, march, cancel.check)
            shape = grid[0].shape
            rgb = unit_picture(marched.features.reshape(*shape, 3).permute(2, 0, 1))
            depth = marched.expected_depth(march.far).reshape(shape)
            alpha = marched.opacity.reshape(shape)
            normal: Tensor | None = None
            if quality.normals:
                with watch.stage("normals"):
                    turn = torch.from_numpy(AXES.world_rotation).to(directions)
                    ours = (directions @ turn.T).reshape(*shape, 3)
                    normal = normals_from_depth(depth, alpha, turn @ origin, ours)
        return Frame(rgb, rgb, depth, alpha, normal, watch.seconds)

    def _rays(
        self, cam2world: Tensor, grid: tuple[Tensor, Tensor], fov: float
    ) -> tuple[Tensor, Tensor]:
        """``[3]`` origin and ``[R, 3]`` unit directions of an authors' camera."""
        origin, directions = grid_rays(cam2world.to(self.device, torch.float32), *grid, fov)
        return origin, F.normalize(directions, dim=-1)

    def _march(
        self,
        identity: Identity,
        origin: Tensor,
        directions: Tensor,
        grid: tuple[Tensor, Tensor],
        march: March,
        check: Callable[[], None],
    ) -> Marched:
        """Colours in the authors' range, with the background behind them."""
        order = tile_order(grid[0].shape[0], grid[0].shape[1], self.device)
        shift = self.config.density_shift
        tiled = identity.planes.march(origin, directions[order], march, shift, check)
        marched = Marched(*(torch.empty_like(part).index_copy_(0, order, part) for part in tiled))
        colours = marched.features
        if identity.picture is not None:
            x, y = (side.reshape(-1) for side in grid)
            places = torch.stack([x, -y], dim=-1)[None, None]
            behind = F.grid_sample(
                identity.picture[None], places, padding_mode="border", align_corners=True
            )
            colours = torch.addcmul(colours, behind[0, :, 0].T, marched.behind[:, None])
        elif identity.sphere is not None:
            colours = self._with_sphere(identity.sphere, origin, directions, marched, check)
        return marched._replace(features=colours)

    def _with_sphere(
        self,
        layers: SphereLayers,
        origin: Tensor,
        directions: Tensor,
        marched: Marched,
        check: Callable[[], None],
    ) -> Tensor:
        background = self.network.synthesis.bg_model
        assert background is not None
        colours = marched.features
        # Behind a head not the least light is left; such rays need no background.
        seen = marched.behind.nonzero()[:, 0]
        size = max(1, CHUNK_SAMPLES.get(self.device.type, 1 << 16) // self.config.bg_steps)
        for part in torch.split(seen, size):
            check()
            behind = background.colours(layers, origin, directions[part])
            colours[part] += behind * marched.behind[part, None]
        return colours

    # ---- golden sets ------------------------------------------------------------------------

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        """See :meth:`Generator.golden_case`.

        Options that are understood: ``fov_y``, ``near``, ``far``, ``mix_from_layer`` with the
        latent ``z_mix``; the latent ``cond`` holds the angles (yaw, pitch in radians) shown to
        the mapping.

        Raises:
            UserError: the case asks for what this family cannot draw.
        """
        options = case.options
        identity = self.identity(self._golden_w(case))
        if case.points is not None:
            with exact(self.device):
                points = case.points.to(self.device, torch.float32)
                return {"density": identity.planes.values(points)[:, 3]}
        if case.cam2world is None:
            raise UserError(f"Golden case {case.name!r} has neither a camera nor points.")
        side = case.side or self.config.img_resolution
        march = replace(
            self.config.march(),
            near=float(options.get("near", self.config.ray_start)),
            far=float(options.get("far", self.config.ray_end)),
        )
        with exact(self.device):
            grid = inclusive_grid(side, side, self.device)
            fov = float(options.get("fov_y", self.config.fov))
            origin, directions = self._rays(case.cam2world, grid, fov)
            marched = self._march(identity, origin, directions, grid, march, NEVER.check)
        return {
            "rgb": marched.features.T.reshape(3, side, side),
            "depth": marched.depth.reshape(1, side, side),
        }

    def _golden_w(self, case: GoldenCase) -> Tensor:
        angles = case.latents.get("cond")

        def mapped(name: str) -> Tensor:
            if name not in case.latents:
                raise UserError(f"Golden case {case.name!r} has no latent {name!r}.")
            pose = None if angles is None else angles.reshape(-1)
            return self._map(case.latents[name].reshape(-1), pose, case.psi, case.cutoff)

        w = mapped("z")
        first = case.options.get("mix_from_layer")
        return w if first is None else torch.cat([w[: int(first)], mapped("z_mix")[int(first) :]])


def pose_angles(camera: Camera) -> Tensor:
    """``[2]`` yaw and pitch in radians of a camera's place, as the authors count them: yaw from +x
    towards +z, pitch down from the pole; (0, pi / 2) is in front of the face."""
    x, y, z = AXES.points_from_ours(camera.position)
    return torch.tensor([math.atan2(z, x), math.atan2(math.hypot(x, z), y)])


def _capabilities(config: EpiGRAFConfig) -> Capabilities:
    same = "EpiGRAF marches every pixel of the picture itself: there is no smaller one to enlarge."
    absent = {"raw": same, "upsample": same}
    if not config.camera_cond:
        absent["conditioning"] = "This model's identities do not depend on a camera."
    settings = []
    if config.c_dim > 1:
        settings.append(
            ModelSetting(
                "class", "Class", "integer", 0, "Which of the model's classes is drawn.",
                0, config.c_dim - 1,
            )
        )  # fmt: skip
    half = config.cube_scale
    return Capabilities(
        family="epigraf",
        z_dim=config.z_dim,
        num_ws=config.num_ws,
        w_dim=config.w_dim,
        resolution=config.img_resolution,
        neural_resolution=config.img_resolution,
        samples_per_ray=2 * config.num_ray_steps,
        default_pose=OrbitPose(radius=config.radius, fov_y=config.fov),
        bounds=((-half, -half, -half), (half, half, half)),
        mesh_level=config.mesh_level,
        view_modes=("picture", "depth", "normals", "opacity"),
        absent=absent,
        layer_groups=_layer_groups(config),
        yaw_range=config.yaw_range,
        pitch_range=config.pitch_range,
        settings=tuple(settings),
    )


def _layer_groups(config: EpiGRAFConfig) -> dict[str, tuple[int, int]]:
    """The planes' coarse (to 8 px), middle (to 32 px) and fine rows, thirds of small ones; and
    the sphere background's."""
    rows = config.plane_ws
    first, second = (4, 8) if rows >= 10 else (rows // 3, 2 * rows // 3)
    groups = {"coarse": (0, first), "middle": (first, second), "fine": (second, rows)}
    return groups | ({"background": (rows, config.num_ws)} if config.num_ws > rows else {})


def build(config: dict[str, Any], tensors: Mapping[str, Tensor], device: torch.device) -> EpiGRAF:
    """Options and tensors -> a model that draws.

    Raises:
        CheckpointError: options that contradict each other, or tensors that are missing, not
            part of EpiGRAF, of the wrong shape or not finite.
    """
    options = read_config(EpiGRAFConfig.from_json, config)
    network = load_strictly(
        "EpiGRAF", lambda: EpiGRAFNetwork(options), tensors, device, _silence(options)
    )
    return EpiGRAF(network, device)


def _silence(config: EpiGRAFConfig) -> dict[str, Tensor]:
    """Noise of models that were trained without any, whose files hold none."""
    quiet: dict[str, Tensor] = {}
    for side in [] if config.use_noise else block_resolutions(config.plane_resolution):
        for layer in ("conv1",) if side == 4 else ("conv0", "conv1"):
            name = f"synthesis.tri_plane_decoder.b{side}.{layer}"
            quiet[f"{name}.noise_const"] = torch.zeros(side, side)
            quiet[f"{name}.noise_strength"] = torch.zeros([])
    return quiet


def swappable(config: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The backbone's blocks by resolution; mapping, decoder and background stay."""
    sides = block_resolutions(EpiGRAFConfig.from_json(config).plane_resolution)
    return {str(side): (f"synthesis.tri_plane_decoder.b{side}.",) for side in sides}


FAMILY = Family(
    name="epigraf",
    title="EpiGRAF (Skorokhodov et al. 2022)",
    matches=matches,
    source=source,
    build=build,
    network=lambda config: EpiGRAFNetwork(EpiGRAFConfig.from_json(config)),
    released={name: config.to_json() for name, config in RELEASED.items()},
    swappable=swappable,
)
