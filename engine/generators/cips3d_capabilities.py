"""What a CIPS-3D model can do, and the choices that its files leave open."""

from __future__ import annotations

from engine.camera import OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.generators.cips3d_source import FIRST_COLOUR, CIPS3DConfig

#: Most even samples on a ray that are offered.
_MOST_SAMPLES = 192


def capabilities_of(config: CIPS3DConfig) -> Capabilities:
    """The record that the window reads."""
    half = config.box / 2.0
    return Capabilities(
        family="cips3d",
        z_dim=config.z_dim,
        num_ws=config.num_ws,
        w_dim=config.w_dim,
        resolution=config.img_resolution,
        neural_resolution=config.img_resolution,
        samples_per_ray=2 * config.samples_per_pass,
        default_pose=OrbitPose(radius=config.radius, fov_y=config.fov_y),
        bounds=((-half, -half, -half), (half, half, half)),
        mesh_level=config.mesh_level,
        absent={
            "conditioning": "This model's identities do not depend on a camera.",
            "upsample": "Every pixel is drawn by itself from its own ray: there is no upsampler, "
            "and the neural resolution is that of the picture.",
        },
        layer_groups=_layer_groups(config),
        yaw_range=config.yaw_range,
        pitch_range=config.pitch_range,
        settings=_settings(config),
        fewer_blocks=tuple(
            count / config.inr_blocks for count in range(config.inr_blocks - 1, FIRST_COLOUR, -1)
        ),
    )


def _layer_groups(config: CIPS3DConfig) -> dict[str, tuple[int, int]]:
    """The NeRF against the INR; and the INR's blocks in thirds."""
    first, last = config.nerf_rows, config.num_ws
    third = 2 * (config.inr_blocks // 3)
    middle, fine = first + third, last - third
    return {
        "shape": (0, first),
        "appearance": (first, last),
        "coarse": (first, middle),
        "middle": (middle, fine),
        "fine": (fine, last),
    }


def _settings(config: CIPS3DConfig) -> tuple[ModelSetting, ...]:
    return (
        ModelSetting(
            "samples_per_pass",
            "Samples a pass",
            "integer",
            config.samples_per_pass,
            "Even samples on each ray, and as many again where these found something: "
            "12 in training, 24 in the authors' demo.",
            low=4,
            high=_MOST_SAMPLES,
        ),
        ModelSetting(
            "last_back",
            "Fill behind",
            "flag",
            config.last_back,
            "Give the light that is left to the last sample, as the authors' demo does; without "
            "it, thin places come out dark.",
        ),
        ModelSetting(
            "white_back",
            "White behind",
            "flag",
            config.white_back,
            "Add the light that is left to every feature.",
        ),
        ModelSetting(
            "activation",
            "Density",
            "choice",
            config.activation,
            "What makes the density positive: relu in the released models.",
            choices=("relu", "softplus"),
        ),
    )
