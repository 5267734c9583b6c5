"""What was made of the last few latents: planes, folded weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from engine.generators.evaluation import gradients_wanted

T = TypeVar("T")


class LastFew(Generic[T]):
    """Keeps what was made of the last few tensors, found again by their values.

    Args:
        count: how many are kept; the one not asked for longest goes first.
    """

    def __init__(self, count: int) -> None:
        self._kept: deque[tuple[Tensor, T]] = deque(maxlen=count)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Tensor) -> bool:
        return any(torch.equal(known, key) for known, _ in self._kept)

    def find(self, key: Tensor) -> T | None:
        """What was made of a tensor equal to ``key``, if it is still kept."""
        return next((made for known, made in self._kept if torch.equal(known, key)), None)

    def get(self, key: Tensor, make: Callable[[Tensor], T]) -> T:
        """What was made of a tensor equal to ``key``, or what ``make`` makes of it now. What is to be
        differentiated is always made anew and not kept: weights may be what is learned then."""
        if key.requires_grad or gradients_wanted():
            return make(key)
        for index, (known, made) in enumerate(self._kept):
            if torch.equal(known, key):
                del self._kept[index]
                self._kept.append((known, made))
                return made
        made = make(key)
        # A copy: nobody can change it later.
        self._kept.append((key.clone(), made))
        return made

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
