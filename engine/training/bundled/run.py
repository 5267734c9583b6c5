"""A training run that is bounded by time, and may be stopped and resumed at any moment."""

from __future__ import annotations

import copy
import json
import math
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.export.files import atomic_path
from engine.training.bundled.meter import Meter
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool


class TimedRun(ABC):
    """What every stage shares: the clock, the average over time, the log, the saved state.

    Args:
        model: what is trained; its average over time is :attr:`average`.
        pool: rendered heads.
        minutes: length of the schedule. save_every: seconds between saved states.
        folder: where the state and the log are written.
        seed: of everything random.
    """

    #: Modules and optimisers beside the model whose state is saved, by name.
    others: dict[str, nn.Module | torch.optim.Optimizer]

    def __init__(
        self,
        model: HeadGenerator,
        pool: HeadPool,
        minutes: float,
        save_every: float,
        folder: Path,
        seed: int,
    ) -> None:
        self.model, self.pool, self.folder = model, pool, folder
        self.minutes, self.save_every = minutes, save_every
        self.device = pool.device
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.random = np.random.default_rng(seed)
        self.jitter = torch.Generator(device=self.device).manual_seed(seed)
        self.step, self.elapsed = 0, 0.0
        self.meter = Meter()
        self.others = {}

    @abstractmethod
    def train_step(self, progress: float) -> None:
        """One update. ``progress`` is the elapsed share of the schedule, 0 to 1."""

    def rate(self, peak: float, warmup: int, progress: float) -> float:
        """Learning rate: a linear start over ``warmup`` steps, then a cosine to 2 %."""
        falling = 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        return peak * min(1.0, (self.step + 1) / warmup) * falling

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average: a window of a tenth of the steps so far, at most 2,000 steps."""
        keep = min(1.0 - 1.0 / (0.1 * self.step + 1.0), 0.9995)
        for ours, theirs in zip(self.average.parameters(), self.model.parameters(), strict=True):
            ours.lerp_(theirs, 1.0 - keep)

    def run(self) -> None:
        """Train until the schedule's end, saving as it goes."""
        started = time.monotonic() - self.elapsed
        saved = logged = time.monotonic()
        while self.elapsed < self.minutes * 60:
            now = time.monotonic()
            self.elapsed = now - started
            self.train_step(self.elapsed / (self.minutes * 60))
            if now - logged > 15:
                self.log()
                logged = now
            if now - saved > self.save_every:
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
        }
        with atomic_path(self.folder / name) as temporary:
            torch.save(state, temporary)

    def resume(self) -> bool:
        """Continue from the folder's saved state, if there is one."""
        path = self.folder / "state.pt"
        if not path.exists():
            return False
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for name, part in self.others.items():
            part.load_state_dict(state[name])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        return True
