"""Two models joined while they are looked at: layers of a second one in the one that is open.

:mod:`engine.generators.blending` joins files; here the tensors of the open model are shared, and
those of the second are kept, so that another share of it costs the arithmetic of its layers and no
reading. The picture is that of the file which ``blend_sources`` writes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.assets import model_place
from engine.checkpoints import model_name, model_sha256, read_checkpoint, weights_file
from engine.checkpoints.plain import ModelSource
from engine.errors import CheckpointError, UserError
from engine.generators.base import Generator
from engine.generators.blending import blend_sources, swappable_layers
from engine.generators.registry import families, find_source
from engine.layer_swap import LayerSwap
from engine.model_ref import ModelRef

#: Joined models that are kept (they share all layers but those that are swapped), and second
#: models.
_KEPT_JOINED, _KEPT_SECOND = 3, 2


def second_place(path: str) -> Path:
    """Where a second model lies.

    Raises:
        UserError: there is nothing there.
    """
    where = model_place(path)
    if not where.exists():
        raise UserError(f"The second model is no longer at {path}; choose it again.")
    return where


def second_source(ref: ModelRef) -> ModelSource:
    """The second model of a swap, reduced to options and tensors that are read when asked for.

    Raises:
        UserError: it is gone, is another one by now, or is no model.
    """
    where = second_place(ref.path)
    if ref.sha256 and model_sha256(weights_file(where)) != ref.sha256:
        raise UserError(f"The second model at {ref.path} has changed since; choose it again.")
    return find_source(read_checkpoint(where))


def joined_source(first: ModelSource, swap: LayerSwap) -> ModelSource:
    """The joined model as ``write_model`` takes it.

    Raises:
        UserError: the models do not fit together.
    """
    return blend_sources(first, second_source(swap.model), swap.layers, swap.gamma)


def read_second(first: ModelSource, path: str) -> tuple[ModelRef, tuple[str, ...]]:
    """Which model lies at a path, and which of the first one's layers it can lend.

    Raises:
        UserError: it is no model, or none that is built like the first one.
    """
    if not swappable_layers(first):
        raise UserError(f"Models of the family {first.family!r} have no layers to exchange.")
    where = second_place(path)
    second = find_source(read_checkpoint(where))
    layers = tuple(swappable_layers(first))
    fitting = tuple(name for name in layers if _fits(first, second, name))
    if not fitting:
        blend_sources(first, second, layers, 1.0)  # tells what differs
    return ModelRef(path, model_sha256(weights_file(where)), model_name(where)), fitting


def _fits(first: ModelSource, second: ModelSource, layer: str) -> bool:
    try:
        blend_sources(first, second, [layer], 1.0)
    except UserError:
        return False
    return True


class Joiner:
    """Builds what an open model becomes with layers of others. May be asked by several threads.

    Args:
        generator: the open model.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._lock = threading.Lock()
        self._joined: OrderedDict[LayerSwap, Generator] = OrderedDict()
        self._seconds: OrderedDict[ModelRef, ModelSource] = OrderedDict()
        #: Tensors of second models by model and name, on the device.
        self._lent: dict[tuple[ModelRef, str], Tensor] = {}

    def known(self, swap: LayerSwap) -> Generator | None:
        """The joined model if it was built already."""
        return self._joined.get(swap)

    def join(self, swap: LayerSwap) -> Generator:
        """The joined model, built if need be.

        Raises:
            UserError: the second model is gone, or does not fit.
        """
        with self._lock:
            if (built := self._joined.get(swap)) is None:
                # Ordinary tensors, whoever asks: they may be differentiated through later.
                with torch.inference_mode(False), torch.no_grad():
                    built = self._joined[swap] = self._build(swap)
                while len(self._joined) > _KEPT_JOINED:
                    self._joined.popitem(last=False)
            self._joined.move_to_end(swap)
            return built

    def _build(self, swap: LayerSwap) -> Generator:
        first = self._generator.source
        if first is None:
            raise UserError("The open model cannot take layers of another one.")
        second = self._second(swap.model)
        blend = blend_sources(first, second, swap.layers, swap.gamma)
        own = _tensors(self._generator)
        tensors = dict(own)
        for name, tensor in blend.tensors.items():
            if tensor is not first.tensors[name]:
                lent = self._lend(swap.model, name, second)
                tensors[name] = own[name] * (1.0 - swap.gamma) + lent * swap.gamma
        joined = families()[first.family].build(first.config, tensors, self._generator.device)
        joined.assumptions, joined.source = blend.assumptions, blend
        return joined

    def _second(self, ref: ModelRef) -> ModelSource:
        if ref not in self._seconds:
            self._seconds[ref] = second_source(ref)
            while len(self._seconds) > _KEPT_SECOND:
                gone, _ = self._seconds.popitem(last=False)
                self._lent = {key: t for key, t in self._lent.items() if key[0] != gone}
        return self._seconds[ref]

    def _lend(self, ref: ModelRef, name: str, second: ModelSource) -> Tensor:
        if (ref, name) not in self._lent:
            loaded = second.tensors[name].load()
            self._lent[ref, name] = loaded.to(self._generator.device, torch.float32)
        return self._lent[ref, name]


def _tensors(generator: Generator) -> Mapping[str, Tensor]:
    """What :func:`engine.generators.loading.load_strictly` filled a generator's network with."""
    network = getattr(generator, "network", None)
    if not isinstance(network, nn.Module):
        raise CheckpointError("The open model cannot take layers of another one.")
    tensors: Mapping[str, Tensor] = network.state_dict()
    return tensors
