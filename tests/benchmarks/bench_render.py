"""How long a picture takes: torch's path against the kernels, in one run on one machine.

    python -m tests.benchmarks.bench_render [--device cpu|cuda] [--quick] [--json FILE]

On a CPU: the volume rendering and a mesh's densities by torch and by the compiled functions, and whole
pictures of a small EG3D.
On a GPU: the volume rendering of EG3D's released size by torch and by the kernel with its
options, points for meshes, and whole 512-pixel pictures with the identity cached. Fields are
random but have surfaces; "floor" is the time that the counted operations would take at the
rate given by ``--fp32-tflops`` (67 for an H100 or H200).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.generators.base import Quality
from engine.generators.eg3d import EG3D, camera_label
from engine.generators.eg3d_network import EG3DConfig, EG3DNetwork
from engine.generators.triplane import TriplaneDecoder, sample_planes
from engine.kernels import cpu, launch, march
from engine.kernels.triplane import evaluate, evaluate_reference, pack_decoder, pack_planes
from engine.rendering.rays import pinhole_rays
from engine.rendering.volume import RenderSettings, ray_limits, render_rays_in_chunks


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        stage, variant: what was measured.
        median_ms, spread_ms: of the repetitions; the spread is between the quartiles.
        speedup: times faster than the stage's first row.
        error: largest difference of the features from that row's, or ``None``.
        note: operations, floors, frames a second.
    """

    stage: str
    variant: str
    median_ms: float
    spread_ms: float
    speedup: float
    error: float | None
    note: str


class Table:
    """Rows by stage; the first row of a stage is what its others are compared with."""

    def __init__(self, device: torch.device, seconds: float) -> None:
        self.rows: list[Row] = []
        self._device, self._seconds = device, seconds
        self._first: dict[str, tuple[float, Tensor | None]] = {}

    def add(
        self,
        stage: str,
        variant: str,
        run: Callable[[], Tensor],
        note: str | Callable[[float], str] = "",
    ) -> None:
        """Measure ``run``, which returns what is compared with the stage's first row."""
        try:
            result = run().detach().clone()
            milliseconds = sorted(self._times(run))
        except Exception as error:
            print(f"{stage} / {variant}: {type(error).__name__}: {error}", flush=True)
            return
        median = statistics.median(milliseconds)
        quarter = len(milliseconds) // 4
        spread = milliseconds[-1 - quarter] - milliseconds[quarter]
        base, reference = self._first.setdefault(stage, (median, result))
        error = None
        if reference is not result and reference is not None and reference.shape == result.shape:
            error = float((result - reference).abs().max())
        text = note if isinstance(note, str) else note(median)
        row = Row(stage, variant, median, spread, base / median, error, text)
        self.rows.append(row)
        print(_line(row), flush=True)

    def _times(self, run: Callable[[], Tensor]) -> list[float]:
        cuda = self._device.type == "cuda"
        for _ in range(2 if cuda else 1):
            run()
        times: list[float] = []
        until = time.perf_counter() + self._seconds
        while len(times) < 5 or (time.perf_counter() < until and len(times) < 200):
            if cuda:
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                torch.cuda.synchronize()
                start.record()
                run()
                end.record()
                end.synchronize()
                times.append(start.elapsed_time(end))
            else:
                before = time.perf_counter()
                run()
                times.append((time.perf_counter() - before) * 1e3)
        return times


def _line(row: Row) -> str:
    error = "" if row.error is None else f"{row.error:.1e}"
    return (
        f"{row.stage:<22}{row.variant:<30}{row.median_ms:>10.3f}{row.spread_ms:>9.3f}"
        f"{row.speedup:>8.2f}x{error:>9}  {row.note}"
    )


HEADER = f"{'stage':<22}{'variant':<30}{'ms':>10}{'spread':>9}{'ratio':>9}{'differs':>9}  note"


# ------------------------------------------------------------------ what is drawn


def make_field(
    side: int, device: torch.device, settings: RenderSettings
) -> tuple[Tensor, TriplaneDecoder]:
    """Planes ``[1, 3, 32, side, side]`` and a decoder whose densities have the mean -10 and
    the deviation 30, in blobs a quarter of the box in size: empty space and opaque surfaces."""
    torch.manual_seed(0)
    coarse = torch.randn(3, 32, 6, 6)
    planes = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")[None]
    decoder = TriplaneDecoder(32)
    with torch.no_grad():
        points = (torch.rand(1, 4000, 3) - 0.5) * settings.box_warp
        axes = torch.tensor(settings.plane_axes)
        read = sample_planes(planes, points, settings.box_warp, axes)
        decoder.net[2].weight[0] *= 30.0 / decoder.density(read).std()
        decoder.net[2].bias[0] -= decoder.density(read).mean() + 10.0
    packed = planes[0].contiguous(memory_format=torch.channels_last)[None]
    return packed.to(device), decoder.eval().requires_grad_(False).to(device)


def make_rays(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """``[1, side * side, 3]`` origins and directions of a face camera."""
    label = camera_label(OrbitPose(radius=2.7, fov_y=18.837, yaw=20.0, pitch=10.0).camera())
    cam2world, intrinsics = label[:16].reshape(1, 4, 4), label[16:].reshape(1, 3, 3)
    return pinhole_rays(cam2world.float().to(device), intrinsics.float().to(device), side, side)


def volume_operations(rays: int, samples: int) -> float:
    """Floating point operations of the kernel with every sample decoded (32, 64, 32)."""
    density = 24 * 32 + 2 * 32 * 64 + 2 * 64
    return float(rays * samples * (2 * density + 2 * 64 * 32))


# ------------------------------------------------------------------ the benchmarks


def bench_volume_cpu(table: Table, side: int, planes_side: int) -> None:
    settings = RenderSettings()
    planes, decoder = make_field(planes_side, torch.device("cpu"), settings)
    rays = make_rays(side, torch.device("cpu"))
    stage = f"volume {side}x{side}"

    def run(chunk: int | None) -> Tensor:
        result = render_rays_in_chunks(planes, decoder, *rays, settings, chunk_samples=chunk)
        return result.features

    for power in (15, 13, 17, 19):
        table.add(stage, f"torch, chunks of 2^{power}", lambda p=power: run(1 << p))
    table.add(stage, "compiled", lambda: run(None))


def bench_points_cpu(table: Table, count: int, planes_side: int) -> None:
    settings = RenderSettings()
    planes, decoder = make_field(planes_side, torch.device("cpu"), settings)
    points = torch.rand(1, count, 3) - 0.5
    axes = torch.tensor(settings.plane_axes)
    stage = f"{count:,} densities"

    def by_torch() -> Tensor:
        parts = points.split(1 << 15, dim=1)
        read = (sample_planes(planes, part, settings.box_warp, axes) for part in parts)
        return torch.cat([decoder.density(features) for features in read], dim=1)

    def compiled() -> Tensor:
        found = cpu.try_evaluate(
            planes, decoder, points, settings.box_warp, settings.plane_axes, features=False
        )
        assert found is not None, cpu.problem(planes, decoder, points)
        return found[0]

    table.add(stage, "torch", by_torch)
    table.add(stage, "compiled", compiled)


def bench_volume_cuda(table: Table, side: int, planes_side: int, tflops: float) -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    settings = RenderSettings()
    planes, decoder = make_field(planes_side, device, settings)
    rays_o, rays_d = make_rays(side, device)
    limits = tuple(limit[0].contiguous() for limit in ray_limits(rays_o, rays_d, settings))
    packed = {dtype: pack_planes(planes[0], dtype) for dtype in (torch.float32, torch.float16)}
    packed_decoder = pack_decoder(decoder)
    stage = f"volume {side}x{side}"
    operations = volume_operations(side * side, 96)
    floor = operations / tflops / 1e9

    def torch_path() -> Tensor:
        with launch.disabled():
            return render_rays_in_chunks(planes, decoder, rays_o, rays_d, settings).features

    def kernel(dtype: torch.dtype = torch.float32, **more: object) -> Tensor:
        result = march.march(
            packed[dtype],
            packed_decoder,
            rays_o[0].contiguous(),
            rays_d[0].contiguous(),
            (limits[0], limits[1]),
            settings,
            **more,  # type: ignore[arg-type]
        )
        return result.features

    def note(milliseconds: float) -> str:
        rate = operations / milliseconds / 1e9
        return f"{rate:.1f} TFLOP/s, floor {floor:.3f} ms ({milliseconds / floor:.1f}x)"

    table.add(stage, "torch", torch_path)
    if not launch.available()[0]:
        return
    table.add(stage, "kernel", kernel, note)
    table.add(stage, "kernel, precise", lambda: kernel(precise=True), note)
    table.add(stage, "kernel, half planes", lambda: kernel(torch.float16), note)
    for blocks in (1, 2, 3, 4, 5):
        table.add(stage, f"kernel, {blocks} blocks", lambda b=blocks: kernel(min_blocks=b), note)
    for threshold in (1e-7, 1e-5, 1e-4, 1e-3):
        table.add(stage, f"kernel, stop {threshold:g}", lambda t=threshold: kernel(early_stop=t))
    table.add(stage, "kernel, half, stop 1e-4", lambda: kernel(torch.float16, early_stop=1e-4))


def bench_points_cuda(table: Table, count: int, planes_side: int) -> None:
    device = torch.device("cuda", torch.cuda.current_device())
    settings = RenderSettings()
    planes, decoder = make_field(planes_side, device, settings)
    points = torch.rand(count, 3, device=device) - 0.5
    packed, packed_decoder = pack_planes(planes[0]), pack_decoder(decoder)
    stage = f"points {count}"

    def by_torch() -> Tensor:
        return evaluate_reference(planes[0], decoder, points, 1.0, settings.plane_axes)[0]

    def by_kernel(features: bool) -> Tensor:
        return evaluate(packed, packed_decoder, points, 1.0, settings.plane_axes, features)[0]

    table.add(stage, "torch, all", by_torch)
    if launch.available()[0]:
        table.add(stage, "kernel, all", lambda: by_kernel(True))
        table.add(stage, "kernel, density", lambda: by_kernel(False))


def bench_pictures(table: Table, device: torch.device, config: EG3DConfig, name: str) -> None:
    """Whole pictures while orbiting: the identity's planes are cached."""
    torch.manual_seed(0)
    model = EG3D(EG3DNetwork(config).to(device), device)
    w = model.map(torch.randn(config.z_dim))
    cameras = [OrbitPose(radius=2.7, fov_y=18.837, yaw=float(yaw)).camera() for yaw in range(8)]

    def picture(quality: Quality, kernels: bool) -> Callable[[], Tensor]:
        turn = itertools.cycle(cameras)  # every variant starts at the same camera

        def drawn() -> Tensor:
            if kernels:
                return model.render(w, next(turn), quality).rgb
            with launch.disabled():
                return model.render(w, next(turn), quality).rgb

        return drawn

    def rate(milliseconds: float) -> str:
        return f"{1e3 / milliseconds:.1f} pictures a second"

    raw = Quality(upsample=False)
    path = "compiled" if device.type == "cpu" else "torch"
    table.add(f"picture {name}", path, picture(Quality(), False), rate)
    if launch.available()[0]:
        table.add(f"picture {name}", "kernel", picture(Quality(), True), rate)
    table.add(f"raw {name}", path, picture(raw, False), rate)
    if launch.available()[0]:
        table.add(f"raw {name}", "kernel", picture(raw, True), rate)


SMALL = EG3DConfig(
    z_dim=64, w_dim=64, plane_resolution=64, channel_base=2048, channel_max=64,
    img_resolution=128, sr_channels=(32, 16), sr_input_resolution=32,
    neural_rendering_resolution=32,
)  # fmt: skip
RELEASED = EG3DConfig(neural_rendering_resolution=128)


def machine(device: torch.device) -> dict[str, object]:
    """What it ran on."""
    facts: dict[str, object] = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
        facts["kernels"] = launch.available()[1] or "available"
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=default)
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each row")
    parser.add_argument("--fp32-tflops", type=float, default=67.0)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    facts = machine(device)
    print("  ".join(f"{key}: {value}" for key, value in facts.items()))
    print(HEADER)
    table = Table(device, 0.1 if options.quick else options.seconds)
    with torch.inference_mode():
        if device.type == "cuda":
            side, planes_side = (32, 64) if options.quick else (128, 256)
            bench_volume_cuda(table, side, planes_side, options.fp32_tflops)
            bench_points_cuda(table, 10_000 if options.quick else 2_000_000, planes_side)
            bench_pictures(table, device, SMALL if options.quick else RELEASED, "eg3d")
        else:
            bench_volume_cpu(table, 16 if options.quick else 128, 32 if options.quick else 256)
            bench_points_cpu(
                table, 2000 if options.quick else 200_000, 32 if options.quick else 256
            )
            bench_pictures(table, device, SMALL, "small eg3d")
    if options.json is not None:
        rows = [asdict(row) for row in table.rows]
        text = json.dumps({"machine": facts, "rows": rows}, indent=1)
        temporary = options.json.with_name(options.json.name + ".tmp")
        temporary.write_text(text + "\n")
        temporary.replace(options.json)


if __name__ == "__main__":
    main()
