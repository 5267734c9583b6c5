"""Photographs that show several faces: the largest, all of them, or those that a person chooses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import preparer
from app.preparing import Preparing
from app.preparing_wire import (
    Decide,
    FaceSeen,
    Find,
    Found,
    Made,
    Make,
    PhotoSeen,
    PrepareWish,
    ShowPhoto,
    TakeFaces,
)
from engine.training.data.photos.faces import Face
from tests.app.test_preparing import EYES, MOUTH, Bench, Served, wish
from tests.training.data.photo_sets import KnowingFinder, face_at, photo

SIZE = (520, 200)
#: Where the faces of the crowd are, from left to right; the last is the largest.
LEFT, MIDDLE, RIGHT = (face_at(0, 0, 90, 10, 50), face_at(10, 0, 100, 130, 50),
                       face_at(0, 0, 150, 300, 25))  # fmt: skip
Kinds = list[str]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Three people in one photograph, one in another."""
    folder = tmp_path / "in"
    folder.mkdir()
    photo(RIGHT, *SIZE).save(folder / "crowd.png")
    photo(LEFT, 200, 201).save(folder / "one.png")
    finder = KnowingFinder({SIZE: [RIGHT, MIDDLE, LEFT], (200, 201): [LEFT]})
    monkeypatch.setattr(preparer, "open_finder", lambda choice: finder)
    made = Served()
    yield made
    made.pipe.close()
    made.thread.join(10)


def crowd(answers: list[Any]) -> PhotoSeen:
    return next(one for one in answers if isinstance(one, PhotoSeen) and one.name == "crowd.png")


def kinds(seen: PhotoSeen) -> Kinds:
    return [one.kind for one in seen.faces]


def at(face: Face) -> float:
    return float(face.eyes[:, 0].mean())


def made_of(folder: Path) -> list[tuple[str, float]]:
    """Photograph and place of each picture of the set."""
    report = json.loads((folder / "maquette-prepared.json").read_text())
    return [
        (one["photo"], (one["eyes"][0][0] + one["eyes"][1][0]) / 2) for one in report["pictures"]
    ]


@pytest.mark.parametrize(
    ("choice", "kind", "faces"),
    [
        ("largest", "found", ["left", "left", "found"]),
        ("all", "found", ["found", "found", "found"]),
        ("choose", "several", ["left", "left", "left"]),
    ],
)
def test_which_are_taken(
    served: Served, tmp_path: Path, choice: Any, kind: str, faces: Kinds
) -> None:
    asked = replace(wish(tmp_path), faces=choice)
    found = served.ask(Find(1, asked), Found)
    seen = crowd(found)
    assert seen.kind == kind and kinds(seen) == faces
    assert [at(one.face) for one in seen.faces] == pytest.approx([at(LEFT), at(MIDDLE), at(RIGHT)])
    assert all(one.face.dense is None and one.face.yaw is not None for one in seen.faces)
    # One face is nothing to choose from.
    alone = next(one for one in found if getattr(one, "name", "") == "one.png")
    assert alone.kind == "found" and kinds(alone) == ["found"]
    made = served.ask(Make(2, asked), Made)[-1]
    assert made.count == 1 + faces.count("found")
    told = [note for note in made.notes if "several faces" in note]
    assert [note.partition(", of which ")[2] for note in told] == {
        "largest": ["the largest was taken."], "all": [], "choose": ["none was chosen."],
    }[choice]  # fmt: skip


def test_other_faces_are_taken_without_looking_again(served: Served, tmp_path: Path) -> None:
    served.ask(Find(1, wish(tmp_path)), Found)
    served.pipe.send(TakeFaces("all"))
    assert kinds(served.pipe.recv()) == ["found"] * 3
    assert served.pipe.recv().name == "one.png"
    made = served.ask(Make(2, replace(wish(tmp_path), faces="all")), Made)[-1]
    assert made.count == 4


def test_some_are_chosen_moved_and_left_out(served: Served, tmp_path: Path) -> None:
    asked = replace(wish(tmp_path), faces="choose")
    faces = crowd(served.ask(Find(1, asked), Found)).faces
    first, last = faces[0].face, faces[2].face
    (told,) = served.ask(Decide("crowd.png", first, (last,)), PhotoSeen)
    assert told.kind == "by hand" and kinds(told) == ["by hand", "left", "by hand"]
    # Moved a little it is still that face, which is not offered once more.
    moved = replace(first, eyes=first.eyes + 3.0)
    (told,) = served.ask(Decide("crowd.png", moved, (last,)), PhotoSeen)
    assert kinds(told) == ["by hand", "left", "by hand"]
    made = served.ask(Make(2, asked), Made)[-1]
    out = tmp_path / "out"
    assert made.count == 3 and not any("several" in note for note in made.notes)
    places = [place for name, place in made_of(out) if name == "crowd.png"]
    assert places == pytest.approx([at(moved), at(last)], abs=0.1)
    points = json.loads((out / "maquette-points.json").read_text())["faces"]
    assert len(points["crowd.png"]) == 2 and "one.png" not in points


def test_a_face_of_several_that_cannot_be_cut_costs_that_face(
    served: Served, tmp_path: Path
) -> None:
    faces = crowd(served.ask(Find(1, replace(wish(tmp_path), faces="all")), Found)).faces
    steep = replace(faces[1].face, pitch=75.0)
    (told,) = served.ask(Decide("crowd.png", faces[0].face, (steep, faces[2].face)), PhotoSeen)
    assert told.kind == "by hand" and kinds(told) == ["by hand", "skipped", "by hand"]
    assert "75 degrees above" in told.faces[1].reason
    answers = served.ask(Make(2, replace(wish(tmp_path), faces="all")), Made)
    assert answers[-1].count == 3
    assert not [one for one in answers if isinstance(one, PhotoSeen)], "the others are there"


# The window's end -------------------------------------------------------------------------


def faces_seen(*faces: tuple[float, str]) -> tuple[FaceSeen, ...]:
    return tuple(FaceSeen(Face(EYES + x, MOUTH + x), kind) for x, kind in faces)  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.preparing.change(lambda _: PrepareWish("/photos", "/set", faces="choose"))
    made.preparing.find()
    crowd = faces_seen((0, "left"), (100, "left"), (200, "left"))
    made.tell(
        PhotoSeen("a.png", "several", "", SIZE, crowd[1].face, crowd),
        PhotoSeen("b.png", "guessed", "", SIZE, crowd[0].face, faces_seen((0, "guessed"))),
        Found("the rough finder"),
    )
    return made


def eyes_of(preparing: Preparing) -> float:
    assert preparing.pointed is not None
    return preparing.pointed.points[0][0]


def test_faces_are_gone_through_and_those_that_are_right_are_kept(bench: Bench) -> None:
    preparing = bench.preparing
    assert preparing.waiting == ["a.png", "b.png"] and preparing.chosen == "a.png"
    assert preparing.at == 0 and eyes_of(preparing) == EYES[0, 0]
    preparing.next_face(-1)
    assert preparing.at == 2 and eyes_of(preparing) == EYES[0, 0] + 200
    preparing.confirm()
    (decided,) = [one for one in bench.pipe.sent if isinstance(one, Decide)]
    assert decided.name == "a.png" and decided.others == () and decided.face is not None
    assert at(decided.face) == at(Face(EYES + 200, MOUTH))
    assert preparing.photos["a.png"].kind == "by hand" and preparing.chosen == "b.png"
    # A second one of it.
    preparing.choose("a.png")
    preparing.next_face(1)
    preparing.confirm()
    decided = [one for one in bench.pipe.sent if isinstance(one, Decide)][-1]
    assert at(decided.face) == at(Face(EYES + 100, MOUTH))
    assert [at(one) for one in decided.others] == [at(Face(EYES + 200, MOUTH))]
    # And the first of them no more.
    preparing.choose("a.png")
    preparing.next_face(2)
    preparing.refuse()
    decided = [one for one in bench.pipe.sent if isinstance(one, Decide)][-1]
    assert at(decided.face) == at(Face(EYES + 100, MOUTH)) and decided.others == ()
    assert kinds(preparing.photos["a.png"]) == ["left", "by hand", "left"]
    preparing.choose("a.png")
    preparing.next_face(1)
    preparing.refuse()
    assert bench.pipe.sent[-2] == Decide("a.png", None)
    assert preparing.photos["a.png"].kind == "refused"


def test_a_photograph_waits_until_each_of_its_guesses_was_seen(bench: Bench) -> None:
    preparing = bench.preparing
    two = faces_seen((0, "guessed"), (100, "found"), (200, "guessed"))
    bench.tell(PhotoSeen("a.png", "guessed", "", SIZE, two[0].face, two))
    preparing.choose("a.png")
    preparing.confirm()
    assert preparing.chosen == "a.png" and preparing.at == 2, "the other guess"
    assert "a.png" in preparing.waiting
    preparing.refuse()
    assert preparing.chosen == "b.png" and preparing.waiting == ["b.png"]
    decided = [one for one in bench.pipe.sent if isinstance(one, Decide)][-1]
    assert [at(decided.face), *map(at, decided.others)] == [at(two[0].face), at(two[1].face)]


def test_another_choice_of_faces_keeps_what_was_seen(bench: Bench) -> None:
    preparing = bench.preparing
    preparing.change(lambda wish: replace(wish, faces="all"))
    assert bench.pipe.sent[-1] == TakeFaces("all") and preparing.looked
    preparing.next_face(2)
    one = faces_seen((0, "found"))
    bench.tell(PhotoSeen("a.png", "found", "", SIZE, one[0].face, one))
    assert preparing.at == 0
    preparing.choose("")
    preparing.next_face(1)
    assert not any(
        isinstance(message, ShowPhoto) and not message.name for message in bench.pipe.sent
    )
