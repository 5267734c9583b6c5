"""The report on a generator: every score, as data, as a table, and pictures."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.errors import UserError
from engine.export.files import write_bytes
from engine.training.bundled.consistency import MOST_APART, YAWS, measure_consistency
from engine.training.bundled.kid import FeatureNetwork, measure_kid
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.scores import Progress, Stat, measure
from engine.training.bundled.sheets import heads_sheet, samples_sheet
from engine.training.bundled.subject import Subject

FORMAT = "maquette-report/1"

#: Heads whose consistency is measured, at most: it takes up to four pictures each.
MOST_TURNED = 100
#: Fewest pictures that a KID is made of.
FEWEST_FOR_KID = 8

#: Scores in the table's order: name, what it is called, unit, digits, whether more is better
#: (None: nearer to 1 is).
ROWS: tuple[tuple[str, str, str, int, bool | None], ...] = (
    ("psnr_half", "PSNR at {half} px", "dB", 2, True),
    ("psnr", "PSNR at {side} px", "dB", 2, True),
    ("psnr_raw", "PSNR of the volume rendering at {raw} px", "dB", 2, True),
    ("ssim", "SSIM at {side} px", "", 3, True),
    ("iou", "Mask IoU at {raw} px", "", 3, True),
    ("depth", "Median depth error, share of a head's height", "", 4, False),
    ("sharpness_half", "Gradient energy of eyes and mouth at {half} px, truth 1", "", 3, None),
    ("sharpness", "Gradient energy of eyes and mouth at {side} px, truth 1", "", 3, None),
    ("sharpness_eyes", "of these, eyes, brows and glasses", "", 3, None),
    ("sharpness_mouth", "of these, lips, teeth and tongue", "", 3, None),
)  # fmt: skip


def make_report(
    subject: Subject,
    pool: HeadPool,
    count: int,
    network: FeatureNetwork | None,
    seed: int = 0,
    say: Progress | None = None,
) -> dict[str, Any]:
    """Measure everything; the report as plain data.

    Args:
        subject: what is judged. pool: heads that it was never trained on.
        count: heads to judge by. network: of the KID; ``None`` leaves it unmeasured.
        seed: of the random samples.

    Raises:
        UserError: the heads do not fit the model.
    """
    generator = subject.generator
    scores = measure(generator, pool, count, say=say)
    turned = measure_consistency(generator, pool, min(count, MOST_TURNED), say)
    kid: dict[str, Any] | None = None
    if network is not None and count >= FEWEST_FOR_KID:
        distance, floor = measure_kid(generator, pool, network, count, seed, say)
        kid = asdict(distance) | {
            "pictures": count,
            "truth_halves": asdict(floor),
            "network": {"name": network.name, "sha256": network.sha256},
        }
    known = generator.capabilities
    return {
        "format": FORMAT,
        "model": {
            "name": subject.name,
            "family": known.family,
            "sha256": subject.sha256,
            "side": known.resolution,
            "raw_side": known.neural_resolution,
            "parameters": sum(p.numel() for p in generator.network.parameters()),
        },
        "history": list(subject.history),
        "held_out": {
            "heads": count,
            "views": pool.views,
            "side": pool.resolution,
            "backdrop": subject.backdrop,
            "sha256": _fingerprint(pool, count),
        },
        "seed": seed,
        "scores": {name: _stat(stat) for name, stat in scores.stats.items()},
        "kid": kid,
        "consistency": {
            name: {"error": _stat(found.error), "share": _stat(found.share)}
            for name, found in turned.items()
        },
        "speed": {
            "seconds": round(scores.seconds, 4),
            "threads": torch.get_num_threads(),
            "device": generator.device.type,
        },
    }


def _stat(stat: Stat) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return round(value, 5) if math.isfinite(value) else None

    return {
        "mean": number(stat.mean),
        "p5": number(stat.low),
        "p95": number(stat.high),
        "heads": stat.count,
    }


def _fingerprint(pool: HeadPool, count: int) -> str:
    """SHA-256 of the judged heads' latents: the same for the same heads only."""
    z = pool.whole(np.arange(count), 0).z.cpu().numpy()
    return hashlib.sha256(z.astype("<f4").tobytes()).hexdigest()


def read_report(path: Path) -> dict[str, Any]:
    """A report from its JSON.

    Raises:
        UserError: the file cannot be read or is none.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a report ({error}); make it anew.") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise UserError(f"{path} is no report of the bundled generator's trainer; make it anew.")
    return report


def _shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def score_table(report: dict[str, Any]) -> str:
    """The scores as a Markdown table, and a sentence on each thing that needs one."""
    model, held = report["model"], report["held_out"]
    sides = {"side": held["side"], "half": held["side"] // 2, "raw": model["raw_side"]}
    lines = ["| Score | Mean | 5th to 95th percentile | Heads |", "| --- | --- | --- | --- |"]

    def row(title: str, stat: dict[str, Any], digits: int, unit: str = "") -> None:
        mean, low, high = (_shown(stat[key], digits) for key in ("mean", "p5", "p95"))
        lines.append(
            f"| {title} | {mean} {unit}".rstrip() + f" | {low} to {high} | {stat['heads']} |"
        )

    for name, title, unit, digits, _ in ROWS:
        row(title.format(**sides), report["scores"][name], digits, unit)
    titles = {
        "turned": f"the model, yaws {YAWS[0]:g} and {YAWS[1]:g}",
        "same_views": "the model, two views of the shards",
        "truth": "the rendered heads, the same two views",
    }
    for name, title in titles.items():
        if name in report["consistency"]:
            found = report["consistency"][name]
            row(f"Colour error between views, {title}", found["error"], 4)
            row(f"share of pixels compared, {title}", found["share"], 3)
    kid = report["kid"]
    if kid:
        text = f"{kid['mean']:.5f} | spread {kid['spread']:.5f} | {kid['pictures']} |"
        lines.append(f"| KID | {text}")
        halves = kid["truth_halves"]
        text = f"{halves['mean']:.5f} | spread {halves['spread']:.5f} | {kid['pictures']} |"
        lines.append(f"| KID between the halves of the rendered heads | {text}")
    return "\n".join(lines) + "\n\n" + _notes(report)


def _notes(report: dict[str, Any]) -> str:
    model, held, kid, speed = (report[k] for k in ("model", "held_out", "kid", "speed"))
    notes = [
        f"Measured on {held['heads']} rendered heads that the model was never trained on, one view "
        f"of each, for their given z, over a backdrop of brightness {held['backdrop']:g}."
    ]
    if model["side"] != held["side"]:
        notes.append(
            f"The model draws {model['side']} pixels; at {held['side']} its pictures are enlarged "
            "bilinearly."
            if model["side"] < held["side"]
            else f"The model draws {model['side']} pixels; its pictures are shrunk to "
            f"{held['side']}."
        )
    notes.append(
        "The mean of the gradient energy is that of all heads together. Colour errors between views "
        "are mean absolute differences, full range 1, where the depths agree"
        + (
            f"; views of the shards are compared where they are less than {MOST_APART:g} degrees apart."
            if "truth" in report["consistency"]
            else "."
        )
    )
    if kid:
        network = kid["network"]
        notes.append(
            f"KID: unbiased squared MMD, kernel (x . y / d + 1)^3, mean over {kid['subsets']} subsets "
            f"of {kid['size']}, between {kid['pictures']} samples and as many rendered heads, features "
            f"of {network['name']} (sha256 {network['sha256']}). Numbers from other networks must "
            "not be compared with it."
        )
    else:
        few = held["heads"] < FEWEST_FOR_KID
        reason = "too few heads" if few else "there was no bundled text encoder to look at pictures"
        notes.append(f"KID was not measured: {reason}.")
    notes.append(
        f"A full picture took {speed['seconds']:.2f} s on {speed['device']} with {speed['threads']} "
        f"thread{'s' if speed['threads'] > 1 else ''} (the median; it depends on the machine)."
    )
    return "\n".join(notes)


def write_report(report: dict[str, Any], subject: Subject, pool: HeadPool, folder: Path) -> None:
    """Write ``report.json``, ``report.md``, ``samples.png`` (64 random people, not hand-picked)
    and ``heads.png`` (the first eight heads beside the truth).

    Raises:
        ExportError: the folder cannot be written to.
    """
    name = report["model"]["name"]
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    write_bytes(folder / "report.json", text.encode())
    title = f"# Report on {name}\n\nWeights: sha256 {report['model']['sha256']}\n\n"
    write_bytes(folder / "report.md", (title + score_table(report) + "\n").encode())
    samples_sheet(subject.generator, folder / "samples.png", report["seed"])
    heads_sheet(subject.generator, pool, folder / "heads.png")
