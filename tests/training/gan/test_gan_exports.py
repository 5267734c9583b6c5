"""What is written for the authors' programs, read by stand-ins of these programs.

The protocol of ``torch_utils.persistence`` is a few lines here, and the authors' classes are our own networks
under their names. With the authors' own code the same was done by hand (docs/families/exports.md).
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from engine.checkpoints import Node, read_checkpoint
from engine.errors import UserError
from engine.generators.eg3d_network import EG3DNetwork
from engine.generators.registry import open_model
from engine.training.gan.authors_pickles import Made, Named, write_pickle
from engine.training.gan.discriminator_blocks import block_widths
from engine.training.gan.discriminator_residual import DualDiscriminator
from engine.training.gan.families import judge_tensors
from engine.training.gan.persistent import snapshot
from engine.training.gan.pickled import TheirClass, module_state, published_widths
from engine.training.gan.result import export_authors
from tests.generators.tiny_eg3d import CONFIG
from tests.training.gan.checks import moved_state, same_tensors
from tests.training.gan.test_gan_eg3d import tiny


class TriPlaneGenerator(EG3DNetwork):
    """Made with keywords only, and told the rest by attributes, as the authors' is."""

    def __init__(self, **made_with: Any) -> None:
        super().__init__(CONFIG)
        self.made_with = made_with
        self.renderer = nn.Module()


class Discriminator(DualDiscriminator):
    def __init__(self, **made_with: Any) -> None:
        widths = block_widths(
            made_with["img_resolution"], made_with["channel_base"], made_with["channel_max"]
        )
        super().__init__(made_with["img_resolution"], widths)


def reconstructed(meta: Mapping[str, Any]) -> Any:
    """The protocol: run the source, take a class of it, and give an empty object its state."""
    assert (meta["type"], meta["version"]) == ("class", 6)
    source = ModuleType("source")
    exec(meta["module_src"], source.__dict__)
    kind = source.__dict__[meta["class_name"]]
    made = kind.__new__(kind)
    made.__setstate__(meta["state"])
    return made


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with the authors' modules."""
    for name, found in {
        "training": {},
        "training.triplane": {"TriPlaneGenerator": TriPlaneGenerator},
        "training.dual_discriminator": {"DualDiscriminator": Discriminator},
        "torch_utils": {},
        "torch_utils.persistence": {"_reconstruct_persistent_obj": reconstructed},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(found)
        monkeypatch.setitem(sys.modules, name, module)


def exported(folder: Path, **options: object) -> tuple[Any, dict[str, Any], Path]:
    training = tiny(**options)
    training.discriminator = DualDiscriminator(32, block_widths(32, 64, 6))
    state = moved_state(training)
    state_dicts, pickled = export_authors(training, state, folder / "new" / "theirs")
    assert (state_dicts.name, pickled.name) == ("network.pt", "network.pkl")
    return training, state, pickled


def test_a_program_makes_its_own_class_of_a_pickle(program: None, tmp_path: Path) -> None:
    training, state, path = exported(tmp_path)
    with path.open("rb") as file:
        found = pickle.load(file)
    assert set(found) == {"G", "D", "G_ema", "augment_pipe", "training_set_kwargs"}
    assert type(found["G_ema"]) is TriPlaneGenerator and type(found["D"]) is Discriminator
    for network, own in (
        ("G_ema", state),
        ("G", training.generator.state_dict()),
        ("D", training.discriminator.state_dict()),
    ):
        theirs = found[network]
        assert set(theirs.state_dict()) == set(own)
        assert all(torch.equal(value, own[n]) for n, value in theirs.state_dict().items())
        assert not theirs.training and not any(p.requires_grad for p in theirs.parameters())
    drawing = found["G_ema"]
    assert drawing.made_with["rendering_kwargs"] is not None
    assert drawing.neural_rendering_resolution == CONFIG.neural_rendering_resolution
    assert torch.equal(drawing.renderer.plane_axes, torch.tensor(CONFIG.rendering.plane_axes))


def test_our_own_reader_opens_a_pickle_without_that_program(tmp_path: Path) -> None:
    training, state, path = exported(tmp_path)
    assert "training.triplane" not in sys.modules
    model = open_model(path, "cpu")
    same_tensors(model, state)
    root: Any = read_checkpoint(path).root
    # The source is not even kept.
    assert isinstance(root["G_ema"], Node) and "module_src" not in root["G_ema"].state
    judge = judge_tensors(read_checkpoint(path))
    assert judge is not None and set(judge) == set(training.discriminator.state_dict())


def test_what_a_program_adds_in_training_is_added(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = ModuleType("src.training.parts")
    monkeypatch.setattr(package, "Line", nn.Linear, raising=False)
    persistence = ModuleType("src.torch_utils.persistence")
    monkeypatch.setattr(persistence, "_reconstruct_persistent_obj", reconstructed, raising=False)
    for module in (
        ModuleType("src"), ModuleType("src.training"), package,
        ModuleType("src.torch_utils"), persistence,
    ):  # fmt: skip
        monkeypatch.setitem(sys.modules, module.__name__, module)
    line = nn.Linear(3, 2)
    theirs = TheirClass("Line", "src.training.parts", {"in_features": 3, "out_features": 2})
    saved = module_state(line, {**line.state_dict(), "spread": torch.ones(5)}, theirs)
    with (tmp_path / "n.pkl").open("wb") as file:
        write_pickle(snapshot({"G_ema": saved}), file)
    found = pickle.loads((tmp_path / "n.pkl").read_bytes())["G_ema"]
    assert type(found) is nn.Linear and torch.equal(found.spread, torch.ones(5))
    assert torch.equal(found.weight, line.weight)


def test_a_discriminator_that_theirs_cannot_be_is_left_empty(tmp_path: Path) -> None:
    training = tiny()
    assert published_widths({32: 4, 16: 5, 8: 6, 4: 7}) is None
    _, path = export_authors(training, moved_state(training), tmp_path)
    root: Any = read_checkpoint(path).root
    assert root["D"].kind.endswith(".Identity") and judge_tensors(read_checkpoint(path)) is None
    assert judge_tensors(read_checkpoint(path.with_suffix(".pt"))) is not None


@pytest.mark.parametrize(("base", "limit"), [(32768, 512), (2048, 16), (64, 64)])
def test_widths_are_said_in_the_authors_words(base: int, limit: int) -> None:
    widths = block_widths(64, base, limit)
    found = published_widths(widths)
    assert found is not None
    assert block_widths(64, found["channel_base"], found["channel_max"]) == widths


def test_a_name_that_is_none_is_not_written(tmp_path: Path) -> None:
    for module, name in (("os\nsystem", "x"), ("training", "a.b"), ("", "x")):
        with (tmp_path / "n.pkl").open("wb") as file, pytest.raises(ValueError, match="no name"):
            write_pickle(Made(Named(module, name), {}), file)


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("mine")
    training = tiny()
    with pytest.raises(UserError, match=r"cannot be made: .*choose another folder"):
        export_authors(training, moved_state(training), tmp_path / "letter" / "theirs")
