"""The second model, whose layers the open one borrows: choosing it, and saving the two as one."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app import swap_edits as swaps
from app.jobs import ExportModel
from app.messages import SecondFailed, SecondRead
from app.model_search import Search, find_model
from app.typed_paths import whole_path
from engine.assets import shipped_generator
from engine.errors import UserError
from engine.recipe import ModelRef

if TYPE_CHECKING:
    from app.studio import Studio


class SecondModel:
    """What the window knows about it beyond the document.

    Args:
        studio: the state behind the window.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        #: Second model -> the layers that it can lend, as far as is known.
        self._fitting: dict[ModelRef, tuple[str, ...]] = {}
        #: Second models of projects whose files have moved -> where they are, once that is found.
        self._moved: dict[ModelRef, Future[Search]] = {}
        self._seen: ModelRef | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """The open model's layers that can be exchanged, in order."""
        model = self._studio.model
        return () if model is None else model.layers

    @property
    def reading(self) -> str | None:
        """Path of the file that is being looked at."""
        return self._studio.client.seconds.path

    @property
    def why_not(self) -> str:
        """Why no second model can be chosen now; empty if one can."""
        if self._studio.model is None:
            return "No model is open yet."
        if not self.layers:
            return "The open model has no layers that another one could lend it."
        return ""

    @property
    def fitting(self) -> tuple[str, ...]:
        """The layers that the chosen model can lend."""
        swap = self._studio.document.recipe.swap
        return self.layers if swap is None else self._fitting.get(swap.model, self.layers)

    def choose(self, path: str) -> None:
        """Take layers of the model at a path, once the engine has looked at it.

        Raises:
            UserError: the open model has no such layers, or there is nothing there.
        """
        if why := self.why_not:
            raise UserError(why)
        text = path.strip()
        if not shipped_generator(text):
            where = whole_path(text, None, "a second model")
            if not where.exists():
                raise UserError(f"There is no file at {where}; check the path.")
            text = str(where)
        self._studio.notices.close_key("second")
        self._studio.client.seconds.read(text)
        self._studio.touch()

    def take(self, event: SecondRead | SecondFailed) -> None:
        """What the engine found."""
        studio = self._studio
        if isinstance(event, SecondFailed):
            studio.say(event.message, "error", "second")
            return
        self._fitting[event.ref] = event.layers
        studio.edit("Second model", lambda d: swaps.lend(d, event.ref, self.layers, event.layers))

    def save(self, path: Path) -> None:
        """Write the open model with the borrowed layers as a model of its own, in the background.

        Raises:
            UserError: nothing is borrowed, or the place does not suit.
        """
        recipe = self._studio.document.recipe
        if recipe.swap is None or not recipe.swap.changes:
            raise UserError("No layers of a second model are chosen; there is nothing to save.")
        target = path.with_suffix(".json") if path.suffix != ".json" else path
        taken = {recipe.model.path, recipe.swap.model.path}
        if {str(target), str(target.with_suffix(".safetensors"))} & taken:
            raise UserError(f"{target.name} is one of the two models; choose another name.")
        self._studio.start_export(ExportModel(recipe, str(target)))

    # Files that have moved ------------------------------------------------------------------

    def poll(self) -> None:
        """Look for the second model of a project where its file has moved; call often."""
        studio, swap = self._studio, self._studio.document.recipe.swap
        ref = None if swap is None else swap.model
        if ref != self._seen:
            self._seen = ref
            if ref is not None and ref.sha256 and ref not in self._moved and not _is_there(ref):
                self._moved[ref] = self._search(ref)
        search = None if ref is None else self._moved.get(ref)
        if search is None or not search.done() or swap is None:
            return
        found = search.result()
        if found.outcome == "found" and found.path != swap.model.path:
            there = replace(swap, model=replace(swap.model, path=found.path))
            document = studio.document
            recipe = replace(document.recipe, swap=there)
            studio.history = studio.history.amend(replace(document, recipe=recipe))
            studio.say(f"The second model was found at {found.path}.", key="second")
            studio.redraw()

    def _search(self, ref: ModelRef) -> Future[Search]:
        """Look beside the project and the models that were opened, in a thread."""
        studio = self._studio
        recent = studio.settings.recent
        places = [Path(path).parent for path in (ref.path, studio.document.model.path, *recent)]
        if studio.desk.path is not None:
            places.insert(0, studio.desk.path.parent)
        if studio.settings.models_folder:
            places.append(Path(studio.settings.models_folder))
        folders = [place for place in places if place.is_absolute()]
        searcher = ThreadPoolExecutor(1, thread_name_prefix="maquette-second")
        search = searcher.submit(find_model, ref, recent, folders)
        searcher.shutdown(wait=False)
        return search


def _is_there(ref: ModelRef) -> bool:
    try:
        return shipped_generator(ref.path) is not None or Path(ref.path).exists()
    except (OSError, ValueError):
        return False
