"""Whole pictures of every family with the kernels where the family calls them, emulated: they run,
and the picture is torch's up to rounding."""

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
from tests.generators import tiny_eg3d
from tests.kernels.emulator import emulated
from tests.kernels.fields import worst

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


#: Model -> kernels that its pictures take.
TAKEN: dict[str, tuple[Callable[[], Generator], set[str]]] = {
    "eg3d": (_eg3d, {"march_rays", "activate", "resample"}),
    "stylesdf": (partial(_golden, "stylesdf"), {"activate", "resample"}),
    "stylenerf": (partial(_golden, "stylenerf_default"), {"activate", "resample"}),
    "epigraf": (partial(_golden, "epigraf"), {"activate", "resample"}),
}


def _drawn(generator: Generator) -> Frame:
    facts = generator.capabilities
    w = generator.map(latent_from_seed(3, facts.z_dim))
    return generator.render(w, facts.default_pose.camera(), Quality(neural_resolution=8))


@pytest.mark.parametrize("name", TAKEN)
def test_pictures(name: str, caplog: pytest.LogCaptureFixture) -> None:
    make, kernels = TAKEN[name]
    with torch.inference_mode():
        plain = _drawn(make())
        with emulated(orders=(1,)) as emulator, caplog.at_level(logging.WARNING):
            quick = _drawn(make())
    assert caplog.messages == []
    assert kernels <= set(emulator.launched)
    assert worst(quick.rgb, plain.rgb) < 2e-5
    assert worst(quick.alpha, plain.alpha) < 2e-5
    assert float(plain.rgb.std()) > 0.01
