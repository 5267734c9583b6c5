"""Every command that a document shows is run, in a folder where what it names is there.

Each is read by its real parser as it stands. What is then run is shortened as
:mod:`tests.docs.shortened` says. A command that nobody here knows how to run fails.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import app.window
from app import doctor
from app.cli import main as program
from app.cli import parsing
from engine.editing import optimise, pca, refine, samples, sefa, strength
from engine.training.data.photos import environment
from tests.docs import workplace
from tests.docs.shortened import RULES, shortened
from tests.docs.shown import ROOT, Command, commands, every, is_command

COMMANDS = every()
#: Sentences may name a part of a command: these are checked word by word.
SHOWN = [command for command in COMMANDS if not command.inline]
SAID = [command for command in COMMANDS if command.inline]


class Understood(Exception):
    """The words were read; what they ask for is not done."""


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all files, to be copied."""
    folder = tmp_path_factory.mktemp("docs") / "filled"
    folder.mkdir()
    before = Path.cwd()
    os.chdir(folder)
    try:
        workplace.prepare()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, the present folder, with a home of its own."""
    folder = tmp_path / "place"
    shutil.copytree(filled, folder, symlinks=True, copy_function=_as_it_is)
    monkeypatch.chdir(folder)
    for name in (
        "HOME",
        "MAQUETTE_CONFIG_DIR",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "XDG_STATE_HOME",
    ):
        monkeypatch.setenv(name, str(folder / "home" / ("" if name == "HOME" else name.lower())))
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    # What make was told that runs these tests is not for the make that they run.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARGS"):
        monkeypatch.delenv(name, raising=False)
    for module, constant, number in (
        (samples, "COUNT", 12), (samples, "SIDE", 16), (pca, "SAMPLES", 20), (sefa, "SAMPLES", 20),
        (optimise, "SPREAD_SAMPLES", 12), (optimise, "SIDE", 12), (refine, "STEPS", 1), (strength, "PEOPLE", 2),
    ):  # fmt: skip
        monkeypatch.setattr(module, constant, number)
    return folder


def _as_it_is(source: str, target: str) -> None:
    """A link in place of a copy for what is large and only read."""
    way = os.link if source.endswith((".pkl", ".pth", ".pt", ".zip")) else shutil.copy2
    way(source, target)


def name_of(words: list[str]) -> str:
    """Which command the words after ``maquette`` are for."""
    return words[0] if words and words[0] in program.COMMANDS else "window"


def understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command's own parser read the words as they stand."""
    name = name_of(words)
    module = importlib.import_module(f"app.cli.{name}")
    real = parsing.tyro.cli

    def only_read(*given: Any, **options: Any) -> None:
        real(*given, **options)
        raise Understood

    with monkeypatch.context() as patch:
        patch.setattr(parsing.tyro, "cli", only_read)
        if name == "window":
            # It does without the parser where there is nothing but a path.
            patch.setattr(app.window, "run", _understood)
        if name == "doctor":
            # It does without the parser where there is nothing to read: that may be what is missing.
            patch.setattr(doctor, "examine", _understood)
        with pytest.raises(Understood):
            module.run(words if name == "window" else words[1:])


def _understood(*_: object) -> int:
    raise Understood


def expanded(words: list[str]) -> list[str]:
    """As a shell hands them over: with the home, and with what a pattern matches."""
    found: list[str] = []
    for word in words:
        path = str(Path(word).expanduser()) if word.startswith("~") else word
        matches = sorted(map(str, Path().glob(path))) if "*" in path and "/" in path else []
        found += matches or [path]
    return found


def maquette(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command of the program for real, in this process."""
    understood(words, monkeypatch)
    opened: list[object] = []
    monkeypatch.setattr(app.window, "run", lambda *asked: opened.append(asked) or 0)
    monkeypatch.setattr(
        environment, "install", lambda *_: opened.append("install") or "installed", raising=False
    )
    monkeypatch.setattr(doctor, "examine", lambda: iter(()))
    name = name_of(words)
    given = expanded(words if name == "window" else shortened(words))
    for place, word in enumerate(given):
        if word == "--out" and name not in ("window",):
            target = Path(given[place + 1])
            # It stands for something new; the folder holds it because other commands read it.
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
    assert program.main(given) == 0, given
    assert name != "window" or len(opened) == 1


def make(words: list[str], monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """The recipe is found by the real make; the set-up script then gets its words, but sets nothing up."""
    done = subprocess.run(
        ["make", "-n", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
    )
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    bootstrap = importlib.import_module("bootstrap")
    monkeypatch.setattr(bootstrap, "set_up", lambda testing: None)
    asked: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "lint", list)
    monkeypatch.setattr(bootstrap, "check_types", lambda beside=False: "")
    monkeypatch.setattr(bootstrap, "compile_tests", lambda: None)
    monkeypatch.setattr(bootstrap, "tests", lambda given: asked.append(given) or 0)
    monkeypatch.setattr(bootstrap.os, "execv", lambda _path, given: asked.append(given))
    lines = [shlex.split(line) for line in done.stdout.splitlines() if not line.startswith("make")]
    assert lines
    for line in lines:
        if "packaging/bootstrap.py" in line:
            assert not bootstrap.main(line[line.index("packaging/bootstrap.py") + 1 :])
        elif "-m" in line:
            module = line[line.index("-m") + 1]
            assert importlib.util.find_spec(module) is not None, line
    for given in asked:
        if given[0] == "maquette":
            maquette(given[1:], monkeypatch)


def module(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m ...``: its words are read by its own parser, and it is stopped there. These need data that
    is not in the repository, or minutes; tests/training and tests/benchmarks run what is in them."""
    name, rest = words[0], words[1:]
    if name == "app":
        return understood(rest, monkeypatch)
    if name == "pytest":
        return pytest_words(rest)

    def only_read(
        self: argparse.ArgumentParser, given: list[str] | None = None, *_: object
    ) -> None:
        _, unknown = self.parse_known_args(given)
        assert not unknown, unknown
        raise Understood

    real = parsing.tyro.cli

    def only_read_too(*given: Any, **options: Any) -> None:
        real(*given, **options)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_read)
    monkeypatch.setattr(parsing.tyro, "cli", only_read_too)
    monkeypatch.setattr(sys, "argv", [name, *rest])
    # Already imported by other tests, perhaps: it is read anew, as a script.
    with warnings.catch_warnings(), pytest.raises(Understood):
        warnings.simplefilter("ignore", RuntimeWarning)
        # A plugin of pytest's has a loader that runpy cannot ask for code.
        runpy.run_path(str(_source_of(name)), run_name="__main__")


def _source_of(name: str) -> Path:
    """The file that ``python -m NAME`` runs."""
    path = ROOT.joinpath(*name.split("."))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


def pytest_words(words: list[str]) -> None:
    """The folders of tests are there, and so are markers; they are no tests of the documents."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    markers = [line.split(":")[0] for line in project["tool"]["pytest"]["ini_options"]["markers"]]
    for before, word in zip(["", *words], words, strict=False):
        if before == "-m":
            assert word in markers
        elif before not in ("-n", "-k") and not word.startswith("-"):
            assert (ROOT / word.split("::")[0]).exists(), word


def pip(words: list[str]) -> None:
    """Nothing is installed: what is named is an extra of ours, or in one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert words[0] == "install"
    for word in words[1:]:
        if match := re.fullmatch(r"(\.|maquette)\[([\w,]+)\]", word):
            assert set(match[2].split(",")) <= set(extras), word
        elif not word.startswith("-"):
            named = {re.split(r"[<>=;~ ]", line)[0] for lines in extras.values() for line in lines}
            assert re.split(r"[<>=]", word)[0] in named, word


def perform(words: list[str], monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Run a command in the way of its program.

    Raises:
        AssertionError: it fails, or there is no way to run it.
    """
    name, rest = words[0], words[1:]
    ways: dict[str, Callable[[], None]] = {
        "maquette": lambda: maquette(rest, monkeypatch),
        "make": lambda: make(rest, monkeypatch, place),
        "pip": lambda: pip(rest),
        "python": lambda: module(rest[1:], monkeypatch),
        # They start another program, whose words come after their own.
        "compute-sanitizer": lambda: perform(rest[rest.index("python") :], monkeypatch, place),
        "torchrun": lambda: module(rest[rest.index("-m") + 1 :], monkeypatch),
    }
    if words[:2] == ["python", "-c"]:
        return exec(compile(rest[1], "a document", "exec"), {})
    if name.startswith("python") and rest[0].endswith(".py"):
        return script(rest)
    assert name in ways, f"no test knows how to run {' '.join(words)!r}"
    assert name != "python" or rest[0] == "-m", words
    return ways[name]()


def _status(words: list[str]) -> int:
    try:
        return program.main(words)
    except SystemExit as stop:
        return int(stop.code or 0)


def script(words: list[str]) -> None:
    """``python FILE``: the file is there and knows the options. They make packages, which tests/packaging tries."""
    text = (ROOT / words[0]).read_text(encoding="utf-8")
    assert all(word in text for word in words[1:] if word.startswith("-")), words


def options_of(name: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The options that a command's help names."""
    capsys.readouterr()
    with pytest.raises(SystemExit):
        program.main([name, "--help"] if name != "window" else ["--help"])
    return set(re.findall(r"--[a-z][\w-]*", capsys.readouterr().out))


@pytest.mark.parametrize("command", SHOWN, ids=lambda one: one.text[:70])
def test_a_command_that_is_shown_runs(
    command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in command.variables.items():
        places = (path for room in ("engine", "app") for path in (ROOT / room).rglob("*.py"))
        known = (path.read_text(encoding="utf-8") for path in places)
        assert not name.startswith("MAQUETTE") or any(name in text for text in known), name
        monkeypatch.setenv(name, value)
    perform(command.words, monkeypatch, place)


@pytest.mark.parametrize("command", SAID, ids=lambda one: one.text[:70])
def test_a_command_in_a_sentence_is_one(
    command: Command,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is run where it is whole. Where it is a name and options without values, these are options."""
    words = command.words
    if words[0] != "maquette":
        try:
            perform(words, monkeypatch, place)
        except SystemExit:
            # A script that is named without all that it must be given; a wrong option reads otherwise.
            told = capsys.readouterr().err.lower()
            assert "required options" in told or "arguments are required" in told
        return
    if words[1:] in (["--help"], ["--version"]):
        assert _status(words[1:]) == 0
        return
    name = name_of(words[1:])
    bare = [word for word in words[2:] if not word.startswith("--")]
    assert {word for word in words[1:] if word.startswith("--")} <= options_of(name, capsys) | {
        "--help"
    }
    assert name != "window", command.text
    if bare:
        perform(words, monkeypatch, place)


def test_the_program_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for name in program.COMMANDS:
        assert options_of(name, capsys), name


def test_what_is_shortened_is_a_command_with_these_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, rules in RULES.items():
        known = options_of(name, capsys)
        for rule in rules:
            assert {word for word in rule.add if word.startswith("--")} <= known, (name, rule)
            named = {word for word in rule.unless | rule.only if word.startswith("--")}
            assert named <= known and rule.why


def test_a_command_that_nobody_can_run_fails(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text("Do\n\n    git push   # far\n\nand `maquette render --sed 7`, or `seed`.\n")
    shown, said = commands(page)
    assert (shown.text, shown.inline, said.inline) == ("git push", False, True)
    with pytest.raises(AssertionError, match="no test knows how to run 'git push'"):
        perform(shown.words, monkeypatch, place)
    with pytest.raises(program.UserError, match="sed"):
        perform(said.words, monkeypatch, place)
    with pytest.raises(subprocess.CalledProcessError):
        perform(["make", "coffee"], monkeypatch, place)


def test_commands_are_found_where_they_stand(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A\n\n    maquette mesh --out a.glb   # a head\n    {"json": 1}\n\nText\n    continued maquette\n\n'
        '```bash\nMAQUETTE_KERNELS=0 maquette bench\n```\n\nSay `make run ARGS="a b"` or `make`.\n'
    )
    found = commands(page)
    assert [one.text for one in found] == [
        "maquette mesh --out a.glb", "MAQUETTE_KERNELS=0 maquette bench", 'make run ARGS="a b"',
    ]  # fmt: skip
    assert found[1].variables == {"MAQUETTE_KERNELS": "0"} and found[1].words == [
        "maquette",
        "bench",
    ]
    assert found[2].words == ["make", "run", "ARGS=a b"]
    assert is_command(".venv/bin/pip install x") and not is_command("maquettes are small")
    assert len(SHOWN) > 80 and len(SAID) > 15
