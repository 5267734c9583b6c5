"""Memory that does not suffice: smaller pictures and a notice, and the whole picture once it does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.frugality import MOST_PATIENCE, PATIENCE, STEPS, Frugality, tell
from app.messages import EngineDied, FrameReady, MemoryShort, ModelLoaded, RenderFailed
from app.notices import NoticeBoard
from app.restarts import FRUGAL, RestartPolicy
from engine.generators.base import Quality
from tests.app.fake import FakeGenerator
from tests.app.harness import Harness, recipe, running_engine, shows

FACTS = FakeGenerator({"size": "512"}).capabilities
FULL = Quality()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_engine(tmp_path_factory.mktemp("engine")) as harness:
        yield harness


@pytest.mark.parametrize("short", ["cpu", "gpu", "numpy"])
def test_the_picture_comes_smaller_with_a_notice(engine: Harness, short: str) -> None:
    """A volume rendering of 128 pixels does not fit, one of 64 does."""
    engine.open(f"fake?size=512&memory=100&short={short}")
    generation = engine.client.request(recipe(3), moving=False)
    told = engine.wait(MemoryShort)
    assert "not enough memory" in told.message and "64 x 64" in told.message
    frame = engine.full_frame(generation)
    assert shows(frame, 3) and frame.resolution == (64, 512)
    # The next ones are not tried in vain, and nothing is told twice.
    engine.log_path.write_text("")
    assert engine.draw(4).resolution == (64, 512)
    assert [line.split()[3] for line in engine.log() if line.startswith("begin")] == ["64"]
    assert not [event for event in engine.events if isinstance(event, MemoryShort)]
    # Another model may need less.
    engine.client.open_model("fake?size=256")
    assert engine.wait(MemoryShort).message == ""
    engine.wait(ModelLoaded)
    assert engine.draw(5).resolution == (64, 256)


def test_what_does_not_fit_at_all_is_a_sentence(tmp_path: Path) -> None:
    with running_engine(tmp_path) as engine:
        engine.open("fake?size=512&memory=8")
        engine.client.request(recipe(3), moving=False)
        failed = engine.wait(RenderFailed)
        assert "not enough memory for drawing" in failed.message
        # Smaller and smaller, each size once.
        sides = [int(line.split()[3]) for line in engine.log() if line.startswith("begin")]
        assert sides == [128, 64, 64, 32, 16]


def test_an_engine_that_is_killed_for_its_memory_comes_back_smaller(tmp_path: Path) -> None:
    """The system's killer leaves no error: the second death without a picture is taken for its work."""
    with running_engine(tmp_path) as engine:
        engine.open("fake?size=512&memory=100&short=kill")
        generation = engine.client.request(recipe(3), moving=False)
        assert engine.wait(EngineDied).restarting
        assert engine.wait(EngineDied).restarting
        told = engine.wait(MemoryShort)
        assert "64 x 64" in told.message
        frame = engine.full_frame(generation)
        assert isinstance(frame, FrameReady) and frame.resolution[0] == 64 and shows(frame, 3)


def test_one_death_makes_nothing_smaller() -> None:
    policy = RestartPolicy()
    policy.died(0.0)
    assert policy.frugal == 0
    policy.died(1.0)
    assert policy.frugal == FRUGAL
    policy.succeeded()
    assert policy.frugal == 0


def test_steps_down_and_back_up() -> None:
    frugal = Frugality()
    assert frugal.of(FULL, FACTS) == FULL and frugal.news(128) is None
    asked = []
    while frugal.less(0.0):
        allowed = frugal.of(FULL, FACTS)
        asked.append((allowed.neural_resolution, allowed.upsample))
    assert asked == [(64, True), (64, False), (32, False), (16, False)]
    assert "16 x 16" in (frugal.news(16) or "") and frugal.news(16) is None
    # Up again one by one, a step a while.
    now = 0.0
    frugal.ease(PATIENCE - 1)
    assert frugal.of(FULL, FACTS).neural_resolution == 16
    for _ in range(len(STEPS) - 1):
        now += MOST_PATIENCE
        assert frugal.news(16) is None
        frugal.ease(now)
    assert frugal.of(FULL, FACTS) == FULL and not frugal.is_lowered
    assert frugal.news(128) == "" and frugal.news(128) is None


def test_tries_become_rare_where_they_fail() -> None:
    frugal, tries, now = Frugality(), 0, 0.0
    frugal.less(now)
    for now in range(0, 4000, 10):
        frugal.ease(float(now))
        if not frugal.is_lowered:
            tries += 1
            frugal.less(float(now))
    # After 60, 120, 240, ... seconds: not sixty-six times.
    assert tries == 6


def test_a_small_wish_is_made_smaller_too_and_a_fixed_model_only_loses_its_upsampler() -> None:
    frugal = Frugality(2)
    small = frugal.of(Quality(neural_resolution=24), FACTS)
    assert (small.neural_resolution, small.upsample) == (16, False)
    fixed = replace(FACTS, absent={"neural_resolution": "It has one size only."})
    assert frugal.of(FULL, fixed) == Quality(upsample=False)


def test_the_notice_stays_until_memory_suffices() -> None:
    board = NoticeBoard()
    tell(board, "Too little.", 0.0)
    tell(board, "Even less.", 1.0)
    assert [(n.text, n.severity, n.until) for n in board.notices] == [
        ("Even less.", "warning", None)
    ]
    tell(board, "", 2.0)
    assert not board.notices


_LIMITED = """
import resource, sys
import torch
from app.frugality import Frugality
from engine.draw import Painter
from engine.generators.base import Quality
from engine.memory import is_memory_full
from engine.recipe import Recipe
from tests.generators.tiny_eg3d import tiny_model

painter = Painter(tiny_model())
recipe = Recipe(seed=1).with_defaults_of(painter.generator.capabilities)
facts = painter.generator.capabilities
painter.frame(recipe, quality=Quality(neural_resolution=16, upsample=False))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]) * 2**20,) * 2)
frugal = Frugality()
while True:
    try:
        frame = painter.frame(recipe, quality=frugal.of(Quality(neural_resolution=1024), facts))
        break
    except (MemoryError, RuntimeError) as error:
        print(type(error).__name__, str(error)[:60].replace(chr(10), " "))
        assert is_memory_full(error) and frugal.less(0.0)
print(frame.raw.shape[0])
"""


def test_a_real_allocator_that_is_refused() -> None:
    """torch and the compiled march, with so little address space that 1024 pixels cannot fit."""
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, "100"], capture_output=True, text=True, timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    *errors, side = done.stdout.splitlines()
    assert errors and 128 <= int(side) < 1024
