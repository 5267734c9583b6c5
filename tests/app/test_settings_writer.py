"""Settings are written by a thread of their own: at once, the newest last, and nothing waits for the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import settings_writer
from app.settings import Settings, load_settings, save_settings
from app.settings_writer import SettingsWriter
from engine.errors import UserError
from tests.app.bench import Bench


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))


class Disk:
    """A disk that takes its time: it writes when it is told to."""

    def __init__(self) -> None:
        self.free, self.begun = threading.Event(), threading.Event()
        self.written: list[Settings] = []
        self.fault = ""

    def save(self, settings: Settings, path: Path, base: Settings) -> None:
        self.begun.set()
        assert self.free.wait(60)
        if self.fault:
            raise UserError(self.fault)
        self.written.append(settings)
        save_settings(settings, path, base=base)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(settings_writer, "save_settings", disk.save)
    yield disk
    disk.free.set()


def test_a_slow_disk_holds_nobody_up_and_the_newest_is_written(disk: Disk) -> None:
    writer = SettingsWriter(Settings())
    writer.keep(Settings(ui_scale=1.5))
    assert disk.begun.wait(60)
    # Nothing has reached the disk, and the caller goes on all the same.
    for scale in (2.0, 2.5, 3.0):
        writer.keep(Settings(ui_scale=scale))
    assert not disk.written
    disk.free.set()
    writer.flush()
    assert [one.ui_scale for one in disk.written] == [1.5, 3.0]
    assert load_settings().settings.ui_scale == 3.0


def test_what_could_not_be_written_is_told_once_in_the_window_and_tried_again(
    disk: Disk, tmp_path: Path
) -> None:
    studio = Bench(tmp_path).studio
    disk.free.set()
    disk.fault = "The settings cannot be saved in /full (no space left on device)."
    studio.change_settings(Settings(ui_scale=2.0))
    studio.kept.flush()
    studio.poll()
    assert [notice.text for notice in studio.notices.notices] == [disk.fault]
    studio.notices.clear()
    studio.poll()
    assert not studio.notices.notices
    # The next change takes the lost one along: it is not taken for something that the file has.
    save_settings(Settings(theme="light"))
    disk.fault = ""
    studio.change_settings(Settings(ui_scale=2.0, device="cpu"))
    studio.kept.flush()
    assert load_settings().settings == Settings(ui_scale=2.0, device="cpu", theme="light")


def test_a_program_that_ends_has_written_them(tmp_path: Path) -> None:
    program = "SettingsWriter(Settings()).keep(Settings(ui_scale=2.0)); raise SystemExit(3)"
    assert _run(program).wait(60) == 3
    assert load_settings().settings.ui_scale == 2.0


def test_they_outlive_a_kill_while_the_window_works_on(tmp_path: Path) -> None:
    program = "SettingsWriter(Settings()).keep(Settings(ui_scale=2.0))\nwhile True: pass"
    process = _run(program)
    path = tmp_path / "config" / "settings.json"
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    assert load_settings().settings.ui_scale == 2.0


def _run(program: str) -> subprocess.Popen[bytes]:
    imports = "from app.settings import Settings\nfrom app.settings_writer import SettingsWriter\n"
    return subprocess.Popen([sys.executable, "-c", imports + program])
