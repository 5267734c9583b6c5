"""What ``maquette inspect`` says about a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.conversation import shown
from app.project import PROJECT_FORMAT, Project, read_project
from engine.recipe import Recipe
from engine.timeline import Timeline


def describe_project(path: str | Path) -> dict[str, Any]:
    """Plain facts about a project, fit for JSON.

    Raises:
        UserError: it cannot be read.
    """
    project = read_project(path)
    document = project.document
    arrays: dict[str, Any] = {}
    plain = document.to_json(arrays)
    return {
        "path": str(Path(path).expanduser()),
        "format": PROJECT_FORMAT,
        "program": project.program,
        "origin": project.origin,
        "thumbnail": project.thumbnail is not None,
        "document": plain,
        "arrays": {name: [list(a.shape), str(a.dtype)] for name, a in sorted(arrays.items())},
    }


def project_lines(path: str | Path) -> list[str]:
    """The same for people.

    Raises:
        UserError: it cannot be read.
    """
    project = read_project(path)
    lines = [
        f"file         {Path(path).expanduser()}",
        f"format       {PROJECT_FORMAT}, written by Maquette {shown(project.program) or '?'}",
        *recipe_lines(project.document.recipe),
        *_favourites(project),
        *_timeline(project.document.timeline),
        f"thumbnail    {'yes' if project.thumbnail else 'none'}",
    ]
    if project.origin:
        lines.insert(1, f"recovered    from the work on {shown(project.origin)}")
    return lines


def recipe_lines(recipe: Recipe) -> list[str]:
    """What a recipe says, for people."""
    pose = recipe.pose
    return [
        f"model        {shown(recipe.model.path)}",
        f"sha256       {shown(recipe.model.sha256) or 'not known'}",
        *_face(recipe),
        f"camera       yaw {pose.yaw:.1f}, pitch {pose.pitch:.1f}, roll {pose.roll:.1f}, "
        f"{pose.radius:g} away, {pose.fov_y:g} degrees of view",
        f"view         {recipe.view}",
    ]


def _face(recipe: Recipe) -> list[str]:
    cutoff = "all layers" if recipe.cutoff is None else f"the first {recipe.cutoff} layers"
    lines = [f"face         seed {recipe.seed}, psi {recipe.psi:g} on {cutoff}"]
    if recipe.latent is not None:
        rows, columns = recipe.latent.shape
        named = f" ({shown(recipe.latent.name)})" if recipe.latent.name else ""
        lines.append(
            f"latent       {rows} x {columns} numbers in {recipe.latent.space}{named} instead"
        )
    if recipe.blend is not None:
        seeds = ", ".join(map(str, recipe.blend.seeds))
        lines.append(f"blend        of the seeds {seeds} instead")
    if recipe.mixes:
        lines.append(f"mixes        rows of w from {len(recipe.mixes)} other faces")
    for edit in recipe.edits:
        layers = "all layers" if edit.rows is None else f"{len(edit.rows)} layers"
        muted = ", muted" if edit.muted else ""
        lines.append(f"edit         {shown(edit.name)}, {edit.strength:+g} on {layers}{muted}")
    if recipe.swap is not None:
        swap = recipe.swap
        names = ", ".join(map(shown, swap.layers)) or "none"
        lines.append(f"layers       {names}: {swap.gamma:g} of {shown(swap.model.path)}")
    lines += [f"setting      {name} = {json.dumps(value)}" for name, value in recipe.settings]
    return lines


def _favourites(project: Project) -> list[str]:
    names = [shown(favourite.name) for favourite in project.document.favourites]
    return [f"favourites   {', '.join(names)}"] if names else []


def _timeline(line: Timeline) -> list[str]:
    if not line.keys:
        return []
    keys = "1 key" if len(line.keys) == 1 else f"{len(line.keys)} keys"
    loop = ", in a loop" if line.loop else ""
    times = ", ".join(f"{key.time:g}" for key in line.keys[:8])
    more = " ..." if len(line.keys) > 8 else ""
    return [
        f"timeline     {keys} (at {times}{more} s) in {line.duration:g} s{loop}, {line.fps:g} frames a "
        "second"
    ]
