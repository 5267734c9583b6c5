"""The smallest family there can be, for tests of the loop: no volume, a few numbers, every phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.base import Generator
from engine.training.gan.contract import (
    Augment,
    Batch,
    FamilyTraining,
    Network,
    OptimiserOptions,
    Phase,
    Progress,
)

SIDE, Z = 4, 5


class ToyGenerator(nn.Module):
    """z -> pictures ``[N, 3, 4, 4]`` through a mapping that remembers the mean of w."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Linear(Z, 6)
        self.paint = nn.Linear(6, 3 * SIDE * SIDE)
        self.register_buffer("w_avg", torch.zeros(6))

    def forward(self, z: Tensor, follow: bool = False) -> tuple[Tensor, Tensor]:
        w = torch.tanh(self.mapping(z))
        if follow:
            self.w_avg.copy_(self.w_avg.lerp(w.detach().float().mean(0), 0.1))
        return torch.tanh(self.paint(w)).view(-1, 3, SIDE, SIDE), w


class Toy(FamilyTraining):
    """All four phases, two of them lazy."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.generator: nn.Module = ToyGenerator()
            self.discriminator: nn.Module = nn.Sequential(
                nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 8), nn.Softplus(), nn.Linear(8, 1)
            )
        self.resolution = SIDE
        self.register_buffer("path_mean", torch.zeros(()))
        #: Set by tests: called with each phase's name and the pictures of a pass.
        self.watch = lambda name, pictures: None

    def phases(self, progress: Progress) -> Sequence[Phase]:
        return (
            Phase("generator", "generator"),
            Phase("generator_path", "generator", 4),
            Phase("discriminator", "discriminator"),
            Phase("discriminator_r1", "discriminator", 2),
        )

    def losses(
        self,
        phase: Phase,
        batch: Batch,
        progress: Progress,
        random: torch.Generator,
        augment: Augment,
    ) -> Mapping[str, Tensor]:
        real = batch.images
        self.watch(phase.name, real)
        z = torch.randn(len(real), Z, generator=random, device=real.device)
        if phase.name == "discriminator_r1":
            real = real.detach().requires_grad_(True)
            said = self.discriminator(augment(real))
            (slope,) = torch.autograd.grad(said.sum(), real, create_graph=True)
            return {"r1": slope.square().flatten(1).sum(1).mean() * 0.5}
        if phase.name == "generator_path":
            w = torch.tanh(self.generator.mapping(z))
            w = w if w.requires_grad else w.requires_grad_(True)
            drawn = torch.tanh(self.generator.paint(w)).view(-1, 3, SIDE, SIDE)
            noise = torch.randn(drawn.shape, generator=random, device=drawn.device) / SIDE
            (slope,) = torch.autograd.grad((drawn * noise).sum(), w, create_graph=True)
            length = slope.square().sum(1).sqrt()
            mean = self.path_mean.lerp(length.detach().float().mean(), 0.1)
            self.path_mean.copy_(mean)
            if not self.generator.paint.weight.requires_grad:
                length = length.detach()  # as in families whose penalty is of frozen layers alone
            return {"path": (length - mean).square().mean()}
        if phase.name == "generator":
            drawn, _ = self.generator(z, follow=True)
            said = self.discriminator(augment(drawn))
            return {"generator": F.softplus(-said).mean(), "score/fake": said.mean()}
        with torch.no_grad():
            drawn, _ = self.generator(z)
        fake, true = self.discriminator(augment(drawn)), self.discriminator(augment(real))
        return {
            "fake": F.softplus(fake).mean(),
            "real": F.softplus(-true).mean(),
            "score/real": true.mean(),
            "score/real_sign": true.sign().mean(),
        }

    def optimiser(self, network: Network) -> OptimiserOptions:
        return OptimiserOptions(0.01 if network == "generator" else 0.02, (0.0, 0.99))

    def ema_half_life(self, progress: Progress) -> float:
        return 100.0

    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        return {"mapping": ("mapping.",), "appearance": ("paint.",)}

    def drawable(self, state: Mapping[str, Tensor]) -> Generator:
        raise NotImplementedError

    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        return {"toy.pt": {"g_ema": dict(state)}}


class Squares:
    """Real pictures that are a function of their place: no two are alike."""

    def __init__(self) -> None:
        self.gone = False

    def batch(self, first: int, many: int) -> Batch:
        if self.gone:
            raise FileNotFoundError(2, "No such file or directory", "heads/img00000001.png")
        pictures = []
        for place in range(first, first + many):
            random = torch.Generator().manual_seed(place)
            pictures.append(torch.rand(3, SIDE, SIDE, generator=random) * 0.5 + 0.4)
        return Batch(torch.stack(pictures), None)


def noisy(pictures: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """An augmentation that uses both strength and random numbers."""
    return pictures + strength * torch.randn(
        pictures.shape, generator=random, device=pictures.device
    )
