"""Searching a folder in a thread: what arrives, and how it is given up."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app import folder_search
from app.folder_search import FolderSearch
from engine.errors import UserError
from engine.folder_scan import Scan
from tests.app.harness import until


def finished(search: FolderSearch) -> FolderSearch:
    until(lambda: (search.poll(), search.folder is None)[1], "the end of the search")
    return search


def test_the_result_arrives_through_polling(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.pt").write_bytes(b"x")
    search = FolderSearch()
    assert search.poll() is False and search.result is None
    search.start(f" {tmp_path} ")
    assert search.folder == tmp_path
    result = finished(search).result
    assert result is not None and result.folders == search.folders == 2
    assert [f.path.name for f in result.found] == ["a.pt"] and search.error == ""


def test_a_folder_that_is_none_is_told_and_the_last_result_stays(tmp_path: Path) -> None:
    search = FolderSearch()
    search.start(str(tmp_path))
    first = finished(search).result
    search.start(str(tmp_path / "gone"))
    assert "no folder" in finished(search).error and search.result is first
    search.start(str(tmp_path))
    assert finished(search).error == ""
    with pytest.raises(UserError, match="Choose a folder"):
        search.start("  ")


def test_a_search_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, and by the next search; its thread ends, and what it found does not come."""
    entered, ended = threading.Semaphore(0), threading.Semaphore(0)

    def endless(folder: Path, check, progress) -> Scan:  # type: ignore[no-untyped-def]
        entered.release()
        try:
            while True:
                check()
        finally:
            ended.release()

    monkeypatch.setattr(folder_search, "scan", endless)
    search = FolderSearch()
    search.start(str(tmp_path))
    assert entered.acquire(timeout=20)
    search.cancel()
    assert ended.acquire(timeout=20) and search.folder is None and not search.poll()
    search.start(str(tmp_path))
    assert entered.acquire(timeout=20)
    monkeypatch.setattr(folder_search, "scan", lambda folder, *_: Scan(folder / "second"))
    search.start(str(tmp_path))
    assert ended.acquire(timeout=20)
    result = finished(search).result
    assert result is not None and result.folder == tmp_path / "second"


def test_a_fault_of_ours_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Scan:
        raise RuntimeError("oh")

    monkeypatch.setattr(folder_search, "scan", broken)
    search = FolderSearch()
    search.start(str(tmp_path))
    assert "RuntimeError: oh" in finished(search).error
