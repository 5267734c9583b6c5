"""``maquette models``: the catalogue and folders, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.settings import Settings, save_settings
from tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))


def test_it_lists_what_is_here_and_what_was_released(run: Run, tmp_path: Path) -> None:
    there = tmp_path / "face.pkl"
    there.touch()
    gone = str(tmp_path / "old.pkl")
    save_settings(Settings(recent=(str(there), gone)))
    result = run("models")
    assert result.status == 0 and not result.err
    lines = result.out.splitlines()
    assert lines[1].startswith("  bundled")
    assert f"  {there}" in lines and f"  {gone}  (is gone)" in lines
    row = next(line for line in lines if "ffhq1024x1024.pt" in line)
    assert "202.6 MB" in row and "1ab9522157e537351fcf4faed9c92abb" in row
    assert any("https://github.com/royorel/StyleSDF" in line for line in lines)
    for system in ("EG3D", "StyleNeRF", "StyleSDF", "CIPS-3D", "EpiGRAF", "pi-GAN"):
        assert any(line.startswith(f"{system}  (") for line in lines), system


def test_the_list_as_json(run: Run) -> None:
    facts = json.loads(run("models", "--json").out)
    assert facts["bundled"] == "bundled" and facts["recent"] == []
    one = next(r for r in facts["released"] if r["key"] == "stylesdf-afhq")
    assert one["bytes"] == 184_908_743 and one["licence"].startswith("CC BY-NC-SA")
    unknown = next(r for r in facts["released"] if r["key"] == "eg3d-ffhq-64")
    assert unknown["bytes"] is None and unknown["md5"] is None


def test_a_folder_is_searched_and_its_files_are_named(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "ffhq512-128.pkl").write_bytes(b"x" * 2000)
    (folder / "mine.pth").write_bytes(b"x" * 10)
    (folder / "sphere_init.pt").write_bytes(b"x" * 99)
    result = run("models", folder)
    assert result.status == 0
    assert f"{folder}/ffhq512-128.pkl  2 kB  named like EG3D (faces, 512 px)" in result.out
    assert f"{folder}/mine.pth  10 bytes\n" in result.out
    assert "The release has 63.7 MB" in result.out
    assert result.out.endswith(f"2 known models and 1 other file in {folder}.\n")
    facts = json.loads(run("models", folder, "--json").out)
    assert facts["complete"] and facts["folders"] == 1
    assert [f["releases"] for f in facts["found"]] == [["eg3d-ffhq-128"], ["stylesdf-sphere"], []]


def test_a_folder_that_is_none_is_told(run: Run, tmp_path: Path) -> None:
    result = run("models", tmp_path / "gone")
    assert result.status == 2 and "no folder" in result.err and result.err.count("\n") == 1
