"""The user's folders, where there is a home and where there is none."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from app import settings
from engine.kernels.compile import cache_folder
from engine.places import NO_HOME, home, user_folder
from engine.text import installed
from engine.training.data.photos.environment import own_folder

KINDS = ("config", "state", "cache", "log", "data")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of whom the system knows no more than a number, as in containers."""
    for name in ("MAQUETTE_CONFIG_DIR", "MAQUETTE_KERNEL_CACHE", "HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    for kind in (*KINDS, "runtime"):
        monkeypatch.delenv(f"XDG_{kind.upper()}_HOME", raising=False)

    def unknown(_number: int) -> None:
        raise KeyError("no such user")

    monkeypatch.setattr("pwd.getpwuid", unknown)


@pytest.mark.usefixtures("nobody")
def test_without_a_home_nothing_is_kept_and_nothing_fails() -> None:
    assert {user_folder(kind) for kind in KINDS} == {NO_HOME / "maquette"}
    assert home() == Path(tempfile.gettempdir())
    mine = [settings.settings_path(), settings.state_folder(), settings.cache_folder()]
    for path in (*mine, settings.log_folder(), cache_folder(), own_folder()):
        assert path.is_relative_to(NO_HOME)
    assert settings.load_settings().is_first
    assert installed.file_folders() and installed.hub_folders()


@pytest.mark.usefixtures("nobody")
def test_named_folders_count_without_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    assert user_folder("cache") == tmp_path / "here" / "maquette"


@pytest.mark.parametrize("given", ["here", "", ".", "\n"])
def test_a_folder_that_is_no_whole_path_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """The specification of XDG says so: settings must not depend on where a program is started."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", given)
    assert user_folder("config") == tmp_path / ".config" / "maquette"
