"""Writing a trained encoder as the files that ship: JSON, weights and a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from engine.export.files import atomic_path, make_folder, write_bytes
from engine.text.encoder import TextImageEncoder
from engine.text.spec import build
from engine.training.text_encoder.model import MODEL, PREPROCESS
from engine.training.text_encoder.training import FACES, read_state

CARD = Path(__file__).with_name("card.md")


def trained(folder: Path) -> TextImageEncoder:
    """The averaged encoder of a run."""
    network = build(MODEL, "the bundled text encoder")
    network.load_state_dict(read_state(folder)["average"])
    return TextImageEncoder(network, folder.name, PREPROCESS["mean"], PREPROCESS["std"])


def pack(folder: Path, to: Path) -> Path:
    """Write ``config.json``, ``model.safetensors`` (half precision) and, where the run has been
    scored, ``README.md`` into ``to``.

    Returns:
        the weights' file.

    Raises:
        UserError: the folder holds no training state, or ``to`` cannot be written.
    """
    state: dict[str, Tensor] = read_state(folder)["average"]
    make_folder(to)
    config = {"model_cfg": MODEL, "preprocess_cfg": PREPROCESS}
    write_bytes(to / "config.json", (json.dumps(config, indent=2) + "\n").encode())
    half = {
        name: (v.to(torch.float16) if v.is_floating_point() else v).contiguous()
        for name, v in state.items()
    }
    with atomic_path(to / "model.safetensors") as temporary:
        temporary.write_bytes(save(half))
    scores = folder / "scores.json"
    if scores.exists():
        text = card(json.loads(scores.read_text()), read_state(folder))
        write_bytes(to / "README.md", text.encode())
    return to / "model.safetensors"


def card(scores: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """The model card, with the scores filled in."""
    lines = [
        "| attribute | right | mean over answers | guessing | commonest answer | pictures |",
        "|---|---|---|---|---|---|",
    ]
    for name, a in scores["attributes"].items():
        shares = " | ".join(
            f"{100 * a[k]:.1f} %" for k in ("accuracy", "balanced", "chance", "most")
        )
        lines.append(f"| {name} | {shares} | {a['asked']} |")
    lines.append(f"| **mean** | **{100 * scores['mean']:.1f} %** | "
                 f"{100 * scores['mean_balanced']:.1f} % | | | |")  # fmt: skip
    values = {
        "heads": scores["heads"],
        "pictures": scores["pictures"],
        "among": scores["among"],
        "trained_heads": scores.get("trained_heads", "?"),
        "trained_pictures": scores.get("trained_pictures", "?"),
        "minutes": round(float(state["elapsed"]) / 60),
        "batch": scores.get("batch", "?"),
        "faces": FACES * scores["batch"] if "batch" in scores else "?",
        "steps": f"{int(state['step']):,}",
        "attributes": "\n".join(lines),
    }
    for name in ("top1", "top5", "picture_top1", "picture_top5"):
        values[name] = f"{100 * scores[name]:.1f} %"
    text = CARD.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text
