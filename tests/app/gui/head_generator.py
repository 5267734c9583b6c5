"""A small analytic head that the tests of the real window draw: no weights, a few milliseconds.

A ball with two eyes, a mouth and a nose, lit from the camera's side; the seed chooses its
colours. It is opened for ``bundled`` and for files that end in ``.head``; files that
end in ``.tuned`` are heads with settings (:mod:`tests.app.gui.tuned_head`); any other path goes
to the real registry, so that bad checkpoints fail for their real reasons.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.capabilities import Capabilities
from engine.frame import Frame
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality

HEAD, NOSE = 0.32, 0.07
NOSE_AT = (0.0, -0.03, 0.33)
EYES = ((-0.35, 0.25, 0.9), (0.35, 0.25, 0.9))
SIDE, NEURAL = 192, 96


def hit(origin: Tensor, rays: Tensor, center: Tensor, radius: float) -> Tensor:
    """``[h, w]`` distance along unit rays ``[h, w, 3]`` to a ball, infinite where missed."""
    offset = origin - center
    b = (rays * offset).sum(-1)
    root = b * b - (offset @ offset - radius * radius)
    return torch.where(root > 0, -b - root.clamp(min=0).sqrt(), torch.inf)


class HeadField(Field):
    """The ball with its nose as a density."""

    bounds = (torch.full((3,), -0.5), torch.full((3,), 0.5))

    def density(self, points: Tensor) -> Tensor:
        ball = HEAD - points.norm(dim=-1)
        nose = NOSE - (points - torch.tensor(NOSE_AT)).norm(dim=-1)
        return 10.0 + 200.0 * torch.maximum(ball, nose)

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        return (points + 0.5).clamp(0, 1)


class HeadGenerator(Generator):
    """See the module's docstring."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.capabilities = Capabilities(
            family="head",
            z_dim=6,
            num_ws=8,
            w_dim=6,
            resolution=SIDE,
            neural_resolution=NEURAL,
            samples_per_ray=1,
            default_pose=OrbitPose(radius=2.4, fov_y=22.0),
            bounds=((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5)),
            mesh_level=10.0,
            layer_groups={
                "shape": (0, 4), "appearance": (4, 8), "coarse": (0, 2), "middle": (2, 6),
                "fine": (6, 8),
            },
        )  # fmt: skip

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        w = z.float()[None].repeat(8, 1)
        w[: 8 if cutoff is None else cutoff] *= psi
        return w

    def field(self, w: Tensor) -> Field:
        return HeadField()

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        cancel.check()
        side = quality.neural_resolution or NEURAL
        grid = (torch.arange(side) + 0.5) / side - 0.5
        y, x = torch.meshgrid(grid, grid, indexing="ij")
        local = F.normalize(torch.stack([x, y, torch.full_like(x, camera.focal)], -1), dim=-1)
        pose = torch.from_numpy(camera.cam2world.copy()).float()
        rays, origin = local @ pose[:3, :3].T, pose[:3, 3]
        ball = hit(origin, rays, torch.zeros(3), HEAD)
        nose = hit(origin, rays, torch.tensor(NOSE_AT), NOSE)
        depth = torch.minimum(ball, nose)
        solid = depth.isfinite()
        points = origin + depth.nan_to_num(posinf=0.0)[..., None] * rays
        is_nose = (nose < ball)[..., None]
        center = torch.where(is_nose, torch.tensor(NOSE_AT), torch.zeros(3))
        normal = F.normalize(points - center, dim=-1)
        light = F.normalize(torch.tensor([0.4, 0.5, 0.8]), dim=0)
        skin = 0.55 + 0.35 * torch.sigmoid(w[0, :3])
        paint = skin.expand(side, side, 3).clone()
        for eye in EYES:
            near = (normal @ F.normalize(torch.tensor(eye), dim=0)) > 0.985
            paint = torch.where((near[..., None]) & ~is_nose, 0.25 * torch.sigmoid(w[7, 3:]), paint)
        hair = (normal[..., 1] > 0.62) | ((normal[..., 2] < -0.1) & (normal[..., 1] > -0.4))
        paint = torch.where(hair[..., None] & ~is_nose, 0.5 * torch.sigmoid(w[4, 3:]), paint)
        mouth = (normal[..., 1] + 0.42).abs() < 0.05
        mouth &= (normal[..., 0].abs() < 0.3) & (normal[..., 2] > 0)
        paint = torch.where(mouth[..., None], torch.tensor([0.6, 0.2, 0.2]), paint)
        shade = 0.35 + 0.65 * (normal @ light).clamp(min=0)
        back = 0.16 + 0.1 * (0.5 - y)[..., None].expand(-1, -1, 3)
        raw = torch.where(solid[..., None], paint * shade[..., None], back).clamp(0, 1)
        rgb = raw
        if quality.upsample:
            planar = raw.permute(2, 0, 1)[None]
            planar = F.interpolate(planar, (SIDE, SIDE), mode="bilinear", antialias=True)
            rgb = planar[0].permute(1, 2, 0)
        far = torch.full_like(depth, 4.0)
        normal = normal * solid[..., None]
        return Frame(
            rgb,
            raw,
            torch.where(solid, depth, far),
            solid.float(),
            normal if quality.normals else None,
        )

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        raise NotImplementedError


def open_model(path: str, device: str) -> Generator:
    """What the engine process calls in place of the registry's function."""
    if path == "bundled" or path.endswith(".head"):
        return HeadGenerator()
    if path.endswith(".tuned"):
        from tests.app.gui.tuned_head import TunedHead

        return TunedHead()
    from engine.generators import registry

    return registry.open_model(path, device)
