"""A studio with a desk, an engine that opens what it is told, and files in a folder."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from app import document as edits
from app.messages import ModelLoaded
from app.project import Project, write_project
from app.recovery import Recovery
from app.settings import Settings
from app.studio import Studio
from engine.recipe import ModelRef
from tests.app.test_recovery import until
from tests.app.test_studio import CAPABILITIES, Clock, NotingClient


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Bench:
    """A studio whose engine opens what it is told, with files in a folder."""

    def __init__(self, folder: Path, recovery: Recovery | None = None) -> None:
        self.folder, self.clock, self.client = folder, Clock(), NotingClient()
        self.studio = Studio(self.client, Settings(), self.clock, recovery)  # type: ignore[arg-type]
        self.desk = self.studio.desk

    def opened(self) -> ModelLoaded:
        """The engine has opened what it was asked for last."""
        path = self.client.opened[-1]
        data = Path(path).read_bytes() if path != "bundled" else b"bundled"
        event = ModelLoaded(ModelRef(path, sha(data), Path(path).stem), CAPABILITIES, "cpu", 1.0)
        self.client.send(self.studio, event)
        return event

    def start(self) -> None:
        self.studio.open_model("bundled")
        self.opened()

    def seed(self, seed: int) -> None:
        self.studio.edit("Seed", lambda d: edits.set_seed(d, seed))

    def choose(self, name: str) -> None:
        question = self.desk.talk.question
        assert question is not None, "nothing is asked"
        self.desk.talk.choose({c.name: c for c in question.choices}[name])

    def answer(self, path: object) -> None:
        prompt = self.desk.talk.prompt
        assert prompt is not None, "no path is asked for"
        prompt.answer(str(path))

    def searched(self) -> None:
        """Until the search for a model has ended."""

        def ended() -> bool:
            self.studio.poll()
            return not self.desk.opening.is_searching

        until(ended)

    def project(self, name: str, model: Path, seed: int) -> Path:
        """A project of a model that lies in the folder."""
        recipe = replace(
            edits.Document().recipe,
            seed=seed,
            model=ModelRef(str(model), sha(model.read_bytes()), model.stem),
            pose=replace(CAPABILITIES.default_pose, yaw=12.5),
        )
        path = self.folder / name
        write_project(path, Project(edits.Document(recipe, CAPABILITIES.default_pose)))
        return path

    @property
    def told(self) -> list[str]:
        return [notice.text for notice in self.studio.notices.notices]
