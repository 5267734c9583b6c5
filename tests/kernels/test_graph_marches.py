"""Recorded rays of CIPS-3D, pi-GAN and EpiGRAF, a chunk at a time: what changes from picture to picture comes in, what
is gone is not read, and drawing can be stopped in between."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from engine.capabilities import SettingValue
from engine.errors import Cancelled
from engine.frame import Frame
from engine.generators import epigraf_field
from engine.generators.base import CancelToken, Generator, Quality, latent_from_seed
from engine.generators.cips3d import CIPS3D
from engine.generators.pigan import PiGAN
from engine.kernels import graphs
from engine.rendering import nerf_march
from tests.generators import tiny_cips3d, tiny_epigraf, tiny_pigan
from tests.kernels.emulator import emulated
from tests.kernels.emulator.graph import GraphEmulator, as_on_a_gpu, recorded

MODELS: dict[str, Callable[[], Generator]] = {
    "cips3d": tiny_cips3d.tiny_model,
    "pigan": tiny_pigan.tiny_model,
    "epigraf": tiny_epigraf.tiny_model,
}
every_family = pytest.mark.parametrize("name", MODELS)


EIGHT = Quality(neural_resolution=8)


@dataclass(frozen=True)
class Shot:
    """One picture. ``away`` multiplies the camera's distance."""

    seed: int = 3
    yaw: float = 0.0
    away: float = 1.0
    fov: float = 1.0
    quality: Quality = EIGHT
    settings: Mapping[str, SettingValue] = field(default_factory=dict)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[GraphEmulator]:
    """Recordings on the CPU of what torch does on a GPU."""
    as_on_a_gpu(monkeypatch)
    with torch.inference_mode(), emulated(orders=(1,)), recorded() as made:
        assert graphs.recordings.problem(torch.zeros(1)) is None
        made.tapes.clear()
        yield made


def drawn(generator: Generator, shot: Shot, cancel: CancelToken | None = None) -> Frame:
    facts = generator.capabilities
    generator.adjust(shot.settings)
    w = generator.map(latent_from_seed(shot.seed, facts.z_dim))
    pose = facts.default_pose.turned(shot.yaw, 0.0)
    pose = replace(pose, radius=pose.radius * shot.away, fov_y=pose.fov_y * shot.fov)
    return generator.render(w, pose.camera(), shot.quality, cancel or CancelToken())


def same(one: Frame, other: Frame) -> bool:
    return all(
        torch.equal(getattr(one, part), getattr(other, part))
        for part in ("rgb", "raw", "depth", "alpha")
    )


def held_against_plain(generator: Generator, shots: list[Shot]) -> list[Frame]:
    """The pictures, each with the plain call's bits."""
    quick = [drawn(generator, shot) for shot in shots]
    with graphs.recording_with(None):  # type: ignore[arg-type]
        plain = [drawn(generator, shot) for shot in shots]
    for shot, one, other in zip(shots, quick, plain, strict=True):
        assert same(one, other), shot
    return quick


def replays(recorder: GraphEmulator) -> list[int]:
    return [tape.replays for tape in recorder.tapes]


def in_chunks(monkeypatch: pytest.MonkeyPatch, samples: int) -> None:
    monkeypatch.setitem(nerf_march.CHUNK_SAMPLES, "cpu", samples)
    monkeypatch.setattr(epigraf_field, "_CPU_CHUNK", samples)


@every_family
def test_chunks_of_one_size_are_one_recording(
    name: str, recorder: GraphEmulator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    in_chunks(monkeypatch, 60)  # 64 rays of 6 samples: six chunks of 10 and one of 4
    with caplog.at_level(logging.WARNING):
        held_against_plain(MODELS[name](), [Shot(yaw=4.0 * step) for step in range(3)])
    assert caplog.messages == []
    # Of the first picture's chunks all but one; the last chunk of the second picture and the third. What follows in CIPS-3D
    # is one for the whole picture.
    assert replays(recorder) == [17, 2, 2][: 3 if name == "cips3d" else 2]


@every_family
def test_a_picture_may_be_stopped_between_replays(
    name: str, recorder: GraphEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_chunks(monkeypatch, 60)
    generator, asked = MODELS[name](), 0

    def after(count: int) -> bool:
        nonlocal asked
        asked += 1
        return asked > count

    stopped = 0
    for count in (2, 3, 5, 7):
        asked = 0
        with pytest.raises(Cancelled):
            drawn(generator, Shot(yaw=50.0), CancelToken(lambda count=count: after(count)))
        stopped += asked == count + 1
        held_against_plain(generator, [Shot(yaw=4.0 * count)])
    assert stopped == 4 and recorder.tapes[0].replays > 20


#: What else a picture may be than the last one was, beside its camera and face.
CHOICES: dict[str, list[Shot]] = {
    "cips3d": [
        Shot(settings={"white_back": True}),
        Shot(settings={"last_back": True}),
        Shot(settings={"activation": "softplus"}),
        Shot(settings={"samples_per_pass": 9}),
        Shot(quality=replace(EIGHT, blocks=0.7)),
        Shot(quality=replace(EIGHT, upsample=False)),
    ],
    "pigan": [
        Shot(settings={"lock_view_dependence": True}),
        Shot(settings={"last_back": False}),
        Shot(settings={"steps": 9}),
        Shot(settings={"range": "cats"}),
    ],
    "epigraf": [Shot(quality=replace(EIGHT, samples=2.0))],
}


@every_family
def test_what_is_chosen_is_drawn(
    name: str,
    recorder: GraphEmulator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each choice beside the usual picture, in turns."""
    monkeypatch.setattr(graphs, "MOST", 32)
    shots = [Shot(), *CHOICES[name], Shot(quality=Quality(neural_resolution=6, samples=0.7))]
    generator = MODELS[name]()
    with caplog.at_level(logging.WARNING):
        frames = held_against_plain(
            generator, [replace(shot, yaw=3.0 * turn) for turn in range(5) for shot in shots]
        )
    assert caplog.messages == []
    # The depth range enters with the samples; what follows the rays in CIPS-3D depends on neither samples nor density.
    assert len(recorder.tapes) == {"cips3d": 9, "pigan": 5, "epigraf": 3}[name]
    assert min(replays(recorder)) >= 4
    for shot, one in list(zip(shots, frames, strict=False))[1:-1]:
        assert not same(one, frames[0]), shot


@every_family
def test_cameras_and_depths_enter(name: str, recorder: GraphEmulator) -> None:
    """No camera has a recording of its own, wherever it stands."""
    shots = [
        Shot(yaw=3.0 * step, away=1.0 + 0.01 * step, fov=1.0 - 0.03 * step) for step in range(6)
    ]
    frames = held_against_plain(MODELS[name](), shots)
    assert replays(recorder) == ([5, 5] if name == "cips3d" else [5])
    assert not any(same(one, other) for one, other in pairwise(frames))


@every_family
def test_faces_have_recordings_of_their_own_which_go_with_them(
    name: str, recorder: GraphEmulator
) -> None:
    generator, each = MODELS[name](), 2 if name == "cips3d" else 1
    turns = [Shot(seed, yaw=5.0 * turn) for turn in range(4) for seed in (3, 4)]
    frames = held_against_plain(generator, turns)
    assert not same(frames[-1], frames[-2])
    assert graphs.kept() == 2 * each
    for seed in range(10, 14):  # as many as are remembered at most
        drawn(generator, Shot(seed))
    gc.collect()
    drawn(generator, Shot(14))
    assert graphs.kept() == 0


def replace_weights(layer: nn.Linear) -> None:
    """Others in their place, and nobody holds the old ones."""
    layer.weight = nn.Parameter(layer.weight * 0.7, requires_grad=False)
    layer.bias = nn.Parameter(layer.bias + 0.1, requires_grad=False)
    gc.collect()


def constants(generator: Generator) -> list[nn.Linear]:
    """Layers of the model's own that its recordings read."""
    layers: list[nn.Module] = []
    if isinstance(generator, PiGAN):
        siren = generator.network.siren
        layers = [siren.final_layer, siren.color_layer_linear[0]]
    elif isinstance(generator, CIPS3D):
        network = generator.network
        layers = [
            network.siren.get_submodule("network.1.linear"),
            network.siren.final_layer,
            network.aux_to_rbg[0],
            network.inr_net.get_submodule("to_rgbs.64.linear"),
        ]
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(("name", "count"), [("cips3d", 4), ("pigan", 2)])
def test_the_models_own_weights_may_change_and_be_replaced(
    name: str, count: int, recorder: GraphEmulator
) -> None:
    generator = MODELS[name]()
    layers = constants(generator)
    assert len(layers) == count
    shots = [Shot(yaw=5.0 * turn) for turn in range(4)]
    for layer in layers:
        before = held_against_plain(generator, shots)
        made = len(recorder.tapes)
        layer.weight.mul_(1.3)
        changed = held_against_plain(generator, shots)
        assert len(recorder.tapes) == made and not same(before[3], changed[3])
        replace_weights(layer)
        replaced = held_against_plain(generator, shots)
        assert len(recorder.tapes) > made and not same(changed[3], replaced[3])


BACKGROUNDS = {
    "plane": lambda: tiny_epigraf.tiny_model(background="plane"),
    "sphere": lambda: tiny_epigraf.tiny_model(background="sphere"),
    "backdrop": lambda: tiny_cips3d.tiny_model(backdrop=0.8),
}


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_backgrounds(name: str, recorder: GraphEmulator, caplog: pytest.LogCaptureFixture) -> None:
    """EpiGRAF's, whose sphere is asked for where light is left, are drawn as ever behind what is replayed."""
    with caplog.at_level(logging.WARNING):
        held_against_plain(BACKGROUNDS[name](), [Shot(yaw=4.0 * step) for step in range(5)])
    assert caplog.messages == []
    assert replays(recorder) == ([4, 4] if name == "backdrop" else [4])


def test_an_implicit_network_of_one_launch_is_not_recorded(
    recorder: GraphEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAQUETTE_KERNELS", "graphs,inr")
    generator = tiny_cips3d.tiny_model()
    held_against_plain(generator, [Shot(yaw=4.0 * step) for step in range(4)])
    assert replays(recorder) == [3]
