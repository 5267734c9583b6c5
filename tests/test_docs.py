"""The documents: links and pictures are there, and the commands that are shown can be given."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from app.cli import parsing, window_options
from app.cli.main import COMMANDS
from app.cli.parsing import parse

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
IMAGES = ROOT / "docs" / "images"


def links(page: Path) -> list[str]:
    """Targets of links and pictures that lie in the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def commands(page: Path) -> list[str]:
    """Lines of indented code that call the program, without their comments."""
    lines = page.read_text(encoding="utf-8").splitlines()
    shown = (line.strip() for line in lines if line.startswith("    maquette"))
    return [line.split("  #")[0].split(" # ")[0].strip() for line in shown]


SHOWN = [(page, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_to_is_there(page: Path) -> None:
    for target in links(page):
        name, _, heading = target.partition("#")
        where = (page.parent / name).resolve() if name else page
        assert where.exists(), f"{page.name} points to {target}"
        if heading:
            titles = re.findall(r"^#+ (.+)$", where.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in slugs, f"{page.name} points to {target}"


def test_every_picture_is_shown_and_they_are_modest() -> None:
    shown = {(page.parent / target).resolve() for page in PAGES for target in links(page)}
    pictures = set(IMAGES.glob("*.png"))
    assert pictures and pictures <= shown, pictures - shown
    assert sum(path.stat().st_size for path in pictures) < 3_000_000


@pytest.mark.parametrize(("page", "line"), SHOWN, ids=lambda value: str(value)[:60])
def test_a_command_that_is_shown_can_be_given(
    page: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its words are read by the command's own parser, which is stopped there."""
    words = shlex.split(line)[1:]
    name = words[0] if words and words[0] in COMMANDS else "window"
    module = importlib.import_module(f"app.cli.{name}")
    read: list[object] = []

    class Understood(Exception):
        """The words were read."""

    def only_read(kind: type, given: list[str], command: str) -> object:
        read.append(parse(kind, given, command))
        raise Understood

    if name == "window":
        # A path alone would do without the parser; here the parser is to say what it makes of it.
        monkeypatch.setattr(module, "is_plain", lambda _words: False)
        monkeypatch.setattr(window_options, "parse", only_read)
    else:
        monkeypatch.setattr(module, "parse", only_read)
    with pytest.raises(Understood):
        module.run(words if name == "window" else words[1:])
    assert read, f"{page.name}: {line}"


def test_the_readers_of_pages_see_what_they_must(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "[a](b.md#c) ![d](e.png) [f](https://g)\n\n    maquette render --seed 7   # h\n"
    )
    assert links(page) == ["b.md#c", "e.png"]
    assert commands(page) == ["maquette render --seed 7"]
    assert len(SHOWN) > 30 and parsing.parse is parse
