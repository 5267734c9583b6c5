"""Edits of the timeline: pure functions ``Document -> Document``.

Keys stand on frames of the video; where one is wanted on a frame that is taken, it goes to the
nearest free one. Knows neither the toolkit nor torch.
"""

from __future__ import annotations

from dataclasses import replace

from app.document import Document
from engine.errors import UserError
from engine.keyframe import MAX_SECONDS, Easing, Keyframe
from engine.timeline import MAX_KEYS, MIN_SECONDS, Timeline

#: Seconds from a key to its copy where the playhead stands on the key itself.
COPY_AFTER = 1.0


def key_at(timeline: Timeline, time: float) -> int | None:
    """The key that stands on the frame of a time, if there is one."""
    frame = timeline.nearest_frame(time)
    places = range(len(timeline.keys))
    return next((i for i in places if frame_of(timeline, i) == frame), None)


def frame_of(timeline: Timeline, index: int) -> int:
    """The frame that a key stands on, or is nearest to."""
    return timeline.nearest_frame(timeline.keys[index].time)


def go_to(document: Document, time: float) -> Document:
    """The document showing what the timeline holds at a time."""
    return replace(document, recipe=document.timeline.at(document.recipe, time).checked())


def shows_key(document: Document, index: int) -> bool:
    """Whether the document shows just what a key holds."""
    key, recipe = document.timeline.keys[index], document.recipe
    return key.pose == recipe.pose and key.identity == recipe.identity


def set_key(document: Document, time: float) -> Document:
    """A key at the frame of a time that holds what is shown; one that is there takes it over.

    Raises:
        UserError: there are too many keys, or the face lies between too many.
    """
    line = document.timeline
    there = key_at(line, time)
    if there is not None:
        old = line.keys[there]
        key = Keyframe.of(document.recipe, old.time, old.easing)
        return _with_keys(document, (*_without(line, there), key))
    if len(line.keys) >= MAX_KEYS:
        raise UserError(f"A timeline holds at most {MAX_KEYS} keys.")
    key = Keyframe.of(document.recipe, line.frame_time(line.nearest_frame(time)))
    return _with_keys(document, (*line.keys, key))


def delete_key(document: Document, index: int) -> Document:
    """Without one of the keys."""
    return _with_keys(document, _without(document.timeline, index))


def move_key(document: Document, index: int, time: float) -> tuple[Document, int]:
    """One of the keys at another time.

    Returns:
        the document, and the place that the key has now among the keys.
    """
    line = document.timeline
    rest = replace(line, keys=_without(line, index))
    moved = replace(line.keys[index], time=rest.frame_time(_free_frame(rest, time)))
    changed = _with_keys(document, (*rest.keys, moved))
    return changed, changed.timeline.keys.index(moved)


def duplicate_key(document: Document, index: int, time: float) -> tuple[Document, int]:
    """A copy of one of the keys at a time or, where that is the key's own, a second after it.

    Returns:
        the document, and the place of the copy among the keys.

    Raises:
        UserError: there are too many keys, or every frame holds one already.
    """
    line = document.timeline
    if len(line.keys) >= MAX_KEYS:
        raise UserError(f"A timeline holds at most {MAX_KEYS} keys.")
    key = line.keys[index]
    if key_at(line, time) is not None:
        time = key.time + COPY_AFTER
    copy = replace(key, time=line.frame_time(_free_frame(line, time)))
    changed = _with_keys(document, (*line.keys, copy))
    return changed, changed.timeline.keys.index(copy)


def set_easing(document: Document, index: int, easing: Easing) -> Document:
    """Another pace from one of the keys to the next."""
    line = document.timeline
    return _with_keys(document, (*_without(line, index), replace(line.keys[index], easing=easing)))


def set_tension(document: Document, tension: float) -> Document:
    """0 is the softest way through the keys, 1 rests at each; clamped."""
    return _changed(document, tension=min(max(tension, 0.0), 1.0))


def set_duration(document: Document, seconds: float) -> Document:
    """Another length, at least as long as the keys reach.

    Raises:
        UserError: the video would have too many frames.
    """
    return _changed(document, duration=max(seconds, _least(document.timeline)))


def set_fps(document: Document, fps: float) -> Document:
    """Another frame rate; the keys keep their times.

    Raises:
        UserError: it is out of range, or the video would have too many frames.
    """
    line = document.timeline
    return _changed(document, fps=fps, duration=max(line.duration, _least(replace(line, fps=fps))))


def set_loop(document: Document, loop: bool) -> Document:
    """Whether the last key leads back to the first. Where a key stands at the very end, the
    timeline grows by the mean way between keys, so that there is time to lead back."""
    line = document.timeline
    duration = line.duration
    if loop and line.keys and line.keys[-1].time > duration - 0.5 / line.fps:
        ways = len(line.keys) - 1
        span = line.keys[-1].time - line.keys[0].time
        duration = line.keys[-1].time + max(span / ways if ways else 1.0, 1.0 / line.fps)
    return _changed(document, loop=loop, duration=duration)


def clear(document: Document) -> Document:
    """No keys; length, rate, loop and tension stay."""
    return _with_keys(document, ())


def take_over(document: Document, timeline: Timeline) -> Document:
    """Another timeline in the place of this one, with distances of this document's model."""
    return replace(document, timeline=timeline.fitted(document.home))


def to_keep(document: Document) -> Timeline:
    """The timeline as a file of its own holds it: with the framing that its keys go by."""
    return replace(document.timeline, framing=document.home)


def _least(line: Timeline) -> float:
    """The shortest that a timeline may be."""
    if not line.keys:
        return MIN_SECONDS
    last = line.keys[-1].time
    return min(max(last + 1.0 / line.fps if line.loop else last, MIN_SECONDS), MAX_SECONDS)


def _free_frame(line: Timeline, time: float) -> int:
    """The frame nearest to a time on which no key stands."""
    taken = {frame_of(line, index) for index in range(len(line.keys))}
    wanted, count = line.nearest_frame(time), line.frame_count
    free = (frame for frame in range(count) if frame not in taken)
    found = min(free, key=lambda frame: abs(frame - wanted), default=None)
    if found is None:
        raise UserError("Every frame of the timeline holds a key already; make it longer.")
    return found


def _without(line: Timeline, index: int) -> tuple[Keyframe, ...]:
    return (*line.keys[:index], *line.keys[index + 1 :])


def _with_keys(document: Document, keys: tuple[Keyframe, ...]) -> Document:
    return replace(document, timeline=replace(document.timeline, keys=keys))


def _changed(document: Document, **changes: float | bool) -> Document:
    return replace(document, timeline=replace(document.timeline, **changes))  # type: ignore[arg-type]
