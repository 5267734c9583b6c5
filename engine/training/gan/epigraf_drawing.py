"""EpiGRAF drawn for training: patches of many identities at once.

Skorokhodov et al., "EpiGRAF" (2022), sections 3.1 and 3.2. What draws pictures looks features up in a
table of texels; here they are sampled differentiably.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.epigraf_network import EpiGRAFNetwork
from engine.rendering.plane_lookup import PLANE_AXES
from engine.rendering.rays import grid_rays, inclusive_grid
from engine.training.gan.nerf_batches import march_batch


def patch_grid(places: Tensor, side: int) -> Tensor:
    """Where the pixels of patches lie in the picture.

    Args:
        places: ``[N, 3]`` scale, and offsets from the left and from the **lower** edge, in 0 to 1.
        side: pixels of a patch.

    Returns:
        ``[N, side, side, 2]`` x to the right and y **upwards**, -1 to 1 being the middles of the
        picture's outermost pixels.
    """
    grid = torch.stack(inclusive_grid(side, side, places.device), dim=-1)
    scale = places[:, 0, None, None, None]
    return (grid + 1.0) * scale - 1.0 + 2.0 * places[:, None, None, 1:]


def patches_of(pictures: Tensor, places: Tensor, side: int) -> Tensor:
    """``[N, 3, R, R]`` pictures and ``[N, 3]`` places -> ``[N, 3, side, side]``, bilinearly."""
    grid = patch_grid(places, side) * torch.tensor([1.0, -1.0], device=places.device)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=True)


def plane_features(planes: Tensor, points: Tensor) -> Tensor:
    """``[N, 3, C, R, R]`` planes at ``[N, M, 3]`` points in units of the half cube -> the planes'
    mean ``[N, M, C]``; zero outside, fading within a texel."""
    n, _, c, r, _ = planes.shape
    places = torch.stack([points[..., list(axes)] for axes in PLANE_AXES], dim=1)
    found = F.grid_sample(
        planes.reshape(n * 3, c, r, r),
        places.reshape(n * 3, 1, -1, 2),
        padding_mode="zeros",
        align_corners=True,
    )
    return found.reshape(n, 3, c, -1).mean(dim=1).transpose(1, 2)


def planes_of(
    network: EpiGRAFNetwork, ws: Tensor, random: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Planes ``[N, 3, C, R, R]`` of ``[N, num_ws, w_dim]`` styles, and what else the backbone draws:
    the backdrop of models with a plane for it."""
    config = network.config
    source = "const" if random is None else random
    flat = network.synthesis.tri_plane_decoder(ws[:, : config.plane_ws], source)
    channels = 3 * config.plane_channels
    planes = flat[:, :channels].reshape(len(ws), 3, -1, *flat.shape[2:])
    return planes, flat[:, channels:]


def field_of(network: EpiGRAFNetwork, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Raw densities ``[N, M]`` and colours ``[N, M, 3]`` at ``[N, M, 3]`` points of the world."""
    config = network.config
    values = network.synthesis.tri_plane_mlp(plane_features(planes, points / config.cube_scale))
    return values[..., 3] + config.density_shift, values[..., :3]


def drawn_patches(
    network: EpiGRAFNetwork,
    ws: Tensor,
    cameras: Tensor,
    places: Tensor,
    side: int,
    random: torch.Generator | None,
    noise: float = 0.0,
) -> Tensor:
    """Patches of pictures.

    Args:
        network: the model.
        ws: ``[N, num_ws, w_dim]``.
        cameras: ``[N, 4, 4]`` OpenGL, in the authors' world.
        places: ``[N, 3]`` see :func:`patch_grid`.
        side: pixels of a patch.
        random: of the samples along rays and of the backbone's noise; without it nothing is
            random, as pictures are drawn.
        noise: standard deviation that is added to raw densities.

    Returns:
        ``[N, 3, side, side]`` about -1 to 1.
    """
    config, synthesis = network.config, network.synthesis
    n = len(ws)
    planes, backdrop = planes_of(network, ws, random)
    grid = patch_grid(places, side)
    rays = [
        grid_rays(camera, own[..., 0], own[..., 1], config.fov)
        for camera, own in zip(cameras, grid, strict=True)
    ]
    origins = torch.stack([ray[0] for ray in rays])
    directions = F.normalize(torch.stack([ray[1] for ray in rays]), dim=-1)

    def look(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        return field_of(network, planes, points)

    marched = march_batch(look, origins, directions, config.march(), random, noise)
    colours = marched.features
    if config.background == "plane":
        places_2d = grid * torch.tensor([1.0, -1.0], device=grid.device)
        behind = F.grid_sample(backdrop, places_2d, padding_mode="border", align_corners=True)
        colours = colours + behind.flatten(2).transpose(1, 2) * marched.behind[..., None]
    elif synthesis.bg_model is not None:
        behind = torch.stack(
            [
                synthesis.bg_model.colours(
                    synthesis.bg_model.modulated(own[config.plane_ws :]), origin, along
                )
                for own, origin, along in zip(ws, origins, directions, strict=True)
            ]
        )
        colours = colours + behind * marched.behind[..., None]
    return colours.transpose(1, 2).reshape(n, 3, side, side)
