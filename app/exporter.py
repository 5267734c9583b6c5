"""The export process: one export after the other, with a model of its own.

Everything is written into a staging folder beside the target, whose name the window chose,
and is moved at the end. The window can therefore clean up after an exporter that was killed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from app.faults import sentence
from app.jobs import (
    ExportComparison,
    ExportLatent,
    ExportMesh,
    ExportModel,
    ExportPicture,
    ExportSheet,
    ExportVideo,
    Job,
)
from app.mailboxes import ExportMailbox
from app.messages import JobCancelled, JobFailed, JobFinished, JobProgress
from app.opening import open_generator, reference
from app.wire import ProcessOptions, RunJob
from engine.checkpoints import write_model
from engine.draw import Painter
from engine.errors import Cancelled, ExportError, UserError
from engine.export.comparison import draw_comparison
from engine.export.files import check_new_folder, check_writable, explain
from engine.export.mesh import extract_mesh, mesh_suffix, write_mesh
from engine.export.options import MeshOptions, VideoOptions, timed
from engine.export.picture import picture_suffix, save_picture
from engine.export.sheet import export_sheet
from engine.export.sheet_options import SheetOptions, check_sheet_name
from engine.export.video import export_video
from engine.generators.base import CancelToken
from engine.joining import joined_source
from engine.latent_files import latent_suffix, write_latent
from engine.memory import give_back
from engine.model_ref import ModelRef

#: Progress is told this often at most, in seconds.
_TELL_EVERY = 0.1
_Options = TypeVar("_Options", VideoOptions, MeshOptions, SheetOptions)


class Exporter:
    """The loop of the export process."""

    def __init__(self, mailbox: ExportMailbox, options: ProcessOptions) -> None:
        self._mailbox = mailbox
        self._options = options
        self._model = ModelRef("", "", "")
        self._painter: Painter | None = None

    def run(self) -> None:
        """Serve until the window closes the pipe."""
        while (task := self._mailbox.next_job()) is not None:
            self._mailbox.send(self._do(task))
            give_back()

    def _do(self, task: RunJob) -> JobFinished | JobFailed | JobCancelled:
        number, title = task.number, task.job.title
        progress = Progress(self._mailbox, number, title)
        cancel = CancelToken(lambda: self._mailbox.cancelled)
        try:
            target = self._run(task, progress, cancel)
            return JobFinished(number, title, str(target))
        except Cancelled:
            return JobCancelled(number, title)
        except Exception as error:
            message = sentence("the export", error, "export")
            staging = str(Path(task.staging))
            message = message.replace(staging, str(Path(staging).parent))
            return JobFailed(number, title, message)
        finally:
            shutil.rmtree(task.staging, ignore_errors=True)

    def _run(self, task: RunJob, progress: Progress, cancel: CancelToken) -> Path:
        job = task.job
        folder = check_name(job)
        target = check_new_folder(job.path) if folder else check_writable(job.path)
        progress(0, 0)
        painter = self._open(job.recipe.model)
        cancel.check()
        staging = Path(task.staging)
        try:
            staging.mkdir()
        except OSError as error:
            raise explain(error, target) from error
        write(job, staging / target.name, painter, progress, cancel)
        cancel.check()
        try:
            if folder and target.is_dir():
                target.rmdir()
            # A mesh may come with companions (materials, textures): they move along.
            for made in sorted(staging.iterdir(), key=lambda path: path.name == target.name):
                made.replace(target.parent / made.name)
        except OSError as error:
            raise explain(error, target) from error
        return target

    def _open(self, wanted: ModelRef) -> Painter:
        """The model of a recipe; kept, so that it may be gone from the disk by now.

        Raises:
            UserError: it cannot be opened, or its file was replaced since the recipe was made.
        """
        known, asked = (self._model.path, self._model.sha256), (wanted.path, wanted.sha256)
        if self._painter is None or known != asked:
            self._painter = None
            painter = Painter(open_generator(wanted.path, self._options))
            found = reference(wanted.path)
            if wanted.sha256 and found.sha256 != wanted.sha256:
                raise ExportError(
                    f"The file of the model, {wanted.path}, was replaced since it was opened: what it draws "
                    "now is not what the window shows. Open it again, then export."
                )
            self._painter, self._model = painter, wanted
        return self._painter


class Progress:
    """``progress(done, total)`` as the exports call it, turned into records with the time
    that is left, not more than ten a second."""

    def __init__(self, mailbox: ExportMailbox, number: int, title: str) -> None:
        self._mailbox = mailbox
        self._number, self._title = number, title
        self._began: tuple[float, int] | None = None
        self._told = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if total and self._began is None:
            self._began = (now, done)
        if done < total and now - self._told < _TELL_EVERY:
            return
        self._told = now
        left = None
        if self._began is not None:
            since, start = self._began
            if done > start:
                left = (now - since) / (done - start) * (total - done)
        self._mailbox.send(JobProgress(self._number, self._title, done, total, left))


def check_name(job: Job) -> bool:
    """Whether the export makes a folder of pictures; checks the target's name and the
    options before any work is done.

    Raises:
        UserError: an option is unknown or out of range, or the name does not fit.
    """
    if isinstance(job, ExportVideo):
        video = timed(make_options(VideoOptions, job.options), job.timeline)
        return video.format_for(job.path) == "png"
    if isinstance(job, ExportMesh):
        make_options(MeshOptions, job.options)
        mesh_suffix(job.path)
    elif isinstance(job, ExportSheet):
        make_options(SheetOptions, job.options)
        check_sheet_name(job.path)
    elif isinstance(job, ExportLatent):
        latent_suffix(job.path)
    elif isinstance(job, ExportModel):
        if Path(job.path).suffix.lower() != ".json":
            raise ExportError(f"A model is saved as a .json file, not as {Path(job.path).name}.")
    else:
        picture_suffix(job.path)
    return False


def make_options(kind: type[_Options], values: Mapping[str, Any]) -> _Options:
    """Options of an export from plain values.

    Raises:
        UserError: an unknown name, or a value out of range.
    """
    try:
        return kind(**values).checked()
    except TypeError as error:
        raise UserError(f"The export's options cannot be used ({error}).") from error


def write(job: Job, path: Path, painter: Painter, progress: Progress, cancel: CancelToken) -> None:
    """Do an export.

    Raises:
        UserError: the recipe, an option or the place is at fault.
        Cancelled: it was stopped.
    """
    if isinstance(job, ExportPicture):
        progress(0, 1)
        pixels = painter.picture(job.recipe, cancel)
        cancel.check()
        save_picture(pixels, path, job.recipe)
        progress(1, 1)
    elif isinstance(job, ExportComparison):
        compared = draw_comparison(
            painter, job.recipe, job.reference, job.layout == "split", job.share, progress, cancel
        )
        cancel.check()
        save_picture(compared, path, job.recipe)
    elif isinstance(job, ExportVideo):
        options = make_options(VideoOptions, job.options)
        export_video(painter, job.recipe, options, path, progress, cancel, job.timeline)
    elif isinstance(job, ExportMesh):
        mesh_options = make_options(MeshOptions, job.options)
        recipe = job.recipe.checked()
        with torch.inference_mode():
            latent = painter.latent(recipe)
        mesh = extract_mesh(painter.model(recipe), latent, mesh_options, progress, cancel)
        cancel.check()
        write_mesh(mesh, path)
    elif isinstance(job, ExportSheet):
        sheet_options = make_options(SheetOptions, job.options)
        export_sheet(painter, job.recipe, sheet_options, path, progress, cancel)
    elif isinstance(job, ExportLatent):
        with torch.inference_mode():
            w = painter.latent(job.recipe.checked())
        write_latent(path, w.float().cpu().numpy())
    elif isinstance(job, ExportModel):
        first, swap = painter.generator.source, job.recipe.swap
        if first is None or swap is None:
            raise ExportError("No layers of a second model are chosen; there is nothing to save.")
        progress(0, 1)
        write_model(replace(joined_source(first, swap), name=path.stem), path)
        progress(1, 1)
    else:
        raise ExportError(f"There is no export of the kind {type(job).__name__}.")
