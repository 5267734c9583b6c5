"""The launchers without a GPU: refusals, fallbacks, packing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from engine.generators.triplane import EG3D_AXES, TriplaneDecoder
from engine.kernels import launch, march, triplane
from engine.kernels.triplane import PackCache, evaluate, pack_decoder, pack_planes
from engine.rendering.volume import RenderSettings
from tests import forks
from tests.kernels.fields import Case, make_decoder, make_planes, make_rays

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="says what holds without a GPU")


def test_importing_the_kernels_imports_no_cuda() -> None:
    code = (
        # torch's CUDA builds import NVIDIA's bindings by themselves.
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        "import engine.kernels.march, engine.kernels.launch, engine.kernels.field\n"
        "import engine.kernels.pictures, engine.kernels.cubes, engine.export.on_gpu\n"
        "import engine.kernels.graphs, engine.kernels.inr\n"
        "engine.kernels.launch.available()\n"
        "new = set(sys.modules) - before\n"
        "bad = [m for m in new if m.startswith(('pycuda', 'cuda.bindings'))]\n"
        "gpu = torch.cuda.is_available()\n"
        "assert not torch.cuda.is_initialized()\n"
        "assert gpu or not bad, bad\n"
    )
    done = forks.run(["-c", code])
    assert done.returncode == 0, done.stderr


@no_gpu
def test_without_a_gpu_the_torch_path_runs() -> None:
    running, reason = launch.available()
    assert not running
    assert "GPU" in reason
    case = Case()
    planes, decoder = make_planes(case, 0)[None], make_decoder(case, 0)
    rays = [ray[None] for ray in make_rays(case, 0)]
    assert march.try_march(planes, decoder, *rays, case.settings) is None
    assert march.march_problem(planes, decoder, case.settings) == "The planes are not on a GPU."


def test_kernels_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    with launch.disabled("for this test"):
        assert launch.available() == (False, "for this test")
    assert launch.available()[1] != "for this test"
    monkeypatch.setenv("MAQUETTE_KERNELS", "0")
    assert launch.available() == (False, "The kernels are turned off (MAQUETTE_KERNELS=0).")


def test_more_samples_than_the_kernel_holds_fall_back_with_a_reason() -> None:
    settings = RenderSettings(depth_resolution=100, depth_resolution_importance=93)
    assert march.settings_problem(settings) == (
        "The kernel holds up to 192 samples per ray, not 193."
    )
    assert march.settings_problem(RenderSettings()) is None


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((30, 64, 32), "8 to 64 channels in steps of 8, not 30"),
        ((72, 64, 32), "not 72"),
        ((32, 66, 32), "128 hidden units in steps of 4, not 66"),
        ((32, 64, 3), "features in steps of 4, not 3"),
    ],
)
def test_decoders_of_other_sizes_are_refused(sizes: tuple[int, int, int], words: str) -> None:
    channels, hidden, features = sizes
    with pytest.raises(ValueError, match=words):
        pack_decoder(TriplaneDecoder(channels, features, hidden))


def test_other_decoders_are_refused() -> None:
    problem = triplane.decoder_problem(torch.nn.Linear(3, 3))
    assert problem == "The kernels have no decoder of the kind Linear."


BadArgument = Callable[[dict[str, object]], None]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"points": torch.zeros(5, 2)}, ValueError, r"points must have the shape \[any, 3\]"),
        ({"points": torch.zeros(5, 3).double()}, TypeError, "points must be torch.float32"),
        ({"points": torch.zeros(3, 5).T}, ValueError, "points must be contiguous"),
        ({"points": torch.zeros(5, 3, device="meta")}, ValueError, "points must be on cpu"),
        ({"planes": torch.zeros(3, 4, 4, 31)}, ValueError, "planes must have the shape"),
        ({"planes": torch.zeros(3, 4, 4, 32).double()}, TypeError, "planes must be"),
        (
            {"planes": torch.zeros(3, 32, 4, 4).permute(0, 2, 3, 1)},
            ValueError,
            "planes must be con",
        ),
        (
            {"planes": torch.zeros(3 * 4 * 4 * 32 + 1)[1:].view(3, 4, 4, 32)},
            ValueError,
            "planes must start at a multiple of 16",
        ),
        ({}, ValueError, "planes must be on a GPU"),
    ],
)
def test_arguments_are_checked_by_name(
    change: dict[str, torch.Tensor], error: type[Exception], words: str
) -> None:
    case = Case()
    arguments = {"planes": pack_planes(make_planes(case, 0)), "points": torch.zeros(5, 3)} | change
    with pytest.raises(error, match=words):
        evaluate(
            arguments["planes"],
            pack_decoder(make_decoder(case, 0)),
            arguments["points"],
            1.0,
            EG3D_AXES,
        )


def test_planes_are_packed_channels_last() -> None:
    planes = torch.arange(3 * 8 * 2 * 5, dtype=torch.float32).view(3, 8, 2, 5)
    packed = pack_planes(planes, torch.float16)
    assert packed.shape == (3, 2, 5, 8)
    assert packed.is_contiguous()
    assert packed[2, 1, 4, 7] == planes[2, 7, 1, 4]
    with pytest.raises(ValueError, match="planes"):
        pack_planes(planes[0])
    with pytest.raises(TypeError, match="float64"):
        pack_planes(planes, torch.float64)


def test_packed_copies_live_with_their_originals_and_follow_changes() -> None:
    cache = PackCache(pack_planes, pack_decoder, planes_kept=2)
    case = Case(8, 4, 4)
    decoder = make_decoder(case, 0)
    first = make_planes(case, 0)[None]
    packed = cache.planes(first, 0, torch.float32)
    assert cache.planes(first, 0, torch.float32) is packed
    first.mul_(2.0)
    doubled = cache.planes(first, 0, torch.float32)
    assert torch.equal(doubled, packed * 2.0)
    del first
    cache.planes(make_planes(case, 1)[None], 0, torch.float32)
    assert len(cache._planes) <= 1
    weights = cache.decoder(decoder)
    assert cache.decoder(decoder) is weights
    with torch.no_grad():
        decoder.net[2].weight.zero_()
    assert cache.decoder(decoder).weights[32:48].abs().max() == 0


def test_inference_tensors_are_packed_too() -> None:
    cache = PackCache(pack_planes, pack_decoder)
    with torch.inference_mode():
        planes = make_planes(Case(), 0)[None].clone()
        assert cache.planes(planes, 0, torch.float32).shape == (3, 24, 24, 32)
