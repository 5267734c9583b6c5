"""Tri-planes: a radiance field held by three pictures, and the small decoder behind them.

Chan et al., "Efficient Geometry-aware 3D Generative Adversarial Networks" (EG3D, 2022).
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.stylegan2 import FullyConnected

Axes = tuple[tuple[tuple[float, float, float], ...], ...]

#: The three planes as EG3D was released: (x, y), (x, z) and (z, x). Plane 2 was meant to be
#: another one; every model of the release was trained with it, so it must be kept for them.
EG3D_AXES: Axes = (
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
    ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
)
#: The corrected planes (x, y), (x, z) and (z, y), which later models use.
CORRECTED_AXES: Axes = (
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
    ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


@cache
def _projections(plane_axes: Axes, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``[P, 3, 2]`` what points are multiplied by. Made once and kept for good: neither a copy from the processor's
    memory nor an inverse, whose success is asked for, can be recorded (:mod:`engine.kernels.graphs`)."""
    with torch.inference_mode(False), torch.no_grad():
        inverse: Tensor = torch.linalg.inv(torch.tensor(plane_axes, dtype=dtype))
        return inverse[:, :, :2].to(device)


def project_to_planes(coords: Tensor, plane_axes: Tensor | Axes) -> Tensor:
    """``[N, M, 3]`` points -> ``[N, P, M, 2]`` coordinates on ``P`` planes.

    Row i of ``plane_axes[p]`` is the plane's i-th axis in world coordinates; the first two
    components in that basis are the plane's horizontal and vertical coordinate.
    """
    if isinstance(plane_axes, Tensor):
        inverse = torch.linalg.inv(plane_axes.to(coords))[:, :, :2]
    else:
        inverse = _projections(plane_axes, coords.dtype, coords.device)
    return torch.einsum("nmi,pij->npmj", coords, inverse)


def sample_planes(
    planes: Tensor,
    coords: Tensor,
    box_warp: float,
    plane_axes: Tensor | Axes,
    channels_first: bool = False,
) -> Tensor:
    """Read features off three planes, bilinearly; outside the box they are zero.

    Args:
        planes: ``[N, 3, C, H, W]``.
        coords: ``[N, M, 3]`` world coordinates; the planes span ``-box_warp / 2`` to
            ``box_warp / 2``.
        box_warp: side of the box in world units.
        plane_axes: ``[3, 3, 3]``, see :func:`project_to_planes`; as numbers where the same come again.
        channels_first: return ``[N, 3, C, M]``, the layout in which they are read.

    Returns:
        ``[N, 3, M, C]`` (a view of the layout above, nothing is copied).
    """
    n, p, c, h, w = planes.shape
    m = coords.shape[1]
    grid = project_to_planes(coords * (2.0 / box_warp), plane_axes)
    features = F.grid_sample(
        planes.reshape(n * p, c, h, w),
        grid.reshape(n * p, 1, m, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    ).reshape(n, p, c, m)
    return features if channels_first else features.transpose(2, 3)


class TriplaneDecoder(nn.Module):
    """Mean of the planes' features -> raw density and bounded colour features.

    Args:
        in_features: channels of one plane.
        out_features: colour features; the first three are red, green and blue.
        hidden: width of the hidden layer.
        lr_multiplier: equalised learning rate multiplier of both layers.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int = 32,
        hidden: int = 64,
        lr_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        self.net = nn.Sequential(
            FullyConnected(in_features, hidden, lr_multiplier=lr_multiplier),
            nn.Softplus(),
            FullyConnected(hidden, 1 + out_features, lr_multiplier=lr_multiplier),
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Decode.

        Args:
            features: ``[N, 3, M, C]``.

        Returns:
            ``[N, M]`` raw density (before softplus) and ``[N, M, out_features]`` in
            ``[-0.001, 1.001]`` (the sigmoid is stretched so that it can reach 0 and 1).
        """
        out = self.net(features.mean(dim=1))
        return out[..., 0], torch.sigmoid(out[..., 1:]) * 1.002 - 0.001

    def density(self, features: Tensor) -> Tensor:
        """``[N, 3, M, C]`` -> ``[N, M]`` raw density only."""
        last = self.net[2]
        assert isinstance(last, FullyConnected) and last.bias is not None
        hidden = self.net[1](self.net[0](features.mean(dim=1)))
        weight = last.weight[:1] * last.weight_gain
        return F.linear(hidden, weight, last.bias[:1] * last.bias_gain)[..., 0]
