"""``maquette latents``: faces as files of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from app.cli.mixing import MixingOptions
from app.cli.options import FaceOptions, SettingOptions, SubjectOptions
from app.cli.parsing import Flag, parse, parse_seeds
from app.cli.subject import DrawingOptions, check_one_face, open_subject, read_subject
from app.cli.terminal import say, show_json
from engine.errors import UserError
from engine.latent_files import latent_suffix


@dataclass(frozen=True)
class LatentsCommand:
    """Write the extended latent w of a face, after truncation, blends and mixes, as an .npz with
    the key w [1, layers, numbers]: the form in which the authors' tools keep projections. Draw
    it again with --latent."""

    out: Annotated[Path, tyro.conf.arg(metavar="PATH")] = Path("latent.npz")
    """A file ending in .npz, or a folder for several seeds."""
    seed: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="SEEDS", aliases=["--seeds"], help_behavior_hint="(default: 0)"),
    ] = ()
    """Whose face: 7, or several as 0-9 or 1,5,20-24."""
    json: Flag = False
    """Print what was written as JSON."""
    subject: SubjectOptions = field(default_factory=SubjectOptions)
    face: FaceOptions = field(default_factory=FaceOptions)
    mixing: MixingOptions = field(default_factory=MixingOptions)
    settings: SettingOptions = field(default_factory=SettingOptions)


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(LatentsCommand, words, "maquette latents")
    drawing = DrawingOptions(
        subject=options.subject,
        face=options.face,
        mixing=options.mixing,
        settings=options.settings,
    )
    base = read_subject(drawing)
    if options.seed:
        check_one_face(drawing)
    seeds = parse_seeds(options.seed) if options.seed else [base.seed]
    targets = _targets(options.out.expanduser(), seeds)
    generator, base = open_subject(drawing, base)

    from engine.draw import Painter
    from engine.latent_files import write_latent

    painter = Painter(generator)
    facts: list[dict[str, Any]] = []
    for seed, target in zip(seeds, targets, strict=True):
        recipe = base.of_seed(seed) if options.seed else base
        w = painter.latent(recipe).float().cpu().numpy()
        write_latent(target, w)
        facts.append({"path": str(target), "shape": [1, *w.shape], "recipe": recipe.to_json()})
        if not options.json:
            say(str(target))
    if options.json:
        show_json(facts)
    return 0


def _targets(out: Path, seeds: list[int]) -> list[Path]:
    """One file a seed, found to be writable before the work.

    Raises:
        UserError: several seeds for one file, or the place cannot be written.
    """
    from engine.export.files import check_writable, make_folder

    if len(seeds) == 1 and not out.is_dir():
        latent_suffix(out)
        return [check_writable(out)]
    if out.suffix and not out.is_dir():
        raise UserError(f"{len(seeds)} latents need a folder, but {out} is a file name.")
    make_folder(out)
    return [check_writable(out / f"seed{seed:04d}.npz") for seed in seeds]
