"""The state of the engine, for people."""

from __future__ import annotations

from enum import Enum


class EngineState(Enum):
    """The state of the engine, in the words of the status line."""

    STARTING = "Starting the engine"
    OPENING = "Opening the model"
    DRAWING = "Drawing"
    READY = "Ready"
    EMPTY = "No model"
    RESTARTING = "Restarting the engine"
    DEAD = "Engine stopped"
