"""A head with settings of its own, and with things that it cannot do, for the window's tests."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.camera import Camera
from engine.capabilities import ModelSetting
from engine.frame import Frame
from engine.generators.base import NEVER, CancelToken, Quality
from tests.app.gui.head_generator import HeadGenerator

TINTS = {"none": (1.0, 1.0, 1.0), "red": (1.0, 0.2, 0.2), "blue": (0.2, 0.2, 1.0)}
SETTINGS = (
    ModelSetting(
        "samples_per_ray", "Samples a ray", "integer", 24,
        "How bright the picture is; the default is half of it.", 0, 48,
    ),
    ModelSetting("glow", "Glow", "number", 0.0, "Light that is added everywhere.", 0.0, 1.0),
    ModelSetting(
        "tint", "Tint", "choice", "none", "The colour of the light.", choices=tuple(TINTS)
    ),
    ModelSetting("mirror", "Show it in a mirror", "flag", False, "Swap left and right."),
    ModelSetting("offset", "Offset", "number", 0.0, "It has no bounds and does nothing."),
)  # fmt: skip
ABSENT = {
    "cutoff": "This head has one layer only.",
    "raw": "This head has no upsampler.",
    "normals": "This head has no surface.",
    "opacity": "This head is never clear.",
}


class TunedHead(HeadGenerator):
    """The analytic head; its settings change the picture in ways that can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(
            self.capabilities, settings=SETTINGS, absent=ABSENT, view_modes=("picture", "depth")
        )

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        frame = super().render(w, camera, quality, cancel)
        chosen = self.settings
        light = torch.tensor(TINTS[str(chosen["tint"])]) * float(chosen["samples_per_ray"]) / 24
        rgb = (frame.rgb * light + float(chosen["glow"])).clamp(0, 1)
        return replace(frame, rgb=rgb.flip(1) if chosen["mirror"] else rgb)
