"""Thumbnails: drawn by the engine when it is idle, kept on disk, asked for by the gallery."""

from __future__ import annotations

import io
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.messages import ThumbnailReady
from app.thumbnail_cache import ThumbnailCache, read_thumbnail
from app.thumbnail_queue import SIDE, ThumbnailQueue
from app.wire import DrawThumbnail, DropThumbnails, ThumbnailDrawn
from engine.camera import OrbitPose
from engine.recipe import ModelRef, Recipe
from tests.app.fake import color
from tests.app.harness import Harness, running_engine, until

MODEL, KEY = "ab" * 32, "cd" * 20


# The queue ----------------------------------------------------------------------------------


def keys(sent: list[object]) -> list[str]:
    return [m.key if isinstance(m, DrawThumbnail) else type(m).__name__ for m in sent]


def test_two_are_given_at_a_time_and_the_rest_follows() -> None:
    sent: list[object] = []
    queue = ThumbnailQueue(sent.append)
    queue.want([(key, Recipe()) for key in "abcd"])
    queue.flush()
    queue.flush()
    assert keys(sent) == ["a", "b"]
    ready = queue.took(ThumbnailDrawn("a", bytes(SIDE * SIDE * 3)))
    assert ready.image is not None and ready.image.shape == (SIDE, SIDE, 3)
    queue.flush()
    assert keys(sent) == ["a", "b", "c"]


def test_a_changed_mind_drops_what_is_not_wanted_any_more() -> None:
    sent: list[object] = []
    queue = ThumbnailQueue(sent.append)
    queue.want([("a", Recipe()), ("b", Recipe()), ("c", Recipe())])
    queue.flush()
    queue.want([("b", Recipe()), ("a", Recipe()), ("d", Recipe())])
    queue.flush()
    assert keys(sent) == ["a", "b"]
    queue.want([("d", Recipe())])
    queue.flush()
    assert keys(sent) == ["a", "b", "DropThumbnails", "d"]
    queue.want(())
    assert isinstance(sent[-1], DropThumbnails)
    queue.want([("x", Recipe())])
    queue.flush()
    assert [(lost.key, lost.image) for lost in queue.restarted()] == [("x", None)]


def test_parts_of_the_window_do_not_drop_what_others_want() -> None:
    sent: list[object] = []
    queue = ThumbnailQueue(sent.append)
    queue.want([(key, Recipe()) for key in "abc"])
    queue.want([(key, Recipe()) for key in "xy"], "training")
    queue.flush()
    assert keys(sent) == ["a", "x"]  # by turns
    queue.want([("z", Recipe())], "training")
    queue.flush()
    # "a" was not unwanted: it is given again.
    assert keys(sent) == ["a", "x", "DropThumbnails", "a", "z"]
    for key in "az":
        queue.took(ThumbnailDrawn(key, None))
    queue.flush()
    assert keys(sent)[5:] == ["b", "c"]


# The engine ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_engine(tmp_path_factory.mktemp("engine")) as harness:
        yield harness


def small(engine: Harness, seed: int) -> tuple[str, Recipe]:
    assert engine.client.model is not None
    ref = engine.client.model.ref
    return f"{seed:040x}", Recipe(model=ref, seed=seed, pose=OrbitPose(radius=2.0))


def thumbnail(engine: Harness, seed: int) -> ThumbnailReady:
    return engine.wait(ThumbnailReady, lambda event: event.key == f"{seed:040x}")


def test_the_engine_draws_them_when_idle(engine: Harness) -> None:
    engine.open("fake")
    engine.draw(seed=1)
    engine.client.thumbnails.want([small(engine, seed) for seed in (5, 6, 7)])
    for seed in (5, 6, 7):
        image = thumbnail(engine, seed).image
        assert image is not None
        assert np.abs(image / 255.0 - np.array(color(seed, 0))).max() < 1 / 255
    # What the model keeps of the live face is made again.
    until(lambda: engine.log()[-1].startswith("end 1"), "the live face")


def test_a_live_picture_interrupts_them_and_they_go_on(engine: Harness) -> None:
    engine.open("fake?chunk=0.02&size=512")
    engine.draw(seed=1)
    engine.log_path.write_text("")
    engine.client.thumbnails.want([small(engine, 8)])
    engine.wait_log("begin 8")
    frame = engine.draw(seed=2)
    assert frame.recipe.seed == 2
    assert thumbnail(engine, 8).image is not None
    log = engine.log()
    assert log.index("cancelled 8 0") < next(
        i for i, e in enumerate(log) if e.startswith("begin 2")
    )
    assert log.index("end 2 0") < log.index("end 8 0")


def test_closing_the_gallery_stops_the_one_under_way(engine: Harness) -> None:
    engine.open("fake?chunk=0.05&size=512")
    engine.draw(seed=1)
    engine.client.thumbnails.want([small(engine, seed) for seed in (9, 10, 11)])
    engine.wait_log("begin 9")
    engine.client.thumbnails.want(())
    engine.wait_log("cancelled 9")
    time.sleep(0.3)
    engine.poll()
    assert not any(entry.startswith(("begin 10", "begin 11")) for entry in engine.log())


def test_one_that_fails_or_belongs_to_another_model_has_no_picture(engine: Harness) -> None:
    engine.open("fake")
    engine.draw(seed=1)
    engine.client.thumbnails.want([small(engine, 666)])
    failed = thumbnail(engine, 666)
    assert failed.image is None and failed.tried
    key, recipe = small(engine, 5)
    other = replace(recipe, model=ModelRef("other", "ff" * 32, "Other"))
    engine.client.thumbnails.want([(key, other)])
    foreign = thumbnail(engine, 5)
    assert foreign.image is None and not foreign.tried


# The cache ----------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ThumbnailCache]:
    made = ThumbnailCache(tmp_path / "cache")
    yield made
    made.close()


def answer(cache: ThumbnailCache, model: str = MODEL, key: str = KEY) -> np.ndarray | None:
    found: list[tuple[str, np.ndarray | None]] = []
    cache.look_up(model, key)

    def look() -> bool:
        found.extend(cache.found())
        return bool(found)

    until(look, "the cache")
    assert found[0][0] == key
    return found[0][1]


def pixels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def test_what_is_kept_is_found_by_model_and_face(cache: ThumbnailCache) -> None:
    assert answer(cache) is None
    cache.keep(MODEL, KEY, pixels())
    found = answer(cache)
    assert found is not None and (found == pixels()).all()
    assert answer(cache, model="ee" * 32) is None
    assert answer(cache, key="ee" * 20) is None


def png(size: tuple[int, int], mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        png((SIDE, SIDE))[:80],
        png((SIDE, SIDE)).replace(b"IDAT", b"IDAX"),
        png((SIDE, SIDE + 1)),
        png((SIDE, SIDE), "RGBA"),
        png((SIDE, SIDE)) + bytes(200_000),
        png((SIDE, SIDE))[:16] + b"\xff\xff\xff\xff" * 2 + png((SIDE, SIDE))[24:],
    ],
)
def test_damaged_files_are_as_if_missing(
    cache: ThumbnailCache, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "cache" / MODEL[:16] / f"{KEY}.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert answer(cache) is None
    # It is written over.
    cache.keep(MODEL, KEY, pixels())
    assert answer(cache) is not None


def test_names_that_are_no_hashes_are_never_paths(cache: ThumbnailCache, tmp_path: Path) -> None:
    for model, key in (("../../up", KEY), (MODEL, "../x"), ("", KEY), (MODEL, "")):
        cache.keep(model, key, pixels())
        assert answer(cache, model, key) is None
    assert not list(tmp_path.rglob("*.png"))


def test_the_cache_is_bounded_and_the_oldest_goes(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, most_bytes=3 * 50_000)
    for number in range(5):
        key = f"{number:040x}"
        cache.keep(MODEL, key, pixels(number))
        assert answer(cache, key=key) is not None
        os.utime(tmp_path / MODEL[:16] / f"{key}.png", (number + 1, number + 1))
    cache.prune()
    kept = sorted(int(path.stem, 16) for path in tmp_path.rglob("*.png"))
    assert kept in ([3, 4], [2, 3, 4])
    cache.close()


def test_a_folder_that_cannot_be_made_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(zlib.compress(b""))
    cache = ThumbnailCache(tmp_path / "file" / "below")
    cache.keep(MODEL, KEY, pixels())
    assert answer(cache) is None
    cache.close()
    assert read_thumbnail(tmp_path / "none.png") is None
