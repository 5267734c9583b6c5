"""Pictures with recipes and sheets inside: PNG, JPEG, WebP."""

from __future__ import annotations

import json
import tempfile
import zlib
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, PngImagePlugin

from engine.export import picture
from engine.export.sheet_files import SHEET_KEY, read_sheet, sheet_note
from engine.export.sheet_options import SheetOptions
from engine.identity import Blend
from engine.recipe import Recipe
from tests.fuzzing.containers import png_chunks, png_of, write
from tests.fuzzing.values import Mutator, mutate_json

_NAME = "face.png"
_KEYS = (picture.RECIPE_KEY.encode(), SHEET_KEY.encode(), b"Title")


class _Picture:
    names: tuple[str, ...] = (_NAME,)
    may_write: tuple[str, ...] = ()
    longest = 6000

    def prepare(self) -> None:
        PngImagePlugin.MAX_TEXT_CHUNK = 1 << 14
        Image.init()  # every reader of Pillow's, which are imported when they are first asked for

    def seeds(self) -> list[bytes]:
        recipe = Recipe(blend=Blend((0, 5), (0.5, 0.5)), settings=(("white", True),))
        pixels = np.zeros((4, 4, 3), np.uint8)
        notes = {SHEET_KEY: sheet_note(SheetOptions())}
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a.png", "a.jpg", "a.webp"):
                path = Path(folder) / name
                picture.save_picture(pixels, path, recipe, notes=notes)
                found.append(path.read_bytes())
        chunks = list(png_chunks(found[0]) or ())
        text = json.dumps(recipe.to_json()).encode()
        key = picture.RECIPE_KEY.encode() + b"\0"
        head, rest = chunks[:1], [c for c in chunks[1:] if c[0] not in (b"iTXt", b"tEXt")]
        extra = (
            (b"zTXt", key + b"\0" + zlib.compress(text)),
            (b"iTXt", key + b"\1\0\0\0" + zlib.compress(text)),
            (b"iTXt", key + b"\1\0\0\0" + zlib.compress(bytes(1 << 16))),
            (b"tEXt", key + text),
            (b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 16))),
            (b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0"),
        )
        return found + [png_of([*head, chunk, *rest]) for chunk in extra]

    def place(self, data: bytes, folder: Path) -> None:
        write(folder, _NAME, data)

    def read(self, folder: Path) -> None:
        path = folder / _NAME
        read_sheet(path)
        recipe = picture.read_recipe(path)
        text = json.dumps(recipe.to_json(), allow_nan=False)
        assert Recipe.from_json(json.loads(text)) == recipe, "it comes back as another one"
        picture.recipe_title(recipe)

    def mutate(self, data: bytes, random: Random, other: Mutator) -> bytes:
        chunks = list(png_chunks(data) or ())
        if not chunks:
            return _inside(data, random, other)
        if random.random() < 0.1:
            return other(data, random)
        texts = [n for n, (kind, _) in enumerate(chunks) if kind in (b"iTXt", b"zTXt", b"tEXt")]
        at = random.randrange(len(chunks))
        action = random.randrange(12)
        if texts and action < 7:
            at = random.choice(texts)
            chunks[at] = _text(*chunks[at], random, other)
        elif action == 7:
            chunks[at] = (chunks[at][0], other(chunks[at][1], random))
        elif action == 8:
            chunks[at:at] = [chunks[at]] * random.choice((1, 2, 70))
        elif action == 9:
            del chunks[at]
        elif action == 10:
            there = random.randrange(len(chunks))
            chunks[at], chunks[there] = chunks[there], chunks[at]
        else:
            kinds = (
                b"acTL",
                b"fcTL",
                b"fdAT",
                b"tRNS",
                b"gAMA",
                b"pHYs",
                b"eXIf",
                b"iCCP",
                b"PLTE",
            )
            chunks[at:at] = [(random.choice(kinds), other(chunks[at][1][:64], random))]
        return png_of(chunks)


def _text(kind: bytes, content: bytes, random: Random, other: Mutator) -> tuple[bytes, bytes]:
    """A chunk of text with changed JSON inside, packed or not."""
    key, _, rest = content.partition(b"\0")
    if kind == b"iTXt" and rest[:1] == b"\0":
        text = rest[4:]
    elif kind == b"tEXt":
        text = rest
    else:
        try:
            text = zlib.decompressobj().decompress(rest[1 if kind == b"zTXt" else 4 :], 1 << 20)
        except zlib.error:
            return kind, other(content, random)
    if random.random() < 0.06:
        key = random.choice((*_KEYS, other(key, random)))
    text = mutate_json(text, random, other)
    packing = random.randrange(8)
    if packing == 0:
        return b"zTXt", key + b"\0\0" + zlib.compress(text, 1)
    if packing == 1:
        return b"iTXt", key + b"\0\1\0\0\0" + zlib.compress(text, 1)
    if packing == 2:
        return b"tEXt", key + b"\0" + text
    return b"iTXt", key + b"\0\0\0\0\0" + text


def _inside(data: bytes, random: Random, other: Mutator) -> bytes:
    """A JPEG or WebP with other JSON of the same length."""
    begin, end = data.find(b"ASCII\0\0\0{"), data.rfind(b"}")
    if begin < 0 or end < begin or random.random() < 0.3:
        return other(data, random)
    text = data[begin + 8 : end + 1]
    changed = mutate_json(text, random, other)
    return data[: begin + 8] + changed[: len(text)].ljust(len(text)) + data[end + 1 :]


TARGET = _Picture()
