"""Whole pictures of every family with the kernels where the family calls them, emulated: they run,
and the picture is torch's up to rounding.

Densities that differ by rounding move importance samples, so pictures are held to what
the family's golden set allows of differences to the authors' picture, but StyleNeRF's, which is
wider than that needs: median, 99th percentile, largest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from engine.frame import Frame
from engine.generators.base import Generator, Quality, latent_from_seed
from engine.generators.registry import open_model
from tests.generators import tiny_eg3d, tiny_stylenerf
from tests.kernels.emulator import emulated

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"


def _golden(name: str) -> Generator:
    folder = GOLDENS / name
    checkpoint = json.loads((folder / "golden.json").read_text())["checkpoint"]
    return open_model(folder / checkpoint, "cpu")


def _eg3d() -> Generator:
    """Sizes that the tri-plane kernels take."""
    config = tiny_eg3d.CONFIG
    return tiny_eg3d.tiny_model(
        plane_channels=24,
        decoder_features=8,
        rendering=replace(config.rendering, depth_resolution=8, depth_resolution_importance=6),
        sr_channels=(8, 4),
    )


Quantiles = tuple[float, float, float]
_EXACT: Quantiles = (2e-6, 2e-5, 2e-5)
_PICTURES, _POINTS = {"activate", "resample"}, {"field_eval"}
#: Model -> kernels that its pictures take, and how far these may be off.
TAKEN: dict[str, tuple[Callable[[], Generator], set[str], Quantiles]] = {
    "eg3d": (_eg3d, {"march_rays"} | _PICTURES, _EXACT),
    "stylesdf": (partial(_golden, "stylesdf"), _POINTS | _PICTURES, _EXACT),
    "stylenerf": (
        partial(_golden, "stylenerf_default"),
        {"field_rays"} | _PICTURES,
        (5e-6, 1e-3, 5e-3),
    ),
    "stylenerf of unit features": (
        partial(tiny_stylenerf.tiny_model, fg_normalized_feat=True),
        _POINTS | {"field_rays"},
        (5e-6, 1e-3, 5e-3),
    ),
    "pigan": (partial(_golden, "pigan"), _POINTS, (5e-6, 5e-4, 5e-3)),
    "cips3d": (partial(_golden, "cips3d"), _POINTS | {"inr_colours"}, (5e-6, 2e-4, 5e-3)),
    "epigraf": (partial(_golden, "epigraf"), _PICTURES, _EXACT),
}


def _drawn(generator: Generator) -> Frame:
    facts = generator.capabilities
    w = generator.map(latent_from_seed(3, facts.z_dim))
    return generator.render(w, facts.default_pose.camera(), Quality(neural_resolution=8))


@pytest.mark.parametrize("name", TAKEN)
def test_pictures(name: str, caplog: pytest.LogCaptureFixture) -> None:
    make, kernels, allowed = TAKEN[name]
    with torch.inference_mode():
        plain = _drawn(make())
        with emulated(orders=(1,)) as emulator, caplog.at_level(logging.WARNING):
            quick = _drawn(make())
    assert caplog.messages == []
    assert kernels <= set(emulator.launched)
    for part in ("rgb", "alpha"):
        difference = (getattr(quick, part) - getattr(plain, part)).abs().flatten()
        for quantile, bound in zip((0.5, 0.99, 1.0), allowed, strict=True):
            assert float(difference.quantile(quantile)) < bound, (part, quantile)
    assert float(plain.rgb.std()) > 0.01
