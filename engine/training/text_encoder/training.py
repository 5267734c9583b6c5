"""The training run: bounded by time, and may be stopped and resumed at any moment."""

from __future__ import annotations

import copy
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import UserError
from engine.export.files import atomic_path
from engine.training.heads.captions import codes
from engine.training.text_encoder.lessons import Lessons
from engine.training.text_encoder.losses import (
    agreement,
    captions_for,
    pair_truth,
    question_loss,
    questions,
)
from engine.training.text_encoder.model import AT_THE_END, HALF_WAY, MODEL, CaptionModel
from engine.training.text_encoder.pictures import Pictures

STATE = "state.pt"
#: Faces from near in the place of one picture; each costs a quarter of it.
FACES = 3


@dataclass(frozen=True)
class TrainOptions:
    """How the encoder is trained.

    Attributes:
        minutes: length of the schedule; the learning rate falls to 1 % by its end.
        batch: pictures in a step, each of another head.
        whole: share of them with a caption of nearly all facts; long texts cost the most.
        near: share of the schedule in which faces are seen from near, and no texts.
        alone: share by whose end pictures learn from :class:`.lessons.Lessons` only, and texts
            from pictures at every ``seldom``-th step. Then each learns from the other.
        learning_rate, decay: of AdamW. warmup: steps until the rate is reached.
        mixed: bfloat16 in the picture tower.
        save_every: seconds between saved states.
        seed: of everything random.
    """

    minutes: float = 60.0
    batch: int = 64
    whole: float = 0.5
    near: float = 0.28
    alone: float = 0.6
    seldom: int = 3
    learning_rate: float = 1.5e-3
    decay: float = 0.05
    warmup: int = 100
    mixed: bool = False
    save_every: float = 60.0
    seed: int = 0


class Training:
    """One run in a folder.

    Args:
        pictures: rendered heads; new shards are taken up as they appear.
        options: see :class:`TrainOptions`. folder: of the state and the log.
    """

    def __init__(self, pictures: Pictures, options: TrainOptions, folder: Path) -> None:
        torch.manual_seed(options.seed)
        self.pictures, self.options, self.folder = pictures, options, folder
        self.model = CaptionModel().train()
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.lessons = Lessons(int(MODEL["embed_dim"]), HALF_WAY, AT_THE_END)
        self.model.network.visual.to(memory_format=torch.channels_last)
        grouped: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for value in (*self.model.parameters(), *self.lessons.parameters()):
            grouped[value.ndim > 1].append(value)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": grouped[True], "weight_decay": options.decay},
                {"params": grouped[False], "weight_decay": 0.0},
            ],
            lr=options.learning_rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        pictures_tower = list(self.model.network.visual.parameters())
        seeing = {id(value) for value in pictures_tower}
        texts_tower = [v for v in self.model.parameters() if id(v) not in seeing]
        self._parts = (pictures_tower, texts_tower, list(self.lessons.parameters()))
        self.step, self.elapsed = 0, 0.0
        self._sums: dict[str, tuple[float, int]] = {}

    def rate(self, progress: float) -> float:
        """Learning rate: a linear start, then a cosine to 1 %."""
        falling = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
        return (
            self.options.learning_rate * falling * min(1.0, (self.step + 1) / self.options.warmup)
        )

    def losses(self, random: np.random.Generator, progress: float) -> dict[str, Tensor]:
        """The losses of a random batch."""
        near = progress < self.options.near
        number = self.options.batch * (FACES if near else 1)
        batch = self.pictures.sample(number, random, near)
        numbers = self.pictures.codes(batch.numbers)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.mixed):
            drawn = batch.pictures.contiguous(memory_format=torch.channels_last)
            half_way, at_the_end = self.model.features(drawn)
            images = None if near else self.model.pooled(at_the_end)
        found = {
            "regions": self.lessons.regions(half_way, batch.regions, numbers),
            "everywhere": self.lessons.everywhere(at_the_end, numbers, near),
        }
        if images is None:
            return found
        found["answers"] = 8.0 * self.lessons.answers(images, self.model.scale, numbers)
        together = progress >= self.options.alone
        if together or self.step % self.options.seldom == 0:
            known = [self.pictures.known[n] for n in batch.numbers]
            found |= self._of_texts(images if together else images.detach(), known, random)
        return found

    def _of_texts(
        self, images: Tensor, known: list[dict[str, str]], random: np.random.Generator
    ) -> dict[str, Tensor]:
        """Whole captions and parts of them with pictures ``[N, D]``, and questions."""
        model = self.model
        numbers = np.stack([codes(one) for one in known])
        whole = captions_for(known[: math.ceil(self.options.whole * len(known))], random, True)
        parts = captions_for(known, random, False)
        texts, asked = questions(random)
        said = [(kind, int(code)) for kind, answers in asked for code in answers]
        long = model.encode_text(model.tokens([one.text for one in whole]))
        vectors = model.encode_text(model.tokens([one.text for one in parts] + texts))
        short, answers = vectors[: len(parts)], vectors[len(parts) :]
        scale = model.scale
        true, false = pair_truth(whole, numbers)
        logits = scale * long @ images.T
        part_true, part_false = pair_truth(parts, numbers)
        return {
            "find": agreement(logits, true, false),
            "name": agreement(logits.T, true.T, false.T),
            "part": agreement(scale * short @ images.T, part_true, part_false),
            "ask": 8.0 * question_loss(scale * images @ answers.T, asked, numbers),
            "words": self.lessons.words(answers, said),
        }

    def train_step(self, progress: float) -> None:
        """One update; one that is not finite is left out."""
        random = np.random.default_rng([self.options.seed, self.step])
        losses = self.losses(random, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(progress)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        # Each tower by itself: the young text tower's gradients are large.
        norms = [nn.utils.clip_grad_norm_(part, 1.0) for part in self._parts]
        if all(bool(torch.isfinite(norm)) for norm in norms):
            self.optimizer.step()
        self.step += 1
        self._follow()
        for name, value in losses.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + float(value.detach()), count + 1)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average: a window of a tenth of the steps so far, at most 500 steps."""
        keep = min(1.0 - 1.0 / (0.1 * self.step + 1.0), 0.998)
        theirs = self.model.state_dict()
        for name, ours in self.average.state_dict().items():
            if ours.is_floating_point():
                ours.lerp_(theirs[name], 1.0 - keep)
            else:
                ours.copy_(theirs[name])

    def run(self) -> None:
        """Train until the schedule's end, saving as it goes."""
        limit = self.options.minutes * 60
        started = time.monotonic() - self.elapsed
        saved = logged = looked = time.monotonic()
        while self.elapsed < limit:
            now = time.monotonic()
            self.elapsed = now - started
            self.train_step(self.elapsed / limit)
            if now - looked > 10:
                self.pictures.refresh(4)
                looked = now
            if now - logged > 20:
                self.log()
                logged = now
            if now - saved > self.options.save_every:
                self.save()
                saved = now
        self.save()

    def log(self) -> None:
        """Print and keep one line of means."""
        means = {name: round(total / n, 4) for name, (total, n) in self._sums.items()}
        line = {
            "seconds": round(self.elapsed),
            "step": self.step,
            "pictures": self.pictures.count,
            "scale": round(float(self.model.scale.detach()), 2),
            **means,
        }
        self._sums = {}
        print(json.dumps(line), flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Write everything that a resumed run needs, by temporary name and rename."""
        state = {
            "model": self.model.network.state_dict(),
            "average": self.average.network.state_dict(),
            "lessons": self.lessons.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
        }
        with atomic_path(self.folder / STATE) as temporary:
            torch.save(state, temporary)

    def resume(self) -> bool:
        """Go on from the folder's saved state, if there is one."""
        if not (self.folder / STATE).exists():
            return False
        state = read_state(self.folder)
        self.model.network.load_state_dict(state["model"])
        self.average.network.load_state_dict(state["average"])
        self.lessons.load_state_dict(state["lessons"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed = int(state["step"]), float(state["elapsed"])
        return True


def read_state(folder: Path) -> dict[str, Any]:
    """A run's saved state.

    Raises:
        UserError: there is none.
    """
    path = folder / STATE
    if not path.exists():
        raise UserError(f"{folder} holds no training state ({STATE}); train first.")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
