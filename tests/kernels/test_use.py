"""Kernels are used where they are asked for, run, and are right; else torch draws."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.errors import GpuLost
from engine.kernels import broken, cubes, field, inr, march, pictures, tensor_decoder, triplane
from engine.kernels.launch import CompileError
from engine.kernels.pictures import Finish, finish_reference, try_activate
from engine.kernels.use import Kernel, Wrong, compare
from tests.kernels import emulator
from tests.kernels.emulator import emulated

CPU = torch.device("cpu")
X = torch.ones(1, 1, 2, 2)
KERNELS = [
    march.marching,
    triplane.reading,
    field.evaluating,
    inr.colouring,
    tensor_decoder.tensor_cores,
    cubes.marching,
    pictures.activating,
    pictures.resampling,
]


def passes(device: torch.device) -> None:
    assert device == CPU


def test_it_is_tried_out_once_on_a_device() -> None:
    tried: list[torch.device] = []
    kernel = Kernel("trial", tried.append)
    assert kernel.problem(X) == "The tensors are not on a GPU, or not on the same."
    with emulated():
        assert kernel.problem(X) is None
        assert kernel.problem(X, None) is None
    assert tried == [CPU]


def test_a_wrong_result_turns_it_off_for_good(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(device: torch.device) -> None:
        compare("a test", torch.zeros(2), torch.tensor([0.0, 0.5]), 0.1)

    kernel = Kernel("trial", wrong)
    with emulated(), caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert kernel.problem(X) == (
                "The kernel trial is not used: it draws wrongly here (a test differs by 0.5, more "
                "than 0.1)."
            )
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("error", [CompileError("line 3"), RuntimeError("misaligned address")])
def test_a_kernel_that_cannot_be_tried_out_is_not_used(error: Exception) -> None:
    def fails(device: torch.device) -> None:
        raise error

    kernel = Kernel("trial", fails)
    with emulated():
        assert kernel.problem(X) == (
            f"The kernel trial is not used: {type(error).__name__}: {error}"
        )  # fmt: skip


def test_a_full_card_is_no_fault_of_a_kernel() -> None:
    """It is tried out again when there is room; PyCUDA's error becomes the one that callers know."""
    full = [True, True]

    def checked(device: torch.device) -> None:
        if full and full.pop():
            raise torch.OutOfMemoryError("CUDA out of memory")

    kernel = Kernel("trial", checked)
    with emulated():
        for _ in range(2):
            with pytest.raises(torch.OutOfMemoryError):
                kernel.problem(X)
        assert kernel.problem(X) is None

        class MemoryError(CompileError):
            pass

        def work() -> Tensor:
            raise MemoryError("cuMemAlloc failed")

        with pytest.raises(torch.OutOfMemoryError, match="cuMemAlloc"):
            kernel.run(work)
        assert kernel.problem(X) is None


GPU = torch.device("cuda", 0)


class Card:
    """What a GPU would answer is answered for it: while it is lost, nothing works."""

    def __init__(self) -> None:
        self.lost = False

    def synchronize(self, device: torch.device) -> None:
        if self.lost:
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nand more")

    def lose(self, device: torch.device) -> None:
        self.lost = True
        self.synchronize(device)


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    made = Card()
    monkeypatch.setenv("MAQUETTE_KERNEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(broken, "capability", lambda device: 90)
    monkeypatch.setattr(torch.cuda, "synchronize", made.synchronize)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    with emulated():
        yield made


def test_one_that_breaks_the_gpu_ends_the_process_and_the_next_leaves_it_out(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[torch.device]()
    with pytest.raises(GpuLost, match=r"kernel trial was tried out \(CUDA error: an illegal memory access was encountered\); start again: ") as end:  # fmt: skip
        Kernel("trial", card.lose)._try_out(GPU)
    assert end.value.left_out and len(broken.marks()) == 1
    card.lost = False
    again = Kernel("trial", tried.append)
    again._try_out(GPU)
    assert tried == [] and "broke the GPU" in str(again._off)
    Kernel("another", tried.append)._try_out(GPU)
    assert tried == [GPU]
    # Sources that have changed may do better.
    (tmp_path / "field.cu").write_text("mended")
    monkeypatch.setattr(broken, "data_dir", lambda name: tmp_path)
    broken._sources.cache_clear()
    Kernel("trial", tried.append)._try_out(GPU)
    broken._sources.cache_clear()
    assert tried == [GPU, GPU]


def test_a_gpu_that_was_lost_before_is_no_fault_of_the_next_kernel(card: Card) -> None:
    card.lost = True
    with pytest.raises(GpuLost, match="MAQUETTE_KERNELS=0") as end:
        Kernel("trial", card.lose)._try_out(GPU)
    assert not end.value.left_out and broken.marks() == []


def test_nothing_is_asked_of_a_gpu_that_is_being_recorded(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting is not allowed then: its error would be taken for the end of the GPU."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    card.lost = True
    tried = list[torch.device]()
    Kernel("trial", tried.append)._try_out(GPU)
    assert tried == [GPU] and broken.marks() == []


def test_a_lost_gpu_is_no_full_one(card: Card) -> None:
    def full(device: torch.device) -> None:
        card.lost = True
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(GpuLost, match="left out"):
        Kernel("trial", full)._try_out(GPU)
    assert len(broken.marks()) == 1


def test_where_nothing_can_be_noted_it_is_said_what_to_do(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MAQUETTE_KERNEL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(GpuLost, match="start again with MAQUETTE_KERNELS=0") as end:
        Kernel("trial", card.lose)._try_out(GPU)
    assert not end.value.left_out and broken.marks() == []


def test_one_whose_trial_came_to_no_end_is_tried_again() -> None:
    """It was never held against torch: it must not draw."""
    tried: list[int] = []

    def interrupted(device: torch.device) -> None:
        tried.append(1)
        if len(tried) == 1:
            raise KeyboardInterrupt

    kernel = Kernel("trial", interrupted)
    with emulated():
        with pytest.raises(KeyboardInterrupt):
            kernel.problem(X)
        assert kernel.problem(X) is None
    assert len(tried) == 2


def test_one_that_stops_compiling_gives_nothing_and_is_not_asked_again() -> None:
    kernel = Kernel("trial", passes)

    def work() -> Tensor:
        raise CompileError("too large")

    with emulated():
        assert kernel.problem(X) is None
        assert kernel.run(work) is None
        assert "CompileError: too large" in str(kernel.problem(X))


@pytest.mark.parametrize(
    ("asked", "runs"),
    [("", True), ("1", True), ("0", False), ("march,trial", True), ("march,trials", False)],
)
def test_names_say_which_run(asked: str, runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_KERNELS", asked)
    kernel = Kernel("trial", passes)
    with emulated():
        problem = kernel.problem(X)
    assert (problem is None) == runs
    assert runs or f"MAQUETTE_KERNELS={asked}" in str(problem)


def test_comparing_refuses_what_is_not_there_or_no_number() -> None:
    compare("x", torch.ones(2), torch.ones(2), 0.0)
    for mine in (None, torch.ones(3), torch.tensor([1.0, torch.nan])):
        with pytest.raises(Wrong, match="x "):
            compare("x", mine, torch.ones(2), 1e-3)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_every_kernel_passes_its_own_trial(kernel: Kernel) -> None:
    again = Kernel(kernel.name, kernel._check)
    before = torch.get_rng_state()
    with emulated(orders=(1,)) as run:
        assert again.problem(X) is None
        assert run.launched
    assert torch.equal(torch.get_rng_state(), before)


def test_a_wrong_kernel_never_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real source with one sign changed compiles and runs; the picture comes from torch."""
    for file in emulator.data_dir("cuda").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "finish.cuh").read_text()
    changed = text.replace("value += finish.bias[channel]", "value -= finish.bias[channel]")
    assert changed != text
    (tmp_path / "finish.cuh").write_text(changed)
    emulator.build.cache_clear()
    monkeypatch.setattr(emulator, "data_dir", lambda name: tmp_path)
    monkeypatch.setattr(pictures, "activating", Kernel("activate", pictures._check_activate))
    finish = Finish(bias=torch.ones(1))
    try:
        with emulated() as run:
            assert try_activate(X, finish) is None
            assert "draws wrongly" in str(pictures.activating.problem(X))
            assert run.launched == ["activate"]
    finally:
        emulator.build.cache_clear()
    assert bool((finish_reference(X, finish) == 2.0).all())
