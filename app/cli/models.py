"""``maquette models``: what can be opened, here and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from app.cli.parsing import Flag, parse
from app.cli.terminal import say, show_json
from engine.assets import BUNDLED, shipped_generators
from engine.catalogue import Found, Release, releases, size_text
from engine.folder_scan import Scan, scan


@dataclass(frozen=True)
class ModelsOptions:
    """List the bundled generator, the checkpoints opened before, and those that the authors of
    each family have released, with the page to get them from; or find and name the ones that
    lie in a folder. Nothing is downloaded."""

    folder: Annotated[
        tyro.conf.Positional[Path | None],
        tyro.conf.arg(metavar="[FOLDER]", help_behavior_hint="(default: none)"),
    ] = None
    """A folder to search, with those below it."""
    json: Flag = False
    """Print all of it as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(ModelsOptions, words, "maquette models")
    if options.folder is not None:
        result = scan(options.folder.expanduser())
        show_json(_facts(result)) if options.json else _show(result)
        return 0
    from app.settings import load_settings

    recent = load_settings().settings.recent
    if options.json:
        known = [release.to_json() for release in releases()]
        keys = [one.key for one in shipped_generators()]
        show_json({"bundled": BUNDLED, "shipped": keys, "recent": list(recent), "released": known})
        return 0
    say("Here")
    ours = shipped_generators()
    width = max(len(one.key) for one in ours)
    for one in ours:
        say(f"  {one.key.ljust(width)}  {one.note[:1].lower()}{one.note[1:]}")
    for path in recent:
        say(f"  {path}" if Path(path).exists() else f"  {path}  (is gone)")
    _show_released()
    return 0


def _facts(result: Scan) -> dict[str, Any]:
    return {
        "folder": str(result.folder),
        "folders": result.folders,
        "unreadable": result.unreadable,
        "complete": result.complete,
        "found": [one.to_json() for one in result.found],
    }


def _show(result: Scan) -> None:
    """The files of a folder for people."""
    for one in result.found:
        say(f"{one.path}  {size_text(one.size)}{_named(one)}")
        if one.note:
            say(f"    {one.note}")
    say(result.summary)


def _named(one: Found) -> str:
    return f"  {one.text}" if one.text else ""


def _show_released() -> None:
    """The catalogue, family by family."""
    families: dict[str, list[Release]] = {}
    for release in releases():
        families.setdefault(release.system, []).append(release)
    for system, members in families.items():
        first = members[0]
        say(f"\n{system}  ({first.paper})")
        say(f"  licence  {first.licence}")
        say(f"  page     {first.page}")
        rows = [(m.file or "-", f"{m.shows}, {m.pixels} px", m.size_text, m.md5) for m in members]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        for row, member in zip(rows, members, strict=True):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            say(("  " + "  ".join(cells)).rstrip())
            if member.note:
                say(f"      {member.note}")
    say("\nNothing is downloaded. maquette models FOLDER names what lies in a folder.")
