"""CLIP weights that lie on this machine already, by the names that open_clip gives them.

``ViT-B-32`` is one of its networks, ``ViT-B-32/laion2b_s34b_b79k`` certain weights of it. Programs that
use open_clip leave what they have downloaded in folders that are known: the cache of the Hugging
Face hub, open_clip's own and that of torch. They are looked through and nothing else: no network is
asked, and no name is resolved anywhere but on the disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.places import home
from engine.text.library import open_clip

#: What weights of the hub are called where open_clip names no file, in the order of preference.
HUB_NAMES = (
    "open_clip_model.safetensors", "model.safetensors", "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)  # fmt: skip
#: What may be a name rather than a path: a network, and perhaps certain weights of it.
_NAME = re.compile(r"([A-Za-z][\w.-]*)(?:/([A-Za-z0-9][\w.-]*))?")
_FILES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json")


@dataclass(frozen=True)
class Installed:
    """Weights that were found.

    Attributes:
        file: the weights.
        network, weights: open_clip's names of both.
        config: open_clip's description of the network, as these weights want it.
        preprocess: ``mean``, ``std`` ... of the pictures.
    """

    file: Path
    network: str
    weights: str
    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]


def is_name(source: str) -> bool:
    """Whether a setting is a name of open_clip's, with or without that of certain weights."""
    network, _ = _parts(source)
    return bool(network)


def installed(source: str) -> Installed:
    """The weights of a name, on this machine.

    Args:
        source: of which :func:`is_name` is true.

    Raises:
        UserError: open_clip knows no such weights, they are not here, or those of several names are
            and none was asked for.
    """
    network, wanted = _parts(source)
    library = open_clip()
    known = list(library.list_pretrained_tags_by_model(network))
    if wanted and wanted not in known:
        names = f"it knows {_listed(known)}" if known else "it knows none"
        raise UserError(f"open_clip knows no weights {wanted!r} of {network}; {names}.")
    found: dict[str, Path] = {}
    for tag in [wanted] if wanted else known:
        path = _look(library.get_pretrained_cfg(network, tag))
        # The same file may go by several names.
        if path is not None and path.resolve() not in {p.resolve() for p in found.values()}:
            found[tag] = path
    if not found:
        which = f"{network}/{wanted}" if wanted else network
        looked = ", ".join(str(place) for place in (*hub_folders(), *file_folders()))
        raise UserError(
            f"There are no CLIP weights of {which} on this machine (looked in {looked}), and nothing "
            "is downloaded; give the file of the weights, or leave the text encoder empty for the "
            "bundled one."
        )
    if len(found) > 1:
        raise UserError(
            f"Several weights of {network} are on this machine ({_listed(list(found))}); say which, "
            f"as in {network}/{next(iter(found))}."
        )
    ((tag, path),) = found.items()
    facts = library.get_pretrained_cfg(network, tag)
    # Some networks go by one name with two activations, and the weights decide.
    config = {**(library.get_model_config(network) or {}), "quick_gelu": _quick(facts, network)}
    return Installed(path, network, tag, config, facts)


def _quick(facts: Mapping[str, Any], network: str) -> bool:
    own = open_clip().get_model_config(network) or {}
    return bool(facts.get("quick_gelu", own.get("quick_gelu", False)))


def _parts(source: str) -> tuple[str, str]:
    """The network and the weights that a name says; two empty ones where it is no name."""
    plain = source.strip()
    if plain.lower().endswith(_FILES) or not (named := _NAME.fullmatch(plain)):
        return "", ""
    networks = open_clip().list_models()
    # OpenAI wrote ViT-B/32 where open_clip writes ViT-B-32.
    if (whole := plain.replace("/", "-")) in networks:
        return whole, ""
    return (named[1], named[2] or "") if named[1] in networks else ("", "")


def _look(facts: Mapping[str, Any]) -> Path | None:
    """The file of weights that open_clip describes, if it is in one of the folders."""
    hub, url = str(facts.get("hf_hub") or ""), str(facts.get("url") or "")
    repository, _, file = hub.rpartition("/")
    files = (file.rpartition(".")[0] + ".safetensors", file) if file else HUB_NAMES
    candidates = [
        snapshot / name
        for folder in hub_folders() if repository
        for snapshot in _snapshots(folder / f"models--{repository.replace('/', '--')}")
        for name in files
    ]  # fmt: skip
    last = [part for part in (url.rpartition("/")[2], file) if part]
    candidates += [folder / name for folder in file_folders() for name in last]
    return next((path for path in candidates if path.is_file()), None)


def _snapshots(repository: Path) -> Iterator[Path]:
    """The versions of a repository that are there: the one that ``main`` names first."""
    try:
        versions = sorted(
            (p for p in (repository / "snapshots").iterdir() if p.is_dir()), key=lambda p: p.name
        )
        head = repository / "refs" / "main"
        main = head.read_text(encoding="utf-8").strip() if head.is_file() else ""
    except (OSError, ValueError):
        return
    yield from sorted(versions, key=lambda p: p.name != main)


def hub_folders() -> tuple[Path, ...]:
    """Where the Hugging Face hub keeps what was downloaded: by its own variables, else the usual
    place."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return (Path(named).expanduser(),)
    named = os.environ.get("HF_HOME")
    return ((Path(named).expanduser() if named else _cache() / "huggingface") / "hub",)


def file_folders() -> tuple[Path, ...]:
    """Where open_clip and torch keep single files."""
    named = os.environ.get("TORCH_HOME")
    torch_home = Path(named).expanduser() if named else _cache() / "torch"
    return (home() / ".cache" / "clip", torch_home / "hub" / "checkpoints")


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given).expanduser() if given else home() / ".cache"


def _listed(names: list[str]) -> str:
    return ", ".join(names)
