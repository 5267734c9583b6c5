"""Catmull-Clark subdivision and vertex normals as sparse matrices.

The topology of the pack never changes, so the refinement of a head is one product of a
fixed sparse matrix with its coarse vertices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def triangulate(quads: Ints) -> NDArray[np.int32]:
    """Quads ``[M, 4]`` as triangles ``[T, 3]``; a repeated index marks a triangle."""
    both = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    a, b, c = both.T
    proper: NDArray[np.int32] = both[(a != b) & (b != c) & (a != c)].astype(np.int32)
    return proper


def subdivide(quads: Ints, count: int, *, smooth: bool = True) -> tuple[Any, Ints]:
    """One step of Catmull-Clark subdivision.

    Args:
        quads: ``[M, 4]`` faces, counter-clockwise.
        count: number of vertices.
        smooth: False gives the same faces by linear interpolation (for texture
            coordinates).

    Returns:
        A sparse matrix ``[N', N]`` from old to new vertices (old vertices first, then one
        a edge, then one a face) and the new faces ``[4 M, 4]``.

    Source: Catmull and Clark, "Recursively generated B-spline surfaces on arbitrary
    topological meshes", 1978, with the usual cubic rule on borders.
    """
    faces = len(quads)
    ends = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), axis=1)
    edges, edge_of, uses = np.unique(ends, axis=0, return_inverse=True, return_counts=True)
    edge_of, n_edges = edge_of.reshape(faces, 4), len(edges)
    face_rows, edge_rows = np.repeat(np.arange(faces), 4), np.repeat(np.arange(n_edges), 2)

    def matrix(value: float, rows: Ints, columns: Ints, shape: tuple[int, int]) -> Any:
        return sparse.csr_matrix((np.full(len(rows), value), (rows, columns)), shape=shape)

    face_points = matrix(0.25, face_rows, quads.ravel(), (faces, count))
    midpoints = matrix(0.5, edge_rows, edges.ravel(), (n_edges, count))
    if smooth:
        inner = sparse.diags((uses == 2).astype(float))
        border = sparse.diags((uses != 2).astype(float))
        edge_faces = matrix(0.25, edge_of.ravel(), face_rows, (n_edges, faces))
        edge_points = inner @ (0.5 * midpoints + edge_faces @ face_points) + border @ midpoints
        vertex_points = _vertex_rule(quads, edges, uses, count, face_points, midpoints)
    else:
        edge_points, vertex_points = midpoints, sparse.identity(count)
    refine = sparse.vstack([vertex_points, edge_points, face_points]).tocsr().astype(np.float32)
    at_edge, at_face = count + edge_of, count + n_edges + np.arange(faces)
    corners = [
        np.stack([quads[:, i], at_edge[:, i], at_face, at_edge[:, i - 1]], axis=1) for i in range(4)
    ]
    return refine, np.stack(corners, axis=1).reshape(-1, 4)


def _vertex_rule(
    quads: Ints, edges: Ints, uses: Ints, count: int, face_points: Any, midpoints: Any
) -> Any:
    """New positions of the old vertices: (F + 2 E + (n - 3) P) / n, cubic on borders."""
    faces, n_edges = len(quads), len(edges)
    vertex_faces = sparse.csr_matrix(
        (np.ones(faces * 4), (quads.ravel(), np.repeat(np.arange(faces), 4))), shape=(count, faces)
    )
    vertex_edges = sparse.csr_matrix(
        (np.ones(n_edges * 2), (edges.ravel(), np.repeat(np.arange(n_edges), 2))),
        shape=(count, n_edges),
    )
    border_edges = vertex_edges @ sparse.diags((uses == 1).astype(float))
    valence = np.asarray(vertex_faces.sum(1)).ravel()
    degree = np.asarray(vertex_edges.sum(1)).ravel()
    borders = np.asarray(border_edges.sum(1)).ravel()
    n = np.maximum(valence, 1.0)
    inside = (
        sparse.diags(1 / n**2) @ vertex_faces @ face_points
        + sparse.diags(2 / n / np.maximum(degree, 1)) @ vertex_edges @ midpoints
        + sparse.diags((n - 3) / n)
    )
    rim = sparse.diags(0.5 / np.maximum(borders, 1)) @ border_edges @ midpoints + sparse.diags(
        np.full(count, 0.5)
    )
    is_rim = borders > 0
    is_inside = (valence > 0) & ~is_rim
    return (
        sparse.diags(is_inside.astype(float)) @ inside
        + sparse.diags(is_rim.astype(float)) @ rim
        + sparse.diags((valence == 0).astype(float))
    )


class NormalOperator:
    """Area-weighted vertex normals of a fixed topology.

    Args:
        quads: ``[M, 4]`` faces. count: number of vertices ``N``.
    """

    def __init__(self, quads: Ints, count: int) -> None:
        self.triangles = triangulate(quads)
        n = len(self.triangles)
        self._gather = sparse.csr_matrix(
            (np.ones(n * 3, np.float32), (self.triangles.ravel(), np.repeat(np.arange(n), 3))),
            shape=(count, n),
        )

    def __call__(self, points: Floats) -> Floats:
        """Unit normals ``[N, 3]`` of vertices ``[N, 3]``."""
        corner = points[self.triangles[:, 0]]
        u, v = points[self.triangles[:, 1]] - corner, points[self.triangles[:, 2]] - corner
        area = np.empty_like(u)
        area[:, 0] = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1]
        area[:, 1] = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]
        area[:, 2] = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
        normals = self._gather @ area
        length = np.sqrt(np.einsum("ij,ij->i", normals, normals))
        result: Floats = (normals / np.maximum(length, 1e-9)[:, None]).astype(np.float32)
        return result


def smoothing_operator(quads: Ints, count: int) -> Any:
    """Sparse ``[N, N]`` matrix that replaces each vertex value by its neighbours' mean."""
    ends = np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2)
    both = np.concatenate([ends, ends[:, ::-1]])
    graph = sparse.csr_matrix(
        (np.ones(len(both), np.float32), (both[:, 0], both[:, 1])), shape=(count, count)
    )
    graph.data[:] = 1.0
    degree = np.maximum(np.asarray(graph.sum(1)).ravel(), 1.0)
    return (sparse.diags(1.0 / degree) @ graph).tocsr().astype(np.float32)
