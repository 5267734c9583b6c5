"""CUDA graphs: parts of a picture whose sizes never change, told to the card once and then replayed.

A volume rendering or a super-resolution is some dozens of launches of 5 to 50 microseconds each, about what the processor takes to
ask for one. A graph asks for all of them at once. :func:`replayed` draws a part as ever the first time; the second time
with the same sizes it is recorded; from then on what enters is copied to where the recording reads it, and the
recording runs. What comes out has the bits of the plain call: the recording is held against it when it is made and
the next :data:`CHECKS` times, and is dropped for good where a bit differs or the recording fails.

A frame's two fixed parts, its volume and its super-resolution, are recordings of their own, since a picture that moves is
given less of the one where it is too slow, for which their times must be told apart (``app/adaptive.py``). What keeps things
for later (packed weights) makes them anew while it is recorded (:mod:`engine.kernels.recording`), so that what depends on
the face may come in, too.

Rays that are marched in chunks (CIPS-3D, pi-GAN, EpiGRAF) are recorded a chunk at a time, so that drawing can be stopped between
replays (:func:`engine.rendering.nerf_march.march_in_chunks`).

At most :data:`MOST` recordings are kept, in one pool of memory, and none is made while less than an eighth of the card's memory is
free. No GPU has run this yet; the tests record on a CPU (``tests/kernels/emulator/graph.py``). ``MAQUETTE_KERNELS`` calls
it ``graphs``.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from engine.kernels.launch import NvrtcMissing, available, driver_error
from engine.kernels.recording import recording
from engine.kernels.use import Kernel, Wrong

_log = logging.getLogger(__name__)
#: Recordings that are kept, parts that are remembered as seen, and replays that are held against the plain call.
MOST, SEEN, CHECKS = 8, 32, 2
#: Share of a card's memory that must be free before a recording is made.
LEAST_FREE = 1.0 / 8.0

#: What a part gives: a tensor, or a tuple of them (a named one, too), in which some may be missing.
Made = Tensor | tuple[Tensor | None, ...]
M = TypeVar("M", bound=Made)
Work = Callable[..., Made]


class Recording(Protocol):
    """What was recorded."""

    def replay(self) -> None:
        """Do it again, on what the same memory holds now."""


class Recorder(Protocol):
    """What records the work of one device."""

    def has_room(self) -> bool:
        """Whether there is memory for another recording."""

    def record(self, work: Callable[[], Made]) -> tuple[Recording, Made]:
        """Record ``work``; what it gave is written anew by each replay."""


class CudaRecorder:
    """Records by torch's CUDA graphs.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Replays never overlap and what they give is copied at once, so that all share memory. The allocator
        # gives a stream's memory to that stream only: without one stream they would share nothing.
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def has_room(self) -> bool:
        """See :meth:`Recorder.has_room`."""
        free, whole = torch.cuda.mem_get_info(self._device)
        # What torch keeps for later is free as well: recording begins by giving it back.
        reserved = torch.cuda.memory_reserved(self._device)
        cached = reserved - torch.cuda.memory_allocated(self._device)
        return free + cached >= LEAST_FREE * whole

    def record(self, work: Callable[[], Made]) -> tuple[Recording, Made]:
        """See :meth:`Recorder.record`."""
        with torch.cuda.device(self._device):
            stream, current = self._stream, torch.cuda.current_stream(self._device)
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                work()  # libraries and launchers make on a new stream what may not be made while recording
            current.wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            try:
                # Other threads wait for copies meanwhile (app/pinned.py); that is none of this recording's.
                # A recording that fails leaves this thread on its stream: the outer context does not.
                with (
                    torch.cuda.stream(current),
                    torch.cuda.graph(
                        graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"
                    ),
                ):
                    made = work()
            except BaseException:
                # torch may take the pool for one that is recorded to still, and never record to it again.
                self._pool = torch.cuda.graph_pool_handle()
                raise
        return graph, made


# ------------------------------------------------------------------ which recorder


_standing_in: list[Recorder] = []
_recorders: dict[torch.device, Recorder] = {}


@contextmanager
def recording_with(recorder: Recorder) -> Iterator[None]:
    """Within, ``recorder`` records work on any device: the tests' emulation."""
    _standing_in.append(recorder)
    try:
        yield
    finally:
        _standing_in.remove(recorder)


def _recorder(device: torch.device) -> Recorder | None:
    if _standing_in:
        return _standing_in[-1]
    if device.type != "cuda":
        return None
    if device not in _recorders:
        _recorders[device] = CudaRecorder(device)
    return _recorders[device]


# ------------------------------------------------------------------ parts


@dataclass(eq=False)
class _Part:
    """One part with one choice of sizes.

    Attributes:
        owner: what its constants belong to; the part goes with it.
        key: what it depends on besides.
        recording: once it was made.
        inputs: where that reads what enters.
        made: where it leaves what comes out.
        checks: replays that are still to be held against the plain call.
        off: it is not tried again.
    """

    owner: weakref.ref[object]
    key: Hashable
    recording: Recording | None = None
    inputs: tuple[Tensor, ...] = ()
    made: Made | None = None
    checks: int = CHECKS
    off: bool = False


#: The last used first.
_parts: list[_Part] = []
_lock = threading.RLock()


def forget() -> None:
    """Let go of all recordings and their memory."""
    with _lock:
        _parts.clear()


def kept() -> int:
    """How many recordings there are."""
    return sum(part.recording is not None for part in _parts)


def replayed(
    name: str, owner: object, work: Callable[..., M], inputs: Sequence[Tensor], key: Hashable = ()
) -> M:
    """``work(*inputs)``, from a recording where there is one.

    Args:
        name: of the part.
        owner: what holds the tensors that ``work`` reads besides: a module (whose parameters may change in place), or
            what was folded for one face. Their memory must live as long as it does.
        work: gives one tensor or a tuple of them, new each time, changes nothing that it is given, and neither waits for
            the card nor asks it for a value, nor copies from the processor's memory (``torch.tensor``, lists as places).
        inputs: tensors of one device that differ from call to call.
        key: all else that ``work`` depends on.
    """
    recorder = _recorder(inputs[0].device)
    # Pictures are drawn in inference mode. What is drawn without gradients otherwise is a training's, of many pictures
    # at once, and would keep memory that the training needs.
    if recorder is None or not torch.is_inference_mode_enabled():
        return work(*inputs)
    if recordings.problem(*inputs) is not None:
        return work(*inputs)
    with _lock:
        part = _find(owner, (name, key, _state(owner, inputs)))
        if part is None or part.off:
            return work(*inputs)
        if part.recording is None:
            return cast(M, _record(part, recorder, work, inputs))
        return cast(M, _replay(part, work, inputs))


def _state(owner: object, inputs: Sequence[Tensor]) -> Hashable:
    """What a recording stands on: sizes, switches, and where constants lie."""
    sizes = tuple((x.shape, x.stride(), x.dtype, x.device) for x in inputs)
    lie = places(owner) if isinstance(owner, nn.Module) else ()
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    precision = (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, products.allow_tf32)
    mixed = torch.is_autocast_enabled(inputs[0].device.type)
    switches = (os.environ.get("MAQUETTE_KERNELS", ""), available()[0])
    return sizes, lie, precision, mixed, switches


def places(*modules: nn.Module) -> tuple[int, ...]:
    """Where the constants of modules lie: part of the key where a face's layers go with some of the model's own, which
    may change in place, and may be replaced."""
    return tuple(
        x.data_ptr() for module in modules for x in (*module.parameters(), *module.buffers())
    )


def _find(owner: object, key: Hashable) -> _Part | None:
    """The part, or ``None`` the first time that it is asked for."""
    _parts[:] = [part for part in _parts if part.owner() is not None]
    for part in _parts:
        if part.owner() is owner and part.key == key:
            _parts.remove(part)
            _parts.insert(0, part)
            return part
    _parts.insert(0, _Part(weakref.ref(owner), key))
    del _parts[SEEN:]
    return None


def _record(part: _Part, recorder: Recorder, work: Work, inputs: Sequence[Tensor]) -> Made:
    """Record a part, and what it gives."""
    plain = work(*inputs)
    if not recorder.has_room():
        return plain  # perhaps the next time
    others = [other for other in _parts if other.recording is not None]
    for other in others[MOST - 1 :]:
        _parts.remove(other)
    try:
        own = tuple(torch.empty_like(x).copy_(x) for x in inputs)
        with recording():
            tape, made = recorder.record(lambda: work(*own))
        tape.replay()
        if not _same_bits(made, plain):
            raise Wrong("the recording gives other bits than the call itself")
    except (RuntimeError, Wrong, NvrtcMissing, driver_error()) as error:
        _turn_off(part, error)
        return plain
    part.recording, part.inputs, part.made = tape, own, made
    return plain


def _replay(part: _Part, work: Work, inputs: Sequence[Tensor]) -> Made:
    assert part.recording is not None and part.made is not None
    for own, given in zip(part.inputs, inputs, strict=True):
        own.copy_(given)
    part.recording.replay()
    found = _copied(part.made)
    if part.checks:
        plain = work(*inputs)  # may be stopped half way
        part.checks -= 1
        if not _same_bits(found, plain):
            _turn_off(part, Wrong("a replay gives other bits than the call itself"))
            return plain
    return found


def _turn_off(part: _Part, error: Exception) -> None:
    part.off, part.recording, part.inputs, part.made = True, None, (), None
    # Where a recording is broken off, torch says so, and what broke it is in the error before.
    errors = [error, *([error.__context__] if error.__context__ else [])]
    words = "; after ".join(f"{type(one).__name__}: {one}" for one in errors)
    _log.warning("One part is drawn without a CUDA graph: %s", words)


def _copied(made: Made) -> Made:
    if isinstance(made, Tensor):
        return made.clone()
    copies = [None if part is None else part.clone() for part in made]
    # Named tuples take their fields one by one.
    kind = cast(Any, type(made))
    return cast(Made, kind(*copies) if hasattr(made, "_fields") else kind(copies))


def _same_bits(one: Made | None, other: Made | None) -> bool:
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        if one is None or other is None or isinstance(one, Tensor) or isinstance(other, Tensor):
            return one is other
        return len(one) == len(other) and all(map(_same_bits, one, other))
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    kind = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[one.element_size()]
    return bool(torch.equal(one.contiguous().view(kind), other.contiguous().view(kind)))


def _check(device: torch.device) -> None:
    recorder = _recorder(device)
    assert recorder is not None
    own = torch.linspace(-1.0, 1.0, 24, device=device).reshape(4, 6)
    factor = own.flip(0).contiguous()
    tape, made = recorder.record(lambda: (own @ factor.T).sin() + 1.0)
    for shift in (0.5, -2.0):
        own.copy_(factor + shift)
        tape.replay()
        if not _same_bits(_copied(made), (own @ factor.T).sin() + 1.0):
            raise Wrong("a recording gives other bits than the calls in it")


recordings = Kernel("graphs", _check)
