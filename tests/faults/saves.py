"""Everything that Maquette writes, each as a small example: for tests of full disks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from app.desktop_entry import add as add_desktop_entry
from app.document import Document
from app.edit_memory import EditMemory
from app.project import Project, write_project
from app.recovery import Recovery
from app.settings import Settings, save_settings
from app.thumbnail_cache import SIDE, ThumbnailCache
from engine.checkpoints import write_model
from engine.checkpoints.plain import ModelSource
from engine.draw import Painter
from engine.editing.cache import Cache
from engine.editing.directions import Direction, write_direction
from engine.edits import Offset
from engine.export.mesh import MeshOptions, extract_mesh, write_mesh
from engine.export.options import VideoOptions
from engine.export.picture import save_picture
from engine.export.sheet import export_sheet
from engine.export.sheet_options import SheetOptions
from engine.export.video import export_video
from engine.kernels.compile import _write_cached
from engine.latent_files import write_latent
from engine.recipe import Recipe
from engine.timeline import Timeline, save_timeline
from engine.training.data.choices import write_dropped
from engine.training.data.photos.points import write_points
from engine.training.data.photos.prepare import PrepareJob, prepare
from engine.training.data.scan import Seen, _store
from engine.training.gan.lines import Lines, Tree
from engine.training.gan.options import TrainingOptions
from engine.training.gan.plan import RunFacts, RunPlan
from engine.training.gan.result import Card, export_authors, in_memory, keep_model
from engine.training.gan.samples import draw_samples
from engine.training.gan.snapshots import write_snapshot
from tests.app.gui.head_generator import HeadGenerator
from tests.generators.tiny_eg3d import tiny_model
from tests.training.data.photo_sets import KnowingFinder, face_at, photo
from tests.training.gan.test_gan_eg3d import tiny as tiny_training
from tests.training.gan.test_gan_snapshots import loop_of

#: Writes the ``number``-th version of something into a folder.
Write = Callable[[Path, int], object]


@dataclass(frozen=True)
class Save:
    """Something that is written.

    Attributes:
        write: how.
        silent: that it cannot be written is no error: a cache, or what tells the window otherwise.
        together: its files belong together: none may be new where another is old.
        fresh: it is never written over something.
    """

    write: Write
    silent: bool = False
    together: bool = True
    fresh: bool = False


@cache
def painter() -> Painter:
    """A small model, made once."""
    return Painter(tiny_model())


def recipe(number: int) -> Recipe:
    """A small picture of a seed."""
    own = Recipe(seed=number, size=24, neural_resolution=16)
    return own.with_defaults_of(painter().generator.capabilities)


def _picture(name: str) -> Write:
    pixels = [np.random.RandomState(n).randint(0, 255, (64, 64, 3), np.uint8) for n in range(2)]
    return lambda folder, number: save_picture(pixels[number], folder / name, recipe(number))


def _mesh(name: str) -> Write:
    def write(folder: Path, number: int) -> None:
        options = MeshOptions(resolution=16 + 4 * number)
        write_mesh(extract_mesh(HeadGenerator(), torch.zeros(8, 6), options), folder / name)

    return write


def _video(name: str) -> Write:
    options = VideoOptions(seconds=0.2, fps=15, size=24)
    return lambda folder, number: export_video(painter(), recipe(number), options, folder / name)


def _sheet(folder: Path, number: int) -> None:
    options = SheetOptions("views", angles=((0.0, 0.0), (20.0, 0.0)))
    export_sheet(painter(), recipe(number), options, folder / "sheet.png")


def _direction(number: int) -> Direction:
    offset = Offset.of(np.random.RandomState(number).randn(3, 40).astype(np.float32))
    return Direction("Smiling", offset, "text", "eg3d", f"{number}b" * 32, (("text", "smiling"),))


def _project(folder: Path, number: int) -> None:
    document = replace(Document(), recipe=recipe(number))
    write_project(folder / "work.maquette", Project(document, bytes(2000 + number)))


def _recovery(folder: Path, number: int) -> None:
    """The window's thread writes it; that it failed is told by the next ``take_fault``."""
    kept = Recovery(folder)
    kept.path = folder / "1-ab.maquette"
    kept.keep(lambda: Project(replace(Document(), recipe=recipe(number))))
    kept.close(keep=True)


def _model(folder: Path, number: int) -> None:
    torch.manual_seed(number)
    tensors = {"weight": in_memory(torch.randn(30, 30))}
    write_model(ModelSource("eg3d", f"n{number}", {"size": 3}, tensors, ()), folder / "model")


def _snapshot(folder: Path, number: int) -> None:
    write_snapshot(loop_of(seed=number), Lines(folder))


def _lines(folder: Path, number: int) -> None:
    Lines(folder)._write(Tree(number, ()))


def _card(number: int) -> Card:
    return Card(f"model {number}", "", ("Twelve pictures.",), number, 12, 1.0)


@cache
def _training():  # type: ignore[no-untyped-def]
    return tiny_training()


def _trained(folder: Path, number: int) -> None:
    state = _training().generator.state_dict()
    keep_model(_training(), state, folder / "model", _card(number))


def _authors(folder: Path, number: int) -> None:
    state = {name: value + number for name, value in _training().generator.state_dict().items()}
    export_authors(_training(), state, folder)


def _facts(folder: Path, number: int) -> None:
    plan = RunPlan("run", "data")
    facts = RunFacts(plan, TrainingOptions(batch=4 + number), f"run {number}")
    with chdir(folder):
        (folder / "run").mkdir(exist_ok=True)
        facts.write()


def _prepared(folder: Path, number: int) -> None:
    photos = folder.parent / f"photos-{number}"
    photos.mkdir(exist_ok=True)
    face = face_at(0.0, 0.0, 150.0, 80.0, 40.0)
    if not (photos / "ann.png").exists():
        photo(face, 320, 240).save(photos / "ann.png")
    prepare(PrepareJob(photos, folder / "set", 64), KnowingFinder({(320, 240): [face]}))


def _thumbnail(folder: Path, number: int) -> None:
    cache = ThumbnailCache(folder)
    pixels = np.random.RandomState(number).randint(0, 255, (SIDE, SIDE, 3), np.uint8)
    cache.keep("ab" * 32, "cd" * 16, pixels)
    cache.close()


def _memory(folder: Path, number: int) -> None:
    memory = EditMemory(folder)
    memory.keep("ab" * 32, _direction(number))
    memory.close()


def _seen(folder: Path, number: int) -> None:
    seen = Seen(100 + number, 5, "ab" * 32, 9, 9, "0" * 16, "")
    _store(folder / "scan.json", {"a.png": seen})


SAVES: dict[str, Save] = {
    **{f"picture {end}": Save(_picture(f"a.{end}")) for end in ("png", "webp", "jpg")},
    **{f"mesh {end}": Save(_mesh(f"a.{end}")) for end in ("glb", "obj", "ply", "stl")},
    "video mp4": Save(_video("a.mp4")),
    "video gif": Save(_video("a.gif")),
    "video as pictures": Save(_video("frames"), fresh=True),
    "sheet": Save(_sheet),
    "latent": Save(
        lambda folder, n: write_latent(folder / "w.npz", np.full((8, 32), n, np.float32))
    ),
    "timeline": Save(
        lambda folder, n: save_timeline(
            Timeline(duration=2.0 + n), folder / "path.json"
        )
    ),
    "project": Save(_project),
    "recovery file": Save(_recovery, silent=True),
    "settings": Save(
        lambda folder, n: save_settings(Settings(ui_scale=1.0 + n), folder / "settings.json")
    ),
    "direction": Save(lambda folder, n: write_direction(folder / "smile", _direction(n))),
    "model": Save(_model),
    "trained model with its card": Save(_trained, together=False),
    "model in the authors' layout": Save(_authors),
    "snapshot": Save(_snapshot),
    "lines of snapshots": Save(_lines),
    "samples of a run": Save(
        lambda folder, n: draw_samples(tiny_model(), 1 + n, folder / "samples.png")
    ),
    "facts of a run": Save(_facts),
    "choice of pictures": Save(lambda folder, n: write_dropped(folder / "dropped.json", [f"{n}"])),
    "look at pictures": Save(_seen),
    "points of faces": Save(
        lambda folder, n: write_points(
            folder / "points.json", {"a.png": [face_at(n, 0.0, 150.0, 80.0, 40.0)]}
        )
    ),
    "prepared photographs": Save(_prepared, fresh=True),
    "desktop entry": Save(
        lambda folder, n: add_desktop_entry(Path(f"/opt/{n}/maquette"), folder), together=False
    ),
    "thumbnail": Save(_thumbnail, silent=True),
    "memory of texts": Save(_memory, silent=True),
    "cache of edits": Save(
        lambda folder, n: Cache(folder).write("ab", {"w": np.full((9, 9), n, np.float32)}),
        silent=True,
    ),
    "compiled kernel": Save(
        lambda folder, n: _write_cached(folder / "march.cubin", bytes([n]) * 500), silent=True
    ),
}  # fmt: skip
