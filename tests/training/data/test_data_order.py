"""The order of the pictures."""

from __future__ import annotations

import numpy as np

from engine.training.data.order import epoch_order, items_at

_M = (1 << 64) - 1


def splitmix(value: int) -> int:
    """SplitMix64's next output from a state, in whole numbers of any length."""
    value = (value + 0x9E3779B97F4A7C15) & _M
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _M
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _M
    return value ^ (value >> 31)


def test_the_order_is_that_of_mixed_numbers() -> None:
    # 0xE220A8397B1DCDAF is the published first output of SplitMix64 for the seed 0.
    assert splitmix(0) == 0xE220A8397B1DCDAF
    base = splitmix((splitmix(7) + 3) & _M)
    keys = [splitmix((base + index) & _M) for index in range(50)]
    assert epoch_order(7, 3, 50).tolist() == sorted(range(50), key=keys.__getitem__)


def test_every_picture_is_shown_once_an_epoch() -> None:
    for epoch in range(4):
        items = items_at(1, 23, 23 * epoch, 23)
        assert sorted(items.tolist()) == list(range(23))
    assert items_at(1, 23, 0, 23).tolist() != items_at(1, 23, 23, 23).tolist()
    assert items_at(1, 23, 0, 23).tolist() != items_at(2, 23, 0, 23).tolist()


def test_the_sequence_can_be_entered_anywhere() -> None:
    whole = items_at(5, 7, 0, 40)
    for first in range(30):
        assert (items_at(5, 7, first, 10) == whole[first : first + 10]).all()
    assert items_at(5, 1, 12, 3).tolist() == [0, 0, 0]


def test_large_and_negative_seeds() -> None:
    for seed in (-1, 2**63, 2**70 + 5):
        assert sorted(epoch_order(seed, 2**40, 5).tolist()) == [0, 1, 2, 3, 4]


def test_first_places_are_spread_evenly() -> None:
    counts = np.bincount([int(epoch_order(0, epoch, 10)[0]) for epoch in range(2000)])
    # 200 expected each; 4.5 standard deviations of a binomial are 60.
    assert (abs(counts - 200) < 60).all()
