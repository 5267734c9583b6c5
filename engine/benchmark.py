"""How fast each family draws at its released size, with random weights.

Every model is measured in a process of its own, so that its peak memory is its own too: one
process writes random weights as a converted model, a second one opens and draws it.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints.plain import LazyTensor
from engine.errors import Cancelled, GpuLost, UserError
from engine.generators.base import Generator, Quality, latent_from_seed
from engine.generators.registry import ModelSource, families, open_model, pick_device
from engine.memory import keep_freed
from engine.orphans import end_with_parent

#: Yaw between the pictures of an orbit, degrees.
_ORBIT_STEP = 3.0


@dataclass(frozen=True)
class Measurement:
    """One released model on one device.

    Attributes:
        family, model: names in the registry.
        device, threads: where, and torch's threads.
        parameters: numbers in its tensors.
        resolution, neural_resolution, samples: of the picture, the volume and each ray.
        open_seconds: from the file to a generator.
        stages: median seconds of each stage of a first picture: ``map`` and those of
            ``Frame.timings``.
        picture_seconds: median of a first picture with its mapping, nothing cached.
        spread_seconds: between the quickest and the slowest of these pictures.
        processor_seconds: median of the processor's time of such a picture, all threads together:
            what other programs take beside it hardly changes it.
        orbit_fps: full-quality pictures a second while the camera moves and the identity stays.
        tensor_bytes: of all its tensors in float32.
        open_peak: most memory in use while opening, as a multiple of ``tensor_bytes``.
        draw_peak_bytes: most memory in use while drawing, beyond the program and the tensors (on
            a GPU: torch's largest allocation there, tensors included).
        error: why there are no numbers, else empty.
    """

    family: str
    model: str
    device: str
    threads: int
    parameters: int = 0
    resolution: int = 0
    neural_resolution: int = 0
    samples: int = 0
    open_seconds: float = 0.0
    stages: dict[str, float] | None = None
    picture_seconds: float = 0.0
    spread_seconds: float = 0.0
    processor_seconds: float = 0.0
    orbit_fps: float = 0.0
    tensor_bytes: int = 0
    open_peak: float = 0.0
    draw_peak_bytes: int = 0
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        family, model: names in the registry.
        device: ``"cpu"``, ``"cuda"`` ...
        threads: torch's threads on a CPU.
        repeats: pictures of each kind; the median counts.
    """

    family: str
    model: str
    device: str = "cpu"
    threads: int = 2
    repeats: int = 3


def released_models() -> list[tuple[str, str]]:
    """``(family, model)`` of everything that can be measured."""
    return [(family.name, model) for family in families().values() for model in family.released]


def measure_all(
    plans: list[Plan], progress: Callable[[int, int, str], None]
) -> Iterator[Measurement]:
    """Measure one plan after another; one that fails says so and the rest go on.

    Raises:
        UserError: the device is not there.
    """
    for plan in plans:
        pick_device(plan.device)
    for index, plan in enumerate(plans):
        progress(index, len(plans), f"{plan.family} {plan.model}")
        with tempfile.TemporaryDirectory(prefix="maquette-bench-") as folder:
            stem = str(Path(folder) / "model")
            found = _apart(write_random, plan, stem)
            if isinstance(found, str):
                yield Measurement(plan.family, plan.model, plan.device, plan.threads, error=found)
                continue
            measured = _apart(measure, plan, stem)
            if isinstance(measured, str):
                measured = Measurement(
                    plan.family, plan.model, plan.device, plan.threads, error=measured
                )
            yield measured
    progress(len(plans), len(plans), "")


def _apart(work: Callable[[Plan, str], Any], plan: Plan, stem: str) -> Any:
    """``work`` in a fresh process; a sentence where it failed."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
        try:
            return pool.submit(_told, work, plan, stem).result()
        except (KeyboardInterrupt, Cancelled):
            raise
        except Exception as error:  # the process died: out of memory, for instance
            return f"{type(error).__name__}: {error}"


def _told(work: Callable[[Plan, str], Any], plan: Plan, stem: str) -> Any:
    try:
        return work(plan, stem)
    except (Exception, GpuLost) as error:  # the next one has a process of its own
        traceback.print_exc(file=sys.stderr)
        return f"{type(error).__name__}: {error}"


def write_random(plan: Plan, stem: str) -> None:
    """Write a released model with random weights as a converted one.

    Raises:
        UserError: there is no such model.
    """
    from engine.checkpoints import write_model

    family = families().get(plan.family)
    if family is None or family.network is None or plan.model not in family.released:
        raise UserError(f"There is no released model {plan.family} {plan.model} to measure.")
    torch.manual_seed(0)
    config = dict(family.released[plan.model])
    state = family.network(config).state_dict()
    lazy = {name: _lazy(tensor) for name, tensor in state.items()}
    write_model(ModelSource(plan.family, plan.model, config, lazy), stem)


def _lazy(tensor: Tensor) -> LazyTensor:
    values = tensor.detach().float()
    return LazyTensor(tuple(values.shape), values.dtype, lambda: values.contiguous())


def opened(plan: Plan, stem: str) -> tuple[Generator, float, float]:
    """The model written at ``stem``.

    Returns:
        the generator, the most memory used meanwhile as a multiple of its tensors' size, and
        the seconds it took.
    """
    keep_freed()  # as every process that draws
    torch.set_num_threads(plan.threads)
    device = pick_device(plan.device)
    families()
    # First operations make torch start its threads and allocate workspaces: not the model's.
    torch.randn(64, 64, device=device) @ torch.randn(64, 64, device=device)
    torch.ones(1 << 20, device=device).sum()
    gc.collect()
    before = peak_bytes(reset=True)
    begin = time.perf_counter()
    generator = open_model(Path(stem + ".json"), device)
    seconds = time.perf_counter() - begin
    return generator, (peak_bytes() - before) / _tensor_bytes(stem), seconds


def _tensor_bytes(stem: str) -> int:
    return Path(stem + ".safetensors").stat().st_size


def measure(plan: Plan, stem: str) -> Measurement:
    """Open the model written at ``stem`` and draw it."""
    generator, open_peak, seconds = opened(plan, stem)
    device, tensor_bytes = generator.device, _tensor_bytes(stem)
    before = peak_bytes(reset=True)
    facts = generator.capabilities
    clock = _Clock(device)
    stages, pictures, busy = _first_pictures(generator, plan, clock)
    fps = _orbit(generator, plan, clock)
    if device.type == "cuda":
        drawn = int(torch.cuda.max_memory_allocated(device))
    else:
        drawn = peak_bytes() - before
    return Measurement(
        plan.family,
        plan.model,
        str(device),
        torch.get_num_threads(),
        parameters=tensor_bytes // 4,
        resolution=facts.resolution,
        neural_resolution=facts.neural_resolution,
        samples=facts.samples_per_ray,
        open_seconds=seconds,
        stages=stages,
        picture_seconds=statistics.median(pictures),
        spread_seconds=max(pictures) - min(pictures),
        processor_seconds=statistics.median(busy),
        orbit_fps=fps,
        tensor_bytes=tensor_bytes,
        open_peak=open_peak,
        draw_peak_bytes=drawn,
    )


class _Clock:
    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __call__(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def _first_pictures(
    generator: Generator, plan: Plan, clock: _Clock
) -> tuple[dict[str, float], list[float], list[float]]:
    """Stages, whole times and the processor's times of pictures of faces that were never drawn
    before."""
    facts = generator.capabilities
    camera = facts.default_pose.camera()
    small = Quality(neural_resolution=max(16, facts.neural_resolution // 8))
    warm = generator.map(latent_from_seed(999, facts.z_dim))
    generator.render(warm, camera, small)
    seen: dict[str, list[float]] = {}
    pictures: list[float] = []
    busy: list[float] = []
    for repeat in range(plan.repeats):
        z = latent_from_seed(repeat, facts.z_dim)
        begin, worked = clock(), time.process_time()
        w = generator.map(z)
        seen.setdefault("map", []).append(clock() - begin)
        frame = generator.render(w, camera)
        pictures.append(clock() - begin)
        busy.append(time.process_time() - worked)
        for stage, seconds in frame.timings.items():
            seen.setdefault(stage, []).append(seconds)
    return {stage: statistics.median(values) for stage, values in seen.items()}, pictures, busy


def _orbit(generator: Generator, plan: Plan, clock: _Clock) -> float:
    facts = generator.capabilities
    w = generator.map(latent_from_seed(0, facts.z_dim))
    pose = facts.default_pose
    generator.render(w, pose.camera())
    times = []
    for step in range(max(plan.repeats, 2)):
        camera = replace(pose, yaw=pose.yaw + _ORBIT_STEP * (step + 1)).camera()
        begin = clock()
        generator.render(w, camera)
        times.append(clock() - begin)
    return 1.0 / statistics.median(times)


def peak_bytes(reset: bool = False) -> int:
    """Most main memory that this process has held, since the last ``reset`` where the system
    can forget (Linux)."""
    if reset:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def machine() -> str:
    """The machine in words: processor, system, torch, GPU."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}{gpu}, {platform.system()}, torch {torch.__version__}"


def load() -> float | None:
    """Programs that wanted a processor at once in the last minute (this one among them), or
    ``None`` where the system does not tell."""
    try:
        return round(os.getloadavg()[0], 1)
    except (AttributeError, OSError):
        return None


def from_json(facts: dict[str, Any]) -> list[Measurement]:
    """What :meth:`Measurement.to_json` gave, of an earlier release, too.

    Raises:
        UserError: these are not measurements.
    """
    known = {field.name for field in fields(Measurement)}
    try:
        rows = [
            Measurement(**{name: value for name, value in row.items() if name in known})
            for row in facts["measurements"]
        ]
        for row in rows:
            float(row.picture_seconds), float(row.processor_seconds), float(row.orbit_fps)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError("This file holds no measurements of maquette bench.") from error
    return rows
