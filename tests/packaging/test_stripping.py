"""Libraries lose what only debuggers read, and nothing of what is loaded."""

from __future__ import annotations

import ctypes
import shutil
import stat
import struct
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.packaging.test_bundle import load

SOURCE = """
static int table[3] = {1, 2, 3};
int sum(void) { return table[0] + table[1] + table[2]; }
"""


@pytest.fixture
def stripping(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("stripping", monkeypatch)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A small library with names for debuggers."""
    (tmp_path / "sum.cpp").write_text(f'extern "C" {{{SOURCE}}}')
    path = tmp_path / "libs" / "libsum.so"
    path.parent.mkdir()
    words = ["g++", "-g", "-shared", "-fPIC", str(tmp_path / "sum.cpp"), "-o", str(path)]
    subprocess.run(words, check=True)
    path.chmod(0o755)
    return path


def test_a_library_is_smaller_and_works(stripping: ModuleType, library: Path) -> None:
    before, loaded = library.stat().st_size, stripping.loaded(library)
    (library.parent / "notes.txt").write_text("no library")
    (library.parent / "libsum.so.1").symlink_to("libsum.so")
    saved = stripping.strip_all(library.parent)
    assert saved > 0 and library.stat().st_size == before - saved
    assert stripping.loaded(library) == loaded
    assert ctypes.CDLL(str(library)).sum() == 6
    assert stat.S_IMODE(library.stat().st_mode) == 0o755
    assert {one.name for one in library.parent.iterdir()} == {
        "libsum.so", "libsum.so.1", "notes.txt",
    }  # fmt: skip
    # What has nothing left to lose stays.
    assert stripping.strip_all(library.parent) == 0


def _spoil(path: Path, find: bytes, by: bytes) -> None:
    data = path.read_bytes()
    assert find in data
    path.write_bytes(data.replace(find, by, 1))


@pytest.mark.parametrize("fault", ["contents", "alignment", "cut off", "status"])
def test_one_that_came_out_otherwise_is_not_taken(
    stripping: ModuleType, library: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    before, really = library.read_bytes(), subprocess.run

    def strip(words: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        done = really(words, capture_output=True, check=True)
        made = Path(words[words.index("-o") + 1])
        if fault == "contents":
            _spoil(made, b"\1\0\0\0\2\0\0\0\3\0\0\0", b"\1\0\0\0\2\0\0\0\4\0\0\0")
        elif fault == "alignment":
            data = bytearray(made.read_bytes())
            # The place in the file of the last part that is loaded, one byte on.
            table = int.from_bytes(data[32:40], "little")
            starts = range(table, table + 56 * data[56], 56)
            at = max(start for start in starts if data[start : start + 4] == b"\1\0\0\0")
            data[at + 8] += 1
            made.write_bytes(data)
        elif fault == "cut off":
            made.write_bytes(made.read_bytes()[:4096])
        else:
            done.returncode = 1
        return done

    monkeypatch.setattr(stripping.subprocess, "run", strip)
    assert stripping.strip(library) == 0
    assert library.read_bytes() == before
    assert [one.name for one in library.parent.iterdir()] == ["libsum.so"]


def test_what_a_thread_has_of_its_own_counts_in_steps_of_its_alignment(
    stripping: ModuleType, tmp_path: Path
) -> None:
    """What ``strip`` makes of torch's largest library: 31,496 bytes in place of 31,552, aligned to 64."""

    def with_size(name: str, size: int, address: int = 128) -> Path:
        header = struct.pack(
            "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0
        )
        whole = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 256, 256, 64)
        threads = struct.pack("<IIQQQQQQ", 7, 4, 128, address, 0, 8, size, 64)
        path = tmp_path / name
        path.write_bytes((header + whole + threads).ljust(256, b"\1"))
        return path

    linked = stripping.loaded(with_size("linked", 31_552))
    assert linked is not None
    assert stripping.loaded(with_size("stripped", 31_496)) == linked
    assert stripping.loaded(with_size("less", 31_488)) != linked
    assert stripping.loaded(with_size("more", 31_553)) != linked
    # Where it does not begin at a multiple of the alignment the system counts otherwise.
    assert stripping.loaded(with_size("a", 31_496, 132)) != stripping.loaded(with_size("b", 31_552, 132))  # fmt: skip


def test_what_is_no_library_for_64_bits_stays(stripping: ModuleType, tmp_path: Path) -> None:
    for name, data in (("short", b"\x7fELF"), ("32", b"\x7fELF\x01\x01" + bytes(200))):
        path = tmp_path / name
        path.write_bytes(data)
        assert stripping.loaded(path) is None and stripping.strip(path) == 0
        assert path.read_bytes() == data
    assert shutil.which("strip"), "the tests need binutils"
