"""How long a start takes: from the process to the first painted frame and to the first picture of the model.

    python -m tests.benchmarks.bench_start [--count 5] [--program PATH] [--imports] [--out FILE.json]

Starts the real window on a virtual screen of its own, as often as is said, with the same settings, so that every
start but the first (which is not counted) is a second start. The window notes when it painted (:mod:`app.timing_hook`);
both read the same clock. Seconds depend on what else the machine does; the processor's time of the window and of
the engine, until the picture was seen to be there, hardly does. ``--imports`` counts the processor's time of what
each process imports, without a screen.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.app.gui.driver import ROOT
from tests.app.gui.screens import screen

PATIENCE = 300.0
#: What each process imports before it does anything.
IMPORTS = {
    "window": "import app.cli.main, app.cli.window, app.window",
    "engine": "import app.processes, app.worker",
}


@dataclass(frozen=True)
class Start:
    """One start, in seconds.

    Attributes:
        frame: until the first frame of the window was painted.
        picture: until a frame with the first full picture of the model was.
        window_cpu, engine_cpu: processor time of both processes until then; what children of theirs
            that had ended by then used counts, too.
    """

    frame: float
    picture: float
    window_cpu: float
    engine_cpu: float


def moments(notes: Sequence[Sequence[Any]]) -> tuple[float, float] | None:
    """When the first frame and the first full picture were painted; ``None`` before both were.

    Args:
        notes: of :mod:`app.timing_hook`.
    """
    frames = [note[2] for note in notes if note[0] == "loop"]
    pictures = [note[2] for note in notes if note[0] == "shown" and note[4]]
    return (min(frames), min(pictures)) if frames and pictures else None


def cpu_seconds(process: int) -> float:
    """Processor time of a process and of its children that ended; 0 if it is not there (Linux)."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def children(process: int) -> list[int]:
    """Process ids of the children of a process (Linux)."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/children")]
    except OSError:
        return []
    return [int(number) for text in lists for number in text.split()]


def with_bytecode(folder: Path) -> dict[str, str]:
    """The environment of a second start: Python keeps the modules it has compiled, here in ``folder``."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def start(program: Sequence[str], folder: Path, display: str) -> Start:
    """Start the window once, and close it.

    Raises:
        RuntimeError: it ended, or no picture came.
    """
    notes = folder / "times.jsonl"
    notes.unlink(missing_ok=True)
    environment = {
        **with_bytecode(folder),
        "DISPLAY": display,
        "MAQUETTE_CONFIG_DIR": str(folder / "config"),
        "MAQUETTE_TEST_TIMES": str(notes),
    }
    with (folder / "window.log").open("w") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            list(program), cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while time.monotonic() - began < PATIENCE:
            if process.poll() is not None:
                raise RuntimeError(
                    f"the window ended: {(folder / 'window.log').read_text()[-2000:]}"
                )
            text = notes.read_text() if notes.exists() else ""
            found = moments([json.loads(line) for line in text.split("\n")[:-1]])
            if found is not None:
                others = sum(cpu_seconds(child) for child in children(process.pid))
                own = cpu_seconds(process.pid)
                return Start(found[0] - began, found[1] - began, own, others)
            time.sleep(0.05)
        raise RuntimeError("no picture came")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def imports(count: int) -> dict[str, float]:
    """Processor seconds of each process's imports, interpreter included: the median of ``count``."""
    found = {}
    with tempfile.TemporaryDirectory() as spare:
        environment = with_bytecode(Path(spare))
        for name, code in IMPORTS.items():
            seconds = []
            for _ in range(count + 1):
                before = os.times()
                subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
                after = os.times()
                seconds.append(
                    after.children_user + after.children_system
                    - before.children_user - before.children_system
                )  # fmt: skip
            # The first one compiled.
            found[name] = statistics.median(seconds[1:])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=5, help="starts that are counted")
    parser.add_argument(
        "--program", type=Path, help="what to start; this checkout's window if none"
    )
    parser.add_argument("--imports", action="store_true", help="only what is imported")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    words = parser.parse_args(arguments)
    if words.imports:
        facts: dict[str, Any] = {"imports_cpu": imports(words.count)}
        for name, seconds in facts["imports_cpu"].items():
            print(f"{name:<8} imports: {seconds:.2f} s of the processor")
    else:
        program = (
            [str(words.program.absolute())] if words.program else [sys.executable, "-m", "app"]
        )
        with screen() as display, tempfile.TemporaryDirectory() as spare:
            (Path(spare) / "config").mkdir()
            starts = [start(program, Path(spare), display) for _ in range(words.count + 1)][1:]
        medians = {
            name: statistics.median(getattr(s, name) for s in starts) for name in asdict(starts[0])
        }
        facts = {"medians": medians, "starts": [asdict(one) for one in starts]}
        print(
            f"median of {words.count} starts: first frame {medians['frame']:.2f} s, first picture "
            f"{medians['picture']:.2f} s; processor time until then: window "
            f"{medians['window_cpu']:.2f} s, engine {medians['engine_cpu']:.2f} s"
        )
    if words.out:
        words.out.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
