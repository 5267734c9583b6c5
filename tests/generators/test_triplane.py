"""Tri-planes: which coordinate reads which plane, interpolation, decoding."""

from __future__ import annotations

import math

import pytest
import torch

from engine.generators.triplane import (
    CORRECTED_AXES,
    EG3D_AXES,
    Axes,
    TriplaneDecoder,
    project_to_planes,
    sample_planes,
)


def test_released_axes_read_x_y_then_x_z_then_z_x() -> None:
    point = torch.tensor([[[1.0, 2.0, 3.0]]])
    projected = project_to_planes(point, torch.tensor(EG3D_AXES))[0, :, 0]
    assert projected.tolist() == [[1, 2], [1, 3], [3, 1]]


def test_corrected_axes_read_the_plane_that_was_meant() -> None:
    point = torch.tensor([[[1.0, 2.0, 3.0]]])
    projected = project_to_planes(point, torch.tensor(CORRECTED_AXES))[0, :, 0]
    assert projected.tolist() == [[1, 2], [1, 3], [3, 2]]


@pytest.mark.parametrize("axes", [EG3D_AXES, CORRECTED_AXES])
def test_axes_may_be_numbers(axes: Axes) -> None:
    """What is kept of them serves pictures and learning."""
    points = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for points_of in (points, points.float()):
        with torch.inference_mode():
            found = project_to_planes(points_of, axes)
        assert torch.equal(found, project_to_planes(points_of, torch.tensor(axes)))
    leaf = torch.nn.Parameter(points)
    project_to_planes(leaf, axes).square().sum().backward()
    assert leaf.grad is not None and bool(leaf.grad.any())


def test_first_coordinate_runs_along_the_width() -> None:
    """Planes whose value is the column, then whose value is the row."""
    size, box = 8, 2.0
    ramp = torch.arange(size, dtype=torch.float32)
    column, row = ramp.expand(size, size), ramp[:, None].expand(size, size)
    planes = torch.stack([column, row])[None, None].expand(1, 3, -1, -1, -1)
    x, y, z = 0.25, -0.5, 0.125
    got = sample_planes(planes, torch.tensor([[[x, y, z]]]), box, torch.tensor(EG3D_AXES))[0, :, 0]

    def pixel(coordinate: float) -> float:
        # -box/2 is the outer edge of pixel 0 (align_corners False).
        return (coordinate / box + 0.5) * size - 0.5

    expected = [[pixel(x), pixel(y)], [pixel(x), pixel(z)], [pixel(z), pixel(x)]]
    for plane in range(3):
        assert got[plane].tolist() == pytest.approx(expected[plane], abs=1e-5)


def test_outside_the_box_features_are_zero() -> None:
    planes = torch.ones(1, 3, 2, 4, 4)
    points = torch.tensor([[[0.0, 0.0, 0.0], [0.63, 0.63, 0.63], [0.49, 0.49, 0.49]]])
    got = sample_planes(planes, points, 1.0, torch.tensor(EG3D_AXES))
    assert got.shape == (1, 3, 3, 2)
    assert got[0, :, 0].min() == 1.0
    assert got[0, :, 1].max() == 0.0  # a whole pixel beyond the outermost pixel's middle
    edge = (1 - (0.49 * 4 + 1.5 - 3)) ** 2  # fading out beyond that middle, both ways
    assert got[0, :, 2].flatten().tolist() == pytest.approx([edge] * 6, abs=1e-5)


def test_decoder_by_hand() -> None:
    decoder = TriplaneDecoder(1, out_features=1, hidden=1, lr_multiplier=0.5)
    first, last = decoder.net[0], decoder.net[2]
    first.weight.data.fill_(4.0)
    first.bias.data.fill_(2.0)
    last.weight.data = torch.tensor([[2.0], [-2.0]])
    last.bias.data = torch.tensor([1.0, 3.0])
    density, colour = decoder(torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1))
    hidden = math.log1p(math.exp(3.0 * 4 * 0.5 + 2 * 0.5))
    assert density.item() == pytest.approx(hidden + 0.5, rel=1e-6)
    sigmoid = 1 / (1 + math.exp(hidden - 1.5))
    assert colour.item() == pytest.approx(sigmoid * 1.002 - 0.001, abs=1e-7)


def test_density_alone_equals_density_with_colour() -> None:
    torch.manual_seed(0)
    decoder = TriplaneDecoder(4, out_features=3, hidden=8)
    features = torch.randn(2, 3, 10, 4)
    torch.testing.assert_close(decoder.density(features), decoder(features)[0])


def test_memory_layout_does_not_change_a_sample() -> None:
    torch.manual_seed(0)
    planes, points = torch.randn(1, 3, 8, 16, 16), torch.rand(1, 500, 3) - 0.5
    interleaved = planes[0].contiguous(memory_format=torch.channels_last)[None]
    axes = torch.tensor(EG3D_AXES)
    one = sample_planes(planes, points, 1.0, axes)
    other = sample_planes(interleaved, points, 1.0, axes)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
