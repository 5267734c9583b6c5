"""What the gallery shows, without a window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import document as edits
from app import edit_stack, swap_edits
from app import face_edits as faces
from app.document import Document
from app.edit_wire import TaskDone, TaskProgress, TaskStopped
from app.gallery import LOOKED, PAGE, Gallery, key_of
from app.history import History
from app.messages import ModelLoaded, ThumbnailReady
from app.settings import Settings
from app.thumbnail_cache import ThumbnailCache
from app.thumbnail_queue import SIDE
from engine.edits import Edit, Offset
from engine.errors import UserError
from engine.recipe import ModelRef, Recipe
from tests.app.gui.head_generator import HeadGenerator
from tests.app.harness import until

REF = ModelRef("a.head", "ab" * 32, "A")


class Client:
    """Remembers what was wanted last."""

    def __init__(self) -> None:
        self.thumbnails = self
        self.wanted: list[tuple[str, Recipe]] = []

    def want(self, wanted: Any) -> None:
        self.wanted = list(wanted)


class Fake:
    """As much of the studio as the gallery needs."""

    def __init__(self) -> None:
        self.client, self.revision = Client(), 0
        self.capabilities = HeadGenerator().capabilities
        self.model = ModelLoaded(REF, self.capabilities, "cpu", 0.1)
        document = edits.set_model(Document(), REF, self.capabilities)
        self.history = History.starting(document)

    @property
    def document(self) -> Document:
        return self.history.document

    def edit(self, name: str, change: Any) -> None:
        self.history = self.history.edit(name, change(self.document))
        self.touch()

    def touch(self) -> None:
        self.revision += 1


@pytest.fixture
def studio() -> Fake:
    return Fake()


@pytest.fixture
def gallery(studio: Fake, tmp_path: Path) -> Iterator[Gallery]:
    made = Gallery(studio, ThumbnailCache(tmp_path))  # type: ignore[arg-type]
    yield made
    made.shut()


def titles(gallery: Gallery) -> list[str]:
    return [cell.title for cell in gallery.cells()]


def asked(gallery: Gallery, studio: Fake, count: int) -> list[tuple[str, Recipe]]:
    """What the engine is asked for once the disk has been."""

    def look() -> bool:
        gallery.poll()
        return len(studio.client.wanted) == count

    until(look, f"{count} wanted")
    return studio.client.wanted


def draw(gallery: Gallery, key: str) -> None:
    gallery.take(ThumbnailReady(key, np.zeros((SIDE, SIDE, 3), np.uint8)))


def test_seeds_come_page_by_page_with_the_present_truncation(
    gallery: Gallery, studio: Fake
) -> None:
    studio.edit("psi", lambda d: edits.set_psi(edits.orbit(d, 30, 0), 0.3))
    gallery.open()
    assert titles(gallery) == [str(seed) for seed in range(PAGE)]
    wanted = asked(gallery, studio, PAGE)
    assert [recipe.seed for _, recipe in wanted] == list(range(PAGE))
    # From the front, whatever the camera sees.
    assert all(r.psi == 0.3 and r.pose == studio.document.home for _, r in wanted)
    gallery.turn(1)
    assert titles(gallery)[0] == str(PAGE)
    gallery.turn(-5)
    assert gallery.first == 0
    gallery.go_to(2**32 - 3)
    assert titles(gallery) == ["4294967293", "4294967294", "4294967295"]


def test_only_what_lacks_is_drawn_and_closing_wants_nothing(gallery: Gallery, studio: Fake) -> None:
    gallery.poll()
    assert studio.client.wanted == []
    gallery.open()
    first = asked(gallery, studio, PAGE)[0][0]
    draw(gallery, first)
    assert len(asked(gallery, studio, PAGE - 1)) == gallery.waiting == PAGE - 1
    assert gallery.picture(gallery.cells()[0]) is not None
    second = studio.client.wanted[0][0]
    gallery.take(ThumbnailReady(second, None))
    asked(gallery, studio, PAGE - 2)
    assert gallery.has_failed(gallery.cells()[1])
    gallery.close()
    assert studio.client.wanted == [] and gallery.waiting == 0


def test_the_disk_gives_what_was_drawn_before(studio: Fake, tmp_path: Path) -> None:
    before = Gallery(studio, ThumbnailCache(tmp_path))  # type: ignore[arg-type]
    before.open()
    for key, _ in asked(before, studio, PAGE):
        draw(before, key)
    folder = tmp_path / REF.sha256[:16]
    until(lambda: len(list(folder.glob("*.png"))) == PAGE, "the files")
    before.shut()
    later = Gallery(studio, ThumbnailCache(tmp_path))  # type: ignore[arg-type]
    later.open()
    until(lambda: later.poll() or later.picture(later.cells()[PAGE - 1]) is not None, "the disk")  # type: ignore[func-returns-value]
    assert asked(later, studio, 0) == []
    later.shut()


def test_a_key_is_of_what_is_seen(studio: Fake) -> None:
    recipe = Recipe(model=REF, seed=3)
    moved = Recipe(model=ModelRef("b.head", REF.sha256, "B"), seed=3)
    other = Recipe(model=ModelRef("a.head", "cd" * 32, "A"), seed=3)
    assert key_of(recipe) == key_of(moved) != key_of(other)
    assert key_of(recipe) != key_of(Recipe(model=REF, seed=3, psi=0.5))


def test_favourites_in_every_order(gallery: Gallery, studio: Fake) -> None:
    for seed, name in ((9, "bob"), (3, "Anna"), (5, "Carl")):
        studio.edit("pin", lambda d, s=seed, n=name: faces.pin(edits.set_seed(d, s), n))
    studio.edit("move", lambda d: faces.move(d, 2, -2))
    gallery.choose_tab("favourites")
    assert titles(gallery) == ["Carl", "bob", "Anna"]
    for order, expected in (
        ("name", ["Anna", "bob", "Carl"]),
        ("seed", ["Anna", "Carl", "bob"]),
        ("added", ["Carl", "Anna", "bob"]),
    ):
        gallery.set_sort(order)  # type: ignore[arg-type]
        assert titles(gallery) == expected
    cell = gallery.cells()[2]
    assert not cell.here and gallery.cells()[0].here
    gallery.choose(cell)
    assert studio.document.recipe.seed == 9 and gallery.cells()[2].here
    gallery.toggle_pin(cell)
    assert titles(gallery) == ["Carl", "Anna"]
    for seed in range(100, 100 + PAGE):
        studio.edit("pin", lambda d, s=seed: faces.pin(edits.set_seed(d, s)))
    assert gallery.pages == 2
    gallery.turn(1)
    assert len(titles(gallery)) == 2
    gallery.turn(1)
    assert len(titles(gallery)) == 2


def test_variations_are_of_the_face_that_was_shown(gallery: Gallery, studio: Fake) -> None:
    studio.edit("seed", lambda d: edits.set_seed(d, 5))
    gallery.set_strength(10)
    gallery.choose_tab("variations")
    shown = [cell.who for cell in gallery.cells()]
    assert len(set(shown)) == PAGE
    assert all(who.blend is not None and who.blend.seeds[0] == 5 for who in shown)
    gallery.choose(gallery.cells()[4])
    assert [cell.who for cell in gallery.cells()] == shown and gallery.cells()[4].here
    gallery.again()
    assert [cell.who for cell in gallery.cells()] != shown
    gallery.set_strength(60)
    blend = gallery.cells()[0].who.blend
    assert blend is not None and blend.weights[1] == pytest.approx(0.6)


def test_edits_and_a_second_model_stay_when_another_face_is_chosen(
    gallery: Gallery, studio: Fake
) -> None:
    edit = Edit("Beard", Offset.of(np.ones((1, 6), np.float32)))
    second = ModelRef("b.head", "cd" * 32, "B")
    studio.edit("edit", lambda d: edit_stack.add(d, edit, studio.capabilities))
    studio.edit("second", lambda d: swap_edits.lend(d, second, ("4", "8"), ("4", "8")))
    gallery.open()
    shown = asked(gallery, studio, PAGE)[3][1]
    assert shown.edits == (edit,) and shown.swap is not None and shown.swap.model == second
    gallery.choose(gallery.cells()[3])
    recipe = studio.document.recipe
    assert recipe.seed == 3 and recipe.edits == (edit,) and recipe.swap == shown.swap
    gallery.toggle_pin(gallery.cells()[3])
    assert gallery.cells()[3].here and gallery.cells()[3].favourite == 0
    studio.edit("alone", swap_edits.clear)
    gallery.choose_tab("favourites")
    assert gallery.cells()[0].here


def test_edits_stay_whichever_way_a_face_is_chosen(gallery: Gallery, studio: Fake) -> None:
    """As with the seed's own box; only a face that was kept with edits brings them, and going back
    is one step."""
    own, later = (Edit(n, Offset.of(np.full((1, 6), 0.5, np.float32))) for n in ("own", "later"))
    studio.edit("pin", lambda d: faces.pin(edits.set_seed(d, 3), "plain"))
    studio.edit("edit", lambda d: edit_stack.add(edits.set_seed(d, 9), own, studio.capabilities))
    studio.edit("pin", lambda d: faces.pin(d, "edited"))
    gallery.choose_tab("variations")
    studio.edit("edit", lambda d: edit_stack.add(edit_stack.clear(d), later, studio.capabilities))
    before = studio.document
    for tab in ("seeds", "variations", "pad"):
        gallery.tab = tab  # type: ignore[assignment]
        assert all(cell.who.edits == (later,) for cell in gallery.cells())
        gallery.choose(gallery.cells()[4])
        assert studio.document.recipe.edits == (later,)
        assert gallery.cells()[4].here
        studio.history = studio.history.undo()
        assert studio.document == before
    gallery.tab = "favourites"
    plain, edited = gallery.cells()
    assert plain.favourite == 0 and edited.favourite == 1
    gallery.choose(plain)
    assert studio.document.recipe.seed == 3 and studio.document.recipe.edits == (later,)
    gallery.choose(edited)
    assert studio.document.recipe.seed == 9 and studio.document.recipe.edits == (own,)
    studio.history = studio.history.undo()
    assert studio.document.recipe.seed == 3 and studio.document.recipe.edits == (later,)
    assert studio.document.favourites == before.favourites


class Tasks:
    """Notes what is asked of the process that finds edits."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.stopped: list[int] = []

    def add(self, wish: Any, recipe: Recipe, encoder: str) -> int:
        self.asked.append(wish)
        return len(self.asked)

    def stop(self, number: int) -> None:
        self.stopped.append(number)


@pytest.fixture
def tasks(studio: Fake) -> Tasks:
    made = Tasks()
    studio.client.tasks = made  # type: ignore[attr-defined]
    studio.settings = Settings()  # type: ignore[attr-defined]
    return made


def test_seeds_come_in_the_order_in_which_they_fit_a_text(
    gallery: Gallery, studio: Fake, tasks: Tasks
) -> None:
    gallery.open()
    gallery.go_to(100)
    gallery.order_by("  an old  man ")
    (wish,) = tasks.asked
    assert wish.text == "an old man" and [f.seed for f in wish.faces] == list(range(100, 196))
    assert all(f.pose == studio.document.home and f.model == REF for f in wish.faces)
    gallery.order.take(TaskProgress(1, 3, 96, "Looking at faces"))
    assert gallery.order.doing == "Looking at faces: 3 of 96" and titles(gallery)[0] == "100"
    assert not gallery.order.take(TaskDone(7))
    assert gallery.order.take(TaskDone(1, order=tuple(reversed(range(LOOKED)))))
    assert titles(gallery) == [str(seed) for seed in range(195, 171, -1)] and gallery.pages == 4
    late = Edit("late", Offset.of(np.ones((1, 6), np.float32)))
    studio.edit("edit", lambda d: edit_stack.add(d, late, studio.capabilities))
    assert all(cell.who.edits == (late,) for cell in gallery.cells())
    gallery.turn(1)
    assert titles(gallery)[0] == "171"
    gallery.choose(gallery.cells()[0])
    assert studio.document.recipe.seed == 171 and gallery.cells()[0].here
    gallery.order_by("")
    assert titles(gallery)[0] == "100" and len(tasks.asked) == 1


def test_favourites_are_ordered_by_a_text_and_others_are_not(
    gallery: Gallery, studio: Fake, tasks: Tasks
) -> None:
    for seed in (5, 6, 7):
        studio.edit("seed", lambda d, s=seed: faces.pin(edits.set_seed(d, s)))  # type: ignore[misc]
    gallery.open()
    gallery.choose_tab("favourites")
    gallery.order_by("smiling")
    assert [f.seed for f in tasks.asked[0].faces] == [5, 6, 7]
    gallery.order.take(TaskDone(1, order=(2, 0, 1)))
    assert titles(gallery) == ["Seed 7", "Seed 5", "Seed 6"]
    assert gallery.cells()[0].favourite == 2
    gallery.choose_tab("variations")
    with pytest.raises(UserError, match="Seeds and favourites"):
        gallery.order_by("smiling")


def test_a_new_text_or_the_gallerys_end_stops_the_looking(
    gallery: Gallery, studio: Fake, tasks: Tasks
) -> None:
    gallery.open()
    gallery.order_by("smiling")
    gallery.order_by("a hat")
    assert tasks.stopped == [1]
    assert not gallery.order.take(TaskStopped(1)) and gallery.order.doing
    gallery.close()
    assert tasks.stopped == [1, 2] and gallery.order.doing == ""
