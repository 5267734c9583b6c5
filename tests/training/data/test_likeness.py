"""Pictures that are there twice."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from engine.training.data.likeness import BITS, NEAR, distance, groups, look_of


def scene(seed: int, side: int = 128) -> Image.Image:
    """Soft coloured blobs: structure at all low frequencies, as photographs have."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (24, 24, 3), np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


def packed(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def test_saved_and_resized_again_is_nearly_the_same_and_others_are_not() -> None:
    looks = [look_of(scene(seed)) for seed in range(12)]
    for seed, look in enumerate(looks):
        again = [packed(scene(seed), 60), scene(seed).resize((90, 90), Image.Resampling.LANCZOS)]
        brighter = scene(seed).point([min(255, int(v * 0.9 + 12)) for v in range(256)] * 3)
        for other in (*again, brighter, scene(seed).filter(ImageFilter.GaussianBlur(1))):
            assert distance(look, look_of(other)) <= NEAR
    apart = [distance(a, b) for i, a in enumerate(looks) for b in looks[:i]]
    assert min(apart) > 3 * NEAR and np.mean(apart) == pytest.approx(BITS / 2, rel=0.1)


def test_groups_join_what_is_equal_or_near() -> None:
    random = np.random.default_rng(0)
    looks = [random.bytes(32).hex() for _ in range(300)]
    near = bytearray(bytes.fromhex(looks[10]))
    for bit in range(NEAR):  # spread over as many bands as there are bits
        near[(bit * 2) % 32] ^= 1 << (bit % 8)
    looks[200] = bytes(near).hex()
    assert distance(looks[10], looks[200]) == NEAR
    hashes = [str(n) for n in range(300)]
    hashes[250] = hashes[10]
    assert groups(hashes, looks) == [(10, 200, 250)]
    assert groups([], []) == []
    far = bytearray(near)
    far[1] ^= 1
    looks[200] = bytes(far).hex()
    assert groups(hashes, looks) == [(10, 250)]


def test_thousands_that_look_the_same_take_no_time() -> None:
    looks = ["0" * 64] * 20_000
    assert groups([str(n) for n in range(20_000)], looks) == [tuple(range(20_000))]
