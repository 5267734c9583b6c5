"""Photographs for tests, a finder that knows where the faces are, and a MediaPipe that is none."""

from __future__ import annotations

import os
import sys
import textwrap
import venv
from pathlib import Path

import numpy as np
from PIL import Image

from engine.camera import OrbitPose
from engine.training.data.photos.faces import Face, average_corners, average_face
from engine.training.data.photos.finder import Finder
from engine.training.data.photos.pose import BUNDLED_ORBIT, project

#: Where eyes and corners of the mouth are painted.
COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)]


def face_at(
    yaw: float, pitch: float, side: float, left: float, top: float, roll: float = 0.0
) -> Face:
    """The average face as the bundled generator's camera sees it in a square of a picture."""
    camera = OrbitPose(yaw=yaw, pitch=pitch, fov_y=BUNDLED_ORBIT.fov_y).camera()
    a = np.radians(roll)
    turn = side * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])

    def placed(points: np.ndarray) -> np.ndarray:
        return (project(camera, points) - 0.5) @ turn.T + (left + side / 2, top + side / 2)

    local = average_face() @ camera.world_to_camera()[:3, :3].T
    depth = (local[:, 2] - local[:, 2].mean()) * side * camera.focal / 2.4
    dense = np.concatenate([placed(average_face()), depth[:, None]], axis=1)
    corners = placed(average_corners())
    return Face(corners[:2], corners[2:], dense)


def photo(face: Face | None, width: int, height: int) -> Image.Image:
    """A grey picture with coloured dots at the eyes and at the corners of the mouth."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    if face is not None:
        y, x = np.mgrid[0:height, 0:width] + 0.5
        for (u, v), colour in zip([*face.eyes, *face.mouth], COLOURS, strict=True):
            pixels[np.hypot(x - u, y - v) < max(2.0, face.size / 10)] = colour
    return Image.fromarray(pixels)


def dots(pixels: np.ndarray) -> np.ndarray:
    """``[4, 2]`` middles of the dots, shares of the picture's side."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width] + 0.5
    found = []
    for colour in COLOURS:
        near = np.abs(pixels.astype(int) - colour).sum(-1) < 150
        found.append((x[near].mean() / width, y[near].mean() / height))
    return np.array(found)


class KnowingFinder(Finder):
    """Knows each photograph's faces by its size."""

    name = "a finder that knows"

    def __init__(self, faces: dict[tuple[int, int], list[Face]]) -> None:
        self.faces = faces
        self.asked = 0
        self.closed = False

    def find(self, picture: Image.Image) -> list[Face]:
        self.asked += 1
        return self.faces.get(picture.size, [])

    def close(self) -> None:
        self.closed = True


_FAKE = '''
"""Stands for MediaPipe: a picture's first pixel says what it finds."""
import os, sys, types
import numpy as np

__version__ = "0.10.21-fake"
FACE = np.load({points!r})


class _Mesh:
    def __init__(self, **options):
        assert options["static_image_mode"] and options["refine_landmarks"]
        print("native words on the standard output", flush=True)
        os.write(1, b"and some past Python\\n")

    def process(self, pixels):
        red, green, blue = (int(v) for v in pixels[0, 0])
        if (red, green, blue) == (255, 0, 0):
            sys.stderr.write("something native broke\\n")
            os._exit(3)
        if (red, green, blue) == (0, 255, 0):
            return types.SimpleNamespace(multi_face_landmarks=None)
        height, width = pixels.shape[:2]
        faces = []
        for scale in {{255: (0.5, 1.0), 254: (1.0, 0.5)}}.get(blue, (0.5,)):
            points = FACE * scale
            faces.append(types.SimpleNamespace(landmark=[
                types.SimpleNamespace(x=x / width, y=y / height, z=z / width) for x, y, z in points
            ]))
        return types.SimpleNamespace(multi_face_landmarks=faces)


class _Far:
    def __init__(self, **options):
        assert options["model_selection"] == 1

    def process(self, pixels):
        box = types.SimpleNamespace(xmin=0.5, ymin=0.5, width=0.25, height=0.25)
        place = types.SimpleNamespace(relative_bounding_box=box)
        found = [types.SimpleNamespace(location_data=place)] if pixels[-1, -1, 0] == 9 else None
        return types.SimpleNamespace(detections=found)


solutions = types.SimpleNamespace(
    face_mesh=types.SimpleNamespace(FaceMesh=_Mesh),
    face_detection=types.SimpleNamespace(FaceDetection=_Far),
)
'''


def fake_python(folder: Path, points: np.ndarray, mediapipe: bool = True) -> Path:
    """A Python of its own with numpy and a module ``mediapipe`` that finds ``points`` ``[478, 3]``
    wherever it looks."""
    home = folder / "python"
    venv.create(home, symlinks=os.name != "nt")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = home / ("Lib" if os.name == "nt" else f"lib/{version}") / "site-packages"
    numpy_home = Path(np.__file__).parent.parent
    (site / "ours.pth").write_text(f"{numpy_home}\n")
    np.save(folder / "points.npy", points)
    if mediapipe:
        text = textwrap.dedent(_FAKE).format(points=str(folder / "points.npy"))
        (site / "mediapipe.py").write_text(text)
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
