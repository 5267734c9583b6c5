"""Recorded parts draw the same bits as the calls themselves, or are not used."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from engine.errors import Cancelled
from engine.frame import Frame
from engine.generators.base import CancelToken, Generator, Quality, latent_from_seed
from engine.kernels import graphs
from engine.kernels.graphs import CHECKS, MOST, SEEN, replayed
from engine.kernels.pictures import Finish, finish_reference, try_activate
from engine.kernels.recording import is_recording, unless_recording
from engine.kernels.use import Kernel
from tests.kernels.emulator import EmulationError, emulated
from tests.kernels.emulator.graph import GraphEmulator, as_on_a_gpu, recorded
from tests.kernels.test_wiring import _eg3d, _golden

CPU = torch.device("cpu")


@pytest.fixture
def recorder() -> Iterator[GraphEmulator]:
    """Kernels and recordings on the CPU, without gradients."""
    with torch.inference_mode(), emulated(orders=(1,)), recorded() as made:
        assert graphs.recordings.problem(torch.zeros(1)) is None
        made.tapes.clear()
        yield made


class Found(NamedTuple):
    """What a part may give."""

    first: Tensor
    missing: Tensor | None
    last: Tensor


class Layer(nn.Module):
    """A part: one product, and how often Python has asked for it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(5, 5))
        self.calls = 0

    def forward(self, x: Tensor, shift: Tensor) -> Tensor:
        self.calls += 1
        found: Tensor = (x @ self.weight).sin_().add_(shift)
        return found


def values(number: int, rows: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(number)
    return torch.randn(rows, 5), torch.randn(5)


def test_a_part_is_recorded_the_second_time_and_then_replayed(recorder: GraphEmulator) -> None:
    layer, plain = Layer(), Layer()
    for number in range(8):
        inputs = values(number)
        before = [x.clone() for x in inputs]
        assert torch.equal(replayed("part", layer, layer, inputs), plain(*inputs))
        assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True))
    assert len(recorder.tapes) == 1 and graphs.kept() == 1
    # The first; the second, a rehearsal and the recording; the checks. The rest asked nothing of Python.
    assert layer.calls == 1 + 3 + CHECKS
    assert recorder.tapes[0].replays == 7


def test_our_own_kernels_are_recorded_too(recorder: GraphEmulator) -> None:
    finish = Finish(bias=torch.tensor([1.0, -1.0]), activation="lrelu")
    layer = Layer()

    def work(x: Tensor) -> Tensor:
        found = try_activate(x * 2.0, finish)
        assert found is not None
        return found + 1.0

    for number in range(5):
        x = values(number)[0].reshape(1, 3, 5, 1).expand(1, 3, 5, 2)[:, :2].contiguous()
        found = replayed("part", layer, work, (x,))
        assert torch.allclose(found, finish_reference(x * 2.0, finish) + 1.0)
    assert recorder.tapes[0].replays == 4


def test_what_came_out_is_not_written_again(recorder: GraphEmulator) -> None:
    layer = Layer()
    found = [replayed("part", layer, layer, values(number)) for number in range(6)]
    for number, one in enumerate(found):
        assert torch.equal(one, layer(*values(number)))


def test_other_sizes_kinds_and_keys_are_other_recordings(recorder: GraphEmulator) -> None:
    layer = Layer()
    for _ in range(3):
        for rows, key in ((3, 0), (4, 0), (3, 1)):
            inputs = values(1, rows)
            assert torch.equal(replayed("part", layer, layer, inputs, key), layer(*inputs))
    assert len(recorder.tapes) == 3


def test_parameters_may_change_in_place_and_be_replaced(recorder: GraphEmulator) -> None:
    layer = Layer()
    inputs = values(1)
    for _ in range(6):
        replayed("part", layer, layer, inputs)
    tape = recorder.tapes[0]
    layer.weight.mul_(2.0)
    replays = tape.replays
    assert torch.equal(replayed("part", layer, layer, inputs), layer(*inputs))
    assert tape.replays == replays + 1
    layer.weight = nn.Parameter(torch.ones(5, 5))
    assert torch.equal(replayed("part", layer, layer, inputs), layer(*inputs))
    assert tape.replays == replays + 1


def test_a_part_goes_with_its_owner(recorder: GraphEmulator) -> None:
    layer = Layer()
    for _ in range(3):
        replayed("part", layer, layer, values(1))
    assert graphs.kept() == 1
    del layer
    gc.collect()
    other = Layer()
    replayed("part", other, other, values(1))
    assert graphs.kept() == 0


def test_few_are_kept(recorder: GraphEmulator) -> None:
    layer = Layer()
    for key in range(MOST + 3):
        for number in range(3):
            replayed("part", layer, layer, values(number), key)
        assert graphs.kept() <= MOST
    assert graphs.kept() == MOST
    for key in range(SEEN + 8):
        replayed("part", layer, layer, values(0), ("seen", key))
    assert len(graphs._parts) == SEEN
    graphs.forget()
    assert graphs.kept() == 0


def test_without_room_nothing_is_recorded(recorder: GraphEmulator) -> None:
    layer = Layer()
    recorder.room = False
    for number in range(4):
        inputs = values(number)
        assert torch.equal(replayed("part", layer, layer, inputs), layer(*inputs))
    assert graphs.kept() == 0
    recorder.room = True
    replayed("part", layer, layer, values(1))
    assert graphs.kept() == 1


def asks(x: Tensor, shift: Tensor) -> Tensor:
    return x * float(shift.sum())


def random(x: Tensor, shift: Tensor) -> Tensor:
    torch.manual_seed(3)
    return x + torch.randn(x.shape)


def copies(x: Tensor, shift: Tensor) -> Tensor:
    return x + torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])


def inverts(x: Tensor, shift: Tensor) -> Tensor:
    return x @ torch.linalg.inv(torch.diag(shift))


def chooses_places(x: Tensor, shift: Tensor) -> Tensor:
    return x[:, shift > -9.0]


def breaks(x: Tensor, shift: Tensor) -> Tensor:
    breaks.calls += 1  # type: ignore[attr-defined]
    if breaks.calls == 4:  # type: ignore[attr-defined]
        raise RuntimeError("CUDA out of memory")
    return x + shift


@pytest.mark.parametrize("work", [asks, random, copies, inverts, chooses_places, breaks])
def test_what_cannot_be_recorded_is_called(
    work: Callable[..., Tensor], recorder: GraphEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    breaks.calls = 0  # type: ignore[attr-defined]
    layer = Layer()
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            inputs = values(number)
            found = replayed("part", layer, work, inputs)
            assert torch.equal(found, work(*inputs))
    assert graphs.kept() == 0
    assert len(caplog.messages) == 1 and "without a CUDA graph" in caplog.messages[0]


def test_a_part_that_python_decides_is_found_and_called(
    recorder: GraphEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    """What is kept in Python for one input would be replayed for all of them."""
    layer, choice = Layer(), 1.0

    def chooses(x: Tensor, shift: Tensor) -> Tensor:
        return x * choice

    with caplog.at_level(logging.WARNING):
        for choice in (1.0, 1.0, 2.0, 3.0, 4.0):
            inputs = values(int(choice))
            assert torch.equal(replayed("part", layer, chooses, inputs), inputs[0] * choice)
    assert graphs.kept() == 0 and "other bits" in caplog.messages[0]


def test_gradients_cpus_and_names_keep_the_plain_call(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Layer()
    with torch.inference_mode(), emulated(orders=(1,)):
        for _ in range(4):
            replayed("part", layer, layer, values(1))  # emulated kernels, but nobody records
    assert layer.calls == 4 and graphs._parts == []
    with emulated(orders=(1,)), recorded():
        for _ in range(4):
            assert replayed("part", layer, layer, values(1)).requires_grad
        assert graphs._parts == []
        with torch.no_grad():  # a training's pictures
            for _ in range(4):
                replayed("part", layer, layer, values(1))
        assert graphs._parts == []
        monkeypatch.setenv("MAQUETTE_KERNELS", "march")
        with torch.inference_mode():
            for _ in range(4):
                replayed("part", layer, layer, values(1))
        assert graphs._parts == []


def test_the_first_trial_finds_a_recorder_that_does_nothing() -> None:
    class Idle(GraphEmulator):
        def record(self, work):  # type: ignore[no-untyped-def]
            tape, made = super().record(work)
            tape._steps.clear()
            return tape, made

    again = Kernel("graphs", graphs._check)
    with emulated(orders=(1,)), graphs.recording_with(Idle()):
        assert "draws wrongly" in str(again.problem(torch.zeros(1)))
    again = Kernel("graphs", graphs._check)
    with emulated(orders=(1,)), recorded():
        assert again.problem(torch.zeros(1)) is None


# ------------------------------------------------------------------ the families

FAMILIES: dict[str, Callable[[], Generator]] = {
    "eg3d": _eg3d,
    "stylesdf": lambda: _golden("stylesdf"),
    "stylenerf": lambda: _golden("stylenerf_default"),
    "cips3d": lambda: _golden("cips3d"),
    "pigan": lambda: _golden("pigan"),
    "epigraf": lambda: _golden("epigraf"),
}


#: Of each family's volume, and of what follows it.
REPLAYS = {
    "eg3d": [6, 6],
    "stylesdf": [4, 6, 1],
    "stylenerf": [4, 4, 1, 1],
    "cips3d": [4, 4, 1, 1],
    "pigan": [4, 1],
    "epigraf": [4, 1],
}


def turned(generator: Generator) -> list[Frame]:
    """Two people, each turned a little."""
    facts, frames = generator.capabilities, []
    for seed in (3, 4):
        w = generator.map(latent_from_seed(seed, facts.z_dim))
        for step in range(5 if seed == 3 else 2):
            camera = facts.default_pose.turned(3.0 * step, 0.0).camera()
            frames.append(generator.render(w, camera, Quality(neural_resolution=8)))
    return frames


@pytest.mark.parametrize("name", FAMILIES)
def test_pictures(
    name: str,
    recorder: GraphEmulator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_on_a_gpu(monkeypatch)  # emulated kernels take minutes
    generator = FAMILIES[name]()
    with caplog.at_level(logging.WARNING):
        quick = turned(generator)
    assert caplog.messages == []
    # The third frame of a face is the first that is not drawn plainly. A second face has recordings of its own where they
    # hold what was folded for the first one.
    assert [tape.replays for tape in recorder.tapes] == REPLAYS[name]
    with graphs.recording_with(None):  # type: ignore[arg-type]
        plain = turned(generator)
    for one, other in zip(quick, plain, strict=True):
        assert torch.equal(one.rgb, other.rgb)
    assert not torch.equal(quick[0].rgb, quick[1].rgb)


def test_the_emulation_finds_what_is_read_and_has_gone(recorder: GraphEmulator) -> None:
    layer, shifts = Layer(), [torch.ones(5)]

    def work(x: Tensor) -> Tensor:
        return x + shifts[0]

    for number in range(5):
        replayed("part", layer, work, values(number)[:1])
    shifts[0] = torch.ones(5)
    with pytest.raises(EmulationError, match="given back"):
        replayed("part", layer, work, values(1)[:1])


def test_several_tensors_come_out_and_some_may_be_missing(recorder: GraphEmulator) -> None:
    layer = Layer()

    def both(x: Tensor, shift: Tensor) -> Found:
        return Found(layer(x, shift), None, x + shift)

    found = [replayed("part", layer, both, values(number)) for number in range(6)]
    assert recorder.tapes[0].replays == 5
    for number, one in enumerate(found):
        expected = both(*values(number))
        assert isinstance(one, Found) and one.missing is None
        assert torch.equal(one.first, expected.first) and torch.equal(one.last, expected.last)


def test_a_recording_does_not_ask_whether_to_stop(recorder: GraphEmulator) -> None:
    """A plain call does, and leaves nothing behind when it is stopped."""
    layer, token = Layer(), CancelToken()
    check = unless_recording(token.check)

    def work(x: Tensor, shift: Tensor) -> Tensor:
        if is_recording():
            token.cancel()
        check()
        return x + shift

    assert torch.equal(replayed("part", layer, work, values(1)), sum(values(1)))
    assert torch.equal(replayed("part", layer, work, values(2)), sum(values(2)))
    assert graphs.kept() == 1 and token.cancelled
    with pytest.raises(Cancelled):
        replayed("other", layer, work, values(1))


def test_a_comparison_that_is_stopped_is_made_again(recorder: GraphEmulator) -> None:
    layer, token, calls = Layer(), CancelToken(), 0
    check = unless_recording(token.check)

    def work(x: Tensor, shift: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        check()
        return x + shift

    for number in range(2):
        replayed("part", layer, work, values(number))
    token.cancel()
    with pytest.raises(Cancelled):
        replayed("part", layer, work, values(2))
    token, before = CancelToken(), calls
    check = unless_recording(token.check)
    for number in range(CHECKS + 2):
        assert torch.equal(replayed("part", layer, work, values(number)), sum(values(number)))
    assert calls == before + CHECKS


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("name", FAMILIES)
def test_pictures_on_a_gpu(name: str, caplog: pytest.LogCaptureFixture) -> None:
    gpu = torch.device("cuda", 0)
    generator = FAMILIES[name]()
    generator = type(generator)(generator.network.to(gpu), gpu)  # type: ignore[attr-defined, call-arg]
    graphs.forget()
    with caplog.at_level(logging.WARNING):
        quick = turned(generator)
    assert caplog.messages == [] and graphs.kept() >= 1
    with graphs.recording_with(None):  # type: ignore[arg-type]
        plain = turned(generator)
    graphs.forget()
    for one, other in zip(quick, plain, strict=True):
        assert torch.equal(one.rgb, other.rgb)
