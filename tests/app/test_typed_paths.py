"""Where files are looked for and written, purpose by purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.settings import Settings, load_settings, save_settings
from app.settings_merge import merged
from app.typed_paths import keep_folder, kept_folder, nearest
from tests.app.bench import Bench


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("meshes", "latents", "exports")}
    for folder in made.values():
        folder.mkdir()
    return made


def test_each_purpose_has_its_folder(folders: dict[str, Path], tmp_path: Path) -> None:
    settings = Settings()
    assert kept_folder(settings, "mesh") == Path.home()
    assert kept_folder(settings, "mesh", tmp_path) == tmp_path
    settings = replace(settings, export_folder=str(folders["exports"]))
    settings = settings.with_folder("mesh", str(folders["meshes"]))
    settings = settings.with_folder("latents", str(folders["latents"]))
    assert kept_folder(settings, "mesh", tmp_path) == folders["meshes"]
    assert kept_folder(settings, "latents") == folders["latents"]
    # Nothing was said of this one yet: where the last export went.
    assert kept_folder(settings, "picture", tmp_path) == folders["exports"]
    folders["meshes"].rmdir()
    assert kept_folder(settings, "mesh") == folders["exports"]


def test_a_folder_is_kept_over_a_restart(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    bench = Bench(tmp_path)
    keep_folder(bench.studio, "latents", folders["latents"])
    bench.studio.kept.flush()
    assert load_settings().settings.folders == {"latents": str(folders["latents"])}


def test_two_windows_keep_each_others_folders() -> None:
    base = Settings(folders={"mesh": "/a", "picture": "/a"})
    mine, theirs = base.with_folder("mesh", "/mine"), base.with_folder("latents", "/theirs")
    assert merged(base, mine, theirs).folders == {
        "mesh": "/mine", "picture": "/a", "latents": "/theirs",
    }  # fmt: skip
    assert merged(base, base, theirs).folders == theirs.folders


@pytest.mark.parametrize("wrong", [[], "x", {"mesh": 3}, {str(n): "/a" for n in range(101)}])
def test_a_table_that_is_none_is_left_out(wrong: object, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    save_settings(Settings(device="cpu", folders=wrong), path)  # type: ignore[arg-type]
    loaded = load_settings(path)
    assert loaded.settings == Settings(device="cpu")
    assert loaded.notice is not None and "folders" in loaded.notice


@pytest.mark.parametrize(
    "typed", ["", "~nobody-of-that-name/x", "a\0b", "/nowhere/at/all", "x" * 5000]
)
def test_a_dialog_begins_somewhere_whatever_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert nearest(typed).is_dir()
    assert nearest(str(tmp_path / "new.glb")) == tmp_path / "new.glb"
