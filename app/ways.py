"""Ways to edit that come from the model itself: its components, each with small pictures of what
it does to the present face.

It knows neither the toolkit nor torch. The components are found by the process that finds edits,
the pictures are drawn by the idle engine.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.edit_wire import FindWays, TaskDone, TaskEvent, TaskFailed, TaskProgress, TaskStopped, Ways
from app.gallery import key_of
from app.messages import ThumbnailReady
from engine.editing.directions import Direction
from engine.recipe import Recipe

if TYPE_CHECKING:
    from app.studio import Studio

TABS: dict[Ways, tuple[str, str]] = {
    "pca": ("How people differ", "Principal components of the model's people, the largest first"),
    "sefa": ("What layers answer to", "Factors of the layers' own weights, the strongest first"),
}
#: Ways on a page, and pages.
PAGE, PAGES = 12, 5
#: How far the small pictures go, standard deviations.
SIGMA = 2.0
#: Pictures that stay in memory: both of every way there is.
_PART, _KEPT = "ways", 2 * PAGE * PAGES
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Way:
    """One way with its two pictures, ``[S, S, 3]`` or ``None`` while they are to come."""

    direction: Direction
    less: Pixels | None
    more: Pixels | None


class WaysOfModel:
    """See the module's docstring.

    Args:
        studio: the state behind the window.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.is_open = False
        self.kind: Ways = "pca"
        self.page = 0
        #: What goes wrong, or is being done.
        self.note = ""
        self._found: dict[tuple[object, ...], tuple[Direction, ...]] = {}
        self._asked: dict[int, tuple[object, ...]] = {}
        self._pictures: OrderedDict[str, Pixels] = OrderedDict()
        self._failed: set[str] = set()
        self._revision = -1
        #: What :attr:`note` is about, or was shown last.
        self._last: tuple[object, ...] = ()

    # What it shows ----------------------------------------------------------------------

    def ways(self) -> list[Way]:
        """Those of the present page."""
        found = self._directions[self.page * PAGE : (self.page + 1) * PAGE]
        return [
            Way(d, self._picture(d, -SIGMA), self._picture(d, SIGMA)) for d in found
        ]  # fmt: skip

    @property
    def pages(self) -> int:
        """How many there are, one at least."""
        return max(1, -(-len(self._directions) // PAGE))

    @property
    def is_looking(self) -> bool:
        """Whether the ways are being looked for."""
        return self._key in self._asked.values()

    @property
    def waiting(self) -> int:
        """How many pictures of the page are still to come."""
        if not self.is_open:
            return 0
        return sum(key not in self._pictures for key, _ in self._wanted())

    @property
    def _key(self) -> tuple[object, ...]:
        """What the ways follow from."""
        recipe = self._studio.document.recipe
        swap = recipe.swap if recipe.swap is not None and recipe.swap.changes else None
        return (self.kind, recipe.model.sha256, recipe.settings, swap)

    @property
    def _directions(self) -> tuple[Direction, ...]:
        return self._found.get(self._key, ())

    def recipe(self, direction: Direction, strength: float) -> Recipe:
        """The present face, from the front, with one more edit."""
        document = self._studio.document
        shown = replace(document.recipe, pose=document.home, view="picture", transparent=False)
        return replace(shown, edits=(*shown.edits, direction.edit(strength)))

    def _picture(self, direction: Direction, strength: float) -> Pixels | None:
        return self._pictures.get(self._name(direction, strength))

    def _name(self, direction: Direction, strength: float) -> str:
        return f"{_PART}/{key_of(self.recipe(direction, strength))}"

    # What it is told --------------------------------------------------------------------

    def open(self) -> None:
        """Begin to look."""
        # What failed before may work now.
        self.is_open, self.note, self._revision = True, "", -1
        self._studio.touch()

    def close(self) -> None:
        """Draw no more."""
        if self.is_open:
            self.is_open = False
            self._studio.client.thumbnails.want((), _PART)
            self._studio.touch()

    def choose(self, kind: Ways) -> None:
        """Show ways of the other kind."""
        self.kind, self.page, self.note, self._revision = kind, 0, "", -1
        self._studio.touch()

    def turn(self, by: int) -> None:
        """So many pages on (or back, below 0)."""
        self.page = min(max(self.page + by, 0), self.pages - 1)
        self._revision = -1
        self._studio.touch()

    def poll(self) -> None:
        """Ask for what the page lacks; call often."""
        studio = self._studio
        if not self.is_open or studio.model is None or studio.history.gesture is not None:
            return
        if self._revision != studio.revision:
            self._revision = studio.revision
            self._refresh()

    def take(self, event: ThumbnailReady) -> bool:
        """What the engine has drawn; ``False`` if it is for somebody else."""
        if not event.key.startswith(f"{_PART}/"):
            return False
        self._revision = -1
        if event.image is not None:
            self._pictures[event.key] = event.image
            while len(self._pictures) > _KEPT:
                self._pictures.popitem(last=False)
        elif event.tried:
            self._failed.add(event.key)
        return True

    def take_found(self, event: TaskEvent) -> None:
        """What the process that finds edits tells."""
        if event.number not in self._asked or isinstance(event, TaskProgress):
            return
        key = self._asked.pop(event.number)
        if isinstance(event, TaskDone):
            self._found[key] = event.directions
            if key == self._key:
                self.note = ""
        elif isinstance(event, TaskFailed) and key == self._key:
            self.note = event.message
        elif isinstance(event, TaskStopped) and key == self._key:
            self.note = "Stopped."
        self._revision = -1

    def _wanted(self) -> list[tuple[str, Recipe]]:
        return [
            (self._name(way.direction, strength), self.recipe(way.direction, strength))
            for way in self.ways()
            for strength in (-SIGMA, SIGMA)
        ]

    def _refresh(self) -> None:
        studio, key = self._studio, self._key
        if key != self._last:
            # Another model: what went wrong with the one before says nothing about it.
            self._last, self.note = key, ""
        self.page = min(self.page, self.pages - 1)
        if key not in self._found and not self.is_looking and not self.note:
            wish = FindWays(self.kind, PAGE * PAGES)
            number = studio.client.tasks.add(wish, studio.document.recipe)
            self._asked[number] = key
            studio.touch()
        known = self._pictures.keys() | self._failed
        missing = [(name, recipe) for name, recipe in self._wanted() if name not in known]
        studio.client.thumbnails.want(missing, _PART)
