"""StyleGAN2's blocks against explicit loops and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from engine.generators.stylegan2 import (
    FullyConnected,
    MappingNetwork,
    SynthesisBlock,
    SynthesisLayer,
    SynthesisNetwork,
    activate,
    fir_filter,
    modulated_conv2d,
    num_ws_of,
    stylegan_channels,
    upfirdn2d,
    upsample2d,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_fully_connected_scales_weights_and_bias() -> None:
    layer = FullyConnected(4, 2, activation="lrelu", lr_multiplier=0.5)
    layer.weight.data = torch.tensor([[1.0, 2.0, 3.0, 4.0], [-1.0, -1.0, -1.0, -1.0]])
    layer.bias.data = torch.tensor([2.0, 0.0])  # type: ignore[union-attr]
    y = layer(torch.ones(1, 4))
    # 10 * 0.5 / 2 + 2 * 0.5 = 3.5; -4 * 0.5 / 2 = -1 -> -0.2; both times sqrt(2)
    assert y[0].tolist() == pytest.approx([3.5 * math.sqrt(2), -0.2 * math.sqrt(2)])


def test_fresh_weights_have_unit_gain() -> None:
    """With any multiplier, a fresh layer keeps the variance of its input."""
    for multiplier in (1.0, 0.01):
        y = FullyConnected(512, 512, lr_multiplier=multiplier)(torch.randn(256, 512))
        assert y.std().item() == pytest.approx(1.0, rel=0.05)


def test_activation_adds_bias_first_and_clamps_last() -> None:
    x = torch.tensor([[[[-3.0]], [[300.0]]]])
    y = activate(x, torch.tensor([1.0, 0.0]), "lrelu", clamp=256.0)
    assert y.flatten().tolist() == pytest.approx([-2 * 0.2 * math.sqrt(2), 256.0])
    assert x.flatten().tolist() == [-3.0, 300.0]


@pytest.mark.parametrize("up", [1, 2, 3])
@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (2, 1, 2, 1), (1, 1, 2, 2), (-1, 2, 0, 3)])
def test_upfirdn_is_zero_insertion_padding_and_convolution(
    up: int, down: int, padding: tuple[int, int, int, int]
) -> None:
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64)
    kernel = torch.rand(4, 3, dtype=torch.float64)
    got = upfirdn2d(x, kernel, up, down, padding, gain=1.5)
    for channel in range(2):
        spread = np.zeros((5 * up, 6 * up))
        spread[::up, ::up] = x[0, channel].numpy()
        left, right, top, bottom = padding
        spread = spread[max(-top, 0) :, max(-left, 0) :]
        spread = np.pad(spread, ((max(top, 0), bottom), (max(left, 0), right)))
        expected = convolve2d(spread, kernel.numpy() * 1.5, mode="valid")[::down, ::down]
        np.testing.assert_allclose(got[0, channel].numpy(), expected, atol=1e-12)


def test_upsampling_is_upfirdn_with_the_authors_padding() -> None:
    x, kernel = torch.randn(2, 3, 4, 5), torch.rand(4, 4)
    expected = upfirdn2d(x, kernel, up=2, padding=(2, 1, 2, 1), gain=4.0)
    torch.testing.assert_close(upsample2d(x, kernel), expected)
    flat = upsample2d(torch.ones(1, 1, 8, 8), fir_filter())
    torch.testing.assert_close(flat[..., 2:-2, 2:-2], torch.ones(1, 1, 12, 12))


def explicit_modulated(
    x: torch.Tensor, weight: torch.Tensor, styles: torch.Tensor, demodulate: bool
) -> np.ndarray:
    """The definition: scale, normalise and convolve, one output number at a time."""
    n, _, h, w = x.shape
    o, i, k, _ = weight.shape
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((n, o, h, w))
    for sample in range(n):
        for channel in range(o):
            scaled = weight[channel].numpy() * styles[sample].numpy().reshape(i, 1, 1)
            if demodulate:
                scaled = scaled / math.sqrt((scaled**2).sum() + 1e-8)
            for row in range(h):
                for column in range(w):
                    patch = padded[sample, :, row : row + k, column : column + k]
                    out[sample, channel, row, column] = (patch * scaled).sum()
    return out


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_modulated_convolution_equals_its_definition(demodulate: bool, batch: int) -> None:
    x = torch.randn(batch, 2, 4, 5, dtype=torch.float64)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    styles = torch.randn(batch, 2, dtype=torch.float64)
    got = modulated_conv2d(x, weight, styles, demodulate, padding=1)
    expected = explicit_modulated(x, weight, styles, demodulate)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-9)


def test_upsampling_convolution_equals_zero_insertion() -> None:
    """Transposed convolution, then the FIR: the same as convolving the zero-inserted picture
    with the flipped kernel, and the result is exactly twice as large."""
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    weight, kernel = torch.randn(1, 1, 3, 3, dtype=torch.float64), torch.rand(4, 4).double()
    got = modulated_conv2d(x, weight, torch.ones(1, 1).double(), False, up=2, kernel=kernel)
    spread = np.zeros((7, 7))
    spread[::2, ::2] = x[0, 0].numpy()
    wide = convolve2d(spread, weight[0, 0].numpy(), mode="full")
    expected = convolve2d(np.pad(wide, 1), kernel.numpy() * 4, mode="valid")
    assert got.shape == (1, 1, 8, 8)
    np.testing.assert_allclose(got[0, 0].numpy(), expected, atol=1e-12)


def test_noise_is_added_before_the_bias_and_only_where_asked() -> None:
    layer = SynthesisLayer(2, 3, 4, resolution=5)
    layer.noise_strength.data.fill_(0.7)
    layer.bias.data.fill_(0.3)
    x, w = torch.randn(1, 2, 5, 5), torch.randn(1, 4)
    styles = layer.affine(w)
    plain = modulated_conv2d(x, layer.weight, styles, padding=1)
    noisy = plain + 0.7 * layer.noise_const
    leaky = torch.nn.functional.leaky_relu
    torch.testing.assert_close(
        layer(x, w, "const"), leaky(noisy + 0.3, 0.2) * math.sqrt(2), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        layer(x, w, "none"), leaky(plain + 0.3, 0.2) * math.sqrt(2), rtol=1e-5, atol=1e-6
    )
    assert not torch.equal(layer(x, w, "random"), layer(x, w, "random"))
    with pytest.raises(ValueError, match="stored noise"):
        layer(torch.randn(1, 2, 6, 6), w, "const")


def test_drawing_without_gradients_changes_nothing_but_speed() -> None:
    network = SynthesisNetwork(4, 16, 3, (6, 5, 4))
    ws = torch.randn(2, network.num_ws, 4)
    with_gradients = network(ws)
    kept = ws.clone()
    with torch.no_grad():
        without = network(ws)
    torch.testing.assert_close(with_gradients.detach(), without)
    assert torch.equal(ws, kept)
    with_gradients.sum().backward()
    learning = [n for n, p in network.named_parameters() if p.grad is None]
    assert learning == []


def test_rows_of_ws_go_where_the_authors_use_them() -> None:
    """Row 0 and 1 serve b4; each further block takes two, and torgb shares the next row."""
    network = SynthesisNetwork(4, 16, 3, (6, 5, 4))
    assert network.num_ws == num_ws_of(16) == 6 and num_ws_of(256) == 14
    seen: dict[str, int] = {}
    ws = torch.arange(6, dtype=torch.float32).reshape(1, 6, 1).expand(-1, -1, 4)
    for name, module in network.named_modules():
        if name.endswith("affine"):
            module.register_forward_pre_hook(
                lambda _, args, name=name: seen.__setitem__(name, int(args[0][0, 0]))
            )
    network(ws)
    assert seen == {
        "b4.conv1.affine": 0,
        "b4.torgb.affine": 1,
        "b8.conv0.affine": 1,
        "b8.conv1.affine": 2,
        "b8.torgb.affine": 3,
        "b16.conv0.affine": 3,
        "b16.conv1.affine": 4,
        "b16.torgb.affine": 5,
    }


def test_block_without_upsampling_keeps_the_picture() -> None:
    block = SynthesisBlock(4, 5, 3, resolution=8, img_channels=3, upsample=False)
    x, img, ws = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 8, 8), torch.randn(1, 3, 3)
    features, out = block(x, img, ws, "none")
    assert features.shape == (1, 5, 8, 8) and out.shape == (1, 3, 8, 8)
    torch.testing.assert_close(out - img, block.torgb(features, ws[:, 2]), rtol=1e-4, atol=1e-5)


def test_mapping_truncates_only_the_rows_before_the_cutoff() -> None:
    network = MappingNetwork(6, 0, 5, num_ws=4, num_layers=3)
    network.w_avg.copy_(torch.randn(5))
    z = torch.randn(2, 6)
    full, half = network(z), network(z, psi=0.5, cutoff=1)
    torch.testing.assert_close(half[:, 0], network.w_avg + 0.5 * (full[:, 0] - network.w_avg))
    assert torch.equal(half[:, 1:], full[:, 1:])
    torch.testing.assert_close(network(z, psi=0.0), network.w_avg.expand(2, 4, 5))
    # Only the direction of z counts.
    torch.testing.assert_close(network(z * 7), full)


def test_mapping_by_hand_with_conditioning() -> None:
    network = MappingNetwork(1, 1, 1, num_ws=2, num_layers=1, lr_multiplier=0.5)
    network.embed.weight.data.fill_(2.0)
    network.embed.bias.data.fill_(1.0)  # type: ignore[union-attr]
    fc0 = network.get_submodule("fc0")
    fc0.weight.data = torch.tensor([[3.0, 5.0]])
    fc0.bias.data = torch.tensor([4.0])
    # z = -2 -> -1; c = 1 -> 3 -> 1; (-3 + 5) * 0.5 / sqrt(2) + 4 * 0.5, times sqrt(2)
    got = network(torch.tensor([[-2.0]]), torch.tensor([[1.0]]))
    assert got.flatten().tolist() == pytest.approx([1 + 2 * math.sqrt(2)] * 2, rel=1e-6)


def test_average_follows_the_batch_when_training() -> None:
    network = MappingNetwork(6, 0, 5, num_ws=4, w_avg_beta=0.9)
    z = torch.randn(8, 6)
    mean = network(z)[:, 0].mean(dim=0)
    network(z, update_average=True)
    torch.testing.assert_close(network.w_avg, 0.1 * mean.detach())


def test_channel_rule() -> None:
    assert stylegan_channels(256, 32768, 512) == (512, 512, 512, 512, 512, 256, 128)
