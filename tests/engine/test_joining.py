"""Two models joined while they are looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.checkpoints import model_sha256, read_checkpoint, weights_file, write_model
from engine.checkpoints.plain import LazyTensor, ModelSource
from engine.draw import Painter
from engine.errors import UserError
from engine.generators.base import Generator
from engine.generators.blending import blend_sources, swappable_layers
from engine.generators.registry import build_generator, find_source, open_model
from engine.joining import joined_source, read_second
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef, Recipe

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"
FIRST, SECOND = GOLDENS / "cips3d" / "checkpoint.pth", GOLDENS / "cips3d" / "second.pth"
LATE = ("512", "1024")


def swapped(layers: tuple[str, ...] = LATE, gamma: float = 0.5, path: Path = SECOND) -> LayerSwap:
    return LayerSwap(ModelRef(str(path), model_sha256(weights_file(path))), layers, gamma)


def recipe(generator: Generator, swap: LayerSwap | None = None) -> Recipe:
    pose = generator.capabilities.default_pose
    return Recipe(seed=3, pose=pose, neural_resolution=16, size=16, swap=swap)


@pytest.fixture
def painter() -> Painter:
    return Painter(open_model(FIRST, "cpu"))


@pytest.mark.parametrize("gamma", [0.25, 1.0])
def test_the_picture_is_that_of_the_file_that_blending_writes(
    painter: Painter, gamma: float
) -> None:
    source = blend_sources(
        find_source(read_checkpoint(FIRST)), find_source(read_checkpoint(SECOND)), LATE, gamma
    )
    written = Painter(build_generator(source, "cpu"))
    shown = recipe(painter.generator, swapped(gamma=gamma))
    live = painter.picture(shown)
    assert torch.equal(live, written.picture(replace(shown, swap=None)))
    assert not torch.equal(live, painter.picture(replace(shown, swap=None)))


@pytest.mark.parametrize(
    "file",
    [
        "eg3d_ffhq/checkpoint.pkl", "epigraf/checkpoint.pkl", "pigan/CelebA/generator.pth",
        "stylenerf_default/checkpoint.pkl", "stylesdf/checkpoint.pt",
    ],
)  # fmt: skip
def test_every_family_is_joined_live_as_in_a_file(file: str, tmp_path: Path) -> None:
    first = find_source(read_checkpoint(GOLDENS / file))

    def softer(tensor: LazyTensor) -> LazyTensor:
        return replace(tensor, load=lambda: tensor.load() * 0.8)

    other = replace(first, tensors={name: softer(t) for name, t in first.tensors.items()})
    second = write_model(other, tmp_path / "other")
    swap = swapped(tuple(swappable_layers(first))[-2:], 0.5, second)
    painter = Painter(build_generator(first, "cpu"))
    shown = recipe(painter.generator, swap)
    written = build_generator(joined_source(first, swap), "cpu")
    live = painter.picture(shown)
    assert torch.equal(live, Painter(written).picture(replace(shown, swap=None)))
    assert not torch.equal(live, painter.picture(replace(shown, swap=None)))


def test_what_does_not_change_is_shared_and_the_open_model_stays_as_it_was(
    painter: Painter,
) -> None:
    before = {name: t.clone() for name, t in painter.generator.network.state_dict().items()}  # type: ignore[attr-defined]
    joined = painter.model(recipe(painter.generator, swapped()))
    assert joined is painter.model(recipe(painter.generator, swapped()))
    own, theirs = (g.network.state_dict() for g in (painter.generator, joined))  # type: ignore[attr-defined]
    for name, tensor in own.items():
        assert torch.equal(tensor, before[name])
        late = name.split(".")[0] == "inr_net" and name.split(".")[2] in LATE
        assert (theirs[name].data_ptr() == tensor.data_ptr()) != late, name


def test_a_share_of_nothing_is_the_open_model_itself(painter: Painter) -> None:
    for swap in (swapped(gamma=0.0), swapped(layers=())):
        assert painter.model(recipe(painter.generator, swap)) is painter.generator


def test_another_share_reads_no_file(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []

    def counting(ref: ModelRef) -> ModelSource:
        loads.append("source")
        source = find_source(read_checkpoint(ref.path))

        def watched(name: str, tensor: LazyTensor) -> LazyTensor:
            return replace(tensor, load=lambda: (loads.append(name), tensor.load())[1])

        return replace(source, tensors={n: watched(n, t) for n, t in source.tensors.items()})

    monkeypatch.setattr("engine.joining.second_source", counting)
    painter.joiner.join(swapped())
    assert len(loads) == 1 + 24  # the tensors of two layers, and no others
    assert painter.joiner.known(swapped(gamma=0.3)) is None
    assert painter.joiner.join(swapped(gamma=0.3)) is painter.joiner.known(swapped(gamma=0.3))
    assert len(loads) == 25


def test_settings_of_the_model_hold_for_the_joined_one(painter: Painter) -> None:
    setting = next(s for s in painter.generator.capabilities.settings if s.kind == "integer")
    value = setting.checked(setting.low)
    assert value != setting.default
    changed = recipe(painter.generator, swapped()).with_settings({setting.name: value})
    assert painter.model(changed).settings[setting.name] == value


def test_many_threads_build_it_once(painter: Painter) -> None:
    built: list[Generator] = []
    threads = [
        threading.Thread(target=lambda: built.append(painter.joiner.join(swapped())))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 3 and len(set(map(id, built))) == 1


def _changed(folder: Path) -> LayerSwap:
    return replace(swapped(), model=ModelRef(str(SECOND), "ab" * 32))


def _gone(folder: Path) -> LayerSwap:
    return replace(swapped(), model=ModelRef(str(folder / "nothing.pth")))


def _foreign(folder: Path) -> LayerSwap:
    return replace(swapped(), model=ModelRef(str(GOLDENS / "eg3d_ffhq" / "checkpoint.pkl")))


def _unknown(folder: Path) -> LayerSwap:
    return swapped(("2048",))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_changed, "has changed since; choose it again"),
        (_gone, "no longer at .*choose it again"),
        (_foreign, "only models of one family"),
        (_unknown, "no layer '2048'"),
    ],
)
def test_what_cannot_be_joined_is_told(
    painter: Painter, tmp_path: Path, make: Callable[[Path], LayerSwap], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        painter.picture(recipe(painter.generator, make(tmp_path)))


def test_a_second_model_says_which_layers_it_can_lend(tmp_path: Path) -> None:
    first = find_source(read_checkpoint(FIRST))
    ref, layers = read_second(first, str(SECOND))
    assert ref == ModelRef(str(SECOND), model_sha256(SECOND), "second")
    assert layers == tuple(swappable_layers(first))
    with pytest.raises(UserError, match="only models of one family"):
        read_second(first, str(GOLDENS / "stylesdf" / "checkpoint.pt"))
    with pytest.raises(UserError, match="choose it again"):
        read_second(first, str(tmp_path / "nothing.pth"))
