"""Project files, and what is kept of them: what opens can be saved and opened again."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from random import Random

import numpy as np

from app import project as p
from app.document import Document
from app.favourites import Favourite
from app.reference import Reference
from engine.camera import OrbitPose
from engine.edits import Edit, Offset
from engine.faces import Face, Fade
from engine.identity import Blend, Latent, StyleSource
from engine.keyframe import Keyframe
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef, Recipe
from engine.timeline import Timeline
from tests.fuzzing.containers import Part, mutate_zip, write, zipped
from tests.fuzzing.values import Mutator, mutate_json

_NAME = "anna.maquette"
#: One in so many inputs that open is written out and read again.
_ROUND = 4


class _Project:
    names: tuple[str, ...] = (_NAME,)
    may_write: tuple[str, ...] = ()
    longest = 6000

    def __init__(self) -> None:
        self._count = 0

    def prepare(self) -> None:
        p._MAX_PARTS.update(dict.fromkeys(p._MAX_PARTS, 1 << 16))
        p.MAX_ARRAY_BYTES = 1 << 16

    def seeds(self) -> list[bytes]:
        offset = Offset.of(np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3))
        edit = Edit("Smiling", offset, 2.0, rows=(0, 1), model="ab" * 32)
        latent = Latent.of(np.ones((1, 3), np.float32), "w", "Anna")
        fade = Fade(Face(seed=3), 0.25)
        whole = Recipe(
            ModelRef("/m/x.pkl", "cd" * 32, "X"), 7, 0.5, 3, blend=Blend((7, 8), (0.5, 0.5)),
            mixes=(StyleSource(3, (0, 1), 0.5),), fades=(fade,), settings=(("white", True),),
            swap=LayerSwap(ModelRef("/m/y.pkl"), ("b4",), 0.5), edits=(edit,),
        )  # fmt: skip
        key = Keyframe(0.5, OrbitPose(yaw=20.0), whole.identity)
        documents = [
            Document(), Document(whole, reference=Reference("B", whole)),
            Document(favourites=(Favourite("Anna", Recipe(latent=latent), 1),)),
            Document(timeline=Timeline((key,), 2.0, 24.0)),
        ]  # fmt: skip
        return [packed(document) for document in documents]

    def place(self, data: bytes, folder: Path) -> None:
        self._count = zlib.crc32(data)
        write(folder, _NAME, data)

    def read(self, folder: Path) -> None:
        project = p.read_project(folder / _NAME)
        if self._count % _ROUND:
            return
        arrays: dict[str, p.Array] = {}
        text = json.dumps(project.document.to_json(arrays), allow_nan=False)
        again = Document.from_json(json.loads(text), arrays)
        assert again == project.document, "it comes back as another one"

    def mutate(self, data: bytes, random: Random, other: Mutator) -> bytes:
        def inner(name: bytes, content: bytes, random: Random) -> bytes:
            if name.endswith(b".json"):
                return mutate_json(content, random, other, _WORDS)
            if name.endswith(b".npz"):
                return mutate_zip(content, random, other, inner)
            return mutate_npy(content, random, other)

        return mutate_zip(data, random, other, inner)


_WORDS = (
    "recipe", "home", "favourites", "timeline", "reference", "latent", "blend", "edits", "swap",
    "mixes", "fades", "settings", "cutoff", "direction", "muted", "rows", "model", "array", "data",
    "shape", "sha256", "keys", "faces", "directions", "framing", "easing", "version", "extra",
)  # fmt: skip
_HEADERS = (
    b"'descr': '|O'", b"'descr': '<f4,<f4'", b"'descr': '(2,2)<f4'", b"'descr': '>f8'", b"'descr': ('",
    b"'descr': '<U0'", b"'shape': (" + b"(" * 300, b"'shape': " + b"-" * 3000 + b"1", b"'shape': (2L, 3L)",
    b"'shape': (0, 281474976710656)", b"'shape': (-1, -1)", b"'shape': (True, 6)", b"'a': {}",
)  # fmt: skip


def mutate_npy(data: bytes, random: Random, other: Mutator) -> bytes:
    """An array with another header, whose length is right, or other numbers."""
    if not data.startswith(b"\x93NUMPY") or len(data) < 11 or random.random() < 0.2:
        return other(data, random)
    wide = data[6] >= 2
    begin = 12 if wide else 10
    length = int.from_bytes(data[8:begin], "little")
    header, body = data[begin : begin + length], data[begin + length :]
    kind = random.randrange(4)
    if kind == 0:
        header = b"{" + random.choice(_HEADERS) + b", " + header.lstrip(b"{")
    elif kind == 1:
        header = other(header, random)
    elif kind == 2:
        at = header.find(b"(") + 1
        header = header[:at] + random.choice((b"0, ", b"1, ", b"65536, ")) + header[at:]
    else:
        body = other(body, random)
    return data[:8] + len(header).to_bytes(4 if wide else 2, "little") + header + body


def packed(document: Document) -> bytes:
    """The archive of a document."""
    arrays: dict[str, p.Array] = {}
    data = {
        "format": p.PROJECT_FORMAT, "program": "x", "origin": "/x.maquette",
        "document": document.to_json(arrays),
    }  # fmt: skip
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    return zipped([
        Part(b"document.json", json.dumps(data).encode(), 8), Part(b"arrays.npz", stream.getvalue()),
        Part(b"thumbnail.png", b"\x89PNG"),
    ])  # fmt: skip


TARGET = _Project()
