"""The mouse between two looks of the toolkit."""

from __future__ import annotations

import pytest

from app.pointer import Place, Pointer


class Screen:
    """A screen with a window whose content begins at ``corner``."""

    def __init__(self) -> None:
        self.corner, self.mouse, self.held, self.works = [40, 60], (140.0, 100.0), True, True
        #: Where the toolkit saw the mouse when it last looked.
        self.inside: Place = (100.0, 40.0)

    def pointer(self) -> Pointer:
        return Pointer(
            lambda: (self.mouse, self.held) if self.works else None,
            lambda: self.inside,
            lambda: self.corner,
        )


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_the_mouse_is_where_the_screen_says_once_both_agree(screen: Screen) -> None:
    pointer = screen.pointer()
    assert pointer.held() is None and pointer.newest() == (100.0, 40.0)
    pointer.compare(screen.mouse)
    screen.mouse = (151.0, 103.0)
    assert pointer.held() == (111.0, 43.0) == pointer.newest()


def test_a_corner_that_the_toolkit_has_wrong_is_not_believed(screen: Screen) -> None:
    """Some window managers have the corner of the frame told."""
    pointer = screen.pointer()
    screen.corner = [38, 31]
    pointer.compare(screen.mouse)
    assert pointer.held() is None and pointer.newest() == screen.inside


def test_a_mouse_outside_the_window_says_nothing(screen: Screen) -> None:
    pointer = screen.pointer()
    screen.mouse, screen.inside = (1900.0, 100.0), (1279.0, 40.0)
    pointer.compare(screen.mouse)
    assert pointer.held() is None
    screen.mouse, screen.inside = (141.0, 101.0), (101.0, 41.0)
    pointer.compare(screen.mouse)
    assert pointer.held() == (101.0, 41.0)


def test_a_window_that_moved_is_compared_anew(screen: Screen) -> None:
    pointer = screen.pointer()
    pointer.compare(screen.mouse)
    screen.corner = [240, 60]
    assert pointer.held() is None
    pointer.compare((340.0, 100.0))
    screen.mouse = (345.0, 100.0)
    assert pointer.held() == (105.0, 40.0)


def test_no_button_no_drag(screen: Screen) -> None:
    """A button that has just gone up is the main loop's matter."""
    pointer = screen.pointer()
    pointer.compare(screen.mouse)
    screen.held = False
    assert pointer.held() is None and pointer.newest() == screen.inside


def test_without_a_screen_to_ask_the_toolkit_is_all_there_is(screen: Screen) -> None:
    screen.works = False
    pointer = screen.pointer()
    pointer.compare(None)
    assert pointer.held() is None and pointer.newest() == (100.0, 40.0)
