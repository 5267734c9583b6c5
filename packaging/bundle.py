"""Make a bundle: a folder with Python, every library and Maquette, which starts where nothing is installed.

    python3 packaging/bundle.py [--archive] [--environment FOLDER]     (make bundle)

Makes an environment of its own in ``build/bundle`` with the versions of ``constraints.txt`` and Maquette's wheel,
runs PyInstaller on ``maquette.spec`` there, strips the libraries, collects the licence notices, and says how
large it all is. The result is ``dist/maquette``; ``check_bundle.py`` tries it out. The bundle is for processors:
torch must be its CPU build, and pip must know where to find that (on Linux the package index has the CUDA build).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import bootstrap
import stripping
from bootstrap import ROOT, Stop, say

WORK = ROOT / "build" / "bundle"
DIST = ROOT / "dist"
#: What PyInstaller calls on Linux: program -> Debian's package.
PROGRAMS = {"objdump": "binutils", "ldd": "libc-bin"}
#: Bytes: a Linux bundle that is larger has taken something along, or has kept what only debuggers read.
MOST = 920 * 2**20
CPU_TORCH = (
    "torch is {found}, which brings CUDA's libraries along (several GB). Give pip the CPU build: download its "
    "wheel (the tag ends in +cpu) into a folder and set PIP_FIND_LINKS to it, or set PIP_EXTRA_INDEX_URL to the "
    "index that torch's installation page names for CPUs; then remove build/bundle and run this again."
)


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(*command: object) -> None:
    """Run a command, or stop."""
    bootstrap.run([str(word) for word in command])


def make_environment(environment: Path) -> Path:
    """An environment with Maquette's wheel and PyInstaller; its Python.

    Raises:
        Stop: something cannot be installed, or torch is a CUDA build.
    """
    python = python_of(environment)
    if not python.exists():
        found = bootstrap.find_python()
        say(f"making an environment in {environment}")
        run(found["path"], "-m", "venv", environment)
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    pip += ["-c", ROOT / "constraints.txt"]
    run(*pip, "setuptools", "wheel", "build")
    wheels = WORK / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    say("building the wheel")
    # From the source archive, so that nothing of an older build gets in.
    with (WORK / "wheel.log").open("w") as log:
        run_logged(log, python, "-m", "build", "--no-isolation", "--outdir", wheels, ROOT)
    (wheel,) = wheels.glob("*.whl")
    say("installing it with everything it needs (the first time this takes some minutes)")
    run(*pip, f"{wheel}[bundle]")
    run(*pip, "--no-deps", "--force-reinstall", wheel)
    require_cpu_torch(python)
    return python


def run_logged(log: object, *command: object) -> None:
    """Run a command whose words go into a file, or stop. It runs in a folder of its own: from the checkout's top
    ``python -m`` would import the checkout and not the wheel, which has the models and kernels inside."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=WORK, stdout=log, stderr=subprocess.STDOUT, check=False)  # type: ignore[call-overload]
    if done.returncode:
        name = getattr(log, "name", "its log")
        raise Stop(f"'{' '.join(words[:4])}' failed; what it said stands in {name}.")


def require_cpu_torch(python: Path) -> None:
    """Return if torch is built without CUDA.

    Raises:
        Stop: it is not.
    """
    code = "import json, torch; print(json.dumps([torch.__version__, torch.version.cuda]))"
    asked = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise Stop(f"torch cannot be imported: {asked.stderr.strip()[-300:]}")
    version, cuda = json.loads(asked.stdout)
    if cuda is not None:
        raise Stop(CPU_TORCH.format(found=version))


def freeze(python: Path) -> Path:
    """Run PyInstaller; the bundle's folder."""
    say("running PyInstaller (some minutes); what it says stands in build/bundle/pyinstaller.log")
    with (WORK / "pyinstaller.log").open("w") as log:
        run_logged(
            log, python, "-m", "PyInstaller", "--noconfirm", "--distpath", DIST,
            "--workpath", WORK / "work", ROOT / "packaging" / "maquette.spec",
        )  # fmt: skip
    return DIST / "maquette"


def strip(bundle: Path) -> int:
    """Take out of the libraries what only debuggers read; bytes saved."""
    if not sys.platform.startswith("linux") or shutil.which("strip") is None:
        return 0
    return stripping.strip_all(bundle / "_internal")


def size(folder: Path) -> int:
    """Bytes of all files below a folder, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def parts(bundle: Path, most: int = 12) -> list[tuple[str, int]]:
    """The largest things in a bundle, with their bytes."""
    found = [
        (path.name, size(path) if path.is_dir() and not path.is_symlink() else path.lstat().st_size)
        for path in (bundle / "_internal").iterdir()
    ]
    return sorted(found, key=lambda one: -one[1])[:most]


def require_small(count: int) -> None:
    """Return if a bundle of so many bytes is no larger than it should be; on Linux only, where one was measured.

    Raises:
        Stop: it is.
    """
    if sys.platform.startswith("linux") and count > MOST:
        raise Stop(
            f"the bundle has {count / 2**20:.0f} MiB, more than {MOST / 2**20:.0f}: see which of the parts above has grown, "
            "leave out what nothing needs in packaging/contents.py, or raise MOST in packaging/bundle.py."
        )


def archive(bundle: Path) -> Path:
    """The bundle as ``dist/maquette-SYSTEM.tar.xz``."""
    path = DIST / f"maquette-{sys.platform}.tar.xz"
    say(f"packing {path.name} (some minutes)")
    with tarfile.open(path, "w:xz", preset=6) as tar:
        tar.add(bundle, bundle.name)
    return path


def main(arguments: list[str]) -> int:
    """Entry point; the exit status."""
    parser = argparse.ArgumentParser(description="Make a bundle of Maquette in dist/maquette.")
    parser.add_argument("--archive", action="store_true", help="also pack it (.tar.xz)")
    parser.add_argument(
        "--environment", type=Path, default=WORK / "env", help="virtual environment to build in"
    )
    words = parser.parse_args(arguments)
    if sys.platform.startswith("linux"):
        missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
        if missing:
            raise Stop(
                "PyInstaller needs " + " and ".join(missing) + " (Debian's names); install them."
            )
    WORK.mkdir(parents=True, exist_ok=True)
    python = make_environment(words.environment.absolute())
    bundle = freeze(python)
    saved = strip(bundle)
    say("collecting the licence notices")
    contents = WORK / "work" / "maquette" / "contents.json"
    run(python, ROOT / "packaging" / "notices.py", contents, bundle)
    lines = [f"{name:<28}{count / 2**20:8.1f} MiB" for name, count in parts(bundle)]
    print("\n".join(lines))
    count = size(bundle)
    say(f"{bundle}: {count / 2**20:.0f} MiB (strip took away {saved / 2**20:.0f})")
    require_small(count)
    if words.archive:
        packed = archive(bundle)
        say(f"{packed}: {packed.stat().st_size / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        print(f"[maquette] {stop}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
