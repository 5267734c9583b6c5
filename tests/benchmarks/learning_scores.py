"""What a generator has learnt: how far its pictures are from rendered heads, and how much like a head
its shapes are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.generators.base import Generator
from engine.metrics.distances import kernel_distance
from engine.metrics.features import feature_network, features_of
from engine.metrics.sampling import cameras_for, drawn_pictures, latent, real_pictures
from engine.training.data.training_data import TrainingData
from tests.benchmarks.learning_data import Front

#: A pixel is part of a drawn head where it is at least so opaque.
OPAQUE = 0.5


@dataclass(frozen=True)
class Score:
    """What was measured of a generator.

    Attributes:
        kid: squared kernel distance to held-out heads, by the bundled text encoder's picture tower.
        likeness: correlation of the mean depth map from the front with that of rendered heads,
            over the pixels of the head; 0 where less than half of it is there, or nothing varies.
        relief: slope of the one on the other: 0 is a card, 1 as deep as rendered heads, below 0 a
            mask seen from behind.
        spread: standard deviation of depths within a head, in heights of what the picture
            shows: median over people.
    """

    kid: float
    likeness: float
    relief: float
    spread: float


class Judge:
    """Scores generators against a folder of held-out heads.

    Args:
        held: folder that :func:`~tests.benchmarks.learning_data.write_pictures` made.
        side: of the pictures, pixels.
        pictures: how many are drawn. people: for the shapes. real: at most so many held-out ones.
    """

    def __init__(
        self, held: Path, side: int, pictures: int = 200, people: int = 24, real: int = 400
    ) -> None:
        self._data = TrainingData.open(held, side, mirror=False)
        self.front = Front.read(held)
        self._pictures, self._people = pictures, people
        self._network = feature_network()
        #: Name of the network whose features are compared.
        self.features = self._network.name
        self._real = features_of(self._network, real_pictures(self._data, real, 0))

    def floor(self) -> float:
        """KID between the two halves of the held-out heads."""
        half = len(self._real) // 2
        return kernel_distance(self._real[:half], self._real[half:]).mean

    def kid(self, pictures: list[Tensor]) -> float:
        """Of pictures ``[3, R, R]`` in [0, 1]."""
        return kernel_distance(features_of(self._network, pictures), self._real).mean

    def score(self, generator: Generator) -> Score:
        """Of a generator whose pictures are as large as the held-out ones, or larger."""
        labels = self._data.all_cameras()
        assert labels is not None
        cameras = cameras_for(generator.capabilities, labels.numpy(), self._pictures, 0)
        kid = self.kid(list(drawn_pictures(generator, cameras, 0)))
        depths, opacities = front_depths(generator, self._people, self.front.depth.shape[0])
        return Score(kid, *shape_scores(depths, opacities, self.front))


@torch.inference_mode()
def front_depths(generator: Generator, people: int, side: int) -> tuple[Tensor, Tensor]:
    """Depths and opacities ``[N, side, side]`` of the seeds' heads from the front; depths are
    in heights of what the picture shows, from anywhere."""
    facts = generator.capabilities
    pose = replace(facts.default_pose, yaw=0.0, pitch=0.0)
    camera = pose.camera()
    height = pose.radius / camera.focal
    depths, opacities = [], []
    for number in range(people):
        w = generator.map(latent(facts, 0, number), 1.0, conditioning=camera)
        frame = generator.render(w, camera)
        both = torch.stack([frame.depth / height, frame.alpha])[None].float().cpu()
        both = torch.nn.functional.interpolate(
            both, (side, side), mode="bilinear", align_corners=False, antialias=True
        )
        depths.append(both[0, 0])
        opacities.append(both[0, 1])
    return torch.stack(depths), torch.stack(opacities)


def shape_scores(depths: Tensor, opacities: Tensor, front: Front) -> tuple[float, float, float]:
    """Likeness, relief and spread (:class:`Score`) of ``[N, S, S]`` depths and opacities."""
    covered = torch.from_numpy(front.covered)
    there = opacities.mean(dim=0) > OPAQUE
    both = covered & there
    if 2 * int(both.sum()) < int(covered.sum()):
        return 0.0, 0.0, 0.0
    drawn = depths.double().mean(dim=0)[both].numpy()
    real = front.depth[both.numpy()]
    drawn, real = drawn - drawn.mean(), real - real.mean()
    varies = float(np.sqrt((drawn**2).mean()))
    shared = float((drawn * real).mean())
    likeness = shared / (varies * float(np.sqrt((real**2).mean()))) if varies > 1e-6 else 0.0
    relief = shared / float((real**2).mean())
    spread = float(np.median([float(depth[both].std()) for depth in depths]))
    return likeness, relief, spread
