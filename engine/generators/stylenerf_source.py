"""What a StyleNeRF checkpoint says about itself: options read off the pickled generator.

Sizes come from the tensors. What these cannot tell is looked for in three places, the nearest to
the truth first: in the state of the object that used it (camera, renderer, upsampler), in its
section of the options that the generator was made with, and, for older files, among the options
of the synthesis network themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from engine.checkpoints.plain import Checkpoint, LazyTensor, ModelSource, Node, module_tensors
from engine.checkpoints.references import resolve_omegaconf
from engine.errors import CheckpointError, in_words
from engine.generators.options import (
    FileOptions,
    blamed_on,
    plain_dict,
    shape_of,
    snapshot_generators,
    submodule_state,
)
from engine.generators.stylenerf_config import StyleNeRFConfig

#: Options that change the network in ways that no file of the release does and that are not
#: known well enough to draw them: section, name, the values that are understood.
_UNDERSTOOD: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("", "architecture", ("skip",)),
    ("", "z_dim", (0,)),
    ("", "margin", (0,)),
    ("camera", "depth_transform", (None,)),
    ("foreground", "positional_encoding", ("normal",)),
    ("foreground", "use_viewdirs", (False,)),
    ("foreground", "predict_rgb", (True,)),
    ("foreground", "use_sdf", (False,)),
    ("foreground", "sdf_mode", (None,)),
    ("background", "positional_encoding", ("normal",)),
    ("background", "use_viewdirs", (False,)),
    ("background", "predict_rgb", (True,)),
    ("background", "inverse_sphere", (True,)),
    ("renderer", "sigma_type", ("relu",)),
    ("renderer", "n_final_samples", (None,)),
    ("upsampler", "no_2d_renderer", (False,)),
    ("upsampler", "shared_rgb_style", (False,)),
    ("upsampler", "block_reses", (None,)),
)
#: Parts of the synthesis network that hold the options of a section: objects, and modules.
_OBJECTS = {"camera": "C", "renderer": "V", "upsampler": "U"}
_MODULES = {"foreground": "fg_nerf", "background": "bg_nerf"}
#: Radians: what the release's faces were trained with.
_RANGES = {"range_u": (-0.3, 0.3), "range_v": (math.pi / 2 - 0.155, math.pi / 2 + 0.155)}


def _generator(checkpoint: Checkpoint) -> Node | None:
    """The averaged generator of a training snapshot, or a generator saved alone."""
    for node in snapshot_generators(checkpoint):
        parts = plain_dict(submodule_state(node, "synthesis").get("_modules"))
        if "fg_nerf" in parts and "mapping" in plain_dict(node.state.get("_modules")):
            return node
    return None


def matches(checkpoint: Checkpoint) -> bool:
    """Whether the file holds a generator with a styled field and an upsampler's blocks."""
    node = _generator(checkpoint)
    if node is None:
        return False
    names = {name for name, _ in module_tensors(node)}
    return {"synthesis.fg_nerf.fc_in.affine.weight", "mapping.w_avg"} <= names


def growth_of(alpha: float) -> float:
    """How far progressive training has come, in ``[0, 1]``, from the stored number.

    Raises:
        CheckpointError: it is no such number.
    """
    if alpha == -1.0:
        # Never set: without progressive training the whole upsampler takes part at once.
        return 1.0
    if not 0.0 <= alpha <= 1.0:
        raise CheckpointError(
            f"The StyleNeRF model is damaged: its alpha, how far training has come, is {alpha:g} "
            "instead of 0 to 1; download or copy it again."
        )
    return alpha


class _Stated:
    """The options of a file, section by section.

    Args:
        path: the file, for messages.
        node: its generator.
    """

    def __init__(self, path: Any, node: Node) -> None:
        made_with = plain_dict(node.state.get("_init_kwargs"))
        given = _plain(made_with.get("synthesis_kwargs"))
        flat = {k: v for k, v in given.items() if not isinstance(v, (dict, Node))}
        synthesis = submodule_state(node, "synthesis")
        self._sections = {"": FileOptions(path, {**flat, **_own(synthesis)})}
        for name in (*_OBJECTS, *_MODULES):
            holder = synthesis.get(_OBJECTS.get(name, ""))
            state = plain_dict(holder) if isinstance(holder, Node) else {}
            if name in _MODULES:
                state = submodule_state(node, f"synthesis.{_MODULES[name]}")
            nested = _plain(given.get(f"{name}_kwargs"))
            self._sections[name] = FileOptions(path, {**flat, **nested, **_own(state)})
        #: What was asked for and is not in the file.
        self.missing: list[str] = []

    def of(self, section: str, *keys: str) -> FileOptions:
        """A section; those of ``keys`` that it lacks are noted down."""
        options = self._sections[section]
        self.missing += [key for key in keys if not options.has(key)]
        return options

    def check_understood(self, path: Any) -> None:
        """Refuse networks of other kinds.

        Raises:
            CheckpointError: an option says that the network is of another kind.
        """
        for section, key, known in _UNDERSTOOD:
            options = self._sections[section]
            value = options.get(key, known[0])
            if value not in known:
                raise CheckpointError(
                    f"{path} is a StyleNeRF model with {key} = {in_words(value)}, a kind that Maquette "
                    "does not draw."
                )


def _plain(value: Any) -> dict[Any, Any]:
    """Options as a plain dictionary, whatever class they were stored as."""
    if isinstance(value, Node) and value.kind.startswith("omegaconf."):
        value = resolve_omegaconf(value)
    return plain_dict(value)


def _own(state: Mapping[Any, Any]) -> dict[str, Any]:
    """An object's own options, without what it is made of."""
    resolved = {
        key: resolve_omegaconf(value)
        for key, value in state.items()
        if isinstance(key, str) and not key.startswith("_")
    }
    return {k: v for k, v in resolved.items() if not isinstance(v, (dict, Node, LazyTensor))}


def source(checkpoint: Checkpoint) -> ModelSource:
    """Reduce an authors' file to options and tensors.

    Raises:
        CheckpointError: the file has StyleNeRF's parts but cannot be a whole model, or is of a
            kind that is not known.
    """
    node = _generator(checkpoint)
    if node is None:
        raise CheckpointError(f"{checkpoint.path} holds no StyleNeRF generator.")
    tensors = dict(module_tensors(node))
    stated = _Stated(checkpoint.path, node)
    stated.check_understood(checkpoint.path)
    assumptions: list[str] = []
    with blamed_on(checkpoint.path):
        config = StyleNeRFConfig(
            **_mapping_options(node, tensors),
            **_upsampler_options(checkpoint, node, tensors, stated),
            **_field_options(checkpoint, tensors, stated, assumptions),
            **_ray_options(stated),
            **_camera_options(stated, assumptions),
            progressive=stated.of("").flag("progressive", True),
        )
    _check_rows(checkpoint, node, config)
    if stated.missing:
        assumptions.append(
            f"The file does not state {', '.join(stated.missing)}; what the release's code or its "
            "models of faces have is used."
        )
    assumptions += _growth_sentences(tensors, config)
    if not config.background:
        tensors = {k: v for k, v in tensors.items() if not k.startswith("synthesis.bg_nerf.")}
    name = checkpoint.title or checkpoint.path.stem
    return ModelSource("stylenerf", name, config.to_json(), tensors, tuple(assumptions))


def _mapping_options(node: Node, tensors: Mapping[str, LazyTensor]) -> dict[str, Any]:
    layers = sum(re.fullmatch(r"mapping\.fc\d+\.weight", name) is not None for name in tensors)
    w_dim = shape_of("StyleNeRF", tensors, f"mapping.fc{max(layers - 1, 0)}.weight", 2)[0]
    first_in = shape_of("StyleNeRF", tensors, "mapping.fc0.weight", 2)[1]
    embed, c_dim = 0, 0
    if "mapping.embed.weight" in tensors:
        embed, c_dim = shape_of("StyleNeRF", tensors, "mapping.embed.weight", 2)
    gain = submodule_state(node, "mapping.fc0").get("bias_gain", 0.01)
    return {
        "z_dim": first_in - embed,
        "c_dim": c_dim,
        "w_dim": w_dim,
        "mapping_layers": layers,
        "mapping_lr_multiplier": FileOptions("the file", {"gain": gain}).number("gain", 0.01),
        "embed_features": embed,
    }


def _upsampler_options(
    checkpoint: Checkpoint, node: Node, tensors: Mapping[str, LazyTensor], stated: _Stated
) -> dict[str, Any]:
    found = (re.fullmatch(r"synthesis\.b(\d+)\.conv0\.weight", name) for name in tensors)
    sides = sorted(int(match[1]) for match in found if match)
    if not sides:
        raise CheckpointError("This is not a whole StyleNeRF model: its upsampler has no blocks.")
    first = f"synthesis.b{sides[0]}.conv0"
    own, upsampler = FileOptions(checkpoint.path, submodule_state(node, first)), stated.of("")
    mode = own.text("upsample_mode", upsampler.text("upsample_mode", ""))
    if f"{first}.adapter.0.weight" not in tensors:
        raise CheckpointError(
            f"{checkpoint.path} has an upsampler of the kind {mode or 'unknown'!r}; Maquette draws "
            "nn_cat and pixelshuffle."
        )
    widths, adapters = [], []
    for side in sides:
        widths.append(shape_of("StyleNeRF", tensors, f"synthesis.b{side}.conv0.weight", 4)[0])
        enter = shape_of("StyleNeRF", tensors, f"synthesis.b{side}.conv0.adapter.0.weight", 4)
        adapters.append(enter[0])
    seen = shape_of("StyleNeRF", tensors, f"{first}.adapter.0.weight", 4)[1]
    by_shape = "nn_cat" if seen == 2 * widths[0] else "pixelshuffle"
    if mode and mode != by_shape:
        raise CheckpointError(
            f"{checkpoint.path} states the upsampler {mode!r}, but its tensors are those of "
            f"{by_shape!r}; use another copy."
        )
    clamp = own.get("conv_clamp", upsampler.get("conv_clamp"))
    limit = FileOptions(checkpoint.path, {"conv_clamp": clamp})
    side = upsampler.integer("resolution_vol", sides[0] // 2)
    picture = FileOptions(checkpoint.path, node.state).integer("img_resolution", sides[-1])
    if (side, picture) != (sides[0] // 2, sides[-1]):
        raise CheckpointError(
            f"{checkpoint.path} states {side} to {picture} pixels, but its blocks enlarge "
            f"{sides[0] // 2} to {sides[-1]}; use another copy."
        )
    return {
        "img_resolution": sides[-1],
        "resolution_vol": side,
        "block_channels": tuple(widths),
        "adapter_channels": tuple(adapters),
        "kernel_size": shape_of("StyleNeRF", tensors, f"{first}.weight", 4)[2],
        "upsample_mode": by_shape,
        "conv_clamp": limit.number("conv_clamp", 256.0) if limit.get("conv_clamp") else None,
        "magnitude_ema": f"{first}.w_avg" in tensors,
        "use_noise": f"{first}.noise_strength" in tensors,
        "no_residual_img": stated.of("upsampler").flag("no_residual_img", False),
    }


def _field_options(
    checkpoint: Checkpoint,
    tensors: Mapping[str, LazyTensor],
    stated: _Stated,
    assumptions: list[str],
) -> dict[str, Any]:
    def size(name: str, sides: int) -> tuple[int, ...]:
        return shape_of("StyleNeRF", tensors, f"synthesis.{name}.weight", sides)

    def blocks(name: str) -> int:
        pattern = rf"synthesis\.{name}\.blocks\.\d+\.weight"
        return sum(re.fullmatch(pattern, key) is not None for key in tensors)

    hidden, encoded = size("fg_nerf.fc_in", 4)[:2]
    head, behind = stated.of("foreground"), stated.of("background")
    options: dict[str, Any] = {
        "rgb_out_dim": size("fg_nerf.feat_out", 4)[0],
        "fg_hidden": hidden,
        "fg_blocks": blocks("fg_nerf"),
        "fg_posenc": encoded // 6,
        "fg_downscale": head.number("downscale_p_by", 1.0),
        "fg_normalized_feat": head.flag("normalized_feat", False),
    }
    has_tensors = "synthesis.bg_nerf.fc_in.weight" in tensors
    unused = stated.of("renderer").flag("no_background", False)
    if has_tensors and unused:
        assumptions.append(
            "The file holds a field for the background but says that none is drawn; that field is "
            "left out."
        )
    if not has_tensors or unused:
        return options | {"background": False, "z_dim_bg": 0}
    hidden, wide = size("bg_nerf.fc_in", 2)
    latent = stated.of("").integer("z_dim_bg", wide - 8 * (encoded // 6))
    if not 0 <= latent < wide or (wide - latent) % 8:
        raise CheckpointError(
            f"{checkpoint.path} states a background latent of {latent} numbers, which does not fit "
            f"the {wide} inputs of its field; use another copy."
        )
    return options | {
        "background": True,
        "bg_hidden": hidden,
        "bg_blocks": blocks("bg_nerf"),
        "bg_posenc": (wide - latent) // 8,
        "bg_downscale": behind.number("downscale_p_by", 1.0),
        "bg_normalized_feat": behind.flag("normalized_feat", False),
        "z_dim_bg": latent,
    }


def _ray_options(stated: _Stated) -> dict[str, Any]:
    renderer = stated.of("renderer", "n_ray_samples", "hierarchical")
    camera = stated.of("camera", "fov", "ray_align_corner")
    near, far = _pair(stated, "depth_range", (0.88, 1.12))
    return {
        "n_ray_samples": renderer.integer("n_ray_samples", 14),
        "n_bg_samples": renderer.integer("n_bg_samples", 4),
        "hierarchical": renderer.flag("hierarchical", True),
        "bg_start": camera.number("bg_start", 0.5),
        "fov": camera.number("fov", 12.0),
        "depth_near": near,
        "depth_far": far,
        "dists_normalized": camera.flag("dists_normalized", False),
        # The release's faces at 512 pixels have it; later options switch it off by name.
        "ray_align_corner": camera.flag("ray_align_corner", True),
    }


def _pair(stated: _Stated, key: str, default: tuple[float, float]) -> tuple[float, float]:
    value = stated.of("camera", key).get(key, default)
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise CheckpointError(f"The file states {key} = {in_words(value)}, not two numbers.")
    both = FileOptions("The file", {key: value[0], f"{key}[1]": value[1]})
    return both.number(key, 0.0), both.number(f"{key}[1]", 0.0)


def _camera_options(stated: _Stated, assumptions: list[str]) -> dict[str, Any]:
    camera = stated.of("camera")
    if camera.flag("angular_camera", True):
        u, v = (_pair(stated, key, default) for key, default in _RANGES.items())
    else:
        u, v = _RANGES.values()
        assumptions.append(
            "The file states its cameras as shares of a sphere; the frontal view and the range of "
            "the release's faces are used."
        )
    radius = _pair(stated, "range_radius", (1.0, 1.0))
    return {
        "radius": sum(radius) / 2.0,
        "yaw": round(sum(u) / 2.0, 9),
        "yaw_spread": round((u[1] - u[0]) / 2.0, 9),
        # Their second angle is measured from straight above.
        "pitch": round(math.pi / 2.0 - sum(v) / 2.0, 9),
        "pitch_spread": round((v[1] - v[0]) / 2.0, 9),
        "gaussian_camera": camera.flag("gaussian_camera", False),
    }


def _check_rows(checkpoint: Checkpoint, node: Node, config: StyleNeRFConfig) -> None:
    rows = FileOptions(checkpoint.path, node.state).integer("num_ws", config.style_ws)
    if rows != config.style_ws:
        raise CheckpointError(
            f"{checkpoint.path} states {rows} styles, but its layers take {config.style_ws}; use "
            "another copy."
        )


def _growth_sentences(tensors: Mapping[str, LazyTensor], config: StyleNeRFConfig) -> list[str]:
    """What to say of a model whose progressive training is not complete."""
    lazy = tensors.get("synthesis.alpha")
    if lazy is None or lazy.shape:
        return []
    alpha = float(lazy.load())
    if alpha == -1.0 and config.progressive:
        return [
            "The file's alpha is -1: it was saved before training began, and what it draws means "
            "nothing."
        ]
    growth = growth_of(alpha)
    if growth == 1.0:
        return []
    blocks = math.ceil(growth * len(config.block_channels))
    return [
        f"The file's alpha is {alpha:g}: its training had not reached the full size, so it draws "
        f"{config.resolution_vol * 2**blocks} pixels, and the last of its blocks is faded in over a "
        "bilinear enlargement of the picture before it."
    ]
