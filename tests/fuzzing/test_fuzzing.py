"""That the targets hold over their seeds and some hundred mutations, and that the harness notices
what it is there for."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from engine.errors import UserError
from tests.fuzzing import watch as watch_module
from tests.fuzzing.containers import (
    Part,
    joined,
    mutate_zip,
    pickle_parts,
    png_chunks,
    png_of,
    split,
    unzip,
    zipped,
)
from tests.fuzzing.runner import Session, run_plain
from tests.fuzzing.targets import TARGETS
from tests.fuzzing.values import Mutator, mutate_bytes, mutate_json
from tests.fuzzing.watch import Watch

ROOT = Path(__file__).parents[2]
#: Executions of each target, in a process of its own: targets lower the bounds of the readers.
RUNS = 300


def test_every_target_holds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", "all", "--plain", "--runs", str(RUNS),
         "--seconds", "200", "--out", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    counts = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["target"] for one in counts] == list(TARGETS)
    assert all(one["executions"] >= RUNS and one["findings"] == [] for one in counts)


# What the watch sees ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("watch").resolve()
    inside, outside = base / "inside", base / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "given").write_bytes(b"x")
    (outside / "secret").write_bytes(b"x")
    return inside, outside


@pytest.fixture(scope="module")
def watch(places: tuple[Path, Path]) -> Iterator[Watch]:
    # One for all tests: a hook stays until the process ends.
    yield Watch(places[0], ("given",), ("kept",))


def _raise(error: Exception) -> Callable[[Path, Path], None]:
    def misdeed(inside: Path, outside: Path) -> None:
        raise error

    return misdeed


MISDEEDS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "another error": (_raise(KeyError("x")), "KeyError in"),
    "no full stop": (_raise(UserError("It is wrong")), "no full stop"),
    "reads elsewhere": (lambda _, o: (o / "secret").read_bytes(), "event open"),
    "lists elsewhere": (lambda _, o: list(o.iterdir()), "event os."),
    "reads through a way out": (lambda i, _: (i / "../outside/secret").read_bytes(), "event open"),
    "writes elsewhere": (lambda _, o: (o / "new").write_bytes(b""), "event open for writing"),
    "writes to what was given": (lambda i, _: (i / "given").write_bytes(b"x"), "for writing"),
    "leaves a file": (lambda i, _: os.close(os.open(i / "new", os.O_CREAT)), "for writing"),
    "removes": (lambda _, o: (o / "gone").unlink(missing_ok=True), "event os.remove"),
    "makes a folder": (lambda i, _: (i / "folder").mkdir(exist_ok=True), "event os.mkdir"),
    "imports": (lambda *_: __import__("this_is_no_module_at_all"), "ModuleNotFoundError"),
    "runs code": (lambda *_: eval("1 + 1"), "event compile"),
    "runs a program": (lambda *_: subprocess.run(["true"], check=False), "event"),
    "asks the network": (lambda *_: socket.socket().close(), "event socket"),
}


@pytest.mark.parametrize("name", MISDEEDS)
def test_misdeeds_are_noticed(watch: Watch, places: tuple[Path, Path], name: str) -> None:
    inside, outside = places
    misdeed, says = MISDEEDS[name]

    def read() -> None:
        misdeed(inside, outside)

    finding = watch.judge(read)
    assert finding is not None and says in finding.key


def test_what_readers_do_is_no_misdeed(watch: Watch, places: tuple[Path, Path]) -> None:
    inside, _ = places

    def read() -> None:
        (inside / "given").read_bytes()
        list(inside.iterdir())
        (inside / "kept").write_bytes(b"x")
        raise UserError("It is damaged; copy it again.")

    assert watch.judge(read) is None and watch.judge(lambda: None) is None
    assert [path.name for path in inside.iterdir()] == ["given"]


def test_memory_and_time_are_noticed(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [1 << 40]
    monkeypatch.setattr(watch_module, "_highest", lambda: held[-1])
    finding = watch.judge(lambda: held.append(2 << 40))
    assert finding is not None and finding.key == "memory"
    # The fuzzer's own, between two executions.
    held.append(3 << 40)
    assert watch.judge(lambda: None) is None
    monkeypatch.setattr(watch_module, "MOST_SECONDS", -1.0)
    finding = watch.judge(lambda: None)
    assert finding is not None and finding.key == "slow"


class _Careless:
    """A reader with a fault behind a header and a number."""

    names: tuple[str, ...] = ("x",)
    may_write: tuple[str, ...] = ()
    longest = 100

    def prepare(self) -> None:
        pass

    def seeds(self) -> list[bytes]:
        return [b'{"head": 1, "size": 4}']

    def place(self, data: bytes, folder: Path) -> None:
        (folder / "x").write_bytes(data)

    def read(self, folder: Path) -> None:
        try:
            data = json.loads((folder / "x").read_bytes())
        except (ValueError, RecursionError) as error:
            raise UserError("It is no JSON.") from error
        if isinstance(data, dict) and data.get("head") == 1 and data.get("size") == 0:
            raise ZeroDivisionError

    def mutate(self, data: bytes, random: Random, other: Mutator) -> bytes:
        return mutate_json(data, random, other)


def test_a_fault_behind_a_header_is_found_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    session = Session(_Careless(), folder, tmp_path / "out")
    run_plain(session, 1500, 200.0, seed=1)
    assert list(session.findings) == ["ZeroDivisionError in test_fuzzing.py:read"]
    (kept,) = (tmp_path / "out").glob("*.bin")
    assert json.loads(kept.read_bytes())["size"] == 0
    assert "ZeroDivisionError" in kept.with_suffix(".txt").read_text()


# Taking apart and putting together -----------------------------------------------------------


def test_archives_come_back() -> None:
    parts = (Part(b"a/b.png", b"x" * 1000, 8), Part(b"c", b"", 0), Part(b"d", b"y", 0, 0, 5 << 16))
    data = zipped(parts)
    assert unzip(data) == parts
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert [archive.read(info) for info in archive.infolist()] == [p.data for p in parts]


def test_what_others_write_is_taken_apart() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b'{"a": 1}')
    assert [(p.name, p.data) for p in unzip(stream.getvalue()) or ()] == [(b"a.json", b'{"a": 1}')]
    image = io.BytesIO()
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(image, "PNG")
    chunks = png_chunks(image.getvalue())
    assert chunks is not None and png_of(list(chunks)) == image.getvalue()
    assert unzip(b"no archive") is None and png_chunks(b"no picture") is None


def test_pickles_and_pairs_come_back() -> None:
    import pickle

    data = pickle.dumps({"a": [1, "x"]}, 2) + pickle.dumps(3, 2) + b"tail"
    parts, tail = pickle_parts(data)
    assert b"".join(parts) + tail == data and tail == b"tail" and len(parts) > 10
    assert split(joined(b"ab", b"cd")) == (b"ab", b"cd")


def test_the_same_seed_makes_the_same_inputs() -> None:
    data = zipped([Part(b"a.json", b'{"a": [1, 2, {"b": null}]}', 8)])

    def made(seed: int) -> list[bytes]:
        random = Random(seed)
        change = lambda name, part, r: mutate_json(part, r, mutate_bytes)  # noqa: E731
        return [mutate_zip(data, random, mutate_bytes, change) for _ in range(50)]

    assert made(1) == made(1) != made(2) and len(set(made(1))) > 30
