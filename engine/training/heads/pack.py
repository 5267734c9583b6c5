"""Reading a head pack: base mesh, shape targets, fitted proxies, skins.

A pack is a folder with ``mh_heads.npz`` and ``tex/`` (the format is told in the pack's own
README; its data is CC0). Lengths are decimetres, +y up, +z out of the face, +x the
person's left.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from PIL import Image

from engine.errors import UserError
from engine.training.heads.subdivision import (
    NormalOperator,
    smoothing_operator,
    subdivide,
    triangulate,
)

Floats = NDArray[np.float32]
Bend = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Surface:
    """A triangle mesh with what shading needs.

    Attributes:
        position, normal: ``[N, 3]``. uv: ``[N, 2]``, v up. triangles: ``[T, 3]`` int32.
    """

    position: Floats
    normal: Floats
    uv: Floats
    triangles: NDArray[np.int32]


def flat_uv(count: int) -> Floats:
    """``[count, 2]`` zeros, for surfaces without a texture."""
    return np.zeros((count, 2), np.float32)


class Body:
    """The refined skin: vertices split where texture coordinates differ.

    Attributes:
        refine: sparse ``[N, B]``, base vertices to refined positions.
        quads: ``[M, 4]`` refined faces over positions.
        vertex: ``[K]`` position of each drawn vertex; uv: ``[K, 2]``.
        triangles: ``[T, 3]`` over drawn vertices.
    """

    def __init__(self, data: Mapping[str, NDArray[Any]], count: int) -> None:
        quads = data["body_quad"].astype(np.int64)
        uv_quads = data["body_quad_uv"].astype(np.int64)
        refine, fine = subdivide(quads, count)
        refine_uv, fine_uv = subdivide(uv_quads, len(data["body_uv"]), smooth=False)
        used, compact = np.unique(fine.ravel(), return_inverse=True)
        self.refine = refine[used].tocsr()
        self.quads = compact.reshape(fine.shape)
        self.count = len(used)
        pairs = np.stack([self.quads.ravel(), fine_uv.ravel()], 1)
        corners, index = np.unique(pairs, axis=0, return_inverse=True)
        self.vertex = corners[:, 0]
        self.uv: Floats = (refine_uv @ data["body_uv"])[corners[:, 1]].astype(np.float32)
        self.triangles = triangulate(index.reshape(fine.shape))
        self.coarse_triangles = triangulate(quads)
        self.normals = NormalOperator(self.quads, self.count)
        self.smooth = smoothing_operator(self.quads, self.count)


class Proxy:
    """A mesh that hangs on the base mesh by barycentric references (eyes, hair, clothes).

    ``fit`` gives its vertices for a morphed base; hair is refined once more.
    """

    def __init__(self, data: Mapping[str, NDArray[Any]], name: str, base_count: int) -> None:
        index = data[f"{name}/idx"].astype(np.int64)
        weight = data[f"{name}/w"].astype(np.float32)
        rows = np.repeat(np.arange(len(index)), 3)
        self.base_index = index
        self._bind = sparse.csr_matrix(
            (weight.ravel(), (rows, index.ravel())), shape=(len(index), base_count)
        )
        self._offset = data[f"{name}/off"].astype(np.float32)
        self._scale = data[f"{name}/scale"]
        quads = data[f"{name}/quad"].astype(np.int64)
        uv = data[f"{name}/uv"].astype(np.float32)
        self.coarse_uv, self.coarse_triangles = uv, triangulate(quads)
        _, first, welded = np.unique(data[f"{name}/pos"], return_index=True, return_inverse=True)
        self._first, count = first, len(first)
        fine = welded[quads]
        self._refine: Any = None
        if name.startswith("hair_"):
            self._refine, fine = subdivide(fine, count)
            count = self._refine.shape[0]
            refine_uv, fine_uv = subdivide(quads, len(uv), smooth=False)
            pairs = np.stack([fine.ravel(), fine_uv.ravel()], 1)
            corners, index_of = np.unique(pairs, axis=0, return_inverse=True)
            self._vertex = corners[:, 0]
            self.uv: Floats = (refine_uv @ uv)[corners[:, 1]].astype(np.float32)
            self.triangles = triangulate(index_of.reshape(fine.shape))
        else:
            self._vertex, self.uv, self.triangles = welded, uv, self.coarse_triangles
        self._normals = NormalOperator(fine, count)

    def fit(self, base: Floats) -> Floats:
        """Coarse vertices ``[N, 3]`` on the morphed base vertices ``[B, 3]``."""
        scale = np.ones(3, np.float32)
        for axis, (a, b, length) in enumerate(self._scale):
            if a >= 0:
                scale[axis] = abs(base[int(a), axis] - base[int(b), axis]) / length
        points: Floats = (self._bind @ base + self._offset * scale).astype(np.float32)
        return points

    def surface(self, coarse: Floats) -> Surface:
        """The drawn surface of :meth:`fit`'s vertices (bent or not)."""
        if self._refine is None:
            normal = self._normals(coarse[self._first])[self._vertex]
            return Surface(coarse, normal, self.uv, self.triangles)
        fine = (self._refine @ coarse[self._first]).astype(np.float32)
        normal = self._normals(fine)[self._vertex]
        return Surface(fine[self._vertex], normal, self.uv, self.triangles)


class HeadPack:
    """A head pack in memory.

    Args:
        folder: where ``mh_heads.npz`` and ``tex/`` lie.

    Raises:
        UserError: the folder is no head pack or a file of it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "mh_heads.npz"
        try:
            with np.load(path) as archive:
                self.data = {key: archive[key] for key in archive.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path} cannot be read ({error}); name the folder of a head pack."
            ) from error
        self.base: Floats = self.data["base"].astype(np.float32)
        count = len(self.base)
        self.target_names = [str(name) for name in self.data["t_names"]]
        self._target = {name: i for i, name in enumerate(self.target_names)}
        rows = self.data["t_rows"].astype(np.int64)
        columns = (rows[:, None] * 3 + np.arange(3)).ravel()
        # One column a target, so that a few weights cost a few columns only.
        self._targets = sparse.csc_matrix(
            (
                self.data["t_data"].astype(np.float32).ravel() / 1000.0,
                columns,
                self.data["t_ptr"].astype(np.int64) * 3,
            ),
            shape=(count * 3, len(self.target_names)),
        )
        self.body = Body(self.data, count)
        self.proxy = cache(self._make_proxy)

    def _make_proxy(self, name: str) -> Proxy:
        return Proxy(self.data, name, len(self.base))

    def morph(self, weights: Mapping[str, float]) -> Floats:
        """``[B, 3]`` base vertices with these target weights; unknown names are an error."""
        column = np.array([self._target[name] for name in weights], dtype=np.int64)
        value = np.fromiter(weights.values(), np.float32, len(weights))
        moved = self._targets[:, column] @ value
        result: Floats = self.base + moved.reshape(-1, 3).astype(np.float32)
        return result

    def target_offsets(self, name: str) -> Floats:
        """``[B, 3]`` displacement of one target at weight 1."""
        offsets: Floats = self._targets[:, self._target[name]].toarray().reshape(-1, 3)
        return offsets

    def joint(self, base: Floats, name: str) -> Floats:
        """``[3]`` the mean of a joint's vertices."""
        point: Floats = base[self.data[f"joint_{name}"]].mean(0)
        return point

    def covered(self, garment: str) -> NDArray[np.bool_]:
        """``[B]`` base vertices that a garment hides."""
        bits = np.unpackbits(self.data[f"{garment}/hide"])[: len(self.base)]
        return bits.astype(bool)

    def image(self, name: str) -> NDArray[np.uint8]:
        """A texture ``[H, W]`` or ``[H, W, C]`` of the pack, row 0 at the top.

        Raises:
            UserError: there is no such picture.
        """
        path = self.folder / "tex" / name
        try:
            with Image.open(path) as picture:
                return np.asarray(picture)
        except OSError as error:
            raise UserError(f"The head pack's picture {path} cannot be read.") from error
