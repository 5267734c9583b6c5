"""When the engine looks for what is empty around a face (:mod:`engine.rendering.occupancy`): a slice of
some milliseconds at a time, while its full picture is shown and nothing else is wanted."""

from __future__ import annotations

from app.faults import sentence
from app.wire import Draw
from engine.draw import Painter


class SurveyWatch:
    """The faces of the newest request, as far as they have been looked at."""

    def __init__(self) -> None:
        self._done: Draw | None = None

    def due(self, request: Draw) -> bool:
        """Whether something of a request is left to look at."""
        return request is not self._done

    def step(self, painter: Painter, request: Draw) -> None:
        """Look at the next slice. After anything that fails the request's pictures stay as slow as they
        are."""
        shown = (request.recipe, request.reference if request.seen else None)
        try:
            # One after the other: a model looks at one face at a time.
            if all(painter.explore(recipe) for recipe in shown if recipe is not None):
                self._done = request
        except Exception as error:
            sentence("looking for what is empty", error, "engine")
            self._done = request
