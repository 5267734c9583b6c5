"""Pictures of random people from the poses that a model is judged at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.camera import Camera
from engine.capabilities import Capabilities
from engine.generators.base import NEVER, CancelToken, Generator
from engine.training.data.cameras import angles_of, camera_of
from engine.training.data.order import items_at
from engine.training.data.training_data import TrainingData

#: Share by which a data set's camera distance and focal length may differ from a model's before
#: only its angles are taken over.
_SAME_LENS = 0.02


def cameras_for(
    capabilities: Capabilities, labels: NDArray[np.float32] | None, count: int, seed: int
) -> list[Camera]:
    """``count`` cameras to draw from.

    Args:
        labels: ``[N, 25]`` of the data, of which as many are taken, in an order of the seed; the
            camera itself where it is the kind that the model was trained with, else its angles
            on the model's own orbit. ``None``: angles from a normal distribution of which the
            model's ranges are two deviations, cut off there.
    """
    pose = capabilities.default_pose
    if labels is None:
        random = np.random.default_rng([seed, 25])
        spans = (capabilities.yaw_range, capabilities.pitch_range)
        angles = np.stack([
            np.clip(random.normal((low + high) / 2, (high - low) / 4, count), low, high)
            for low, high in spans
        ], axis=1)  # fmt: skip
        return [replace(pose, yaw=float(y), pitch=float(p)).camera() for y, p in angles]
    chosen = [labels[item] for item in items_at(seed, len(labels), 0, count)]
    return [_camera_like(capabilities, label) for label in chosen]


def _camera_like(capabilities: Capabilities, label: NDArray[np.float32]) -> Camera:
    pose = capabilities.default_pose
    stated = camera_of(label)
    radius = math.dist(stated.position, pose.center)
    own = pose.camera().focal
    alike = (
        abs(radius - pose.radius) < _SAME_LENS * pose.radius
        and abs(stated.focal - own) < _SAME_LENS * own
    )
    if alike:
        return stated
    yaw, pitch = angles_of(label)
    return replace(pose, yaw=yaw, pitch=pitch).camera()


def latent(capabilities: Capabilities, seed: int, number: int) -> Tensor:
    """``[z_dim]`` the latent of sample ``number``."""
    random = np.random.default_rng([seed, 26, number])
    return torch.from_numpy(random.standard_normal(capabilities.z_dim).astype(np.float32))


@torch.inference_mode()
def drawn_pictures(
    generator: Generator,
    cameras: list[Camera],
    seed: int,
    psi: float = 1.0,
    cancel: CancelToken = NEVER,
) -> Iterator[Tensor]:
    """One picture ``[3, H, W]`` in [0, 1] from each camera, of somebody else every time. A mapping
    that is shown a camera is shown the one that draws, as EG3D's authors measure."""
    for number, camera in enumerate(cameras):
        cancel.check()
        z = latent(generator.capabilities, seed, number)
        w = generator.map(z, psi, conditioning=camera)
        yield generator.render(w, camera, cancel=cancel).rgb.permute(2, 0, 1).clamp(0.0, 1.0)


def real_pictures(data: TrainingData, count: int, seed: int) -> Iterator[Tensor]:
    """The first ``count`` of the data in an order of the seed, ``[3, R, R]`` in [0, 1], each at
    most once."""
    for item in items_at(seed, len(data), 0, min(count, len(data))):
        pixels = torch.from_numpy(data.picture(int(item)).copy())
        yield pixels.permute(2, 0, 1).float() / 255.0
