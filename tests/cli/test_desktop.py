"""``maquette desktop``: files that desktops understand, and nothing left of them after --remove."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from app import desktop_entry
from tests.cli.conftest import Run


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder."""
    folder = tmp_path / "a share"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    return folder


def entry_of(data: Path) -> configparser.SectionProxy:
    text = configparser.ConfigParser(interpolation=None)
    text.optionxform = str  # type: ignore[method-assign,assignment]
    text.read(data / desktop_entry.ENTRY, encoding="utf-8")
    return text["Desktop Entry"]


def test_desktops_understand_what_is_written(run: Run, data: Path) -> None:
    result = run("desktop")
    assert result.status == 0, result.err
    written = [Path(line) for line in result.out.splitlines()]
    assert len(written) == 8 and all(path.is_file() for path in written)
    checked = subprocess.run(
        ["desktop-file-validate", str(data / desktop_entry.ENTRY)], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout) == (0, "")
    entry = entry_of(data)
    assert shlex.split(entry["Exec"]) == [str(desktop_entry.program()), "%f"]
    assert (data / "icons/hicolor/256x256/apps" / f"{entry['Icon']}.png").is_file()


def test_a_project_has_its_type(run: Run, data: Path, tmp_path: Path) -> None:
    run("desktop")
    kind = entry_of(data)["MimeType"].rstrip(";")
    globs = (data / "mime" / "globs2").read_text()
    assert f"50:{kind}:*.maquette\n" in globs
    assert f"{kind} application/zip" in (data / "mime" / "subclasses").read_text()
    listed = (data / "applications" / "mimeinfo.cache").read_text()
    assert f"{kind}=maquette.desktop;" in listed


def test_it_is_taken_away_again(run: Run, data: Path) -> None:
    written = run("desktop").out.splitlines()
    result = run("desktop", "--remove")
    assert result.status == 0
    assert {line.removeprefix("removed ") for line in result.out.splitlines()} == set(written)
    assert not any(Path(path).exists() for path in written)
    assert run("desktop", "--remove").out.startswith("There was nothing of Maquette in ")


@pytest.mark.parametrize("name", ["my tools", "100%", 'a"b', "$HOME`x`", "back\\slash"])
def test_a_program_in_a_folder_of_any_name(name: str, data: Path, tmp_path: Path) -> None:
    """Read back as the specification says: the file's escapes first, then the quotes."""
    program = tmp_path / name / "maquette"
    desktop_entry.add(program, data)
    value = entry_of(data)["Exec"].replace("\\\\", "\\")
    assert value.startswith('"') and value.endswith('" %f')
    inner = re.sub(r"\\(.)", r"\1", value[1 : -len('" %f')])
    assert inner.replace("%%", "%") == str(program)


def test_a_data_folder_that_cannot_be_written(run: Run, data: Path) -> None:
    data.write_text("a file where a folder should be")
    result = run("desktop")
    assert result.status == 2 and len(result.err.splitlines()) == 1 and str(data) in result.err


def test_where_there_are_no_menus(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    result = run("desktop")
    assert result.status == 2 and "on Linux only" in result.err and not data.exists()


def test_the_data_folder() -> None:
    home = Path("~").expanduser()
    assert desktop_entry.data_home({}) == home / ".local" / "share"
    assert desktop_entry.data_home({"XDG_DATA_HOME": "share"}) == home / ".local" / "share"
    assert desktop_entry.data_home({"XDG_DATA_HOME": "/x/share"}) == Path("/x/share")
