"""What a run leaves behind: a model like any other, with a card; and the authors' own layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, cast

from torch import Tensor

from engine.checkpoints import write_model
from engine.checkpoints.plain import LazyTensor, ModelSource
from engine.errors import ExportError
from engine.export.files import atomic_paths, make_folder, write_bytes
from engine.training.gan.authors_folder import (
    NAME,
    check_theirs,
    contents,
    remove_left,
    written_before,
)
from engine.training.gan.authors_pickles import write_pickle, write_torch
from engine.training.gan.contract import FamilyTraining, Moments
from engine.training.gan.persistent import is_snapshot, snapshot


class _Config(Protocol):
    def to_json(self) -> dict[str, Any]: ...


class Described(Protocol):
    """What a family's training says of the model that it trains, beside the contract."""

    family: str

    def drawing_config(self) -> _Config:
        """Options that the present state is drawn with."""

    def drawing_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that a model file of the family holds, of a state of the generator."""


@dataclass(frozen=True)
class Card:
    """How a model came about.

    Attributes:
        name: title of the model. base: of the model that it was trained from, empty if from nothing.
        data: sentences about the pictures. steps, images, minutes: of training.
        options: every option.
        scores: name -> value, of the average generator; features: what they were measured with.
        notes: sentences: what the base could not tell and what happened on the way.
        counted: what the images are.
    """

    name: str
    base: str
    data: tuple[str, ...]
    steps: int
    images: int
    minutes: float
    options: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    features: str = ""
    notes: tuple[str, ...] = ()
    counted: str = "pictures shown"

    def markdown(self, family: str) -> str:
        """The card's text."""
        start = f"from {self.base}" if self.base else "from nothing"
        lines = [
            f"# {self.name}",
            "",
            f"A generator of the family {family}, trained {start} with Maquette's trainer: "
            f"{self.steps:,} steps, {self.images:,} {self.counted}, {self.minutes:.1f} minutes.",
            "",
            "## Data",
            "",
            *(self.data or ("Not told.",)),
            "",
            "## Scores",
            "",
        ]
        if self.scores:
            lines += ["| score | value |", "|---|---|"]
            lines += [f"| {name} | {value:.4g} |" for name, value in self.scores.items()]
            lines += ["", f"Features: {self.features}."]
        else:
            lines.append("None were measured.")
        if self.notes:
            lines += ["", "## Notes", "", *(f"- {note}" for note in self.notes)]
        lines += ["", "## Options", ""]
        lines += [f"- {name}: {value}" for name, value in self.options.items()]
        return "\n".join(lines) + "\n"


def model_source(
    training: FamilyTraining,
    state: Mapping[str, Tensor],
    name: str,
    assumptions: tuple[str, ...] = (),
) -> ModelSource:
    """A state of the generator as the model that every opening path builds from."""
    described = cast(Described, training)
    tensors = described.drawing_state(state)
    return ModelSource(
        described.family,
        name,
        described.drawing_config().to_json(),
        {key: in_memory(value) for key, value in tensors.items()},
        assumptions,
    )


def in_memory(tensor: Tensor) -> LazyTensor:
    """A tensor that is there already, where a file's is expected."""
    still = tensor.detach()
    return LazyTensor(
        tuple(still.shape), still.dtype, lambda: still.to("cpu", copy=True).contiguous()
    )


def keep_model(
    training: FamilyTraining,
    state: Mapping[str, Tensor],
    path: Path,
    card: Card,
    assumptions: tuple[str, ...] = (),
) -> Path:
    """Write ``path.json``, ``path.safetensors`` and the card ``path.md``.

    Returns:
        path of the JSON, which the app opens.

    Raises:
        UserError: they cannot be written.
    """
    written = write_model(model_source(training, state, card.name, assumptions), path)
    write_bytes(
        written.with_suffix(".md"), card.markdown(cast(Described, training).family).encode()
    )
    return written


def export_authors(
    training: FamilyTraining,
    state: Mapping[str, Tensor],
    folder: Path,
    moments: Moments | None = None,
) -> list[Path]:
    """Write the model in the layout of the authors' checkpoints, which their scripts load: all files or
    none. What an older export has left in the folder is replaced or removed.

    Networks that their programs pickle with source are written twice: as state dicts (``.pt``) and as such
    programs read them (``.pkl``, :mod:`engine.training.gan.persistent`).

    Args:
        training: whose networks they are. state: of the averaged generator.
        folder: is made if it is not there.
        moments: of the run, for their training to go on from.

    Raises:
        UserError: the folder or a file cannot be written, a file that is there is none of an export, or
            the model has parts that the authors' code does not know.
    """
    files = dict(training.authors_files(state))
    if moments is not None:
        files |= training.authors_resume(state, moments)
    make_folder(folder)
    writing: list[tuple[Path, object, Callable[[object, IO[bytes]], None]]] = []
    for name, content in list(files.items()):
        if is_snapshot(content):
            plain = snapshot(cast(Mapping[str, Any], content))
            files.setdefault(f"{name.removesuffix('.pt')}.pkl", plain)
    for name, content in files.items():
        pickled = name.endswith(".pkl")
        writing.append((folder / name, content, write_pickle if pickled else write_torch))
    paths = [path for path, _, _ in writing]
    names = {path.name for path in paths}
    check_theirs(folder, names)
    before = written_before(folder)
    # Averages and what they are of belong together. The list comes first, so that it names whatever is
    # there.
    with atomic_paths(folder / NAME, *paths) as (listed, *temporaries):
        listed.write_bytes(contents(names | before))
        for temporary, (_, content, write) in zip(temporaries, writing, strict=True):
            # Through a file of Python's: torch's own says nothing of a full disk that could be told.
            with temporary.open("wb") as file:
                write(content, file)
    try:
        remove_left(folder, names, before)
    except OSError as error:
        raise ExportError(
            f"What an older export has left in {folder} cannot be removed ({error.strerror}); choose "
            "another folder."
        ) from error
    return paths
