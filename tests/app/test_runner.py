"""Callbacks of the toolkit: what they are given, what becomes of their faults, and that none is kept."""

from __future__ import annotations

import functools
import gc
import weakref
from typing import Any

import pytest

from app.runner import CallbackRunner
from engine.errors import Cancelled, UserError


class Panel:
    """Something that callbacks belong to."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def nothing(self) -> None:
        self.told.append(())

    def all_of_it(self, sender: int, data: Any = None, user: Any = None) -> None:
        self.told.append((sender, data, user))

    def whatever(self, *given: Any) -> None:
        self.told.append(given)

    def __call__(self, sender: int) -> None:
        self.told.append((sender,))


def test_a_callback_gets_as_much_as_it_takes() -> None:
    panel, shown = Panel(), list[str]()
    runner = CallbackRunner(shown.append)
    one_of_two = functools.partial(panel.all_of_it, 1)
    callbacks = (panel.nothing, panel.all_of_it, panel.whatever, panel, one_of_two,
                 lambda: panel.told.append(("lambda",)),
                 lambda sender, data: panel.told.append((sender, data)))  # fmt: skip
    for callback in callbacks:
        runner.call(callback, 7, "data", None)
    assert panel.told == [
        (), (7, "data", None), (7, "data", None), (7,), (1, 7, "data"), ("lambda",), (7, "data")
    ]  # fmt: skip
    assert shown == []


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (UserError("There is no such file."), ["There is no such file."]),
        (Cancelled(), []),
        (KeyError("x"), ["Something went wrong in the window: KeyError: 'x'"]),
    ],
)
def test_a_fault_is_a_sentence(fault: Exception, sentence: list[str]) -> None:
    def fails() -> None:
        raise fault

    shown: list[str] = []
    CallbackRunner(shown.append).call(fails)
    assert shown == sentence


def test_nothing_that_was_called_is_kept() -> None:
    runner = CallbackRunner(lambda sentence: None)
    panel = Panel()
    gone = weakref.ref(panel)
    runner.call(panel.nothing, 1)
    runner.call((lambda kept: lambda: kept.nothing())(panel), 1)
    runner.run([(panel.all_of_it, 1, None, None)])
    del panel
    gc.collect()
    assert gone() is None
