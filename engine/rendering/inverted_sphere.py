"""What lies beyond the unit sphere: NeRF++'s inverted sphere parametrisation.

Zhang et al., "NeRF++: Analyzing and Improving Neural Radiance Fields" (2020), section 4: a
point outside the unit sphere is its direction from the origin and the inverse of its distance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def inverted_sphere_points(origins: Tensor, directions: Tensor, inverse_radii: Tensor) -> Tensor:
    """Where rays from inside the unit sphere pierce spheres around it.

    Args:
        origins: ``[..., 3]`` on or inside the unit sphere.
        directions: ``[..., 3]`` unit length.
        inverse_radii: ``[..., S]`` one over the spheres' radii, in ``[0, 1]``; 0 is infinitely
            far away.

    Returns:
        ``[..., S, 4]``: unit direction from the centre to the point, and its inverse distance.
    """
    # The ray's closest point to the centre, and where it leaves the unit sphere.
    along = -(origins * directions).sum(dim=-1, keepdim=True)
    middle = origins + along * directions
    distance = middle.norm(dim=-1, keepdim=True)
    half = torch.sqrt((1.0 - distance.square()).clamp(min=0.0))
    exit_point = origins + (along + half) * directions
    # Seen from the centre, a point further out on the ray is the exit point turned by an angle
    # that the law of sines gives.
    axis = F.normalize(torch.linalg.cross(origins, exit_point, dim=-1), dim=-1)
    angle = torch.asin(distance.clamp(max=1.0)) - torch.asin(
        (distance * inverse_radii).clamp(max=1.0)
    )
    angle = angle[..., None]
    axis, point = axis[..., None, :], exit_point[..., None, :]
    # Rodrigues' rotation; the axis stands upright on the point, so that its third term is none.
    across = torch.linalg.cross(axis, point, dim=-1)
    turned = point * torch.cos(angle) + across * torch.sin(angle)
    turned = F.normalize(turned, dim=-1)
    return torch.cat([turned, inverse_radii[..., None].expand(*turned.shape[:-1], 1)], dim=-1)
