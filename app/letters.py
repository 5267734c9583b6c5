"""Names that are no letters, on their way to the toolkit and back.

The name of a file is bytes. Python stands the bytes that are no UTF-8 for by halves of letters (U+DC80 to U+DCFF), which no
UTF-8 can write; Dear PyGui then takes a pointer to nothing for the text, and the program ends at once. So each goes to the
toolkit as a letter of the private use area, which nobody's names hold, and comes back as it was: what stands in a box is
still the path of the file. The fonts show it as they show every letter that they lack.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import dearpygui._dearpygui as toolkit

#: From the half of a letter that stands for a byte to its letter of the private use area.
_SHIFT = 0xF780 - 0xDC80
_THERE = {half: half + _SHIFT for half in range(0xDC80, 0xDD00)} | dict.fromkeys(
    (*range(0xD800, 0xDC80), *range(0xDD00, 0xE000)), 0xFFFD
)
_BACK = {half + _SHIFT: half for half in range(0xDC80, 0xDD00)}
#: What takes texts, beside all that begins with ``add_``.
_TAKE = (
    "configure_item", "configure_viewport", "create_viewport", "draw_text", "get_text_size", "set_clipboard_text",
    "set_value",
)  # fmt: skip
_GIVE = ("get_clipboard_text", "get_value")


def for_the_toolkit(text: str) -> str:
    """A text that the toolkit can take."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_THERE)
    return text


def from_the_toolkit(text: str) -> str:
    """The text that it stands for."""
    return text if text.isascii() else text.translate(_BACK)


def let_every_name_through() -> None:
    """See to it for all calls of the toolkit, from now on and as often as it is called."""
    for name in dir(toolkit):
        function = getattr(toolkit, name)
        if hasattr(function, "__wrapped__"):
            continue
        if name.startswith("add_") or name in _TAKE:
            setattr(toolkit, name, _taking(function))
        elif name in _GIVE:
            setattr(toolkit, name, _giving(function))


def _taking(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*words: Any, **named: Any) -> Any:
        for name, value in named.items():
            if type(value) is str or type(value) in (list, tuple):
                named[name] = _fit(value)
        return function(*map(_fit, words), **named)

    return call


def _giving(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*words: Any, **named: Any) -> Any:
        value = function(*words, **named)
        return from_the_toolkit(value) if type(value) is str else value

    return call


def _fit(value: Any) -> Any:
    if type(value) is str:
        return for_the_toolkit(value)
    # The lines of a list; numbers of a plot are left alone.
    if type(value) in (list, tuple) and value and type(value[0]) is str:
        return type(value)(_fit(one) for one in value)
    return value
