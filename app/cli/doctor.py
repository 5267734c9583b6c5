"""``maquette doctor``: whether this machine has what Maquette needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from app.cli.terminal import say, show_json


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    as_json = list(words) == ["--json"]
    if words and not as_json:
        from app.cli import doctor_options

        kind, parse = doctor_options.DoctorOptions, doctor_options.parse
        as_json = parse(kind, words, "maquette doctor").json
    from app.doctor import examine
    from app.version import version

    lines = []
    if not as_json:
        say(f"Maquette {version()}")
    for line in examine():
        lines.append(line)
        if not as_json:
            say(f"{line.state:<6}{line.subject:<16}{line.found}")
            if line.advice:
                say(f"{'':<22}{line.advice}")
    faults = sum(line.state == "fault" for line in lines)
    if as_json:
        show_json({"version": version(), "lines": [asdict(line) for line in lines]})
    else:
        say("Everything works." if not faults else f"{faults} of {len(lines)} do not work.")
    return 1 if faults else 0
