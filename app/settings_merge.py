"""What two windows have changed in the settings: both are kept."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from app.settings import MAX_RECENT, Settings

#: Lists that both windows add to, the latest first.
_LISTS = ("recent", "recent_projects")
#: Tables of which each window changes lines.
_TABLES = ("folders",)


def merged(base: Settings, mine: Settings, theirs: Settings) -> Settings:
    """The settings to write.

    Args:
        base: as this window last read or wrote them.
        mine: as this window wants them now.
        theirs: as they lie on the disk, where another window may have written since.

    Returns:
        ``theirs`` with what changed from ``base`` to ``mine``. Where both changed the same choice,
        mine is the later one; of lists both windows' entries are kept, mine first.
    """
    values: dict[str, Any] = {}
    for name in (one.name for one in fields(Settings)):
        before, here, there = (getattr(one, name) for one in (base, mine, theirs))
        if here == before:
            values[name] = there
        elif name in _LISTS and there != before:
            values[name] = _joined(before, here, there)
        elif name in _TABLES:
            changed = {key: one for key, one in here.items() if before.get(key) != one}
            values[name] = {**there, **changed}
        else:
            values[name] = here
    return Settings(**values)


def _joined(
    before: tuple[str, ...], here: tuple[str, ...], there: tuple[str, ...]
) -> tuple[str, ...]:
    """Mine but for what the other window took out, then what it has added."""
    newest = here[:1] if here[:1] != before[:1] else ()
    mine = [one for one in here if one in there or one not in before or one in newest]
    added = [one for one in there if one not in before]
    return tuple(dict.fromkeys((*mine, *added)))[:MAX_RECENT]
