"""``maquette doctor``: whether this machine has what Maquette needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from app.cli.parsing import Flag, parse
from app.cli.terminal import say, show_json


@dataclass(frozen=True)
class DoctorOptions:
    """Look at everything that Maquette needs: Python and packages, CUDA, display and OpenGL, FFmpeg,
    fonts, models, folders and room on the disk. Each line says ok, or what to do. The exit status is 1
    where something does not work."""

    json: Flag = False
    """Print all of it as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(DoctorOptions, words, "maquette doctor")
    from app.doctor import examine
    from app.version import version

    lines = []
    if not options.json:
        say(f"Maquette {version()}")
    for line in examine():
        lines.append(line)
        if not options.json:
            say(f"{line.state:<6}{line.subject:<16}{line.found}")
            if line.advice:
                say(f"{'':<22}{line.advice}")
    faults = sum(line.state == "fault" for line in lines)
    if options.json:
        show_json({"version": version(), "lines": [asdict(line) for line in lines]})
    else:
        say("Everything works." if not faults else f"{faults} of {len(lines)} do not work.")
    return 1 if faults else 0
