"""The gallery: which faces it shows, and their small pictures.

It knows neither the toolkit nor torch. Pictures come from the cache on disk, else from the
engine, which draws them while it has nothing else to do.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from app import face_edits as faces
from app.document import MAX_SEED, Document
from app.face_edits import worn
from app.favourites import identity_of, with_identity
from app.latent_pad import LatentPad, seed_at
from app.messages import ThumbnailReady
from app.text_order import Ranked, TextOrder
from app.thumbnail_cache import ThumbnailCache
from engine.errors import UserError
from engine.recipe import ModelRef, Recipe

if TYPE_CHECKING:
    from app.studio import Studio

Tab = Literal["seeds", "favourites", "variations", "pad"]
TABS: dict[Tab, str] = {
    "seeds": "Seeds", "favourites": "Favourites", "variations": "Like this one", "pad": "Pad",
}  # fmt: skip
Sort = Literal["own", "added", "name", "seed"]
#: Orders of the favourites: key -> title.
SORTS: dict[Sort, str] = {
    "own": "In my order", "added": "Recently added", "name": "By name", "seed": "By seed",
}  # fmt: skip
#: Faces on a page.
PAGE = 24
#: Seeds that are looked at to find those that fit a text.
LOOKED = 4 * PAGE
#: Pictures that stay in memory, of 48 KiB; all of them lie on the disk.
_KEPT = 6 * PAGE
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Cell:
    """One face of the page.

    Attributes:
        title: for people.
        who: the face.
        favourite: which favourite it is, if it is one.
        here: whether it is the one that is shown.
    """

    title: str
    who: Recipe
    favourite: int | None
    here: bool


class Gallery:
    """See the module's docstring.

    Args:
        studio: the state behind the window.
        cache: the pictures on disk; ``None`` for the program's own, once they are needed.
    """

    def __init__(self, studio: Studio, cache: ThumbnailCache | None = None) -> None:
        self._studio, self._cache = studio, cache
        self.is_open = False
        self.tab: Tab = "seeds"
        self.sort: Sort = "own"
        #: First seed of the page of seeds, and page of the favourites.
        self.first, self.page = 0, 0
        #: How far variations go, percent.
        self.strength = 25.0
        self.pad = LatentPad(studio)
        #: The faces that fit a text best, for the tabs that can be ordered so.
        self.order = TextOrder(studio)
        self._base: Recipe | None = None
        self._others: tuple[int, ...] = ()
        self._pictures: OrderedDict[str, Pixels] = OrderedDict()
        self._failed: set[str] = set()
        #: What the disk was asked for, and what it lacks.
        self._asked: set[str] = set()
        self._absent: set[str] = set()
        self._wanted: tuple[tuple[str, Recipe], ...] = ()
        self._revision = -1

    # What it shows ----------------------------------------------------------------------

    @property
    def pages(self) -> int:
        """How many pages there are of the favourites, or of what fits a text; one at least."""
        best = self.order.best(self.tab)
        count = len(self._studio.document.favourites) if best is None else len(best)
        return max(1, -(-count // PAGE))

    def cells(self) -> list[Cell]:
        """The faces of the present page, at most :data:`PAGE`, or those of the pad row by row."""
        document = self._studio.document
        known = {favourite.who: i for i, favourite in reversed([*enumerate(document.favourites)])}
        if (best := self.order.best(self.tab)) is not None:
            page = min(self.page, self.pages - 1)
            shown = [(one.title, one.who) for one in best[page * PAGE : (page + 1) * PAGE]]
        elif self.tab in ("seeds", "pad"):
            recipe, size = document.recipe, self.pad.size
            plain = replace(Recipe(), psi=recipe.psi, cutoff=recipe.cutoff)
            seeds = list(range(self.first, min(self.first + PAGE, MAX_SEED + 1)))
            if self.tab == "pad":
                seeds = [seed_at(self.first, size, i % size, i // size) for i in range(size * size)]
            shown = [(f"{seed}", plain.of_seed(seed)) for seed in seeds]
        elif self.tab == "variations":
            shown = [(f"{n}", who) for n, who in enumerate(self._variations(document), 1)]
        else:
            page = min(self.page, self.pages - 1)
            kept = self._sorted(document)[page * PAGE : (page + 1) * PAGE]
            shown = [(document.favourites[i].name, document.favourites[i].who) for i in kept]
        here = identity_of(document.recipe)
        found = []
        for title, who in shown:
            face = worn(who, document)
            # A favourite is still one where it is tried on with other edits.
            index = known.get(who if self.tab == "favourites" else face)
            found.append(Cell(title, face, index, face == here))
        return found

    def _sorted(self, document: Document) -> list[int]:
        kept, order = document.favourites, list(range(len(document.favourites)))
        if self.sort == "added":
            # The newest has the highest number, wherever it was moved to.
            return sorted(order, key=lambda i: kept[i].added, reverse=True)
        if self.sort == "name":
            return sorted(order, key=lambda i: kept[i].name.casefold())
        if self.sort == "seed":
            return sorted(order, key=lambda i: kept[i].who.seed)
        return order

    def _variations(self, document: Document) -> list[Recipe]:
        if self._base is None:
            self._base = replace(identity_of(document.recipe), edits=())
        share = self.strength / 100
        try:
            return [faces.variation(self._base, other, share) for other in self._others]
        except UserError:  # it lies between too many faces: said when the tab was chosen
            return []

    def picture(self, cell: Cell) -> Pixels | None:
        """``[S, S, 3]`` of a cell, once it is there."""
        key = self._key(cell.who)
        return None if key is None else self._pictures.get(key)

    def has_failed(self, cell: Cell) -> bool:
        """Whether a cell cannot be drawn with the open model."""
        return self._key(cell.who) in self._failed

    @property
    def waiting(self) -> int:
        """How many pictures of the page are still to come."""
        known = self._pictures.keys() | self._failed
        return sum(key not in known for key, _ in self._wanted)

    # What it is told --------------------------------------------------------------------

    def open(self) -> None:
        """Begin to draw."""
        self.is_open = True
        self._changed()

    def close(self) -> None:
        """Stop drawing."""
        if self.is_open:
            self.is_open = False
            self.order.stop()
            self.pad.pause()
            self._wanted = ()
            self._asked.clear()
            self._absent.clear()
            self._studio.client.thumbnails.want(())
            self._changed()

    def choose_tab(self, tab: Tab) -> None:
        """Show other faces. Variations are those of the face that is shown now.

        Raises:
            UserError: that face lies between too many others.
        """
        if tab == "variations":
            faces.variation(self._studio.document.recipe, 0, 0.0)
            self._base = replace(identity_of(self._studio.document.recipe), edits=())
            self.again()
        if tab != "pad":
            self.pad.pause()
        self.tab = tab
        self._changed()

    def again(self) -> None:
        """Other variations."""
        draw = random.Random()
        self._others = tuple(draw.randrange(MAX_SEED + 1) for _ in range(PAGE))
        self._changed()

    def set_strength(self, percent: float) -> None:
        """Let variations go so far."""
        self.strength = min(max(percent, 0.0), 100.0)
        self._changed()

    def set_sort(self, sort: Sort) -> None:
        """Show the favourites in another order."""
        self.sort, self.page = sort, 0
        self._changed()

    def order_by(self, text: str) -> None:
        """Look which faces of this tab fit a text best, and show those first; an empty text shows
        them in their own order again.

        Raises:
            UserError: no model is open, or this tab has no order.
        """
        document, faces = self._studio.document, []
        if self._studio.model is None:
            raise UserError("Open a model first; there are no faces to order yet.")
        if text.strip() and self.tab == "seeds":
            plain = replace(document.recipe, blend=None, latent=None, fades=(), mixes=(), edits=())
            last = min(self.first + LOOKED, MAX_SEED + 1)
            faces = [Ranked(f"{s}", identity_of(plain.of_seed(s))) for s in range(self.first, last)]
        elif text.strip() and self.tab == "favourites":
            faces = [Ranked(kept.name, kept.who) for kept in document.favourites]
        elif text.strip():
            raise UserError("Seeds and favourites can be ordered by a text; choose one of the two.")
        self.page = 0
        drawn = [(one, self._recipe(worn(one.who, document))) for one in faces]
        self.order.begin(self.tab, text, drawn)
        self._changed()

    def go_to(self, seed: int) -> None:
        """The page of seeds, or the pad, that begins with this one."""
        self.order.forget("seeds")
        self.pad.pause()
        self.first = min(max(seed, 0), MAX_SEED)
        self._changed()

    def turn(self, by: int) -> None:
        """So many pages on (or back, below 0)."""
        if self.tab in ("seeds", "pad") and self.order.best(self.tab) is None:
            size = PAGE if self.tab == "seeds" else self.pad.size**2
            self.go_to(self.first + by * size)
        else:
            self.page = min(max(self.page + by, 0), self.pages - 1)
            self._changed()

    def choose(self, cell: Cell) -> None:
        """Make a face the one that is shown.

        Raises:
            UserError: the open model cannot draw it, or none is open.
        """
        studio = self._studio
        facts = studio.capabilities
        if facts is None:
            raise UserError("Open a model first; there is nothing to draw a face with.")
        name = {"seeds": f"Seed {cell.title}", "variations": "Variation"}.get(self.tab, cell.title)
        studio.edit(name, lambda d: faces.show(d, cell.who, facts))

    def toggle_pin(self, cell: Cell) -> None:
        """Make a face a favourite, or none any more."""
        studio, index = self._studio, cell.favourite
        if index is None:
            studio.edit("Pin face", lambda d: faces.pin(d, who=cell.who))
        else:
            studio.edit("Remove favourite", lambda d: faces.unpin(d, index))

    def _changed(self) -> None:
        self._revision = -1
        self._studio.touch()

    # Pictures ---------------------------------------------------------------------------

    def poll(self) -> None:
        """Take in what the cache has found, and ask for what the page lacks; call often."""
        studio, cache = self._studio, self._cache
        self.pad.tick(self.first)
        if cache is not None:
            for key, pixels in cache.found():
                if pixels is not None:
                    self._take(key, pixels)
                else:
                    self._absent.add(key)
                    self._revision = -1
        if not self.is_open or studio.history.gesture is not None:
            return
        if self._revision != studio.revision:
            self._revision = studio.revision
            self._refresh()

    def take(self, event: ThumbnailReady) -> None:
        """What the engine has drawn."""
        self._revision = -1
        if event.image is not None:
            self._take(event.key, event.image)
            if self._cache is not None:
                self._cache.keep(self._model.sha256, event.key, event.image)
        elif event.tried:
            self._failed.add(event.key)

    def shut(self) -> None:
        """The window closes."""
        if self._cache is not None:
            self._cache.close()

    def _take(self, key: str, pixels: Pixels) -> None:
        self._asked.discard(key)
        self._absent.discard(key)
        self._pictures[key] = pixels
        self._pictures.move_to_end(key)
        while len(self._pictures) > _KEPT:
            self._pictures.popitem(last=False)
        self._changed()

    @property
    def _model(self) -> ModelRef:
        model = self._studio.model
        return ModelRef() if model is None else model.ref

    def _recipe(self, who: Recipe) -> Recipe:
        """A face as the gallery shows it: from the front, with the model's present settings."""
        document = self._studio.document
        recipe = with_identity(Recipe(model=self._model, pose=document.home), who)
        return replace(recipe, settings=document.recipe.settings, swap=document.recipe.swap)

    def _key(self, who: Recipe) -> str | None:
        return key_of(self._recipe(who)) if self._model.sha256 else None

    def _refresh(self) -> None:
        wanted = [
            (key, self._recipe(cell.who))
            for cell in self.cells()
            if (key := self._key(cell.who)) is not None
        ]
        self._wanted = tuple(wanted)
        if self._cache is None:
            self._cache = ThumbnailCache()
        missing = []
        for key, recipe in wanted:
            if key in self._pictures or key in self._failed:
                continue
            if key not in self._asked:
                # The answer comes back through poll; what the disk lacks is drawn then.
                self._asked.add(key)
                self._cache.look_up(self._model.sha256, key)
            elif key in self._absent:
                missing.append((key, recipe))
        self._studio.client.thumbnails.want(missing)


@lru_cache(maxsize=512)
def key_of(recipe: Recipe) -> str:
    """A name for a recipe's picture: equal for equal pictures, wherever the model's file lies."""
    plain = replace(recipe, model=ModelRef("", recipe.model.sha256, ""))
    text = json.dumps(plain.to_json(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
