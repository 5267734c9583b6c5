"""The commands that the documents show, collected from every page."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "assets").rglob("*.md")),
]
#: What a line of code begins with if it is a command; variables may stand before it.
PROGRAMS = (
    "maquette", "make", "python", "python3", "pip", "torchrun", "compute-sanitizer", "pytest", "sudo",
    "apt", "apt-get", "git", "npm", "ruff", "mypy", "uv", "source", "export", "cd", "xvfb-run", "ssh",
)  # fmt: skip
_VARIABLE = re.compile(r"([A-Z_]+)=(\S*)")
_PROGRAM = re.compile(
    r"(?:\.?[\w/.-]*/)?(" + "|".join(re.escape(p) for p in PROGRAMS) + r")(?=\s|$)"
)


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Attributes:
        page: where it stands.
        text: as it stands there, without the comment behind it.
        inline: whether it stands in a sentence, where it may be an example that is cut short.
    """

    page: Path
    text: str
    inline: bool = False

    @property
    def variables(self) -> dict[str, str]:
        """Variables of the environment before the program."""
        return dict(_VARIABLE.fullmatch(word).groups() for word in self._leading())  # type: ignore[union-attr]

    @property
    def words(self) -> list[str]:
        """The program, without folders before its name, and its words."""
        program, *rest = shlex.split(self.text)[len(self._leading()) :]
        return [program.rsplit("/", 1)[-1], *rest]

    def _leading(self) -> list[str]:
        found: list[str] = []
        for word in shlex.split(self.text):
            if not _VARIABLE.fullmatch(word):
                break
            found.append(word)
        return found


def is_command(text: str) -> bool:
    """Whether a piece of code is a command."""
    bare = text
    while match := re.match(r"[A-Z_]+=\S*\s+", bare):
        bare = bare[match.end() :]
    return _PROGRAM.match(bare) is not None


def blocks(text: str) -> list[str]:
    """The lines of indented and of fenced code, in their order."""
    lines: list[str] = []
    fenced, in_code, before = False, False, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            lines.append(line.strip())
        elif line.startswith("    ") and (in_code or not before.strip()):
            in_code = True
            lines.append(line.strip())
        else:
            in_code = in_code and not line.strip()
        before = line
    return lines


def commands(page: Path) -> list[Command]:
    """All commands of a page, those in code first, then those in its sentences."""
    text = page.read_text(encoding="utf-8")
    found = [
        Command(page, re.split(r"\s+#\s", line)[0].strip())
        for line in blocks(text)
        if is_command(line)
    ]
    sentences = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    sentences = "\n".join(line for line in sentences.splitlines() if not line.startswith("    "))
    said = re.findall(r"`([^`]+)`", sentences.replace("\n", " "))
    return found + [
        Command(page, " ".join(code.split()), inline=True)
        for code in said
        if is_command(code) and len(code.split()) > 1
    ]


def every() -> list[Command]:
    """The commands of all pages, each once: in code rather than in a sentence."""
    by_text: dict[str, Command] = {}
    for page in PAGES:
        for command in commands(page):
            known = by_text.get(command.text)
            if known is None or (known.inline and not command.inline):
                by_text[command.text] = command
    return list(by_text.values())
