"""Which families can be trained, and how: from an opened model, or from nothing."""

from __future__ import annotations

import contextlib
import copy
import importlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints.modules import network_of
from engine.checkpoints.plain import Checkpoint, LazyTensor, module_tensors
from engine.errors import UserError
from engine.generators.base import Generator
from engine.training.gan.adversarial import Adversarial, CommonOptions
from engine.training.gan.ranges import check_ranges

#: Channels of the widest layer of a small model's discriminator.
SMALL_JUDGE = 64
#: Registry name -> module with a ``KIND``.
MODULES: dict[str, str] = {
    "eg3d": "engine.training.gan.eg3d",
    "epigraf": "engine.training.gan.epigraf",
    "cips3d": "engine.training.gan.cips3d",
    "pigan": "engine.training.gan.pigan",
    "stylenerf": "engine.training.gan.stylenerf",
    "stylesdf": "engine.training.gan.stylesdf",
}


@dataclass(frozen=True)
class Kind:
    """How one family is trained.

    Attributes:
        options: its options' class.
        make: configuration, options, the generator's network (new if ``None``) and the
            discriminator's tensors (new if ``None``) -> the training. Weights that are new are
            drawn from torch's global state, which the caller has seeded.
        fresh: side of the pictures and changes -> configuration of a small model.
        on_cpu: configuration -> options that make fine-tuning it on a CPU bearable.
        suited: configuration -> options that fine-tuning it needs anywhere.
    """

    options: type[CommonOptions]
    make: Callable[[Any, Any, Any, Mapping[str, Tensor] | None], Adversarial]
    fresh: Callable[..., Any]
    on_cpu: Callable[[Any], Mapping[str, Any]] = lambda config: {}
    suited: Callable[[Any], Mapping[str, Any]] = lambda config: {}


def kind_of(family: str) -> Kind:
    """How a family is trained.

    Raises:
        UserError: it cannot be.
    """
    if family not in MODULES:
        raise UserError(
            f"Models of the family {family!r} cannot be trained; those of {', '.join(MODULES)} can."
        )
    kind = importlib.import_module(MODULES[family]).KIND
    assert isinstance(kind, Kind)
    return kind


def training_of(
    model: Generator,
    options: Mapping[str, Any] | None = None,
    judge: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> Adversarial:
    """Fine-tuning: training that starts from an opened model's weights, which are copied. On a CPU
    a new discriminator is a small one, and pictures are drawn as the family's ``on_cpu`` says.

    Args:
        model: on the device where it is to be trained.
        options: of the family's losses by name, where they are not the defaults.
        judge: tensors of a discriminator (:func:`judge_tensors`); a new one if absent, or where
            they do not fit the pictures that are trained on.
        seed: of a new discriminator's weights.

    Raises:
        UserError: the family cannot be trained, or has no such option.
    """
    kind = kind_of(model.capabilities.family)
    network = copy.deepcopy(model.network)  # type: ignore[attr-defined]
    defaults: dict[str, Any] = {"fine_tuning": True, **kind.suited(network.config)}
    if model.device.type == "cpu":
        defaults |= {"judge_channels": SMALL_JUDGE, **kind.on_cpu(network.config)}
    chosen = options_of(kind, {**defaults, **(options or {})})
    with _seeded(seed):
        if judge is not None:
            with contextlib.suppress(KeyError, IndexError, RuntimeError, ValueError):
                known = kind.make(network.config, chosen, copy.deepcopy(network), judge)
                return known.to(model.device)
        training = kind.make(network.config, chosen, network, None)
    return training.to(model.device)


def fresh(
    family: str,
    resolution: int = 64,
    options: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Adversarial:
    """Training from nothing: a small model with random weights, on the CPU.

    Args:
        family: registry name.
        resolution: side of the pictures, a power of two; 32 to 128 are what the sizes suit.
        options: of the family's losses by name, where they are not the defaults.
        config: options of the network, where they are not those of the small model.
        seed: of all weights.

    Raises:
        UserError: the family cannot be trained, has no such option, or they contradict each other.
    """
    kind = kind_of(family)
    if resolution < 16 or resolution & (resolution - 1):
        raise UserError(f"A new model's pictures are 16, 32, 64 ... pixels, not {resolution}.")
    try:
        made = kind.fresh(resolution, **(config or {}))
    except TypeError as error:
        raise UserError(f"The options of the {family} model do not fit ({error}).") from error
    chosen = options_of(kind, {"judge_channels": SMALL_JUDGE, **(options or {})})
    with _seeded(seed):
        return kind.make(made, chosen, None, None)


def options_of(kind: Kind, values: Mapping[str, Any]) -> CommonOptions:
    """A family's options from names and values.

    Raises:
        UserError: a name that is none of them, or a value of another kind or out of range.
    """
    known = {one.name: one.default for one in fields(kind.options)}
    taken: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise UserError(f"There is no option {name!r} here; there are {', '.join(known)}.")
        taken[name] = _of_kind(name, known[name], value)
    check_ranges(taken)
    return kind.options(**taken)


def _of_kind(name: str, default: Any, value: Any) -> Any:
    """A value as its option wants it: commands give 1 for yes, and whole numbers as 8.0."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    number = number and math.isfinite(value)
    if isinstance(default, bool):
        if isinstance(value, bool) or (number and value in (0, 1)):
            return bool(value)
    elif not number:
        if value is None and default is None:
            return None
    elif isinstance(default, float):
        return float(value)
    elif value == int(value):
        # Those without a default are sides in pixels.
        return int(value)
    raise UserError(f"The option {name!r} cannot be {value!r}.")


def options_taken(training: Adversarial) -> dict[str, Any]:
    """Every option of the losses by name, as plain data: given to :func:`training_of` or
    :func:`fresh` they make the same training on any device, whose own defaults then do not count."""
    return {name: value for name, value in asdict(training.common).items() if value is not None}


def judge_tensors(checkpoint: Checkpoint) -> dict[str, Tensor] | None:
    """The discriminator of an authors' (or our own) training file, if it has one."""
    root = checkpoint.root
    if not isinstance(root, dict):
        return None
    for name in ("D", "d"):
        found: Any = root.get(name)
        network = network_of(found)
        if network is not None:
            # Some file has an empty one, for programs that want one there.
            return {name: lazy.load() for name, lazy in module_tensors(network)} or None
        if isinstance(found, dict) and found:
            lazies = {k: v for k, v in found.items() if isinstance(v, LazyTensor)}
            return {str(name): lazy.load() for name, lazy in lazies.items()}
    return None


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Torch's global state seeded, and afterwards as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
