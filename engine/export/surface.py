"""Operations on triangle surfaces: components, smoothing, decimation, normals."""

from __future__ import annotations

import fast_simplification
import numpy as np
import trimesh
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Taubin's pass-band: 1/lambda + 1/mu = 0.1, as in section 4 of his paper.
_LAMBDA = 0.5
_MU = 1.0 / (0.1 - 1.0 / _LAMBDA)


def without_unused(vertices: Floats, faces: Indices) -> tuple[Floats, Indices]:
    """The same surface (``[V, 3]`` positions, ``[F, 3]`` places in them) without vertices that no face uses."""
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    return vertices[used], (np.cumsum(used) - 1)[faces]


def largest_component(vertices: Floats, faces: Indices) -> tuple[Floats, Indices]:
    """The connected piece (through shared vertices) with the largest area, of ``[V, 3]`` positions and ``[F, 3]``
    places in them."""
    labels = trimesh.graph.connected_component_labels(
        np.concatenate([faces[:, :2], faces[:, 1:]]), node_count=len(vertices)
    )
    face_labels = labels[faces[:, 0]]
    areas = np.bincount(face_labels, weights=np.linalg.norm(_area_normals(vertices, faces), axis=1))
    return without_unused(vertices, faces[face_labels == areas.argmax()])


def smoothed(vertices: Floats, faces: Indices, iterations: int) -> Floats:
    """Taubin smoothing: a shrinking and a growing step a round, so that the volume stays.

    G. Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995, with
    equal weights for all neighbours, lambda 0.5 and a pass-band of 0.1.

    Args:
        vertices: ``[V, 3]``.
        faces: ``[F, 3]``.
        iterations: rounds of two steps.

    Returns:
        ``[V, 3]`` moved vertices.
    """
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges = np.unique(edges, axis=0)
    a, b = edges[:, 0], edges[:, 1]
    count = len(vertices)
    degree = np.bincount(a, minlength=count) + np.bincount(b, minlength=count)
    scale = 1.0 / np.maximum(degree, 1)[:, None]
    moved = vertices.copy()
    for factor in (_LAMBDA, _MU) * iterations:
        total = np.stack(
            [
                np.bincount(a, moved[b, axis], count) + np.bincount(b, moved[a, axis], count)
                for axis in range(3)
            ],
            axis=1,
        )
        moved += factor * (total * scale - moved) * (degree > 0)[:, None]
    return moved


def decimated(vertices: Floats, faces: Indices, target_faces: int) -> tuple[Floats, Indices]:
    """Quadric edge collapse of ``[V, 3]`` positions and ``[F, 3]`` places in them down to about ``target_faces``
    triangles."""
    if target_faces >= len(faces):
        return vertices, faces
    # The collapse has absolute thresholds: give it a surface of unit size.
    low, size = vertices.min(axis=0), float(np.ptp(vertices, axis=0).max()) or 1.0
    points, triangles = fast_simplification.simplify(
        (vertices - low) / size, faces.astype(np.int32), target_count=target_faces
    )
    a, b, c = triangles.T
    kept = triangles[(a != b) & (b != c) & (c != a)].astype(np.int64)
    return without_unused(np.asarray(points, np.float64) * size + low, kept)


def vertex_normals(vertices: Floats, faces: Indices) -> Floats:
    """``[V, 3]`` unit normals, pointing outwards, weighted by the areas of the faces around.

    A vertex whose faces have no area gets the direction from the surface's middle.
    """
    weighted = _area_normals(vertices, faces)
    total = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, corner], weighted[:, axis], len(vertices))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    radial = vertices - vertices.mean(axis=0)
    radial /= np.maximum(np.linalg.norm(radial, axis=1, keepdims=True), 1e-30)
    tiny = length < 1e-30
    normals = np.where(tiny, radial, total / np.where(tiny, 1.0, length))
    normals[np.linalg.norm(normals, axis=1) < 0.5] = (0.0, 0.0, 1.0)
    return normals


def _area_normals(vertices: Floats, faces: Indices) -> Floats:
    """``[F, 3]`` face normals, twice as long as the face is large."""
    corners = vertices[faces]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
