"""Maquette's own model format: ``NAME.json`` beside ``NAME.safetensors``.

The JSON says which family it is and holds every option; the safetensors file holds the
tensors under the authors' state-dict names. Half-precision tensors are a way to store, not to
compute: they load as float32.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints.faults import Damaged
from engine.checkpoints.plain import Checkpoint, LazyTensor, ModelSource
from engine.checkpoints.source import FileSource
from engine.checkpoints.tensors import MAX_DIMS, Storage, view
from engine.errors import CheckpointError
from engine.hashing import file_sha256
from engine.json_text import json_text

#: What the JSON's ``format`` says.
FORMAT = "maquette-generator/1"
#: Largest JSON and largest safetensors header that are read, in bytes.
MAX_JSON = 4 << 20
MAX_HEADER = 8 << 20
#: Most tensors of a model.
MAX_TENSORS = 20_000

_KEYS = {"format", "family", "name", "config", "assumptions", "sha256"}
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_SAFE_DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_SAFE_NAMES = {dtype: name for name, dtype in _SAFE_DTYPES.items()}


def read_json(path: Path) -> Checkpoint:
    """Open a converted model by its JSON.

    Raises:
        CheckpointError, Damaged: with what is wrong.
    """
    facts = _read_facts(path)
    weights = path.with_suffix(".safetensors")
    if not weights.is_file():
        raise CheckpointError(
            f"{weights} is missing: a converted model is {path.name} and {weights.name} in one "
            "folder; copy both."
        )
    tensors = _read_tensors(weights)
    if file_sha256(weights) != facts["sha256"]:
        raise CheckpointError(
            f"{weights} does not belong to {path.name} or was altered: its SHA-256 is not the one "
            "that the JSON states; copy both files again or convert the checkpoint again."
        )
    return Checkpoint(
        path=path,
        container="maquette",
        root=facts,
        native_family=facts["family"],
        native_config=facts["config"],
        native_tensors=tensors,
        title=facts["name"],
        native_assumptions=tuple(facts["assumptions"]),
    )


def read_safetensors(path: Path) -> Checkpoint:
    """Open a converted model by its safetensors file; the JSON must stand beside it.

    Raises:
        CheckpointError: the JSON is missing, or one of the two is damaged.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise CheckpointError(
            f"{path} is a safetensors file without {beside.name} beside it; a converted model is "
            "both files in one folder."
        )
    return read_json(beside)


def _read_facts(path: Path) -> dict[str, Any]:
    """The JSON, with the type of every entry checked."""

    def wrong(what: str) -> CheckpointError:
        return CheckpointError(
            f"{path} is not a description of a converted model: {what}; convert the checkpoint "
            "again or choose another file."
        )

    def no_constant(name: str) -> float:
        raise wrong(f"it holds {name}, which is not a number of JSON")

    source = FileSource(path)
    try:
        if source.size > MAX_JSON:
            raise wrong(f"it is {source.size >> 20} MB of text")
        text = source.read_at(0, source.size)
    finally:
        source.close()
    try:
        facts = json.loads(text.decode("utf-8-sig"), parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise wrong("it is not sound JSON") from error
    if not isinstance(facts, dict) or "format" not in facts:
        raise wrong("it has no 'format'")
    if facts["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has the format {str(facts['format'])[:60]!r}, and this version of Maquette "
            f"reads {FORMAT!r}; update Maquette or convert the checkpoint again."
        )
    missing, extra = _KEYS - facts.keys(), facts.keys() - _KEYS
    if missing or extra:
        names = ", ".join(sorted(repr(name[:40]) for name in missing or extra)[:4])
        raise wrong(f"it {'lacks' if missing else 'has the unknown entries'} {names}")
    for key in ("family", "name"):
        if not isinstance(facts[key], str) or not 0 < len(facts[key]) <= 500:
            raise wrong(f"its {key!r} is not a short text")
    if not isinstance(facts["config"], dict):
        raise wrong("its 'config' is not an object")
    assumptions = facts["assumptions"]
    if not isinstance(assumptions, list) or not all(isinstance(one, str) for one in assumptions):
        raise wrong("its 'assumptions' are not a list of sentences")
    if not isinstance(facts["sha256"], str) or not _SHA256.match(facts["sha256"]):
        raise wrong("its 'sha256' is not a SHA-256")
    return facts


def _read_tensors(path: Path) -> dict[str, LazyTensor]:
    """Tensors of a safetensors file, checked against its size and not read yet.

    The layout of the safetensors format: a 64-bit length, a JSON header that
    maps names to element type, shape and byte range, then the bytes without gaps.
    """
    source = FileSource(path)
    try:
        length = int.from_bytes(source.read_at(0, 8), "little")
        if length > MAX_HEADER:
            raise Damaged(f"the header of {path.name} claims {length} bytes")
        header = json.loads(source.read_at(8, length).decode("utf-8"))
        if not isinstance(header, dict):
            raise Damaged(f"the header of {path.name} is not a table")
        header.pop("__metadata__", None)
        if len(header) > MAX_TENSORS:
            raise Damaged(f"the header of {path.name} names {len(header)} tensors")
        tensors, ranges = {}, []
        for name, entry in header.items():
            tensors[name], span = _entry_tensor(source, name, entry, 8 + length)
            ranges.append(span)
        end = 0
        for first, last in sorted(ranges):
            if first != end:
                raise Damaged(f"the tensors of {path.name} overlap or leave a gap")
            end = last
        if 8 + length + end != source.size:
            raise Damaged(
                f"{path.name} has {source.size} bytes and its header describes {8 + length + end}"
            )
    except Exception as error:
        source.close()
        if isinstance(error, (ValueError, RecursionError)):
            raise Damaged(f"the header of {path.name} is not sound JSON") from error
        raise
    return tensors


def _entry_tensor(
    source: FileSource, name: str, entry: Any, base: int
) -> tuple[LazyTensor, tuple[int, int]]:
    def wrong(what: str) -> Damaged:
        return Damaged(f"the tensor {name[:80]!r} {what}")

    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise wrong("is not described as one")
    code, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in _SAFE_DTYPES:
        raise wrong(f"has the element type {str(code)[:20]!r}, which is not read here")
    if not _naturals(shape) or len(shape) > MAX_DIMS or not _naturals(span) or len(span) != 2:
        raise wrong("has no proper shape or place")
    stored = _SAFE_DTYPES[code]
    first, last = span
    if last - first != math.prod(shape) * stored.itemsize or base + last > source.size:
        raise wrong("has a shape that does not fit its bytes")
    steps, step = [0] * len(shape), 1
    for axis in reversed(range(len(shape))):
        steps[axis], step = step, step * max(shape[axis], 1)
    storage = Storage(stored, (last - first) // stored.itemsize, "cpu", source, base + first)
    lazy = view(storage, 0, tuple(shape), tuple(steps))
    if stored in (torch.float16, torch.bfloat16):
        read = lazy.load
        lazy = LazyTensor(lazy.shape, torch.float32, lambda: read().float(), "cpu", stored)
    return lazy, (first, last)


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 1 << 48
        for item in value
    )


def write_model(source: ModelSource, path: Path | str, half: bool = False) -> Path:
    """Write a model in Maquette's own format.

    Both files are written under temporary names and renamed at the end; one tensor at a time is
    in memory.

    Args:
        source: the model's options and tensors.
        path: where to: the ``.json``, the ``.safetensors`` or their common name.
        half: store float32 tensors as float16 (half the size, about three digits). A tensor
            whose values do not fit float16 stays float32.

    Returns:
        path of the JSON, which :func:`~engine.checkpoints.read_checkpoint` opens.

    Raises:
        CheckpointError: the folder cannot be written to, the disk is full, or the model holds
            something that the format does not.
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".json", ".safetensors") else path
    weights = stem.with_name(stem.name + ".safetensors")
    facts_path = stem.with_name(stem.name + ".json")
    new_weights = weights.with_name(f".{weights.name}.{os.getpid()}.tmp")
    new_facts = facts_path.with_name(f".{facts_path.name}.{os.getpid()}.tmp")
    try:
        _write_tensors(source.tensors, new_weights, half)
        facts = {
            "format": FORMAT,
            "family": source.family,
            "name": source.name,
            "config": source.config,
            "assumptions": list(source.assumptions),
            "sha256": file_sha256(new_weights),
        }
        text = json_text(facts, 2) + "\n"
        with new_facts.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new_weights.replace(weights)
        new_facts.replace(facts_path)
    except OSError as error:
        raise CheckpointError(
            f"{facts_path} cannot be written ({error.strerror or error}); choose another folder "
            "or free some space."
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{facts_path} was not written: the model's options are not plain JSON ({error})."
        ) from error
    finally:
        for part in (new_weights, new_facts):
            part.unlink(missing_ok=True)
    return facts_path


def _write_tensors(tensors: Mapping[str, LazyTensor], path: Path, half: bool) -> None:
    kinds = {name: _stored_dtype(name, tensor, half) for name, tensor in tensors.items()}
    # Widest elements first, as the format's own writer does: every tensor is then aligned.
    by_width = sorted(kinds, key=lambda name: -kinds[name].itemsize)
    spans: dict[str, list[int]] = {}
    place = 0
    for name in by_width:
        size = math.prod(tensors[name].shape) * kinds[name].itemsize
        spans[name] = [place, place + size]
        place += size
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name in tensors:  # the header keeps the authors' order
        header[name] = {
            "dtype": _SAFE_NAMES[kinds[name]],
            "shape": list(tensors[name].shape),
            "data_offsets": spans[name],
        }
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in by_width:
            data = tensors[name].load().to(kinds[name]).contiguous()
            file.write(data.reshape(-1).view(torch.uint8).numpy().data)
        file.flush()
        os.fsync(file.fileno())


def _stored_dtype(name: str, tensor: LazyTensor, half: bool) -> torch.dtype:
    if tensor.dtype not in _SAFE_NAMES:
        raise CheckpointError(
            f"The tensor {name!r} has the element type {tensor.dtype}, which a converted model "
            "cannot hold."
        )
    if half and tensor.dtype == torch.float32:
        fits = bool((tensor.load().to(torch.float16).float().isfinite()).all())
        return torch.float16 if fits else torch.float32
    return tensor.dtype
