"""Set Maquette up and start it, test it or check it: what the Makefile calls.

Needs nothing but a Python that can parse this file (3.8 or newer), finds one that can run
Maquette (3.11 or newer), makes ``.venv`` with it, installs what ``pyproject.toml`` asks for
in the versions of ``constraints.txt``, and then hands over. Missing system packages are
installed through apt where that needs no question (root, or sudo without a password);
otherwise the one line to run is printed and nothing is changed.

A stamp in ``.venv`` remembers what was set up, so that the next start takes no time.

    python3 packaging/bootstrap.py run [PATH] [--device cpu]
    python3 packaging/bootstrap.py test [pytest arguments]
    python3 packaging/bootstrap.py check | fast | setup
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "maquette-setup.json"
OLDEST = (3, 11)
#: Tried in this order; `python3` first, because it is what the machine's owner chose.
CANDIDATES = ("python3", "python", "python3.13", "python3.12", "python3.11", "python3.14")

#: (library that must load, or several of which one must; Debian and Ubuntu package). Dear PyGui links libX11; GLFW, inside
#: it, opens the others by name when the window is made.
WINDOW_LIBRARIES = (
    ("libstdc++.so.6", "libstdc++6"),
    ("libX11.so.6", "libx11-6"),
    ("libGL.so.1", "libgl1"),
    ("libGLX_mesa.so.0|libGLX_nvidia.so.0", "libglx-mesa0"),
    ("libXrandr.so.2", "libxrandr2"),
    ("libXi.so.6", "libxi6"),
    ("libXcursor.so.1", "libxcursor1"),
    ("libXinerama.so.1", "libxinerama1"),
    ("libXrender.so.1", "libxrender1"),
)
#: For drawing the training heads without a screen.
TEST_LIBRARIES = (
    ("libEGL.so.1", "libegl1"),
    ("libEGL_mesa.so.0", "libegl-mesa0"),
)
#: (program that must be found, package).
TEST_PROGRAMS = (
    ("Xvfb", "xvfb"),
    ("xauth", "xauth"),
    ("xdotool", "xdotool"),
    ("desktop-file-validate", "desktop-file-utils"),
    ("update-mime-database", "shared-mime-info"),
    ("ffprobe", "ffmpeg"),
    ("c++", "g++"),
    ("node", "nodejs"),
    ("npm", "npm"),
)
#: One more than cores: it waits for the window while the others compute (tests/sharing.py).
WORKERS = ("-n", "3")
#: Where Mesa keeps its software renderer, which no program can load by name.
MESA_DRIVERS = ("usr/lib/*/dri/*.so", "usr/lib/*/libgallium*.so", "usr/lib*/dri/*.so")


class Stop(Exception):
    """Ends the set-up with a sentence."""


def say(text: str) -> None:
    """One line of progress."""
    print("[maquette] " + text, flush=True)


def run(command: list[str], **options: object) -> None:
    """Run a command and stop if it fails."""
    result = subprocess.run([str(c) for c in command], cwd=str(ROOT), check=False, **options)  # type: ignore[call-overload]
    if result.returncode:
        raise Stop(
            "'{}' failed (see above); mend that and run this command again.".format(
                " ".join(str(c) for c in command[:5])
            )
        )


# --- system packages -------------------------------------------------------------------


def loads(library: str) -> bool:
    """Whether the dynamic linker finds a library. Asked in a child: loading a graphics
    driver into this process is not for free."""
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    return any(
        subprocess.run([sys.executable, "-c", code, one], stderr=subprocess.DEVNULL).returncode == 0
        for one in library.split("|")
    )


def missing_packages(testing: bool) -> list[str]:
    """Debian names of the system packages that are not here."""
    missing = [package for library, package in WINDOW_LIBRARIES if not loads(library)]
    if testing:
        if not any(list(Path("/").glob(pattern)) for pattern in MESA_DRIVERS):
            missing.append("libgl1-mesa-dri")
        missing += [package for library, package in TEST_LIBRARIES if not loads(library)]
        missing += [package for program, package in TEST_PROGRAMS if not shutil.which(program)]
    return missing


def administrator() -> list[str] | None:
    """Words to put before a command to run it as root without a question; ``None`` if that
    cannot be done."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        return [sudo, "-n"]
    return None


def install_packages(packages: list[str]) -> None:
    """Install system packages through apt, or stop with the line to run."""
    if not packages:
        return
    words = "apt-get install -y --no-install-recommends " + " ".join(packages)
    if not shutil.which("apt-get"):
        raise Stop(
            "these system packages are missing (Debian's names), install them and run this "
            "again: " + " ".join(packages)
        )
    prefix = administrator()
    if prefix is None:
        raise Stop("system packages are missing; run this line, then try again:\n  sudo " + words)
    say("installing system packages: " + " ".join(packages))
    quiet = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive"]
    run([*quiet, "apt-get", "update", "-q"], stdout=subprocess.DEVNULL)
    run([*quiet, *words.split(), "-q"], stdout=subprocess.DEVNULL)


# --- Python ----------------------------------------------------------------------------


def python_facts(candidate: str) -> dict[str, object] | None:
    """Version of an interpreter and whether it can make virtual environments."""
    code = (
        "import json, sys, importlib.util as u;"
        "print(json.dumps({'version': list(sys.version_info[:2]), 'path': sys.executable,"
        "'venv': all(u.find_spec(m) for m in ('venv', 'ensurepip'))}))"
    )
    try:
        answer = subprocess.run(
            [candidate, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        ).stdout
        facts = json.loads(answer)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return facts if tuple(facts["version"]) >= OLDEST else None


def find_python() -> dict[str, object]:
    """Facts of an interpreter that can run Maquette; one that can make environments by itself
    comes first."""
    wanted = os.environ.get("PYTHON")
    found = [f for f in map(python_facts, [wanted] if wanted else CANDIDATES) if f]
    if not found:
        raise Stop(
            "Python 3.11 or newer was not found; install it (Debian 12 and Ubuntu 24.04 carry "
            "it as python3), or name one: make run PYTHON=/path/to/python3.12"
        )
    return next((f for f in found if f["venv"]), found[0])


def venv_package(facts: dict[str, object]) -> str:
    """Debian's package that lets an interpreter make environments."""
    return "python{}.{}-venv".format(*facts["version"])  # type: ignore[misc]


def fingerprint() -> str:
    """Changes when the environment must be made again."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("pyproject.toml", "constraints.txt", "packaging/bootstrap.py"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def compiled_code() -> str:
    """Changes when what is compiled for this processor must be compiled anew."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "engine" / "kernels").glob("cpu*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_stamp() -> dict[str, object]:
    """What an earlier set-up left; empty if there was none."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_ready(testing: bool) -> bool:
    """Whether an earlier set-up still holds."""
    stamp = read_stamp()
    same = stamp.get("fingerprint") == fingerprint() and PYTHON.exists()
    return same and (stamp.get("testing") or not testing)


def environment_works() -> bool:
    """Whether there is a ``.venv`` whose Python still runs and has pip."""
    return (VENV / "bin" / "pip").exists() and python_facts(str(PYTHON)) is not None


def make_environment(testing: bool) -> None:
    """Create or refresh ``.venv``."""
    if not environment_works():
        python = find_python()
        if not python["venv"]:
            raise Stop(
                "this Python cannot make virtual environments; install " + venv_package(python)
            )
        say("creating .venv with {}".format(python["path"]))
        shutil.rmtree(VENV, ignore_errors=True)
        run([str(python["path"]), "-m", "venv", str(VENV)])
    STAMP.unlink(missing_ok=True)
    pip = [
        str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check",
        "-c", str(ROOT / "constraints.txt"),
    ]  # fmt: skip
    if not sys.stdout.isatty():
        pip.append("-q")
    say("installing Python packages (the first time this takes some minutes)")
    run([*pip, "setuptools", "wheel"])
    extras = "[dev,train]" if testing else ""
    # Without isolation: the build backend is the pinned one, and nothing is fetched twice.
    run([*pip, "--no-build-isolation", "-e", str(ROOT) + extras])
    compile_code()


def compile_code() -> None:
    """Compile what is kept on disk, so that the first picture does not wait for it."""
    run([str(PYTHON), "-m", "compileall", "-q", "app", "engine"])
    run([str(PYTHON), "-m", "engine.kernels.cpu"])


def install_node_packages() -> None:
    """The Khronos glTF validator, for the mesh tests."""
    folder = ROOT / "tests" / "export" / "gltf"
    if not (folder / "package.json").exists():
        return
    locked = (folder / "package-lock.json").exists()
    say("installing the glTF validator")
    run(["npm", "--prefix", str(folder), "ci" if locked else "install", "--no-audit", "--no-fund"])


def set_up(testing: bool) -> None:
    """Everything that a first start needs; nothing if it was done before."""
    stamp = read_stamp()
    if is_ready(testing):
        if stamp.get("compiled") != compiled_code():
            say("compiling what draws, since its code has changed")
            compile_code()
            STAMP.write_text(json.dumps({**stamp, "compiled": compiled_code()}))
        return
    missing = missing_packages(testing)
    if not environment_works():
        python = find_python()
        if not python["venv"]:
            missing.insert(0, venv_package(python))
    install_packages(missing)
    make_environment(testing)
    if testing:
        install_node_packages()
    facts = {"fingerprint": fingerprint(), "testing": testing, "compiled": compiled_code()}
    STAMP.write_text(json.dumps(facts))
    say("ready")


# --- commands --------------------------------------------------------------------------


def lint() -> list[str]:
    """Run the linters; names of those that failed."""
    steps = (
        ("ruff check", ["-m", "ruff", "check", "."]),
        ("ruff format", ["-m", "ruff", "format", "--check", "."]),
    )
    failed = []
    for name, command in steps:
        say(name)
        if subprocess.run([str(PYTHON), *command], cwd=str(ROOT), check=False).returncode:
            failed.append(name)
    return failed


def check_types(beside: bool = False) -> str:
    """Run the type checker; what it has to say if it failed, else nothing.

    Args:
        beside: it works behind the tests, on a thread of its own, and steps back for them.
    """
    if beside and sys.platform == "linux":
        # Of this thread alone there, and of what it starts.
        os.nice(10)
    done = subprocess.run(
        [str(PYTHON), "-m", "mypy"], cwd=str(ROOT), check=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout.decode(errors="replace") or "mypy failed"


def pytest_environment() -> dict[str, str]:
    """One thread a worker: more only fight each other."""
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    # Every worker, and every process that a test starts, would compile the tests anew.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def compile_tests() -> None:
    """Have pytest compile the tests where it never did: else every worker would, all at the same time."""
    if any((ROOT / "tests" / "__pycache__").glob("*-pytest-*.pyc")):
        return
    say("compiling the tests")
    command = [str(PYTHON), "-m", "pytest", "--collect-only", "-qq"]
    subprocess.run(
        command, cwd=str(ROOT), env=pytest_environment(), check=False, stdout=subprocess.DEVNULL
    )


def tests(arguments: list[str]) -> int:
    """Run pytest; its exit status."""
    say("pytest " + " ".join(arguments))
    command = [str(PYTHON), "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=str(ROOT), env=pytest_environment(), check=False).returncode


def main(arguments: list[str]) -> int:
    """Entry point; returns the exit status."""
    task, rest = (arguments[0], arguments[1:]) if arguments else ("run", [])
    if task not in ("run", "setup", "test", "check", "fast"):
        raise Stop(f"unknown task {task!r}; use run, setup, test, check or fast.")
    set_up(testing=task in ("test", "check", "fast"))
    if task == "run":
        os.execv(str(VENV / "bin" / "maquette"), ["maquette", *rest])
    if task == "setup":
        return 0
    if task == "check":
        failed = lint()
        say("mypy")
        said = check_types()
        print(said, end="")
        return 1 if failed or said else 0
    if task == "fast":
        # None of them waits, so that there are as many workers as cores.
        return tests(["-n", "2", "--fast", "-m", "not slow and not gui and not cuda", *rest])
    failed = lint()
    with ThreadPoolExecutor(1) as thread:
        say("mypy, beside the tests")
        types = thread.submit(check_types, True)
        compile_tests()
        status = tests([*WORKERS, *rest])
        said = types.result()
    if said:
        failed.append("mypy")
    if failed:
        # pytest's own closing line stays the last one of the output.
        print(said + "[maquette] failed: " + ", ".join(failed), file=sys.stderr)
    return status or (1 if failed else 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        print(f"[maquette] {stop}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
