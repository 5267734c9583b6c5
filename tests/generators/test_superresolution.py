"""Super-resolution: the four layouts, resizing, rows and noise."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.superresolution import SR_LAYOUTS, SuperResolution
from tests.kernels.emulator import emulated


def made(
    first_upsamples: bool = True, antialias: bool = True, noise: str = "none"
) -> SuperResolution:
    torch.manual_seed(0)
    module = SuperResolution(
        6,
        (5, 4),
        8,
        first_upsamples,
        w_dim=3,
        antialias=antialias,
        noise_mode=noise,  # type: ignore[arg-type]
    )
    for name, parameter in module.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    return module.requires_grad_(False)


def inputs(side: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    features = torch.randn(1, 6, side, side)
    return features[:, :3], features, torch.randn(1, 10, 3)


def test_authors_layouts() -> None:
    facts = {
        name[len("SuperresolutionHybrid") :]: (x.channels, x.factor)
        for name, x in SR_LAYOUTS.items()
    }
    assert facts["8XDC"] == ((256, 128), 4)
    assert facts["8X"] == ((128, 64), 4)
    assert facts["4X"] == facts["2X"] == ((128, 64), 2)


@pytest.mark.parametrize(("first_upsamples", "side"), [(True, 32), (False, 16)])
def test_output_size_for_any_input_size(first_upsamples: bool, side: int) -> None:
    module = made(first_upsamples)
    for given in (5, 8, 13):
        assert module(*inputs(given)).shape == (1, 3, side, side)


@pytest.mark.parametrize("antialias", [True, False])
def test_other_sizes_are_resized_bilinearly_first(antialias: bool) -> None:
    module = made(antialias=antialias)
    rgb, features, ws = inputs(13)

    def resized(x: Tensor) -> Tensor:
        return F.interpolate(x, (8, 8), mode="bilinear", align_corners=False, antialias=antialias)

    assert torch.equal(module(rgb, features, ws), module(resized(rgb), resized(features), ws))


def test_only_the_last_row_counts() -> None:
    module = made()
    rgb, features, ws = inputs(8)
    changed = ws.clone()
    changed[:, :-1] += 1
    assert torch.equal(module(rgb, features, ws), module(rgb, features, changed))
    changed[:, -1] += 1
    assert not torch.equal(module(rgb, features, ws), module(rgb, features, changed))


def test_noise_is_the_models_own_setting() -> None:
    rgb, features, ws = inputs(8)
    silent, noisy = made(noise="none"), made(noise="const")
    assert not torch.equal(silent(rgb, features, ws), noisy(rgb, features, ws))
    assert torch.equal(noisy(rgb, features, ws), noisy(rgb, features, ws))


def test_huge_activations_are_clamped() -> None:
    module = made()
    module.block1.conv1.bias.fill_(1e6)
    rgb, features, ws = inputs(8)
    x, _ = module.block0(features, rgb, ws[:, -1:].expand(-1, 3, -1), "none")
    x, _ = module.block1(x, None, ws[:, -1:].expand(-1, 3, -1), "none")
    assert x.max() == 256.0


@torch.inference_mode()
@pytest.mark.parametrize(("first_upsamples", "resampled"), [(True, 4), (False, 2)])
def test_on_a_gpu_every_layer_is_drawn_by_the_kernels(
    first_upsamples: bool, resampled: int
) -> None:
    """Which take rows, as they come: channels innermost they would leave to torch."""
    module, (rgb, features, ws) = made(first_upsamples), inputs(8)
    module.input_resolution = 32
    plain = module(rgb, features, ws)
    with emulated(orders=(1,)) as emulator:
        module(rgb, features, ws)  # kernels are tried out at their first use
        emulator.launched.clear()
        drawn = module(rgb, features, ws)
    assert emulator.launched.count("activate") >= 4
    assert emulator.launched.count("resample") == resampled
    torch.testing.assert_close(drawn, plain, atol=1e-4, rtol=0)
