"""The set-up script: what it asks for, what it says, and that it costs nothing the second time."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "packaging" / "bootstrap.py"


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module that works on a copy of the project's top level."""
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("pyproject.toml", "constraints.txt", "packaging/bootstrap.py"):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv/maquette-setup.json")
    return module


def stamp(bootstrap: ModuleType, testing: bool) -> None:
    bootstrap.PYTHON.parent.mkdir(parents=True, exist_ok=True)
    bootstrap.PYTHON.touch()
    facts = {
        "fingerprint": bootstrap.fingerprint(),
        "testing": testing,
        "compiled": bootstrap.compiled_code(),
    }
    bootstrap.STAMP.write_text(json.dumps(facts))


def test_it_needs_only_the_standard_library_and_an_old_python() -> None:
    source = SCRIPT.read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names


def test_a_stamp_holds_until_something_changes(bootstrap: ModuleType) -> None:
    assert not bootstrap.is_ready(testing=False)
    stamp(bootstrap, testing=False)
    assert bootstrap.is_ready(testing=False)
    assert not bootstrap.is_ready(testing=True), "tests need more than the window"
    stamp(bootstrap, testing=True)
    assert bootstrap.is_ready(testing=True) and bootstrap.is_ready(testing=False)
    (bootstrap.ROOT / "constraints.txt").write_text("torch==1.0\n")
    assert not bootstrap.is_ready(testing=False)


def test_a_moved_checkout_is_set_up_again(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stamp(bootstrap, testing=False)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "packaging"):
        (tmp_path / name).rename(moved / name)
    monkeypatch.setattr(bootstrap, "ROOT", moved)
    assert not bootstrap.is_ready(testing=False)


def test_the_second_start_asks_nothing(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp(bootstrap, testing=False)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(bootstrap.subprocess, "run", never)
    bootstrap.set_up(testing=False)


def test_code_that_is_compiled_is_compiled_again_when_it_changed(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = bootstrap.ROOT / "engine" / "kernels"
    kernels.mkdir(parents=True)
    (kernels / "cpu_march.py").write_text("one")
    stamp(bootstrap, testing=True)
    ran: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "run", lambda command, **_: ran.append(command))
    bootstrap.set_up(testing=False)
    assert ran == []
    (kernels / "cpu_march.py").write_text("another")
    bootstrap.set_up(testing=False)
    assert [command[-1] for command in ran] == ["engine", "engine.kernels.cpu"]
    bootstrap.set_up(testing=True)
    assert len(ran) == 2, "once is enough, and what was set up stays so"


@pytest.mark.parametrize("testing", [False, True])
def test_without_rights_the_one_line_is_printed(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, testing: bool
) -> None:
    ran: list[object] = []
    monkeypatch.setattr(bootstrap, "loads", lambda library: "X11" not in library)
    monkeypatch.setattr(bootstrap, "administrator", lambda: None)
    monkeypatch.setattr(bootstrap, "run", lambda command, **_: ran.append(command))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/" + name)
    with pytest.raises(bootstrap.Stop) as stop:
        bootstrap.set_up(testing=testing)
    lines = str(stop.value).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("  sudo apt-get install -y") and "libx11-6" in lines[1]
    assert ran == [] and not bootstrap.VENV.exists()


def test_missing_packages_are_all_named_at_once(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "loads", lambda library: False)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    window = bootstrap.missing_packages(testing=False)
    tests = bootstrap.missing_packages(testing=True)
    assert {"libgl1", "libx11-6"} <= set(window) and "xvfb" not in window
    assert set(window) < set(tests) and {"xvfb", "xdotool", "ffmpeg", "libegl1"} <= set(tests)


def test_as_root_apt_is_asked_without_questions(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "administrator", list)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/" + name)
    monkeypatch.setattr(bootstrap, "run", lambda command, **_: ran.append(command))
    bootstrap.install_packages(["libgl1"])
    update, install = ran
    assert update[-3:] == ["apt-get", "update", "-q"]
    assert "DEBIAN_FRONTEND=noninteractive" in install and {"-y", "libgl1"} <= set(install)


def test_an_old_python_is_named_with_the_way_out(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "python_facts", lambda candidate: None)
    with pytest.raises(bootstrap.Stop, match=r"Python 3\.11 or newer was not found"):
        bootstrap.find_python()


def test_a_python_that_can_make_environments_comes_first(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "python3": {"version": [3, 11], "path": "a", "venv": False},
        "python3.12": {"version": [3, 12], "path": "b", "venv": True},
    }
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.setattr(bootstrap, "python_facts", known.get)
    assert bootstrap.find_python()["path"] == "b"
    assert bootstrap.venv_package(known["python3"]) == "python3.11-venv"


def test_a_failing_step_stops_with_a_sentence(bootstrap: ModuleType) -> None:
    with pytest.raises(bootstrap.Stop, match="failed"):
        bootstrap.run([sys.executable, "-c", "raise SystemExit(3)"])


def test_an_unknown_task_is_a_sentence() -> None:
    answer = subprocess.run(
        [sys.executable, str(SCRIPT), "fly"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1


def test_tests_end_with_pytests_closing_line(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """CI reads the last line; nothing of ours may follow it when all is well."""
    calls: list[list[str]] = []

    def fake(command: list[str], **_: object) -> SimpleNamespace:
        calls.append(command)
        if "pytest" in command:
            print("== 3 passed ==")
        return SimpleNamespace(returncode=0, stdout=b"Success")

    stamp(bootstrap, testing=True)
    monkeypatch.setattr(bootstrap.subprocess, "run", fake)
    assert bootstrap.main(["test"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "== 3 passed =="
    assert [c[2] for c in calls[:2]] == ["ruff", "ruff"]
    assert {c[2] for c in calls[2:]} == {"mypy", "pytest"}
    # The tests are compiled once: the first time, by a pytest that only looks at them.
    assert ["--collect-only" in c for c in calls if c[2] == "pytest"] == [True, False]
    cache = bootstrap.ROOT / "tests" / "__pycache__"
    cache.mkdir(parents=True)
    (cache / "conftest.cpython-311-pytest-9.2.0.pyc").touch()
    calls.clear()
    assert bootstrap.main(["test"]) == 0
    assert not any("--collect-only" in c for c in calls)


def test_a_failed_linter_fails_the_whole(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stamp(bootstrap, testing=True)
    failing = "mypy"
    monkeypatch.setattr(
        bootstrap.subprocess,
        "run",
        lambda command, **_: SimpleNamespace(
            returncode=int(command[2] == failing), stdout=b"a.py:1: error\n"
        ),
    )
    assert bootstrap.main(["test"]) == 1
    assert capfd.readouterr().err == "a.py:1: error\n[maquette] failed: mypy\n"
    assert bootstrap.main(["check"]) == 1
    assert "a.py:1: error" in capfd.readouterr().out
    failing = "ruff"
    assert bootstrap.main(["test"]) == bootstrap.main(["check"]) == 1
    assert "failed: ruff check, ruff format" in capfd.readouterr().err
    failing = "nothing"
    assert bootstrap.main(["test"]) == bootstrap.main(["check"]) == 0


def test_every_dependency_is_pinned_inside_its_range() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pins = {
        canonicalize_name(r.name): str(r.specifier).removeprefix("==")
        for r in map(Requirement, _pins())
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["train"], *extras["dev"]]
    # torch's CUDA builds pin NVRTC themselves.
    free = {"nvidia-cuda-nvrtc"}
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name not in free:
            assert name in pins, f"{name} has no pin in constraints.txt"
            assert requirement.specifier.contains(pins[name]), f"{name}=={pins[name]}"


def test_pins_are_nothing_but_pins() -> None:
    """No addresses, no options: an index is the machine's own business."""
    for line in _pins():
        name, _, version = line.partition("==")
        assert name and version and not set(line) & set(" @:/\\")


def _pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]
