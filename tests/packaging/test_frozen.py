"""What a bundle does otherwise: its processes, and the programs of others that it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import desktop_entry, dialogs, doctor
from engine import frozen
from engine.training.data.photos import environment as photos

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As in a bundle; its program."""
    program = tmp_path / "maquette"
    program.touch()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def test_installed_modules_run_by_the_interpreter() -> None:
    assert frozen.module_command("app.opengl") == [sys.executable, "-m", "app.opengl"]
    with pytest.raises(ValueError, match="MODULES"):
        frozen.module_command("app.window")


def test_a_bundle_asks_itself(bundle: Path) -> None:
    words = frozen.module_command("app.dialog_tk", "open", "Title", "/tmp")
    assert words[0] == str(bundle)
    assert words[1:] == ["--run-module", "app.dialog_tk", "open", "Title", "/tmp"]


def test_every_module_that_is_started_by_name_may_be() -> None:
    """``-m`` in a command line of ours means a module that a bundle can run, too."""
    found = set()
    for room in ("app", "engine"):
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found.update(re.findall(r'module_command\(\s*"([\w.]+)"', text))
            started = re.search(r'sys\.executable,\s*"-m"', text)
            assert started is None, f"{path} starts a module past engine.frozen"
    assert found == set(frozen.MODULES)


def test_words_of_the_command_line_are_not_taken_for_modules() -> None:
    assert not frozen.run_module(["render", "--seed", "1"])
    assert not frozen.run_module(["--run-module"])
    assert not frozen.run_module(["--run-module", "app.window"])


def test_the_entry_point_runs_a_module_as_main() -> None:
    """The whole way: what a bundle's program does when it is started for ``app.opengl``."""
    environment = {**os.environ, "DISPLAY": "", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(ROOT / "packaging" / "entry.py"), "--run-module", "app.opengl"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "problem" in json.loads(done.stdout)


def test_the_entry_point_runs_commands() -> None:
    words = [sys.executable, str(ROOT / "packaging" / "entry.py"), "--version"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("maquette ")


def test_other_programs_get_their_own_libraries(bundle: Path) -> None:
    inside = {"LD_LIBRARY_PATH": "/bundle", "LD_LIBRARY_PATH_ORIG": "/own", "HOME": "/h"}
    assert frozen.environment(inside) == {"LD_LIBRARY_PATH": "/own", "HOME": "/h"}
    # Nothing was set when the bundle started, which it notes as an empty word or not at all.
    for kept in ({"LD_LIBRARY_PATH_ORIG": ""}, {}):
        assert frozen.environment({"LD_LIBRARY_PATH": "/bundle", **kept}) == {}


def test_installed_the_environment_is_left_alone() -> None:
    inside = {"LD_LIBRARY_PATH": "/mine", "LD_LIBRARY_PATH_ORIG": "/other"}
    assert frozen.environment(inside) == inside


def test_a_system_dialog_is_started_without_the_bundles_libraries(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    dialog = tools / "zenity"
    dialog.write_text('#!/bin/sh\necho "/found/$LD_LIBRARY_PATH"\n')
    dialog.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(bundle.parent))
    asked, answers = dialogs.Dialogs(), list[Path]()
    asked.ask(dialogs.Question("Which?"), answers.append)
    assert asked._child is not None
    asked._child.wait(20)
    assert asked.poll() and answers == [Path("/found")]


def test_a_bundle_is_its_own_program_in_the_menu(bundle: Path) -> None:
    assert desktop_entry.program() == bundle


def test_doctor_offers_nothing_that_cannot_be_put_into_a_bundle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert "pip install" in doctor.extras().advice
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    advice = doctor.extras().advice
    assert "pip install" not in advice and "MediaPipe" in advice


def test_a_bundle_makes_no_environments_with_itself(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "python3.12").touch(0o755)
    monkeypatch.setenv("PATH", str(tools))
    assert photos._base_python() == tools / "python3.12"
