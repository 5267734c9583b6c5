"""A generator family for tests: a ball of one colour, ruled by settings.

Its file holds the colour. The settings say how bright it is, how large, whether inverted, and
what its grain is; the picture's four quarters show them one by one, so that a test can tell
which of them arrived. A file whose options say ``bare`` has no settings but every view.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.checkpoints import Checkpoint, LazyTensor, write_model
from engine.errors import CheckpointError
from engine.frame import Frame
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality
from engine.generators.registry import Family, ModelSource

SIDE = 32
SETTINGS = (
    ModelSetting("gain", "Gain", "number", 0.5, "Brightness of the ball.", low=0.0),
    ModelSetting("radius", "Radius", "integer", 2, "Tenths of a unit.", 1, 4),
    ModelSetting("invert", "Invert", "flag", False, "Turn dark into bright."),
    ModelSetting("grain", "Grain", "choice", "fine", "Grain.", choices=("fine", "coarse", "a=b")),
)
ABSENT = {
    "cutoff": "Its only layer has no part to cut off.",
    "raw": "It has no upsampler.",
    "opacity": "Its ball is never clear.",
    "neural_resolution": "It is painted, not rendered.",
}


class Ball(Field):
    bounds = (torch.full((3,), -0.5), torch.full((3,), 0.5))

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def density(self, points: Tensor) -> Tensor:
        return 10.0 + 100.0 * (self.radius - points.norm(dim=-1))

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        return torch.full_like(points, 0.5)


class Toned(Generator):
    def __init__(self, bare: bool, tone: Tensor) -> None:
        self.device, self.tone = torch.device("cpu"), tone
        self.capabilities = Capabilities(
            family="toned",
            z_dim=2,
            num_ws=1,
            w_dim=2,
            resolution=SIDE,
            neural_resolution=SIDE,
            samples_per_ray=1,
            default_pose=OrbitPose(radius=2.0),
            bounds=((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5)),
            mesh_level=10.0,
            **({} if bare else {"settings": SETTINGS, "absent": ABSENT}),
            view_modes=("picture", "raw", "opacity") if bare else ("picture", "depth"),
            layer_groups={"all": (0, 1)},
        )

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        return z[None].float()

    def field(self, w: Tensor) -> Field:
        return Ball(float(self.settings.get("radius", 2)) / 10)

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        chosen = self.settings
        grains = {"fine": 0.25, "coarse": 0.5, "a=b": 0.75}
        rgb = self.tone.expand(SIDE, SIDE, 3).clone()
        half = SIDE // 2
        rgb[:half, :half] = float(chosen.get("gain", 0.5)) / 2
        rgb[:half, half:] = float(chosen.get("radius", 2)) / 4
        rgb[half:, :half] = float(bool(chosen.get("invert", False)))
        rgb[half:, half:] = grains[str(chosen.get("grain", "fine"))]
        flat = torch.ones(SIDE, SIDE)
        return Frame(rgb, rgb, flat, flat)

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        raise NotImplementedError


def _build(
    config: dict[str, Any], tensors: Mapping[str, Tensor], device: torch.device
) -> Generator:
    if tensors["tone"].shape != (3,):
        raise CheckpointError("The tone is no colour; use another copy.")
    return Toned(bool(config["bare"]), tensors["tone"])


def _nothing(checkpoint: Checkpoint) -> ModelSource:
    raise NotImplementedError


FAMILY = Family("toned", "Toned ball", lambda _checkpoint: False, _nothing, _build)


def write_toned(stem: Path, bare: bool = False, tones: int = 3) -> Path:
    """A converted model of this family; the path of its JSON."""
    tone = LazyTensor((tones,), torch.float32, lambda: torch.full((tones,), 0.5))
    return write_model(ModelSource("toned", stem.name, {"bare": bare}, {"tone": tone}), stem)
