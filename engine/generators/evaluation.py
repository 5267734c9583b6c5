"""What every family's drawing needs: exact arithmetic, a stopwatch, chunks, final pictures."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor, nn

#: Points that a field evaluates at once, by kind of device.
CHUNK_POINTS: dict[str, int] = {"cpu": 1 << 15, "cuda": 1 << 18}

#: Latents whose styles are averaged for truncation where a file stores no average, how many are
#: mapped at once, and the seed that draws them.
MEAN_LATENTS, MEAN_BATCH, MEAN_SEED = 10_000, 1000, 0


_wanted: ContextVar[bool] = ContextVar("gradients", default=False)


@contextmanager
def gradients() -> Iterator[None]:
    """While it lasts, what a generator draws can be differentiated with respect to w, through the
    same code that draws pictures. Slower, and it takes memory for every sample along every ray."""
    token = _wanted.set(True)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        _wanted.reset(token)


def gradients_wanted() -> bool:
    """Whether this thread draws under :func:`gradients`."""
    return _wanted.get()


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """No gradients (but under :func:`gradients`), and on a GPU full float32 and the same sums on
    every run."""
    with torch.inference_mode(not gradients_wanted()):
        if device.type != "cuda":
            yield
            return
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield


class Stopwatch:
    """Seconds by stage; waits for the GPU, so that a stage is charged its own work."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge what happens inside to ``name``; a stage that comes again adds up."""
        begin = time.perf_counter()
        yield
        if self._device.type == "cuda":
            # Not the whole card: the picture before is copied on another stream meanwhile.
            torch.cuda.current_stream(self._device).synchronize()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


def unit_picture(image: Tensor) -> Tensor:
    """``[1, 3, H, W]`` or ``[3, H, W]`` in [-1, 1] -> ``[H, W, 3]`` in [0, 1], clamped."""
    planar = image[0] if image.ndim == 4 else image
    return (planar.permute(1, 2, 0) * 0.5 + 0.5).clamp(0.0, 1.0).contiguous()


def by_chunks(points: Tensor, device: torch.device, evaluate: Callable[[Tensor], Tensor]) -> Tensor:
    """``evaluate`` applied to ``[N, 3]`` points a chunk at a time, exactly, on ``device``.

    Returns:
        The joined results ``[N, ...]`` on the points' own device.
    """
    size = CHUNK_POINTS.get(device.type, 1 << 16)
    with exact(device):
        parts = torch.split(points.to(device, torch.float32), size)
        return torch.cat([evaluate(part) for part in parts]).to(points.device)


def frozen_mean(mapping: nn.Module, z_dim: int) -> Tensor:
    """Average style, for truncation in families whose files store none (their authors draw it
    anew with every picture). The same on every machine: it is computed on the CPU.

    Args:
        mapping: ``[B, z_dim]`` latents -> ``[B, C]`` styles, on any device; left alone.
        z_dim: length of its latent.

    Returns:
        ``[C]`` on the CPU, over :data:`MEAN_LATENTS` latents.
    """
    here = copy.deepcopy(mapping).cpu()
    draw = np.random.RandomState(MEAN_SEED)
    total: Tensor | None = None
    with torch.inference_mode():
        for _ in range(0, MEAN_LATENTS, MEAN_BATCH):
            z = torch.from_numpy(draw.randn(MEAN_BATCH, z_dim).astype(np.float32))
            part = here(z).double().sum(dim=0)
            total = part if total is None else total + part
        assert total is not None
        return (total / MEAN_LATENTS).float()
