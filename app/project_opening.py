"""From a project that was read to its picture: finding its model, asking where it is not the
one it was, and waiting until it is open."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.conversation import Choice, Conversation, Prompt, shown
from app.file_stamp import Stamp
from app.model_search import Search, find_model
from app.project import Project
from app.recovery import Leftover
from engine.assets import BUNDLED
from engine.errors import UserError

if TYPE_CHECKING:
    from app.studio import Studio

UNTITLED = "Untitled"
#: Most folders inside the folder of models that are searched.
MOST_FOLDERS = 64


@dataclass(frozen=True)
class Wanted:
    """A project on its way into the window.

    Attributes:
        project: what was read.
        path: where it lies; ``None`` if it was never saved.
        leftover: the recovery file that it comes from, if any.
        seen: the file from before it was read.
    """

    project: Project
    path: Path | None
    leftover: Leftover | None = None
    seen: Stamp | None = None

    @property
    def name(self) -> str:
        """Its name for people."""
        return UNTITLED if self.path is None else shown(self.path.stem)


class ProjectOpening:
    """Brings one project at a time into the studio; what is there stays until then.

    Args:
        studio: the state behind the window.
        talk: to ask the person.
        arrived: called with the project whose document is in the studio now.
        given_up: called with a project that is not coming after all.
    """

    def __init__(
        self,
        studio: Studio,
        talk: Conversation,
        arrived: Callable[[Wanted], None],
        given_up: Callable[[Wanted], None],
    ) -> None:
        self._studio, self._talk = studio, talk
        self._arrived, self._given_up = arrived, given_up
        self._searcher = ThreadPoolExecutor(1, thread_name_prefix="maquette-search")
        self._search: Future[Search] | None = None
        self._wanted: Wanted | None = None
        #: Path of the model that is being opened for it.
        self._model_path: str | None = None

    @property
    def is_searching(self) -> bool:
        """Whether the model is being looked for."""
        return self._search is not None

    @property
    def is_arriving(self) -> bool:
        """Whether the model is being opened: the document comes as soon as it is."""
        return self._model_path is not None

    def begin(self, wanted: Wanted) -> None:
        """Open a project; one that is on its way already is given up."""
        self.give_up()
        self._wanted = wanted
        studio, ref = self._studio, wanted.project.document.model
        if studio.model is not None and ref.sha256 and ref.sha256 == studio.model.ref.sha256:
            self._use_present()
            return
        recent = studio.settings.recent
        places = [Path(ref.path).parent, *(Path(path).parent for path in recent)]
        if wanted.path is not None:
            places.insert(0, wanted.path.parent)
        if studio.settings.models_folder:
            places += _with_folders(Path(studio.settings.models_folder))
        folders = [place for place in places if place.is_absolute()]
        self._search = self._searcher.submit(find_model, ref, recent, folders)
        studio.touch()

    def give_up(self) -> None:
        """Do not open the project that is on its way."""
        wanted, self._wanted, self._search = self._wanted, None, None
        self._model_path = None
        if wanted is not None:
            self._given_up(wanted)

    def poll(self) -> None:
        """Take in what the search found; call often."""
        search, wanted = self._search, self._wanted
        if search is not None and wanted is not None and search.done():
            self._search = None
            self._studio.touch()
            try:
                self._found(search.result(), wanted)
            except UserError as error:  # the file has gone since it was found
                self._studio.complain(str(error))

    def close(self) -> None:
        """The window is gone."""
        self._searcher.shutdown(wait=False, cancel_futures=True)

    # What the engine says ---------------------------------------------------------------

    def model_loaded(self, path: str) -> bool:
        """A model is open now; True if it was the one waited for, and the project is here."""
        wanted = self._wanted
        if wanted is None or path != self._model_path:
            return False
        self._wanted = self._model_path = None
        self._studio.place(wanted.project.document)
        self._arrived(wanted)
        return True

    def model_failed(self, path: str) -> None:
        """A model cannot be opened; why was told already."""
        if path == self._model_path:
            self.give_up()

    # Where the model is -----------------------------------------------------------------

    def _found(self, search: Search, wanted: Wanted) -> None:
        path = shown(wanted.project.document.model.path)
        if search.outcome == "found":
            if search.moved:
                text = f'The model of "{wanted.name}" was found at {search.path}.'
                self._studio.say(text, "info", "moved")
            self._open_with(search.path)
            return
        choices = [
            Choice(
                "Choose its file", "model_choose", self._ask_model, "Say where the model lies now"
            )
        ]
        if search.outcome == "changed":
            text = (
                f'The model at {path} is not the one that "{wanted.name}" was saved with, so its '
                "picture may be another one."
            )
            use = Choice(
                "Open with it", "model_open", lambda: self._open_with(search.path),
                "Draw the project with the model that lies there",
            )  # fmt: skip
            choices.insert(0, use)
        else:
            text = f'The model that "{wanted.name}" was saved with is no longer at {path}.'
            present = Choice(
                "Use the present model", "model_present", self._use_present,
                "Draw the project with the model that is open; faces will differ",
            )  # fmt: skip
            choices.append(present)
        if self._studio.model is None and self._studio.opening is None:
            # Something to look at meanwhile, and to stay with.
            self._open_model(BUNDLED)
        self._talk.ask(
            text,
            *choices,
            Choice("Cancel", "model_cancel", self.give_up, "Do not open the project"),
        )

    def _ask_model(self) -> None:
        start = "" if self._wanted is None else shown(self._wanted.project.document.model.path)
        self._talk.ask_path(
            Prompt("model", "Where is the model?", "Open", start, self._named, self.give_up)
        )

    def _named(self, path: str) -> None:
        try:
            where = Path(path.strip()).expanduser().resolve()
            there = bool(path.strip()) and where.exists()
        except (RuntimeError, ValueError, OSError):
            there = False
        if not there:
            raise UserError(f"There is no file at {shown(path)}; check the path.")
        self._talk.end()
        self._open_with(str(where))

    def _use_present(self) -> None:
        wanted = self._wanted
        if self._studio.model is None:
            self._open_with(BUNDLED)
        elif wanted is not None:
            self._wanted = None
            self._studio.place(wanted.project.document)
            self._arrived(wanted)

    def _open_with(self, path: str) -> None:
        if self._wanted is not None:
            self._open_model(path)
            self._model_path = path

    def _open_model(self, path: str) -> None:
        """Open a model, which for anybody else gives up what is on its way."""
        wanted, self._wanted = self._wanted, None
        try:
            self._studio.open_model(path)
        except UserError:
            if wanted is not None:
                self._given_up(wanted)
            raise
        self._wanted = wanted


def _with_folders(folder: Path) -> list[Path]:
    """A folder and those in it."""
    try:
        return [folder, *sorted(p for p in folder.iterdir() if p.is_dir())[:MOST_FOLDERS]]
    except OSError:
        return []
