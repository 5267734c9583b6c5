"""Texts as people type them: letters of every script, joiners, and what cannot be seen."""

from __future__ import annotations

import pytest

from engine.editing.texts import checked_text
from engine.edits import name_of
from engine.errors import UserError
from engine.training.shift.options import ShiftOptions

JOINED = "می\u200cخندد"


@pytest.mark.parametrize(
    ("text", "used", "name"),
    [
        ("  a  full\nbeard ", "a full beard", "a full beard"),
        ("一个微笑的人", "一个微笑的人", "一个微笑的人"),
        (JOINED, JOINED, "میخندد"),
        ("\U0001f468\u200d\U0001f467 old", "\U0001f468\u200d\U0001f467 old", "\U0001f468\U0001f467 old"),
        ("a\x07b\x00", "ab", "ab"),
        ("a\udcffb", "ab", "ab"),
        ("x" * 200, "x" * 200, "x" * 60),
    ],
)  # fmt: skip
def test_what_is_read_and_what_it_is_called(text: str, used: str, name: str) -> None:
    assert (checked_text(text), name_of(text)) == (used, name)
    assert name_of(text).isprintable()
    assert ShiftOptions(text).checked().text == used


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\x00", "\udcff", "\u200d \u2060"])
def test_a_text_that_cannot_be_seen_is_none(text: str) -> None:
    for use in (lambda: checked_text(text), lambda: ShiftOptions(text).checked()):
        with pytest.raises(UserError, match="is empty"):
            use()
