"""What an EG3D checkpoint says about itself: options read off the pickled generator.

The truth is in the pickled object's state and in the shapes of its tensors, not in the
arguments that it was once made with: both the neural resolution and the rendering options
are changed during training. Every option may be missing; the authors' default then holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.checkpoints.plain import Checkpoint, LazyTensor, ModelSource, Node, module_tensors
from engine.errors import CheckpointError, in_words
from engine.generators.eg3d_config import FACE_FOCAL, EG3DConfig, visualizer_focal
from engine.generators.options import (
    FileOptions,
    blamed_on,
    plain_dict,
    shape_of,
    snapshot_generators,
    submodule_state,
)
from engine.generators.superresolution import SR_LAYOUTS
from engine.generators.triplane import EG3D_AXES
from engine.rendering.volume import RenderSettings

#: The release's cars: another camera than faces and cats, which their files do not state.
_CARS_RADIUS, _CARS_FOV = 1.7, 45.0


def _generator(checkpoint: Checkpoint) -> Node | None:
    """The averaged generator of a training snapshot, or a generator saved alone."""
    for node in snapshot_generators(checkpoint):
        parts = set(plain_dict(node.state.get("_modules")))
        if {"backbone", "decoder", "superresolution"} <= parts:
            return node
    return None


def matches(checkpoint: Checkpoint) -> bool:
    """Whether the file holds a tri-plane generator with EG3D's parts."""
    node = _generator(checkpoint)
    if node is None:
        return False
    names = {name for name, _ in module_tensors(node)}
    return {"backbone.synthesis.b4.const", "decoder.net.0.weight"} <= names


def _clamp(state: Mapping[Any, Any]) -> float | None:
    value = state.get("conv_clamp")
    return float(value) if isinstance(value, (int, float)) else None


def source(checkpoint: Checkpoint) -> ModelSource:
    """Reduce an authors' file to options and tensors.

    Raises:
        CheckpointError: the file has EG3D's parts but cannot be a whole model.
    """
    node = _generator(checkpoint)
    if node is None:
        raise CheckpointError(f"{checkpoint.path} holds no EG3D generator.")
    tensors = dict(module_tensors(node))
    kwargs = plain_dict(node.state.get("rendering_kwargs"))
    options = FileOptions(checkpoint.path, kwargs)
    assumptions: list[str] = []
    with blamed_on(checkpoint.path):
        config = EG3DConfig(
            **_mapping_options(node, tensors),
            **_backbone_options(node, tensors),
            **_decoder_options(node, tensors),
            **_sr_options(checkpoint, node, tensors, options, assumptions),
            **_camera_options(options, assumptions),
            rendering=_render_settings(node, options, assumptions),
            neural_rendering_resolution=FileOptions(checkpoint.path, node.state).integer(
                "neural_rendering_resolution", 64
            ),
            c_gen_conditioning_zero=options.flag("c_gen_conditioning_zero", False),
            c_scale=options.number("c_scale", 0.0),
        )
    if config.c_dim and not config.c_gen_conditioning_zero and not options.has("c_scale"):
        assumptions.append("The file states no c_scale, so the camera does not reach the mapping.")
    name = checkpoint.title or checkpoint.path.stem
    return ModelSource("eg3d", name, config.to_json(), tensors, tuple(assumptions))


def _mapping_options(node: Node, tensors: Mapping[str, LazyTensor]) -> dict[str, Any]:
    prefix = "backbone.mapping"
    layers = sum(re.fullmatch(rf"{prefix}\.fc\d+\.weight", name) is not None for name in tensors)
    w_dim = shape_of("EG3D", tensors, f"{prefix}.fc{max(layers - 1, 0)}.weight", 2)[0]
    width, first_in = shape_of("EG3D", tensors, f"{prefix}.fc0.weight", 2)
    embed, c_dim = 0, 0
    if f"{prefix}.embed.weight" in tensors:
        embed, c_dim = shape_of("EG3D", tensors, f"{prefix}.embed.weight", 2)
    gain = submodule_state(node, f"{prefix}.fc0").get("bias_gain", 0.01)
    return {
        "z_dim": first_in - embed,
        "c_dim": c_dim,
        "w_dim": w_dim,
        "mapping_layers": layers,
        "mapping_width": width if layers > 1 else w_dim,
        "embed_features": embed or w_dim,
        "mapping_lr_multiplier": float(gain),
    }


def _backbone_options(node: Node, tensors: Mapping[str, LazyTensor]) -> dict[str, Any]:
    prefix = "backbone.synthesis"
    found = (re.fullmatch(rf"{prefix}\.b(\d+)\.conv1\.weight", name) for name in tensors)
    sides = sorted(int(match[1]) for match in found if match)
    if not sides:
        raise CheckpointError("This is not a whole EG3D model: its backbone has no blocks.")
    made_with = plain_dict(submodule_state(node, prefix).get("_init_kwargs"))
    base, limit = made_with.get("channel_base", 32768), made_with.get("channel_max", 512)
    return {
        "plane_resolution": sides[-1],
        "plane_channels": shape_of("EG3D", tensors, f"{prefix}.b{sides[-1]}.torgb.weight", 4)[0],
        "channel_base": base if isinstance(base, int) else 32768,
        "channel_max": limit if isinstance(limit, int) else 512,
        "block_channels": tuple(
            shape_of("EG3D", tensors, f"{prefix}.b{side}.conv1.weight", 4)[0] for side in sides
        ),
        "conv_clamp": _clamp(submodule_state(node, f"{prefix}.b{sides[-1]}.conv1")),
    }


def _decoder_options(node: Node, tensors: Mapping[str, LazyTensor]) -> dict[str, Any]:
    hidden, _ = shape_of("EG3D", tensors, "decoder.net.0.weight", 2)
    outputs, _ = shape_of("EG3D", tensors, "decoder.net.2.weight", 2)
    gain = submodule_state(node, "decoder.net.0").get("bias_gain", 1.0)
    return {
        "decoder_hidden": hidden,
        "decoder_features": outputs - 1,
        "decoder_lr_multiplier": float(gain),
    }


def _sr_options(
    checkpoint: Checkpoint,
    node: Node,
    tensors: Mapping[str, LazyTensor],
    options: FileOptions,
    assumptions: list[str],
) -> dict[str, Any]:
    module = plain_dict(node.state.get("_modules"))["superresolution"]
    stated = options.text("superresolution_module", "").rsplit(".", 1)[-1]
    name = module.kind.rsplit(".", 1)[-1] if isinstance(module, Node) else stated
    first = submodule_state(node, "superresolution.block0.conv0").get("up")
    if not isinstance(first, int):
        if name not in SR_LAYOUTS:
            raise CheckpointError(
                f"{checkpoint.path} has a super-resolution module {name!r}, which Maquette does "
                f"not know; it knows {', '.join(SR_LAYOUTS)}."
            )
        first = 2 if SR_LAYOUTS[name].first_upsamples else 1
    elif name not in SR_LAYOUTS:
        assumptions.append(
            f"The super-resolution {name!r} is not one of the release's; it is read as two "
            "StyleGAN2 blocks."
        )
    channels = tuple(
        shape_of("EG3D", tensors, f"superresolution.block{i}.conv1.weight", 4)[0] for i in (0, 1)
    )
    middle = shape_of("EG3D", tensors, "superresolution.block0.conv1.noise_const", 2)[0]
    state = submodule_state(node, "superresolution")
    antialias = state.get("sr_antialias", options.flag("sr_antialias", True))
    return {
        "sr_module": name,
        "sr_channels": channels,
        "sr_input_resolution": middle // 2 if first == 2 else middle,
        "sr_first_upsamples": first == 2,
        "sr_antialias": bool(antialias),
        "sr_conv_clamp": _clamp(submodule_state(node, "superresolution.block0.conv1")),
        "superresolution_noise_mode": options.text("superresolution_noise_mode", "none"),
        "img_resolution": shape_of("EG3D", tensors, "superresolution.block1.conv1.noise_const", 2)[
            0
        ],
    }


def _camera_options(options: FileOptions, assumptions: list[str]) -> dict[str, Any]:
    radius = options.number("avg_camera_radius", 2.7)
    pivot = options.get("avg_camera_pivot", (0.0, 0.0, 0.0))
    if not isinstance(pivot, (list, tuple)) or len(pivot) != 3:
        raise CheckpointError(
            f"The file states avg_camera_pivot = {in_words(pivot)}, not three numbers."
        )
    point = FileOptions("the file", {str(i): x for i, x in enumerate(pivot)})
    found: dict[str, Any] = {
        "avg_camera_radius": radius,
        "avg_camera_pivot": tuple(point.number(str(i), 0.0) for i in range(3)),
        "focal": FACE_FOCAL,
    }
    if radius == _CARS_RADIUS:
        found["focal"] = visualizer_focal(_CARS_FOV)
        found["yaw_range"], found["pitch_range"] = (-180.0, 180.0), (0.0, 60.0)
    assumptions.append(
        f"The file does not state its focal length; {found['focal']:.4f} picture sides is the "
        f"release's for {'cars' if radius == _CARS_RADIUS else 'faces and cats'}."
    )
    return found


def _render_settings(node: Node, options: FileOptions, assumptions: list[str]) -> RenderSettings:
    limits = [options.get(key) for key in ("ray_start", "ray_end")]
    auto = [value == "auto" for value in limits]
    axes: Any = submodule_state(node, "renderer").get("plane_axes")
    if isinstance(axes, LazyTensor) and axes.shape == (3, 3, 3):
        axes = axes.load().tolist()
    else:
        axes = EG3D_AXES
        assumptions.append(
            "The file does not state the axes of its planes; those of EG3D's release are used."
        )
    return RenderSettings(
        depth_resolution=options.integer("depth_resolution", 48),
        depth_resolution_importance=options.integer("depth_resolution_importance", 48),
        ray_start="auto" if auto[0] else options.number("ray_start", 2.25),
        ray_end="auto" if auto[1] else options.number("ray_end", 3.3),
        box_warp=options.number("box_warp", 1.0),
        disparity_space_sampling=options.flag("disparity_space_sampling", False),
        white_back=options.flag("white_back", False),
        clamp_mode=options.text("clamp_mode", "softplus"),
        plane_axes=axes,
    )
