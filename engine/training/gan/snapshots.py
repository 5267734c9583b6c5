"""A snapshot: all that a run needs to go on as if it had never stopped.

A snapshot is one safetensors file. Tensors stand under these names, all else as JSON under
``maquette`` in the file's metadata:

============================  ==================================================================
``training/NAME``             the state dict of the family's training: both networks, all buffers
``average/NAME``              the generator's average
``adam/NETWORK/NAME/WHAT``    Adam's ``step``, ``exp_avg`` and ``exp_avg_sq`` of each parameter
============================  ==================================================================

Files appear whole or not at all (:func:`~engine.export.files.atomic_path`). Reading one runs no code
of it: names, shapes and element types must be exactly those of the run that reads it.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import ExportError, UserError
from engine.export.files import atomic_path
from engine.training.gan.lines import Lines, Snapshot
from engine.training.gan.loop import Position, TrainingLoop

FORMAT = "maquette-snapshot/1"
#: Longest text of the metadata, bytes.
_MOST_TEXT = 1 << 20
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def write_snapshot(loop: TrainingLoop, lines: Lines) -> Path:
    """Write the loop's whole state as it is between two steps, on the present line.

    Returns:
        where.

    Raises:
        ExportError: it cannot be written (a full disk, a folder that is gone); older snapshots
            stay as they are.
    """
    from safetensors.torch import save_file

    facts = {"format": FORMAT, "position": asdict(loop.position), "seed": loop.options.seed}
    path = lines.path(loop.position.step)
    # Copies on the CPU: what shares memory is not accepted, and the loop may go on meanwhile.
    tensors = {
        name: value.detach().to("cpu", copy=True).contiguous()
        for name, value in _tensors(loop).items()
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"maquette": json.dumps(facts)})
    return path


def read_snapshot(loop: TrainingLoop, path: Path) -> None:
    """Put the loop where the snapshot was taken. On an error the loop is as it was.

    Raises:
        UserError: the file is damaged, or of another run, model or choice of layers.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            position = _position(path, file.metadata() or {}, loop)
            wanted = _wanted(loop)
            names = set(file.keys())
            _compare(path, set(wanted), names)
            tensors: dict[str, Tensor] = {}
            for name in sorted(names):
                tensors[name] = _checked(path, name, file.get_tensor(name), wanted[name])
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"The snapshot {path} is damaged ({' '.join(str(error).split())[:120]}); go back to an "
            "earlier one."
        ) from error
    _restore(loop, tensors, position)


def go_to(loop: TrainingLoop, lines: Lines, snapshot: Snapshot) -> int | None:
    """Put the loop where a snapshot was taken, and set aside what comes after that: all processes
    together.

    Returns:
        the line that began for it, see :meth:`~engine.training.gan.lines.Lines.go_to`.

    Raises:
        UserError: as :func:`read_snapshot`.
        ExportError: that something was set aside cannot be written down; the loop is as it was.
    """
    team, before, new = loop.team, lines.present, 0
    fault = UserError("The run's folder cannot be written by the process that leads.")
    if team.leads:
        try:
            new = lines.go_to(snapshot) or 0
        except ExportError as error:
            fault, new = error, -1
    new = team.decide(new)
    if new < 0:
        raise fault
    try:
        read_snapshot(loop, snapshot.path)
    except UserError:
        if team.leads and new:
            with contextlib.suppress(ExportError):
                lines.leave(before)
        raise
    return new or None


# ------------------------------------------------------------------ what is in it


def _tensors(loop: TrainingLoop) -> dict[str, Tensor]:
    found = {f"training/{name}": value for name, value in loop.training.state_dict().items()}
    found |= {f"average/{name}": value for name, value in loop.average.items()}
    for network, optimiser in loop.optimisers.items():
        states = optimiser.state
        for name, parameter in loop.trained(network):
            for moment in _MOMENTS if parameter in states else ():
                found[f"adam/{network}/{name}/{moment}"] = states[parameter][moment]
    return found


def _wanted(loop: TrainingLoop) -> dict[str, Tensor]:
    """A tensor of the right shape and type for every name that may be there."""
    found = {f"training/{name}": value for name, value in loop.training.state_dict().items()}
    found |= {f"average/{name}": value for name, value in loop.average.items()}
    for network in loop.optimisers:
        for name, parameter in loop.trained(network):
            for moment in _MOMENTS:
                like = torch.empty((), dtype=torch.float32) if moment == "step" else parameter
                found[f"adam/{network}/{name}/{moment}"] = like
    return found


def _compare(path: Path, wanted: set[str], given: set[str]) -> None:
    """A parameter that has had no gradient yet has no moments: all three or none."""
    missing = {name for name in wanted - given if not name.startswith("adam/")}
    for name in wanted - given - missing:
        stem = name.rpartition("/")[0]
        if any(f"{stem}/{moment}" in given for moment in _MOMENTS):
            missing.add(name)
    if wrong := sorted(missing | (given - wanted)):
        raise UserError(
            f"The snapshot {path} does not belong to this run: it "
            f"{'lacks' if wrong[0] in missing else 'holds'} {wrong[0][:80]!r} (of {len(wrong)} that "
            "differ); resume with the model and the layers that the run was started with."
        )


def _checked(path: Path, name: str, value: Tensor, like: Tensor) -> Tensor:
    if value.shape != like.shape or value.dtype != like.dtype:
        raise UserError(
            f"The snapshot {path} does not belong to this run: {name[:80]!r} is {value.dtype} "
            f"{list(value.shape)} and should be {like.dtype} {list(like.shape)}."
        )
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise UserError(f"The snapshot {path} holds numbers that are not finite in {name[:80]!r}.")
    return value


def _position(path: Path, metadata: dict[str, str], loop: TrainingLoop) -> Position:
    text = metadata.get("maquette", "")
    if len(text) > _MOST_TEXT:
        raise ValueError("its description is too long")
    facts = json.loads(text)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError("it is no snapshot of this version")
    if facts.get("seed") != loop.options.seed:
        raise UserError(f"The snapshot {path} belongs to a run with another seed.")
    plain = facts.get("position")
    if not isinstance(plain, dict) or plain.keys() != {one.name for one in fields(Position)}:
        raise ValueError("it does not say where the run was")
    values: dict[str, Any] = {}
    for one in fields(Position):
        kind = float if isinstance(one.default, float) else int
        value = plain[one.name]
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or (kind is int and not isinstance(value, int)):
            raise ValueError(f"its {one.name} is no number")
        if not math.isfinite(value) or (value < 0 and one.name != "sign_sum"):
            raise ValueError(f"its {one.name} is out of range")
        values[one.name] = kind(value)
    position = Position(**values)
    if position.pass_size < 1 or loop.options.batch % (position.pass_size * loop.team.size):
        raise UserError(
            f"The snapshot {path} was taken with passes of {position.pass_size} pictures, which do "
            f"not divide this run's batch; resume with the batch that the run was started with."
        )
    return position


def _restore(loop: TrainingLoop, tensors: dict[str, Tensor], position: Position) -> None:
    device = loop.team.device
    state = {n[len("training/") :]: t for n, t in tensors.items() if n.startswith("training/")}
    loop.training.load_state_dict(state, strict=True)
    with torch.no_grad():
        for name, value in loop.average.items():
            value.copy_(tensors[f"average/{name}"])
    for network, optimiser in loop.optimisers.items():
        optimiser.state.clear()
        optimiser.zero_grad(set_to_none=True)
        for name, parameter in loop.trained(network):
            stem = f"adam/{network}/{name}"
            if f"{stem}/step" in tensors:
                optimiser.state[parameter] = {
                    "step": tensors[f"{stem}/step"],
                    "exp_avg": tensors[f"{stem}/exp_avg"].to(device),
                    "exp_avg_sq": tensors[f"{stem}/exp_avg_sq"].to(device),
                }
    for one in fields(Position):
        setattr(loop.position, one.name, getattr(position, one.name))
    loop.between_steps = True
