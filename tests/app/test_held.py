"""What a slider or a number comes to while the mouse moves it."""

from __future__ import annotations

import pytest

from app.held import Pull, Slide


def test_a_slider_is_where_the_mouse_is() -> None:
    """A track of 200 pixels less 2 at each end, with a grab of 16: 180 to go, from 110 on."""
    slide = Slide(-1.0, 2.0, left=100.0, width=200.0, grab=16.0)
    assert slide.value(0.5, 200.0, 200.0) == pytest.approx(0.5)
    assert slide.value(0.5, 200.0, 260.0) == pytest.approx(1.5)
    assert slide.value(0.5, 200.0, 110.0) == pytest.approx(-1.0)


def test_a_grab_that_is_taken_off_its_middle_stays_so() -> None:
    slide = Slide(-1.0, 2.0, left=100.0, width=200.0, grab=16.0)
    assert slide.value(0.5, 205.0, 265.0) == pytest.approx(1.5)
    # Beyond an end nothing can be told of it: what was known before counts.
    assert slide.value(2.0, 400.0, 265.0) == pytest.approx(1.5)


def test_a_slider_ends_at_its_ends() -> None:
    slide = Slide(0.0, 1.0, left=0.0, width=104.0, grab=10.0)
    assert slide.value(0.5, 52.0, 500.0) == 1.0
    assert slide.value(0.5, 52.0, -3.0) == 0.0


def test_whole_numbers_are_rounded_and_their_grabs_are_as_long_as_their_share() -> None:
    """Five values on 100 pixels: a grab of 20, and 80 to go, from 12 on."""
    slide = Slide(0.0, 4.0, left=0.0, width=104.0, grab=5.0, whole=True)
    assert [slide.value(0, 12.0, x) for x in (12.0, 21.0, 23.0, 51.0, 53.0, 92.0, 200.0)] == [
        0, 0, 1, 2, 2, 4, 4,
    ]  # fmt: skip


def test_a_slider_without_room_stays() -> None:
    assert Slide(0.0, 1.0, left=0.0, width=6.0, grab=10.0).value(0.25, 1.0, 90.0) == 0.25
    assert Slide(3.0, 3.0, left=0.0, width=90.0, grab=10.0).value(3.0, 1.0, 90.0) == 3.0


def test_a_number_moves_as_far_as_the_mouse() -> None:
    pull = Pull(-180.0, 180.0, 0.4, "%.1f°")
    assert pull.value(10.0, 300.0, 303.0) == 11.2
    assert pull.value(10.0, 300.0, 290.0) == 6.0
    assert pull.value(179.0, 300.0, 400.0) == 180.0
    assert pull.value(-170.0, 300.0, 200.0) == -180.0


@pytest.mark.parametrize(("form", "value"), [("%.2f", 10.33), ("%d", 10.0), ("%.0f %%", 10.0)])
def test_a_number_has_values_that_can_be_written(form: str, value: float) -> None:
    assert Pull(0.0, 100.0, 0.333, form).value(10.0, 0.0, 1.0) == value
