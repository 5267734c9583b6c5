"""``maquette prepare``: photographs become a data set to train on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from app.cli.parsing import Flag, parse
from app.cli.terminal import progress, say, show_json
from engine.errors import UserError

if TYPE_CHECKING:
    from engine.training.data.photos.finder import Finder
    from engine.training.data.photos.prepare import Prepared

_SPELT = 10


@dataclass(frozen=True)
class PrepareOptions:
    """Find the faces in photographs, align and cut them, estimate the cameras, and write a folder
    in EG3D's layout with a report. Faces are found by MediaPipe in an environment of its own, which
    --install-finder makes; without it a rough finder guesses eyes and mouths, which wait in a file
    until you correct them."""

    photos: Annotated[
        tyro.conf.Positional[Path | None],
        tyro.conf.arg(metavar="PHOTOS", help_behavior_hint=""),
    ] = None
    """A folder or a zip archive of photographs."""
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(required)")
    ] = None
    """The folder to make."""
    resolution: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = 512
    """Side of the pictures: that of the model, or more."""
    framing: Literal["ffhq", "bundled"] = "ffhq"
    """How faces are cut: as FFHQ, for models that were trained on it, or as the bundled generator
    shows its heads."""
    finder: Literal["auto", "mediapipe", "cascade", "none"] = "auto"
    """What finds faces; 'auto' takes MediaPipe where it is, and the rough finder where it is not or
    finds nothing; 'none' uses --points alone."""
    finder_python: Annotated[
        str | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: the installed one)"),
    ] = None
    """A Python that has mediapipe 0.10.21."""
    points: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """Eyes, mouths and angles by hand, as maquette-points.json holds them; they go before what is
    found."""
    every_face: Flag = False
    """Take all faces of a photograph instead of the largest."""
    mirror: Flag = False
    """Write every picture mirrored as well; training mirrors by itself."""
    accept_guesses: Flag = False
    """Use the rough finder's guesses as they are."""
    install_finder: Flag = False
    """Install MediaPipe in an environment of its own (fetches about 120 MB) and end."""
    json: Flag = False
    """Print the report as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(PrepareOptions, words, "maquette prepare")
    if options.install_finder:
        from engine.training.data.photos.environment import install

        say(f"MediaPipe is ready in {install(say)}.")
        return 0
    if options.photos is None or options.out is None:
        raise UserError("Name the photographs and, with --out, the folder to make.")
    from engine.export.files import check_new_folder
    from engine.training.data.photos.points import read_points
    from engine.training.data.photos.prepare import PrepareJob, prepare

    points = {} if options.points is None else read_points(options.points.expanduser())
    job = PrepareJob(
        options.photos.expanduser(), options.out.expanduser(), options.resolution,
        options.framing, options.every_face, options.mirror, options.accept_guesses, points,
    )  # fmt: skip
    job.check()
    check_new_folder(job.out)
    finder = open_finder(options.finder, options.finder_python)
    with finder or nullcontext(), progress("Looking at photographs", quiet=options.json) as bar:
        prepared = prepare(job, finder, bar)
    if options.json:
        show_json(_facts(prepared, finder))
    else:
        _show(prepared, finder, job.out)
    return 0


def open_finder(kind: str, python: str | None) -> Finder | None:
    """The finder of ``--finder`` and ``--finder-python``.

    Raises:
        UserError: MediaPipe is asked for and is not there.
    """
    from engine.training.data.photos.environment import HOW_TO, find_python
    from engine.training.data.photos.finder import CascadeFinder, EitherFinder, MediaPipeFinder

    if kind == "none":
        return None
    if kind != "cascade":
        if found := find_python(python):
            mediapipe = MediaPipeFinder(found)
            return mediapipe if kind == "mediapipe" else EitherFinder(mediapipe, CascadeFinder())
        if kind == "mediapipe":
            raise UserError(f"MediaPipe is not installed: {HOW_TO}.")
    return CascadeFinder()


def _facts(prepared: Prepared, finder: Finder | None) -> dict[str, object]:
    return {
        "finder": None if finder is None else finder.name,
        "pictures": [made.to_json() for made in prepared.made],
        "skipped": dict(prepared.skipped),
        "notes": list(prepared.notes),
    }


def _show(prepared: Prepared, finder: Finder | None, out: Path) -> None:
    from engine.training.data.photos.environment import HOW_TO

    by = "points by hand" if finder is None else finder.name
    posed = sum(made.label is not None for made in prepared.made)
    say(f"{len(prepared.made)} pictures in {out}, {posed} with cameras ({by}).")
    for note in prepared.notes:
        say(note)
    if prepared.guesses:
        say(f"MediaPipe finds faces by itself, and their cameras: {HOW_TO}.")
    for name, reason in list(prepared.skipped.items())[:_SPELT]:
        say(f"  left out {name}: {reason}")
    if (more := len(prepared.skipped) - _SPELT) > 0:
        say(f"  and {more} more; the report in the folder names them.")
