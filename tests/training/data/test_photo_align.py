"""The square around a face, and what is cut out of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.training.data.photos.align import Square, cut, ffhq_square
from engine.training.data.photos.faces import Face

UPRIGHT = Face(np.array([(40.0, 40.0), (60.0, 40.0)]), np.array([(43.0, 62.0), (57.0, 62.0)]))


def test_the_square_of_an_upright_face_by_hand() -> None:
    square = ffhq_square(UPRIGHT)
    # |x'| = 20, |y'| = 22: the side is max(80, 79.2); the middle lies 2.2 below the eyes.
    assert square.side == pytest.approx(80.0)
    np.testing.assert_allclose(square.centre, (50.0, 42.2))
    np.testing.assert_allclose(square.across, (40.0, 0.0), atol=1e-12)
    np.testing.assert_allclose(square.down, (0.0, 40.0), atol=1e-12)
    assert square.roll == pytest.approx(0.0)
    long = Face(UPRIGHT.eyes, UPRIGHT.mouth + np.array([0.0, 8.0]))
    assert ffhq_square(long).side == pytest.approx(3.6 * 30)


def test_the_direction_is_the_mean_of_both_axes() -> None:
    # The eyes say 0 degrees. The mouth lies 10 to the right, so that rotating y' = (-10, -20)
    # anticlockwise gives (-20, 10), and x' minus that (40, -10).
    shifted = Face(np.array([(40.0, 40.0), (60.0, 40.0)]), np.array([(53.0, 60.0), (67.0, 60.0)]))
    square = ffhq_square(shifted)
    direction = np.array([40.0, -10.0]) / np.hypot(40, 10)
    np.testing.assert_allclose(square.across, direction * square.side / 2)
    assert square.roll == pytest.approx(np.degrees(np.arctan2(-10, 40)))


@given(
    st.floats(-180, 180), st.floats(0.2, 30), st.floats(-500, 500), st.floats(-500, 500),
    st.integers(0, 1000),
)  # fmt: skip
def test_it_turns_and_grows_with_the_face(
    angle: float, scale: float, dx: float, dy: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    points = np.concatenate([UPRIGHT.eyes, UPRIGHT.mouth]) + random.normal(0, 3, (4, 2))
    a = np.radians(angle)
    turn = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    moved = points @ turn.T + (dx, dy)
    before = ffhq_square(Face(points[:2], points[2:]))
    after = ffhq_square(Face(moved[:2], moved[2:]))
    np.testing.assert_allclose(after.centre, before.centre @ turn.T + (dx, dy), atol=1e-6)
    np.testing.assert_allclose(after.across, before.across @ turn.T, atol=1e-6)
    # In the square the face is the same.
    np.testing.assert_allclose(after.inward(moved), before.inward(points), atol=1e-7)
    np.testing.assert_allclose(after.outward(after.inward(moved)), moved, atol=1e-6)


def ramp(width: int, height: int) -> Image.Image:
    """Red is x and green is y, so that a pixel tells where it came from; blue is 77."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x, y, np.full_like(x, 77)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def test_pixels_come_from_where_the_square_says() -> None:
    square = Square(np.array([110.0, 90.0]), np.array([40.0, 25.0]))
    pixels = cut(ramp(220, 200), square, 64).astype(float)
    steps = (np.arange(64) + 0.5) / 64
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)
    expected = square.outward(grid) - 0.5
    np.testing.assert_allclose(pixels[..., :2], expected, atol=1.0)
    # Rounding to whole numbers is no shift.
    assert np.abs((pixels[..., :2] - expected).mean((0, 1))).max() < 0.06


def test_an_aligned_square_is_the_picture_itself() -> None:
    random = np.random.default_rng(0)
    smooth = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).resize((64, 64))
    whole = Square(np.array([32.0, 32.0]), np.array([32.0, 0.0]))
    assert np.abs(cut(smooth, whole, 64).astype(int) - np.asarray(smooth).astype(int)).max() <= 2


def test_large_squares_do_not_alias() -> None:
    checks = np.indices((800, 800)).sum(0) % 2 * 255
    board = Image.fromarray(np.repeat(checks[..., None], 3, -1).astype(np.uint8))
    pixels = cut(board, Square(np.array([400.0, 400.0]), np.array([300.0, 100.0])), 32)
    assert np.abs(pixels.astype(float) - 127.5).max() < 4


def test_beyond_the_picture_is_mirrored_and_blurred_and_inside_nothing_changes() -> None:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (100, 100, 3), np.uint8)
    square = Square(np.array([100.0, 50.0]), np.array([50.0, 0.0]))
    assert square.outside(100, 100) == pytest.approx(0.5)
    pixels = cut(Image.fromarray(noise), square, 100)
    inside = cut(Image.fromarray(np.pad(noise, ((0, 0), (0, 100), (0, 0)))), square, 100)
    np.testing.assert_array_equal(pixels[:, :45], inside[:, :45])
    made_up = pixels[:, 55:].astype(float)
    assert made_up.std() < 0.6 * noise.std() and abs(made_up.mean() - noise.mean()) < 12
    flat = Image.new("RGB", (40, 40), (9, 90, 200))
    far = Square(np.array([20.0, 20.0]), np.array([100.0, 30.0]))
    assert np.abs(cut(flat, far, 32).astype(int) - (9, 90, 200)).max() <= 1
