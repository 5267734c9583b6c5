"""Follows the mouse while a frame is still being painted.

The toolkit evaluates a frame (what the mouse did, every widget), queues the callbacks, and then
paints, which takes a processor without a graphics card most of the frame. It holds its own mutex
while it evaluates and neither that nor Python's lock while it paints, so a second thread can
take in meanwhile what a drag asks for and send the request to the engine: the request no longer
waits for the painting.

Why this is safe:

- One lock of ours, :class:`EarlyThread`'s, is held by whoever runs Python for the window. The main
  loop holds it always but while the toolkit works on a frame (:meth:`EarlyThread.paint`), so the
  two threads never run at the same time, and no frame begins before the early thread has finished.
- The early thread never waits for that lock: where the main loop is back already it leaves
  everything to it. It waits for the toolkit's mutex only, and the toolkit gives up Python's lock
  before it waits for the mutex. Whoever holds the mutex can therefore always go on: there is no
  circle of threads that wait for each other.
- It acts only once the toolkit has evaluated the frame, so that it never changes items half-way.
- It runs only what is marked (:func:`app.runner.early`): edits of the document. Everything that
  measures text, makes or deletes items or textures, or asks for more than the newest value stays
  in the main loop, and so does all that was queued behind it.

What is dragged (the head, the pad, the playhead, a slider or a number) need not wait for the toolkit's
next look at the mouse either: until the frame is painted the thread looks by itself (:mod:`app.pointer`,
:mod:`app.held`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from app.runner import CallbackRunner

#: Seconds between two looks at whether a frame has been evaluated; the look itself waits for the
#: toolkit's mutex, so there are few of them.
_PERIOD = 0.0003
#: Seconds between two looks at the mouse while a frame is painted.
_AGAIN = 0.004
#: Seconds that the thread may take to end.
_END_SECONDS = 5.0


class EarlyThread:
    """A thread beside the main loop; made and used by the main loop.

    Args:
        runner: runs the callbacks.
        follow: called first: what is dragged by hand takes in where the mouse is.
        queue: takes the queued callbacks out of the toolkit.
        frames: how many frames the toolkit has begun to evaluate; waits until it is done with the
            one it is at.
        again: called every few milliseconds after that, until the frame is painted: what is
            dragged takes in where the mouse has gone since.
    """

    def __init__(
        self,
        runner: CallbackRunner,
        follow: Callable[[], None],
        queue: Callable[[], Iterable[tuple[Any, ...]] | None],
        frames: Callable[[], int],
        again: Callable[[], None] = lambda: None,
    ) -> None:
        self._runner, self._follow, self._queue, self._frames = runner, follow, queue, frames
        self._again = again
        self._lock = threading.Lock()
        self._lock.acquire()
        self._begun = threading.Event()
        self._painting = self._closed = False
        self._before = self._ran = 0
        self._thread: threading.Thread | None = None

    def paint(self, draw: Callable[[], None]) -> int:
        """Draw a frame while the thread follows the mouse.

        Args:
            draw: evaluates and paints it.

        Returns:
            the number of callbacks that were run meanwhile.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="maquette-early", daemon=True)
            self._thread.start()
        self._before, self._ran, self._painting = self._frames(), 0, True
        self._begun.set()
        self._lock.release()
        try:
            draw()
        finally:
            self._lock.acquire()
            self._painting = False
        return self._ran

    def close(self) -> None:
        """End the thread; call before the toolkit is taken down."""
        self._closed = True
        self._begun.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
        self._thread = None

    def _serve(self) -> None:
        while self._begun.wait():
            self._begun.clear()
            if self._closed:
                return
            while self._painting and not self._evaluated():
                time.sleep(_PERIOD)
            frame, again = self._before, self._beside(self._take_in)
            # The main loop may be painting the next frame already when this thread wakes.
            while again and self._painting and self._before == frame:
                time.sleep(_AGAIN)
                again = self._beside(lambda: self._runner.call(self._again))

    def _take_in(self) -> None:
        self._runner.call(self._follow)
        self._ran += self._runner.run_early(self._queue())

    def _beside(self, act: Callable[[], None]) -> bool:
        """Do something if a frame is being painted, and the main loop is not back."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            # The next frame may have begun since.
            if not (self._painting and self._evaluated()):
                return False
            act()
            return True
        finally:
            self._lock.release()

    def _evaluated(self) -> bool:
        return self._frames() != self._before
