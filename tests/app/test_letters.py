"""Every name that a file can have goes through the toolkit, which ends the program for want of letters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import dearpygui._dearpygui as toolkit
import dearpygui.dearpygui as dpg
import pytest

from app.kit import Kit
from app.letters import for_the_toolkit, from_the_toolkit, let_every_name_through

NAMES = [
    os.fsdecode(name)
    for name in (
        b"plain",
        "Zoë ψ 顔 \N{GRINNING FACE}".encode(),
        b"\xff\xfe.pkl",
        b"two words\n\x80\xc3",
        b"",
    )
]


@pytest.fixture(autouse=True)
def _context(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in dir(toolkit):  # as they were, afterwards
        monkeypatch.setattr(toolkit, name, getattr(toolkit, name))
    let_every_name_through()
    let_every_name_through()
    dpg.create_context()
    yield
    dpg.destroy_context()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_back_from_a_box(name: str) -> None:
    with dpg.window(label=name):
        box = dpg.add_input_text(default_value=name, hint=name)
        menu = dpg.add_combo([name, "other"], default_value=name)
        button = dpg.add_button(label=name)
        dpg.add_text(name)
        dpg.add_text(default_value=name)
    assert dpg.get_value(box) == dpg.get_value(menu) == name
    dpg.set_value(box, "")
    dpg.set_value(box, name)
    assert dpg.get_value(box) == name
    dpg.configure_item(menu, items=[name])
    dpg.configure_item(button, label=name)
    dpg.set_item_label(button, name)
    assert from_the_toolkit(dpg.get_item_label(button)) == name


def test_numbers_are_left_alone() -> None:
    with dpg.window():
        number = dpg.add_input_float(default_value=0.5)
    dpg.set_value(number, 1.5)
    assert dpg.get_value(number) == 1.5


def test_halves_that_stand_for_no_byte() -> None:
    """JSON can hold them, and no name of a file."""
    assert for_the_toolkit("a\ud800b") == "a\ufffdb"
    assert (
        for_the_toolkit("a\udcffb").encode()
        and from_the_toolkit(for_the_toolkit("\udcff")) == "\udcff"
    )


def test_every_window_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    asked: list[bool] = []
    monkeypatch.setattr("app.kit.let_every_name_through", lambda: asked.append(True))
    nothing: Any = None
    Kit(nothing, nothing, nothing, nothing, 1.0, nothing, nothing)
    assert asked
