"""``maquette inspect``: what a checkpoint holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from app.cli.parsing import Flag, parse
from app.cli.terminal import say, show_json


@dataclass(frozen=True)
class InspectOptions:
    """Say what a checkpoint holds: its family, options, size and tensors. Nothing in the
    file is executed."""

    path: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    """A checkpoint or a converted model, or the word 'bundled'."""
    tensors: Flag = False
    """List every tensor with its shape."""
    json: Flag = False
    """Print all of it as JSON (tensors included)."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(InspectOptions, words, "maquette inspect")
    from app.cli.subject import checkpoint_path

    path = checkpoint_path(options.path)
    from engine.checkpoints import read_checkpoint
    from engine.describe import describe

    facts = describe(read_checkpoint(path))
    if options.json:
        show_json(facts)
    else:
        for line in _lines(facts, options.tensors):
            say(line)
    return 0


def _lines(facts: dict[str, Any], tensors: bool) -> list[str]:
    """The facts for people."""
    size = facts["bytes"] / 1e6
    lines = [
        f"file         {facts['path']}",
        f"container    {facts['container']}, {size:.1f} MB",
        f"sha256       {facts['sha256']}",
    ]
    if facts["family"] is None:
        lines += [f"family       none: {facts['note']}", "contents"]
        return lines + [f"  {item['name']}: {item['what']}" for item in facts["contents"]]
    lines += [
        f"family       {facts['family']} ({facts['title']})",
        f"name         {facts['name']}",
        f"parameters   {facts['parameters']:,} in {len(facts['tensors'])} tensors",
        "options",
    ]
    lines += [f"  {key} = {json.dumps(value)}" for key, value in sorted(facts["options"].items())]
    if facts["assumptions"]:
        lines += ["assumed", *(f"  {sentence}" for sentence in facts["assumptions"])]
    if tensors:
        lines.append("tensors")
        for tensor in facts["tensors"]:
            shape = " x ".join(map(str, tensor["shape"])) or "scalar"
            lines.append(f"  {tensor['name']}  {shape}  {tensor['dtype']}")
    return lines
