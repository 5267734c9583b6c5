"""What must hold for every family's way of being trained."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.checkpoints import read_checkpoint
from engine.generators.base import Generator
from engine.generators.eg3d import camera_label
from engine.generators.registry import build_generator, find_source
from engine.training.gan.contract import Batch, FamilyTraining, Phase, Progress
from engine.training.gan.result import export_authors

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_of(side: int, count: int = 4, seed: int = 0, radius: float = 2.7) -> Batch:
    """Smooth random pictures, and cameras that look at the origin from different sides."""
    random = seeded(seed)
    small = torch.randn(count, 3, 4, 4, generator=random)
    images = torch.nn.functional.interpolate(small, (side, side), mode="bicubic").tanh()
    yaws = torch.rand(count, generator=random) * 40.0 - 20.0
    poses = [OrbitPose(yaw=float(yaw), radius=radius).camera() for yaw in yaws]
    return Batch(images, torch.stack([camera_label(pose) for pose in poses]))


def only(training: FamilyTraining, network: str) -> None:
    """Gradients for one network, as the loop has it."""
    training.requires_grad_(False)
    getattr(training, network).requires_grad_(True)


def losses_of(
    training: FamilyTraining, phase: Phase, batch: Batch, progress: Progress, seed: int = 5
) -> dict[str, Tensor]:
    """The losses of one phase, their gradients left in the parameters."""
    only(training, phase.network)
    training.zero_grad(set_to_none=True)
    found = dict(training.losses(phase, batch, progress, seeded(seed), lambda pictures: pictures))
    total = sum(v for n, v in found.items() if not n.startswith("score/"))
    assert isinstance(total, Tensor)
    total.backward()  # type: ignore[no-untyped-call]
    return found


def check_every_phase(
    training: FamilyTraining,
    batch: Batch,
    progress: Progress,
    untouched: str = "",
) -> dict[str, dict[str, float]]:
    """One step of every phase: finite losses, repeatable, global random state neither read nor
    moved; gradients for exactly the phase's network.

    Args:
        untouched: a pattern of the names of parameters that no phase reaches (the authors'
            dead tensors, and what is switched off).

    Returns:
        the losses by phase.
    """
    found: dict[str, dict[str, float]] = {}
    reached: dict[str, set[str]] = {"generator": set(), "discriminator": set()}
    for phase in training.phases(progress):
        start = {name: value.clone() for name, value in training.named_buffers()}
        torch.manual_seed(1)
        before = torch.get_rng_state()
        losses = losses_of(training, phase, batch, progress)
        assert torch.equal(torch.get_rng_state(), before), f"{phase.name} drew from global state"
        values = {name: float(value.detach()) for name, value in losses.items()}
        assert all(torch.isfinite(value) for value in losses.values()), (phase.name, values)
        for name, parameter in training.named_parameters():
            if parameter.grad is not None:
                assert name.startswith(phase.network), (phase.name, name)
                assert bool(torch.isfinite(parameter.grad).all()), (phase.name, name)
                reached[phase.network].add(name)
        for name, value in training.named_buffers():
            value.copy_(start[name])
        torch.manual_seed(2)
        again = losses_of(training, phase, batch, progress)
        assert {name: float(value.detach()) for name, value in again.items()} == values, phase.name
        found[phase.name] = values
    for name, _ in training.named_parameters():
        network = name.partition(".")[0]
        skipped = re.fullmatch(untouched, name) is not None
        assert (name in reached[network]) != skipped, f"{name}: a gradient is missing or unexpected"
    return found


def check_groups(training: FamilyTraining) -> None:
    """The groups of layers name every parameter of the generator, each once."""
    groups = training.layer_groups()
    for name, _ in training.generator.named_parameters():
        homes = [group for group, starts in groups.items() if name.startswith(tuple(starts))]
        assert len(homes) == 1, (name, homes)


def moved_state(training: FamilyTraining) -> dict[str, Tensor]:
    """The generator's state with every parameter moved a little, as an average of it is."""
    random = seeded(9)
    names = {name for name, _ in training.generator.named_parameters()}
    return {
        name: value + 0.01 * torch.randn(value.shape, generator=random)
        if name in names
        else value.clone()
        for name, value in training.generator.state_dict().items()
    }


def same_tensors(one: Generator, state: dict[str, Tensor]) -> None:
    """A generator that draws holds exactly these tensors, and shares no memory with them."""
    network = one.network  # type: ignore[attr-defined]
    assert isinstance(network, torch.nn.Module)
    own = network.state_dict()
    assert set(own) <= set(state)
    for name, value in own.items():
        assert torch.equal(value, state[name]), name
        assert value.numel() == 0 or value.data_ptr() != state[name].data_ptr(), name


def reopened(
    training: FamilyTraining, state: dict[str, Tensor], folder: Path, *no_models: str
) -> list[Generator]:
    """Every authors' file of a state (but for ``no_models``), written, read and built by the
    project's own code."""
    written = export_authors(training, state, folder)
    models = [path for path in written if path.name not in no_models]
    return [build_generator(find_source(read_checkpoint(path)), CPU) for path in models]
