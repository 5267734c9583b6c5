"""The fields that are layers of points, ``cuda/field.cu``: FiLM-SIRENs (pi-GAN, CIPS-3D, StyleSDF)
and StyleNeRF's modulated NeRF, for one identity, with the torch reference.

A point of pi-GAN's field (9 layers of 256) is 1.2 million operations, three times that in products
of tensor cores; torch writes and reads each layer's 1 KB three times besides. A block of 64
points reads all weights once: 34 KB a point, from the second-level cache.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kernels.fragments import fragments
from engine.kernels.launch import launch, processors
from engine.kernels.recording import is_recording
from engine.kernels.use import Kernel, compare

#: ``MQ_ROWS`` and the threads of a block in ``cuda/field.cu``.
ROWS, THREADS = 64, 256
#: Widest layer, and most colours.
MOST_WIDTH, MOST_COLOURS = 256, 4
#: Identities whose weights are kept packed.
_KEPT = 4

#: ``FieldParams`` of ``cuda/field.cu``.
PARAMS_DTYPE = np.dtype(
    [
        *(
            (name, np.uint64)
            for name in (
                "points",
                "directions",
                "frequencies",
                "first",
                "layers_packed",
                "biases",
                "density",
                "view",
                "view_bias",
                "view_turn",
                "colour",
                "out_density",
                "out_hidden",
                "out_view",
                "out_colour",
            )
        ),
        ("count", np.int64),
        ("per_direction", np.int64),
        ("layers", np.int32),
        ("slope", np.float32),
    ],
    align=True,
)

#: ``[O, I]`` weights and ``[O]`` biases.
Layer = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class PointLayers:
    """A field of one identity as layers.

    Attributes:
        layers: inner layers.
        density: ``[1, W]`` and ``[1]``, or ``None``.
        frequencies: ``[L]`` of the encoding: the first layer then reads ``sin(f p)``, all
            frequencies, then ``cos(f p)``, and layers end in a leaky ReLU. ``None``: it reads the
            points, and layers end in a sine.
        slope: of the leaky ReLU.
        view: the layer behind the inner ones, ``[V, W]`` and ``[V]``; it ends in a sine.
        turn: ``[V, 3]``: its weights for the direction of the view.
        colour: ``[C, V]`` and ``[C]`` of sigmoid colours.
    """

    layers: tuple[Layer, ...]
    density: Layer | None = None
    frequencies: Tensor | None = None
    slope: float = 0.0
    view: Layer | None = None
    turn: Tensor | None = None
    colour: Layer | None = None

    @property
    def width(self) -> int:
        """Columns of the inner layers."""
        return self.layers[0][0].shape[0]


class Evaluated(NamedTuple):
    """What a field gives; ``None`` where it was not asked for.

    Attributes:
        density: ``[N]`` raw.
        hidden: ``[N, W]`` activations of the last inner layer.
        view: ``[N, V]``.
        colour: ``[N, C]`` in 0 to 1.
    """

    density: Tensor | None
    hidden: Tensor | None
    view: Tensor | None
    colour: Tensor | None


def evaluate_reference(
    field: PointLayers, points: Tensor, directions: Tensor | None = None, per_direction: int = 1
) -> Evaluated:
    """All that the field can give, by torch, in the precision of its arguments.

    Args:
        points: ``[N, D]``.
        directions: ``[N / per_direction, 3]``, each for so many neighbouring points.
    """
    x = points
    if field.frequencies is not None:
        angles = (points[:, None, :] * field.frequencies[:, None]).flatten(1)
        x = torch.cat([angles.sin(), angles.cos()], dim=1)
    for weight, bias in field.layers:
        x = F.linear(x, weight, bias)
        x = x.sin() if field.frequencies is None else F.leaky_relu(x, field.slope)
    density = None if field.density is None else F.linear(x, *field.density)[:, 0]
    view = None if field.view is None else F.linear(x, *field.view)
    if view is not None and field.turn is not None and directions is not None:
        along = directions.repeat_interleave(per_direction, dim=0)[: len(points)]
        view = view + F.linear(along, field.turn)
    view = None if view is None else view.sin()
    colour = None
    if field.colour is not None and view is not None:
        colour = F.linear(view, *field.colour).sigmoid()
    return Evaluated(density, x, view, colour)


# ------------------------------------------------------------------ packing


def _up(count: int) -> int:
    return -(-count // 8) * 8


def _padded(matrix: Tensor, rows: int, columns: int) -> Tensor:
    return F.pad(matrix.float(), (0, columns - matrix.shape[1], 0, rows - matrix.shape[0]))


@dataclass(frozen=True, eq=False)
class PackedLayers:
    """A field as the kernel reads it. Widths are filled up to multiples of 8 with zeros, which
    stay zeros through sines and ReLUs.

    Attributes:
        tensors: by the names of :data:`PARAMS_DTYPE`.
        defines: the compile-time sizes.
        layers: how many inner layers.
        slope: of the leaky ReLU.
        width, view: columns that mean something.
    """

    tensors: dict[str, Tensor]
    defines: dict[str, int]
    layers: int
    slope: float
    width: int
    view: int


def layers_problem(field: PointLayers) -> str | None:
    """Why the kernel cannot take this field, in one sentence, or ``None`` if it can."""
    width, inputs = field.width, field.layers[0][0].shape[1]
    if any(weight.shape != (width, width) for weight, _ in field.layers[1:]):
        return "The kernel takes inner layers of one width."
    octaves = 0 if field.frequencies is None else len(field.frequencies)
    coordinates = inputs // (2 * octaves) if octaves else inputs
    if coordinates not in (3, 4) or (octaves and coordinates * 2 * octaves != inputs):
        return "The kernel takes points of three or four coordinates."
    view = 0 if field.view is None else field.view[0].shape[0]
    if max(_up(width), _up(view), _up(inputs)) > MOST_WIDTH:
        return f"The kernel takes layers of up to {MOST_WIDTH} columns."
    if field.colour is not None and field.colour[0].shape[0] > MOST_COLOURS:
        return f"The kernel gives up to {MOST_COLOURS} colours."
    return None


def pack_layers(field: PointLayers) -> PackedLayers:
    """A field as the kernel reads it, on the field's device.

    Raises:
        ValueError: the kernel cannot take it.
    """
    problem = layers_problem(field)
    if problem is not None:
        raise ValueError(problem)
    width, inputs = _up(field.width), field.layers[0][0].shape[1]
    octaves = 0 if field.frequencies is None else len(field.frequencies)
    with torch.no_grad():
        first = field.layers[0][0]
        tensors = {
            "first": fragments(_padded(first, width, _up(inputs)))
            if octaves
            else _padded(first, width, inputs).contiguous(),
            "biases": torch.stack([_padded(b[None], 1, width)[0] for _, b in field.layers]),
        }
        if len(field.layers) > 1:
            inner = [fragments(_padded(w, width, width)) for w, _ in field.layers[1:]]
            tensors["layers_packed"] = torch.cat(inner)
        if field.frequencies is not None:
            tensors["frequencies"] = field.frequencies.float().contiguous()
        if field.density is not None:
            weight, bias = field.density
            tensors["density"] = torch.cat([_padded(weight, 1, width)[0], bias.float()])
        view = 0
        if field.view is not None:
            weight, bias = field.view
            view = _up(weight.shape[0])
            tensors["view"] = fragments(_padded(weight, view, width))
            tensors["view_bias"] = _padded(bias[None], 1, view)[0].contiguous()
            if field.turn is not None:
                tensors["view_turn"] = _padded(field.turn, view, 3).contiguous()
        if field.colour is not None:
            weight, bias = field.colour
            padded = _padded(weight, weight.shape[0], view)
            tensors["colour"] = torch.cat([padded, bias.float()[:, None]], dim=1).contiguous()
    defines = {
        "MQ_INPUTS": inputs // (2 * octaves) if octaves else inputs,
        "MQ_OCTAVES": octaves,
        "MQ_WIDTH": width,
        "MQ_VIEW": view,
        "MQ_COLOURS": 0 if field.colour is None else field.colour[0].shape[0],
    }
    columns = 0 if field.view is None else field.view[0].shape[0]
    return PackedLayers(tensors, defines, len(field.layers), field.slope, field.width, columns)


_packed: list[tuple[weakref.ref[Tensor], int, PackedLayers | None]] = []


def packed_once(key: Tensor, make: Callable[[], PointLayers]) -> PackedLayers | None:
    """What ``make`` gives, packed; kept as long as the tensor ``key``, which stands for it, lives
    unchanged. ``None`` where the kernel cannot take it, or gradients are wanted."""
    if key.requires_grad and torch.is_grad_enabled():
        return None
    if is_recording():
        field = make()
        return None if layers_problem(field) is not None else pack_layers(field)
    version = -1 if key.is_inference() else key._version
    _packed[:] = [entry for entry in _packed if entry[0]() is not None][:_KEPT]
    for reference, stamp, packed in _packed:
        if reference() is key and stamp == version:
            return packed
    field = make()
    new = None if layers_problem(field) is not None else pack_layers(field)
    _packed.insert(0, (weakref.ref(key), version, new))
    return new


# ------------------------------------------------------------------ launching


def try_evaluate(
    field: PackedLayers | None,
    points: Tensor,
    directions: Tensor | None = None,
    per_direction: int = 1,
    wanted: Sequence[str] = ("density",),
) -> Evaluated | None:
    """What is asked for, by the kernel where it can, else ``None``.

    Args:
        field: from :func:`packed_once` or :func:`pack_layers`.
        points: ``[N, D]`` float32.
        directions: ``[N / per_direction, 3]`` float32, one for so many neighbouring points; of no
            account to a field that does not turn with them.
        wanted: names of :class:`Evaluated`'s fields.
    """
    if field is not None and "view_turn" not in field.tensors:
        directions = None
    if field is None or ("density" in wanted and "density" not in field.tensors):
        return None
    if evaluating.problem(points, directions) is not None:
        return None
    coordinates, count = field.defines["MQ_INPUTS"], points.shape[0]
    if points.dtype != torch.float32 or points.shape != (count, coordinates) or not count:
        return None
    if field.tensors["first"].device != points.device:
        return None
    points = points.contiguous()
    if directions is not None:
        rows = -(-count // per_direction)
        if directions.dtype != torch.float32 or directions.shape != (rows, 3):
            return None
        directions = directions.contiguous()
    width, view = field.defines["MQ_WIDTH"], field.defines["MQ_VIEW"]
    sizes = {"density": 1, "hidden": width, "view": view, "colour": field.defines["MQ_COLOURS"]}
    outputs = {
        name: points.new_empty((count,) if name == "density" else (count, size))
        for name, size in sizes.items()
        if name in wanted
    }
    record = np.zeros((), PARAMS_DTYPE)
    record["points"] = points.data_ptr()
    record["directions"] = 0 if directions is None else directions.data_ptr()
    for name, tensor in field.tensors.items():
        record[name] = tensor.data_ptr()
    for name, tensor in outputs.items():
        record[f"out_{name}"] = tensor.data_ptr()
    record["count"], record["per_direction"] = count, per_direction
    record["layers"], record["slope"] = field.layers, field.slope
    encoded = _up(2 * field.defines["MQ_OCTAVES"] * coordinates)
    stride = max(width, view, encoded) + 4

    def start() -> Evaluated:
        launch(
            "field.cu",
            "field_eval",
            record,
            device=points.device,
            blocks=min(-(-count // ROWS), 4 * processors(points.device)),
            threads=THREADS,
            shared=4 * ROWS * (stride + coordinates + 3),
            defines=field.defines,
        )
        hidden, seen = outputs.get("hidden"), outputs.get("view")
        return Evaluated(
            outputs.get("density"),
            None if hidden is None else hidden[:, : field.width],
            None if seen is None else seen[:, : field.view],
            outputs.get("colour"),
        )

    return evaluating.run(start)


def example(octaves: int, device: torch.device) -> tuple[PointLayers, Tensor, Tensor]:
    """A small field with everything, and where to look at it; the same on every device."""

    def wave(*shape: int) -> Tensor:
        count = int(np.prod(shape))
        numbers = torch.arange(1.0, count + 1.0, dtype=torch.float64) * 0.61803
        return (numbers.mul(6.0).sin() * 0.5).float().reshape(shape).to(device)

    inputs = 6 * octaves or 3
    layers = ((wave(24, inputs), wave(24)), (wave(24, 24), wave(24)))
    turn = wave(16, 3)
    field = PointLayers(
        layers,
        (wave(1, 24), wave(1)),
        wave(octaves) + 1.0 if octaves else None,
        0.2,
        (wave(16, 24), wave(16)),
        turn,
        (wave(3, 16), wave(3)),
    )
    return field, wave(70, 3), wave(10, 3)


def _check(device: torch.device) -> None:
    for octaves in (0, 2):
        field, points, directions = example(octaves, torch.device("cpu"))
        expected = evaluate_reference(field, points, directions, 7)
        names = Evaluated._fields
        field, points, directions = example(octaves, device)
        mine = try_evaluate(pack_layers(field), points, directions, 7, names)
        for name in names:
            result = None if mine is None else getattr(mine, name)
            compare(f"the {name} of a field", result, getattr(expected, name), 1e-4)


evaluating = Kernel("field", _check)
