"""Faces of the gallery by how well they fit a text. It knows neither the toolkit nor torch; the
process that finds edits looks at the faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.edit_wire import OrderFaces, TaskDone, TaskEvent, TaskFailed, TaskProgress
from engine.recipe import Recipe

if TYPE_CHECKING:
    from app.studio import Studio


@dataclass(frozen=True)
class Ranked:
    """A face to be ordered: its title and who it is."""

    title: str
    who: Recipe


class TextOrder:
    """See the module's docstring.

    Args:
        studio: the state behind the window.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._best: dict[str, tuple[Ranked, ...]] = {}
        self._asked: tuple[int, str, tuple[Ranked, ...]] | None = None
        #: What is being done, for people; empty while nothing is.
        self.doing = ""

    def best(self, tab: str) -> tuple[Ranked, ...] | None:
        """The faces of a tab, the best first; ``None`` for their own order."""
        return self._best.get(tab)

    def begin(self, tab: str, text: str, faces: Sequence[tuple[Ranked, Recipe]]) -> None:
        """Look at faces.

        Args:
            tab: whose they are.
            text: that they should fit; empty for their own order.
            faces: each with the recipe that draws it.
        """
        self.forget(tab)
        studio = self._studio
        if not faces:
            return
        wish = OrderFaces(" ".join(text.split()), tuple(recipe for _, recipe in faces))
        encoder = studio.settings.text_encoder
        number = studio.client.tasks.add(wish, studio.document.recipe, encoder)
        self._asked = (number, tab, tuple(one for one, _ in faces))
        self.doing = "Starting to look"

    def forget(self, tab: str) -> None:
        """Their own order again."""
        self.stop()
        self._best.pop(tab, None)

    def stop(self) -> None:
        """Look no further."""
        if self._asked is not None:
            self._studio.client.tasks.stop(self._asked[0])
            self._asked, self.doing = None, ""

    def take(self, event: TaskEvent) -> bool:
        """What the process tells; ``False`` if it is for somebody else."""
        if self._asked is None or event.number != self._asked[0]:
            return False
        _, tab, faces = self._asked
        if isinstance(event, TaskProgress):
            count = f": {event.done} of {event.total}" if event.total else ""
            self.doing = f"{event.doing}{count}"
            if event.note:
                self._studio.say(event.note, "warning", "order")
            return True
        self._asked, self.doing = None, ""
        if isinstance(event, TaskDone):
            self._best[tab] = tuple(faces[place] for place in event.order)
        elif isinstance(event, TaskFailed):
            self._studio.say(event.message, "error", "order")
        return True
