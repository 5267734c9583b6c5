"""Model files of every container, as far as the options and tensors of a family."""

from __future__ import annotations

import io
import json
import pickle
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from engine.checkpoints import read_checkpoint
from engine.describe import _contents
from engine.generators import registry
from tests.checkpoints import hostile
from tests.fuzzing.containers import (
    Part,
    joined,
    mutate_pickle,
    mutate_safetensors,
    mutate_zip,
    pickle_parts,
    split,
    unzip,
    write,
    zipped,
)
from tests.fuzzing.values import Mutator, mutate_json

#: What stands before a converted model's two files, and for the hash in its JSON.
PAIR, HASH = b"PAIR", b"@SHA@"
#: Tensors up to this size are read, bytes.
_SMALL = 1 << 16
_NAMES = (
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3",
    "builtins set", "torch._utils _rebuild_parameter", "torch FloatStorage", "torch UntypedStorage",
    "numpy dtype", "torch.storage _load_from_bytes", "numpy.core.multiarray scalar", "torch Size",
    "numpy.core.multiarray _reconstruct", "numpy.core.numeric _frombuffer", "torch float32",
    "training.networks Net", "torch_utils.persistence _reconstruct_persistent_obj",
    "copyreg _reconstructor", "copyreg __newobj__", "builtins object", "torch device",
    "_codecs encode", "torch _rebuild_from_type_v2", "omegaconf.dictconfig DictConfig",
    "numpy ndarray", "builtins bytearray", "builtins slice", "torch.serialization _get_layout",
    "builtins list", "builtins tuple", "dnnlib EasyDict", "argparse Namespace", "os system",
)  # fmt: skip


class _Checkpoint:
    names: tuple[str, ...] = ("single.bin", "pair.json", "pair.safetensors")
    may_write: tuple[str, ...] = ()
    longest = 6000

    def __init__(self) -> None:
        self._pool: tuple[bytes, ...] = ()
        self._was_single = False

    def prepare(self) -> None:
        registry.families()
        instructions = {bytes([code]) for code in range(256)}
        instructions |= {b"c" + n.replace(" ", "\n").encode() + b"\n" for n in _NAMES}
        for seed in self.seeds():
            inner = next((p.data for p in unzip(seed) or () if p.name.endswith(b".pkl")), seed)
            instructions |= {part for part in pickle_parts(inner)[0] if len(part) < 80}
        self._pool = tuple(sorted(instructions))

    def seeds(self) -> list[bytes]:
        sound = list(hostile.sound_files().values())
        calls = hostile.calls("true")
        tensors = [
            hostile.in_zip(hostile.tensor(0, hostile.sides(2, 2), hostile.sides(2, 1))),
            hostile.in_zip(hostile.tensor(0, hostile.sides(0, 1 << 40), hostile.sides(1, 1))),
        ]
        evil = [*calls.values(), *map(hostile.legacy, calls.values())]
        evil += [hostile.in_storage(calls["inst"]), hostile.persistent_with_source("exit()")]
        return [*sound, *_numpy(), *_networks(), *tensors, *evil, _converted(), _release()]

    def place(self, data: bytes, folder: Path) -> None:
        pair = data.startswith(PAIR)
        if pair == self._was_single:
            for name in self.names:
                (folder / name).unlink(missing_ok=True)
            self._was_single = not pair
        if not pair:
            write(folder, "single.bin", data)
            return
        facts, tensors = split(data[4:])
        write(folder, "pair.safetensors", tensors)
        stated = sha256(tensors).hexdigest().encode()
        write(folder, "pair.json", facts.replace(HASH, stated))

    def read(self, folder: Path) -> None:
        name = "single.bin" if self._was_single else "pair.safetensors"
        checkpoint = read_checkpoint(folder / name)
        json.dumps(_contents(checkpoint.root))
        source = registry.find_source(checkpoint)
        for tensor in list(source.tensors.values())[:20]:
            if tensor.nbytes <= _SMALL:
                loaded = tensor.load()
                assert tuple(loaded.shape) == tensor.shape and loaded.dtype == tensor.dtype

    def mutate(self, data: bytes, random: Random, other: Mutator) -> bytes:
        if data.startswith(PAIR):
            facts, tensors = split(data[4:])
            if random.random() < 0.5:
                return PAIR + joined(mutate_json(facts, random, other), tensors)
            return PAIR + joined(facts, mutate_safetensors(tensors, random, other))
        if data.startswith(b"PK"):
            return mutate_zip(data, random, other, lambda _, d, r: self._inner(d, r, other))
        return self._inner(data, random, other)

    def _inner(self, data: bytes, random: Random, other: Mutator) -> bytes:
        return mutate_pickle(data, random, other, self._pool)


def _saved(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def _numpy() -> list[bytes]:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    value = {"a": array, "f": np.asfortranarray(array), "n": np.float64(2), "d": np.dtype("i4")}
    return [pickle.dumps(value, protocol=protocol) for protocol in (0, 2, 5)]


def _networks() -> list[bytes]:
    """Networks whose parts have the names that families look for, without numbers to speak of."""
    few = torch.zeros(2)
    names = (
        "backbone.mapping.w_avg", "synthesis.tri_plane_decoder.x", "nerf_net.x", "siren.x",
        "siren.network.0.layer.weight", "inr_net.x", "mapping.w_avg", "style.0.weight",
        "renderer.network.x", "decoder.conv1.x", "synthesis.fg_nerf.x", "step",
    )  # fmt: skip
    state = dict.fromkeys(names, few)
    saved = {"class": "TriPlaneGenerator", "state_dict": state, "modules": {},
             "attributes": {"z_dim": 4, "init_kwargs": {"a": "${b}"}}}  # fmt: skip
    legacy = {"_use_new_zipfile_serialization": False}
    roots: list[dict[str, Any]] = [
        {"G_ema": saved}, {"g_ema": state}, {"G_ema": state, "cfg": {"model": {"a": "${cfg.b}"}}},
    ]  # fmt: skip
    return [_saved(root, **(legacy if number else {})) for number, root in enumerate(roots)]


def _converted() -> bytes:
    numbers = np.arange(4, dtype=np.float32).tobytes()
    header = b'{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F16",'
    header += b'"shape":[0,3],"data_offsets":[16,16]}}'
    facts = b'{"format":"maquette-generator/1","family":"eg3d","name":"x","config":{"z_dim":4},'
    facts += b'"assumptions":["It was so."],"sha256":"' + HASH + b'"}'
    return PAIR + joined(facts, len(header).to_bytes(8, "little") + header + numbers)


def _release() -> bytes:
    """An archive with a checkpoint inside."""
    inside = hostile.sound_files()["legacy"]
    return zipped([Part(b"run/G_ema.pth", inside, 8), Part(b"run/notes.txt", b"x")])


TARGET = _Checkpoint()
