"""Preparing photographs: what is asked of the process, what is made of its answers, and the process
itself, without a window."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import Pipe as real_pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import preparer
from app.preparer import Preparer
from app.preparing import Preparing
from app.preparing_wire import (
    AskFinder,
    Cancel,
    Decide,
    Find,
    FinderIs,
    Found,
    Install,
    Made,
    Make,
    PhotoPicture,
    PhotoSeen,
    PrepareWish,
    Refused,
    Said,
    ShowPhoto,
    Step,
    Stopped,
)
from app.training_wire import TrainingPlan
from engine.errors import Cancelled, UserError
from engine.training.data.photos.faces import Face
from tests.app.test_training import Pipe, Process, Studio
from tests.training.data.photo_sets import KnowingFinder
from tests.training.data.test_photo_prepare import write_photos

EYES, MOUTH = np.array([(40.0, 50.0), (80.0, 50.0)]), np.array([(45.0, 95.0), (75.0, 95.0)])
GUESS = Face(EYES, MOUTH, certain=False)
WISH = PrepareWish("/photos", "/set", resolution=64)


class Bench:
    def __init__(self) -> None:
        self.studio, self.pipe, self.process = Studio(), Pipe(), Process()
        self.started = 0
        self.preparing = Preparing(self.studio, self.start)  # type: ignore[arg-type]

    def start(self) -> Any:
        self.started += 1
        return self.process, self.pipe

    def tell(self, *answers: object) -> None:
        self.pipe.answers += answers
        self.preparing.poll()

    def look(self) -> None:
        """Two guesses, a face that was found, and a wall."""
        self.preparing.change(lambda _: WISH)
        self.preparing.find()
        size = (120, 160)
        self.tell(
            PhotoSeen("a.png", "guessed", "", size, GUESS),
            PhotoSeen("b.png", "found", "", size, Face(EYES, MOUTH, yaw=12.0, pitch=-3.0)),
            PhotoSeen("c.png", "guessed", "", size, GUESS), PhotoSeen("wall.png", "no face", "", size),
            PhotoSeen("worn.png", "skipped", "it is damaged"), Found("the rough finder"),
        )  # fmt: skip


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_installed_before_somebody_asks(bench: Bench) -> None:
    preparing = bench.preparing
    assert bench.started == 0
    preparing.ask_finder()
    bench.tell(FinderIs(False))
    preparing.ask_finder()
    assert bench.pipe.sent == [AskFinder()] and preparing.finder == FinderIs(False)
    preparing.install()
    assert bench.pipe.sent[1:] == [Install(1)] and preparing.state == "installing"
    bench.tell(Said("Making an environment ..."))
    assert preparing.said == "Making an environment ..."
    with pytest.raises(UserError, match="cancel it first"):
        preparing.install()
    preparing.cancel()
    assert bench.pipe.sent[-1] == Cancel(1) and preparing.is_busy
    bench.tell(Stopped(1))
    assert preparing.state == "idle" and preparing.said == ""
    preparing.install()
    bench.tell(FinderIs(True))
    assert preparing.state == "idle" and preparing.finder == FinderIs(True)


def test_what_is_missing_in_the_form_is_said(bench: Bench) -> None:
    preparing = bench.preparing
    for what in ("photographs", "folder to make"):
        with pytest.raises(UserError, match=what):
            preparing.find()
        preparing.change(lambda wish: replace(wish, photos="/photos"))
    preparing.change(lambda wish: replace(wish, out="/set"))
    with pytest.raises(UserError, match="found first"):
        preparing.make()
    assert bench.started == 0
    preparing.find()
    with pytest.raises(UserError, match="wait"):
        preparing.change(lambda wish: replace(wish, out="/other"))
    assert preparing.wish.out == "/set"


def test_photographs_are_listed_and_the_first_that_waits_is_shown(bench: Bench) -> None:
    preparing = bench.preparing
    preparing.change(lambda _: WISH)
    preparing.find()
    bench.tell(Step(1, 5))
    assert (preparing.done, preparing.total) == (1, 5) and preparing.state == "finding"
    bench.tell(Stopped(1))
    bench.look()
    assert bench.pipe.sent == [Find(1, WISH), Find(2, WISH), ShowPhoto("a.png")]
    assert preparing.state == "idle" and preparing.usable == 1
    assert preparing.waiting == ["a.png", "c.png"] and preparing.chosen == "a.png"
    bench.tell(PhotoPicture("c.png", 2, 2, bytes(12)))
    assert preparing.picture is None, "that is another photograph"
    bench.tell(PhotoPicture("a.png", 2, 3, bytes(range(18))))
    assert preparing.picture is not None and preparing.picture.shape == (3, 2, 3)
    # Another size or folder changes nothing that was seen; another framing does.
    preparing.change(lambda wish: replace(wish, resolution=128, out="/other"))
    assert preparing.looked and len(preparing.photos) == 5
    preparing.change(lambda wish: replace(wish, framing="bundled"))
    assert not preparing.looked and not preparing.photos and preparing.chosen == ""


def test_points_are_moved_turned_and_confirmed(bench: Bench) -> None:
    bench.look()
    preparing = bench.preparing
    preparing.move(0, 42.0, 47.0)
    preparing.move(3, 500.0, -7.0)
    preparing.turn(yaw=20.0)
    preparing.turn(pitch=-5.0)
    preparing.confirm()
    sent = bench.pipe.sent[-2]
    assert isinstance(sent, Decide) and sent.name == "a.png" and sent.face is not None
    assert sent.face.eyes.tolist() == [[42.0, 47.0], [80.0, 50.0]]
    # Never out of the photograph.
    assert sent.face.mouth.tolist() == [[45.0, 95.0], [120.0, 0.0]]
    assert (sent.face.yaw, sent.face.pitch, sent.face.certain) == (20.0, -5.0, True)
    assert preparing.chosen == "c.png" and preparing.usable == 2
    preparing.refuse()
    assert bench.pipe.sent[-1] == Decide("c.png", None) and preparing.waiting == []
    assert preparing.photos["c.png"].kind == "refused"


def test_any_photograph_that_can_be_read_can_be_pointed_at(bench: Bench) -> None:
    bench.look()
    preparing = bench.preparing
    preparing.choose("b.png")
    assert preparing.pointed is not None
    assert (preparing.pointed.yaw, preparing.pointed.pitch) == (12.0, -3.0)
    preparing.choose("wall.png")
    assert preparing.pointed is not None
    points = np.array(preparing.pointed.points)
    assert (points > 0).all() and (points < (120, 160)).all()
    for index in range(4):
        preparing.move(index, 30.0, 30.0)
    with pytest.raises(UserError, match="lie on each other"):
        preparing.confirm()
    preparing.choose("worn.png")
    assert preparing.pointed is None
    preparing.confirm()
    preparing.refuse()
    assert not any(isinstance(message, Decide) for message in bench.pipe.sent)


def test_the_set_is_made_and_trained_on(bench: Bench) -> None:
    plans = [TrainingPlan("", "bundled", "")]
    training: Any = type("Training", (), {})()
    training.change = lambda edit: plans.append(edit(plans[-1]))
    bench.studio.training = training  # type: ignore[attr-defined]
    bench.look()
    preparing = bench.preparing
    preparing.train_on_them()
    preparing.make()
    assert bench.pipe.sent[-1] == Make(2, WISH) and preparing.state == "making"
    bench.tell(Made("/set", 1, ("Only 1 picture is there.",)))
    assert preparing.state == "idle" and preparing.made is not None
    preparing.train_on_them()
    assert [plan.data for plan in plans] == ["", "/set"]
    preparing.choose("a.png")
    preparing.confirm()
    assert preparing.made is None, "it is not the set of what is shown any more"


def test_without_a_certain_face_nothing_is_made(bench: Bench) -> None:
    preparing = bench.preparing
    preparing.change(lambda _: WISH)
    preparing.find()
    bench.tell(PhotoSeen("a.png", "guessed", "", (120, 160), GUESS), Found("the rough finder"))
    with pytest.raises(UserError, match="No face is certain"):
        preparing.make()


def test_refusals_and_deaths_are_one_sentence(bench: Bench) -> None:
    preparing = bench.preparing
    preparing.change(lambda _: WISH)
    preparing.find()
    bench.tell(Refused("There is nothing at /photos.", 1))
    assert preparing.state == "idle" and bench.studio.said == ["There is nothing at /photos."]
    bench.look()
    preparing.make()
    bench.tell(Refused("The points could not be written."))
    assert preparing.state == "making", "that ends no job"
    bench.process.exitcode = -9
    preparing.poll()
    assert preparing.state == "idle" and preparing.pid is None and not preparing.photos
    assert "killed by signal 9" in bench.studio.said[-1]


# The process ----------------------------------------------------------------------------


class Served:
    """A :class:`Preparer` in a thread, and the window's end of its pipe."""

    def __init__(self) -> None:
        self.pipe, theirs = real_pipe()
        self.preparer = Preparer(theirs)
        self.thread = threading.Thread(target=self.preparer.run, daemon=True)
        self.thread.start()

    def ask(self, message: object, last: type) -> list[Any]:
        """Its answers up to the first of a kind."""
        self.pipe.send(message)
        answers: list[Any] = []
        while not answers or not isinstance(answers[-1], (last, Refused)):
            assert self.pipe.poll(30), answers
            answers.append(self.pipe.recv())
        return answers


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """It finds three people, of whom it is sure of the first only, and nobody on a wall."""
    finder = write_photos(tmp_path / "in")
    for size in ((300, 300), (260, 330)):
        finder.faces[size] = [replace(f, dense=None, certain=False) for f in finder.faces[size]]
    (tmp_path / "in" / "worn.png").write_bytes(b"no picture")
    monkeypatch.setattr(preparer, "open_finder", lambda choice: finder)
    one = Served()
    yield one
    one.pipe.close()
    one.thread.join(10)
    assert not one.thread.is_alive()


def wish(folder: Path) -> PrepareWish:
    return PrepareWish(str(folder / "in"), str(folder / "out"), resolution=32)


def test_everything_is_found_decided_and_made(served: Served, tmp_path: Path) -> None:
    found = served.ask(Find(1, wish(tmp_path)), Found)
    assert found[-1] == Found(KnowingFinder.name)
    seen = {one.name: one for one in found if isinstance(one, PhotoSeen)}
    assert {name: one.kind for name, one in seen.items()} == {
        "ann.png": "found", "bob.jpg": "guessed", "carl.png": "guessed", "worn.png": "skipped",
    }  # fmt: skip
    assert [one for one in found if isinstance(one, Step)][-1] == Step(3, 4)
    ann = seen["ann.png"].face
    assert ann is not None and ann.dense is None and ann.yaw is not None and abs(ann.yaw) < 0.5
    (shown,) = served.ask(ShowPhoto("carl.png"), PhotoPicture)
    assert (shown.width, shown.height) == (260, 330) and len(shown.pixels) == 260 * 330 * 3
    assert served.ask(ShowPhoto("worn.png"), PhotoPicture)[0].pixels is None
    assert not (tmp_path / "out").exists()

    bob = seen["bob.jpg"].face
    assert bob is not None
    # Left and right mixed up: they are put in order.
    mixed = Face(bob.eyes[::-1].copy(), bob.mouth, None, 25.0, -8.0)
    (told,) = served.ask(Decide("bob.jpg", mixed), PhotoSeen)
    assert told.kind == "by hand" and np.allclose(told.face.eyes, bob.eyes)
    assert served.ask(Decide("carl.png", None), PhotoSeen)[0].kind == "refused"
    steep = replace(mixed, pitch=75.0)
    (told,) = served.ask(Decide("ann.png", steep), PhotoSeen)
    assert told.kind == "skipped" and "75 degrees above" in told.reason
    served.ask(Decide("ann.png", replace(ann, yaw=5.0, pitch=1.0)), PhotoSeen)

    made = served.ask(Make(2, wish(tmp_path)), Made)[-1]
    out = tmp_path / "out"
    assert (made.folder, made.count) == (str(out), 2)
    report = json.loads((out / "maquette-prepared.json").read_text())
    assert report["finder"] == KnowingFinder.name
    by = {one["photo"]: one for one in report["pictures"]}
    assert abs(by["ann.png"]["angles"]["yaw"] - 5.0) < 1e-9
    assert abs(by["bob.jpg"]["angles"]["pitch"] + 8.0) < 1e-9
    points = json.loads((out / "maquette-points.json").read_text())["faces"]
    assert sorted(points) == ["ann.png", "bob.jpg", "carl.png"] and points["carl.png"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    # It is never written over.
    (refused,) = served.ask(Make(3, wish(tmp_path)), Made)
    assert isinstance(refused, Refused) and "not empty" in refused.message and refused.job == 3


def test_what_was_pointed_at_outlives_the_process(served: Served, tmp_path: Path) -> None:
    asked = wish(tmp_path)
    found = served.ask(Find(1, asked), Found)
    bob = next(one.face for one in found if getattr(one, "name", "") == "bob.jpg")
    served.ask(Decide("bob.jpg", replace(bob, yaw=25.0, pitch=-8.0, certain=True)), PhotoSeen)
    served.ask(AskFinder(), FinderIs)
    other = Served()
    found = other.ask(Find(1, asked), Found)
    kinds = {one.name: one.kind for one in found if isinstance(one, PhotoSeen)}
    assert kinds["bob.jpg"] == "by hand" and kinds["carl.png"] == "guessed"
    # It follows the folder that will be made.
    other.ask(Find(2, replace(asked, out=str(tmp_path / "there"))), Found)
    assert [path.name for path in tmp_path.glob("*.json")] == ["there-maquette-points.json"]
    other.pipe.close()
    other.thread.join(10)


def test_jobs_are_cancelled_and_leave_nothing(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Cancelled before it began.
    served.pipe.send(Cancel(1))
    assert served.ask(Find(1, wish(tmp_path)), Stopped) == [Stopped(1)]
    served.ask(Find(2, wish(tmp_path)), Found)
    asked = threading.Event()

    def endless(say: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
        say("Installing ...")
        while not cancelled():
            asked.wait(0.01)
        raise Cancelled

    monkeypatch.setattr(preparer, "install", endless)
    assert served.ask(Install(3), Said) == [Said("Installing ...")]
    assert served.ask(Cancel(3), Stopped) == [Stopped(3)]
    made = served.ask(Make(4, wish(tmp_path)), Made)[-1]
    assert made.count == 1 and not any("--points" in note for note in made.notes)
    # The window closes while something goes on: it ends, as the fixture sees.
    assert served.ask(Install(5), Said) == [Said("Installing ...")]


def test_a_finder_that_is_named_and_none_is_told(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAQUETTE_PHOTOS_PYTHON", "/nowhere/python")
    (told,) = served.ask(AskFinder(), FinderIs)
    assert not told.ready and "/nowhere/python" in told.trouble
