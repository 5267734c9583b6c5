"""The Edit section's state, with a client that only notes what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.edit_memory import EditMemory
from app.editing import Editing
from app.messages import ModelLoaded
from app.settings import Settings
from app.studio import Studio
from tests.app.editing.bench import HEAD, REF, Client


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def studio(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path))
    made = Studio(client, Settings())  # type: ignore[arg-type]
    client.send(made, ModelLoaded(REF, HEAD, "cpu", 0.1))
    return made


@pytest.fixture
def editing(studio: Studio, tmp_path: Path) -> Iterator[Editing]:
    memory = EditMemory(tmp_path / "texts")
    studio.editing = Editing(studio, memory)
    yield studio.editing
    memory.close()
