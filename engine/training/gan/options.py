"""Every option of a training run, and the presets. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from engine.errors import UserError
from engine.training.gan.ranges import spelt
from engine.training.plain import option_values

PRECISIONS = ("auto", "full", "mixed")
AUGMENTATIONS = ("none", "adaptive", "fixed")
WAYS = ("adaptive", "differentiable")
#: Layer groups that hold shapes and who is who; ``appearance`` leaves them as they are.
SHAPES = ("mapping", "geometry")


def _between(low: float, high: float, what: str, default: Any) -> Any:
    """A number with the range that :meth:`TrainingOptions.checked` keeps."""
    return field(default=default, metadata={"range": (low, high), "what": what})


@dataclass(frozen=True)
class TrainingOptions:
    """Every option. Ranges are ends included; a budget of 0 is none.

    Attributes:
        preset: where the values came from, for the card.
        layers: groups of the generator's layers that train (the family's
            ``layer_groups``); empty means all.
        batch: real pictures a step, over all passes and processes together.
        pass_size: pictures that are in memory at once, on each process; 0 takes as many as the
            batch has for it. Smaller passes add their gradients up: the batch stays.
        precision: ``"mixed"`` computes in bfloat16 where torch holds that to be safe; ``"auto"`` does
            so on a GPU that can, ``"full"`` never.
        rate: factor on the published learning rates of both networks.
        discriminator_rate: a further factor on the discriminator's.
        judge_first: real pictures for which only the discriminator trains. A new one says nothing
            of use about a generator that is good already, and would first spoil it.
        augmentation: of what the discriminator sees: ``"adaptive"`` (Karras et al. 2020, ADA) finds the
            strength, ``"fixed"`` keeps :attr:`augmentation_strength`.
        augmentation_way: ``"adaptive"`` changes places and colours as ADA does, ``"differentiable"``
            as DiffAugment (Zhao et al. 2020).
        augmentation_strength: at the start, or always.
        augmentation_target: mean sign of the discriminator's output on real pictures that
            ``"adaptive"`` steers to.
        augmentation_images: real pictures in which the strength can move by 1.
        average_images: half-life of the generator's average in pictures; negative takes the family's.
        average_share: the half-life is at most this share of the pictures shown so far (0 is no
            limit), so that short runs are not averaged with their start.
        snapshot_minutes, snapshot_steps: between snapshots, whichever comes first; 0 is never.
        keep: how many snapshots are kept, beside the first.
        log_steps: steps that one line of the logs is the mean of.
        samples: fixed seeds that are drawn at each snapshot.
        score_samples: pictures drawn for FID and KID at each snapshot; 0 measures neither.
        steps, minutes, images: the budget; the run ends with the first that is used up.
        wait_minutes: how long to wait for a data folder that has vanished.
        seed: of everything random.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    """

    preset: str = "full"
    layers: tuple[str, ...] = ()
    batch: int = _between(1, 65536, "--batch", 8)
    pass_size: int = _between(0, 65536, "--pass-size", 0)
    precision: str = "auto"
    rate: float = _between(1e-6, 100.0, "--rate", 1.0)
    discriminator_rate: float = _between(1e-6, 100.0, "--discriminator-rate", 1.0)
    judge_first: int = _between(0, 10**12, "--judge-first", 0)
    augmentation: str = "adaptive"
    augmentation_way: str = "adaptive"
    augmentation_strength: float = _between(0.0, 1.0, "--augmentation-strength", 0.0)
    augmentation_target: float = _between(0.0, 1.0, "--augmentation-target", 0.6)
    augmentation_images: int = _between(1, 10**12, "--augmentation-images", 100_000)
    average_images: float = _between(-1.0, 1e12, "--average-images", -1.0)
    average_share: float = _between(0.0, 1.0, "--average-share", 0.05)
    snapshot_minutes: float = _between(0.0, 1e6, "--snapshot-minutes", 5.0)
    snapshot_steps: int = _between(0, 10**12, "--snapshot-steps", 0)
    keep: int = _between(1, 100_000, "--keep", 3)
    log_steps: int = _between(1, 100_000, "--log-steps", 1)
    samples: int = _between(0, 64, "--samples", 8)
    score_samples: int = _between(0, 100_000, "--score-samples", 0)
    steps: int = _between(0, 10**12, "--steps", 0)
    minutes: float = _between(0.0, 1e6, "--minutes", 0.0)
    images: int = _between(0, 10**12, "--images", 0)
    wait_minutes: float = _between(0.0, 1e6, "--wait-minutes", 2.0)
    seed: int = _between(0, 2**32 - 1, "--seed", 0)
    device: str = "auto"

    def checked(self) -> Self:
        """These options, if every value is in range.

        Raises:
            UserError: naming the option and its range.
        """
        for one in fields(self):
            if "range" not in one.metadata:
                continue
            low, high = one.metadata["range"]
            value = getattr(self, one.name)
            if not (math.isfinite(value) and low <= value <= high):
                raise UserError(
                    f"{one.metadata['what']} must be {spelt(low)} to {spelt(high)}, not {spelt(value)}."
                )
        if 0 < self.score_samples < 4:
            raise UserError("--score-samples must be 0 or at least 4.")
        for name, value, known in (
            ("--precision", self.precision, PRECISIONS),
            ("--augmentation", self.augmentation, AUGMENTATIONS),
            ("--augmentation-way", self.augmentation_way, WAYS),
        ):
            if value not in known:
                raise UserError(f"{name} is one of {', '.join(known)}, not {value!r}.")
        if self.pass_size and self.batch % self.pass_size:
            raise UserError(
                f"--pass-size must divide the batch of {self.batch}, and {self.pass_size} does not."
            )
        return self

    def passes(self, processes: int) -> int:
        """Pictures of one pass, where so many processes share the batch.

        Raises:
            UserError: the batch cannot be shared evenly.
        """
        if self.batch % processes:
            raise UserError(
                f"--batch must be a multiple of the {processes} processes, and {self.batch} is not."
            )
        size = self.pass_size or self.batch // processes
        if self.batch % (size * processes):
            raise UserError(
                f"The batch of {self.batch} cannot be shared by {processes} processes in passes of "
                f"{size}; choose a smaller --pass-size."
            )
        return size

    def frozen(self, groups: Iterable[str]) -> tuple[str, ...]:
        """The groups that do not train.

        Raises:
            UserError: a name that is no group, or nothing is left to train.
        """
        known = tuple(groups)
        for name in self.layers:
            if name not in known:
                raise UserError(f"--layers knows {', '.join(known)} of this model, not {name!r}.")
        return tuple(name for name in known if self.layers and name not in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Options of plain data; what is left out has its default.

        Raises:
            UserError: an unknown name, or a value of another kind or out of range.
        """
        return cls(**option_values(cls, plain, "a training run")).checked()


@dataclass(frozen=True)
class Preset:
    """A choice of options with a name.

    Attributes:
        title: for people. about: what it is for, in one sentence.
        options: what it sets.
        only_appearance: leave the groups of :data:`SHAPES` as they are.
    """

    title: str
    about: str
    options: TrainingOptions
    only_appearance: bool = False


PRESETS: dict[str, Preset] = {
    "quick": Preset(
        "Quick adapt",
        "Moves a model towards a few hundred pictures within minutes; all layers train.",
        TrainingOptions(
            preset="quick", batch=4, minutes=20.0, judge_first=200, average_share=0.1,
            snapshot_minutes=2.0,
        ),
    ),
    "appearance": Preset(
        "Transfer appearance only",
        "Takes over colours and style; shapes, and who is who, stay as they are.",
        TrainingOptions(
            preset="appearance", batch=4, minutes=20.0, judge_first=200, average_share=0.1,
            snapshot_minutes=2.0,
        ),
        only_appearance=True,
    ),
    "full": Preset(
        "Full",
        "The family's published training, for large sets and long runs, or from nothing.",
        TrainingOptions(preset="full", batch=32, augmentation_images=500_000, log_steps=4),
    ),
}  # fmt: skip


def preset_options(name: str, groups: Iterable[str]) -> TrainingOptions:
    """The options of a preset for a model with these layer groups.

    Raises:
        UserError: there is no such preset, or the model cannot change its appearance alone.
    """
    if name not in PRESETS:
        raise UserError(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.")
    preset = PRESETS[name]
    if not preset.only_appearance:
        return preset.options
    layers = tuple(group for group in groups if group not in SHAPES)
    if not layers:
        raise UserError("This model's layers all shape heads; its appearance cannot train alone.")
    return replace(preset.options, layers=layers)
