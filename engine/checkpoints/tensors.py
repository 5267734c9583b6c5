"""Storages and strided views of them, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints.faults import Damaged, Refused
from engine.checkpoints.plain import LazyTensor
from engine.checkpoints.source import Source
from engine.errors import CheckpointError

#: Most dimensions of a tensor.
MAX_DIMS = 32
#: A view that repeats elements (stride 0) may be this many bytes whatever its storage is.
SMALL_VIEW = 16 << 20

#: Names of the typed storage classes in a file.
STORAGE_DTYPES: dict[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.ComplexDoubleStorage": torch.complex128,
    "torch.UntypedStorage": torch.uint8,
}

#: Element types by the name that a file or a safetensors header may give.
DTYPES: dict[str, torch.dtype] = {
    str(dtype): dtype
    for dtype in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64,
        torch.int8, torch.int16, torch.int32, torch.int64,
        torch.uint8, torch.uint16, torch.uint32, torch.uint64,
        torch.bool, torch.complex64, torch.complex128,
    )
}  # fmt: skip


@dataclass(eq=False)
class Storage:
    """A run of elements in a source.

    Attributes:
        dtype: element type (``uint8`` for untyped storages).
        count: number of elements.
        device_tag: where it lived when it was saved.
        source, offset: where its bytes lie. A legacy torch stream names its storages before it
            says where they lie: until then ``offset`` is negative.
    """

    dtype: torch.dtype
    count: int
    device_tag: str
    source: Source
    offset: int = -1

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.count * self.dtype.itemsize


def whole(value: Any, what: str, limit: int = 1 << 48) -> int:
    """``value`` if it is a whole number from 0 to ``limit``, else ``Damaged``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise Damaged(f"{what} is not a sensible number")
    return value


def view(
    storage: Storage, offset: Any, size: Any, stride: Any, dtype: torch.dtype | None = None
) -> LazyTensor:
    """A strided view of a storage as a tensor that is read when asked for.

    Args:
        storage: where the elements are.
        offset: first element, counted in elements of ``dtype``.
        size, stride: tuples of whole numbers, in elements.
        dtype: element type if the storage is untyped; ``None`` is the storage's own.

    Raises:
        Damaged: the view reaches outside its storage.
        Refused: the view would be far larger than its storage.
    """
    kind = storage.dtype if dtype is None else dtype
    count = storage.nbytes // kind.itemsize
    if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
        raise Damaged("a tensor has no proper shape")
    if len(size) > MAX_DIMS:
        raise Damaged(f"a tensor has {len(size)} dimensions")
    start = whole(offset, "a tensor's offset")
    shape = tuple(whole(side, "a tensor's side") for side in size)
    steps = tuple(whole(step, "a tensor's stride") for step in stride)
    numel = 1
    for side in shape:
        numel *= side
    if numel:
        span = 1 + sum((side - 1) * step for side, step in zip(shape, steps, strict=True))
        if start + span > count:
            raise Damaged(
                f"a tensor of shape {list(shape)} reaches outside its storage of {count} elements"
            )
        if numel * kind.itemsize > max(SMALL_VIEW, 4 * storage.nbytes):
            raise Refused(
                f"it describes a tensor of shape {list(shape)} on a storage of only {count} "
                "elements, which would fill the memory"
            )
    else:
        span = 0
    reader = _View(storage, start, shape, steps, span, kind)
    return LazyTensor(shape, kind, reader.load, storage.device_tag)


@dataclass(frozen=True, eq=False)
class _View:
    storage: Storage
    start: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    span: int
    dtype: torch.dtype

    def load(self) -> Tensor:
        """Read the elements from first to last and lay them out contiguously."""
        if self.span == 0:
            return torch.empty(self.shape, dtype=self.dtype)
        storage, itemsize = self.storage, self.dtype.itemsize
        if storage.offset < 0:
            raise Damaged("a storage is missing")
        try:
            raw = torch.empty(self.span * itemsize, dtype=torch.uint8)
            storage.source.read_into(storage.offset + self.start * itemsize, raw.numpy().data)
            # Any byte but 0 and 1 in a bool tensor would be undefined behaviour further on.
            flat = raw != 0 if self.dtype == torch.bool else raw.view(self.dtype)
            return flat.as_strided(self.shape, self.stride).contiguous()
        except (Damaged, OSError) as error:
            raise CheckpointError(
                f"{storage.source.name} changed or became unreadable while it was open ({error}); "
                "open it again."
            ) from error
        except (MemoryError, RuntimeError) as error:
            raise CheckpointError(
                f"There is not enough memory for a tensor of shape {list(self.shape)} of "
                f"{storage.source.name}; close other programs and try again."
            ) from error
