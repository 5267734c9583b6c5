"""Mutations of bytes and of JSON, from a seeded generator of random numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

#: Bytes of any kind -> a changed copy. With atheris it is libFuzzer's own, which knows what was
#: compared with what; without, :func:`mutate_bytes`.
Mutator = Callable[[bytes, Random], bytes]

_NUMBERS = (
    0, -1, 1, 2, 3, 16, 64, 255, 256, 4096, 8192, 65535, 65536, 1 << 31, (1 << 31) - 1, 1 << 32,
    (1 << 32) - 1, 1 << 48, (1 << 63) - 1, 1 << 63, 1 << 64, -(1 << 63), 10**30, 10**400,
)  # fmt: skip
#: Values that readers tend to forget.
NASTY: tuple[Any, ...] = (
    *_NUMBERS, 0.5, -0.0, 1e308, -1e308, 5e-324, 1e-9, 120.0, 1e16, float("nan"), float("inf"),
    True, False, None, "", " ", "\0", "\ud800", "a\nb\x1b[31m", "\u202e", "../../x", "/etc/passwd",
    "C:\\x", "\\\\host\\share", "~root", "%s%n", "1e9", "0x10", "NaN", "9" * 400, "a" * 61, "b" * 5000,
    "${a}", "w", "z", [], {}, [[]], [0], [0, 0], [1, 2, 3], {"": 0}, {"a": {"a": {}}},
)  # fmt: skip


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """A few changes of single bytes and stretches."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(out) + 1)
        span = random.choice((1, 1, 2, 4, 8, 32))
        kind = random.randrange(7)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << random.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        elif kind == 2:
            del out[at : at + span]
        elif kind == 3:
            out[at:at] = random.randbytes(span)
        elif kind == 4:
            out[at:at] = out[at : at + span] * random.choice((1, 2, 16))
        elif kind == 5:
            width = random.choice((1, 2, 4, 8))
            number = random.choice(_NUMBERS) % (1 << (8 * width))
            out[at : at + width] = number.to_bytes(width, random.choice(("little", "big")))
        elif out:
            other = random.randrange(len(out))
            out[at : at + span] = out[other : other + span]
    return bytes(out)


def mutate_json(text: bytes, random: Random, other: Mutator, words: Sequence[str] = ()) -> bytes:
    """JSON with a few of its values changed, taken away, doubled or replaced by nasty ones; what is
    no JSON is changed as bytes."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return other(text, random)
    root = [value]
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        _change(root, random, words)
    try:
        made = json.dumps(root[0], ensure_ascii=random.random() < 0.8)
    except (ValueError, RecursionError):
        return other(text, random)
    return made.encode("utf-8", "surrogatepass")


def _change(root: list[Any], random: Random, words: Sequence[str]) -> None:
    holder: Any = root
    place: Any = 0
    while True:
        inner = holder[place]
        if not isinstance(inner, (dict, list)) or not inner or random.random() < 0.12:
            break
        keys = list(inner) if isinstance(inner, dict) else range(len(inner))
        holder, place = inner, random.choice(keys)
    value = holder[place]
    kind = random.randrange(8)
    if kind == 0 and holder is not root:
        del holder[place]
    elif kind == 1 and isinstance(holder, list) and holder is not root:
        holder[place:place] = [value] * random.choice((1, 2, 70))
    elif kind == 2 and isinstance(value, dict) and words:
        value[random.choice(words)] = random.choice(NASTY)
    elif kind == 3 and isinstance(value, (int, float)) and not isinstance(value, bool):
        holder[place] = _near(value, random)
    elif kind == 4 and isinstance(value, str):
        at = random.randrange(len(value) + 1)
        holder[place] = value[:at] + random.choice("0aé\n\0\ud83d/.=") + value[at + 1 :]
    elif kind == 5:
        for _ in range(random.choice((1, 2, 40))):
            value = [value] if random.random() < 0.5 else {"a": value}
        holder[place] = value
    else:
        holder[place] = random.choice(NASTY)


def _near(value: float, random: Random) -> float:
    try:
        return random.choice((value + 1, value - 1, -value, value * 1000, value / 3, float(value)))
    except OverflowError:
        return 0
