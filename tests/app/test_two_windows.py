"""Two windows at once: what one writes the other does not lose."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from app.settings import Settings, load_settings, save_settings
from app.settings_merge import merged


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def test_both_windows_choices_are_kept(path: Path) -> None:
    start = Settings(ui_scale=1.5, recent=("/old.pkl",), theme="light")
    save_settings(start, path)
    # One opens a model and enlarges its letters, the other one changes colours and opens another.
    one = replace(start.with_recent("/one.pkl"), ui_scale=2.0)
    save_settings(one, path, base=start)
    other = replace(start.with_recent("/other.pkl"), theme="dark")
    save_settings(other, path, base=start)
    both = load_settings(path).settings
    assert (both.ui_scale, both.theme) == (2.0, "dark")
    assert both.recent == ("/other.pkl", "/old.pkl", "/one.pkl")
    # And again, from what each has in memory.
    save_settings(replace(one, folded=("model",)), path, base=one)
    save_settings(other.with_project("/a.maquette"), path, base=other)
    both = load_settings(path).settings
    assert both.folded == ("model",) and both.recent_projects == ("/a.maquette",)
    assert both.theme == "dark" and set(both.recent) == {"/other.pkl", "/old.pkl", "/one.pkl"}


def test_what_either_takes_out_stays_out() -> None:
    start = Settings(recent=("/a", "/b", "/c"))
    mine, theirs = start.without_recent("/a"), start.without_recent("/c")
    assert merged(start, mine, theirs).recent == ("/b",)
    assert merged(start, start, theirs).recent == ("/a", "/b")
    # What is opened again is wanted, whoever took it out.
    assert merged(start, start.with_recent("/c"), theirs).recent == ("/c", "/a", "/b")


def test_the_later_one_wins_where_both_chose() -> None:
    start = Settings()
    mine, theirs = replace(start, ui_scale=2.0), replace(start, ui_scale=3.0, device="cpu")
    assert merged(start, mine, theirs) == replace(start, ui_scale=2.0, device="cpu")


def test_the_list_stays_short() -> None:
    start = Settings()
    mine = replace(start, recent=tuple(f"/mine{n}" for n in range(8)))
    theirs = replace(start, recent=tuple(f"/theirs{n}" for n in range(8)))
    found = merged(start, mine, theirs).recent
    assert len(found) == 10 and found[:8] == mine.recent


@pytest.mark.parametrize("text", ["", "{", '{"format": "maquette-settings/2"}'])
def test_what_cannot_be_read_is_written_over(path: Path, text: str) -> None:
    path.write_text(text)
    save_settings(Settings(ui_scale=2.0), path, base=Settings())
    assert load_settings(path).settings.ui_scale == 2.0


def _open_many(path: Path, name: str) -> None:
    settings = Settings()
    for number in range(30):
        before, settings = settings, settings.with_recent(f"/{name}{number}")
        save_settings(settings, path, base=before)


def test_two_processes_that_write_at_once(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_open_many, args=(path, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    loaded = load_settings(path)
    assert loaded.notice is None and len(loaded.settings.recent) == 10
    # Whoever was last, his newest file leads; nothing lies beside the settings.
    assert loaded.settings.recent[0] in ("/a29", "/b29")
    assert [one.name for one in path.parent.iterdir()] == ["settings.json"]
