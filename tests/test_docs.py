"""The documents: links and pictures are there. tests/docs runs the commands that they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
IMAGES = ROOT / "docs" / "images"


def links(page: Path) -> list[str]:
    """Targets of links and pictures that lie in the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


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


def test_the_readers_of_pages_see_what_they_must(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("[a](b.md#c) ![d](e.png) [f](https://g)\n")
    assert links(page) == ["b.md#c", "e.png"]
    assert len(PAGES) > 20
