"""The arrows between the rooms of the house: who may import whom.

Imports are read from the syntax tree, so that an import inside a function counts too where
it is asked for. "At start" means imports at a module's top level: what a process pays for
before it does anything.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("app", "engine")

#: What takes seconds to import or needs a screen.
HEAVY = {"torch", "torchvision"}
TOOLKIT = "dearpygui"

#: Modules of ``app`` that run in the engine process, and therefore may compute. Everything
#: else in ``app`` belongs to the window or the command line.
ENGINE_PROCESS = {
    "app.worker",
    "app.delivery",
    "app.engine_pictures",
    "app.exporter",
    "app.edit_finder",
    "app.lever_watch",
    "app.pinned",
}
#: The command line computes in its own process, after its words are understood.
MAY_COMPUTE_LATER = "app.cli."

#: Longest file, in lines; up to the second number with a reason here.
LONGEST, LONGEST_WITH_REASON = 400, 450
LONGER_WITH_REASON: dict[str, str] = {
    "app/client.py": "one class: the engine process's life and its events, which share one state",
    "app/studio.py": "one class: all that panels may read and do, behind one door",
    "engine/checkpoints/pickle_vm.py": "one machine: every opcode is a line of the same table",
    "engine/generators/stylegan2.py": "the blocks of one paper, shared by several families",
}


def python_files(*rooms: str) -> list[Path]:
    """Every Python file of the given top-level folders."""
    return sorted(
        path
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if "node_modules" not in path.parts and "__pycache__" not in path.parts
    )


def module_name(path: Path) -> str:
    """``engine/export/mesh.py`` -> ``engine.export.mesh``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in python_files(*ROOMS)}


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _statements(body: list[ast.stmt], inside_functions: bool) -> Iterator[ast.stmt]:
    """Import statements that run; ``if TYPE_CHECKING`` never does."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _statements(node.orelse, inside_functions)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        else:
            for name in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, name, []) or [], inside_functions)
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body, inside_functions)
            for case in getattr(node, "cases", []):
                yield from _statements(case.body, inside_functions)


def imports_of(source: str, module: str, is_package: bool, inside_functions: bool) -> set[str]:
    """Dotted names that a module imports. ``from a import b`` counts as ``a`` and ``a.b``,
    since b may be a module."""
    names: set[str] = set()
    for node in _statements(ast.parse(source).body, inside_functions):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
            continue
        assert isinstance(node, ast.ImportFrom)
        base = node.module or ""
        if node.level:
            parts = module.split(".")
            parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
            base = ".".join([*parts, *([base] if base else [])])
        names.add(base)
        names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


@cache
def imports(module: str, inside_functions: bool) -> frozenset[str]:
    """:func:`imports_of` for a module of the project."""
    path = MODULES[module]
    source = path.read_text(encoding="utf-8")
    return frozenset(imports_of(source, module, path.name == "__init__.py", inside_functions))


def reached_at_start(module: str) -> dict[str, str]:
    """Everything that importing ``module`` imports, transitively within the project.

    Importing ``a.b`` runs ``a`` first, so packages above count too.

    Returns:
        imported name -> the project's module that imports it.
    """
    seen: dict[str, str] = {}
    todo = [module]
    done: set[str] = set()
    while todo:
        current = todo.pop()
        if current in done or current not in MODULES:
            continue
        done.add(current)
        parents = [current.rsplit(".", n)[0] for n in range(1, current.count(".") + 1)]
        todo.extend(parents)
        for name in imports(current, inside_functions=False):
            seen.setdefault(name, current)
            todo.append(name)
    return seen


def top(name: str) -> str:
    return name.split(".")[0]


# ------------------------------------------------------------------ the reader of imports


def test_the_reader_of_imports_sees_what_it_must() -> None:
    source = (
        "import os.path\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import torch\n"
        "else:\n    import json\n"
        "try:\n    import av\nexcept ImportError:\n    import wave\n"
        "from . import views\nfrom ..engine import draw\n"
        "class C:\n    import csv\n"
        "def f():\n    import scipy\n"
    )
    at_start = imports_of(source, "app.panels.x", False, inside_functions=False)
    assert {
        "os.path",
        "json",
        "av",
        "wave",
        "app.panels.views",
        "app.engine.draw",
        "csv",
    } <= at_start
    assert "torch" not in at_start and "scipy" not in at_start
    assert "scipy" in imports_of(source, "app.panels.x", False, inside_functions=True)


# ------------------------------------------------------------------ arrows


@pytest.mark.parametrize("module", [m for m in MODULES if top(m) == "engine"])
def test_engine_knows_no_window(module: str) -> None:
    wrong = {n for n in imports(module, inside_functions=True) if top(n) in ("app", TOOLKIT)}
    assert not wrong, f"{module} imports {wrong}; the engine must be usable without a window"


def test_the_document_needs_neither_torch_nor_toolkit() -> None:
    reached = reached_at_start("app.document")
    wrong = {n: by for n, by in reached.items() if top(n) in HEAVY | {TOOLKIT}}
    assert not wrong, f"app.document reaches {wrong}"


@pytest.mark.parametrize("module", ["app.window", "app.cli.main", "app.cli.window"])
def test_the_window_process_starts_without_torch(module: str) -> None:
    wrong = {n: by for n, by in reached_at_start(module).items() if top(n) in HEAVY}
    assert not wrong, f"{module} reaches {wrong}; only the engine process may load torch"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith(MAY_COMPUTE_LATER)])
def test_commands_load_torch_only_once_they_compute(module: str) -> None:
    wrong = {n: by for n, by in reached_at_start(module).items() if top(n) in HEAVY}
    assert not wrong, f"{module} reaches {wrong}, so that --help would take seconds"


def test_only_the_engine_process_imports_torch_in_app() -> None:
    wrong = {
        module: name
        for module in MODULES
        if top(module) == "app" and module not in ENGINE_PROCESS
        for name in imports(module, inside_functions=True)
        if top(name) in HEAVY
    }
    assert not wrong, f"{wrong}: add the module to ENGINE_PROCESS only if it runs there"
    assert set(MODULES) >= ENGINE_PROCESS, "ENGINE_PROCESS names a module that does not exist"


def test_the_command_line_knows_no_toolkit() -> None:
    wrong = {
        module
        for module in MODULES
        if module.startswith(MAY_COMPUTE_LATER)
        and any(top(n) == TOOLKIT for n in reached_at_start(module))
    }
    assert not wrong, f"{wrong} load the window toolkit before the command is known"


def test_torch_is_really_not_loaded() -> None:
    """The same by running it: what the syntax tree cannot see (importlib, lazy modules)."""
    code = (
        "import sys; sys.argv = ['maquette', '--version']\n"
        "import app.document, app.window, app.cli.main as m; m.main(['--version'])\n"
        "loaded = {n.split('.')[0] for n in sys.modules}\n"
        "print(sorted(loaded & {'torch', 'torchvision', 'scipy', 'skimage', 'trimesh', 'PIL'}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "[]"


# ------------------------------------------------------------------ folders and packages


def test_cuda_and_assets_are_no_packages() -> None:
    """``cuda`` is NVIDIA's own Python namespace, which torch imports."""
    for room in ("cuda", "assets"):
        assert (ROOT / room).is_dir()
        assert not list((ROOT / room).rglob("*.py")), f"{room}/ holds data only"


def test_the_list_of_packages_is_complete() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in python_files(*ROOMS)
        if path.name == "__init__.py"
    }
    assert set(setuptools["packages"]) == found | {"engine.assets", "engine.cuda"}
    assert setuptools["package-dir"] == {"engine.assets": "assets", "engine.cuda": "cuda"}


def test_every_folder_with_code_is_a_package() -> None:
    bare = {
        str(path.parent.relative_to(ROOT))
        for path in python_files(*ROOMS)
        if not (path.parent / "__init__.py").exists()
    }
    assert not bare, f"{bare} lack an __init__.py and would be missing from the wheel"


def test_every_dependency_is_declared() -> None:
    """What is imported at a top level must be installed by pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {re.split(r"[<>=;\[ ]", item)[0].lower() for items in lists for item in items}
    named = {"pil": "pillow", "skimage": "scikit-image", "fast_simplification": "fast-simplification",
             "font_roboto": "font-roboto"}  # fmt: skip
    used = {top(name).lower() for module in MODULES for name in imports(module, True)}
    foreign = {n for n in used if n not in sys.stdlib_module_names and n not in ROOMS}
    missing = {n for n in foreign if named.get(n, n) not in declared}
    assert not missing, f"{missing} are imported but not in pyproject.toml"


# ------------------------------------------------------------------ files


@pytest.mark.parametrize(
    "name", [str(p.relative_to(ROOT)) for p in python_files(*ROOMS, "tests", "packaging")]
)
def test_a_file_has_one_subject(name: str) -> None:
    lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
    limit = LONGEST_WITH_REASON if name in LONGER_WITH_REASON else LONGEST
    assert lines <= limit, f"{lines} lines; split it by subject, or give a reason"


def test_reasons_for_long_files_are_still_needed() -> None:
    for name in LONGER_WITH_REASON:
        lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
        assert lines > LONGEST, f"{name} has {lines} lines now; take it off the list"


def _tracked_files() -> list[str]:
    """Files of the repository; where there is no git (a source archive), all that look like it."""
    if shutil.which("git"):
        command = ["git", "ls-files", "-co", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
        if names := [name for name in listed.split("\n") if name]:
            return names
    rooms = ("app", "engine", "cuda", "assets", "tests", "packaging", "docs", ".ci")
    files = [path for room in rooms for path in (ROOT / room).rglob("*")]
    files += [path for path in ROOT.glob("*") if path.is_file()]
    skipped = {"node_modules", "__pycache__"}
    return [str(p.relative_to(ROOT)) for p in files if not skipped & set(p.parts)]


def test_no_path_of_any_machine() -> None:
    """Text files hold no home folders and no folders of the machine they were written on."""
    invented = {"/home/zoë"}
    pattern = re.compile(r"(?:^|[\s\"'`(=:])/(?:home|Users|root|work|opt|mnt|data)/[\w.-]+")
    endings = {".py", ".toml", ".md", ".txt", ".json", ".cu", ".cuh", ".mjs", ".cfg", ".ini", ""}
    names = _tracked_files()
    assert len(names) > 100
    found = []
    for name in names:
        path = ROOT / name
        if path.suffix not in endings or not path.is_file() or path.stat().st_size > 1_000_000:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        hits = (hit.group().strip(" \t\n\"'`(=:") for hit in pattern.finditer(text))
        found += [f"{name}: {hit}" for hit in hits if hit not in invented]
    assert not found, found
