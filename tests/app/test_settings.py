"""Settings survive, and faults in their file never stop the program."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.dock import Dock, Floating
from app.settings import (
    MAX_FILE,
    Settings,
    config_folder,
    load_settings,
    log_folder,
    save_settings,
    settings_path,
)
from engine.errors import UserError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    return settings_path()


def write(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")


def test_the_folder_can_be_chosen(path: Path, tmp_path: Path) -> None:
    assert config_folder() == tmp_path / "config"
    assert path == tmp_path / "config" / "settings.json"
    assert log_folder() == tmp_path / "config" / "log"


def test_no_file_gives_the_defaults_silently(path: Path) -> None:
    loaded = load_settings()
    assert loaded.settings == Settings() and loaded.notice is None
    assert not path.parent.exists()


def test_what_is_saved_comes_back(path: Path) -> None:
    settings = Settings(
        recent=("/a.pkl", "/b.pkl"),
        window_size=(1000, 700),
        window_position=(-5, 20),
        ui_scale=1.5,
        device="cpu",
        target_fps=24.0,
        export_folder="/pictures",
        folded=("model", "style_mixing"),
        theme="light",
        dock=Dock(
            ("camera", "identity"), (), (Floating("export", 10.5, -20, 400, 300, "right", 2),),
            left_width=333, timeline_height=200, hidden=True,
        ),
        text_encoder="ViT-B-32=/clip.safetensors",
    )  # fmt: skip
    save_settings(settings)
    assert load_settings().settings == settings
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '"text"', '{"format": "maquette-settings/2"}', "[" * 100_000]
)
def test_a_damaged_or_foreign_file_is_kept_as_bad(path: Path, content: str) -> None:
    write(path, content)
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert loaded.notice is not None and "settings.json.bad" in loaded.notice
    assert not path.exists()
    assert path.with_name("settings.json.bad").read_text(encoding="utf-8") == content
    save_settings(Settings(ui_scale=2.0))
    assert load_settings().settings.ui_scale == 2.0


def test_a_pipe_is_not_waited_for(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert loaded.notice is not None and "cannot be read (no ordinary file)" in loaded.notice
    os.mkfifo(path)
    save_settings(Settings(ui_scale=2.0), base=Settings())
    assert load_settings().settings.ui_scale == 2.0


def test_a_file_without_end_is_not_read(path: Path) -> None:
    write(path, {"format": "maquette-settings/1", "ui_scale": 2})
    with path.open("ab") as file:
        file.write(b" " * MAX_FILE)
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert loaded.notice is not None and "cannot be read (far too large)" in loaded.notice


def test_bytes_that_are_no_text(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe\x00bad")
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert loaded.notice is not None and "settings.json is damaged; the" in loaded.notice
    assert path.with_name("settings.json.bad").read_bytes() == b"\xff\xfe\x00bad"


def test_a_folder_where_damaged_ones_are_kept(path: Path) -> None:
    path.with_name("settings.json.bad").mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    loaded = load_settings()
    assert loaded.notice is not None and "it was kept as settings.json-2.bad." in loaded.notice
    save_settings(Settings(ui_scale=2.0))
    assert path.with_name("settings.json-2.bad").read_text(encoding="utf-8") == "{"


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir(parents=True)
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert loaded.notice is not None and "cannot be read" in loaded.notice


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recent", "no list"),
        ("recent", [1, 2]),
        ("window_size", [1, 2]),
        ("window_size", [1000]),
        ("window_size", None),
        ("window_position", [1, "x"]),
        ("ui_scale", 0),
        ("ui_scale", True),
        ("ui_scale", "large"),
        ("device", 5),
        ("target_fps", float("nan")),
        ("target_fps", 1e9),
        ("export_folder", None),
        ("text_encoder", ["/clip"]),
    ],
)
def test_one_bad_value_falls_back_alone(path: Path, name: str, value: object) -> None:
    good = "export_folder" if name != "export_folder" else "device"
    write(path, {"format": "maquette-settings/1", name: value, good: "/kept"})
    loaded = load_settings()
    assert getattr(loaded.settings, name) == getattr(Settings(), name)
    assert getattr(loaded.settings, good) == "/kept"
    assert loaded.notice is not None and name.replace("_", " ") in loaded.notice
    assert path.exists()


def test_unknown_entries_of_a_later_version_are_ignored(path: Path) -> None:
    write(path, {"format": "maquette-settings/1", "ui_scale": 2, "new": 1})
    loaded = load_settings()
    assert loaded.settings.ui_scale == 2.0 and loaded.notice is None


def test_a_failed_save_leaves_the_old_file_and_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_settings(Settings(ui_scale=2.0))

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match=r"\(no space left on device\); free some space\.$"):
        save_settings(Settings())
    monkeypatch.undo()
    assert load_settings(path).settings.ui_scale == 2.0
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be saved"):
        save_settings(Settings(), tmp_path / "file" / "settings.json")


def test_the_recent_list() -> None:
    settings = Settings()
    for index in range(12):
        settings = settings.with_recent(f"/{index}.pkl")
    settings = settings.with_recent("/5.pkl").with_recent("bundled")
    assert settings.recent[:2] == ("/5.pkl", "/11.pkl") and len(settings.recent) == 10
    assert "/5.pkl" not in settings.without_recent("/5.pkl").recent
