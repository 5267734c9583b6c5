"""``maquette inspect``: what a checkpoint or a project holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from app.cli.parsing import Flag, parse
from app.cli.terminal import say, show_json
from engine.capabilities import Capabilities, SettingValue


@dataclass(frozen=True)
class InspectOptions:
    """Say what a checkpoint holds and what can be done with it: its family, options, size and
    tensors, its views, layers and settings. Nothing in the file is executed."""

    path: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE")]
    """A checkpoint or a converted model, a .maquette project, a picture or a sheet that Maquette
    made, or the word 'bundled'."""
    tensors: Flag = False
    """List every tensor with its shape."""
    json: Flag = False
    """Print all of it as JSON (tensors included)."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(InspectOptions, words, "maquette inspect")
    from app.project import is_project

    if is_project(options.path):
        from app.cli.project import describe_project, project_lines

        if options.json:
            show_json(describe_project(options.path))
        else:
            for line in project_lines(options.path):
                say(line)
        return 0
    from engine.export.options import PICTURE_SUFFIXES

    if Path(options.path).suffix.lower() in PICTURE_SUFFIXES:
        from app.cli.picture import describe_picture, picture_lines

        if options.json:
            show_json(describe_picture(options.path))
        else:
            for line in picture_lines(options.path):
                say(line)
        return 0
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
    if facts["identity"] != facts["sha256"]:
        lines.append(f"identity     {facts['identity']} (with the averages beside it)")
    if facts["family"] is None:
        lines += [f"family       none: {facts['note']}", "contents"]
        return lines + [f"  {item['name']}: {item['what']}" for item in facts["contents"]]
    lines += [
        f"family       {facts['family']} ({facts['title']})",
        f"name         {facts['name']}",
        f"parameters   {facts['parameters']:,} in {len(facts['tensors'])} tensors",
    ]
    if facts["capabilities"] is None:
        lines.append(f"cannot be drawn: {facts['note']}")
    else:
        lines += _abilities(Capabilities.from_json(facts["capabilities"]))
    lines.append("options")
    lines += [f"  {key} = {json.dumps(value)}" for key, value in sorted(facts["options"].items())]
    if facts["assumptions"]:
        lines += ["assumed", *(f"  {sentence}" for sentence in facts["assumptions"])]
    if tensors:
        lines.append("tensors")
        for tensor in facts["tensors"]:
            shape = " x ".join(map(str, tensor["shape"])) or "scalar"
            lines.append(f"  {tensor['name']}  {shape}  {tensor['dtype']}")
    return lines


def _abilities(can: Capabilities) -> list[str]:
    """What the model can do, which settings it has, and what it cannot do and why."""
    pose, (low, high) = can.default_pose, can.bounds
    groups = [f"{name} {first}-{end - 1}" for name, (first, end) in can.layer_groups.items()]
    kind = {"density": "density", "sdf": "signed distance"}[can.mesh_level_meaning]
    angles = "yaw {:g} to {:g}, pitch {:g} to {:g}".format(*can.yaw_range, *can.pitch_range)
    lines = [
        f"picture      {can.resolution} px, its volume {can.neural_resolution} px with "
        f"{can.samples_per_ray} samples a ray",
        f"latents      z of {can.z_dim}, w of {can.num_ws} layers of {can.w_dim}",
        *([f"layers       {', '.join(groups)}"] if groups else []),
        f"views        {', '.join(can.view_modes)}",
        f"camera       {pose.radius:g} away, {pose.fov_y:g} degrees of view; trained on {angles}",
        f"surface      {kind} {can.mesh_level:g}, from {_point(low)} to {_point(high)}",
    ]
    if can.absent:
        lines += ["cannot", *(f"  {name}: {why}" for name, why in sorted(can.absent.items()))]
    if can.settings:
        lines.append("settings")
    for setting in can.settings:
        lines.append(f"  {setting.name} = {_value(setting.default)}  ({setting.values})")
        lines.append(f"      {setting.title}: {setting.help}")
    return lines


def _point(corner: Sequence[float]) -> str:
    return "({})".format(", ".join(f"{v:g}" for v in corner))


def _value(value: SettingValue) -> str:
    """A value as --set takes it."""
    return ("off", "on")[value] if isinstance(value, bool) else str(value)
