"""Which network a file of CLIP weights is for: open_clip's own description of it.

A folder says it in a JSON file (``open_clip_config.json``, as open_clip and the Hugging Face hub
write it). A bare file does not; then the network is the one of open_clip's built-in
configurations whose tensors have the same names and shapes, if there is just one, or the one
that the user names (``ViT-B-32=PATH``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import UserError
from engine.text.installed import HUB_NAMES, installed, is_name
from engine.text.library import open_clip

CONFIG_NAMES = ("open_clip_config.json", "config.json")
WEIGHT_NAMES = HUB_NAMES
#: Words of open_clip's own tokenizer.
VOCABULARY = 49408
#: Said where the network of a bare file is unknown.
HOW_TO_NAME = "name its open_clip configuration before the path, as in ViT-B-32=PATH"
_NAMED = re.compile(r"([A-Za-z][\w.-]*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """A network, where its weights lie and how its pictures are prepared.

    Attributes:
        weights: the file of the weights.
        model: open_clip's description (``embed_dim``, ``vision_cfg``, ``text_cfg`` ...); empty
            where only the weights can tell.
        preprocess: ``mean``, ``std``, ``size`` ... where they are not the usual ones.
        name: of the built-in configuration, or of the folder.
    """

    weights: Path
    model: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


def find_spec(source: str) -> Spec:
    """What a user's setting points to: a folder, a file, ``NAME=FILE``, or a name of open_clip's
    whose weights are on this machine (:mod:`engine.text.installed`).

    Raises:
        UserError: there is nothing, or it is not described in a way that is read here.
    """
    try:
        path = Path(source).expanduser()
        is_there, is_folder = path.exists(), path.is_dir()
    except (OSError, ValueError, RuntimeError):  # too long for any file, or of a stranger's home
        path, is_there, is_folder = Path(source[:100]), False, False
    named = _NAMED.fullmatch(source)
    if named and not is_there:
        return Spec(Path(named[2]).expanduser(), model_named(named[1]), name=named[1])
    if is_folder:
        return _of_folder(path)
    if not is_there and is_name(source):
        found = installed(source)
        check_offline(found.config, found.network)
        name = f"{found.network}/{found.weights}"
        return Spec(found.file, found.config, found.preprocess, name)
    if not is_there:
        raise UserError(
            f"There are no CLIP weights at {path}; give a file or a folder of weights, a name of "
            "open_clip's whose weights are on this machine, such as ViT-B-32, or leave the text "
            "encoder empty for the bundled one."
        )
    return Spec(path)


def model_named(name: str) -> dict[str, Any]:
    """A built-in configuration of open_clip's.

    Raises:
        UserError: there is none of that name, or it needs more than open_clip brings.
    """
    config: dict[str, Any] | None = open_clip().get_model_config(name) if ":" not in name else None
    if config is None:
        raise UserError(
            f"open_clip has no configuration {name!r}; use one of its names, ViT-B-32 for instance."
        )
    check_offline(config, name)
    return config


def check_offline(config: Mapping[str, Any], name: str) -> None:
    """Raises UserError where a network needs files that would have to be downloaded, or is of a
    kind without one vector for a picture."""
    text = config.get("text_cfg")
    vision = config.get("vision_cfg")
    if not isinstance(text, Mapping) or not isinstance(vision, Mapping):
        raise UserError(f"{name} is not described as a CLIP model (text_cfg, vision_cfg).")
    if text.get("hf_model_name") or text.get("hf_tokenizer_name") or "multimodal_cfg" in config:
        raise UserError(
            f"{name} has a tokenizer or a text model that open_clip would download; use a CLIP "
            "model with open_clip's own tokenizer, such as ViT-B-32."
        )
    if text.get("vocab_size", VOCABULARY) != VOCABULARY:
        raise UserError(f"{name} has another list of words than open_clip's own tokenizer.")


def _of_folder(folder: Path) -> Spec:
    config = next((folder / n for n in CONFIG_NAMES if (folder / n).is_file()), None)
    weights = next((folder / n for n in WEIGHT_NAMES if (folder / n).is_file()), None)
    if weights is None:
        raise UserError(
            f"The folder {folder} holds no CLIP weights (such as open_clip_model.safetensors); "
            "give the file itself."
        )
    if config is None:
        return Spec(weights)
    try:
        data = json.loads(config.read_text(encoding="utf-8"))
        model, preprocess = data["model_cfg"], data.get("preprocess_cfg") or {}
        if not isinstance(model, dict) or not isinstance(preprocess, dict):
            raise TypeError("not a table")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{config} is not a description of a CLIP model as open_clip writes it; get the "
            f"folder again, or give the file of the weights and {HOW_TO_NAME}."
        ) from error
    check_offline(model, str(config))
    return Spec(weights, model, preprocess, folder.name)


def build(config: Mapping[str, Any], name: str, device: str = "cpu") -> nn.Module:
    """open_clip's network for a description, with random weights. Nothing is downloaded.

    Raises:
        UserError: the description makes no network.
    """
    library = open_clip()
    options = {key: value for key, value in config.items() if key != "custom_text"}
    vision = {**options.get("vision_cfg", {}), "timm_model_pretrained": False}
    kind = library.CustomTextCLIP if config.get("custom_text") else library.CLIP
    try:
        with torch.device(device):
            network: nn.Module = kind(**{**options, "vision_cfg": vision})
    except (TypeError, ValueError, RuntimeError, AssertionError, ZeroDivisionError) as error:
        raise UserError(
            f"open_clip cannot build {name} ({' '.join(str(error).split())[:200]}); check its "
            "configuration."
        ) from error
    return network.eval()


def fitting(weights: Mapping[str, Tensor]) -> list[str]:
    """Names of open_clip's configurations with exactly these tensors, in its order."""
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    library = open_clip()
    found = []
    for name in library.list_models():
        config = library.get_model_config(name)
        try:
            check_offline(config, name)
        except UserError:
            continue
        if _may_fit(config, shapes) and _shapes(config, name) == _without_scale(shapes):
            found.append(name)
    return found


def _may_fit(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the sizes of text tower and first layer agree: told without building anything."""
    text, vision = config["text_cfg"], config["vision_cfg"]
    if vision.get("timm_model_name"):
        if not any(name.startswith("visual.trunk.") for name in shapes):
            return False
    elif isinstance(layers := vision.get("layers", 12), int):
        width, patch = vision.get("width", 768), vision.get("patch_size", 16)
        blocks = {n.split(".")[3] for n in shapes if n.startswith("visual.transformer.resblocks.")}
        if shapes.get("visual.conv1.weight") != (width, 3, patch, patch) or len(blocks) != layers:
            return False
    prefix = "text." if "text.token_embedding.weight" in shapes else ""
    size = (text.get("vocab_size", 49408), text.get("width", 512))
    projection = shapes.get(f"{prefix}text_projection", (0, 0))
    layers = {n.split(".resblocks.")[1].split(".")[0] for n in shapes
              if n.startswith(f"{prefix}transformer.resblocks.")}  # fmt: skip
    return (
        shapes.get(f"{prefix}token_embedding.weight") == size
        and shapes.get(f"{prefix}positional_embedding", (0,))[0] == text.get("context_length", 77)
        and projection[-1] == config["embed_dim"]
        and len(layers) == text.get("layers", 12)
    )


def _shapes(config: Mapping[str, Any], name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a configuration's tensors; empty if it cannot be built."""
    try:
        network = build(config, name, "meta")
    except (UserError, NotImplementedError):
        return {}
    return _without_scale({k: tuple(v.shape) for k, v in network.state_dict().items()})


def _without_scale(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """A scale is one number, written as a scalar or as a vector of one."""
    return {k: v for k, v in shapes.items() if k not in ("logit_scale", "logit_bias")}


def the_one(names: list[str], path: Path) -> str:
    """The only name.

    Raises:
        UserError: there is none, or several.
    """
    if len(names) == 1:
        return names[0]
    if not names:
        raise UserError(
            f"The weights in {path} fit none of open_clip's networks that are read here; use a "
            f"CLIP model of open_clip's, or {HOW_TO_NAME}."
        )
    raise UserError(
        f"The weights in {path} fit several networks of open_clip ({', '.join(names)}), which "
        f"would read them differently; {HOW_TO_NAME.replace('ViT-B-32', names[0])}."
    )
