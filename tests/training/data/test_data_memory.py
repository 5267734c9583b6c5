"""How much several threads that look at pictures take at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from engine.training.data import decode as decode_module
from engine.training.data import scan as scan_module
from engine.training.data.allowance import Allowance
from engine.training.data.files import open_files
from engine.training.data.scan import scan
from tests.training.data.sets import picture, png, write_folder


def test_threads_share_what_they_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Allowance(2 * 16 * 16)
    held: list[int] = []
    looked = scan_module.look_of

    def look(picture: Image.Image) -> str:
        held.append(room.used)
        return looked(picture)

    given_back: list[int] = []
    monkeypatch.setattr(decode_module, "DECODING", room)
    monkeypatch.setattr(decode_module, "_LARGE", 1600)
    monkeypatch.setattr(decode_module, "give_back", lambda: given_back.append(room.used))
    monkeypatch.setattr(scan_module, "look_of", look)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    folder = write_folder(tmp_path / "set", 12)
    (folder / "00000" / "broken.png").write_bytes(png(picture(1, 16))[:-40])
    (folder / "00001" / "huge.png").write_bytes(png(picture(2, 40)))
    seen = scan(open_files(folder))
    assert [name for name, one in seen.items() if one.trouble] == ["00000/broken.png"]
    # One that is larger than the room has it alone; all is given back.
    assert max(size for size in held if size != 1600) <= 512 and 1600 in held and not room.used
    # Before the next one may begin: each thread has a heap of its own.
    assert given_back == [1600]


def test_a_share_waits_for_room() -> None:
    room, there, leave = Allowance(10), threading.Event(), threading.Event()

    def hold(amount: int) -> None:
        with room.share(amount):
            there.set()
            assert leave.wait(60)

    first = threading.Thread(target=hold, args=(6,))
    first.start()
    assert there.wait(60)
    there.clear()
    second = threading.Thread(target=hold, args=(5,))
    second.start()
    with room.share(4):
        assert room.used == 10 and not there.wait(0.1)
    leave.set()
    first.join()
    assert there.wait(60)
    second.join()
    assert room.used == 0
