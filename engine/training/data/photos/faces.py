"""What is known of a face in a picture, and the average face that it is compared with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

#: MediaPipe's numbers of the points around the eye at the picture's left and at its right, and of
#: the corners of the mouth there (of a face that looks at us).
LEFT_EYE = (33, 160, 158, 133, 153, 144)
RIGHT_EYE = (362, 385, 387, 263, 373, 380)
MOUTH = (61, 291)
#: Points that MediaPipe tells without the irises.
DENSE = 468


@dataclass(frozen=True, eq=False)
class Face:
    """A face that was found, or pointed at.

    Attributes:
        eyes: ``[2, 2]`` middles of the eyes, pixels (x, y): first the one further left in a
            picture of somebody who stands upright.
        mouth: ``[2, 2]`` corners of the mouth in the same order.
        dense: ``[468, 3]`` MediaPipe's points, pixels, z growing away from the camera; ``None``
            where only eyes and mouth are known.
        yaw, pitch: of the camera, degrees, if a person said so: positive yaw sees the face from
            the person's left, positive pitch from above.
        certain: whether it was found or confirmed, and not merely guessed from a box.
    """

    eyes: Points
    mouth: Points
    dense: Points | None = None
    yaw: float | None = None
    pitch: float | None = None
    certain: bool = True

    @property
    def size(self) -> float:
        """Distance of eyes and mouth and of both eyes, whichever is longer, pixels."""
        down = self.mouth.mean(0) - self.eyes.mean(0)
        across = self.eyes[1] - self.eyes[0]
        return float(max(np.hypot(*down), np.hypot(*across)))

    @classmethod
    def of_dense(cls, points: Points) -> Face:
        """A face from MediaPipe's points ``[468 or more, 3]``."""
        flat = points[:, :2]
        eyes = np.stack([flat[list(LEFT_EYE)].mean(0), flat[list(RIGHT_EYE)].mean(0)])
        return cls(eyes, flat[list(MOUTH)].copy(), points[:DENSE].copy())

    def scaled(self, factor: float) -> Face:
        """The same face in a picture that is larger by ``factor``."""
        dense = None if self.dense is None else self.dense * factor
        return Face(
            self.eyes * factor, self.mouth * factor, dense, self.yaw, self.pitch, self.certain
        )


@cache
def average_face() -> Points:
    """``[468, 3]`` where MediaPipe sees its points on an average head of ours, in the bundled
    generator's world (+Y up, the face along +Z, one unit is 35 cm).

    Made from what MediaPipe said of 452 rendered heads whose cameras are known: turned back by them,
    scaled to the depths that were rendered, the median of each point, made symmetric. Only the face
    itself: hair and ears have no points.
    """
    text = (Path(__file__).parent / "face.json").read_text(encoding="utf-8")
    points = np.array(json.loads(text)["points"], np.float64)
    points.setflags(write=False)
    return points


def average_corners() -> Points:
    """``[4, 3]`` of the average face: middles of the eyes and corners of the mouth, left first."""
    face = average_face()
    return np.stack(
        [face[list(LEFT_EYE)].mean(0), face[list(RIGHT_EYE)].mean(0), *face[list(MOUTH)]]
    )
