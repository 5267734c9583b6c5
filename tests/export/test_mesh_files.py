"""Mesh files: read back by other programs' eyes."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from analytic import CENTER, AnalyticField, AnalyticGenerator

from engine.errors import ExportError
from engine.export.mesh import MeshOptions, extract_mesh, write_mesh
from engine.export.mesh_files import MESH_SUFFIXES

VALIDATOR = Path(__file__).parent / "gltf"


@pytest.fixture(scope="module")
def mesh() -> trimesh.Trimesh:
    generator = AnalyticGenerator(AnalyticField())
    return extract_mesh(generator, torch.zeros(4, 8), MeshOptions(resolution=48))


@pytest.fixture(scope="module")
def plain() -> trimesh.Trimesh:
    generator = AnalyticGenerator(AnalyticField())
    return extract_mesh(
        generator, torch.zeros(4, 8), MeshOptions(resolution=32, colors=False, target_faces=500)
    )


@pytest.fixture(scope="module")
def validator() -> Path:
    """The folder with the Khronos validator; installed once, kept out of version control."""
    if not (VALIDATOR / "node_modules" / "gltf-validator").is_dir():
        npm = shutil.which("npm")
        assert npm, "The glTF validator needs node and npm: run 'make test', which installs them."
        command = [npm, "install", "--prefix", str(VALIDATOR), "--no-audit", "--no-fund"]
        subprocess.run(command, check=True, cwd=VALIDATOR, timeout=240)
    return VALIDATOR


def glb_parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, json_kind = struct.unpack_from("<I4s", data, 12)
    assert json_kind == b"JSON" and json_length % 4 == 0
    start = 20 + json_length
    binary_length, binary_kind = struct.unpack_from("<I4s", data, start)
    assert binary_kind == b"BIN\0" and start + 8 + binary_length == len(data)
    return json.loads(data[20:start]), data[start + 8 :]


def loaded(path: Path) -> trimesh.Trimesh:
    return trimesh.load(path, force="mesh", process=False)


@pytest.mark.parametrize("suffix", sorted(MESH_SUFFIXES))
def test_shape_survives(tmp_path: Path, mesh: trimesh.Trimesh, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_mesh(mesh, path)
    again = loaded(path)
    assert len(again.faces) == len(mesh.faces)
    assert np.abs(again.bounds - mesh.bounds).max() < 1e-6
    assert again.volume == pytest.approx(mesh.volume, rel=1e-5)
    triangles = np.asarray(again.triangles), np.asarray(mesh.triangles)
    assert np.abs(triangles[0] - triangles[1]).max() < 1e-6
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb"])
def test_colours_survive(tmp_path: Path, mesh: trimesh.Trimesh, suffix: str) -> None:
    write_mesh(mesh, tmp_path / f"a{suffix}")
    again = loaded(tmp_path / f"a{suffix}")
    assert again.visual.kind == "vertex"
    got = np.asarray(again.visual.vertex_colors)[:, :3].astype(int)
    # sRGB 0.2 and 0.8 (51 and 204); as linear light, by hand, 0.0331 and 0.6038 (8 and 154).
    dark, bright = (8, 154) if suffix == ".glb" else (51, 204)
    wanted = np.where(np.asarray(again.vertices) > CENTER, bright, dark)
    clear = np.abs(again.vertices - CENTER).min(axis=1) > 1e-5
    assert clear.mean() > 0.8
    assert np.abs(got - wanted)[clear].max() <= 1


def test_obj_is_what_other_programs_read(tmp_path: Path, mesh: trimesh.Trimesh) -> None:
    write_mesh(mesh, tmp_path / "a.obj")
    lines = (tmp_path / "a.obj").read_text().splitlines()
    first = next(line for line in lines if line.startswith("v ")).split()
    assert len(first) == 7
    assert [float(x) for x in first[4:]] in [
        [a, b, c] for a in (0.2, 0.8) for b in (0.2, 0.8) for c in (0.2, 0.8)
    ]
    assert sum(line.startswith("vn ") for line in lines) == len(mesh.vertices)
    assert sum(line.startswith("f ") for line in lines) == len(mesh.faces)


def test_ply_carries_normals(tmp_path: Path, mesh: trimesh.Trimesh) -> None:
    write_mesh(mesh, tmp_path / "a.ply")
    head = (tmp_path / "a.ply").read_bytes()[:600].decode("latin1")
    assert "binary_little_endian" in head
    for name in ("nx", "red"):
        assert f" {name}\n" in head


def test_glb_by_hand(tmp_path: Path, mesh: trimesh.Trimesh) -> None:
    write_mesh(mesh, tmp_path / "a.glb")
    document, binary = glb_parts(tmp_path / "a.glb")
    primitive = document["meshes"][0]["primitives"][0]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "COLOR_0"}

    def values(index: int, kind: str, columns: int) -> np.ndarray:
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        count = accessor["count"] * columns
        return np.frombuffer(binary, kind, count, view["byteOffset"]).reshape(-1, columns)

    normals = values(primitive["attributes"]["NORMAL"], "<f4", 3)
    assert np.abs(np.linalg.norm(normals, axis=1) - 1.0).max() < 1e-6
    positions = values(primitive["attributes"]["POSITION"], "<f4", 3)
    front = positions[:, 2].argmax()
    assert normals[front, 2] > 0.95
    triangles = positions[values(primitive["indices"], "<u4", 1).reshape(-1, 3)].astype(float)
    assert (
        np.einsum("ij,ij->i", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).sum() > 0
    )


def report(validator: Path, path: Path) -> dict[str, Any]:
    command = ["node", "validate.mjs", str(path)]
    done = subprocess.run(command, check=True, cwd=validator, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_khronos_validator(
    tmp_path: Path, mesh: trimesh.Trimesh, plain: trimesh.Trimesh, validator: Path
) -> None:
    for name, subject in (("colours", mesh), ("plain", plain)):
        write_mesh(subject, tmp_path / f"{name}.glb")
        found = report(validator, tmp_path / f"{name}.glb")
        assert found["issues"]["messages"] == []
        assert found["info"]["totalTriangleCount"] == len(subject.faces)
        assert found["info"]["totalVertexCount"] == len(subject.vertices)


def test_validator_can_fail(tmp_path: Path, plain: trimesh.Trimesh, validator: Path) -> None:
    write_mesh(plain, tmp_path / "a.glb")
    data = (
        (tmp_path / "a.glb").read_bytes().replace(b'"componentType":5125', b'"componentType":5124')
    )
    (tmp_path / "a.glb").write_bytes(data)
    assert report(validator, tmp_path / "a.glb")["issues"]["numErrors"] > 0


def test_unknown_suffix(tmp_path: Path, plain: trimesh.Trimesh) -> None:
    for name in ("a.fbx", "a"):
        with pytest.raises(ExportError, match=r"use one of \.glb, \.ply, \.obj, \.stl"):
            write_mesh(plain, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", sorted(MESH_SUFFIXES))
def test_full_disk(tmp_path: Path, plain: trimesh.Trimesh, full_disk: None, suffix: str) -> None:
    with pytest.raises(ExportError, match="the disk is full"):
        write_mesh(plain, tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []
