"""Atomic writing and the sentences for errors of the operating system."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import Cancelled, ExportError
from engine.export.files import (
    atomic_folder,
    atomic_path,
    check_new_folder,
    check_writable,
    explain,
    make_folder,
    write_bytes,
)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder that this process really may not write, also where tests run as root."""
    outer = Path(tempfile.mkdtemp())
    outer.chmod(0o755)
    folder = outer / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if was_root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(outer)


def test_success_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("failure", [Cancelled, KeyboardInterrupt, ValueError, SystemExit])
def test_failure_keeps_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(failure), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise failure()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_os_error_inside_becomes_a_sentence(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    expected = pytest.raises(ExportError, match=r"a\.bin could not be written: the disk is full")
    with expected, atomic_path(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_link_is_followed(tmp_path: Path) -> None:
    real = tmp_path / "real.bin"
    real.write_bytes(b"old")
    link = tmp_path / "link.bin"
    link.symlink_to(real)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_unwritable_folder(locked_folder: Path) -> None:
    with pytest.raises(ExportError, match="you may not write there"):
        check_writable(locked_folder / "a.png")
    with pytest.raises(ExportError, match="you may not write there"):
        check_new_folder(locked_folder / "frames")
    with pytest.raises(ExportError, match="you may not write there"):
        write_bytes(locked_folder / "a.png", b"x")


def test_write_protected_file(locked_folder: Path) -> None:
    mine = Path(tempfile.mkdtemp())
    try:
        (mine / "a.png").write_bytes(b"keep")
        (mine / "a.png").chmod(0o444)
        with pytest.raises(ExportError, match="write-protected"):
            check_writable(mine / "a.png")
        assert (mine / "a.png").read_bytes() == b"keep"
    finally:
        shutil.rmtree(mine)


def test_impossible_targets(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"folder .*nowhere does not exist"):
        check_writable(tmp_path / "nowhere" / "a.png")
    with pytest.raises(ExportError, match="is a folder"):
        check_writable(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="is a file, not a folder"):
        check_writable(tmp_path / "file" / "a.png")
    with pytest.raises(ExportError, match="name is too long"):
        check_writable(tmp_path / ("x" * 300))
    with pytest.raises(ExportError, match="not an ordinary file"):
        check_writable("/dev/null")
    with pytest.raises(ExportError, match="empty or not a name"):
        check_writable("a\0b.png")
    assert names(tmp_path) == ["file"]


def test_checking_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"keep")
    assert check_writable(tmp_path / "a.png") == tmp_path / "a.png"
    assert check_new_folder(tmp_path / "frames") == tmp_path / "frames"
    assert names(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"keep"


def test_a_folder_is_made_with_those_around_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert make_folder(folder) == folder and folder.is_dir()
    (folder / "kept").write_text("x")
    make_folder(str(folder))
    assert (folder / "kept").read_text() == "x"


def test_a_folder_where_a_file_is_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("x")
    with pytest.raises(ExportError, match=r"letter cannot be made: a file of that name is there"):
        make_folder(tmp_path / "letter")
    with pytest.raises(ExportError, match=r"new cannot be made: part of that path is a file"):
        make_folder(tmp_path / "letter" / "new")


def test_a_folder_that_may_not_be_made(locked_folder: Path) -> None:
    with pytest.raises(ExportError, match=r"new cannot be made: you may not write there"):
        make_folder(locked_folder / "new")


def test_folder_appears_at_once(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    with atomic_folder(tmp_path / "frames") as folder:
        (folder / "1.png").write_bytes(b"1")
        assert names(tmp_path / "frames") == []
    assert names(tmp_path / "frames") == ["1.png"]
    assert names(tmp_path) == ["frames"]


def test_folder_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Cancelled), atomic_folder(tmp_path / "frames") as folder:
        (folder / "1.png").write_bytes(b"1")
        raise Cancelled()
    assert names(tmp_path) == []


def test_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "mine.txt").write_bytes(b"keep")
    with pytest.raises(ExportError, match="not empty"):
        check_new_folder(tmp_path / "frames")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="is a file"):
        check_new_folder(tmp_path / "file")


def test_every_sentence_is_one_line(tmp_path: Path) -> None:
    for code in errno.errorcode:
        sentence = str(explain(OSError(code, os.strerror(code)), tmp_path / "a"))
        assert sentence.endswith(".") and "\n" not in sentence and str(tmp_path) in sentence
