"""Where the mouse is now, rather than where the toolkit last asked.

The toolkit asks once a frame, and painting a frame may take a processor without a graphics card
15 ms. The X server can be asked at any time. It answers in pixels of the screen, the toolkit
speaks of pixels of the window, whose corner it says it knows. That is believed once both were
seen to mean the same place; elsewhere, and until then, the toolkit's answer is all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Place = tuple[float, float]

#: Pixels that the two answers may differ by: a screen's pixels are whole.
_SLACK = 1.5


class Pointer:
    """Follows the mouse between two looks of the toolkit.

    Args:
        screen: asks for the mouse's place on the screen and whether a button is down; ``None``
            where nobody can be asked.
        window: the toolkit's answer, in pixels of the window.
        corner: where the toolkit says that the window's content stands on the screen.
    """

    def __init__(
        self,
        screen: Callable[[], tuple[Place, bool] | None],
        window: Callable[[], Place],
        corner: Callable[[], Sequence[float]],
    ) -> None:
        self._screen, self._window, self._corner = screen, window, corner
        self._believed: list[float] | None = None

    def compare(self, screen: Place | None) -> None:
        """Look whether both answers mean the same place; call once a turn of the window's loop.

        A mouse that moves, or is outside the window, makes them differ: that says nothing.

        Args:
            screen: the mouse's place on the screen just before the toolkit looked.
        """
        corner = list(self._corner())
        if screen is None or corner == self._believed:
            return
        inside = self._window()
        apart = (abs(s - i - c) for s, i, c in zip(screen, inside, corner, strict=True))
        if max(apart) < _SLACK:
            self._believed = corner

    def held(self) -> Place | None:
        """Where the mouse that holds a button is now, in pixels of the window; ``None`` where
        nobody can say, or where the button has just gone up: what comes of that is the main
        loop's."""
        corner = list(self._corner())
        if corner != self._believed:
            return None
        found = self._screen()
        if found is None or not found[1]:
            return None
        (x, y), _ = found
        return x - corner[0], y - corner[1]

    def newest(self) -> Place:
        """The newest that is known. Never older than what :meth:`held` has told before, so that a
        drag does not jump back."""
        return self.held() or self._window()
