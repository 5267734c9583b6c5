"""One screen and one running application for the tests of the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.gui.driver import App, screen


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    with screen() as name:
        yield name


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("window")


@pytest.fixture(scope="session")
def running(display: str, workplace: Path) -> Iterator[App]:
    tools = workplace / "bin"
    tools.mkdir()
    dialog = tools / "zenity"
    dialog.write_text(f'#!/bin/sh\ncat "{workplace}/answer"\n')
    dialog.chmod(0o755)
    model = workplace / "Study head.head"
    model.touch()
    app = App(workplace, display, model, extra_path=tools)
    try:
        app.wait("the first picture", lambda s: s["frame"] and s["engine"] == "READY", 60)
        yield app
    finally:
        app.close()
    log = app.log.read_text()
    assert "Traceback" not in log, log[-3000:]


@pytest.fixture
def app(running: App) -> App:
    """The application in a known state."""
    running.reset()
    return running
