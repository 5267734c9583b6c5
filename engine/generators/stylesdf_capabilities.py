"""What a StyleSDF model can do: the record that the window builds its controls from."""

from __future__ import annotations

import math

from engine.camera import OrbitPose
from engine.capabilities import VIEW_MODES, Capabilities, ModelSetting
from engine.generators.stylesdf_config import MAX_SAMPLES, MIN_SAMPLES, StyleSDFConfig

#: Where the decoder's noise comes from.
NOISES = ("stored", "random", "none")


def capabilities_of(config: StyleSDFConfig) -> Capabilities:
    """The record of a model with these options."""
    half = config.half_depth
    first = config.renderer_rows
    absent = {"conditioning": "This model's identities do not depend on a camera."}
    groups = {"shape": (0, config.depth), "appearance": (config.depth, config.num_ws)}
    settings = [
        ModelSetting(
            "samples_per_ray",
            "Samples a ray",
            "integer",
            config.samples_per_ray,
            "How often the volume is looked at along each ray: 24 is the authors' for stills, 64 "
            "for videos, 128 for surfaces; the picture changes a little with it.",
            low=MIN_SAMPLES,
            high=MAX_SAMPLES,
        ),
        ModelSetting(
            "static_view",
            "Light moves with the camera",
            "flag",
            True,
            "Show the network view directions in the camera's own axes, as the authors do when "
            "they draw; off, the world's are shown, as in training.",
        ),
    ]
    views = VIEW_MODES
    if config.decoder_channels is None:
        views = tuple(view for view in VIEW_MODES if view != "raw")
        absent["raw"] = "This model draws its volume alone, so that the picture is the raw view."
        absent["upsample"] = "This file holds a volume renderer without a decoder."
    else:
        # Two rows a doubling, in thirds: the sizes near the volume's, the middle, the finest.
        third = -(-config.decoder_rows // 6) * 2
        ends = [min(first + third * n, config.num_ws) for n in range(3)] + [config.num_ws]
        names = ("coarse", "middle", "fine")
        groups |= {n: (ends[i], ends[i + 1]) for i, n in enumerate(names) if ends[i] < ends[i + 1]}
        settings.append(
            ModelSetting(
                "noise",
                "Noise",
                "choice",
                "stored",
                "Fine grain of the decoder: as stored in the file, one random draw that never "
                "changes (the authors' stills draw it anew each time), or none.",
                choices=NOISES,
            )
        )
    return Capabilities(
        family="stylesdf",
        z_dim=config.style_dim,
        num_ws=config.num_ws,
        w_dim=config.w_dim,
        resolution=config.resolution,
        neural_resolution=config.render_size,
        samples_per_ray=config.samples_per_ray,
        default_pose=OrbitPose(radius=config.radius, fov_y=config.fov_y),
        bounds=((-half, -half, -half), (half, half, half)),
        mesh_level=0.0,
        mesh_level_meaning="sdf",
        view_modes=views,
        absent=absent,
        layer_groups=groups,
        yaw_range=_two_sigma(config.yaw_std),
        pitch_range=_two_sigma(config.pitch_std),
        settings=tuple(settings),
    )


def _two_sigma(std: float) -> tuple[float, float]:
    """Degrees within which 95 % of the training poses lay, for a spread in radians."""
    angle = round(math.degrees(2.0 * std), 1)
    return -angle, angle
