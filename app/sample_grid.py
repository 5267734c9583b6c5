"""The same seeds of a model in training, turned together.

While the model is watched (:mod:`app.training`) the idle engine draws them with its newest weights,
from where the mouse has turned them. It knows neither the toolkit nor torch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.messages import ThumbnailReady
from engine.camera import MAX_PITCH
from engine.recipe import Recipe

if TYPE_CHECKING:
    from app.studio import Studio

SEEDS = tuple(range(8))
Pixels = NDArray[np.uint8]
_PART = "training"


class SampleGrid:
    """See the module's docstring.

    Args:
        studio: the state behind the window.

    Attributes:
        yaw, pitch: how far the heads are turned from the model's front view, degrees.
        pictures: ``[S, S, 3]`` by seed: the newest there is.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.yaw = self.pitch = 0.0
        self.pictures: dict[int, Pixels] = {}
        self._shown = False
        self._wanted: tuple[str, ...] = ()

    def turn(self, yaw: float, pitch: float) -> None:
        """Turn every head by so many degrees."""
        self.yaw = (self.yaw + yaw + 180.0) % 360.0 - 180.0
        self.pitch = min(max(self.pitch + pitch, -MAX_PITCH), MAX_PITCH)

    def show(self, path: str) -> None:
        """Draw them while the model of ``path`` is the open one; an empty path draws nothing.
        Call often."""
        model = self._studio.model
        here = bool(path) and model is not None and model.ref.path == path
        if not here:
            if self._shown:
                self._shown, self._wanted = False, ()
                self._studio.client.thumbnails.want((), _PART)
            return
        self._shown = True
        assert model is not None
        front = model.capabilities.default_pose
        pitch = min(max(front.pitch + self.pitch, -MAX_PITCH), MAX_PITCH)
        pose = replace(front, yaw=front.yaw + self.yaw, pitch=pitch)
        view = f"{model.ref.sha256[:16]}/{pose.yaw:.1f}/{pose.pitch:.1f}"
        wanted = [
            (f"{_PART}/{seed}/{view}", Recipe(model=model.ref, pose=pose, seed=seed))
            for seed in SEEDS
        ]
        names = tuple(name for name, _ in wanted)
        if names != self._wanted:
            self._wanted = names
            self._studio.client.thumbnails.want(wanted, _PART)

    def take(self, event: ThumbnailReady) -> bool:
        """What the engine has drawn; ``False`` if it is for somebody else."""
        part, _, rest = event.key.partition("/")
        if part != _PART:
            return False
        if event.image is not None:
            self.pictures[int(rest.partition("/")[0])] = event.image
        return True

    def forget(self) -> None:
        """Another run begins."""
        self.pictures.clear()
        self._wanted = ()
