"""Videos of a timeline: every frame is the picture of its moment and says so."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from engine.draw import Painter
from engine.errors import UserError
from engine.export.options import VideoOptions
from engine.export.picture import read_recipe
from engine.export.video import export_video
from engine.keyframe import Keyframe
from engine.recipe import Recipe
from engine.timeline import Timeline


@pytest.fixture
def line(recipe: Recipe) -> Timeline:
    turned = replace(recipe, seed=recipe.seed + 1, pose=recipe.pose.turned(40.0, 10.0))
    return Timeline((Keyframe.of(recipe, 0.0), Keyframe.of(turned, 0.4)), 0.4, 10.0)


def test_every_picture_of_a_sequence_carries_its_moment(
    painter: Painter, recipe: Recipe, line: Timeline, tmp_path: Path
) -> None:
    # What the trajectory, the morph and the length would be does not matter.
    options = VideoOptions("orbit", seconds=9, size=24, morph=(1, 2), view="depth")
    folder = export_video(painter, recipe, options, tmp_path / "frames", timeline=line)
    names = sorted(folder.iterdir())
    assert len(names) == 5
    for index, name in enumerate(names):
        wanted = replace(line.at(recipe, index / 10), size=24, view="depth")
        assert read_recipe(name) == wanted
        assert np.array_equal(np.asarray(Image.open(name)), painter.picture(wanted).numpy())
    assert read_recipe(names[2]).fades and not read_recipe(names[-1]).fades
    assert read_recipe(names[-1]).pose == line.keys[1].pose


def test_a_film_has_the_timelines_length_and_rate(
    painter: Painter, recipe: Recipe, line: Timeline, tmp_path: Path
) -> None:
    for loop, frames in ((False, 6), (True, 5)):
        other = replace(line, loop=loop, duration=0.5)
        path = export_video(
            painter, recipe, VideoOptions(size=32), tmp_path / "a.mp4", timeline=other
        )
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert Fraction(stream.average_rate) == 10
            assert len(list(container.decode(stream))) == frames


def test_what_cannot_be_filmed(painter: Painter, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no keys yet"):
        export_video(painter, recipe, VideoOptions(), tmp_path / "a.mp4", timeline=Timeline())
    fast = Timeline((Keyframe.of(recipe, 0.0),), fps=60.0)
    with pytest.raises(UserError, match="GIF plays at most 50"):
        export_video(painter, recipe, VideoOptions(), tmp_path / "a.gif", timeline=fast)
    assert not list(tmp_path.iterdir())
