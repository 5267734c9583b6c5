"""Notices: sentences that are shown for a while and never block.

The board is plain data; :mod:`app.panels.toasts` draws it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["info", "good", "warning", "error"]

#: Seconds for which a notice stays by itself; ``None`` is until it is closed.
LIFETIME: dict[Severity, float | None] = {
    "info": 5.0,
    "good": 6.0,
    "warning": 10.0,
    "error": None,
}
#: More than so many at once push out the oldest.
MOST = 4


@dataclass(frozen=True)
class Notice:
    """One sentence for the person.

    Attributes:
        number: its identity.
        text: one or two sentences.
        severity: how bad it is.
        key: a newer notice with the same key takes this one's place.
        until: when it goes by itself, on the board's clock; ``None`` is never.
        count: how often the same text was posted in a row.
    """

    number: int
    text: str
    severity: Severity
    key: str = ""
    until: float | None = None
    count: int = 1


class NoticeBoard:
    """What is being shown, the oldest first."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.notices: tuple[Notice, ...] = ()
        #: What was said last and is worth repeating.
        self.last = ""

    def post(
        self,
        text: str,
        severity: Severity,
        now: float,
        key: str = "",
        sticky: bool = False,
        echo: bool = False,
    ) -> Notice:
        """Show a sentence.

        Args:
            text: what to say.
            severity: decides the colour and how long it stays.
            now: the time on a steady clock, seconds.
            key: replaces the notice with the same key.
            sticky: stays until it is closed or replaced, whatever the severity.
            echo: only says what was done with another notice, and is not :attr:`last`.
        """
        if not echo:
            self.last = text
        lifetime = None if sticky else LIFETIME[severity]
        until = None if lifetime is None else now + lifetime
        same = [n for n in self.notices if n.text == text and n.severity == severity]
        if same:
            notice = replace(same[0], until=until, count=same[0].count + 1)
            self.notices = tuple(notice if n is same[0] else n for n in self.notices)
            return notice
        notice = Notice(next(self._numbers), text, severity, key, until)
        kept = tuple(n for n in self.notices if not (key and n.key == key))
        self.notices = (*kept, notice)[-MOST:]
        return notice

    def close(self, number: int) -> None:
        """Take one down."""
        self.notices = tuple(n for n in self.notices if n.number != number)

    def close_key(self, key: str) -> None:
        """Take down the one with this key, if there is one."""
        self.notices = tuple(n for n in self.notices if n.key != key)

    def clear(self) -> None:
        """Take all of them down."""
        self.notices = ()

    def expire(self, now: float) -> bool:
        """Take down those whose time is over; True when there were any."""
        kept = tuple(n for n in self.notices if n.until is None or now < n.until)
        changed = len(kept) != len(self.notices)
        self.notices = kept
        return changed
