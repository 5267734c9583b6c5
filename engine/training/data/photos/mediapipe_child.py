"""Landmarks of faces by MediaPipe, in a Python of its own.

Run as a script by :mod:`engine.training.data.photos.finder`, never imported: MediaPipe pins numpy
below 2 and cannot live beside Maquette. It needs nothing of Maquette, decodes no files and opens no
connections: pixels come in, numbers go out.

Asked on the standard input: a line of JSON ``{"width": W, "height": H}`` and then ``3 W H`` bytes of
RGB. Answered on the standard output with a line ``{"faces": [[[x, y, z], ...], ...]}``: 478 points
a face in pixels, z growing away from the camera. First of all it says ``{"ready": VERSION}``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

#: Faces in one picture that are looked for.
MOST_FACES = 8
#: How sure the detector must be, 0 to 1.
SURE = 0.5
#: Side of the square around a small face, in widths of the face, that is looked at again.
_AROUND = 2.0


def main() -> int:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    # Its native code talks on the standard output, which would end up between the answers.
    os.dup2(2, 1)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_minloglevel", "2")
    import mediapipe
    import numpy as np

    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=MOST_FACES, refine_landmarks=True,
        min_detection_confidence=SURE,
    )  # fmt: skip
    far = mediapipe.solutions.face_detection.FaceDetection(
        model_selection=1, min_detection_confidence=SURE
    )
    _say(answers, {"ready": mediapipe.__version__})
    questions = sys.stdin.buffer
    while line := questions.readline():
        asked = json.loads(line)
        width, height = int(asked["width"]), int(asked["height"])
        data = questions.read(3 * width * height)
        pixels = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        faces = _meshes(mesh, pixels)
        if not faces:
            faces = _small_faces(mesh, far, pixels)
        _say(answers, {"faces": faces})
    return 0


def _say(answers: BinaryIO, what: dict[str, Any]) -> None:
    answers.write(json.dumps(what).encode() + b"\n")
    answers.flush()


def _meshes(mesh: Any, pixels: Any) -> list[list[list[float]]]:
    height, width = pixels.shape[:2]
    found = mesh.process(pixels).multi_face_landmarks or []
    # It tells z in the unit of x: the picture's width.
    return [[[p.x * width, p.y * height, p.z * width] for p in face.landmark] for face in found]


def _small_faces(mesh: Any, far: Any, pixels: Any) -> list[list[list[float]]]:
    """Faces that are small in a large picture: found by the far detector, looked at from near."""
    height, width = pixels.shape[:2]
    faces = []
    for one in (far.process(pixels).detections or [])[:MOST_FACES]:
        box = one.location_data.relative_bounding_box
        side = int(_AROUND * max(box.width * width, box.height * height))
        left = int((box.xmin + box.width / 2) * width - side / 2)
        top = int((box.ymin + box.height / 2) * height - side / 2)
        left, top = max(0, left), max(0, top)
        part = pixels[top : top + side, left : left + side].copy()
        if min(part.shape[:2]) < 8:
            continue
        near = _meshes(mesh, part)[:1]
        faces += [[[x + left, y + top, z] for x, y, z in face] for face in near]
    return faces


if __name__ == "__main__":
    sys.exit(main())
