"""Training in the window: what is asked of the process, and what is made of its answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.training import Training
from app.training_wire import (
    SMALL,
    Began,
    Begin,
    DeleteAside,
    Drop,
    GoBack,
    Happened,
    LiveModel,
    LookAt,
    Obey,
    Refused,
    Resume,
    Retold,
    Seen,
    ShowPictures,
    SmallPicture,
    Snapshots,
    TrainingPlan,
    Watch,
)
from engine.errors import UserError
from engine.recipe import ModelRef
from engine.training.gan.events import (
    Finished,
    Notice,
    Returned,
    SamplesDrawn,
    ScoresMeasured,
    StepDone,
)


class Process:
    exitcode: int | None = None
    pid = 1234

    def join(self, seconds: float) -> None: ...

    def kill(self) -> None:
        self.exitcode = -9


class Pipe:
    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.answers: list[Any] = []
        self.closed = False

    def poll(self) -> bool:
        return bool(self.answers)

    def recv(self) -> object:
        return self.answers.pop(0)

    def send(self, message: object) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.closed = True


class Client:
    def __init__(self) -> None:
        self.opened: list[str] = []

    def open_model(self, path: str) -> None:
        self.opened.append(path)


class Document:
    model = ModelRef("")


class Studio:
    """What training asks of the window."""

    def __init__(self) -> None:
        self.client, self.document, self.opening = Client(), Document(), None
        self.opened: list[str] = []
        self.said: list[str] = []

    def touch(self) -> None: ...

    def open_model(self, path: str) -> None:
        self.opened.append(path)
        self.document.model = ModelRef(path)

    def say(self, text: str) -> None:
        self.said.append(text)

    complain = say


class Bench:
    def __init__(self) -> None:
        self.studio, self.pipe, self.process = Studio(), Pipe(), Process()
        self.training = Training(self.studio, lambda: (self.process, self.pipe))  # type: ignore[arg-type,return-value]

    def tell(self, *answers: object) -> None:
        self.pipe.answers += answers
        self.training.poll()

    def start(self) -> None:
        plan = TrainingPlan("/faces", "bundled", "/runs/1")
        self.training.change(lambda _: plan)
        self.training.begin()
        self.tell(Began("/runs/1"), Snapshots((0,)))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def step(number: int, **losses: float) -> Happened:
    named = {name.replace("__", "/"): value for name, value in losses.items()}
    return Happened(StepDone(number, 4 * number, named, {"generator": 1e-3}, 0.25, 3.0))


def test_nothing_begins_before_pictures_and_a_folder_are_chosen(bench: Bench) -> None:
    for what in ("pictures", "folder for the run"):
        with pytest.raises(UserError, match=what):
            bench.training.begin()
        bench.training.change(lambda plan: replace(plan, data="/faces"))
    with pytest.raises(UserError, match="folder of the run"):
        bench.training.resume(" ")
    assert bench.training.state == "idle" and not bench.pipe.sent


def test_both_are_looked_at_and_forgotten_when_others_are_chosen(bench: Bench) -> None:
    training = bench.training
    training.change(lambda plan: replace(plan, data="/faces"))
    training.look()
    assert bench.pipe.sent == [LookAt("/faces", "bundled")] and training.state == "looking"
    bench.tell(Seen("/faces", "bundled", ("mapping", "geometry"), ("200 pictures.",)))
    assert training.state == "idle" and training.seen is not None
    training.change(lambda plan: replace(plan, layers=("geometry",)))
    assert training.seen is not None
    training.change(lambda plan: replace(plan, data="/others"))
    assert training.seen is None and training.plan.layers == ()
    # An answer that comes too late is about something else.
    training.look()
    bench.tell(Seen("/faces", "bundled"))
    assert training.seen is None


def test_pictures_are_shown_once_and_ticked_off(bench: Bench) -> None:
    training, pipe = bench.training, bench.pipe
    training.change(lambda plan: replace(plan, data="/faces"))
    training.show_pictures(["a.png"])
    training.drop(["a.png"])
    assert pipe.sent == []
    training.look()
    seen = Seen("/faces", "bundled", names=("a.png", "b.png", "c.png"))
    bench.tell(seen)
    training.show_pictures(["a.png", "b.png"])
    training.show_pictures(["a.png", "b.png", "c.png"])
    assert pipe.sent[1:] == [ShowPictures(("a.png", "b.png")), ShowPictures(("c.png",))]
    bench.tell(SmallPicture("a.png", bytes(range(256)) * (SMALL * SMALL * 3 // 256)))
    bench.tell(SmallPicture("b.png", None))
    assert training.pictures["a.png"].std() > 50 and training.pictures["b.png"].std() == 0
    training.drop(["a.png"])
    training.drop(["a.png", "b.png"])
    assert pipe.sent[-1] == Drop(("a.png", "b.png"))
    # The first answer knows less than what was asked since.
    bench.tell(replace(seen, dropped=frozenset({"a.png"})))
    assert training.seen is not None and training.seen.dropped == {"a.png", "b.png"}
    bench.tell(replace(seen, dropped=frozenset({"a.png", "b.png"}), sentences=("1 picture.",)))
    assert training.seen.sentences == ("1 picture.",) and training.state == "idle"


def test_a_run_is_followed(bench: Bench) -> None:
    bench.start()
    training = bench.training
    assert bench.pipe.sent == [Begin(training.plan)] and training.state == "training"
    bench.tell(
        step(1, generator=1.0, score__real=0.5), step(2, generator=2.0),
        Happened(Notice(2, "The batch was halved.")), Happened(SamplesDrawn(2, "/runs/1/s.png")),
        Happened(ScoresMeasured(2, {"fid": 30.0}, "the bundled encoder")), Snapshots((0, 2)),
        step(3, generator=3.0),
    )  # fmt: skip
    named = training.curves.named
    assert named["losses/generator"].values == [1.0, 2.0, 3.0]
    assert named["scores/real"].values == [0.5] and "losses/score/real" not in named
    assert named["fid (the bundled encoder)"].values == [30.0]
    assert named["rates/generator"].values == [1e-3] * 3
    assert training.last is not None and training.last.step == 3
    assert training.notes == [(2, "The batch was halved.")]
    assert training.samples == "/runs/1/s.png" and training.snapshots == (0, 2)
    training.go_back(2)
    assert bench.pipe.sent[-1] == GoBack(2)
    bench.tell(Happened(Returned(2)))
    assert named["losses/generator"].steps == [1.0, 2.0]


def test_what_was_set_aside_is_gone_to_and_deleted(bench: Bench) -> None:
    bench.start()
    training = bench.training
    bench.tell(step(1, generator=1.0), step(2, generator=2.0), step(3, generator=3.0))
    bench.tell(Happened(Notice(3, "said")), Happened(Returned(1, 1, 0)))
    bench.tell(Snapshots((0, 1), ((3, 0),)), step(2, generator=5.0))
    assert training.snapshots == (0, 1) and training.aside == ((3, 0),)
    training.go_back(3, 0)
    assert bench.pipe.sent[-1] == GoBack(3, 0)
    # The curves become those of the other line.
    past = [step(number, generator=float(number)).event for number in (1, 2, 3)]
    bench.tell(Happened(Returned(3, 2, 0)), Retold((*past, Notice(3, "said"), Returned(3, 2, 0))))
    assert training.curves.named["losses/generator"].values == [1.0, 2.0, 3.0]
    assert training.notes == [(3, "said")] and training.last is not None and training.last.step == 3
    bench.tell(Snapshots((0, 1, 3), ((2, 1),)))
    training.delete_aside()
    assert bench.pipe.sent[-1] == DeleteAside()
    bench.tell(Snapshots((0, 1, 3)))
    assert training.aside == ()


def test_it_pauses_goes_on_and_stops(bench: Bench) -> None:
    bench.start()
    training = bench.training
    training.pause()
    assert training.state == "paused" and training.is_busy
    training.pause()
    assert training.state == "training"
    training.stop()
    assert [m.order for m in bench.pipe.sent if isinstance(m, Obey)] == ["pause", "go on", "stop"]
    with pytest.raises(UserError, match="stop it first"):
        training.begin()
    bench.tell(Happened(Finished(7, "stopped", "/runs/1/model.json")))
    assert training.state == "over" and "step 7" in bench.studio.said[-1]
    training.open_result()
    assert bench.studio.opened == ["/runs/1/model.json"]
    training.resume("/runs/1")
    assert bench.pipe.sent[-1] == Resume("/runs/1") and training.model == ""
    past = (StepDone(5, 20, {"generator": 4.0}, {}), Finished(5, "stopped", "/x"))
    bench.tell(Began("/runs/1", past))
    assert training.state == "training"
    assert training.curves.named["losses/generator"].values == [4.0]
    assert len(bench.studio.said) == 1 and training.model == ""


def test_a_model_in_training_is_opened_once_and_renewed(bench: Bench) -> None:
    bench.start()
    training, live = bench.training, "/runs/1/live.json"
    bench.tell(LiveModel(live, 1))
    assert bench.studio.opened == []
    training.watch(True)
    assert bench.pipe.sent[-1] == Watch(True) and bench.studio.opened == [live]
    bench.tell(LiveModel(live, 5))
    assert bench.studio.client.opened == [live] and bench.studio.opened == [live]
    # Somebody looks at another model: it stays.
    bench.studio.document.model = ModelRef("bundled")
    bench.tell(LiveModel(live, 9))
    assert bench.studio.client.opened == [live]
    training.watch(False)
    bench.studio.document.model = ModelRef(live)
    bench.tell(LiveModel(live, 12))
    assert bench.studio.client.opened == [live]


def test_what_cannot_be_done_is_said(bench: Bench) -> None:
    bench.start()
    bench.tell(Refused("The folder of pictures has vanished."))
    assert bench.training.state == "over"
    assert bench.studio.said == ["The folder of pictures has vanished."]
    bench.training.look()
    bench.tell(Refused("There are no pictures."))
    assert bench.training.state == "idle"


def test_a_process_that_dies_is_told_with_what_is_kept(bench: Bench) -> None:
    bench.start()
    bench.tell(Snapshots((0, 40)))
    bench.process.exitcode = -9
    bench.training.poll()
    assert bench.training.state == "over" and bench.training.pid is None
    assert "killed by signal 9" in bench.studio.said[-1] and "step 40" in bench.studio.said[-1]
    assert "/runs/1" in bench.studio.said[-1]


def test_closing_the_window_keeps_the_run(bench: Bench) -> None:
    bench.start()
    bench.training.close()
    assert bench.pipe.sent[-1] == Obey("stop") and bench.pipe.closed
