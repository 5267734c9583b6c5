"""The emulation finds what it says it finds: small kernels, most of them with one fault."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.kernels import launch
from tests.kernels.emulator import EmulationError, build, emulated, run

PARAMS = np.dtype([("out", np.uint64), ("in", np.uint64), ("count", np.int64)], align=True)
HEAD = """
#include "numbers.cuh"
struct Params { float* out; const float* in; long long count; };
extern "C" __global__ void kernel(const Params p) {
    extern __shared__ __align__(16) float shared[];
    const int i = static_cast<int>(threadIdx.x);
    (void)i; (void)shared;
"""


def launched(
    body: str, out: Tensor, given: Tensor, threads: int = 64, blocks: int = 1, shared: int = 1024
) -> Tensor:
    """Run ``body`` between the braces of a kernel."""
    record = np.zeros((), PARAMS)
    record["out"], record["in"] = out.data_ptr(), given.data_ptr()
    record["count"] = given.numel()
    run(build("test", "kernel", (), HEAD + body + "}"), record, blocks, threads, shared)
    return out


def test_barriers_shuffles_and_votes() -> None:
    given = torch.arange(64.0)
    body = """
        shared[i] = p.in[i];
        __syncthreads();
        const float turned = shared[63 - i];
        const float sum = turned + __shfl_xor_sync(0xffffffffu, turned, 1);
        const unsigned int odd = __ballot_sync(0xffffffffu, static_cast<int>(p.in[i]) & 1);
        p.out[i] = sum + static_cast<float>(__popc(odd)) * 1000.0f;
    """
    out = launched(body, torch.empty(64), given)
    pairs = given.flip(0).reshape(32, 2).sum(1).repeat_interleave(2)
    assert torch.equal(out, pairs + 16_000)


def test_shuffles_within_groups_as_the_manual_has_them() -> None:
    given = torch.arange(32.0)
    body = """
        const float up = __shfl_up_sync(0xffffffffu, p.in[i], 1, 8);
        const float down = __shfl_down_sync(0xffffffffu, p.in[i], 2, 8);
        p.out[i] = up * 100.0f + down + 10000.0f * __shfl_sync(0xffffffffu, p.in[i], 3, 8);
    """
    out = launched(body, torch.empty(32), given, threads=32)
    lane = np.arange(32)
    up = np.where(lane % 8 >= 1, lane - 1, lane)
    down = np.where(lane % 8 < 6, lane + 2, lane)
    expected = up * 100 + down + 10_000 * (lane // 8 * 8 + 3)
    assert out.tolist() == expected.tolist()


def test_a_matrix_product_by_tensor_cores() -> None:
    """Fragments filled by the manual's formulas for row and column, element by element."""
    torch.manual_seed(0)
    a, b, c = torch.randn(16, 8), torch.randn(8, 8), torch.randn(16, 8)
    body = """
        const int g = i / 4, t = i % 4;
        unsigned int a[4], b[2];
        float c[4];
        for (int n = 0; n < 4; ++n) {
            const int row = (n == 0 || n == 2) ? g : g + 8;
            const int column = n < 2 ? t : t + 4;
            a[n] = mq::to_tf32(p.in[row * 8 + column]);
        }
        for (int n = 0; n < 2; ++n) b[n] = mq::to_tf32(p.in[128 + (t + 4 * n) * 8 + g]);
        for (int n = 0; n < 4; ++n)
            c[n] = p.in[192 + (n < 2 ? g : g + 8) * 8 + 2 * t + (n & 1)];
        mq::mma_tf32(c, a, b);
        for (int n = 0; n < 4; ++n) p.out[(n < 2 ? g : g + 8) * 8 + 2 * t + (n & 1)] = c[n];
    """
    given = torch.cat([part.reshape(-1) for part in (a, b, c)])
    out = launched(body, torch.empty(128), given, threads=32).reshape(16, 8)
    assert (out - (c + a @ b)).abs().max() < 1e-2  # ten bits of fraction

    def rounded(x: Tensor) -> Tensor:
        bits = x.contiguous().view(torch.int32)
        return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)

    exact = c.double() + rounded(a).double() @ rounded(b).double()
    assert (out.double() - exact).abs().max() < 1e-6


def test_numbers_of_16_bits_round_as_torch_does() -> None:
    special = [
        0.0,
        -0.0,
        1e-8,
        6e-8,
        -3e-5,
        6.1e-5,
        65504.0,
        65519.9,
        65520.0,
        torch.inf,
        torch.nan,
    ]
    torch.manual_seed(1)
    random = torch.randn(53) * torch.logspace(-9, 6, 53)
    given = torch.cat([torch.tensor(special), random])
    for kind, dtype in (("half", torch.float16), ("bfloat", torch.bfloat16)):
        body = f"p.out[i] = mq::{kind}_to_float(mq::float_to_{kind}(p.in[i]));"
        out = launched(body, torch.empty(64), given)
        assert torch.equal(out.nan_to_num(nan=7.0), given.to(dtype).float().nan_to_num(nan=7.0))


FAULTS = {
    "a race": (
        "shared[i] = p.in[i]; p.out[i] = shared[63 - i];",
        "without a barrier",
    ),
    "a race between blocks": (
        "p.out[i] = p.in[i] + static_cast<float>(blockIdx.x);",
        "without a barrier",
    ),
    "a race within a warp": (
        "shared[i] = p.in[i]; __syncthreads(); shared[i ^ 1] += shared[i]; p.out[i] = shared[i];",
        "without a barrier",
    ),
    "a barrier that some pass": (
        "if (i < 40) __syncwarp(); else __syncthreads(); p.out[i] = p.in[i];",
        "different things|waits for ever",
    ),
    "lanes that wait for others": (
        "if (i < 5) p.out[i] = __shfl_sync(0xffffffffu, p.in[i], 0); else p.out[i] = 0.0f;",
        "a lane that has ended",
    ),
    "two places to wait": (
        "p.out[i] = i & 1 ? __shfl_sync(0xffffffffu, p.in[i], 0)"
        " : static_cast<float>(__ballot_sync(0xffffffffu, 1));",
        "different things",
    ),
    "a lane outside of the mask": (
        "p.out[i] = i < 16 ? __shfl_sync(0x0000ffffu, p.in[i], 20) : 0.0f;",
        "outside of its mask|has ended",
    ),
    "reading past the end": ("p.out[i] = p.in[i + 4];", "outside of its tensors"),
    "reading before the start": ("p.out[i] = p.in[i - 16384];", "outside of its tensors"),
    "writing past the end": ("p.out[i + 16384] = p.in[i];", "outside of its tensors"),
    "shared memory past the end": (
        "shared[256 + i] = 1.0f; p.out[i] = p.in[i];",
        "beyond the block's",
    ),
    "a misaligned load": (
        "p.out[i] = reinterpret_cast<const float4*>(p.in + 1)[i / 8].x;",
        "misaligned",
    ),
    "a number too large to convert": (
        "p.out[i] = static_cast<float>(static_cast<int>(p.in[i] * 1e20f));",
        "undefined arithmetic",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    body, words = FAULTS[name]
    blocks = 2 if "blocks" in name else 1
    given = torch.arange(1.0, 65.0)
    with pytest.raises(EmulationError, match=words):
        launched(body, torch.zeros(64), given, blocks=blocks)


def test_nothing_is_written_after_a_fault() -> None:
    out = torch.full((64,), 5.0)
    with pytest.raises(EmulationError):
        launched("p.out[i] = p.in[i + 4];", out, torch.ones(64))
    assert bool((out == 5.0).all())


def test_a_write_just_behind_a_tensor_is_found() -> None:
    with pytest.raises(EmulationError, match="behind the end"):
        launched("p.out[i] = p.in[i];", torch.zeros(63), torch.ones(64))


def test_a_write_just_before_a_tensor_is_found() -> None:
    with pytest.raises(EmulationError, match="before the start"):
        launched("p.out[i - 1] = p.in[i];", torch.zeros(64), torch.ones(64))


def test_memory_that_nobody_holds_is_found() -> None:
    record = np.zeros((), PARAMS)
    record["out"], record["in"] = torch.zeros(64).data_ptr(), 64
    library = build("test", "kernel", (), HEAD + "p.out[i] = p.in[i];}")
    with pytest.raises(EmulationError, match="no living tensor"):
        run(library, record, 1, 64, 0)


def test_a_launcher_with_another_layout_is_found() -> None:
    library = build("test", "kernel", (), HEAD + "p.out[i] = p.in[i];}")
    with pytest.raises(EmulationError, match="have 24 bytes"):
        run(library, np.zeros((), np.dtype([("out", np.uint64)])), 1, 64, 0)


def test_it_stands_in_only_within() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    with emulated():
        assert launch.available() == (True, "")
        assert launch.reaches(cpu)
        assert torch.empty(3).isnan().all()
    assert not launch.reaches(cpu)
    assert launch.reaches(gpu)
