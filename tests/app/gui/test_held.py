"""What a slider or a number comes to is known before the toolkit looks at the mouse again."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.gui.driver import App
from tests.app.gui.held_notes import VARIABLE
from tests.benchmarks.pointer import Pointer

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def noted(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("held")
    model = folder / "Study head.head"
    model.touch()
    with App(folder, display, model, variables={VARIABLE: str(folder / "held.jsonl")}) as app:
        app.settled()
        yield app


def notes(folder: Path) -> tuple[dict[float, float], dict[float, float]]:
    """Place of the mouse -> value, as foreseen and as the toolkit said."""
    lines = [json.loads(line) for line in (folder / "held.jsonl").read_text().splitlines()]
    foreseen, said = ({x: v for kind, x, v in lines if kind == k} for k in ("held", "toolkit"))
    return foreseen, said


def swing(app: App, widget: str, shares: tuple[float, ...]) -> None:
    """Drag along a widget through these shares of its width, pixel by pixel."""
    x, y, width, height = app.state["widgets"][widget]
    left, top = app._origin()
    pointer = Pointer(app.display)
    places = [round(x + width * share) for share in shares]
    row = top + round(y + height / 2)
    pointer.move(left + places[0], row)
    time.sleep(0.3)
    pointer.button(True)
    time.sleep(0.3)
    for start, end in itertools.pairwise(places):
        step = 1 if end > start else -1
        for place in range(start, end + step, step):
            pointer.move(left + place, row)
            # Long enough that both see many of the same places, where frames are slow, too.
            time.sleep(0.02)
    time.sleep(0.3)
    pointer.button(False)
    pointer.close()
    app.settled()


@pytest.mark.parametrize(
    ("widget", "shares", "apart"),
    [
        # A slider beyond both of its ends, and taken off the middle of its grab.
        ("psi", (0.57, 0.9, 1.1, 0.5, -0.1, 0.4), 1e-5),
        # A number is pulled: each of its steps is a tenth, and the toolkit keeps what is left of one.
        ("yaw", (0.3, 0.8, 0.2, 0.6), 0.1 + 1e-4),
    ],
)
def test_what_is_foreseen_is_what_the_toolkit_says(
    noted: App, widget: str, shares: tuple[float, ...], apart: float
) -> None:
    (noted.folder / "held.jsonl").write_text("")
    swing(noted, widget, shares)
    foreseen, said = notes(noted.folder)
    both = foreseen.keys() & said.keys()
    assert len(foreseen) > 20 and len(both) > 5
    wrong = {x: (foreseen[x], said[x]) for x in both if abs(foreseen[x] - said[x]) > apart}
    assert not wrong


def test_whole_numbers_change_where_the_toolkit_changes_them(noted: App) -> None:
    """Both tell of changes only, so they seldom speak of one place: but more to the right is never
    less, whoever says it."""
    (noted.folder / "held.jsonl").write_text("")
    swing(noted, "cutoff", (0.2, 0.9, 0.3, 0.8))
    foreseen, said = notes(noted.folder)
    assert len(foreseen) > 5 and len(said) > 3
    values = [value for _, value in sorted([*foreseen.items(), *said.items()])]
    assert values == sorted(values)


def test_the_toolkit_has_the_last_word(noted: App) -> None:
    (noted.folder / "held.jsonl").write_text("")
    swing(noted, "psi", (0.4, 0.7))
    _, said = notes(noted.folder)
    last = said[max(said)]
    assert noted.state["recipe"]["psi"] == pytest.approx(last, abs=6e-4)
