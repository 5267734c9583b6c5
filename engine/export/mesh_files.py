"""Mesh files: GLB, PLY, OBJ and STL."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from engine.errors import ExportError
from engine.export.files import write_bytes
from engine.export.surface import vertex_normals

MESH_SUFFIXES: dict[str, str] = {
    ".glb": "glTF 2.0 binary, with colours and normals",
    ".ply": "binary PLY, with colours and normals",
    ".obj": "Wavefront OBJ, with normals and colours after each vertex",
    ".stl": "binary STL, shape only",
}

#: glTF 2.0, sections 4.4 and 5: magic, chunk types, component types, buffer view targets.
_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _UNSIGNED_INT = 5126, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963


def mesh_suffix(path: str | Path) -> str:
    """The lower-case suffix of a mesh's name.

    Raises:
        ExportError: it is not one of :data:`MESH_SUFFIXES`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise ExportError(
            f"{path} does not end in the name of a mesh format that Maquette writes; "
            f"use one of {', '.join(MESH_SUFFIXES)}."
        )
    return suffix


def write_mesh(mesh: trimesh.Trimesh, path: str | Path) -> None:
    """Write a mesh in the format that the suffix names.

    Colours are sRGB in PLY and OBJ, by their custom, and linear in GLB, as glTF 2.0 (section
    3.7.2.1) demands: viewers show the same colours for all three. STL has none.

    Raises:
        ExportError: unknown suffix, or the file cannot be written.
    """
    suffix = mesh_suffix(path)
    vertices = np.asarray(mesh.vertices, np.float64)
    faces = np.asarray(mesh.faces, np.int64)
    colors = _vertex_colors(mesh)
    if suffix == ".glb":
        data = glb_bytes(vertices, faces, colors)
    elif suffix == ".obj":
        data = obj_text(vertices, faces, colors).encode("ascii")
    elif suffix == ".ply":
        data = mesh.export(file_type="ply", vertex_normal=True)
    else:
        data = mesh.export(file_type="stl")
    write_bytes(path, data)


def glb_bytes(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], colors: NDArray[np.uint8] | None
) -> bytes:
    """A binary glTF 2.0 file with one mesh.

    It names no material: readers that follow materials first (trimesh among them) would
    otherwise take the mesh for a textured one and put the vertex colours aside.

    Args:
        vertices: ``[V, 3]`` world units; glTF's axes (+Y up, front along +Z) are ours.
        faces: ``[F, 3]``.
        colors: ``[V, 3]`` sRGB uint8 or ``None``.
    """
    attributes: list[tuple[str, NDArray[np.float32]]] = [
        ("POSITION", vertices.astype("<f4")),
        ("NORMAL", vertex_normals(vertices, faces).astype("<f4")),
    ]
    if colors is not None:
        attributes.append(("COLOR_0", _linear(colors).astype("<f4")))
    payload = bytearray(faces.astype("<u4").tobytes())
    views: list[dict[str, Any]] = [
        {"buffer": 0, "byteOffset": 0, "byteLength": len(payload), "target": _ELEMENT_ARRAY_BUFFER}
    ]
    accessors: list[dict[str, Any]] = [
        {"bufferView": 0, "componentType": _UNSIGNED_INT, "count": faces.size, "type": "SCALAR"}
    ]
    for _, values in attributes:
        accessors.append(
            {
                "bufferView": len(views),
                "componentType": _FLOAT,
                "count": len(values),
                "type": "VEC3",
                "min": [float(v) for v in values.min(axis=0)],
                "max": [float(v) for v in values.max(axis=0)],
            }
        )
        raw = values.tobytes()
        views.append(
            {
                "buffer": 0,
                "byteOffset": len(payload),
                "byteLength": len(raw),
                "target": _ARRAY_BUFFER,
            }
        )
        payload += raw
    primitive = {
        "attributes": {name: index + 1 for index, (name, _) in enumerate(attributes)},
        "indices": 0,
        "mode": 4,
    }
    document = {
        "asset": {"version": "2.0", "generator": "Maquette"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "head"}],
        "meshes": [{"name": "head", "primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(payload)}],
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    chunks = _chunk(_JSON_CHUNK, text, b" ") + _chunk(_BINARY_CHUNK, bytes(payload), b"\0")
    return struct.pack("<III", _MAGIC, 2, 12 + len(chunks)) + chunks


def obj_text(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], colors: NDArray[np.uint8] | None
) -> str:
    """Wavefront OBJ with ``v x y z r g b`` (colours 0 to 1), normals, and 1-based faces, of ``[V, 3]`` positions,
    ``[F, 3]`` places in them and ``[V, 3]`` colours in bytes."""
    rows = vertices if colors is None else np.concatenate([vertices, colors / 255.0], axis=1)
    place = "v %.7g %.7g %.7g" if colors is None else "v %.7g %.7g %.7g %.4f %.4f %.4f"
    lines = ["# Maquette", "o head"]
    lines += [place % tuple(row) for row in rows.tolist()]
    normals = vertex_normals(vertices, faces).tolist()
    lines += [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in normals]
    lines += [f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in (faces + 1).tolist()]
    return "\n".join(lines) + "\n"


def _vertex_colors(mesh: trimesh.Trimesh) -> NDArray[np.uint8] | None:
    if mesh.visual.kind != "vertex":
        return None
    return np.asarray(mesh.visual.vertex_colors, np.uint8)[:, :3]


def _linear(colors: NDArray[np.uint8]) -> NDArray[np.float64]:
    """sRGB uint8 -> linear light in [0, 1] (IEC 61966-2-1)."""
    value = colors / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _chunk(kind: int, data: bytes, padding: bytes) -> bytes:
    data += padding * (-len(data) % 4)
    return struct.pack("<II", len(data), kind) + data
