"""How well a few typed letters fit a text."""

from __future__ import annotations

#: A word's beginning counts most, then any part of it, then its letters in their order.
_BEGINNING, _PART, _LETTERS = 100, 60, 20


def fit(query: str, *texts: str) -> int | None:
    """How well ``query`` fits; ``None`` if it does not.

    Each word of the query must fit one of the texts: as the beginning of a word there, as a
    part, or with its letters in their order. Case does not count.

    Args:
        query: what was typed; an empty one fits everything equally.
        texts: what is searched, the most telling first; each later one counts a little less.
    """
    total = 0
    for word in query.casefold().split():
        marks = [_mark(word, text.casefold()) - k for k, text in enumerate(texts)]
        best = max(marks, default=0)
        if best <= 0:
            return None
        total += best
    return total


def _mark(word: str, text: str) -> int:
    """The mark of one word, 0 or less if it does not fit."""
    place = f" {text}".find(f" {word}")
    if place >= 0:
        # The first word of a title says what it is about.
        return _BEGINNING + (10 if place == 0 else 0)
    if word in text:
        return _PART
    gaps, at = 0, -1
    for letter in word:
        found = text.find(letter, at + 1)
        if found < 0:
            return 0
        gaps += 0 if at < 0 else found - at - 1
        at = found
    # Letters strewn over the whole text are chance, not meaning.
    return max(_LETTERS - gaps, 0)
