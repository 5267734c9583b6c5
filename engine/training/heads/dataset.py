"""Shards of rendered heads: written by many processes, resumed where they stopped.

A shard is an uncompressed ``.npz`` named after its first and last head:

=============  ======================  ======================================================
key            shape, type             what
=============  ======================  ======================================================
``index``      ``[n]`` int64           number of each head in the data set
``z``          ``[n, 72]`` float32     latent, a function of (seed, index, rare) alone
``a``          ``[n, A]`` float32      attributes (``attributes.ATTRIBUTE_NAMES``)
``cam2world``  ``[n, V, 4, 4]`` f32    cameras, OpenCV axes, world of :mod:`.world`
``fov_y``      ``[]`` float32          full vertical angle of view, degrees
``rgba``       ``[n, V, R, R, 4]`` u8  sRGB premultiplied by coverage, over black
``depth``      ``[n, V, R, R]`` f16    distance along the pixel centre's ray, 0 = nothing
``seg``        ``[n, V, R, R]`` u8     labels (:class:`.mesh.Label`)
``captions``   ``[n]`` unicode         one sentence a head
=============  ======================  ======================================================

Cost with Mesa's llvmpipe on two cores without a GPU, both busy with other work, in CPU time:
4 views a head at 128 px with 3 x 3 samples 0.95 s a head, 4.2 pictures a CPU-second; 2 views at
256 px with 2 x 2 samples 0.76 s a head, 2.6 pictures a CPU-second; 8 views at 128 px 4.9. The
light is gathered once a head and the meshes take about 0.015 s of it; hats, expressions and
dark lenses change none of these figures by more than their noise of a tenth.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError
from engine.export.files import make_folder
from engine.orphans import end_with_parent
from engine.training.heads.attributes import (
    attribute_vector,
    attributes_from_latent,
    caption,
)
from engine.training.heads.catalogue import DYES
from engine.training.heads.mesh import Head
from engine.training.heads.renderer import Renderer
from engine.training.heads.world import FOV_Y, head_latent, orbit_camera, view_angles

log = logging.getLogger(__name__)

BuildHead = Callable[[NDArray[np.float32]], Head]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RenderJob:
    """What to render.

    Attributes:
        pack: folder of the head pack. out: folder of the shards.
        first, heads: heads ``first .. first + heads - 1`` of the data set ``seed``.
        views: a head. size: pixels along a side. samples: supersampling along a side.
        shard_heads: heads in a shard. processes: worker processes.
        rare: share of the heads that must have a look which few have, see :func:`data_latent`.
    """

    pack: Path
    out: Path
    heads: int
    first: int = 0
    views: int = 8
    size: int = 128
    samples: int = 3
    seed: int = 0
    shard_heads: int = 32
    processes: int = 1
    rare: float = 0.0

    def check(self) -> None:
        """Raises UserError where a number is out of range."""
        for name in ("heads", "views", "shard_heads", "processes"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1.")
        if self.first < 0 or self.seed < 0:
            raise UserError("--first and --seed must not be below 0.")
        if not 0.0 <= self.rare <= 1.0:
            raise UserError(f"--rare is a share from 0 to 1, not {self.rare:g}.")

    def shards(self) -> list[range]:
        """The heads of each shard."""
        end = self.first + self.heads
        return [
            range(k, min(k + self.shard_heads, end))
            for k in range(self.first, end, self.shard_heads)
        ]


def data_latent(seed: int, index: int, rare: float = 0.0) -> NDArray[np.float32]:
    """``[72]`` latent of a head of a data set to train on.

    A hat, dark glasses and dyed hair are each seen on a few heads in a hundred, too few for a
    model to learn them as well as the rest. What is learnt from z to picture does not depend
    on how often a z comes, so more of these may be rendered; scores are taken on data sets
    without them.

    Args:
        seed, index: as for :func:`~engine.training.heads.world.head_latent`.
        rare: share of the heads that are drawn again until they have one of these looks; at 0
            the latent is ``head_latent``'s.
    """
    z = head_latent(seed, index)
    rng = np.random.default_rng([seed, 5, index])
    if rng.random() < rare:
        while not _is_rare(z):
            z = rng.standard_normal(len(z)).astype(np.float32)
    return z


def _is_rare(z: NDArray[np.float32]) -> bool:
    person = attributes_from_latent(z)
    return person.hat != "none" or person.glasses == "sunglasses" or person.hair_word in DYES[1:]


def shard_path(out: Path, heads: range) -> Path:
    """Where the shard of these heads is written."""
    return out / f"heads-{heads[0]:08d}-{heads[-1]:08d}.npz"


def render_shard(
    path: Path,
    heads: range,
    build: BuildHead,
    renderer: Renderer,
    *,
    seed: int,
    views: int,
    rare: float = 0.0,
    progress: Progress | None = None,
) -> int:
    """Render heads into one shard file; a head that fails is logged and left out.

    Args:
        path: written under a temporary name beside it, then renamed.
        build: latent ``[72]`` to meshes.
        progress: called with (heads done, heads failed) since the last call.

    Returns:
        How many heads the shard holds; 0 writes no file.
    """
    columns: dict[str, list[Any]] = {
        key: [] for key in ("index", "z", "a", "cam2world", "rgba", "depth", "seg", "captions")
    }
    for index in heads:
        z = data_latent(seed, index, rare)
        try:
            person = attributes_from_latent(z)
            cameras = [orbit_camera(*angles) for angles in view_angles(seed, index, views)]
            drawn = renderer.render(build(z), cameras)
        except Exception as error:
            log.warning("head %d of data set %d failed and is left out: %r", index, seed, error)
            if progress:
                progress(0, 1)
            continue
        columns["index"].append(index)
        columns["z"].append(z)
        columns["a"].append(attribute_vector(person))
        columns["cam2world"].append(np.stack([c.cam2world for c in cameras]).astype(np.float32))
        columns["rgba"].append(drawn.rgba)
        columns["depth"].append(drawn.depth)
        columns["seg"].append(drawn.labels)
        columns["captions"].append(caption(person))
        if progress:
            progress(1, 0)
    if not columns["index"]:
        return 0
    arrays = {key: np.stack(values) for key, values in columns.items() if key != "captions"}
    arrays["captions"] = np.array(columns["captions"])
    write_shard(path, {**arrays, "fov_y": np.float32(FOV_Y)})
    return len(columns["index"])


def write_shard(path: Path, arrays: dict[str, Any]) -> None:
    """Write an ``.npz`` under a temporary name in the same folder, then rename it.

    Raises:
        UserError: the folder cannot be written or is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"The shard {path} cannot be written ({error}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_shard(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a shard.

    Raises:
        UserError: the file is no shard or is damaged.
    """
    try:
        with np.load(path) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as a shard of heads ({error}).") from error
    missing = {"index", "z", "a", "cam2world", "fov_y", "rgba", "depth", "seg"} - set(arrays)
    if missing:
        raise UserError(f"{path} is no shard of heads: it lacks {', '.join(sorted(missing))}.")
    return arrays


def _make_builder(pack: Path) -> tuple[BuildHead, Any]:
    from engine.training.heads.build import HeadBuilder
    from engine.training.heads.pack import HeadPack

    builder = HeadBuilder(HeadPack(pack))
    return (lambda z: builder.build(attributes_from_latent(z))), builder.pack


def make_renderer(pack: Any, size: int, samples: int) -> Renderer:
    """A renderer with the textures and the skin diffusion of a pack."""
    from engine.training.heads.lighting import SkinDiffusion

    return Renderer(size, samples, pack.image, SkinDiffusion(pack.body))


def _work(job: RenderJob, tasks: Any, news: Any) -> None:
    """A worker process: its own OpenGL context, shards until there are none."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(format="%(message)s")

    def tell(good: int, bad: int) -> None:
        news.put(("heads", good, bad))

    try:
        build, pack = _make_builder(job.pack)
        renderer = make_renderer(pack, job.size, job.samples)
        news.put(("ready", renderer.device, 0))
        while (heads := tasks.get()) is not None:
            render_shard(
                shard_path(job.out, heads),
                heads,
                build,
                renderer,
                seed=job.seed,
                rare=job.rare,
                views=job.views,
                progress=tell,
            )
        news.put(("done", 0, 0))
    except UserError as error:
        news.put(("error", str(error), 0))


def render_dataset(job: RenderJob, report: Callable[[str], None] = print) -> int:
    """Render all shards that are not there yet.

    Workers are separate processes because an OpenGL context belongs to one. Ctrl-C stops
    them; finished shards stay and are skipped the next time.

    Returns:
        How many heads were rendered now.

    Raises:
        UserError: the pack cannot be read, OpenGL is missing or the folder is unwritable.
        KeyboardInterrupt: after the workers have been stopped.
    """
    job.check()
    make_folder(job.out)
    todo = [heads for heads in job.shards() if not shard_path(job.out, heads).exists()]
    skipped = len(job.shards()) - len(todo)
    if skipped:
        report(f"{skipped} finished shards are kept.")
    if not todo:
        report("Nothing left to render.")
        return 0
    # Several software renderers of one thread each beat one of several threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if job.processes > 1:
        os.environ.setdefault("LP_NUM_THREADS", "0")
    context = get_context("spawn")
    tasks, news = context.Queue(), context.Queue()
    count = min(job.processes, len(todo))
    for heads in todo:
        tasks.put(heads)
    for _ in range(count):
        tasks.put(None)
    workers: list[BaseProcess] = [
        context.Process(target=_work, args=(job, tasks, news), daemon=True) for _ in range(count)
    ]
    for worker in workers:
        worker.start()
    try:
        return _follow(workers, news, sum(len(h) for h in todo), job.views, report)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        for leftover in job.out.glob(".heads-*.tmp"):
            leftover.unlink(missing_ok=True)


def _follow(
    workers: list[BaseProcess], news: Any, total: int, views: int, report: Callable[[str], None]
) -> int:
    """Gather the workers' news until all have ended; a line now and then."""
    start = shown = time.monotonic()
    good = bad = finished = 0
    device = ""
    while finished < len(workers):
        try:
            kind, first, second = news.get(timeout=1.0)
        except queue.Empty:
            dead = [w for w in workers if w.exitcode not in (None, 0)]
            if len(dead) + finished >= len(workers):
                raise UserError(
                    f"{len(dead)} rendering processes ended by themselves (code "
                    f"{dead[0].exitcode}); start the command again to go on."
                ) from None
            continue
        if kind == "error":
            raise UserError(str(first))
        if kind == "done":
            finished += 1
        elif kind == "ready" and not device:
            device = str(first)
            report(f"Drawing with {device}, {len(workers)} processes.")
        elif kind == "heads":
            good, bad = good + first, bad + second
        now = time.monotonic()
        if kind == "heads" and (now - shown > 5.0 or good + bad == total):
            shown = now
            rate = (good + bad) / (now - start)
            left = (total - good - bad) / max(rate, 1e-9)
            failed = f", {bad} failed" if bad else ""
            report(
                f"{good + bad} of {total} heads{failed}, {rate:.2f} heads/s "
                f"({rate * views:.1f} pictures/s), {left / 60:.1f} min left"
            )
    return good
