"""From a file to a generator: which families there are and which one a file belongs to.

A family is found **from the contents** of a file, never from its name. Adding a family
means writing ``engine/generators/<name>.py`` with a module-level ``FAMILY`` and naming the
module in :data:`FAMILY_MODULES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.checkpoints.plain import Checkpoint
from engine.checkpoints.plain import ModelSource as ModelSource
from engine.errors import CheckpointError
from engine.generators.base import Generator

FAMILY_MODULES: tuple[str, ...] = (
    "engine.generators.eg3d",
    "engine.generators.epigraf",
    "engine.generators.cips3d",
    "engine.generators.pigan",
    "engine.generators.stylenerf",
    "engine.generators.stylesdf",
)


#: What options of the wrong type or size, which only a damaged or altered file holds, set off.
_CONTENT_FAULTS = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Family:
    """One generator family.

    Attributes:
        name: registry name, ``"eg3d"``.
        title: name for people, with the paper.
        matches: whether a read checkpoint belongs to this family.
        source: reduce a checkpoint of this family to a :class:`ModelSource`.
        build: options and tensors -> generator on a device. Strict: missing, extra and
            misshapen tensors raise :class:`~engine.errors.CheckpointError` naming them.
        network: options -> a network with random values and the state dict that ``build``
            takes, for measuring without anybody's weights.
        released: name of an authors' released model -> its options.
        swappable: options -> layers that can be taken from another model of the family, and the
            beginnings of their tensors' names (see :mod:`engine.generators.blending`).
    """

    name: str
    title: str
    matches: Callable[[Checkpoint], bool]
    source: Callable[[Checkpoint], ModelSource]
    build: Callable[[dict[str, Any], Mapping[str, Tensor], torch.device], Generator]
    network: Callable[[dict[str, Any]], nn.Module] | None = None
    released: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    swappable: Callable[[dict[str, Any]], dict[str, tuple[str, ...]]] | None = None


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def families() -> dict[str, Family]:
    """Every family by name."""
    modules = (importlib.import_module(name) for name in FAMILY_MODULES)
    return {module.FAMILY.name: module.FAMILY for module in modules}


def pick_device(wanted: str = "auto") -> torch.device:
    """``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"`` -> a device that works here.

    Raises:
        CheckpointError: there is no such device here.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise CheckpointError(
            f"There is no device named {wanted!r}; use cpu, cuda or auto."
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("No NVIDIA GPU can be used here; choose --device cpu.")
    return device


def find_source(checkpoint: Checkpoint) -> ModelSource:
    """Which family a read checkpoint belongs to, reduced to what it needs.

    Raises:
        CheckpointError: no family knows the file.
    """
    known = families()
    native = checkpoint.native_family
    if native is not None:
        if native not in known:
            raise CheckpointError(
                f"{checkpoint.path} is a model of the family {native!r}, which this version of "
                f"Maquette does not know; it knows {', '.join(known)}."
            )
        return ModelSource(
            native,
            checkpoint.title,
            checkpoint.native_config,
            checkpoint.native_tensors,
            checkpoint.native_assumptions,
        )
    try:
        for family in known.values():
            if family.matches(checkpoint):
                return family.source(checkpoint)
    except _CONTENT_FAULTS as error:
        # Whatever stands where a family expects its options came from the file.
        raise CheckpointError(
            f"{checkpoint.path} looks like a generator, but its options are not what such a file "
            f"holds ({type(error).__name__}: {_brief(error)}); use another copy."
        ) from error
    raise CheckpointError(
        f"{checkpoint.path} is a readable checkpoint, but not of a generator that Maquette "
        f"knows ({', '.join(f.title for f in known.values())})."
    )


def build_generator(source: ModelSource, device: str | torch.device = "auto") -> Generator:
    """Build the generator that a source describes.

    Raises:
        CheckpointError: its options or tensors do not fit, or memory does not suffice.
    """
    where = device if isinstance(device, torch.device) else pick_device(device)
    tensors = {name: lazy.load() for name, lazy in source.tensors.items()}
    try:
        generator = families()[source.family].build(source.config, tensors, where)
    except (*_CONTENT_FAULTS, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise CheckpointError(
                f"{source.name} does not fit into the memory of {where}; close other programs or "
                "choose --device cpu."
            ) from error
        raise CheckpointError(
            f"{source.name} cannot be built from its options and tensors "
            f"({type(error).__name__}: {_brief(error)}); convert or download it again."
        ) from error
    generator.assumptions, generator.source = source.assumptions, source
    return generator


def open_model(path: str | Path, device: str | torch.device = "auto") -> Generator:
    """Open a checkpoint of any known family, or a converted model.

    Args:
        path: the authors' file, or a converted model (its ``.json`` or ``.safetensors``), or
            a word such as ``"bundled"`` for one that ships with Maquette
            (:data:`engine.assets.shipped_generators`).

    Raises:
        CheckpointError: with one sentence that says what is wrong.
    """
    from engine.assets import model_place
    from engine.checkpoints import read_checkpoint

    where = model_place(str(path)) if isinstance(path, str) else path
    return build_generator(find_source(read_checkpoint(where)), device)
