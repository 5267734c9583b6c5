"""One screen and one running application for the tests of the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.gui.driver import App
from tests.app.gui.screens import screen


@pytest.fixture(scope="session")
def shared_display() -> Iterator[str]:
    """The screen of the one window that most tests share."""
    with screen() as name:
        yield name


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A screen without that window, which would take keys and mouse."""
    with screen() as name:
        yield name


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("window")


@pytest.fixture(scope="session")
def running(shared_display: str, workplace: Path) -> Iterator[App]:
    tools = workplace / "bin"
    tools.mkdir()
    dialog = tools / "zenity"
    dialog.write_text(f'#!/bin/sh\ncat "{workplace}/answer"\n')
    dialog.chmod(0o755)
    model = workplace / "Study head.head"
    model.touch()
    with App(workplace, shared_display, model, extra_path=tools) as app:
        yield app


@pytest.fixture
def start(display: str, tmp_path: Path) -> Iterator[Callable[[], App]]:
    """Starts windows, one after the other, that remember the same things."""
    windows: list[App] = []
    model = tmp_path / "Study head.head"
    model.touch()

    def begin() -> App:
        app = App(tmp_path, display, model)
        windows.append(app)
        app.wait("the first picture", lambda s: s["frame"] and s["engine"] == "READY")
        app.settled()
        return app

    yield begin
    for app in windows:
        app.close()
        app.check_log()


@pytest.fixture
def app(running: App) -> App:
    """The application in a known state."""
    running.reset()
    return running
