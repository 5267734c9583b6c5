"""What a text-led run made of everybody, judged by a network that knows no text.

    python -m tests.benchmarks.bench_shift --before bundled --after RUN/model.json \
        --judge judge.safetensors --asked hair=red --asked eyewear=glasses --out RESULT

The same seeds are drawn by both models from the same cameras (see ``attribute_judge``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from PIL import Image
from torch import Tensor

from engine.assets import model_place
from engine.export.files import atomic_path
from engine.frame import Frame
from engine.generators.base import Generator, latent_from_seed
from engine.generators.registry import open_model
from engine.training.heads.wording import KINDS
from tests.benchmarks.attribute_judge import ASKED, Judge, read_judge

#: The judge's share from which its word counts when others are asked whether they changed.
SURE = 0.7
#: Kinds that make sense for one gender only.
_GENDERED = {"beard": "male", "lipstick": "female"}
TURN = 30.0


@dataclass(frozen=True)
class Options:
    """What is measured."""

    before: str
    """The model that training started from."""
    after: str
    """What came of it."""
    judge: Path
    """Its weights."""
    out: Path
    """RESULT.json and RESULT.png are written."""
    asked: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """What the text asked for, such as hair=red; beard=!none is any but none."""
    people: int = 60
    """Seeds."""
    psi: float = 0.7
    """Truncation."""
    shown: int = 6
    """People on the sheet."""


def drawn(generator: Generator, seed: int, psi: float, yaw: float = 0.0) -> Frame:
    """A seed's picture from the front, or turned."""
    facts = generator.capabilities
    w = generator.map(latent_from_seed(seed, facts.z_dim), psi=psi)
    return generator.render(w, facts.default_pose.turned(yaw).camera())


def said(judge: Judge, frame: Frame) -> dict[str, Tensor]:
    """The judge's shares by kind."""
    picture = frame.rgb.permute(2, 0, 1)[None].clone()
    return {kind: shares[0] for kind, shares in judge.shares(picture).items()}


def answers(asked: str, shares: dict[str, Tensor]) -> bool:
    """Whether the judge sees ``kind=value``, or with ``!`` any but that value."""
    kind, _, value = asked.partition("=")
    best = KINDS[kind][int(shares[kind].argmax())]
    return best != value[1:] if value.startswith("!") else best == value


def others(asked: tuple[str, ...], one: dict[str, Tensor], two: dict[str, Tensor]) -> list[bool]:
    """Of everything else that the judge was sure of: whether it says something else now."""
    mine = {word.partition("=")[0] for word in asked}
    gender = KINDS["gender"][int(one["gender"].argmax())]
    return [
        bool(one[kind].argmax() != two[kind].argmax())
        for kind in ASKED
        if kind not in mine
        and _GENDERED.get(kind, gender) == gender
        and float(one[kind].max()) >= SURE
    ]


def correlation(one: Frame, two: Frame) -> float:
    """Of the depths where both see a head."""
    there = (one.alpha > 0.5) & (two.alpha > 0.5)
    pair = torch.stack([one.depth[there], two.depth[there]]).double()
    return float(torch.corrcoef(pair)[0, 1])


def main(options: Options) -> None:
    """Measure and write."""
    judge = read_judge(options.judge)
    pair = [open_model(model_place(name), "cpu") for name in (options.before, options.after)]
    found: dict[str, list[list[bool]]] = {word: [[], []] for word in options.asked}
    turned: dict[str, list[bool]] = {word: [] for word in options.asked}
    changed: list[bool] = []
    depths: list[float] = []
    same, tiles = True, []
    faces: list[list[Tensor]] = [[], []]
    for seed in range(options.people):
        one, two = (drawn(generator, seed, options.psi) for generator in pair)
        shares = [said(judge, frame) for frame in (one, two)]
        aside = said(judge, drawn(pair[1], seed, options.psi, 20.0))
        for word in options.asked:
            for place in (0, 1):
                found[word][place].append(answers(word, shares[place]))
            turned[word].append(answers(word, aside))
        changed += others(options.asked, *shares)
        depths.append(correlation(one, two))
        same = same and torch.equal(one.depth, two.depth) and torch.equal(one.alpha, two.alpha)
        for place, frame in enumerate((one, two)):
            small = F.adaptive_avg_pool2d(frame.rgb.permute(2, 0, 1)[None].clone(), 16)
            faces[place].append(small[0])
        if seed < options.shown:
            frames = [one, two, drawn(pair[1], seed, options.psi, TURN)]
            tiles.append(torch.cat([frame.rgb for frame in frames]))
    facts = {
        "people": options.people,
        "asked": {
            word: {
                "before": round(100.0 * float(np.mean(before)), 1),
                "after": round(100.0 * float(np.mean(after)), 1),
                "after, turned by 20": round(100.0 * float(np.mean(turned[word])), 1),
            }
            for word, (before, after) in found.items()
        },
        "other answers that changed": round(100.0 * float(np.mean(changed)), 1),
        "depth correlation": round(float(np.mean(depths)), 5),
        "depth correlation, least": round(float(np.min(depths)), 5),
        "depths the same to the last bit": same,
        "spread between people": [round(float(torch.stack(one).std(0).mean()), 4) for one in faces],
    }
    print(json.dumps(facts, indent=1), flush=True)
    with atomic_path(options.out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n")
    sheet = torch.cat(tiles, dim=1).permute(2, 0, 1)[None].clone()
    small = F.interpolate(sheet, scale_factor=0.5, mode="area") if sheet.shape[2] > 600 else sheet
    pixels = (small[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255).astype(np.uint8)
    with atomic_path(options.out.with_suffix(".png")) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")


if __name__ == "__main__":
    main(tyro.cli(Options))
