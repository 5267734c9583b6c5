"""What every family's drawing needs."""

from __future__ import annotations

import numpy as np
import torch

from engine.generators.evaluation import frozen_mean


def test_frozen_mean_is_that_of_ten_thousand_latents_of_one_seed() -> None:
    mapping = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    weight, bias = mapping[0].weight.detach().numpy(), mapping[0].bias.detach().numpy()
    z = np.random.RandomState(0).randn(10_000, 3)
    expected = np.maximum(z @ weight.T + bias, 0).mean(axis=0)
    mean = frozen_mean(mapping, 3)
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-6)
    assert torch.equal(frozen_mean(mapping, 3), mean)
