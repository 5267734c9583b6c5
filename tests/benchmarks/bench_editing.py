"""How well edits by text work on the bundled generator, judged by a network that knows no text.

    python -m tests.benchmarks.bench_editing --judge judge.safetensors --identities 100 --out RESULT

For every attribute the first seeds whose picture the judge does not see it in are edited and
judged again (see ``attribute_judge``). Pictures are those of the default camera; beards are asked
of men and lipstick of women. Directions are measured in two ways: with the same strength for all,
and just far enough for each face, which the text encoder tells and not the judge. Whatever is
tuned is tuned with ``--first`` far from the seeds that are reported.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from PIL import Image
from torch import Tensor

from engine.assets import bundled_generator
from engine.checkpoints import weights_file
from engine.editing.cache import Cache
from engine.editing.encoders import OpenEncoder, open_encoder
from engine.editing.optimise import OptimiseOptions, optimise
from engine.editing.samples import ModelId
from engine.editing.strength import enough
from engine.editing.text_direction import text_direction
from engine.errors import UserError
from engine.export.files import atomic_path
from engine.generators.base import Generator, latent_from_seed
from engine.generators.registry import open_model
from engine.hashing import model_sha256
from engine.training.heads.wording import KINDS
from tests.benchmarks.attribute_judge import ASKED, Judge, read_judge

Box = tuple[float, float, float, float]
_FACE: Box = (0.38, 0.86, 0.32, 0.68)


@dataclass(frozen=True)
class Attribute:
    """What is asked for, and how it is judged.

    Attributes:
        text: of the edit.
        kind, value: what the judge must say then; a value of ``"!x"`` is any but x.
        tied: kinds that say the same thing, or that cannot be asked any more.
        inside: part of the picture (top, bottom, left, right, in shares) where it belongs;
            ``None`` for the whole head.
        outside_of: the part where it does not belong, instead.
        only: whom it is asked of, as a kind and a value.
    """

    text: str
    kind: str
    value: str
    tied: tuple[str, ...] = ()
    inside: Box | None = None
    outside_of: Box | None = None
    only: tuple[str, str] | None = None


ATTRIBUTES = (
    Attribute("smiling", "smile", "smiling", ("expression",), (0.5, 0.9, 0.25, 0.75)),
    Attribute("glasses", "eyewear", "glasses", (), (0.32, 0.68, 0.18, 0.82)),
    Attribute("a beard", "beard", "!none", (), (0.5, 0.95, 0.22, 0.78), only=("gender", "male")),
    Attribute(
        "lipstick", "lipstick", "lipstick", (), (0.56, 0.84, 0.3, 0.7), only=("gender", "female")
    ),
    Attribute("blonde hair", "hair", "blonde", (), None, _FACE),
    Attribute("long hair", "style", "long", (), None, _FACE),
    Attribute("bald", "style", "bald", ("hair",), None, _FACE),
    Attribute("elderly", "age", "elderly"),
    Attribute("dark skin", "skin", "dark"),
    Attribute("blue eyes", "eye", "blue", (), (0.36, 0.6, 0.22, 0.78)),
)
#: Kinds that make sense for one gender only.
_GENDERED = {"beard": "male", "lipstick": "female"}
#: The judge's share from which its word counts when others are asked whether they changed.
SURE = 0.7
_SIDES, _FAR = (-20.0, 20.0), (-30.0, 0.0, 30.0)


@dataclass(frozen=True)
class Options:
    """What is measured."""

    judge: Path
    out: Path
    identities: int = 100
    enough_of: int = 50
    views_of: int = 5
    method: Literal["direction", "optimise"] = "direction"
    strength: float = 3.0
    steps: int = 20
    first: int = 0
    seeds: int = 200
    cache: Path | None = None
    only: tuple[str, ...] = ()


#: A way to edit: w of a face -> the strength, and w of the edited one.
Edited = Callable[[Tensor], tuple[float, Tensor]]


class Bench:
    """The generator, the encoder and the judge."""

    def __init__(self, options: Options) -> None:
        self.options, self.judge = options, read_judge(options.judge)
        self.generator: Generator = open_model(bundled_generator(), "cpu")
        self.opened: OpenEncoder = open_encoder()
        self.model = ModelId(model_sha256(weights_file(bundled_generator())))
        self._w: dict[int, Tensor] = {}
        self._shown: dict[tuple[int, float], tuple[Tensor, Tensor]] = {}
        self._judged: dict[int, dict[str, Tensor]] = {}
        self._steps: dict[tuple[str, bytes], list[Tensor]] = {}
        #: Seconds of the processor until a step of an optimisation was there, by its number.
        self.spent: dict[int, list[float]] = {}

    def w(self, seed: int) -> Tensor:
        """Of a seed at the usual truncation."""
        if seed not in self._w:
            z = latent_from_seed(seed, self.generator.capabilities.z_dim)
            self._w[seed] = self.generator.map(z, psi=0.7).clone()
        return self._w[seed]

    def show(self, w: Tensor, yaw: float = 0.0) -> tuple[Tensor, Tensor]:
        """``[3, H, W]`` the picture, and ``[H, W]`` its opacity."""
        camera = self.generator.capabilities.default_pose.turned(yaw).camera()
        frame = self.generator.render(w, camera)
        picture = frame.rgb.permute(2, 0, 1).clone()
        alpha = F.interpolate(frame.alpha[None, None], picture.shape[-2:])[0, 0].clone()
        return picture, alpha

    def plain(self, seed: int, yaw: float = 0.0) -> tuple[Tensor, Tensor]:
        """The picture of a seed before any edit."""
        if (seed, yaw) not in self._shown:
            self._shown[seed, yaw] = self.show(self.w(seed), yaw)
        return self._shown[seed, yaw]

    def said(self, seed: int) -> dict[str, Tensor]:
        """What the judge says of a seed before any edit: kind to shares."""
        if seed not in self._judged:
            self._judged[seed] = one(self.judge, self.plain(seed)[0])
        return self._judged[seed]

    def seen(self, picture: Tensor) -> Tensor:
        """The encoder's vector."""
        with torch.inference_mode():
            return self.opened.encoder.encode_image(picture[None])[0].clone()

    def editors(self, attribute: Attribute) -> dict[str, Edited]:
        """What makes an edited w of a w, by what it is called."""
        options, generator, encoder = self.options, self.generator, self.opened.encoder
        if options.method == "optimise":
            return {"optimise": self._moved(attribute, 1.0), "half": self._moved(attribute, 0.5)}
        found = text_direction(
            generator, self.model, encoder, self.opened.identity, attribute.text,
            cache=Cache(options.cache),
        )  # fmt: skip
        step = torch.from_numpy(found.direction.offset.numbers.copy())

        def just(w: Tensor) -> tuple[float, Tensor]:
            strength = enough(generator, lambda s: w + s * step, encoder, found.level).strength
            return strength, w + strength * step

        same = options.strength
        return {"same": lambda w: (same, w + same * step), "enough": just}

    def _moved(self, attribute: Attribute, share: float) -> Edited:
        """Optimisation, after a share of its steps; the steps of a face are made once."""
        options = self.options

        def moved(w: Tensor) -> tuple[float, Tensor]:
            key = (attribute.text, w.numpy().tobytes())
            if key not in self._steps:
                wanted = OptimiseOptions(attribute.text, steps=options.steps)
                begin, offsets = time.process_time(), []
                for step in optimise(self.generator, w, self.opened.encoder, wanted):
                    offsets.append(torch.from_numpy(step.offset.numbers.copy()))
                    self.spent.setdefault(step.number, []).append(time.process_time() - begin)
                self._steps[key] = offsets
            number = round(share * options.steps)
            return float(number), w + self._steps[key][number - 1]

        return moved


def one(judge: Judge, picture: Tensor) -> dict[str, Tensor]:
    """The judge's shares of one picture ``[3, H, W]``."""
    return {kind: shares[0] for kind, shares in judge.shares(picture[None]).items()}


def answers(attribute: Attribute, said: dict[str, Tensor]) -> bool:
    """Whether the judge sees an attribute."""
    best = KINDS[attribute.kind][int(said[attribute.kind].argmax())]
    value = attribute.value
    return best != value[1:] if value.startswith("!") else best == value


def asked_of(attribute: Attribute, said: dict[str, Tensor]) -> bool:
    """Whether somebody can be given an attribute who has it not."""
    if attribute.only is not None:
        kind, value = attribute.only
        if KINDS[kind][int(said[kind].argmax())] != value:
            return False
    return not answers(attribute, said)


def changed(
    attribute: Attribute, before: dict[str, Tensor], after: dict[str, Tensor]
) -> dict[str, bool]:
    """Of everything else that the judge was sure of: whether it says something else now."""
    gender = KINDS["gender"][int(before["gender"].argmax())]
    found = {}
    for kind in ASKED:
        if kind == attribute.kind or kind in attribute.tied:
            continue
        if kind in _GENDERED and _GENDERED[kind] != gender:
            continue
        if float(before[kind].max()) >= SURE:
            found[kind] = bool(before[kind].argmax() != after[kind].argmax())
    return found


def moved_outside(attribute: Attribute, plain: Tensor, alpha: Tensor, edited: Tensor) -> float:
    """Mean absolute change, percent of the range, where the attribute does not belong."""
    height, width = alpha.shape

    def box(part: Box) -> Tensor:
        top, bottom, left, right = part
        mask = torch.zeros(height, width, dtype=torch.bool)
        mask[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = (
            True
        )
        return mask

    if attribute.inside is not None:
        outside = ~box(attribute.inside)
    elif attribute.outside_of is not None:
        outside = box(attribute.outside_of)
    else:
        outside = alpha < 0.02
    return 100.0 * float((edited - plain).abs().mean(0)[outside].mean())


def measure(bench: Bench, attribute: Attribute, tiles: list[Tensor]) -> dict[str, Any]:
    """One line of the table."""
    options, begin = bench.options, time.process_time()
    editors = bench.editors(attribute)
    spent = time.process_time() - begin
    chosen: list[int] = []
    for seed in range(options.first, options.first + options.seeds):
        if len(chosen) == options.identities:
            break
        if asked_of(attribute, bench.said(seed)):
            chosen.append(seed)
    line: dict[str, Any] = {
        "attribute": attribute.text, "seconds_to_find": round(spent, 1)
    }  # fmt: skip
    for name, edit in editors.items():
        whom = chosen[: options.enough_of] if name == "enough" else chosen
        if not whom:
            continue
        line[name] = _measured(bench, attribute, edit, whom, tiles)
    if bench.spent:
        spent_by = {n: round(float(np.mean(s)), 2) for n, s in bench.spent.items()}
        line["optimise"]["seconds_to_step"] = spent_by
        bench.spent.clear()
    return line


def _measured(
    bench: Bench, attribute: Attribute, edit: Edited, chosen: list[int], tiles: list[Tensor]
) -> dict[str, Any]:
    success, flips, outside, sides, alike, strengths = [], [], [], [], [], []
    which: dict[str, list[bool]] = {}
    begin = time.process_time()
    for place, seed in enumerate(chosen):
        strength, w = edit(bench.w(seed))
        strengths.append(strength)
        picture, _ = bench.show(w)
        plain, alpha = bench.plain(seed)
        after = one(bench.judge, picture)
        success.append(answers(attribute, after))
        others = changed(attribute, bench.said(seed), after)
        flips += list(others.values())
        for kind, flip in others.items():
            which.setdefault(kind, []).append(flip)
        outside.append(moved_outside(attribute, plain, alpha, picture))
        if place < 4:
            tiles += [plain, picture]
        if place < bench.options.views_of:
            sides += [answers(attribute, one(bench.judge, bench.show(w, yaw)[0])) for yaw in _SIDES]
            moves = []
            for yaw in _FAR:
                turned = picture if yaw == 0.0 else bench.show(w, yaw)[0]
                moves.append(bench.seen(turned) - bench.seen(bench.plain(seed, yaw)[0]))
            pairs = ((0, 1), (1, 2), (0, 2))
            alike.append(
                np.mean([float(F.cosine_similarity(moves[a], moves[b], dim=0)) for a, b in pairs])
            )
    return {
        "identities": len(chosen),
        "success": round(100 * float(np.mean(success)), 1),
        "others": round(100 * float(np.mean(flips)), 1),
        "outside": round(float(np.mean(outside)), 2),
        "sides": round(100 * float(np.mean(sides)), 1),
        "alike": round(float(np.mean(alike)), 3),
        "strength": round(float(np.mean(strengths)), 2),
        "untouched": strengths.count(0.0),
        "seconds_each": round((time.process_time() - begin) / max(len(chosen), 1), 2),
        "changed": {k: round(100 * float(np.mean(v)), 1) for k, v in which.items() if any(v)},
    }


def _facts(options: Options) -> dict[str, Any]:
    """What the lines of a result follow from, as plain data."""
    told = {**asdict(options), "judge": options.judge.name}
    for name in ("out", "cache", "only"):
        del told[name]
    return told


def _begun(options: Options) -> tuple[list[dict[str, Any]], Tensor | None]:
    """The lines of an earlier run that was broken off, and its pictures ``[3, H, W]``.

    Raises:
        UserError: they were made in another way.
    """
    file = options.out.with_suffix(".json")
    if not file.exists():
        return [], None
    kept = json.loads(file.read_text())
    if kept["options"] != _facts(options):
        raise UserError(f"{file} was made with other options; remove it, or name another --out.")
    pixels = np.asarray(Image.open(options.out.with_suffix(".png")))
    return kept["lines"], torch.from_numpy(pixels.copy()).permute(2, 0, 1) / 255.0


def _sheet(tiles: list[Tensor]) -> Tensor:
    """Pictures of one attribute side by side, at half their size; room for eight pairs' width."""
    row = torch.cat(tiles[:8], dim=2)
    row = F.pad(row, (0, 8 * tiles[0].shape[2] - row.shape[2]))
    return F.interpolate(row[None], scale_factor=0.5, mode="area")[0].clamp(0, 1)


def _means(lines: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            key: round(float(np.mean([line[name][key] for line in lines])), 3)
            for key in ("success", "others", "outside", "sides", "alike")
        }
        for name in lines[0]
        if isinstance(lines[0][name], dict)
    }


def main(options: Options) -> None:
    """Measure and write ``RESULT.json`` with ``RESULT.png``, the first four of each attribute.

    Both are written after each attribute; what is broken off goes on where it was.
    """
    lines, sheet = _begun(options)
    bench = Bench(options)
    done = {line["attribute"] for line in lines}
    for attribute in ATTRIBUTES:
        if attribute.text in done or (options.only and attribute.text not in options.only):
            continue
        tiles: list[Tensor] = []
        line = measure(bench, attribute, tiles)
        lines.append(line)
        print(json.dumps(line), flush=True)
        row = _sheet(tiles)
        sheet = row if sheet is None else torch.cat([sheet, row], dim=1)
        pixels = (sheet.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
        with atomic_path(options.out.with_suffix(".png")) as temporary:
            Image.fromarray(pixels).save(temporary, "PNG")
        facts = {"options": _facts(options), "lines": lines, "means": _means(lines)}
        with atomic_path(options.out.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(_means(lines)), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Options))
