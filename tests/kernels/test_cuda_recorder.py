"""What records on a GPU, as far as that can be told without one: what it asks of torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import Tensor

from engine.kernels import graphs


def test_what_torch_keeps_for_later_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("graph_pool_handle", (0, 0)),
        ("Stream", None),
        ("mem_get_info", (100, 1000)),
        ("memory_reserved", 500),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    recorder = graphs.CudaRecorder(torch.device("cuda", 0))
    for allocated, room in ((475, True), (476, False)):
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _, a=allocated: a)
        assert recorder.has_room() is room


def test_a_recording_that_is_broken_off_takes_its_memory_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """torch (until 2.12) takes a pool whose recording failed for one that is recorded to still."""
    pools, streams, used = iter("abc"), iter(range(9)), []

    class Stream:
        def __init__(self, device: object) -> None:
            self.number = next(streams)

        def wait_stream(self, other: object) -> None:
            return

    @contextmanager
    def graph(made: object, pool: str, stream: Stream, **_: object) -> Iterator[None]:
        used.append((pool, stream.number))
        yield

    current = Stream(None)
    for name, value in (
        ("graph_pool_handle", lambda: next(pools)),
        ("Stream", Stream),
        ("current_stream", lambda device: current),
        ("device", nullcontext),
        ("stream", nullcontext),
        ("CUDAGraph", object),
        ("graph", graph),
    ):
        monkeypatch.setattr(torch.cuda, name, value)
    recorder = graphs.CudaRecorder(torch.device("cuda", 0))
    results = iter((0, 1, 2, RuntimeError("illegal"), 4, 5))

    def work() -> Tensor:
        found = next(results)
        if isinstance(found, Exception):
            raise found
        return torch.tensor(found)

    recorder.record(work)
    with pytest.raises(RuntimeError, match="illegal"):
        recorder.record(work)
    recorder.record(work)
    # One stream for all: the allocator shares no memory between streams.
    assert used == [("a", 1), ("a", 1), ("b", 1)]
