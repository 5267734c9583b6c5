"""What is kept of the last few latents."""

from __future__ import annotations

import torch

from engine.generators.memo import LastFew


def test_what_was_made_is_found_by_value_and_the_idlest_goes_first() -> None:
    made: list[float] = []

    def make(key: torch.Tensor) -> float:
        made.append(float(key))
        return float(key) * 2

    few: LastFew[float] = LastFew(2)
    one, two, three = (torch.tensor(float(i)) for i in (1, 2, 3))
    assert few.get(one, make) == 2.0 and few.get(two, make) == 4.0
    assert few.get(torch.tensor(1.0), make) == 2.0 and made == [1, 2]
    few.get(three, make)  # two was not asked for longest
    few.get(one, make)
    assert made == [1, 2, 3] and len(few) == 2
    few.get(two, make)
    assert made == [1, 2, 3, 2]
    few.clear()
    assert len(few) == 0


def test_a_key_that_is_changed_later_is_another_key() -> None:
    few: LastFew[int] = LastFew(2)
    key = torch.zeros(3)
    few.get(key, lambda _: 1)
    key += 1
    assert few.get(key, lambda _: 2) == 2
    assert few.get(torch.zeros(3), lambda _: 3) == 1
