"""A training run that is bounded by time, and may be stopped and resumed at any moment."""

from __future__ import annotations

import copy
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import UserError
from engine.export.files import atomic_path, write_bytes
from engine.training.bundled.meter import Meter
from engine.training.bundled.muon import Muon
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.trained import TrainedModel

#: File beside a run's states that tells how they came about.
FACTS = "run.json"


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The facts of every stage that led to a run's state, the run itself last.

    Each is a dictionary with ``stage``, ``steps``, ``minutes``, ``heads`` (how many the pool held),
    ``device``, ``options`` (:class:`RunOptions`), ``family`` of the network (EG3D where it is not
    told) and ``network`` (its configuration). Empty where the run is of a time that left none.

    Raises:
        UserError: the file cannot be read.
    """
    path = folder / FACTS
    if not path.exists():
        return []
    try:
        history: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["stages"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as the facts of a run ({error}).") from error
    return history


#: By their names on the command line.
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "muon": Muon,
}


@dataclass(frozen=True)
class RunOptions:
    """What every stage is told.

    Attributes:
        minutes: length of the schedule; the learning rate falls to 2 % by its end.
        heads: in a batch.
        learning_rate: of the optimiser, of the weights as they are used
            (:meth:`~engine.training.bundled.trained.TrainedModel.groups`).
        optimiser: one of :data:`OPTIMISERS`.
        field_rate: multiplier for the radiance field; 0 keeps it as it is.
        decoder_rate: multiplier for what turns the field into colours.
        mapping_rate: multiplier for the mapping and the reader; 0 keeps them as they are.
        warmup: steps until the learning rate is reached.
        mask, depth, attributes: weights of those losses beside the colours' L1.
        squares: how much of the colours' error, and of the mask's where rays stand alone, is squared
            (:func:`~engine.training.bundled.losses.partly_squared`).
        look: which colours the heads have (:mod:`engine.training.bundled.looks`).
        save_every: seconds between saved states.
        seed: of everything random.
    """

    minutes: float = 60.0
    heads: int = 8
    learning_rate: float = 2e-3
    optimiser: str = "adam"
    field_rate: float = 1.0
    decoder_rate: float = 1.0
    mapping_rate: float = 1.0
    warmup: int = 100
    mask: float = 0.5
    depth: float = 1.0
    attributes: float = 0.1
    squares: float = 0.0
    look: str = ""
    save_every: float = 60.0
    seed: int = 0


class TimedRun(ABC):
    """What every stage shares: the clock, the optimiser, the average over time, the log, the
    saved state.

    Args:
        model: what is trained; its average over time is :attr:`average`.
        pool: rendered heads. options: see :class:`RunOptions`.
        folder: where the state, the log and the facts are written.

    Attributes:
        before: facts of the stages that the model had gone through when it came here.
    """

    #: Of Adam.
    betas: ClassVar[tuple[float, float]] = (0.9, 0.98)
    #: Modules and optimisers beside the model whose state is saved, by name.
    others: dict[str, nn.Module | torch.optim.Optimizer]

    def __init__(
        self, model: TrainedModel, pool: HeadPool, options: RunOptions, folder: Path
    ) -> None:
        self.model, self.pool, self.folder = model, pool, folder
        self._options = options
        self.device = pool.device
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.random = np.random.default_rng(options.seed)
        self.jitter = torch.Generator(device=self.device).manual_seed(options.seed)
        self.step, self.elapsed = 0, 0.0
        self.before: list[dict[str, Any]] = []
        self.meter = Meter()
        groups = model.groups(options.field_rate, options.mapping_rate, options.decoder_rate)
        kind = OPTIMISERS[options.optimiser]
        self.optimizer: torch.optim.Optimizer = kind(groups, betas=self.betas, eps=1e-9)
        self.others = {"optimizer": self.optimizer}

    @abstractmethod
    def train_step(self, progress: float) -> None:
        """One update. ``progress`` is the elapsed share of the schedule, 0 to 1."""

    def rate(self, progress: float) -> float:
        """Learning rate: a linear start over the first steps, then a cosine to 2 %."""
        falling = 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        start = min(1.0, (self.step + 1) / self._options.warmup)
        return self._options.learning_rate * start * falling

    def descend(self, parts: dict[str, Tensor], progress: float) -> None:
        """One step down the sum of some losses; a step that is not finite is left out."""
        rate = self.rate(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
        self._follow()

    def count(self, parts: dict[str, Tensor]) -> None:
        """A step is over; these were its losses."""
        self.meter.add({name: value.detach() for name, value in parts.items()})
        self.step += 1

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average: a window of a tenth of the steps so far, at most 2,000 steps."""
        keep = min(1.0 - 1.0 / (0.1 * self.step + 1.0), 0.9995)
        for ours, theirs in zip(self.average.parameters(), self.model.parameters(), strict=True):
            ours.lerp_(theirs, 1.0 - keep)

    def run(self) -> None:
        """Train until the schedule's end, saving as it goes."""
        started = time.monotonic() - self.elapsed
        saved = logged = time.monotonic()
        while self.elapsed < self._options.minutes * 60:
            now = time.monotonic()
            self.elapsed = now - started
            self.train_step(self.elapsed / (self._options.minutes * 60))
            if now - logged > 15:
                self.log()
                logged = now
            if now - saved > self._options.save_every:
                self.save()
                saved = now
        self.save()

    def log(self) -> None:
        """Print and keep one line of means."""
        means = {name: round(value, 4) for name, value in self.meter.take().items()}
        line = {
            "seconds": round(self.elapsed),
            "step": self.step,
            "heads": self.pool.count,
            **means,
        }
        print(json.dumps(line), flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def save(self, name: str = "state.pt") -> None:
        """Write everything that a resumed run needs, by temporary name and rename."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            **{other: part.state_dict() for other, part in self.others.items()},
            "step": self.step,
            "elapsed": self.elapsed,
            "optimiser": self._options.optimiser,
        }
        with atomic_path(self.folder / name) as temporary:
            torch.save(state, temporary)
        facts = json.dumps({"stages": [*self.before, self.facts()]}, indent=2)
        write_bytes(self.folder / FACTS, facts.encode())

    def facts(self) -> dict[str, Any]:
        """See :func:`read_history`."""
        return {
            "stage": type(self).__name__.removesuffix("Run").lower(),
            "steps": self.step,
            "minutes": round(self.elapsed / 60.0, 1),
            "heads": self.pool.count,
            "device": self.device.type,
            "options": asdict(self._options),
            "family": self.model.family,
            "network": self.model.network.config.to_json(),
        }

    def resume(self) -> bool:
        """Continue from the folder's saved state, if there is one.

        Raises:
            UserError: it was made with another optimiser, whose memory is of no use to this one.
        """
        path = self.folder / "state.pt"
        if not path.exists():
            return False
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        history = read_history(self.folder)
        told = history[-1]["options"] if history else {}
        # States of before there was a choice are Adam's.
        begun = state.get("optimiser", told.get("optimiser", "adam"))
        if begun != self._options.optimiser:
            raise UserError(
                f"{self.folder} was begun with the optimiser {begun}; go on with it, or name another folder."
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for name, part in self.others.items():
            part.load_state_dict(state[name])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        self.before = history[:-1]
        return True
