"""From words on the command line to a dataclass of options, by tyro.

tyro draws its complaints in a box of several lines. Everything else that Maquette has to say
about a mistake is one sentence, so the box is reduced to its sentence here.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

import tyro

from engine.errors import UserError

Options = TypeVar("Options")

#: An option that is off unless it is named. (Options that are on show a pair, --x and --no-x.)
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]

_FRAME = str.maketrans("", "", "╭╮╰╯│")
_RULE = re.compile(r"^\s*[─-]{4,}\s*$")


def parse(kind: type[Options], words: Sequence[str], command: str) -> Options:
    """Read ``words`` into ``kind``, a dataclass whose docstrings are the help text.

    Args:
        kind: the options of one command.
        words: what follows the command's name.
        command: how it is called, ``"maquette render"``; shown in the help.

    Raises:
        UserError: a word that the command does not know, or a value of the wrong kind.
        SystemExit: after ``--help`` was printed (status 0).
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(kind, args=list(words), prog=command, config=_STYLE)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(f"{_sentence(complaint.getvalue())} See {command} --help.") from None


_STYLE = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)


def _sentence(box: str) -> str:
    """The message of one of tyro's boxes: its first paragraph, without the frame."""
    lines: list[str] = []
    for line in box.splitlines():
        if line.startswith(("╭", "╰")):
            continue
        bare = line.translate(_FRAME)
        if _RULE.match(bare):
            break
        lines.append(bare.strip())
    text = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(filter(None, lines)))
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def parse_seeds(words: Sequence[str]) -> list[int]:
    """Seeds written as ``7``, ``0-9`` or ``1,5,20-24``, in the order given.

    Raises:
        UserError: not a list of seeds, or more than ten thousand of them.
    """
    seeds: list[int] = []
    for word in ",".join(words).split(","):
        span = re.fullmatch(r"\s*(\d+)-(\d+)\s*", word)
        try:
            first, last = (int(span[1]), int(span[2])) if span else (int(word), int(word))
        except ValueError:
            raise UserError(
                f"{word!r} is not a seed; write whole numbers like 7, 0-9 or 1,5,20-24."
            ) from None
        if not (0 <= first < 2**32 and 0 <= last < 2**32):
            wrong = last if 0 <= first < 2**32 else first
            raise UserError(f"A seed must be 0 to 4294967295, not {wrong}.")
        if last < first or len(seeds) + last - first >= 10_000:
            raise UserError(
                f"The range of seeds {word.strip()} must run upwards and hold at most 10000."
            )
        seeds.extend(range(first, last + 1))
    return seeds


def one_seed(word: str) -> int:
    """A single seed.

    Raises:
        UserError: not a seed, or several.
    """
    seeds = parse_seeds([word])
    if len(seeds) != 1:
        raise UserError(f"One seed is needed here, not {len(seeds)} of them.")
    return seeds[0]


def finite(**numbers: float | None) -> None:
    """Check that options are ordinary numbers.

    Raises:
        UserError: naming the first that is infinite or not a number.
    """
    for name, value in numbers.items():
        if value is not None and not math.isfinite(value):
            raise UserError(f"--{name.replace('_', '-')} must be an ordinary number, not {value}.")
