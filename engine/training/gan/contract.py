"""What the training loop and a family's way of being trained say to each other.

The loop (:mod:`engine.training.gan.loop`) knows nothing of families: it has optimisers, snapshots,
augmentation state and moving averages. A family (:class:`FamilyTraining`) knows nothing of files or
time: it has networks, and the losses of one step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Generator as RandomState
from torch import Tensor, nn

from engine.generators.base import Generator

Network = Literal["generator", "discriminator"]
#: Pictures ``[N, C, H, W]`` in [-1, 1], drawn or real, to what the discriminator is shown.
Augment = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Batch:
    """Real images.

    Attributes:
        images: ``[N, 3, R, R]`` float32 in [-1, 1], row 0 on top, R = ``resolution`` of the family.
        cameras: ``[N, 25]`` EG3D's labels (4x4 camera-to-world row by row in OpenCV axes, then the
            3x3 intrinsics in units of the picture's side), or ``None`` where none are known.
    """

    images: Tensor
    cameras: Tensor | None


@dataclass(frozen=True)
class Progress:
    """How far training is; schedules (growing, blurs, swaps) follow it.

    Attributes:
        step: optimiser steps done.
        images: real images shown so far.
    """

    step: int
    images: int


@dataclass(frozen=True)
class Phase:
    """One backward pass of a step.

    Attributes:
        name: ``"generator"``, ``"generator_path"``, ``"discriminator"``, ``"discriminator_r1"`` ...
        network: whose parameters move.
        interval: taken every so many steps (lazy regularisation, StyleGAN2 section 4.1); the loss is
            multiplied by it (by the loop), and the phases of one network share one optimiser.
    """

    name: str
    network: Network
    interval: int = 1


@dataclass(frozen=True)
class OptimiserOptions:
    """Adam's options for one network, as published; with lazy regularisation of interval k the loop
    scales rate and betas by k / (k + 1). Gradients whose joint length is above ``clip_norm`` are
    shortened to it; 0 leaves all as they are."""

    learning_rate: float
    betas: tuple[float, float]
    epsilon: float = 1e-8
    clip_norm: float = 0.0


@dataclass(frozen=True)
class Moments:
    """What a run has learnt beside its networks, for programs that go on from there.

    Attributes:
        steps, images: done so far, and real ones shown.
        optimisers: network -> ``state_dict()`` of its Adam over all of its parameters in their order.
    """

    steps: int
    images: int
    optimisers: Mapping[Network, Mapping[str, Any]]


class FamilyTraining(nn.Module, ABC):
    """The networks of a family in training, and the losses of one step.

    Its parameters are those of ``generator`` and ``discriminator``; state that is not learnt (moving
    averages of w or of path lengths) is kept in buffers, so that ``state_dict()`` is everything a
    snapshot needs. Floating buffers move linearly with what a pass brings, so that several passes
    from the same start can be averaged; integer ones say what follows from the progress alone.
    Nothing is drawn from global random state.
    """

    #: Side of the real images, pixels, and of the pictures that are drawn.
    resolution: int
    #: The family's network under the authors' state-dict names.
    generator: nn.Module
    discriminator: nn.Module

    @abstractmethod
    def phases(self, progress: Progress) -> Sequence[Phase]:
        """The phases of this step, in order; the loop leaves out those whose interval is not due."""

    @abstractmethod
    def losses(
        self,
        phase: Phase,
        batch: Batch,
        progress: Progress,
        random: RandomState,
        augment: Augment,
    ) -> Mapping[str, Tensor]:
        """The weighted scalar losses of one phase by name; their sum is minimised.

        Called with gradients on for the phase's network only. Entries whose names begin with
        ``"score/"`` are detached and only logged (what the discriminator says of real and drawn
        pictures: ``score/real``, ``score/fake``, ``score/real_sign``, which steers augmentation).
        """

    @abstractmethod
    def optimiser(self, network: Network) -> OptimiserOptions:
        """As published."""

    @abstractmethod
    def ema_half_life(self, progress: Progress) -> float:
        """Half-life of the generator's moving average, in images; 0 follows at once."""

    @abstractmethod
    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        """Groups of the generator's layers that may be trained or frozen (``mapping``, ``geometry``,
        ``appearance``, ``upsampler`` ...): prefixes of parameter names; together they name all."""

    def colour_rows(self) -> Mapping[str, slice]:
        """Parameters of the group ``geometry`` that also make colours, and their rows that make
        nothing else."""
        return {}

    @abstractmethod
    def drawable(self, state: Mapping[str, Tensor]) -> Generator:
        """What the window and the commands draw with, of a state of ``generator``; shares no memory
        with it."""

    @abstractmethod
    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        """The same state in the layout of the authors' checkpoint, so that their scripts can load it:
        name of a file -> what is written into it (:func:`~.authors_pickles.write_torch`).

        Families that pickle modules with their source get their state dicts (:mod:`.pickled`), which
        ``load_state_dict`` takes in the authors' code and pickles are made of
        (:mod:`.persistent`); our own reader opens all of them.

        Raises:
            UserError: the model has parts that the authors' code does not know.
        """

    def authors_resume(self, state: Mapping[str, Tensor], moments: Moments) -> Mapping[str, object]:
        """Files beside those of :meth:`authors_files`, or in their place, where the authors' training goes on
        from more than networks."""
        return {}
