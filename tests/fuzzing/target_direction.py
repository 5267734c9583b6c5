"""Directions: a JSON and the numbers beside it, and the hash that ties them together."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
from safetensors.numpy import save

from engine.editing.directions import Direction, read_direction
from engine.edits import Offset
from tests.fuzzing.containers import joined, mutate_safetensors, split, write
from tests.fuzzing.values import Mutator, mutate_json

#: What stands for the hash in the JSON.
HASH = b"@SHA@"
_WORDS = ("format", "name", "kind", "family", "model", "shape", "sha256", "details", "extra")


class _Direction:
    names: tuple[str, ...] = ("smile.json", "smile.safetensors")
    may_write: tuple[str, ...] = ()
    longest = 3000

    def prepare(self) -> None:
        pass

    def seeds(self) -> list[bytes]:
        numbers = np.linspace(-1, 1, 6, dtype=np.float32)
        found = []
        for table, details in (
            (numbers.reshape(2, 3), (("text", "smiling"), ("power", 1.25))),
            (numbers[None], ()),
        ):
            direction = Direction("Smiling", Offset.of(table), "text", "eg3d", "ab" * 32, details)
            plain = {**direction.to_json(), "sha256": HASH.decode()}
            found.append(joined(json.dumps(plain).encode(), save({"offset": table.copy()})))
        return found

    def place(self, data: bytes, folder: Path) -> None:
        facts, numbers = split(data)
        write(folder, "smile.safetensors", numbers)
        write(folder, "smile.json", facts.replace(HASH, _hash_of(numbers)))

    def read(self, folder: Path) -> None:
        direction = read_direction(folder / "smile")
        json.dumps(direction.to_json(), allow_nan=False)
        direction.warning("eg3d", "", *direction.offset.shape)
        assert Direction.of_edit(direction.edit()).offset == direction.offset

    def mutate(self, data: bytes, random: Random, other: Mutator) -> bytes:
        facts, numbers = split(data)
        if random.random() < 0.05:
            return other(data, random)
        if random.random() < 0.6:
            return joined(mutate_json(facts, random, other, _WORDS), numbers)
        return joined(facts, mutate_safetensors(numbers, random, other))


def _hash_of(numbers: bytes) -> bytes:
    """The hash that the JSON should state, if the file holds what it should."""
    length = int.from_bytes(numbers[:8], "little")
    try:
        rows, columns = json.loads(numbers[8 : 8 + length])["offset"]["shape"]
        text = f"{int(rows)}x{int(columns)}:".encode()
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        text = b""
    return sha256(text + numbers[8 + length :]).hexdigest().encode()


TARGET = _Direction()
