"""The tip of a tab needs something to be drawn last in the tab, which takes no room there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

import app.kit as kit


def test_what_stands_in_a_tab_for_its_tip_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spacer made every such tab nine pixels longer, and gave the window for training a scroll bar. What has a
    place of its own is drawn there, and nothing else moves (tests/app/gui/test_models.py looks at the tip)."""
    made: list[dict[str, Any]] = []

    class Toolkit:
        def __getattr__(self, name: str) -> Any:
            return lambda *words, **options: made.append({"name": name, **options}) or 1

    monkeypatch.setattr(kit, "dpg", Toolkit())
    tips: list[tuple[int, str]] = []
    stand_in = SimpleNamespace(tip=lambda item, text: tips.append((item, text)) or 2)
    assert kit.Kit.tip_of_tab(cast(Any, stand_in), 7, "Video") == 2
    assert tips == [(7, "Video")]
    assert made and all(one["pos"] == (0, 0) and one["parent"] == 7 for one in made)
