"""What is judged: a run or a packed model, opened as the window opens models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints import read_checkpoint
from engine.errors import UserError
from engine.generators.base import Generator
from engine.generators.cips3d import CIPS3D
from engine.generators.eg3d import EG3D
from engine.generators.registry import build_generator, find_source
from engine.hashing import file_sha256
from engine.training.bundled.cips3d import HeadCIPS3D
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.run import FACTS, read_history
from engine.training.bundled.trained import TrainedModel

#: What can be trained on heads, by its family; the first one is the bundled generator.
MODELS: dict[str, type[TrainedModel]] = {"eg3d": HeadGenerator, "cips3d": HeadCIPS3D}


@dataclass(frozen=True)
class Subject:
    """A generator with what is known of it.

    Attributes:
        generator: ready to draw.
        name: of its file, or of the run's folder.
        sha256: of the file that holds the weights.
        history: a dictionary of facts for every stage of training, the last one last
            (:func:`~engine.training.bundled.run.read_history`); empty where none is known.
    """

    generator: EG3D | CIPS3D
    name: str
    sha256: str
    history: tuple[dict[str, Any], ...] = ()

    @property
    def backdrop(self) -> float:
        """Brightness behind its heads, 0 (black) to 1 (white): the truth is laid over the same."""
        if isinstance(self.generator, CIPS3D):
            return self.generator.config.backdrop or 0.0
        settings = self.generator.config.rendering
        return settings.backdrop if settings.white_back else 0.0

    @property
    def look(self) -> str:
        """Which colours it has learnt (:mod:`engine.training.bundled.looks`)."""
        return look_in(self.history)


def look_in(history: Sequence[Mapping[str, Any]]) -> str:
    """Which colours a model has learnt in the last stage of its history."""
    return str(history[-1]["options"].get("look", "")) if history else ""


def averaged_state(folder: Path, name: str, device: torch.device) -> dict[str, Tensor]:
    """The averaged model's tensors of a run's saved state.

    Raises:
        UserError: the folder holds no such state.
    """
    path = folder / name
    if not path.exists():
        raise UserError(f"{folder} holds no training state ({name}); train first.")
    state: dict[str, Tensor]
    state = torch.load(path, map_location=device, weights_only=True)["average"]
    return state


def load_run(folder: Path, name: str, device: torch.device) -> TrainedModel:
    """The averaged model of a run.

    Raises:
        UserError: the folder holds no such state, or one of another network.
    """
    state = averaged_state(folder, name, device)
    history = read_history(folder)
    family = history[-1].get("family", "eg3d") if history else "eg3d"
    if family not in MODELS:
        raise UserError(f"{folder} is a run of the family {family!r}, which is not trained here.")
    options = history[-1]["network"] if history else None
    model = MODELS[family].of(torch.zeros(2, len(state["attribute_mean"])), options)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            f"The state in {folder} is of a network with other options than today's, and no "
            f"{FACTS} beside it tells which; train again."
        ) from error
    return model.to(device).eval().requires_grad_(False)


def open_subject(path: Path, device: torch.device, state: str = "state.pt") -> Subject:
    """Open what is to be judged.

    Args:
        path: folder of a run, or a packed model (its JSON, its safetensors or their common name).
        device: where it draws. state: which saved state of a run.

    Raises:
        UserError: there is neither, or the model is of a family that is not trained here.
    """
    if path.is_dir():
        model = load_run(path, state, device)
        history = tuple(known_history(path))
        return Subject(
            _known(model.generator(), path), path.name, file_sha256(path / state), history
        )
    facts = (
        path if path.suffix in (".json", ".safetensors") else path.with_name(f"{path.name}.json")
    )
    generator = _known(build_generator(find_source(read_checkpoint(facts)), device), path)
    sha256 = file_sha256(facts.with_suffix(".safetensors"))
    return Subject(generator, facts.with_suffix("").name, sha256, tuple(known_history(facts)))


def _known(generator: Generator, path: Path) -> EG3D | CIPS3D:
    if not isinstance(generator, (EG3D, CIPS3D)):
        raise UserError(f"{path} is of a family that is not trained on heads.")
    return generator


def known_history(path: Path) -> list[dict[str, Any]]:
    """What is known of a training: from a run's folder, or from the report that was packed with
    a model, which lies beside it. See :func:`~engine.training.bundled.run.read_history`.

    Raises:
        UserError: what is there cannot be read.
    """
    if path.is_dir():
        return read_history(path)
    report = path.with_name("report.json")
    if not report.exists():
        return []
    try:
        found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["history"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{report} cannot be read as a report ({error}); remove it.") from error
    return found
