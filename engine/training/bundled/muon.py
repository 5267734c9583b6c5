"""An optimiser for matrices: every direction of a step is as long as every other (Muon).

A gradient of a matrix is dominated by few directions: Adam goes far along these and hardly
moves along the rest. Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers") replaces the gradient's
singular values by ones. From nothing, on the heads' radiance fields, half of Adam's steps give the same loss
(numbers: ``CONTRIBUTING.md``). Steps are as large, root mean square, as Adam's (Liu et al. 2025,
"Muon is scalable for LLM training", equation 4), so that one rate serves both. What is no matrix goes by Adam.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

#: Of the polynomial ``a x + b x^3 + c x^5``, which applied five times brings singular values of 0.003 to 1
#: between 0.7 and 1.2; Jordan et al. have found these.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
#: Root mean square of what Adam adds to a weight, in rates, where gradients are mostly noise.
ADAM_LIKE = 0.2
#: Matrices of a smaller norm are nearly nothing, and stay so.
SMALLEST = 1e-15
#: Matrices this many times as wide as high, or wider, are orthogonalised by the squares of their shorter side.
WIDE = 1.3
#: Thinner matrices than this go by Adam: a bias beside them would be as good a matrix.
THINNEST = 16


class Muon(torch.optim.Optimizer):
    """Muon for matrices and convolutions, Adam for all else.

    A convolution's weight ``[out, in, k, k]`` is the matrix ``[out, in * k * k]``.

    Args:
        groups: parameters; each group's ``lr`` is to be set before the first step.
        betas, eps: of Adam.
        momentum: of matrices (Nesterov's).
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-9,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(
            list(groups), {"lr": 0.0, "betas": betas, "eps": eps, "momentum": momentum}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        with _all_bits():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        move = _along_matrix if is_matrix(parameter) else _along_numbers
                        move(parameter, parameter.grad, group, self.state[parameter])


@contextmanager
def _all_bits() -> Iterator[None]:
    """Products in full float32: with the 11 bits of TF32 small singular values of a matrix that is nearly
    of rank 1 would come out as 20, not as 1."""
    products = torch.backends.cuda.matmul
    before = products.allow_tf32
    products.allow_tf32 = False
    try:
        yield
    finally:
        products.allow_tf32 = before


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter is moved as a matrix."""
    return parameter.dim() >= 2 and min(len(parameter), parameter[0].numel()) >= THINNEST


def _along_matrix(
    parameter: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]
) -> None:
    if not state:
        state["momentum"] = torch.zeros_like(parameter)
    momentum: Tensor = state["momentum"]
    momentum.mul_(group["momentum"]).add_(gradient)
    direction = orthogonal(gradient.add(momentum, alpha=group["momentum"]).flatten(1))
    length = ADAM_LIKE * math.sqrt(max(direction.shape))
    parameter.add_(direction.view_as(parameter), alpha=-group["lr"] * length)


def _along_numbers(
    parameter: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]
) -> None:
    if not state:
        state["step"] = 0
        state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
    state["step"] += 1
    first, second = group["betas"]
    mean: Tensor = state["mean"].lerp_(gradient, 1.0 - first)
    square: Tensor = state["square"].lerp_(gradient.square(), 1.0 - second)
    spread = (square / (1.0 - second ** state["step"])).sqrt_().add_(group["eps"])
    parameter.addcdiv_(mean, spread, value=-group["lr"] / (1.0 - first ** state["step"]))


def orthogonal(matrix: Tensor) -> Tensor:
    """``[m, n]`` -> about ``U V^T`` of its singular value decomposition."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    # Smaller numbers' squares are nothing in float32, and so would their norm be.
    wide = wide / wide.norm().clamp_min(SMALLEST)
    # Ten products with the whole matrix and five of the shorter side's size, or two and seventeen.
    turned = _by_products(wide) if wide.shape[1] < WIDE * wide.shape[0] else _by_squares(wide)
    return turned if matrix.shape[0] <= matrix.shape[1] else turned.T


def _by_products(matrix: Tensor) -> Tensor:
    """``X <- (a + b A + c A^2) X`` with ``A = X X^T``, as it is written."""
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = matrix @ matrix.T
        inner = torch.addmm(square, square, square, beta=b, alpha=c)
        matrix = torch.addmm(matrix, inner, matrix, beta=a)
    return matrix


def _by_squares(matrix: Tensor) -> Tensor:
    """The same for wide matrices. The iteration needs ``A`` alone: with ``P`` for the bracket, the next ``A``
    is ``P A P``, and the matrix has to be multiplied only by the product of all brackets."""
    a, b, c = COEFFICIENTS
    square = matrix @ matrix.T
    whole: Tensor | None = None
    for left in reversed(range(ITERATIONS)):
        bracket = torch.addmm(square, square, square, beta=b, alpha=c)
        bracket.diagonal().add_(a)
        whole = bracket if whole is None else bracket @ whole
        if left:
            square = bracket @ square @ bracket
    assert whole is not None
    return whole @ matrix
