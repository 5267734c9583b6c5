"""The model's own ways, and the second model, with a client that only notes what it is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from app import swap_edits
from app.document import set_seed
from app.edit_wire import FindWays, TaskDone, TaskFailed
from app.messages import ModelLoaded, SecondFailed, SecondRead, ThumbnailReady
from app.settings import Settings
from app.studio import Studio
from app.ways import PAGE, PAGES, SIGMA, WaysOfModel
from engine.editing.directions import Direction
from engine.errors import UserError
from engine.hashing import model_sha256
from engine.recipe import ModelRef
from tests.app.editing.bench import HEAD, REF, Client, direction, drawn
from tests.app.harness import until

# The model's own ways -------------------------------------------------------------------------


def found(count: int) -> tuple[Direction, ...]:
    return tuple(direction(f"Component {n + 1}", 0.1 * (n + 1)) for n in range(count))


def test_ways_are_looked_for_once_and_drawn_to_both_sides(studio: Studio, client: Client) -> None:
    ways: WaysOfModel = studio.ways
    studio.poll()
    assert client.tasks.asked == []
    ways.open()
    studio.poll()
    studio.poll()
    assert [one[0] for one in client.tasks.asked] == [FindWays("pca", PAGE * PAGES)]
    assert ways.is_looking
    client.send(studio, TaskDone(1, found(20)))
    studio.poll()
    wanted = client.thumbnails.wanted["ways"]
    assert len(wanted) == 2 * PAGE == ways.waiting
    assert [recipe.edits[-1].strength for _, recipe in wanted[:2]] == [-SIGMA, SIGMA]
    assert all(recipe.pose == studio.document.home for _, recipe in wanted)
    picture = np.zeros((128, 128, 3), np.uint8)
    client.send(studio, ThumbnailReady(wanted[1][0], picture))
    studio.poll()
    assert ways.ways()[0].more is picture and ways.ways()[0].less is None
    assert len(client.thumbnails.wanted["ways"]) == 2 * PAGE - 1
    ways.turn(1)
    assert [way.direction.name for way in ways.ways()] == [f"Component {n}" for n in range(13, 21)]
    ways.choose("sefa")
    studio.poll()
    assert client.tasks.asked[-1][0] == FindWays("sefa", PAGE * PAGES)
    client.send(studio, TaskFailed(2, "This model's layers cannot be looked into."))
    assert ways.note.startswith("This model") and not ways.is_looking
    studio.poll()
    assert len(client.tasks.asked) == 2
    ways.close()
    assert client.thumbnails.wanted["ways"] == []


def test_ways_are_shown_on_the_present_face_with_its_edits(studio: Studio, client: Client) -> None:
    studio.ways.open()
    studio.poll()
    client.send(studio, TaskDone(1, found(1)))
    studio.editing.add(direction("smiling"), 1.0)
    studio.edit("seed", lambda d: set_seed(d, 5))
    studio.poll()
    (_, less), (_, more) = client.thumbnails.wanted["ways"]
    assert less.seed == more.seed == 5
    assert [edit.name for edit in more.edits] == ["smiling", "Component 1"]
    assert more.edits[0].strength == 1.0 and more.edits[1].strength == SIGMA


def test_what_failed_with_one_model_is_tried_with_the_next_and_when_opened_again(
    studio: Studio, client: Client
) -> None:
    ways: WaysOfModel = studio.ways
    ways.open()
    studio.poll()
    client.send(studio, TaskFailed(1, "The process stopped."))
    studio.poll()
    assert ways.note == "The process stopped." and len(client.tasks.asked) == 1
    ways.close()
    ways.open()
    studio.poll()
    assert len(client.tasks.asked) == 2 and not ways.note
    client.send(studio, TaskFailed(2, "It cannot be looked into."))
    client.send(studio, ModelLoaded(ModelRef("b.head", "cd" * 32, "B"), HEAD, "cpu", 0.1))
    studio.poll()
    assert len(client.tasks.asked) == 3 and not ways.note
    # A page that the next model has not is left.
    client.send(studio, TaskDone(3, found(20)))
    studio.poll()
    ways.turn(1)
    client.send(studio, ModelLoaded(ModelRef("c.head", "ef" * 32, "C"), HEAD, "cpu", 0.1))
    studio.poll()
    client.send(studio, TaskDone(4, found(2)))
    studio.poll()
    assert [way.direction.name for way in ways.ways()] == ["Component 1", "Component 2"]


# The second model -----------------------------------------------------------------------------


def test_a_second_model_that_has_moved_is_found_by_its_hash(
    studio: Studio, client: Client, tmp_path: Path
) -> None:
    there = tmp_path / "models" / "cartoons.pth"
    there.parent.mkdir()
    there.write_bytes(b"tensors")
    ref = ModelRef(str(tmp_path / "gone" / "cartoons.pth"), model_sha256(there), "cartoons")
    studio.settings = Settings(models_folder=str(there.parent))
    lent = swap_edits.lend(studio.document, ref, ("4", "8"), ("4", "8"))
    studio.place(lent)
    saved = studio.history.is_saved

    def found() -> bool:
        studio.poll()
        swap = studio.document.recipe.swap
        return swap is not None and swap.model.path == str(there)

    until(found, "the file")
    assert drawn(client).swap == studio.document.recipe.swap
    assert studio.history.is_saved == saved
    assert any("was found at" in notice.text for notice in studio.notices.notices)


def test_a_second_model_that_is_nowhere_stays_as_it_is(studio: Studio, tmp_path: Path) -> None:
    ref = ModelRef(str(tmp_path / "gone.pth"), "ef" * 32, "cartoons")
    lent = swap_edits.lend(studio.document, ref, ("4", "8"), ("4", "8"))
    studio.place(lent)
    studio.poll()
    search = studio.second._moved[ref]
    until(search.done, "the search")
    studio.poll()
    assert studio.document.recipe.swap == lent.recipe.swap


def test_a_chosen_second_model_is_lent_and_refusals_are_told(
    studio: Studio, client: Client, tmp_path: Path
) -> None:
    seconds: list[str] = []
    client.seconds = SimpleNamespace(read=seconds.append, path=None)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="no layers that another one could lend"):
        studio.second.choose(str(tmp_path))
    client.send(studio, ModelLoaded(REF, HEAD, "cpu", 0.1, (), ("4", "8", "16")))
    with pytest.raises(UserError, match="There is no file at"):
        studio.second.choose(str(tmp_path / "none.pth"))
    file = tmp_path / "b.pth"
    file.touch()
    studio.second.choose(str(file))
    assert seconds == [str(file)]
    ref = ModelRef(str(file), "cd" * 32, "b")
    client.send(studio, SecondRead(ref, ("8", "16")))
    swap = studio.document.recipe.swap
    assert swap is not None and swap.model == ref and swap.layers == ("8", "16")
    assert studio.second.fitting == ("8", "16")
    client.send(studio, SecondFailed("x", "It is no model."))
    assert studio.notices.notices[-1].text == "It is no model."
    studio.second.save(tmp_path / "both.json")
    assert client.started == 1
    with pytest.raises(UserError, match="one of the two"):
        studio.place(
            swap_edits.lend(studio.document, ModelRef(str(tmp_path / "c.json")), ("8",), ("8",))
        )
        studio.second.save(tmp_path / "c.json")
