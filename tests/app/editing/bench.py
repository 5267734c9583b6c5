"""A client that only notes what it is asked, for the tests of edits."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.edit_wire import TaskStep, Wish
from app.editing import Editing
from app.studio import Studio
from engine.editing.directions import Direction
from engine.edits import Offset
from engine.recipe import ModelRef, Recipe
from tests.app.gui.head_generator import HeadGenerator
from tests.app.test_studio import NotingClient

HEAD = HeadGenerator().capabilities
REF = ModelRef("a.head", "ab" * 32, "A")


class Tasks:
    """Notes what is asked of the process that finds edits."""

    def __init__(self) -> None:
        self.asked: list[tuple[Wish, Recipe, str]] = []
        self.stopped: list[int] = []

    def add(self, wish: Wish, recipe: Recipe, encoder: str = "") -> int:
        self.asked.append((wish, recipe, encoder))
        return len(self.asked)

    def stop(self, number: int) -> None:
        self.stopped.append(number)


class Thumbnails:
    def __init__(self) -> None:
        self.wanted: dict[str, list[tuple[str, Recipe]]] = {}

    def want(self, wanted: Any, part: str = "gallery") -> None:
        self.wanted[part] = list(wanted)


class Client(NotingClient):
    def __init__(self) -> None:
        super().__init__()
        self.tasks, self.thumbnails = Tasks(), Thumbnails()


def direction(name: str = "smiling", value: float = 1.0) -> Direction:
    return Direction(name, Offset.of(np.full((1, 6), value)), "text", "head", REF.sha256)


def drawn(client: Client) -> Recipe:
    """What the engine was asked to draw last."""
    return client.asked[-1][0]


def optimising(editing: Editing, studio: Studio, client: Client) -> None:
    editing.method = "optimise"
    editing.add_by_text("a beard", "")
    client.send(studio, TaskStep(1, 1, 40, Offset.of(np.full((1, 6), 0.1)), 0.1))
    client.send(studio, TaskStep(1, 2, 40, Offset.of(np.full((1, 6), 0.2)), 0.2))
