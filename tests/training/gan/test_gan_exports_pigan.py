"""pi-GAN's files read by a stand-in of its authors' program, whose training goes on from them.

The classes under the authors' names are written here from what they compute (Chan et al. 2021; Liu et al.
2018). They are made by name and attributes only, never by their constructors.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import UserError
from engine.generators.registry import open_model
from engine.training.gan.authors_folder import written_before
from engine.training.gan.distributed import Team
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.moments import moments_of
from engine.training.gan.options import TrainingOptions
from engine.training.gan.result import export_authors
from tests.training.gan.checks import moved_state, same_tensors, seeded
from tests.training.gan.test_gan_pigan import tiny
from tests.training.gan.test_gan_stylesdf import first_stage, second_stage
from tests.training.gan.toy import Squares

ALONE = Team(0, 1, torch.device("cpu"))
TRAINING = {
    "generator.pth", "ema.pth", "discriminator.pth", "ema2.pth", "optimizer_G.pth",
    "optimizer_D.pth", "scaler.pth",
}  # fmt: skip


class AddCoords(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        side = torch.linspace(-1.0, 1.0, x.shape[-1])
        grid = torch.stack(torch.meshgrid(side, side, indexing="ij")).expand(len(x), -1, -1, -1)
        return torch.cat([x, grid], dim=1)


class CoordConv(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return self.conv(self.addcoords(x))


class ResidualCoordConvBlock(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 2)
        small = small if self.proj is None else self.proj(small)
        return (F.avg_pool2d(self.network(x), 2) + small) / math.sqrt(2.0)


class AdapterBlock(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return self.model(x)


class ProgressiveEncoderDiscriminator(nn.Module):
    def forward(self, pictures: Tensor, alpha: float) -> Tensor:
        start = self.img_size_to_layer[pictures.shape[-1]]
        x = self.fromRGB[start](pictures)
        for index, layer in enumerate(self.layers[start:]):
            if index == 1:
                half = self.fromRGB[start + 1](F.interpolate(pictures, scale_factor=0.5))
                x = alpha * x + (1.0 - alpha) * half
            x = layer(x)
        found: Tensor = self.final_layer(x).flatten(1)
        return found


class ExponentialMovingAverage:
    shadow_params: list[Tensor]


NAMES: dict[str, tuple[type, ...]] = {
    "generators.generators": (type("ImplicitGenerator3d", (nn.Module,), {}),),
    "siren.siren": tuple(
        type(name, (nn.Module,), {})
        for name in (
            "SPATIALSIRENBASELINE", "TALLSIREN", "FiLMLayer", "CustomMappingNetwork",
            "UniformBoxWarp",
        )
    ),
    "discriminators.discriminators": (
        AddCoords, CoordConv, ResidualCoordConvBlock, AdapterBlock, ProgressiveEncoderDiscriminator,
    ),
    "torch_ema.ema": (ExponentialMovingAverage,),
}  # fmt: skip


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, classes in NAMES.items():
        package = name.partition(".")[0]
        module = ModuleType(name)
        for one in classes:
            setattr(module, one.__name__, one)
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
        monkeypatch.setitem(sys.modules, name, module)


def loaded(path: Path) -> Any:
    return torch.load(path, weights_only=False)


def stepped(training: Any) -> TrainingLoop:
    """A loop that has done a step, so that optimisers know something."""
    pictures = Squares()
    options = TrainingOptions(batch=2, augmentation="none", samples=0, judge_first=0)
    loop = TrainingLoop(training, pictures, options, ALONE)
    first = pictures.batch

    def enlarged(start: int, many: int) -> Any:
        found = first(start, many)
        side = training.resolution
        return type(found)(F.interpolate(found.images, size=(side, side)), None)

    pictures.batch = enlarged  # type: ignore[method-assign]
    loop.step()
    return loop


def test_their_program_loads_what_it_draws_with(program: None, tmp_path: Path) -> None:
    training = tiny()
    state = moved_state(training)
    written = export_authors(training, state, tmp_path)
    assert {path.name for path in written} == {"generator.pth", "ema.pth", "discriminator.pth"}
    drawing = loaded(tmp_path / "generator.pth")
    own = training.generator.state_dict()
    assert type(drawing).__name__ == "ImplicitGenerator3d" and drawing.siren.z_dim == drawing.z_dim
    assert list(drawing.state_dict()) == list(own)
    assert all(torch.equal(value, own[n]) for n, value in drawing.state_dict().items())
    assert drawing.siren.gridwarper.scale_factor == training.config.point_scale
    listed = loaded(tmp_path / "ema.pth").shadow_params
    for mine, (name, theirs) in zip(listed, drawing.named_parameters(), strict=True):
        assert torch.equal(mine, state[name]) and theirs.requires_grad
    # Nothing is shared with the run.
    with torch.no_grad():
        drawing.siren.final_layer.weight.add_(1.0)
    assert torch.equal(training.generator.siren.final_layer.weight, own["siren.final_layer.weight"])


def test_colours_end_where_the_class_has_them_end(program: None, tmp_path: Path) -> None:
    training = tiny({"siren": "TALLSIREN", "point_scale": 1.0})
    export_authors(training, training.generator.state_dict(), tmp_path)
    field = loaded(tmp_path / "generator.pth").siren
    assert type(field).__name__ == "TALLSIREN" and not hasattr(field, "gridwarper")
    assert isinstance(field.color_layer_linear[-1], nn.Sigmoid)
    same_tensors(open_model(tmp_path / "generator.pth", "cpu"), training.generator.state_dict())


@pytest.mark.parametrize("side", [8, 16])
def test_their_discriminator_says_the_same(program: None, tmp_path: Path, side: int) -> None:
    training = tiny()
    export_authors(training, training.generator.state_dict(), tmp_path)
    judge = loaded(tmp_path / "discriminator.pth")
    pictures = torch.rand(3, 3, side, side, generator=seeded()) * 2.0 - 1.0
    found = judge(pictures, 1.0)
    logits, angles = training.discriminator(pictures, 1.0)
    torch.testing.assert_close(found[:, 0], logits)
    assert found.shape == (3, 259) and not found[:, 1:257].any()
    # Theirs are pitch and yaw, from the pole and from +x.
    torch.testing.assert_close(math.pi / 2.0 - found[:, 257:].flip(1), angles)


def test_their_training_goes_on_as_ours(program: None, tmp_path: Path) -> None:
    training = tiny()
    loop = stepped(training)
    written = export_authors(training, loop.average, tmp_path, moments_of(loop))
    assert {path.name for path in written} == TRAINING
    assert loaded(tmp_path / "generator.pth").step == loaded(tmp_path / "ema2.pth").num_updates == 1
    assert loaded(tmp_path / "ema2.pth").decay == 0.9999
    torch.amp.GradScaler("cpu").load_state_dict(loaded(tmp_path / "scaler.pth"))
    pictures = torch.rand(3, 3, 16, 16, generator=seeded()) * 2.0 - 1.0
    z = torch.randn(3, training.config.z_dim, generator=seeded(1))
    asked = {
        "generator": (
            lambda drawing: drawing.siren.mapping_network.network(z).square().sum(),
            lambda drawing: drawing.siren.mapping_network(z).square().sum(),
        ),
        "discriminator": (
            lambda judge: judge(pictures, 1.0)[:, [0, 257]].sum(),
            lambda judge: judge(pictures)[0].sum() - judge(pictures)[1][:, 1].sum(),
        ),
    }
    for network, (theirs_of, ours_of) in asked.items():
        theirs = loaded(tmp_path / f"{network}.pth")
        optimiser = torch.optim.Adam(theirs.parameters(), lr=1.0)
        optimiser.load_state_dict(loaded(tmp_path / f"optimizer_{network[0].upper()}.pth"))
        theirs_of(theirs).backward()
        optimiser.step()
        ours = getattr(training, network)
        loop._only(network)  # type: ignore[arg-type]
        ours_of(ours).backward()
        loop.optimisers[network].step()  # type: ignore[index]
        if network == "generator":
            own = dict(ours.named_parameters())
            for name, value in theirs.named_parameters():
                torch.testing.assert_close(value, own[name])
        else:
            found, (logits, angles) = theirs(pictures, 1.0), ours(pictures)
            torch.testing.assert_close(found[:, 0], logits)
            torch.testing.assert_close(math.pi / 2.0 - found[:, 257:].flip(1), angles)


def test_a_discriminator_that_compares_pictures_is_not_theirs(tmp_path: Path) -> None:
    training = tiny()
    training.discriminator.group = 4
    loop = stepped(tiny())
    written = export_authors(training, loop.average, tmp_path, moments_of(loop))
    assert {path.name for path in written} == TRAINING - {"discriminator.pth", "optimizer_D.pth"}


def test_an_export_leaves_nothing_of_an_older_one_and_takes_nothing_else(tmp_path: Path) -> None:
    loop = stepped(tiny())
    export_authors(loop.training, loop.average, tmp_path, moments_of(loop))
    (tmp_path / "diary.txt").write_text("mine")
    later = tiny()
    later.discriminator.group = 4
    state = later.generator.state_dict()
    export_authors(later, state, tmp_path)
    kept = {"generator.pth", "ema.pth", "maquette-export.json", "diary.txt"}
    assert {path.name for path in tmp_path.iterdir()} == kept
    # What is removed now and comes again by other hands is theirs.
    (tmp_path / "discriminator.pth").write_text("mine")
    drawn = (tmp_path / "generator.pth").read_bytes()
    with pytest.raises(UserError, match="was not exported by Maquette"):
        export_authors(loop.training, loop.average, tmp_path, moments_of(loop))
    assert (tmp_path / "discriminator.pth").read_text() == "mine"
    assert (tmp_path / "generator.pth").read_bytes() == drawn
    listed = {"files": ["../outside.pth", "diary.txt", 3, "ema.pth"]}
    (tmp_path / "maquette-export.json").write_text(json.dumps(listed))
    assert written_before(tmp_path) == {"ema.pth"}


def test_stylesdf_states_its_optimisers_in_its_first_stage(tmp_path: Path) -> None:
    training = first_stage(sphere_steps=0)
    loop = stepped(training)
    (path,) = export_authors(training, loop.average, tmp_path, moments_of(loop))
    saved = torch.load(path, weights_only=True)
    assert list(saved) == ["g", "d", "g_ema", "g_optim", "d_optim"]
    for name, network in (("g_optim", "generator"), ("d_optim", "discriminator")):
        parameters = list(getattr(training, network).parameters())
        optimiser = torch.optim.Adam(parameters, lr=1.0)
        optimiser.load_state_dict(saved[name])
        group, own = optimiser.param_groups[0], loop.optimisers[network].param_groups[0]  # type: ignore[index]
        assert (group["lr"], group["betas"]) == (own["lr"], own["betas"])
        known = loop.optimisers[network].state  # type: ignore[index]
        assert known
        for parameter, moments in known.items():
            assert torch.equal(optimiser.state[parameter]["exp_avg_sq"], moments["exp_avg_sq"])
    later = second_stage()
    (path,) = export_authors(later, later.generator.state_dict(), tmp_path, moments_of(loop))
    assert list(torch.load(path, weights_only=True)) == ["g", "d", "g_ema"]


def test_rates_are_the_published_ones_before_the_first_step_of_a_resumed_run() -> None:
    training = tiny()
    options = TrainingOptions(batch=2, augmentation="none", samples=0)
    loop = TrainingLoop(training, Squares(), options, ALONE)
    group = moments_of(loop).optimisers["discriminator"]["param_groups"][0]
    assert (group["lr"], group["betas"]) == (2e-4, (0.0, 0.9))
