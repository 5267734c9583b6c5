"""FID and KID against values from elsewhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import linalg

from engine.metrics.distances import frechet_distance, kernel_distance, set_distances
from engine.training.bundled import kid


def exact_gaussian(mean: np.ndarray, covariance: np.ndarray, count: int, seed: int) -> torch.Tensor:
    """Points whose sample mean and unbiased sample covariance are exactly these."""
    width = len(mean)
    noise = np.random.default_rng(seed).standard_normal((count, width))
    noise -= noise.mean(0)
    white = noise @ linalg.inv(linalg.sqrtm(np.cov(noise.T).reshape(width, width)).real)
    return torch.tensor(white @ linalg.sqrtm(covariance).real + mean)


def test_fid_of_gaussians_in_one_dimension_is_the_closed_form() -> None:
    # Wasserstein-2 between N(1, 2^2) and N(-2, 5^2): (1 + 2)^2 + (2 - 5)^2.
    a = exact_gaussian(np.array([1.0]), np.array([[4.0]]), 50, 0)
    b = exact_gaussian(np.array([-2.0]), np.array([[25.0]]), 70, 1)
    assert frechet_distance(a, b) == pytest.approx(18.0, rel=1e-9)


def test_fid_of_commuting_covariances_is_the_sum_over_their_axes() -> None:
    random = np.random.default_rng(2)
    axes = linalg.qr(random.standard_normal((6, 6)))[0]
    first, second = random.uniform(0.1, 3, 6), random.uniform(0.1, 3, 6)
    mean = random.standard_normal(6)
    a = exact_gaussian(np.zeros(6), axes @ np.diag(first) @ axes.T, 100, 3)
    b = exact_gaussian(mean, axes @ np.diag(second) @ axes.T, 100, 4)
    expected = (mean**2).sum() + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_fid_is_scipys_matrix_root_in_general_and_symmetric() -> None:
    random = np.random.default_rng(5)
    a = random.standard_normal((90, 12)) @ random.standard_normal((12, 12))
    b = random.standard_normal((75, 12)) @ random.standard_normal((12, 12)) + 0.5
    root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected = apart + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    x, y = torch.tensor(a), torch.tensor(b)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(x.float(), y.float()) == pytest.approx(expected, rel=1e-5)


def test_fid_of_fewer_pictures_than_features_is_still_told() -> None:
    random = np.random.default_rng(6)
    a, b = random.standard_normal((10, 40)), random.standard_normal((12, 40)) + 1
    # tr((S T)^(1/2)) is the sum of the singular values of the product of any square roots.
    roots = [(s - s.mean(0)) / np.sqrt(len(s) - 1) for s in (a, b)]
    cross = linalg.svdvals(roots[0] @ roots[1].T).sum()
    expected = (
        ((a.mean(0) - b.mean(0)) ** 2).sum()
        + (roots[0] ** 2).sum() + (roots[1] ** 2).sum() - 2 * cross
    )  # fmt: skip
    assert frechet_distance(torch.tensor(a), torch.tensor(b)) == pytest.approx(expected, rel=1e-6)
    same = torch.tensor(a)
    assert frechet_distance(same, same) == pytest.approx(0, abs=1e-4)


def brute_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate by its sums, term by term (Binkowski et al. 2018, equation 4)."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    m, n = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i, j in itertools.permutations(range(m), 2)) / (m * (m - 1))
    yy = sum(k(y[i], y[j]) for i, j in itertools.permutations(range(n), 2)) / (n * (n - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


def test_kid_is_the_mean_of_the_estimate_over_subsets() -> None:
    random = np.random.default_rng(7)
    x, y = random.standard_normal((8, 5)), random.standard_normal((8, 5)) + 0.7
    found = kernel_distance(torch.tensor(x), torch.tensor(y), seed=11)
    assert (found.subsets, found.size) == (100, 4)
    state = torch.Generator().manual_seed(11)
    values = []
    for _ in range(100):
        real = torch.randperm(8, generator=state)[:4].numpy()
        drawn = torch.randperm(8, generator=state)[:4].numpy()
        values.append(brute_mmd(y[real], x[drawn]))
    assert found.mean == pytest.approx(np.mean(values), rel=1e-9)
    assert found.spread == pytest.approx(np.std(values), rel=1e-6)


def test_kid_agrees_with_the_one_of_the_bundled_generators_report() -> None:
    random = torch.Generator().manual_seed(8)
    x = torch.randn(60, 16, generator=random, dtype=torch.float64)
    y = torch.randn(60, 16, generator=random, dtype=torch.float64) * 1.3 + 0.4
    ours, other = kernel_distance(x, y), kid.kernel_distance(x, y)
    # The subsets differ; each mean of 100 strays by a tenth of the spread.
    assert abs(ours.mean - other.mean) < 4 * 0.1 * 2**0.5 * other.spread
    assert (ours.subsets, ours.size) == (other.subsets, other.size)


def test_distances_leave_the_random_state_alone_and_repeat() -> None:
    x, y = torch.randn(20, 4), torch.randn(24, 4) + 1
    before = torch.get_rng_state()
    first = set_distances(x, y)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert set_distances(x, y) == first
    assert first.floor is not None and first.floor.mean < first.kid.mean
    assert (first.drawn, first.real) == (20, 24)
    with pytest.raises(ValueError, match="at least 4"):
        set_distances(x[:3], y)
