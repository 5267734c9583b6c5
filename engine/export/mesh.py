"""From a radiance field to a triangle mesh in the world's own units.

The mesh stands as the head does: +Y is up, the face looks along +Z, triangles wind
counter-clockwise seen from outside.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import ExportError
from engine.export.isosurface import CHUNK_POINTS, Grid, extract_isosurface
from engine.export.mesh_files import mesh_suffix, write_mesh
from engine.export.on_gpu import extract_on_gpu
from engine.export.options import MeshOptions
from engine.export.sparse import extract_near_surface
from engine.export.surface import decimated, largest_component, smoothed, vertex_normals
from engine.generators.base import NEVER, CancelToken, Field, Generator

__all__ = ["MeshOptions", "extract_mesh", "mesh_suffix", "write_mesh"]

Progress = Callable[[int, int], None]

#: Steps of the progress bar: sampling and marching cubes, then everything after.
_SAMPLING_STEPS, _ALL_STEPS = 900, 1000


def _no_progress(done: int, total: int) -> None:
    pass


def extract_mesh(
    generator: Generator,
    w: Tensor,
    options: MeshOptions = MeshOptions(),
    progress: Progress = _no_progress,
    cancel: CancelToken = NEVER,
) -> trimesh.Trimesh:
    """The surface of one identity.

    Args:
        generator: the model.
        w: ``[num_ws, w_dim]`` extended latent (``Painter.latent``).
        options: see :class:`MeshOptions`.
        progress: called with (steps done, all steps).
        cancel: checked between chunks of points and between stages.

    Returns:
        A mesh in world units with outward faces and, if asked for, sRGB vertex colours
        (``mesh.visual.vertex_colors``): the field's colour at the vertex, seen along the
        inward normal.

    Raises:
        UserError: an option is out of range.
        ExportError: no surface at that level, or NaN in the field.
        Cancelled: ``cancel`` was set.
    """
    options.checked()
    cancel.check()
    facts = generator.capabilities
    level = facts.mesh_level if options.level is None else options.level
    with torch.inference_mode():
        field, grid = generator.field(w), Grid.over(facts, options.resolution)

        def sampled(done: int, total: int) -> None:
            progress(done * _SAMPLING_STEPS // total, _ALL_STEPS)

        how = (level, facts.mesh_level_meaning, generator.device, sampled, cancel)
        found = extract_on_gpu(field, grid, *how) if field.quick else None
        if found is None and options.largest_component:
            # Specks that few samples would show are dropped anyway where one piece is wanted.
            found = extract_near_surface(field, grid, *how)
        vertices, faces = found or extract_isosurface(field, grid, *how)
        cancel.check()
        if options.largest_component:
            vertices, faces = largest_component(vertices, faces)
        if options.smooth_iterations:
            vertices = smoothed(vertices, faces, options.smooth_iterations)
            cancel.check()
        if options.target_faces is not None:
            vertices, faces = decimated(vertices, faces, options.target_faces)
            cancel.check()
        if not len(faces):
            raise ExportError(
                "Nothing of the surface is left; raise the number of faces or the resolution."
            )
        normals = vertex_normals(vertices, faces)
        colors = (
            _colors(field, vertices, normals, generator.device, cancel) if options.colors else None
        )
    progress(_ALL_STEPS, _ALL_STEPS)
    return trimesh.Trimesh(
        vertices, faces, vertex_normals=normals, vertex_colors=colors, process=False
    )


def _colors(
    field: Field,
    vertices: NDArray[np.float64],
    normals: NDArray[np.float64],
    device: torch.device,
    cancel: CancelToken,
) -> NDArray[np.uint8]:
    """``[V, 4]`` uint8 sRGB with full opacity."""
    colors = np.full((len(vertices), 4), 255, np.uint8)
    for first in range(0, len(vertices), CHUNK_POINTS):
        cancel.check()
        part = slice(first, first + CHUNK_POINTS)
        points = torch.from_numpy(vertices[part]).to(device, torch.float32)
        inward = torch.from_numpy(-normals[part]).to(device, torch.float32)
        rgb = field.color(points, inward).float()
        if not bool(torch.isfinite(rgb).all()):
            raise ExportError(
                "The colours of this model's field hold NaN (values that are not numbers); try "
                "another seed, or export the mesh without colours."
            )
        colors[part, :3] = (rgb.clamp(0, 1) * 255.0 + 0.5).to(torch.uint8).cpu().numpy()
    return colors
