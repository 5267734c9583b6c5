"""Executing a target over and over, with atheris or without, and keeping what was found."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

from tests.fuzzing.targets import Target
from tests.fuzzing.values import mutate_bytes
from tests.fuzzing.watch import Finding, Watch

#: Executions between two looks at the memory that the process keeps, and how much more than after
#: the seeds it may keep, bytes.
_LOOK, MOST_KEPT = 5000, 400 << 20


@dataclass
class Session:
    """One target and all that happened to it.

    Attributes:
        target: what is executed. folder: where its files lie. out: where findings are kept, or
            ``None``.
        count: executions so far. findings: by their keys, the first of each.
    """

    target: Target
    folder: Path
    out: Path | None = None
    count: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.target.prepare()
        self._watch = Watch(self.folder.resolve(), self.target.names, self.target.may_write)
        self._base = 0
        # What is imported or compiled at a first use belongs to the program, not to an input.
        for seed in self.target.seeds():
            self._execute(seed)
        self._base = _kept()

    def execute(self, data: bytes) -> Finding | None:
        """Run one input; a finding is kept."""
        finding = self._execute(data)
        self.count += 1
        if finding is None and self.count % _LOOK == 0 and _kept() > self._base + MOST_KEPT:
            finding = Finding("memory kept", f"{(_kept() - self._base) >> 20} MiB")
        if finding is not None and finding.key not in self.findings:
            self.findings[finding.key] = finding
            self._keep(data, finding)
        return finding

    def _execute(self, data: bytes) -> Finding | None:
        self.target.place(data, self.folder)
        return self._watch.judge(lambda: self.target.read(self.folder))

    def _keep(self, data: bytes, finding: Finding) -> None:
        if self.out is None:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        name = sha256(finding.key.encode()).hexdigest()[:12]
        (self.out / f"{name}.bin").write_bytes(data)
        (self.out / f"{name}.txt").write_text(
            f"{finding.key}\n{finding.detail}\n", encoding="utf-8", errors="backslashreplace"
        )


def run_plain(session: Session, runs: int, seconds: float, seed: int) -> None:
    """Without coverage: seeds, and mutations of them and of each other."""
    random = Random(seed)
    pool = session.target.seeds()
    for data in pool:
        session.execute(data)
    end = time.monotonic() + seconds
    while session.count < runs and time.monotonic() < end:
        data = random.choice(pool)
        for _ in range(random.choice((1, 1, 2, 3))):
            data = session.target.mutate(data, random, mutate_bytes)[: session.target.longest]
        session.execute(data)
        if random.random() < 0.02:
            pool[random.randrange(len(pool)) if len(pool) > 400 else len(pool) :] = [data]


def run_atheris(
    session: Session, runs: int, seconds: float, corpus: Path, seed: int, log: Callable[[], None]
) -> None:
    """Guided by coverage. Does not return: libFuzzer ends the process.

    Args:
        corpus: folder of inputs that reached something new; seeds are added to it.
        log: called now and then and at the end.
    """
    import atheris

    for place in (corpus, session.out or corpus):
        place.mkdir(parents=True, exist_ok=True)
    for data in session.target.seeds():
        (corpus / f"seed-{sha256(data).hexdigest()[:16]}").write_bytes(data)
    longest = session.target.longest
    end = time.monotonic() + seconds

    def one(data: bytes) -> None:
        session.execute(data)
        if session.count % 1000 == 0:
            log()
        if session.count >= runs or (session.count % 100 == 0 and time.monotonic() > end):
            log()
            os._exit(1 if session.findings else 0)

    def custom(data: bytes, most: int, seed: int) -> bytes:
        def other(part: bytes, random: Random) -> bytes:
            made: bytes = atheris.Mutate(bytes(part) or b"\0", max(len(part) + 64, 64))
            return made

        random = Random(seed)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            data = session.target.mutate(bytes(data), random, other)
        return data[: min(most, longest)]

    options = [
        "fuzz", str(corpus), f"-max_len={longest}", f"-seed={seed}", "-timeout=120",
        "-rss_limit_mb=0", "-print_final_stats=0", "-verbosity=0", "-len_control=0",
        f"-artifact_prefix={session.out or corpus}/",
    ]  # fmt: skip
    atheris.Setup(options, one, custom_mutator=custom)
    atheris.Fuzz()


def summary(name: str, session: Session, seconds: float) -> str:
    """What happened so far, as a line of JSON."""
    return json.dumps(
        {
            "target": name,
            "executions": session.count,
            "seconds": round(seconds, 1),
            "findings": sorted(session.findings),
        }
    )


def _kept() -> int:
    """Memory of this process, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
