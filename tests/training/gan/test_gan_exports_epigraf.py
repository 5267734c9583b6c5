"""EpiGRAF's whole state read by a stand-in of its authors' program, whose training goes on from it."""

from __future__ import annotations

import copy
import math
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from engine.checkpoints import read_checkpoint
from engine.generators.epigraf_network import EpiGRAFNetwork
from engine.generators.registry import open_model
from engine.training.gan.discriminator_blocks import block_widths
from engine.training.gan.discriminator_patch import PatchDiscriminator
from engine.training.gan.families import judge_tensors
from engine.training.gan.moments import moments_of
from engine.training.gan.result import export_authors
from tests.training.gan.checks import same_tensors
from tests.training.gan.test_gan_epigraf import tiny
from tests.training.gan.test_gan_exports import reconstructed
from tests.training.gan.test_gan_exports_pigan import stepped

WIDTHS = block_widths(32, 64, 6)


def fitting(**options: Any) -> Any:
    """A training whose discriminator is one that the authors' class can be."""
    training = tiny(**options)
    training.discriminator = PatchDiscriminator(8, WIDTHS, 0, embedded=256)
    return training


class Generator(EpiGRAFNetwork):
    def __init__(self, **made_with: Any) -> None:
        super().__init__(tiny().config)


class Discriminator(PatchDiscriminator):
    def __init__(self, **made_with: Any) -> None:
        super().__init__(made_with["img_resolution"], WIDTHS, 0, embedded=256)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with the authors' modules."""

    class OmegaConf:
        create = staticmethod(dict)

    for name, found in {
        "omegaconf": {"OmegaConf": OmegaConf},
        "src": {},
        "src.training": {},
        "src.training.networks_epigraf": {"Generator": Generator},
        "src.training.networks_discriminator": {"Discriminator": Discriminator},
        "src.torch_utils": {},
        "src.torch_utils.persistence": {"_reconstruct_persistent_obj": reconstructed},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(found)
        monkeypatch.setitem(sys.modules, name, module)


def test_their_training_goes_on_as_ours(program: None, tmp_path: Path) -> None:
    training = fitting()
    loop = stepped(training)
    state_dicts, path = export_authors(training, loop.average, tmp_path, moments_of(loop))
    assert (state_dicts.name, path.name) == ("network.pt", "network.pkl")
    with path.open("rb") as file:
        found = pickle.load(file)
    assert type(found["G"]) is Generator and type(found["D"]) is Discriminator
    assert (found["stats"]["cur_nimg"], found["stats"]["batch_idx"]) == (2, 1)
    assert found["stats"]["best_metric_value"] == math.inf
    assert isinstance(found["augment_pipe"], torch.nn.Identity)
    for name, network in (("G", "generator"), ("D", "discriminator")):
        theirs, ours = found[name].requires_grad_(True), getattr(training, network)
        optimiser = torch.optim.Adam(theirs.parameters(), lr=1.0)
        optimiser.load_state_dict(found[f"{name}_opt"].state_dict())
        own = loop.optimisers[network]  # type: ignore[index]
        assert own.state and len(optimiser.state) == len(own.state)
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            gradient = torch.randn(mine.shape)
            mine.requires_grad_(True)
            mine.grad, other.grad = gradient, gradient.clone()
        own.step()
        optimiser.step()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, other)


def test_heads_to_look_at_are_drawn_and_kept_as_theirs(program: None, tmp_path: Path) -> None:
    training = fitting()
    loop = stepped(training)
    _, path = export_authors(training, loop.average, tmp_path, moments_of(loop))
    seen = pickle.loads(path.read_bytes())["vis"]
    latents, classes, angles = (seen[f"grid_{name}"] for name in ("z", "c", "camera_angles"))
    count = math.prod(seen["grid_size"])
    assert torch.stack(latents).view(-1, training.config.z_dim).shape[0] == count
    assert torch.stack(classes).view(count, training.config.c_dim).shape[0] == count
    turned = torch.cat(list(angles))
    assert torch.equal(turned, seen["camera_angles"]) and len(seen["labels"]) == count
    assert turned[0, 0] == -turned[-1, 0] < 0 and bool((turned[:, 1] == math.pi / 2).all())
    # Their program writes them again, and copies them.
    again = pickle.loads(pickle.dumps(copy.deepcopy(seen)))["grid_z"]
    assert type(again) is tuple and all(map(torch.equal, again, latents))


def test_our_own_reader_opens_it_and_begins_anew_what_does_not_fit(tmp_path: Path) -> None:
    training = fitting()
    loop = stepped(training)
    _, path = export_authors(training, loop.average, tmp_path / "whole", moments_of(loop))
    same_tensors(open_model(path, "cpu"), loop.average)
    judge = judge_tensors(read_checkpoint(path))
    assert judge is not None and set(judge) == set(training.discriminator.state_dict())
    other = stepped(tiny())
    _, plain = export_authors(other.training, other.average, tmp_path / "part", moments_of(other))
    root: Any = read_checkpoint(plain).root
    assert "stats" not in root and root["D"].kind.endswith(".Identity")
    same_tensors(open_model(plain, "cpu"), other.average)
