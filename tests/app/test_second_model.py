"""A second model's layers through the engine process, and the thread that joins the two."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.jobs import ExportModel, ExportPicture
from app.joins import Joins
from app.messages import (
    JobFailed,
    JobFinished,
    ModelLoaded,
    RenderFailed,
    SecondFailed,
    SecondRead,
)
from app.second_reading import SecondReading
from app.wire import ReadSecond, SecondAnswer
from engine.checkpoints import model_sha256, read_checkpoint
from engine.draw import Painter
from engine.errors import UserError
from engine.export.picture import read_recipe
from engine.generators.blending import blend_sources
from engine.generators.registry import build_generator, find_source, open_model
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef, Recipe
from engine.views import view_image
from tests.app.harness import Harness, running_engine, until

GOLDENS = Path(__file__).parents[1] / "data" / "goldens"
FIRST, SECOND = GOLDENS / "cips3d" / "checkpoint.pth", GOLDENS / "cips3d" / "second.pth"
FOREIGN = GOLDENS / "stylesdf" / "checkpoint.pt"
SWAP = LayerSwap(ModelRef(str(SECOND), model_sha256(SECOND), "second"), ("512", "1024"), 0.5)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_engine(tmp_path_factory.mktemp("engine"), opener="") as harness:
        yield harness


@pytest.fixture(scope="module")
def loaded(engine: Harness) -> ModelLoaded:
    return engine.open(str(FIRST))


@pytest.fixture
def start(loaded: ModelLoaded) -> Recipe:
    return Recipe(
        model=loaded.ref,
        seed=3,
        pose=loaded.capabilities.default_pose,
        neural_resolution=16,
        size=16,
    )


def drawn(swap: LayerSwap | None, recipe: Recipe) -> np.ndarray[Any, Any]:
    """What a file of the two models draws."""
    source = find_source(read_checkpoint(FIRST))
    if swap is not None:
        second = find_source(read_checkpoint(SECOND))
        source = blend_sources(source, second, swap.layers, swap.gamma)
    painter = Painter(build_generator(source, "cpu"))
    frame = painter.frame(replace(recipe, swap=None))
    image: np.ndarray[Any, Any] = view_image(frame, "picture").numpy()
    return image


def test_the_open_model_says_which_layers_can_be_exchanged(loaded: ModelLoaded) -> None:
    assert loaded.layers == ("4", "8", "16", "32", "64", "128", "256", "512", "1024")


def test_a_second_model_is_looked_at_and_the_newest_wish_is_answered(
    engine: Harness, loaded: ModelLoaded
) -> None:
    engine.client.seconds.read(str(FOREIGN))
    engine.client.seconds.read(str(SECOND))
    assert engine.client.seconds.path == str(SECOND)
    found = engine.wait(SecondRead)
    assert found == SecondRead(SWAP.model, loaded.layers)
    assert engine.client.seconds.path is None
    assert not [event for event in engine.events if isinstance(event, SecondFailed)]


@pytest.mark.parametrize(
    ("path", "says"), [(FOREIGN, "only models of one family"), (Path("/nothing.pth"), "no longer")]
)
def test_what_cannot_lend_is_told(
    engine: Harness, loaded: ModelLoaded, path: Path, says: str
) -> None:
    engine.client.seconds.read(str(path))
    assert says in engine.wait(SecondFailed).message


def test_the_live_picture_is_that_of_the_file_of_both(engine: Harness, start: Recipe) -> None:
    for swap in (SWAP, replace(SWAP, gamma=0.25), replace(SWAP, gamma=0.0), None):
        recipe = replace(start, swap=swap)
        frame = engine.full_frame(engine.client.request(recipe, moving=False))
        assert frame.recipe == recipe
        assert np.allclose(frame.image[..., :3], drawn(swap, recipe), atol=1e-6)


def test_a_share_that_is_dragged_ends_in_its_own_picture(engine: Harness, start: Recipe) -> None:
    number = 0
    for step in range(30):
        recipe = replace(start, swap=replace(SWAP, gamma=step / 29))
        number = engine.client.request(recipe, moving=True)
        engine.poll()
    frame = engine.full_frame(number)
    assert frame.recipe == recipe
    assert np.allclose(frame.image[..., :3], drawn(recipe.swap, recipe), atol=1e-6)


def test_what_cannot_be_joined_fails_in_a_sentence_and_the_rest_goes_on(
    engine: Harness, start: Recipe
) -> None:
    gone = replace(SWAP, model=ModelRef("/nothing.pth"))
    number = engine.client.request(replace(start, swap=gone), moving=False)
    failed = engine.wait(RenderFailed, lambda event: event.generation == number)
    assert "no longer at /nothing.pth" in failed.message
    engine.full_frame(engine.client.request(start, moving=False))


def test_exports_draw_the_same_and_pictures_carry_it(
    engine: Harness, start: Recipe, tmp_path: Path
) -> None:
    recipe = replace(start, swap=SWAP)
    engine.client.start_job(ExportPicture(recipe, str(tmp_path / "both.png")))
    engine.wait(JobFinished)
    carried = read_recipe(tmp_path / "both.png")
    assert carried.swap == SWAP
    from PIL import Image

    pixels = np.asarray(Image.open(tmp_path / "both.png").convert("RGB"), np.float32) / 255
    expected = Painter(open_model(FIRST, "cpu")).picture(recipe).numpy() / 255
    assert np.array_equal(pixels, expected.astype(np.float32))


def test_both_are_saved_as_one_model(engine: Harness, start: Recipe, tmp_path: Path) -> None:
    target = tmp_path / "toon.json"
    engine.client.start_job(ExportModel(replace(start, swap=SWAP), str(target)))
    assert engine.wait(JobFinished).path == str(target)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toon.json", "toon.safetensors"]
    saved = Painter(open_model(target, "cpu")).frame(replace(start, swap=None))
    assert np.allclose(view_image(saved, "picture").numpy(), drawn(SWAP, start), atol=1e-6)
    assert find_source(read_checkpoint(target)).name == "toon"


@pytest.mark.parametrize("swap", [None, replace(SWAP, model=ModelRef("/nothing.pth"))])
def test_a_model_that_cannot_be_saved_leaves_nothing(
    engine: Harness, start: Recipe, tmp_path: Path, swap: LayerSwap | None
) -> None:
    job = ExportModel(replace(start, swap=swap), str(tmp_path / "toon.json"))
    engine.client.start_job(job)
    engine.wait(JobFailed)
    assert list(tmp_path.iterdir()) == []


# The thread -----------------------------------------------------------------------------------


class Mailbox:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.pokes = 0
        self.sent: list[Any] = []

    def poke(self) -> None:
        self.pokes += 1

    def send(self, message: object) -> None:
        self.sent.append(message)


class SlowJoiner:
    """Joins when it is allowed to."""

    def __init__(self) -> None:
        self.allowed, self.begun = threading.Semaphore(0), threading.Semaphore(0)
        self.built: list[LayerSwap] = []

    def known(self, swap: LayerSwap) -> object | None:
        return swap if swap in self.built else None

    def join(self, swap: LayerSwap) -> None:
        self.begun.release()
        assert self.allowed.acquire(timeout=30)
        if swap.model.path == "bad":
            raise UserError("It does not fit.")
        self.built.append(swap)


def of(gamma: float, path: str = "good") -> Recipe:
    return Recipe(swap=LayerSwap(ModelRef(path), ("4",), gamma))


@pytest.fixture
def joins() -> tuple[Joins, Mailbox, SlowJoiner]:
    mailbox, joiner = Mailbox(), SlowJoiner()
    made = Joins(mailbox)  # type: ignore[arg-type]
    made.attend(SimpleNamespace(joiner=joiner))  # type: ignore[arg-type]
    return made, mailbox, joiner


def test_the_newest_wish_is_built_and_those_between_are_not(
    joins: tuple[Joins, Mailbox, SlowJoiner],
) -> None:
    thread, mailbox, joiner = joins
    assert thread.is_ready(Recipe()) and thread.is_ready(of(0.0)) and not thread.is_ready(of(0.1))
    thread.want(of(0.1))
    assert joiner.begun.acquire(timeout=30)
    thread.want(of(0.2))
    thread.want(of(0.3))
    assert thread.meanwhile(of(0.3)).swap is None
    joiner.allowed.release(2)
    until(lambda: mailbox.pokes == 2, "two models")
    assert [swap.gamma for swap in joiner.built] == [0.1, 0.3]
    assert thread.is_ready(of(0.3)) and thread.meanwhile(of(0.9)).swap == of(0.3).swap


def test_a_failure_is_told_until_a_model_is_chosen_again(
    joins: tuple[Joins, Mailbox, SlowJoiner],
) -> None:
    thread, mailbox, joiner = joins
    thread.want(of(0.5, "bad"))
    joiner.allowed.release()
    until(lambda: mailbox.pokes == 1, "the failure")
    assert thread.is_ready(of(0.5, "bad"))
    with pytest.raises(UserError, match="does not fit"):
        thread.check(of(0.5, "bad"))
    thread.check(of(0.5))
    thread.attend(SimpleNamespace(joiner=joiner))  # type: ignore[arg-type]
    thread.check(of(0.5, "bad"))


def test_what_was_built_for_a_model_that_is_gone_is_not_shown(
    joins: tuple[Joins, Mailbox, SlowJoiner],
) -> None:
    thread, mailbox, joiner = joins
    thread.want(of(0.5))
    assert joiner.begun.acquire(timeout=30)
    thread.attend(SimpleNamespace(joiner=SlowJoiner()))  # type: ignore[arg-type]
    joiner.allowed.release()
    until(lambda: mailbox.pokes == 1, "the end")
    assert thread.meanwhile(of(0.9)).swap is None and not thread.is_ready(of(0.5))


def test_the_windows_end_asks_once_more_when_the_model_changes() -> None:
    sent: list[Any] = []
    seconds = SecondReading(sent.append)
    seconds.again()
    assert sent == []
    seconds.read("a")
    seconds.again()
    first, again = sent
    assert isinstance(again, ReadSecond) and again.path == "a"
    answer = SecondRead(ModelRef("a"), ("4",))
    assert seconds.took(SecondAnswer(first.serial, answer)) == [] and seconds.path == "a"
    assert seconds.took(SecondAnswer(again.serial, answer)) == [answer] and seconds.path is None
