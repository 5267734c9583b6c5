"""What an EpiGRAF checkpoint says about itself: options read off the pickled generator.

Sizes come from the tensors' shapes; everything else stands in the experiment's configuration,
which each module carries (a ``DictConfig`` whose references point into the whole experiment).
Tensors of the optimisers and the discriminator, most of such a file, are never read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.checkpoints.plain import Checkpoint, LazyTensor, ModelSource, Node, module_tensors
from engine.checkpoints.references import resolve_omegaconf
from engine.errors import CheckpointError
from engine.generators.epigraf_config import EpiGRAFConfig
from engine.generators.options import (
    FileOptions,
    blamed_on,
    plain_dict,
    shape_of,
    snapshot_generators,
    submodule_state,
)

_FAMILY = "EpiGRAF"
_DECODER, _MLP = "synthesis.tri_plane_decoder", "synthesis.tri_plane_mlp"
_SPHERE = "synthesis.bg_model"

Tensors = Mapping[str, LazyTensor]


def _generator(checkpoint: Checkpoint) -> Node | None:
    """The averaged generator of a training snapshot, or a generator saved alone."""
    for node in snapshot_generators(checkpoint):
        parts = plain_dict(node.state.get("_modules"))
        inner = plain_dict(submodule_state(node, "synthesis").get("_modules"))
        if "mapping" in parts and {"tri_plane_decoder", "tri_plane_mlp"} <= set(inner):
            return node
    return None


def matches(checkpoint: Checkpoint) -> bool:
    """Whether the file holds a generator of tri-planes that are drawn without an upsampler."""
    return _generator(checkpoint) is not None


def source(checkpoint: Checkpoint) -> ModelSource:
    """Reduce an authors' file to options and tensors.

    Raises:
        CheckpointError: the file has EpiGRAF's parts but cannot be a whole model, or is of a
            kind that none of the released ones is.
    """
    node = _generator(checkpoint)
    if node is None:
        raise CheckpointError(f"{checkpoint.path} holds no EpiGRAF generator.")
    tensors = dict(module_tensors(node))
    options = FileOptions(checkpoint.path, _configuration(node))
    assumptions: list[str] = []
    _refuse_variants(checkpoint, options, tensors)
    with blamed_on(checkpoint.path):
        config = EpiGRAFConfig(
            **_mapping_options(checkpoint, node, options, tensors, assumptions),
            **_plane_options(checkpoint, node, options, tensors),
            **_sphere_options(options, tensors),
            **_camera_options(options.section("dataset"), assumptions),
            img_resolution=_resolution(checkpoint, node, options, assumptions),
            num_ray_steps=options.integer("num_ray_steps", 48),
            clamp_mode=options.text("clamp_mode", "softplus"),
            density_shift=options.number("density_shift", 0.0),
        )
    name = checkpoint.title or checkpoint.path.stem
    return ModelSource("epigraf", name, config.to_json(), tensors, tuple(assumptions))


def _configuration(node: Node) -> dict[Any, Any]:
    """The experiment's configuration with its references resolved, whatever class held it."""
    made_with = plain_dict(node.state.get("_init_kwargs"))
    inner = submodule_state(node, "synthesis")
    for config in (node.state.get("cfg"), made_with.get("cfg"), inner.get("cfg")):
        is_omegaconf = isinstance(config, Node) and config.kind.startswith("omegaconf.")
        plain = resolve_omegaconf(config if is_omegaconf else plain_dict(config))
        if isinstance(plain, dict) and plain:
            return plain
    return {}


def _refuse_variants(checkpoint: Checkpoint, options: FileOptions, tensors: Tensors) -> None:
    planes = options.section("tri_plane")
    # Older files state the width of that network, newer ones whether there is one.
    views = planes.flag("has_view_cond", False) or planes.number("view_hid_dim", 0) > 0
    if views or any(name.startswith(f"{_MLP}.color_network.") for name in tensors):
        raise CheckpointError(
            f"{checkpoint.path} is an EpiGRAF model whose colours depend on the view, which none "
            "of the released ones do; Maquette cannot draw it."
        )
    if planes.number("posenc_period_len", 0) > 0:
        raise CheckpointError(
            f"{checkpoint.path} is an EpiGRAF model whose decoder is shown the points' positions, "
            "which none of the released ones is; Maquette cannot draw it."
        )


def _mapping_options(
    checkpoint: Checkpoint,
    node: Node,
    options: FileOptions,
    tensors: Tensors,
    assumptions: list[str],
) -> dict[str, Any]:
    layers = sum(re.fullmatch(r"mapping\.fc\d+\.weight", name) is not None for name in tensors)
    w_dim = shape_of(_FAMILY, tensors, f"mapping.fc{max(layers - 1, 0)}.weight", 2)[0]
    width, first_in = shape_of(_FAMILY, tensors, "mapping.fc0.weight", 2)
    embed, label = 0, 0
    if "mapping.embed.weight" in tensors:
        embed, label = shape_of(_FAMILY, tensors, "mapping.embed.weight", 2)
    made_with = FileOptions(checkpoint.path, plain_dict(node.state.get("_init_kwargs")))
    stated = made_with.section("mapping_kwargs")
    camera = label > 0 and (
        stated.flag("camera_cond", False)
        if stated.has("camera_cond")
        else options.flag("camera_cond", False)
    )
    classes = label - 2 if camera else label
    known = node.state.get("c_dim", classes)
    if classes < 0 or known != classes:
        raise CheckpointError(
            f"{checkpoint.path} states {known} class numbers and {'a' if camera else 'no'} camera, "
            f"but its mapping takes {label} numbers."
        )
    if classes:
        assumptions.append(
            f"The file does not say what the {classes} numbers shown to its mapping mean; they are "
            "taken as one of as many classes."
        )
    gain = submodule_state(node, "mapping.fc0").get("bias_gain", 0.01)
    return {
        "z_dim": first_in - embed,
        "c_dim": classes,
        "w_dim": w_dim,
        "camera_cond": camera,
        "mapping_layers": layers,
        "mapping_width": width if layers > 1 else w_dim,
        "embed_features": embed or w_dim,
        "mapping_lr_multiplier": float(gain),
    }


def _plane_options(
    checkpoint: Checkpoint, node: Node, options: FileOptions, tensors: Tensors
) -> dict[str, Any]:
    found = (re.fullmatch(rf"{_DECODER}\.b(\d+)\.conv1\.weight", name) for name in tensors)
    sides = sorted(int(match[1]) for match in found if match)
    if not sides:
        raise CheckpointError("This is not a whole EpiGRAF model: its backbone has no blocks.")
    count = sum(re.fullmatch(rf"{_MLP}\.model\.\d+\.weight", name) is not None for name in tensors)
    shapes = [
        shape_of(_FAMILY, tensors, f"{_MLP}.model.{index}.weight", 2)
        for index in range(max(count, 1))
    ]
    channels = shapes[0][1]
    drawn = shape_of(_FAMILY, tensors, f"{_DECODER}.b{sides[-1]}.torgb.weight", 4)[0]
    kind = options.section("bg_model")
    background = "none" if kind.get("type") is None else kind.text("type", "none")
    extra = drawn - 3 * channels
    parts = any(name.startswith(f"{_SPHERE}.blocks.") for name in tensors)
    if extra != (3 if background == "plane" else 0) or parts != (background == "sphere"):
        raise CheckpointError(
            f"{checkpoint.path} states the background {background!r}, but its tensors are those of "
            f"{'a sphere' if parts else 'a plane' if extra == 3 else 'none'} "
            f"({drawn} channels of planes for {channels} features)."
        )
    clamp = submodule_state(node, f"{_DECODER}.b{sides[-1]}.conv1").get("conv_clamp", 256.0)
    return {
        "background": background,
        "plane_resolution": sides[-1],
        "plane_channels": channels,
        "channel_base": int(options.number("cbase", 32768) * options.number("fmaps", 1.0)),
        "channel_max": options.integer("cmax", 512),
        "block_channels": tuple(
            shape_of(_FAMILY, tensors, f"{_DECODER}.b{side}.conv1.weight", 4)[0] for side in sides
        ),
        "conv_clamp": float(clamp) if isinstance(clamp, (int, float)) else None,
        "use_noise": f"{_DECODER}.b4.conv1.noise_const" in tensors,
        "mlp_channels": tuple(shape[0] for shape in shapes[:-1]),
    }


def _sphere_options(options: FileOptions, tensors: Tensors) -> dict[str, Any]:
    stated = options.section("bg_model")
    coefs = f"{_SPHERE}.blocks.0.scalar_enc.fourier_encoder.fourier_coefs"
    if stated.get("type") != "sphere":
        return {}
    found = (re.fullmatch(rf"{_SPHERE}\.blocks\.(\d+)\.conv1\.weight", name) for name in tensors)
    blocks = sum(match is not None for match in found)
    return {
        "bg_channels": tuple(
            shape_of(_FAMILY, tensors, f"{_SPHERE}.blocks.{index}.conv1.weight", 2)[0]
            for index in range(blocks)
        ),
        "bg_frequencies": shape_of(_FAMILY, tensors, coefs, 1)[0],
        "bg_steps": stated.integer("num_steps", 8),
        "bg_start": stated.number("start", 1.0),
        "bg_scale": stated.number("posenc_period_len", 64.0),
    }


def _camera_options(dataset: FileOptions, assumptions: list[str]) -> dict[str, Any]:
    # The section had another name before the release.
    camera = dataset.section("camera" if dataset.has("camera") else "sampling")
    found: dict[str, Any] = {
        "cube_scale": dataset.number("cube_scale", 0.2),
        "white_back": dataset.flag("white_back", False),
        "last_back": dataset.flag("last_back", False),
        "fov": camera.number("fov", 12.0),
        "radius": camera.number("radius", 1.0),
        "ray_start": camera.number("ray_start", 0.88),
        "ray_end": camera.number("ray_end", 1.12),
    }
    unstated = [name for name in ("fov", "radius", "ray_start", "ray_end") if not camera.has(name)]
    unstated += [] if dataset.has("cube_scale") else ["cube_scale"]
    if unstated:
        assumptions.append(
            f"The file does not state {', '.join(unstated)}; those of the released models of faces "
            "and cats are used."
        )
    if camera.text("dist", "").startswith("spherical"):
        found |= {"yaw_range": (-180.0, 180.0), "pitch_range": (-89.0, 89.0)}
    return found


def _resolution(
    checkpoint: Checkpoint, node: Node, options: FileOptions, assumptions: list[str]
) -> int:
    inner = submodule_state(node, "synthesis")
    for state, key in ((inner, "test_resolution"), (node.state, "img_resolution")):
        if key in state:
            return FileOptions(checkpoint.path, state).integer(key, 0)
    dataset = options.section("dataset")
    if not dataset.has("resolution"):
        assumptions.append("The file does not state its picture's size; 256 pixels are used.")
    return dataset.integer("resolution", 256)
