"""``maquette video``: the camera moves around a head."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.parsing import Flag, finite, parse
from app.cli.subject import DrawingOptions, chosen_seed, open_subject, read_subject
from app.cli.terminal import progress, say, show_json
from engine.errors import UserError
from engine.export.options import VideoOptions, timed
from engine.timeline import Timeline, load_timeline


@dataclass(frozen=True)
class VideoCommand(DrawingOptions):
    """Write a video of the camera moving around a generated head. The camera options give
    the middle of its path."""

    out: Annotated[Path, tyro.conf.arg(metavar="PATH")] = Path("turn.mp4")
    """A file ending in .mp4 or .gif, or a new folder for one PNG a frame."""
    seed: Annotated[
        str | None, tyro.conf.arg(metavar="SEED", help_behavior_hint="(default: 0)")
    ] = None
    """Whose face."""
    timeline: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """A path saved in the window's timeline, or a project that holds one: its cameras, faces,
    length and frame rate take the place of the path's and the morph's options."""
    json: Flag = False
    """Print what was written as JSON."""
    video: VideoOptions = field(default_factory=VideoOptions)


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(VideoCommand, words, "maquette video")
    finite(seconds=options.video.seconds, fps=options.video.fps)
    timeline = None if options.timeline is None else read_timeline(options.timeline)
    chosen = timed(options.video, timeline).checked()
    recipe = read_subject(options)
    recipe = chosen_seed(options, recipe, options.seed)
    out = options.out.expanduser()

    from engine.export.files import check_new_folder, check_writable

    kind = chosen.format_for(out)
    (check_new_folder if kind == "png" else check_writable)(out)
    generator, recipe = open_subject(options, recipe)
    if timeline is not None:
        # The path may come from another model: what this one lacks would stop it half-way.
        abilities = generator.capabilities
        timeline = timeline.fitted(abilities.default_pose).for_model(abilities)

    from engine.draw import Painter
    from engine.export.video import export_video

    start = time.perf_counter()
    with progress("Filming") as report:
        written = export_video(Painter(generator), recipe, chosen, out, report, timeline=timeline)
    spent = time.perf_counter() - start
    if options.json:
        facts = {
            "path": str(out),
            "format": kind,
            "frames": chosen.frame_count,
            "fps": float(chosen.rate),
            "seconds_spent": round(spent, 3),
            "recipe": recipe.to_json(),
        }
        show_json(facts)
    else:
        say(f"{out if written.exists() else written}")
    return 0


def read_timeline(path: Path) -> Timeline:
    """The timeline of a saved path or of a project.

    Raises:
        UserError: it cannot be read, or has no keys.
    """
    from app.project import is_project, read_project
    from app.timeline_edits import to_keep

    timeline = to_keep(read_project(path).document) if is_project(path) else load_timeline(path)
    if not timeline.keys:
        raise UserError(f"The timeline in {path} has no keys.")
    return timeline
