"""The playhead of the timeline: where it stands, scrubbing and playing.

It is no part of the document. What it passes becomes the document's camera and face, as one step
of the history a drag and one a play, so that nothing that was not kept in a key is lost. Knows
neither the toolkit nor torch.
"""

from __future__ import annotations

from collections.abc import Callable

from app import timeline_edits as edits
from app.document import Document
from app.studio import BRIEF_GESTURE, Studio
from engine.errors import UserError
from engine.timeline import Timeline

SCRUB, PLAY = "Scrub", "Play"


class Playback:
    """The playhead, and what is selected.

    Args:
        studio: the state behind the window.
        clock: a steady clock, seconds.

    Attributes:
        is_open: whether the timeline is shown.
    """

    def __init__(self, studio: Studio, clock: Callable[[], float] | None = None) -> None:
        self._studio = studio
        self._clock = clock or studio.clock
        self.is_open = False
        self._time = 0.0
        self._selected: int | None = None
        self._began: float | None = None
        self._left: Document | None = None

    @property
    def timeline(self) -> Timeline:
        """The document's."""
        return self._studio.document.timeline

    @property
    def time(self) -> float:
        """Seconds at which the playhead stands: that of a frame."""
        line = self.timeline
        return line.frame_time(line.nearest_frame(self._time))

    @property
    def selected(self) -> int | None:
        """The key that is selected, if there is one."""
        index = self._selected
        return index if index is not None and index < len(self.timeline.keys) else None

    @property
    def is_playing(self) -> bool:
        """Whether it plays."""
        return self._began is not None

    def toggle(self) -> None:
        """Show the timeline, or put it away."""
        self.is_open = not self.is_open
        if not self.is_open:
            self.pause()
        self._studio.touch()

    def select(self, index: int | None) -> None:
        """Choose a key for the buttons."""
        self._selected = index
        self._studio.touch()

    # Moving the playhead ----------------------------------------------------------------

    def scrub(self, time: float) -> None:
        """Drag the playhead to a time; end the drag with the studio's ``end_gesture``. The
        picture follows once there are two keys; until then there is nothing between keys."""
        self.pause()
        before = self.time
        self._time = time
        self._selected = edits.key_at(self.timeline, self.time)
        if self.time != before and len(self.timeline.keys) > 1:
            self._studio.edit(SCRUB, lambda d: edits.go_to(d, self.time), SCRUB)
        self._studio.touch()

    def go_to_key(self, index: int) -> None:
        """Put the playhead on a key, and show what it holds."""
        self.pause()
        time = self.timeline.keys[index].time
        self._time, self._selected = time, index
        self._studio.edit(
            f"Go to key {index + 1}", lambda d: edits.go_to(d, time), "Go to key", BRIEF_GESTURE
        )

    def step(self, way: int) -> None:
        """Go to the next key after the playhead (1) or to the one before it (-1).

        Raises:
            UserError: there are no keys.
        """
        keys, now = self.timeline.keys, self.timeline.nearest_frame(self.time)
        if not keys:
            raise UserError("The timeline has no keys yet; add one first.")
        frames = [edits.frame_of(self.timeline, index) for index in range(len(keys))]
        if way > 0:
            found = next((i for i, frame in enumerate(frames) if frame > now), 0)
        else:
            before = [i for i, frame in enumerate(frames) if frame < now]
            found = before[-1] if before else len(keys) - 1
        self.go_to_key(found)

    # Playing ----------------------------------------------------------------------------

    def play_or_pause(self) -> None:
        """Play from the playhead in real time, from the start if it is at the end; or stop.

        Raises:
            UserError: there are not two keys.
        """
        if self.is_playing:
            self.pause()
            return
        line = self.timeline
        if len(line.keys) < 2:
            raise UserError(
                "Add two keys to the timeline first (K): one here, and one at another time with "
                "another view or face."
            )
        self.is_open = True
        start = self.time
        if line.nearest_frame(start) >= line.frame_count - 1:
            start = 0.0
        self._began = self._clock() - start
        self._left = self._studio.document
        self._selected = None
        self._studio.touch()

    def pause(self) -> None:
        """Stop playing; what is shown stays."""
        if self._began is None:
            return
        self._began = self._left = None
        self._studio.end_gesture()
        self._studio.touch()

    def tick(self) -> None:
        """Go on playing; call before every frame of the window. Frames that the time has passed
        by are left out. Stops where somebody else changes the document."""
        if self._began is None:
            return
        if self._studio.document is not self._left:
            self.pause()
            return
        line, now = self.timeline, self._clock() - self._began
        ended = not line.loop and now >= line.duration
        time = now % line.duration if line.loop else min(now, line.duration)
        before, self._time = self.time, time
        if self.time != before or ended:
            self._studio.edit(PLAY, lambda d: edits.go_to(d, self.time), PLAY)
            self._left = self._studio.document
        if ended:
            self.pause()

    # Keys -------------------------------------------------------------------------------

    def set_key(self) -> None:
        """Keep what is shown in a key at the playhead."""
        self.pause()
        there = edits.key_at(self.timeline, self.time)
        name = "Add key" if there is None else f"Update key {there + 1}"
        self._studio.edit(name, lambda d: edits.set_key(d, self.time))
        self._selected = edits.key_at(self.timeline, self.time)
        self._studio.touch()

    def delete(self) -> None:
        """Remove the key that is selected."""
        index = self._chosen()
        self._studio.edit(f"Delete key {index + 1}", lambda d: edits.delete_key(d, index))
        self.select(None)

    def duplicate(self) -> None:
        """Copy the key that is selected to the playhead, or a second on."""
        index = self._chosen()
        places: list[int] = []

        def change(document: Document) -> Document:
            changed, place = edits.duplicate_key(document, index, self.time)
            places.append(place)
            return changed

        self._studio.edit(f"Duplicate key {index + 1}", change)
        if places:
            self.select(places[-1])

    def move(self, index: int, time: float) -> int:
        """Drag a key to a time; end the drag with the studio's ``end_gesture``.

        Returns:
            its place among the keys.
        """
        self.pause()
        places = [index]

        def change(document: Document) -> Document:
            changed, place = edits.move_key(document, index, time)
            places.append(place)
            return changed

        self._studio.edit("Move key", change, "Move key")
        self.select(places[-1])
        return places[-1]

    def _chosen(self) -> int:
        self.pause()
        if self.selected is None:
            raise UserError("Choose a key in the timeline first.")
        return self.selected
