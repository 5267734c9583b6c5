"""``maquette mesh``: a head as a coloured mesh."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.mixing import MixingOptions
from app.cli.options import FaceOptions, SettingOptions, SubjectOptions
from app.cli.parsing import Flag, parse
from app.cli.subject import DrawingOptions, chosen_seed, open_subject, read_subject
from app.cli.terminal import progress, say, show_json
from engine.export.options import MeshOptions


@dataclass(frozen=True)
class MeshCommand:
    """Cut the surface out of a generated head and write it as a mesh: +Y up, the face
    along +Z, outward normals."""

    out: Annotated[Path, tyro.conf.arg(metavar="PATH")] = Path("head.glb")
    """A file ending in .glb, .ply, .obj or .stl."""
    seed: Annotated[
        str | None, tyro.conf.arg(metavar="SEED", help_behavior_hint="(default: 0)")
    ] = None
    """Whose head."""
    json: Flag = False
    """Print what was written as JSON."""
    mesh: MeshOptions = field(default_factory=MeshOptions)
    subject: SubjectOptions = field(default_factory=SubjectOptions)
    face: FaceOptions = field(default_factory=FaceOptions)
    mixing: MixingOptions = field(default_factory=MixingOptions)
    settings: SettingOptions = field(default_factory=SettingOptions)


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(MeshCommand, words, "maquette mesh")
    chosen = options.mesh.checked()
    drawing = DrawingOptions(
        subject=options.subject,
        face=options.face,
        mixing=options.mixing,
        settings=options.settings,
    )
    # A mesh is of the head, whatever view of it the picture given with --from shows.
    recipe = replace(read_subject(drawing), view="picture", transparent=False)
    recipe = chosen_seed(drawing, recipe, options.seed)
    out = options.out.expanduser()

    from engine.export.files import check_writable
    from engine.export.mesh_files import mesh_suffix

    mesh_suffix(out)
    check_writable(out)
    generator, recipe = open_subject(drawing, recipe)

    from engine.draw import Painter
    from engine.export.mesh import extract_mesh, write_mesh

    start, painter = time.perf_counter(), Painter(generator)
    with progress("Cutting the surface") as report:
        mesh = extract_mesh(painter.model(recipe), painter.latent(recipe), chosen, report)
    write_mesh(mesh, out)
    spent = time.perf_counter() - start
    if options.json:
        low, high = mesh.bounds
        facts = {
            "path": str(out),
            "vertices": len(mesh.vertices),
            "faces": len(mesh.faces),
            "watertight": bool(mesh.is_watertight),
            "bounds": [low.tolist(), high.tolist()],
            "seconds_spent": round(spent, 3),
            "model": recipe.to_json()["model"],
            "seed": recipe.seed,
            "psi": recipe.psi,
            "cutoff": recipe.cutoff,
            "settings": dict(recipe.settings),
        }
        show_json(facts)
    else:
        say(f"{out}: {len(mesh.vertices)} vertices, {len(mesh.faces)} faces")
    return 0
