"""What is made of decoders and planes for kernels, kept as long as these live."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from engine.generators.triplane import TriplaneDecoder
from engine.kernels.recording import is_recording

P = TypeVar("P")
D = TypeVar("D")


class PackCache(Generic[P, D]):
    """Packed decoders and the last few packed planes, kept as long as their originals live.

    An original that was changed in place since (torch counts that) is packed again.

    Args:
        pack_planes: ``[3, C, H, W]`` and the type of its numbers -> what is kept of them.
        pack_decoder: a decoder -> what is kept of it.
        planes_kept: how many identities' planes.
    """

    def __init__(
        self,
        pack_planes: Callable[[Tensor, torch.dtype], P],
        pack_decoder: Callable[[TriplaneDecoder], D],
        planes_kept: int = 4,
    ) -> None:
        self._pack_planes, self._pack_decoder = pack_planes, pack_decoder
        self._planes_kept = planes_kept
        self._planes: list[tuple[weakref.ref[Tensor], tuple[object, ...], P]] = []
        self._decoders: weakref.WeakKeyDictionary[TriplaneDecoder, tuple[tuple[object, ...], D]] = (
            weakref.WeakKeyDictionary()
        )

    def planes(self, planes: Tensor, index: int, dtype: torch.dtype) -> P:
        """``planes[index]`` of ``[N, 3, C, H, W]``, packed."""
        if is_recording():
            return self._pack_planes(planes[index], dtype)
        stamp = (_stamp(planes), index, dtype)
        self._planes = [entry for entry in self._planes if entry[0]() is not None]
        for reference, known, packed in self._planes:
            if reference() is planes and known == stamp:
                return packed
        packed = self._pack_planes(planes[index], dtype)
        self._planes = [(weakref.ref(planes), stamp, packed), *self._planes][: self._planes_kept]
        return packed

    def decoder(self, decoder: TriplaneDecoder) -> D:
        """``decoder``, packed."""
        if is_recording():
            return self._pack_decoder(decoder)
        stamp = tuple(_stamp(parameter) for parameter in decoder.parameters())
        known = self._decoders.get(decoder)
        if known is None or known[0] != stamp:
            known = (stamp, self._pack_decoder(decoder))
            self._decoders[decoder] = known
        return known[1]


def _stamp(tensor: Tensor) -> tuple[object, ...]:
    """Changes whenever the tensor's values were changed through torch."""
    version = -1 if tensor.is_inference() else tensor._version
    return version, tensor.data_ptr(), tensor.device, tensor.dtype
