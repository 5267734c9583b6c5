"""Functions that go into the compiled fields of other files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from engine.kernels import (
    cpu_blur,
    cpu_folded,
    cpu_lazy,
    cpu_march,
    cpu_march_lazy,
    cpu_math,
    cpu_sparse,
    cpu_winograd,
)


@pytest.mark.parametrize(
    ("user", "name", "used"),
    [
        *(
            (user, "MATH", cpu_math)
            for user in (
                cpu_march, cpu_folded, cpu_blur, cpu_sparse, cpu_winograd, cpu_lazy, cpu_march_lazy,
            )
        ),
        (cpu_march_lazy, "MARCH", cpu_march),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_what_was_kept_on_disk_is_made_anew_when_they_change(
    user: ModuleType, name: str, used: ModuleType
) -> None:
    """Numba looks at the file that a function is in: its users' text has to change with theirs."""
    assert used.__file__ is not None
    digest = hashlib.sha256(Path(used.__file__).read_bytes()).hexdigest()[:16]
    told = f"{used.__name__} has changed: write {name} = {digest!r} in {user.__name__}"
    assert vars(user)[name] == digest, told


@cpu_math.compiled()
def _each(x: np.ndarray, powers: np.ndarray, soft: np.ndarray) -> None:
    for s in range(len(x)):
        powers[s] = cpu_math_exp(x[s])
        soft[s] = cpu_math_softplus(x[s])


cpu_math_exp, cpu_math_softplus = cpu_math.exp, cpu_math.softplus


def test_errors_are_as_small_as_said() -> None:
    x = np.linspace(-87.0, 88.0, 200_001, dtype=np.float32)
    powers, soft = np.empty_like(x), np.empty_like(x)
    _each(x, powers, soft)
    expected = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(powers, expected, rtol=1e-7, atol=0.0)
    np.testing.assert_allclose(soft, np.log1p(expected), rtol=3e-7, atol=1e-37)


def test_beyond_its_range_the_power_stays() -> None:
    x = np.array([-1e4, 1e4], np.float32)
    powers, soft = np.empty_like(x), np.empty_like(x)
    _each(x, powers, soft)
    np.testing.assert_allclose(powers, np.exp([-87.0, 88.0]), rtol=1e-7)
    np.testing.assert_allclose(soft, [np.exp(-87.0), 1e4], rtol=3e-7)
