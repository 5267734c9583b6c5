"""A generator for the tests of the engine process: cheap, exact, as slow as it is told.

The path says how it behaves: ``fake``, or ``fake?chunk=0.01&open=0.5``:

- ``chunk``: seconds of sleep for each of the chunks of 16 rows of rays,
- ``upsample``: seconds that its super-resolution takes,
- ``open``: seconds that opening takes,
- ``size``: side of its pictures (the neural resolution is a quarter of it),
- ``memory``: side of the largest volume rendering that there is memory for; ``short`` says how it ends
  otherwise: ``cpu``, ``gpu``, ``numpy`` (as each of them says so) or ``kill``,
- ``lost``: a file; what is drawn before it is there makes it, and loses the GPU to a kernel,
- ``settings``: it has the settings ``blue`` (its third colour) and ``slow`` (how many times
  longer a chunk takes), and its ball's radius is ``blue``.

``missing`` raises a UserError while opening, ``broken`` another error, ``deadly`` kills the
process. Seed 666 raises while drawing, seed 999 kills the process.

A picture is of one colour, :func:`color`, at the alpha that is 1 left of the middle. What
happens is written to the file named by ``MAQUETTE_FAKE_LOG``, one line an event.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from urllib.parse import parse_qsl

import torch
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.errors import Cancelled, CheckpointError, GpuLost
from engine.frame import Frame
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality

CHUNK_ROWS = 16
SETTINGS = (
    ModelSetting("blue", "Blue", "number", 0.25, "Its third colour.", 0.0, 1.0),
    ModelSetting("slow", "Slow", "integer", 1, "How many times longer it takes.", 1, 100),
)


def color(seed: int, yaw: float) -> tuple[float, float, float]:
    """The colour of the picture of a seed from a yaw in degrees."""
    return (seed % 100) / 100.0, yaw / 360.0 + 0.5, 0.25


def note(text: str) -> None:
    """Write a line into the log of what happened."""
    if log := os.environ.get("MAQUETTE_FAKE_LOG"):
        with Path(log).open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")


def die() -> None:
    """End this process as the out-of-memory killer does."""
    os.kill(os.getpid(), signal.SIGKILL)


def run_out(how: str) -> None:
    """Fail as allocations do where no memory is left."""
    if how == "kill":
        die()
    if how == "gpu":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    if how == "numpy":
        raise MemoryError("Unable to allocate 2.00 GiB for an array")
    raise RuntimeError(
        "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 2147483648 bytes. Error code 12 (Cannot allocate memory)"
    )


class Ball(Field):
    """A solid ball around the origin."""

    bounds = (torch.full((3,), -0.5), torch.full((3,), 0.5))

    def __init__(self, radius: float = 0.3) -> None:
        self.radius = radius

    def density(self, points: Tensor) -> Tensor:
        return 10.0 + 40.0 * (self.radius - points.norm(dim=-1))

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        return torch.full_like(points, 0.5)


class FakeGenerator(Generator):
    """See the module's docstring."""

    def __init__(self, options: dict[str, str]) -> None:
        self.device = torch.device("cpu")
        self.chunk = float(options.get("chunk", 0))
        self.upsample = float(options.get("upsample", 0))
        self.memory, self.short = int(options.get("memory", 0)), options.get("short", "cpu")
        self.lost = Path(options["lost"]) if "lost" in options else None
        size = int(options.get("size", 256))
        self.capabilities = Capabilities(
            family="fake",
            z_dim=4,
            num_ws=4,
            w_dim=4,
            resolution=size,
            neural_resolution=size // 4,
            samples_per_ray=8,
            default_pose=OrbitPose(radius=2.0),
            bounds=((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5)),
            mesh_level=10.0,
            settings=SETTINGS if "settings" in options else (),
        )

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        return z[None].repeat(4, 1).float()

    def field(self, w: Tensor) -> Field:
        return Ball(float(self.settings.get("blue", 0.3)))

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        side = quality.neural_resolution or self.capabilities.neural_resolution
        seed = seed_of(w)
        x, _, z = camera.position
        yaw = float(torch.rad2deg(torch.atan2(torch.tensor(float(x)), torch.tensor(float(z)))))
        note(f"begin {seed} {yaw:.0f} {side} {quality.samples:g} {quality.upsample:d}")
        if self.memory and side > self.memory:
            run_out(self.short)
        if self.lost and not self.lost.exists():
            self.lost.touch()
            raise GpuLost("The GPU stopped working", left_out=True)
        if seed == 666:
            raise ValueError("a fault of this identity")
        if seed == 999:
            die()
        began = time.monotonic()
        try:
            for _ in range(0, side, CHUNK_ROWS):
                cancel.check()
                slow = int(self.settings.get("slow", 1))
                time.sleep(self.chunk * (side / 64) * quality.samples * slow)
        except Cancelled:
            note(f"cancelled {seed} {yaw:.0f}")
            raise
        volume = time.monotonic() - began
        red, green, blue = color(seed, yaw)
        raw = torch.tensor([red, green, float(self.settings.get("blue", blue))])
        raw = raw.expand(side, side, 3)
        rgb, timings = raw, {"volume": volume}
        if quality.upsample:
            time.sleep(self.upsample)
            rgb = raw[:1, :1].expand(self.capabilities.resolution, self.capabilities.resolution, 3)
            timings["upsample"] = self.upsample
        alpha = torch.zeros(side, side)
        alpha[:, : side // 2] = 1.0
        note(f"end {seed} {yaw:.0f}")
        normal = torch.zeros(side, side, 3) if quality.normals else None
        return Frame(rgb, raw, torch.ones(side, side), alpha, normal, timings)

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        raise NotImplementedError


def seed_of(w: Tensor) -> int:
    """The seed that a latent was drawn from, found by drawing again."""
    from engine.generators.base import latent_from_seed

    for seed in (*range(64), 666, 999):
        if torch.equal(latent_from_seed(seed, 4), w[0]):
            return seed
    raise ValueError("the tests use seeds 0 to 63, 666 and 999")


def open_model(path: str, device: str) -> Generator:
    """What the engine process calls in place of the registry's function."""
    note(f"open {path}")
    name, _, query = str(path).partition("?")
    if name == "missing":
        raise CheckpointError("There is no file named missing; choose another one.")
    if name == "broken":
        raise ZeroDivisionError("a fault of the reader")
    if name == "deadly":
        die()
    options = dict(parse_qsl(query))
    time.sleep(float(options.get("open", 0)))
    return FakeGenerator(options)
