"""What a pi-GAN checkpoint says about itself, and the averaged weights beside it.

The release is a folder a data set: ``generator.pth``, the whole pickled module, and
``ema.pth``, the exponential moving averages of its parameters as a list without names. The
authors draw with the averages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.checkpoints import read_checkpoint
from engine.checkpoints.plain import Checkpoint, LazyTensor, ModelSource, Node, module_tensors
from engine.errors import CheckpointError, UserError, in_words
from engine.generators.options import plain_dict, shape_of, submodule_state
from engine.generators.pigan_config import BOX_SIDE, BOXED, DATA_SETS, UNBOXED, PiGANConfig
from engine.hashing import averages_path

#: Tensors that only this family has, under the names of the whole module.
_MARKS = {
    "siren.network.0.layer.weight",
    "siren.color_layer_sine.layer.weight",
    "siren.mapping_network.network.0.weight",
}
#: The averages that the authors keep as plain attributes, not as parameters or buffers.
AVERAGES = ("avg_frequencies", "avg_phase_shifts")


def _tensors(root: Any) -> dict[str, LazyTensor]:
    """Named tensors of a pickled module or of a flat state dict, ``siren.`` in front."""
    if isinstance(root, Node):
        found = dict(module_tensors(root))
    else:
        found = {k: v for k, v in plain_dict(root).items() if isinstance(v, LazyTensor)}
    if any(str(name).startswith("network.0.layer.") for name in found):
        found = {f"siren.{name}": tensor for name, tensor in found.items()}
    return found


def _averages_list(root: Any) -> list[Any] | None:
    """What an ``ema.pth`` lists; ``None`` of anything else."""
    named = isinstance(root, Node) and root.kind.endswith("ExponentialMovingAverage")
    state = plain_dict(root)
    listed = state.get("shadow_params")
    if isinstance(listed, list) and (named or "num_updates" in state):
        return listed
    return None


def matches(checkpoint: Checkpoint) -> bool:
    """Whether the file holds a pi-GAN generator, or the averages of some network alone (which
    :func:`source` then tells what to do with)."""
    root = checkpoint.root
    return _tensors(root).keys() >= _MARKS or _averages_list(root) is not None


def source(checkpoint: Checkpoint) -> ModelSource:
    """Reduce an authors' file to options and tensors; the weights are those of the ``ema.pth``
    in the same folder, if there is one.

    Raises:
        CheckpointError: the file holds averages only, cannot be a whole model, or the
            averages beside it are not its own.
    """
    path, root = checkpoint.path, checkpoint.root
    tensors = _tensors(root)
    if not tensors.keys() >= _MARKS:
        raise CheckpointError(
            f"{path} holds averaged weights without their names, which mean nothing alone; open "
            "the generator.pth that belongs beside it."
        )
    assumptions: list[str] = []
    state = root.state if isinstance(root, Node) else {}
    siren = plain_dict(state.get("_modules")).get("siren", root)
    options = _network_options(path, siren, tensors, assumptions)
    averages = {name: state[name] for name in AVERAGES if isinstance(state.get(name), LazyTensor)}
    if 0 < len(averages) < len(AVERAGES):
        raise CheckpointError(
            f"{path} holds only one of {' and '.join(AVERAGES)}; use another copy of the file."
        )
    own = tensors
    tensors = _averaged(path, own, assumptions)
    if tensors is not own and averages:
        averages = {}
        assumptions.append(
            "The average face in the file is that of its own weights; truncation leads to that of "
            "the averaged ones, over 10,000 faces of a fixed seed."
        )
    elif not averages:
        assumptions.append(
            "The file holds no average face; truncation leads to the average of 10,000 faces of a "
            "fixed seed."
        )
    data_set = "celeba" if options["siren"] == BOXED else "carla"
    data = DATA_SETS[data_set]
    assumptions.append(_drawing_assumption(data_set))
    try:
        config = PiGANConfig(
            **options,
            stored_averages=bool(averages),
            data_set=data_set,
            steps=data.steps,
            last_back=data.last_back,
            white_back=data.white_back,
        )
    except UserError as error:
        raise CheckpointError(f"{path}: {error}") from error
    # A released folder is named after its data set, its file is not.
    title = checkpoint.title or " ".join(p for p in (path.parent.name, path.stem) if p)
    return ModelSource("pigan", title, config.to_json(), tensors | averages, tuple(assumptions))


def _network_options(
    path: Path, siren: Any, tensors: Mapping[str, LazyTensor], assumptions: list[str]
) -> dict[str, Any]:
    # Counted, so that an absurd number in a name does not ask for as many layers.
    layers, mapping = (
        sum(re.fullmatch(pattern, name) is not None for name in tensors)
        for pattern in (
            r"siren\.network\.\d+\.layer\.weight",
            r"siren\.mapping_network\.network\.\d+\.weight",
        )
    )
    hidden, _ = shape_of("pi-GAN", tensors, "siren.network.0.layer.weight", 2)
    width, z_dim = shape_of("pi-GAN", tensors, "siren.mapping_network.network.0.weight", 2)
    kind = siren.kind.rsplit(".", 1)[-1] if isinstance(siren, Node) else ""
    scale = submodule_state(siren, "gridwarper").get("scale_factor") if kind else None
    if kind not in (BOXED, UNBOXED):
        # A module of another name, or a state dict: only a box that is there can be seen.
        known = scale is not None or not kind
        assumptions.append(
            "The file does not name pi-GAN's network for faces "
            f"({BOXED}) or for cars ({UNBOXED}); it is drawn as the one for "
            f"{'faces' if known else 'cars'}."
        )
        kind = BOXED if known else UNBOXED
    if kind == BOXED and scale is None:
        scale = 2.0 / BOX_SIDE
        assumptions.append(f"The file does not state the side of its box; it is {BOX_SIDE}.")
    if kind == UNBOXED:
        scale = 1.0
    if isinstance(scale, bool) or not isinstance(scale, (int, float)):
        raise CheckpointError(
            f"{path} states a box of scale {in_words(scale)}, which is not a number."
        )
    return {
        "siren": kind,
        "z_dim": z_dim,
        "hidden": hidden,
        "layers": layers,
        "mapping_width": width,
        "mapping_layers": max(mapping - 1, 1),
        "point_scale": float(scale),
    }


def _averaged(
    path: Path, tensors: dict[str, LazyTensor], assumptions: list[str]
) -> dict[str, LazyTensor]:
    """The tensors with the averages in their place, in the order of ``parameters()``."""
    beside = averages_path(path)
    if beside == path or not beside.is_file():
        assumptions.append(
            f"There is no {beside.name} beside the file, so its own weights are drawn; the authors "
            "draw with the averaged ones."
        )
        return tensors
    listed = _averages_list(read_checkpoint(beside).root)
    if listed is None:
        raise CheckpointError(
            f"{beside} holds no averaged weights; put the ema.pth of {path.name} there or move "
            "it away."
        )
    fits = len(listed) == len(tensors) and all(
        isinstance(mine, LazyTensor) and mine.shape == tensor.shape
        for mine, tensor in zip(listed, tensors.values(), strict=True)
    )
    if not fits:
        raise CheckpointError(
            f"{beside} does not belong to {path.name}: its {len(listed)} tensors do not have the "
            f"shapes of the model's {len(tensors)}; put the right one there or move it away."
        )
    assumptions.append(
        f"The weights are the averaged ones of {beside.name} beside the file, which has no names: "
        "it fits in number and shapes."
    )
    return dict(zip(tensors, listed, strict=True))


def _drawing_assumption(data_set: str) -> str:
    data = DATA_SETS[data_set]
    what = f"{data.title}'s ({data.near:g} to {data.far:g}, {data.steps} steps)"
    other = "" if data_set == "carla" else "; the setting range has those of Cats"
    return (
        f"The file does not state the limits of its rays, its steps and its size; {what} and the "
        f"256 pixels of the authors' scripts are used{other}."
    )
