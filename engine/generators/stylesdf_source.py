"""What a StyleSDF checkpoint says about itself: options read off the shapes of its tensors.

The authors save plain state dicts (``g``, ``d``, ``g_ema``) and no options at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from engine.checkpoints.plain import Checkpoint, LazyTensor, ModelSource
from engine.errors import CheckpointError
from engine.generators.options import (
    blamed_on,
    plain_dict,
    shape_of,
)
from engine.generators.stylesdf_config import StyleSDFConfig

_TITLE = "StyleSDF"
#: What every StyleSDF generator has and no other family's.
_MARKS = (
    "style.0.weight",
    "renderer.network.pts_linears.0.gamma.weight",
    "renderer.network.views_linears.gamma.weight",
    "renderer.network.sigma_linear.weight",
)
#: What torch's wrapper for several GPUs puts before every name.
_WRAPPED = "module."
#: Which dictionary to draw with, in order, and what to say of it. All tensors come from one:
#: the noise buffers of the average differ from those of the generator that it averages.
_SOURCES: tuple[tuple[str, str], ...] = (
    ("g_ema", ""),
    ("g", "The file holds no averaged generator (g_ema), so the generator itself (g) is used."),
)


def _tensors(value: object) -> dict[str, LazyTensor] | None:
    """The tensors of a state dict, if it is a StyleSDF generator's."""
    found = {
        name: tensor
        for name, tensor in plain_dict(value).items()
        if isinstance(name, str) and isinstance(tensor, LazyTensor)
    }
    if found and all(name.startswith(_WRAPPED) for name in found):
        found = {name.removeprefix(_WRAPPED): tensor for name, tensor in found.items()}
    return found if all(mark in found for mark in _MARKS) else None


def _generator(checkpoint: Checkpoint) -> tuple[dict[str, LazyTensor], str] | None:
    """Tensors to draw with, and what to say about the choice."""
    root = plain_dict(checkpoint.root)
    for key, sentence in _SOURCES:
        if (found := _tensors(root.get(key))) is not None:
            return found, sentence
    bare = _tensors(root)
    return None if bare is None else (bare, "")


def matches(checkpoint: Checkpoint) -> bool:
    """Whether the file holds a volume renderer of StyleSDF, with a decoder or alone."""
    return _generator(checkpoint) is not None


def source(checkpoint: Checkpoint) -> ModelSource:
    """Reduce an authors' file to options and tensors.

    Raises:
        CheckpointError: the file has StyleSDF's parts but cannot be a whole model.
    """
    generator = _generator(checkpoint)
    if generator is None:
        raise CheckpointError(f"{checkpoint.path} holds no StyleSDF generator.")
    tensors, sentence = generator
    assumptions = [sentence] if sentence else []
    with blamed_on(checkpoint.path):
        config = _config(tensors)
    if config.skipped_noise:
        # A buffer of another size cannot be added; the authors' code passes over it silently.
        names = [f"noise_{layer}" for layer in config.skipped_noise]
        tensors = {
            name: tensor
            for name, tensor in tensors.items()
            if name.removeprefix("decoder.noises.") not in names
        }
        assumptions.append(
            f"The stored noise {', '.join(names)} has another size than its layer, so that layer "
            "is drawn without stored noise."
        )
    assumptions += _assumed(config)
    name = checkpoint.title or checkpoint.path.stem
    return ModelSource("stylesdf", name, config.to_json(), tensors, tuple(assumptions))


def _config(tensors: Mapping[str, LazyTensor]) -> StyleSDFConfig:
    def numbered(pattern: str) -> list[int]:
        found = (re.fullmatch(pattern, name) for name in tensors)
        return sorted(int(match[1]) for match in found if match)

    def shape(name: str, sides: int) -> tuple[int, ...]:
        return shape_of(_TITLE, tensors, name, sides)

    config = StyleSDFConfig(
        style_dim=shape("style.0.weight", 2)[1],
        mapping_layers=len(numbered(r"style\.(\d{1,3})\.weight")),
        width=shape("renderer.network.sigma_linear.weight", 2)[1],
        depth=len(numbered(r"renderer\.network\.pts_linears\.(\d{1,3})\.weight")),
    )
    if not any(name.startswith("decoder.") for name in tensors):
        return config
    # Every second convolution doubles the size; a hole in their numbers is told by its name when
    # the tensors are compared with the network's.
    doublings = len(numbered(r"decoder\.to_rgbs\.(\d{1,3})\.bias"))
    firsts = ["conv1", *(f"convs.{2 * index}" for index in range(doublings))]
    layers = numbered(r"decoder\.noises\.noise_(\d{1,3})")
    sides = {
        layer: shape(f"decoder.noises.noise_{layer}", 4)
        for layer in layers
        if layer <= 2 * doublings
    }
    config = replace(
        config,
        render_size=_render_size(sides),
        decoder_channels=tuple(shape(f"decoder.{first}.conv.weight", 5)[1] for first in firsts),
        decoder_style_dim=shape("decoder.style.1.weight", 2)[0],
        decoder_mapping_layers=len(numbered(r"decoder\.style\.(\d{1,3})\.weight")),
    )
    wrong = tuple(
        layer
        for layer, found in sides.items()
        if found[2:] != (config.noise_side(layer), config.noise_side(layer))
    )
    return replace(config, skipped_noise=wrong or None)


def _render_size(noise: Mapping[int, tuple[int, ...]]) -> int:
    """Side of the volume rendering: what most noise buffers agree on, the first if they do not."""
    votes: Counter[int] = Counter()
    for layer, (*_, height, width) in sorted(noise.items()):
        side, rest = divmod(width, 2 ** ((layer + 1) // 2))
        if height == width and rest == 0 and side > 0:
            votes[side] += 1
    return votes.most_common(1)[0][0] if votes else StyleSDFConfig.render_size


def _assumed(config: StyleSDFConfig) -> list[str]:
    near, far = config.radius - config.half_depth, config.radius + config.half_depth
    sentences = [
        f"The file does not state its samples a ray; {config.samples_per_ray} is the authors' for "
        "stills (64 for their videos): see the setting samples_per_ray.",
        f"The file does not state its angle of view; {config.fov_y:g} degrees (the authors' half "
        "angle is 6) is the release's.",
        f"The file does not state the camera's distance; {config.radius:g} is the release's.",
        f"The file does not state where rays begin and end; {near:g} and {far:g} along the "
        "camera's axis are the release's.",
        "The file does not state how the training poses spread; "
        f"{config.yaw_std:g} radians to the sides and {config.pitch_std:g} up and down are the "
        "release's for faces (animals: 0.15 to the sides).",
    ]
    if config.decoder_channels is None:
        sentences.append(
            f"The file holds a volume renderer alone and no picture size; {config.render_size} "
            "pixels is the release's."
        )
    return sentences
