"""What the tests cost: as a plugin of pytest it notes each test's time, as a command it adds them up.

    make test ARGS="-p tests.benchmarks.suite_times"
    python -m tests.benchmarks.suite_times [--least 2.0]

Processor time is that of the worker and of the processes that ended in a test. A window that many tests
share is counted where it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forks

ROOT = Path(__file__).parents[2]
NOTES = ROOT / "build" / "suite-times.jsonl"


def _processor() -> float:
    """Seconds of processor of this process and of its children that ended."""
    spent = os.times()
    own = spent.user + spent.system + spent.children_user + spent.children_system
    return own + forks.spent()


def pytest_configure(config: pytest.Config) -> None:
    """Begin anew, once for all workers."""
    if not hasattr(config, "workerinput"):
        NOTES.parent.mkdir(exist_ok=True)
        NOTES.write_text("")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note what one test takes, with what it sets up."""
    began, before = time.monotonic(), _processor()
    answer = yield
    line = [item.nodeid, round(time.monotonic() - began, 3), round(_processor() - before, 3)]
    with NOTES.open("a") as notes:
        notes.write(json.dumps(line) + "\n")
    return answer  # type: ignore[return-value]


def main() -> None:
    """Print the sums, and the files that are long."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.suite_times")
    parser.add_argument(
        "--least", type=float, default=2.0, help="seconds of processor of a long file"
    )
    least = parser.parse_args().least
    clock: Counter[str] = Counter()
    processor: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for line in NOTES.read_text().splitlines():
        name, seconds, spent = json.loads(line)
        file = name.partition("::")[0]
        for group in (file, "/".join(file.split("/")[:-1]) + "/", "all"):
            clock[group] += seconds
            processor[group] += spent
            tests[group] += 1
    print("| | tests | seconds | of processor |\n|---|---|---|---|")
    for group in sorted((g for g in tests if not g.endswith(".py")), key=lambda g: -processor[g]):
        print(f"| {group} | {tests[group]} | {clock[group]:.0f} | {processor[group]:.0f} |")
    print()
    for group in sorted(g for g in tests if g.endswith(".py") and processor[g] >= least):
        if "/gui/" not in group:
            print(f'    "{group}",')


if __name__ == "__main__":
    main()
