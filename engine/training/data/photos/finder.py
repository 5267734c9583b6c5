"""Finding faces: by MediaPipe in a child process, else roughly by scikit-image's cascade."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from engine.errors import UserError
from engine.frozen import environment
from engine.training.data.photos.faces import DENSE, Face

#: Longer sides are made smaller for finding; the points are as good.
FIND_SIDE = 1600
_START_SECONDS, _FACE_SECONDS = 120.0, 120.0
_CHILD = Path(__file__).with_name("mediapipe_child.py")


class Finder(ABC):
    """Finds faces; a context manager.

    Attributes:
        name: what finds them.
    """

    name: str

    @abstractmethod
    def find(self, picture: Image.Image) -> list[Face]:
        """The faces in an RGB picture, the largest first, in its pixels."""

    def close(self) -> None:
        """Give back what it holds."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _smaller(picture: Image.Image) -> tuple[Image.Image, float]:
    """A picture of at most :data:`FIND_SIDE` pixels, and by how much the original is larger."""
    factor = max(picture.size) / FIND_SIDE
    if factor <= 1.0:
        return picture, 1.0
    size = tuple(max(1, round(length / factor)) for length in picture.size)
    return picture.resize((size[0], size[1]), Image.Resampling.BOX), factor


class MediaPipeFinder(Finder):
    """MediaPipe in a Python of its own.

    Args:
        python: that has it.

    Raises:
        UserError: it does not start.
    """

    def __init__(self, python: Path) -> None:
        try:
            self._process = subprocess.Popen(
                [str(python), "-I", str(_CHILD)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"The Python {python} cannot be started ({error}).") from error
        self._words: list[bytes] = []
        self._answers: queue.Queue[bytes] = queue.Queue()
        assert self._process.stdout is not None and self._process.stderr is not None
        for stream, take in (
            (self._process.stdout, self._answers.put),
            (self._process.stderr, self._keep),
        ):
            threading.Thread(target=_pump, args=(stream, take), daemon=True).start()
        try:
            version = str(self._answer(_START_SECONDS)["ready"])
        except KeyError as error:
            raise self._ended() from error
        self.name = f"MediaPipe {version}"

    def find(self, picture: Image.Image) -> list[Face]:
        """See :class:`Finder`.

        Raises:
            UserError: the child has died, or does not answer.
        """
        small, factor = _smaller(picture)
        pixels = np.asarray(small, np.uint8)
        height, width = pixels.shape[:2]
        assert self._process.stdin is not None
        try:
            asked = json.dumps({"width": width, "height": height}).encode()
            self._process.stdin.write(asked + b"\n" + pixels.tobytes())
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # a pipe that is broken, or closed
            raise self._ended() from error
        faces = []
        for stated in self._answer(_FACE_SECONDS).get("faces", []):
            points = np.array(stated, np.float64)
            if points.ndim != 2 or points.shape[1] != 3 or len(points) < DENSE:
                raise self._ended()
            if np.isfinite(points).all():
                faces.append(Face.of_dense(points).scaled(factor))
        return sorted(faces, key=lambda face: -face.size)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue

    def _keep(self, line: bytes) -> None:
        if line:
            self._words = [*self._words[-20:], line]

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            answer = json.loads(self._answers.get(timeout=seconds) or b"null")
        except (queue.Empty, ValueError) as error:
            raise self._ended() from error
        if not isinstance(answer, dict):
            raise self._ended()
        return answer

    def _ended(self) -> UserError:
        self.close()
        last = b" ".join(self._words[-2:]).decode("utf-8", "replace").split()
        said = f" ({' '.join(last)[-200:]})" if last else ""
        return UserError(
            f"MediaPipe ended or did not answer{said}; try again, or give eyes and mouths by hand."
        )


def _pump(stream: Any, take: Any) -> None:
    """Hand on line after line, and an empty one at the end."""
    try:
        for line in stream:
            take(line)
    except (OSError, ValueError):
        pass
    take(b"")


class EitherFinder(Finder):
    """The first finder, and where it finds nothing, the second."""

    def __init__(self, first: Finder, second: Finder) -> None:
        self._both = first, second
        self.name = f"{first.name}, then {second.name}"

    def find(self, picture: Image.Image) -> list[Face]:
        return self._both[0].find(picture) or self._both[1].find(picture)

    def close(self) -> None:
        for finder in self._both:
            finder.close()


class CascadeFinder(Finder):
    """scikit-image's cascade of local binary patterns: boxes of frontal faces, in which eyes and
    mouth are guessed at their average places. Its faces are never ``certain``."""

    name = "scikit-image's face cascade (eyes and mouth guessed)"
    #: Shares of the box (from its top left corner) where eyes and corners of the mouth lie: the
    #: medians over 31 rendered heads, yaws within 25 degrees, made symmetric.
    PLACES = np.array([(0.31, 0.377), (0.69, 0.377), (0.345, 0.79), (0.655, 0.79)])
    #: Sides of windows that are searched, shares of the picture's shorter side.
    _SMALLEST = 0.08
    _SIDE = 480

    def __init__(self) -> None:
        from skimage import data
        from skimage.feature import Cascade

        self._cascade = Cascade(data.lbp_frontal_face_cascade_filename())

    def find(self, picture: Image.Image) -> list[Face]:
        factor = max(1.0, max(picture.size) / self._SIDE)
        size = [max(1, round(length / factor)) for length in picture.size]
        grey = np.asarray(picture.convert("L").resize((size[0], size[1]), Image.Resampling.BOX))
        least = max(24, int(self._SMALLEST * min(size)))
        if min(size) < 32:
            return []
        boxes = self._cascade.detect_multi_scale(
            img=grey, scale_factor=1.15, step_ratio=1, min_size=(least, least),
            max_size=(min(size), min(size)),
        )  # fmt: skip
        boxes = sorted(boxes, key=lambda box: -box["width"])
        return [self._guess(box).scaled(factor) for box in boxes]

    def _guess(self, box: dict[str, int]) -> Face:
        places = np.array([box["c"], box["r"]]) + self.PLACES * np.array(
            [box["width"], box["height"]]
        )
        return Face(places[:2], places[2:], certain=False)
