"""Packing with a model card: what a model is, how good it is, and what it is not.

An asset is four files: the model (JSON and safetensors), ``report.json`` with its scores and
``README.md``, the card. An asset is not replaced by a worse one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.export.files import write_bytes
from engine.training.bundled.report import ROWS, read_report, score_table
from engine.training.bundled.subject import look_in
from engine.training.bundled.trained import TrainedModel

#: Scores that two models are compared by, beside the KID.
JUDGED = ("psnr_half", "psnr", "ssim", "iou", "depth", "sharpness")
#: Differences below this share of the old score are noise.
NOISE = 0.01

_TITLE = """# Bundled heads

A generator of 3D-aware portraits that ships with Maquette: a latent vector of {z_dim} numbers becomes
the radiance field of a head, which is drawn from any side.{look} {family} Our own implementation and
our own training; no weights of anybody else are in it.
"""
_FAMILIES = {
    "eg3d": """EG3D family (Chan et al. 2022), {parameters}
parameters, volume rendering at {raw_side} pixels, pictures of {side} pixels.""",
    "cips3d": """CIPS-3D family (Zhou et al. 2021), {parameters}
parameters; every one of the {side} x {side} pixels is drawn from a ray of its own, without convolutions.""",
}

_DATA = """## Data

Rendered heads only. `python -m engine.training.heads` makes them from a latent vector each: shape, skin,
eyes, hair, beard, glasses and clothes are a fixed function of it. The model was shown no
photograph and no picture made by another model. Whether MakeHuman's artists painted skin textures
after photographs is not known to us.

The meshes, shapes and textures are MakeHuman's assets (the MakeHuman team, makehumancommunity.org), which
their owners have released under CC0 1.0 Universal: <https://creativecommons.org/publicdomain/zero/1.0/>. CC0
asks for no notice; this is one all the same. MakeHuman's program code, which is under the AGPL, was not
used.

## Licence

The weights: Apache-2.0, like Maquette's code.
"""

_LIMITS = """## Limits

- The people are synthetic. No real person was shown to the model, and it cannot draw a given one: a
  photograph can only be brought near to what rendered heads look like.
- What was not rendered does not come: children, other things to wear, hands, most expressions. How often
  a look comes is what the renderer was told, and says nothing about any population.
- Skin and hair are those of a real-time renderer. The details of eyes and mouths are softer than the
  truth's; the gradient energy above says by how much.
- It is made for trying out 3D-aware portraits, and for nothing that decides about people.
"""


def model_card(report: dict[str, Any], z_dim: int) -> str:
    """The card's Markdown."""
    model = report["model"]
    facts = {
        "z_dim": z_dim,
        "parameters": f"{model['parameters'] / 1e6:.1f} M",
        "raw_side": model["raw_side"],
        "side": model["side"],
    }
    look = look_in(report["history"])
    facts["look"] = f" Everybody is made of {look}." if look else ""
    # Reports of the first trainer name no family: it knew one.
    family = _FAMILIES[model.get("family", "eg3d")].format(**facts)
    parts = [
        _TITLE.format(**facts, family=family),
        _DATA,
        "## Training\n\n" + _training(report["history"]),
        "## Scores\n\n" + score_table(report) + "\n",
        _LIMITS,
    ]
    return "\n".join(parts)


def _training(history: list[dict[str, Any]]) -> str:
    """A line for each stage."""
    if not history:
        return "By an earlier trainer, which kept no record of its options.\n"
    lines = ["From nothing, with `python -m engine.training.bundled`:", ""]
    for stage in history:
        options = stage["options"]
        lines.append(
            f"- `{stage['stage']}`: {stage['steps']:,} steps in {stage['minutes']:g} minutes on "
            f"{stage['device']}, {stage['heads']:,} heads, {options['heads']} a batch, "
            f"{options.get('optimiser', 'adam').title()}, learning rate {options['learning_rate']:g}, seed {options['seed']}"
            + (f", look {options['look']}" if options.get("look") else "")
        )
    return "\n".join(lines) + "\n"


def worse_scores(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """Where a report falls behind another one, in words; empty if nowhere.

    More is better for PSNR, SSIM and IoU, less for depth and KID; gradient energy is better
    nearer to 1. A score that only one of them has is not compared, and a KID only where the feature
    network is the same.
    """
    titles = {name: (title, better) for name, title, _, _, better in ROWS}
    sides = {"side": old["held_out"]["side"], "raw": old["model"]["raw_side"]}
    sides["half"] = sides["side"] // 2
    pairs = []
    for name in JUDGED:
        title, better = titles[name]
        ours, theirs = (report["scores"][name]["mean"] for report in (new, old))
        pairs.append((title.format(**sides), ours, theirs, better))
    kids = [report["kid"] for report in (new, old)]
    if all(kids) and kids[0]["network"]["sha256"] == kids[1]["network"]["sha256"]:
        pairs.append(("KID", kids[0]["mean"], kids[1]["mean"], False))
    return [
        f"{title} {theirs:.4g}, now {ours:.4g}"
        for title, ours, theirs, better in pairs
        if ours is not None and theirs is not None and _worse(ours, theirs, better)
    ]


def _worse(ours: float, theirs: float, more_is_better: bool | None) -> bool:
    if more_is_better is None:
        ours, theirs, more_is_better = abs(1.0 - ours), abs(1.0 - theirs), False
    loss = theirs - ours if more_is_better else ours - theirs
    return loss > NOISE * abs(theirs)


def pack_asset(
    model: TrainedModel, report: dict[str, Any], weights: str, path: Path, replace: bool = False
) -> Path:
    """Write the model with its report and its card; the path of its JSON.

    Args:
        model: what is packed. report: on it. weights: SHA-256 of the saved state it came from.
        path: the files' common name. replace: even where the old asset is better.

    Raises:
        UserError: the report is on other weights, or the asset that is there is better by some
            score or has none.
    """
    if report["model"]["sha256"] != weights:
        raise UserError(
            "The report is on other weights than the saved state; make it anew with `python -m "
            "engine.training.bundled report`."
        )
    stem = path.with_suffix("") if path.suffix in (".json", ".safetensors") else path
    recorded = stem.with_name("report.json")
    if not replace and stem.with_name(f"{stem.name}.json").exists():
        if not recorded.exists():
            raise UserError(
                f"{stem} has no recorded scores to compare with; --replace replaces it."
            )
        if worse := worse_scores(report, read_report(recorded)):
            raise UserError(
                f"{stem} has better scores ({'; '.join(worse)}); --replace replaces it all the same."
            )
    written = model.pack(stem)
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    write_bytes(recorded, text.encode())
    card = model_card(report, model.network.config.z_dim)
    write_bytes(stem.with_name("README.md"), card.encode())
    return written
