"""What holds for every family alike, on the small checkpoints of their golden sets."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.capabilities import VIEW_MODES, Capabilities
from engine.checkpoints import read_checkpoint, write_model
from engine.describe import describe
from engine.draw import Painter
from engine.errors import Cancelled
from engine.export.mesh import extract_mesh
from engine.export.options import MeshOptions, VideoOptions
from engine.export.picture import read_recipe, save_picture
from engine.export.video import export_video
from engine.generators.base import CancelToken, Generator, Quality, latent_from_seed
from engine.generators.registry import FAMILY_MODULES, families, find_source, open_model
from engine.identity import Blend, StyleSource
from engine.recipe import Recipe

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"
SETS = sorted(path.parent for path in GOLDENS.glob("*/golden.json"))
every = pytest.mark.parametrize("folder", SETS, ids=lambda p: p.name)


def checkpoint(folder: Path) -> Path:
    return folder / json.loads((folder / "golden.json").read_text())["checkpoint"]


@cache
def model(folder: Path) -> Generator:
    return open_model(checkpoint(folder), "cpu")


def recipe_of(generator: Generator) -> Recipe:
    """A quick one: its own pose, a small volume."""
    facts = generator.capabilities
    side = min(24, facts.neural_resolution)
    return Recipe(seed=1, psi=1.0, pose=facts.default_pose, neural_resolution=side)


def drawn(folder: Path, **changes: object) -> Tensor:
    painter = Painter(model(folder))
    recipe = replace(recipe_of(painter.generator), **changes)  # type: ignore[arg-type]
    return painter.picture(recipe).int()


def far_apart(a: Tensor, b: Tensor) -> bool:
    return float((a - b).abs().float().mean()) > 0.2


def test_every_family_has_a_golden_set() -> None:
    named = {json.loads((s / "golden.json").read_text())["family"] for s in SETS}
    assert named == set(families()) and len(named) == len(FAMILY_MODULES)


@every
def test_a_file_belongs_to_one_family_whatever_it_is_called(folder: Path) -> None:
    read = read_checkpoint(checkpoint(folder))
    assert [f.name for f in families().values() if f.matches(read)] == [find_source(read).family]


@every
def test_capabilities_are_facts(folder: Path) -> None:
    generator = model(folder)
    facts = generator.capabilities
    assert Capabilities.from_json(json.loads(json.dumps(facts.to_json(), allow_nan=False))) == facts
    for mode in set(VIEW_MODES) - set(facts.view_modes):
        assert facts.absent[mode].endswith(".")
    for first, last in facts.layer_groups.values():
        assert 0 <= first < last <= facts.num_ws
    w = generator.map(latent_from_seed(3, facts.z_dim))
    assert w.shape == (facts.num_ws, facts.w_dim) and w.dtype == torch.float32
    for setting in facts.settings:
        assert setting.checked(setting.default) == setting.default
        assert setting.help.endswith(".")
        if setting.kind in ("integer", "number"):
            assert np.isfinite([setting.low, setting.high]).all()


@every
def test_every_view_is_drawn_and_turns_with_the_camera(folder: Path) -> None:
    generator = model(folder)
    facts = generator.capabilities
    w = generator.map(latent_from_seed(1, facts.z_dim))
    quality = Quality(neural_resolution=recipe_of(generator).neural_resolution, normals=True)
    front = generator.render(w, facts.default_pose.camera(), quality)
    turned = generator.render(w, facts.default_pose.turned(yaw=25).camera(), quality)
    side = quality.neural_resolution
    assert front.depth.shape == front.alpha.shape == (side, side)
    assert front.normal is not None and front.normal.shape == (side, side, 3)
    for frame in (front, turned):
        for image in (frame.rgb, frame.raw, frame.alpha):
            assert float(image.min()) >= 0 and float(image.max()) <= 1
        assert bool(torch.isfinite(frame.depth).all())
        away = (frame.depth - facts.default_pose.radius).abs().max()
        assert float(away) < 2 * max(abs(x) for x in facts.bounds[1]) * 3
    assert far_apart(front.rgb * 255, turned.rgb * 255)
    for view in facts.view_modes:
        image = drawn(folder, view=view)
        assert image.shape[0] == image.shape[1] == facts.resolution


@every
def test_the_same_recipe_gives_the_same_pixels(folder: Path, tmp_path: Path) -> None:
    """On another instance, after other pictures, and from the file of a picture."""
    first = drawn(folder)
    drawn(folder, seed=9, psi=0.4)
    assert torch.equal(drawn(folder), first)
    recipe = recipe_of(model(folder))
    path = tmp_path / "a.png"
    save_picture(first.to(torch.uint8), path, recipe)
    again = Painter(open_model(checkpoint(folder), "cpu")).picture(read_recipe(path))
    assert torch.equal(again.int(), first)


@every
def test_seeds_truncation_layers_and_blends(folder: Path) -> None:
    generator = model(folder)
    facts, painter = generator.capabilities, Painter(generator)
    one, two = drawn(folder), drawn(folder, seed=2)
    assert far_apart(one, two)
    assert far_apart(one, drawn(folder, psi=0.5))
    everything = tuple(range(facts.num_ws))
    replaced = drawn(folder, mixes=(StyleSource(2, everything),))
    assert (replaced - two).abs().max() <= 1
    for first, last in facts.layer_groups.values():
        some = drawn(folder, mixes=(StyleSource(2, tuple(range(first, last))),))
        assert bool((some != one).any())
    middle = painter.latent(replace(recipe_of(generator), blend=Blend((1, 2), (0.5, 0.5))))
    ends = [painter.latent(replace(recipe_of(generator), seed=s)) for s in (1, 2)]
    assert torch.allclose(middle, (ends[0] + ends[1]) / 2, atol=1e-4)
    assert far_apart(drawn(folder, blend=Blend((1, 2), (0.5, 0.5))), one)
    assert far_apart(drawn(folder, blend=Blend((1, 2), (0.5, 0.5), "z")), one)


@every
def test_settings_can_be_changed_and_come_back(folder: Path) -> None:
    generator = model(folder)
    before = drawn(folder)
    for setting in generator.capabilities.settings:
        other = {
            "flag": lambda s: not s.default,
            "choice": lambda s: next(c for c in s.choices if c != s.default),
            "integer": lambda s: min(int(s.high), int(s.default) + 4),
            "number": lambda s: (s.default + s.high) / 2,
        }[setting.kind](setting)
        image = drawn(folder, settings=((setting.name, other),))
        assert image.shape == before.shape, setting.name
    assert torch.equal(drawn(folder), before)


@every
def test_mesh_and_video_and_conversion(folder: Path, tmp_path: Path) -> None:
    generator = model(folder)
    facts, recipe = generator.capabilities, recipe_of(generator)
    painter = Painter(generator)
    w = painter.latent(recipe)
    low, high = (torch.tensor(corner) for corner in facts.bounds)
    points = low + (high - low) * torch.rand(4000, 3, generator=torch.Generator().manual_seed(0))
    level = float(generator.field(w).density(points).median())
    mesh = extract_mesh(generator, w, MeshOptions(resolution=24, level=level))
    assert len(mesh.faces) > 20 and mesh.visual.vertex_colors.shape[0] == len(mesh.vertices)
    slack = 0.1 * float((high - low).max())
    assert (mesh.bounds[0] >= low.numpy() - slack).all()
    assert (mesh.bounds[1] <= high.numpy() + slack).all()

    options = VideoOptions(frames=3, size=32, trajectory="yaw-sweep", format="png")
    export_video(painter, recipe, options, tmp_path / "frames")
    assert len(list((tmp_path / "frames").iterdir())) == 3

    source = find_source(read_checkpoint(checkpoint(folder)))
    converted = write_model(source, tmp_path / "converted")
    assert torch.equal(Painter(open_model(converted, "cpu")).picture(recipe).int(), drawn(folder))
    facts_of = describe(read_checkpoint(converted))
    assert facts_of["family"] == facts.family
    assert facts_of["assumptions"] == list(source.assumptions)


@every
def test_drawing_can_be_stopped(folder: Path) -> None:
    generator = model(folder)
    facts = generator.capabilities
    w = generator.map(latent_from_seed(1, facts.z_dim))
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        generator.render(w, facts.default_pose.camera(), Quality(), token)
