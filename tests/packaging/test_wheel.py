"""The wheel works where there is no checkout, and the source archive builds again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "data" / "goldens" / "eg3d_ffhq" / "checkpoint.pkl"

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path, **variables: str) -> str:
    """Run a command away from the checkout, with some variables of the environment, and give its output."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    environment |= {"OMP_NUM_THREADS": "1", **variables}
    result = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """``(wheel, source archive)``: the wheel is built **from** the source archive, so that both
    must be complete."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (wheel,), (source,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def fresh(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a new environment with the wheel in it and, of the environment that runs the
    tests, the third-party packages only."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "-q"]
    run(*command, archives[0], cwd=folder)
    site = Path(
        run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    )
    # A path that stands in a .pth file is searched, but the .pth files in it (the checkout's
    # editable install) are not read.
    shared = {Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")}
    (site / "third-party.pth").write_text("\n".join(map(str, sorted(shared))) + "\n")
    return folder


def test_the_wheel_holds_everything(archives: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(archives[0]) as wheel:
        names = set(wheel.namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for room in ("app", "engine")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(".tmp")
    }
    wanted |= {
        f"engine/{path.relative_to(ROOT)}"
        for room in ("assets", "cuda")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.parts)
    }
    assert wanted - names == set()
    assert not any(name.startswith(("tests/", "packaging/", "cuda/", "assets/")) for name in names)


def test_the_source_archive_holds_what_building_and_testing_need(
    archives: tuple[Path, Path],
) -> None:
    with tarfile.open(archives[1]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    for name in ("Makefile", "constraints.txt", "packaging/bootstrap.py", "LICENSE", ".ci/run",
                 "packaging/licences/libraries.toml", "docs/images/window.png",
                 "tests/test_architecture.py", "tests/data/goldens/eg3d_ffhq/checkpoint.pkl"):  # fmt: skip
        assert name in names
    # Numba keeps what it compiles beside the sources, of tests, too.
    left = ("node_modules", "__pycache__", ".nbi", ".nbc", ".pyc")
    assert not [name for name in names if any(word in name for word in left)]


def test_it_is_the_wheel_that_is_imported(fresh: Path) -> None:
    code = "import engine, app; print(engine.__file__); print(app.__file__)"
    for line in run(fresh / "bin" / "python", "-c", code, cwd=fresh).split():
        assert Path(line).is_relative_to(fresh)


def test_assets_and_kernels_are_found(fresh: Path) -> None:
    code = (
        "import json, engine.assets as a\n"
        "print(json.dumps([[str(a.data_dir(n)), sorted(p.name for p in a.data_dir(n).iterdir())]\n"
        "                  for n in ('assets', 'cuda')]))"
    )
    found = json.loads(run(fresh / "bin" / "python", "-c", code, cwd=fresh))
    for (folder, names), room in zip(found, ("assets", "cuda"), strict=True):
        assert Path(folder).is_relative_to(fresh)
        expected = {p.name for p in (ROOT / room).iterdir() if not p.name.startswith(".")}
        assert expected <= set(names)
    assert "march.cu" in found[1][1]


def test_cuda_stays_nvidias_name(fresh: Path) -> None:
    """Nothing of ours answers to ``import cuda``."""
    code = (
        "import importlib.util as u; s = u.find_spec('cuda')\n"
        "print(s and (s.origin or list(s.submodule_search_locations)))"
    )
    assert str(fresh) not in run(fresh / "bin" / "python", "-c", code, cwd=fresh)


def test_the_console_script_renders_a_picture(fresh: Path) -> None:
    maquette = fresh / "bin" / "maquette"
    version = run(maquette, "--version", cwd=fresh).split()
    assert version[0] == "maquette" and version[1][0].isdigit()
    words = ("render", "--model", GOLDEN, "--seed", 3, "--size", 32, "--out", "head.png", "--json")
    facts = json.loads(run(maquette, *words, cwd=fresh))
    assert facts[0]["size"] == [32, 32]
    assert (fresh / "head.png").read_bytes().startswith(b"\x89PNG")


def test_the_bundled_generator_ships(fresh: Path) -> None:
    """What a stranger does first: a picture without naming any model. The test before has compiled kernels."""
    maquette = fresh / "bin" / "maquette"
    words = ("render", "--seed", 1, "--size", 64, "--out", "bundled.png")
    run(maquette, *words, cwd=fresh, MAQUETTE_KERNELS="0")
    assert (fresh / "bundled.png").read_bytes().startswith(b"\x89PNG")
