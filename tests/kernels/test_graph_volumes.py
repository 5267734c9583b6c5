"""Recorded volumes: our kernels in them, and what is packed for these."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch

from engine.frame import Frame
from engine.generators.base import Generator, Quality, latent_from_seed
from engine.kernels import graphs, triplane
from engine.kernels.field import packed_once
from engine.kernels.inr import InrLayers
from engine.kernels.inr import packed_once as packed_inr
from engine.kernels.recording import is_recording, recording
from tests.generators import tiny_cips3d, tiny_pigan, tiny_stylenerf
from tests.kernels.emulator import emulated
from tests.kernels.emulator.graph import recorded
from tests.kernels.test_field import make_field
from tests.kernels.test_wiring import _eg3d

MODELS: dict[str, Callable[[], Generator]] = {
    "eg3d": _eg3d,
    "stylenerf": tiny_stylenerf.tiny_model,
    "cips3d": tiny_cips3d.tiny_model,
    "pigan": tiny_pigan.tiny_model,
}


@pytest.mark.parametrize(
    ("name", "kernel", "entry"),
    [
        ("eg3d", "march", "march_rays"),
        ("stylenerf", "rays", "field_rays"),
        ("cips3d", "field", "field_eval"),
        ("pigan", "field", "field_eval"),
    ],
)
def test_volumes_by_our_kernels(
    name: str,
    kernel: str,
    entry: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is packed for a kernel is part of the recording: a second face's planes are packed by its replays."""
    monkeypatch.setenv("MAQUETTE_KERNELS", f"graphs,{kernel}")
    # Only the volume is recorded: what follows it is tested above.
    facts = (generator := MODELS[name]()).capabilities
    quality = Quality(neural_resolution=5, upsample=False)
    views = [(seed, 3.0 * step) for seed, count in ((3, 4), (4, 2)) for step in range(count)]

    def drawn() -> list[Frame]:
        frames = []
        for seed, turn in views:
            w = generator.map(latent_from_seed(seed, facts.z_dim))
            camera = facts.default_pose.turned(turn, 0.0).camera()
            frames.append(generator.render(w, camera, quality))
        return frames

    with torch.inference_mode(), emulated(orders=(1,)) as runner, recorded() as recorder:
        assert graphs.recordings.problem(torch.zeros(1)) is None
        recorder.tapes.clear()
        with caplog.at_level(logging.WARNING):
            quick = drawn()
        assert caplog.messages == [] and entry in runner.launched
        assert [tape.replays for tape in recorder.tapes] == ([5] if name == "eg3d" else [3, 1])
        with graphs.recording_with(None):  # type: ignore[arg-type]
            plain = drawn()
    for one, other in zip(quick, plain, strict=True):
        for part in ("rgb", "depth", "alpha"):
            assert torch.equal(getattr(one, part), getattr(other, part)), part
    assert not torch.equal(quick[3].rgb, quick[4].rgb)


def test_nothing_that_is_kept_is_recorded() -> None:
    """Planes, layers and implicit networks are packed anew by each recording, and what was packed then is kept by nobody."""
    cache = triplane.PackCache(lambda planes, _: planes.clone(), lambda decoder: object())
    planes, layers = torch.zeros(1, 3, 2, 2, 2), make_field(8, 2)
    inr = InrLayers([torch.ones(8, 8)] * 2, [(torch.ones(3, 8), torch.ones(3))], 1, 0, 0.2)
    kept, packed, colours = (
        cache.planes(planes, 0, torch.float32),
        packed_once(layers.layers[0][0], lambda: layers),
        packed_inr(inr),
    )
    with recording():
        assert cache.planes(planes, 0, torch.float32) is not kept
        assert packed_once(layers.layers[0][0], lambda: layers) is not packed
        assert packed_inr(inr) is not colours
        with recording():
            pass
        assert is_recording()
    assert not is_recording()
    assert cache.planes(planes, 0, torch.float32) is kept
    assert packed_once(layers.layers[0][0], lambda: layers) is packed
    assert packed_inr(inr) is colours
