"""A judge of attributes: a small network that learns from rendered heads what they show.

It knows no text and is no text encoder; edits by text are judged by it (``bench_editing``). What
it is told of the heads is ``engine.training.heads``' own record of how they were made.

    python -m tests.benchmarks.attribute_judge train --heads HEADS --out judge.safetensors
    python -m tests.benchmarks.attribute_judge score --held-out HELD --judge judge.safetensors
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from safetensors.torch import load_file, save
from torch import Tensor, nn

from engine.export.files import atomic_path
from engine.training.heads.attributes import attributes_from_latent
from engine.training.heads.captions import KIND_NAMES, codes
from engine.training.heads.dataset import read_shard
from engine.training.heads.visible import turn, visible
from engine.training.heads.wording import KINDS, facts
from engine.training.text_encoder.pictures import varied

#: Side of the pictures that it looks at, pixels.
SIDE = 128
#: First and last row and column of the squares in which eyes and mouth of a head lie that is
#: seen about from the front. The heads stand still, only the camera goes around.
EYES, MOUTH = (44, 80, 30, 98), (70, 110, 38, 90)
#: Squares of details (first and last row, first and last column) and what is asked of them; they
#: are learned from at places up to so many pixels aside.
DETAILS: dict[str, tuple[tuple[int, int, int, int], tuple[str, ...]]] = {
    "eyes": ((38, 86, 28, 100), ("eye",)),
    "mouth": ((64, 116, 34, 94), ("smile", "expression", "lipstick")),
}
SLACK = 4
#: Only views within these degrees of the front are learned from, and judged.
MAX_YAW, MAX_PITCH = 20.0, 14.0
#: What it is asked.
ASKED = ("gender", "age", "skin", "smile", "expression", "hair", "style", "eye", "eyewear",
         "beard", "hatted", "lipstick")  # fmt: skip


def _branch(widths: tuple[int, ...], first: int = 2) -> nn.Sequential:
    layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(zip((3, *widths), widths, strict=False)):
        stride = 2 if place else first
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]
        layers += [nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())


class Detail(nn.Module):
    """What a square of the picture tells, at full resolution.

    Args:
        name: of :data:`DETAILS`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.box, kinds = DETAILS[name]
        top, bottom, left, right = self.box
        cells = ((bottom - top - 2 * SLACK) // 8) * ((right - left - 2 * SLACK) // 8)
        layers: list[nn.Module] = []
        for inputs, outputs, halved in (
            (3, 16, True),
            (16, 32, True),
            (32, 64, False),
            (64, 64, True),
        ):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)]
            layers += [nn.ReLU(), *([nn.MaxPool2d(2)] if halved else [])]
        layers += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * cells, 128), nn.ReLU()]
        self.net = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({kind: nn.Linear(128, len(KINDS[kind])) for kind in kinds})

    def cut(self, pictures: Tensor, down: int = SLACK, across: int = SLACK) -> Tensor:
        """The square, ``SLACK`` smaller on every side and moved by up to as much."""
        top, bottom, left, right = self.box
        height, width = bottom - top - 2 * SLACK, right - left - 2 * SLACK
        return pictures[
            ..., top + down : top + down + height, left + across : left + across + width
        ]

    def forward(self, cut: Tensor) -> dict[str, Tensor]:
        """``[N, 3, h, w]`` in [0, 1] -> kind of fact to ``[N, values]`` logits."""
        found = self.net((cut - 0.5) * 4.0)
        return {kind: head(found) for kind, head in self.heads.items()}


class Judge(nn.Module):
    """Answers of pictures: the whole, and details, which tell some things better."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = _branch((24, 40, 64, 96, 128))
        self.eyes, self.mouth = _branch((16, 32, 64), 1), _branch((16, 32, 64), 1)
        self.joined = nn.Linear((128 + 64 + 64) * 16, 256)
        self.heads = nn.ModuleDict({kind: nn.Linear(256, len(KINDS[kind])) for kind in ASKED})
        self.details = nn.ModuleDict({name: Detail(name) for name in DETAILS})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """``[N, 3, 128, 128]`` in [0, 1] -> kind of fact to ``[N, values]`` logits."""
        x = (pictures - 0.5) * 4.0
        eyes, mouth = (x[..., t:b, left:r] for t, b, left, r in (EYES, MOUTH))
        features = torch.cat([self.whole(x), self.eyes(eyes), self.mouth(mouth)], 1)
        hidden = F.relu(self.joined(F.dropout(features, 0.3, self.training)))
        return {kind: head(hidden) for kind, head in self.heads.items()}

    def of_details(self, pictures: Tensor) -> dict[str, Tensor]:
        """The same of what details tell better."""
        found: dict[str, Tensor] = {}
        for detail in self.details.values():
            found |= detail(detail.cut(pictures))  # type: ignore[operator]
        return found

    @torch.no_grad()
    def shares(self, pictures: Tensor) -> dict[str, Tensor]:
        """``[N, 3, H, W]`` in [0, 1] -> kind to ``[N, values]`` shares that sum to one."""
        self.eval()
        small = F.interpolate(pictures, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        return {k: v.softmax(-1) for k, v in (self(small) | self.of_details(small)).items()}


def read_judge(path: Path) -> Judge:
    """A judge that was trained."""
    judge = Judge()
    judge.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return judge.eval().requires_grad_(False)


@dataclass(frozen=True)
class Train:
    """Train a judge: about half an hour on a core."""

    heads: Path
    out: Path
    minutes: float = 30.0
    shards: int = 300
    batch: int = 48
    rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True)
class Score:
    """Judge a judge on heads that it was not trained on."""

    held_out: Path
    judge: Path
    shards: int = 30


def loss_of(found: Mapping[str, Tensor], known: Tensor) -> Tensor:
    """Cross entropy of what is known of the pictures, ``[N, K]`` codes."""
    total = torch.zeros(())
    for kind, logits in found.items():
        truth = known[:, KIND_NAMES.index(kind)].long()
        if bool((truth >= 0).any()):
            total = total + F.cross_entropy(logits, truth, ignore_index=-1, label_smoothing=0.05)
    return total


class Frontal:
    """Views of rendered heads from about the front.

    Args:
        folder: of shards. shards: most of them.
    """

    def __init__(self, folder: Path, shards: int) -> None:
        pictures, known = [], []
        for path in sorted(folder.glob("*.npz"))[:shards]:
            shard = read_shard(path)
            rows = zip(shard["z"], shard["rgba"], shard["seg"], shard["cam2world"], strict=True)
            for z, views, labels, cameras in rows:
                told = facts(attributes_from_latent(z))
                for picture, seen, camera in zip(views, labels, cameras, strict=True):
                    x, y, depth = (float(v) for v in camera[:3, 3])
                    pitch = np.degrees(np.arctan2(y, np.hypot(x, depth)))
                    if turn(camera) < MAX_YAW and abs(pitch) < MAX_PITCH:
                        small = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
                        small = F.interpolate(small, (SIDE, SIDE), mode="area")[0]
                        pictures.append(small.round().to(torch.uint8))
                        known.append(codes(visible(told, seen, turn(camera))))
        self.layers, self.codes = torch.stack(pictures), np.stack(known)
        odds = np.ones(len(known))
        for column in (KIND_NAMES.index(kind) for kind in ASKED):
            told_of = self.codes[:, column] >= 0
            counts = np.bincount(self.codes[told_of, column])
            rarity = (told_of.sum() / counts[self.codes[told_of, column]]) ** 0.4
            odds[told_of] = np.maximum(odds[told_of], rarity)
        self.odds = odds / odds.sum()

    def near(
        self, detail: Detail, number: int, random: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Squares of a detail, varied, of pictures that tell of it, and codes."""
        asked = [KIND_NAMES.index(kind) for kind in detail.heads]
        odds = self.odds * (self.codes[:, asked] >= 0).any(1)
        chosen = random.choice(len(odds), number, replace=False, p=odds / odds.sum())
        rgba = self.layers[torch.from_numpy(chosen)].float() / 255.0
        x = rgba[:, :3] + (1.0 - rgba[:, 3:]) * 0.75
        down, across = (int(v) for v in random.integers(0, 2 * SLACK + 1, 2))
        x = _varied_near(detail.cut(x, down, across), random)
        return x, torch.from_numpy(self.codes[chosen])

    def batch(self, number: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Pictures, varied and blurred at random since generated ones are soft, and codes."""
        chosen = random.choice(len(self.odds), number, replace=False, p=self.odds)
        x = varied(self.layers[torch.from_numpy(chosen)], random)
        soft = round(SIDE * random.uniform(0.5, 1.0))
        x = F.interpolate(x, (soft, soft), mode="bilinear", antialias=True)
        x = F.interpolate(x, (SIDE, SIDE), mode="bilinear")
        return x, torch.from_numpy(self.codes[chosen])


def _varied_near(x: Tensor, random: np.random.Generator) -> Tensor:
    """Mirrored, blurred, lighter or darker."""
    size = x.shape[-2:]
    if random.random() < 0.5:
        x = x.flip(-1)
    if random.random() < 0.6:
        soft = F.interpolate(
            x, scale_factor=float(random.uniform(0.55, 1.0)), mode="bilinear", antialias=True
        )
        x = F.interpolate(soft, size, mode="bilinear")
    gain = torch.from_numpy(random.uniform(0.88, 1.12, (len(x), 1, 1, 1)).astype(np.float32))
    return (x.clamp(1e-4, 1.0) ** float(random.uniform(0.85, 1.18)) * gain).clamp(0.0, 1.0)


def train(options: Train) -> None:
    """Train for a stated time: half of it the whole, and a quarter each detail."""
    torch.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
    pictures, judge = Frontal(options.heads, options.shards), Judge()
    print(f"{len(pictures.odds)} pictures", flush=True)

    def whole() -> Tensor:
        x, known = pictures.batch(options.batch, random)
        return loss_of(judge(x), known)

    _descend(options, list(judge.parameters()), options.minutes / 2, whole)
    for detail in judge.details.values():
        assert isinstance(detail, Detail)

        def near(detail: Detail = detail) -> Tensor:
            x, known = pictures.near(detail, 2 * options.batch, random)
            return loss_of(detail(x), known)

        _descend(options, list(detail.parameters()), options.minutes / 4, near)
    halves = {
        name: value.half() if value.is_floating_point() else value
        for name, value in judge.state_dict().items()
    }
    with atomic_path(options.out) as temporary:
        temporary.write_bytes(save(halves))


def _descend(
    options: Train, parameters: list[nn.Parameter], minutes: float, loss_now: Callable[[], Tensor]
) -> None:
    descent = torch.optim.AdamW(parameters, lr=options.rate, weight_decay=0.02)
    begin, steps, shown = time.monotonic(), 0, 0.0
    while (spent := (time.monotonic() - begin) / 60.0 / minutes) < 1.0:
        for group in descent.param_groups:
            group["lr"] = options.rate * min(1.0, steps / 50 + 0.02) * (1.0 - spent)
        loss = loss_now()
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        descent.step()
        steps += 1
        shown = float(loss.detach()) if steps == 1 else 0.98 * shown + 0.02 * float(loss.detach())
        if steps % 100 == 0:
            print(f"{steps} steps, {100 * spent:.0f} %, loss {shown:.3f}", flush=True)


def score(options: Score) -> None:
    """Print how often each answer is right."""
    pictures = Frontal(options.held_out, options.shards)
    rgba = pictures.layers.float() / 255.0
    judge = read_judge(options.judge)
    found = judge.shares(rgba[:, :3] + (1.0 - rgba[:, 3:]) * 0.75)
    for kind, shares in found.items():
        truth = pictures.codes[:, KIND_NAMES.index(kind)]
        known = truth >= 0
        right = shares.argmax(-1).numpy()[known] == truth[known]
        each = [right[truth[known] == v].mean() for v in np.unique(truth[known])]
        print(f"{kind:10s} {100 * right.mean():5.1f} %  mean over answers "
              f"{100 * np.mean(each):5.1f} %  of {known.sum()}")  # fmt: skip


if __name__ == "__main__":
    chosen = tyro.cli(
        Annotated[Train, tyro.conf.subcommand("train")]  # type: ignore[arg-type]
        | Annotated[Score, tyro.conf.subcommand("score")]
    )
    train(chosen) if isinstance(chosen, Train) else score(chosen)
