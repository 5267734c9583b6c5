"""``python -m tests.fuzzing TARGET``; see docs/fuzzing.md."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzzing.targets import Target

#: Address space beyond what is taken once the target is loaded, bytes.
_SPACE = 3 << 30


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("target", help="a target, or 'all' with --plain")
    parser.add_argument("--runs", type=int, default=100_000, help="executions (default: 100000)")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most (default: 600)")
    parser.add_argument("--corpus", type=Path, default=None, help="folder of inputs, kept")
    parser.add_argument("--out", type=Path, default=None, help="folder of findings")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris and coverage")
    parser.add_argument("--replay", type=Path, nargs="*", help="only execute these files")
    options = parser.parse_args(words)

    from tests.fuzzing.targets import TARGETS, target

    names = list(TARGETS) if options.target == "all" and options.plain else [options.target]
    if not TARGETS.keys() >= set(names):
        parser.error(f"there is no target {options.target}; use one of {', '.join(TARGETS)}")
    guided = not options.plain and options.replay is None
    if guided and importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed (pip install -e .[fuzz]); --plain does without it")
    loading = contextlib.nullcontext()
    if guided:
        import atheris

        loading = atheris.instrument_imports(include=["engine", "app"])
    with loading:
        wanted = [(name, target(name)) for name in names]
    return max(_fuzzed(name, one, options, guided) for name, one in wanted)


def _fuzzed(name: str, wanted: Target, options: argparse.Namespace, guided: bool) -> int:
    """Fuzz one target; 1 if something was found."""
    from tests.fuzzing import runner

    memory = Path("/dev/shm")
    base = memory if memory.is_dir() else Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="maquette-fuzz-", dir=base) as folder:
        session = runner.Session(wanted, Path(folder), options.out)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = used + _SPACE if hard == resource.RLIM_INFINITY else min(used + _SPACE, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
        start = time.monotonic()

        def log() -> None:
            line = runner.summary(name, session, time.monotonic() - start)
            print(line, flush=True)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                (options.out / "counts.json").write_text(line + "\n")

        if options.replay is not None:
            for path in options.replay:
                finding = session.execute(path.read_bytes())
                print(path, finding.key if finding else "is fine")
        elif guided:
            corpus = options.corpus or Path(tempfile.mkdtemp(prefix="maquette-corpus-"))
            runner.run_atheris(session, options.runs, options.seconds, corpus, options.seed, log)
        else:
            runner.run_plain(session, options.runs, options.seconds, options.seed)
        log()
    for finding in session.findings.values():
        print(f"\n{finding.key}\n{finding.detail}", file=sys.stderr)
    return 1 if session.findings else 0


if __name__ == "__main__":
    sys.exit(main())
