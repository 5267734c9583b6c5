"""Archives of pictures to train on: their lists, labels and pictures, and now and then a whole look
with what it stores beside them."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import warnings
import zlib
from pathlib import Path
from random import Random

from PIL import Image

from engine.training.data import decode, files
from engine.training.data.labels import read_labels
from engine.training.data.survey import survey
from tests.fuzzing.containers import Part, mutate_zip, png_chunks, png_of, write, zipped
from tests.fuzzing.values import Mutator, mutate_json
from tests.training.data.sets import numbers_of, picture, png

_NAME = "set.zip"
#: One in so many inputs is looked through as a whole, by the threads that do so in the program.
_WHOLE = 128


class _Dataset:
    names: tuple[str, ...] = (_NAME,)
    may_write = ("set.maquette-scan.json",)
    longest = 6000

    def __init__(self) -> None:
        self._count = 0

    def prepare(self) -> None:
        Image.init()
        importlib.import_module("numpy.ma")  # numpy's median asks for it at its first use
        warnings.simplefilter("ignore")  # Pillow's, of odd TIFFs, which read their own source
        decode.MAX_PIXELS = 1 << 16
        files.MAX_LABELS = 1 << 16
        files.ZipFiles.read.__defaults__ = (1 << 16,)

    def seeds(self) -> list[bytes]:
        small = [png(picture(number, 6)) for number in (1, 2)]
        labels = [[f"0/{n}.png", numbers_of(n)] for n in range(2)]
        text = json.dumps({"labels": labels}).encode()
        plain = [Part(f"0/{n}.png".encode(), data, 8) for n, data in enumerate(small)]
        stated = Part(b"dataset.json", text, 8)
        jpeg, grey = _as("JPEG", "RGB"), _as("PNG", "I;16")
        return [
            zipped([*plain, stated]),
            zipped([Part(b"set/" + part.name, part.data) for part in (*plain, stated)]),
            zipped(
                [Part(b"a.jpg", jpeg), Part(b"b.png", grey), Part(b"c.webp", _as("WEBP", "RGBA"))]
            ),
            zipped([Part(b"a.bmp", _as("BMP", "RGB")), Part(b"b.tif", _as("TIFF", "L"), 8)]),
            zipped([Part(b"../a.png", small[0]), Part(b"b.png", small[1], 8, lie=50)]),
            zipped([Part(b"a.png", bytes(1 << 17), 8), Part(b"b.png", b"x", 0, 0, 0o120777 << 16)]),
        ]

    def place(self, data: bytes, folder: Path) -> None:
        self._count = zlib.crc32(data)
        write(folder, _NAME, data)

    def read(self, folder: Path) -> None:
        path = folder / _NAME
        if self._count % _WHOLE == 0:
            found = survey(path, 16)
            assert len(found.names) + len(found.skipped) >= len(found.files.entries) > -1
            return
        opened = files.open_files(path)
        read_labels(opened)
        for entry in opened.entries[:4]:
            with contextlib.suppress(decode.Unreadable, OSError):
                decode.square(decode.decode(opened.read(entry.name)), 8)

    def mutate(self, data: bytes, random: Random, other: Mutator) -> bytes:
        def inner(name: bytes, content: bytes, random: Random) -> bytes:
            if name.endswith(b".json"):
                return mutate_json(content, random, other, ("labels",))
            chunks = list(png_chunks(content) or ())
            if chunks and random.random() < 0.7:
                at = random.randrange(len(chunks))
                chunks[at] = (chunks[at][0], other(chunks[at][1], random))
                return png_of(chunks)
            return other(content, random)

        return mutate_zip(data, random, other, inner)


def _as(kind: str, mode: str) -> bytes:
    stream = io.BytesIO()
    image = Image.new(mode, (5, 5), 1 if mode in ("L", "I;16") else None or 0)
    image.save(stream, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return stream.getvalue()


TARGET = _Dataset()
