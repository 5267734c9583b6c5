"""The EpiGRAF family: options and files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.checkpoints import read_checkpoint
from engine.checkpoints.plain import Checkpoint, Node
from engine.errors import CheckpointError, UserError
from engine.generators.epigraf import FAMILY, EpiGRAF, EpiGRAFConfig, EpiGRAFNetwork
from tests import forks
from tests.generators.tiny_epigraf import (
    CONFIG,
    as_omegaconf,
    experiment,
    lazy,
    pickled,
    tiny_model,
    tiny_network,
    z_of,
)

CPU = torch.device("cpu")
GOLDENS = Path(__file__).parents[1] / "data" / "goldens"


def tensors_of(network: EpiGRAFNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def generator_options(config: EpiGRAFConfig = CONFIG) -> dict[str, Any]:
    """The generator's section by itself, with its data set in place."""
    whole = experiment(config)
    options: dict[str, Any] = whole["model"]["generator"]
    return options | {"dataset": whole["dataset"], "num_ray_steps": config.num_ray_steps}


# ---- options ------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, EpiGRAFConfig(), EpiGRAFConfig(background="sphere")])
def test_config_survives_json(config: EpiGRAFConfig) -> None:
    data = json.loads(json.dumps(config.to_json()))
    assert EpiGRAFConfig.from_json(data) == config
    assert None not in data.values()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plane_resolution": 100, "block_channels": ()}, "power of two"),
        ({"block_channels": (4, 4)}, "block widths"),
        ({"background": "cube"}, "'cube' is unknown"),
        ({"clamp_mode": "exp"}, "'softplus' or 'relu'"),
        ({"cube_scale": 0.0}, "cube_scale must be above 0"),
        ({"ray_end": 0.9}, "end behind their start"),
        ({"num_ray_steps": 3}, "4 or more"),
        ({"fov": 0.5}, "1 to 120"),
        ({"bg_start": 1.5}, "inside the unit sphere"),
        ({"bg_steps": 1}, "bg_steps must be 2 or more"),
        ({"img_resolution": 1}, "img_resolution must be 4"),
    ],
)
def test_contradicting_options_are_told(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(CONFIG, **change)


@pytest.mark.parametrize(
    "broken",
    [{"odd": 1}, {"z_dim": "many"}, {"z_dim": -1}, {"w_dim": 1 << 40}, {"fov": math.nan},
     {"white_back": 1}, {"mlp_channels": [1.5]}, {"mlp_channels": 3}, {"yaw_range": [1]},
     {"block_channels": [4.5, 4, 4]}, {"background": None}, {"plane_resolution": "big"},
     {"num_ray_steps": 1 << 30}],
)  # fmt: skip
def test_unreadable_options_are_told(broken: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        EpiGRAFConfig.from_json(CONFIG.to_json() | broken)


# ---- files --------------------------------------------------------------------------------

VARIANTS: list[dict[str, Any]] = [
    {},
    {"c_dim": 3, "camera_cond": True, "last_back": True, "embed_features": 5},
    {"camera_cond": True, "clamp_mode": "relu", "yaw_range": (-180.0, 180.0),
     "pitch_range": (-89.0, 89.0)},
    {"background": "plane", "white_back": True, "use_noise": True},
    {"background": "sphere", "bg_channels": (9, 7, 5), "bg_frequencies": 3, "bg_scale": 8.0,
     "bg_steps": 5, "bg_start": 0.9},
]  # fmt: skip


@pytest.mark.parametrize("changes", VARIANTS)
def test_every_option_is_read_off_the_file(changes: dict[str, Any]) -> None:
    network = tiny_network(replace(CONFIG, **changes))
    checkpoint = pickled(network)
    assert FAMILY.matches(checkpoint)
    source = FAMILY.source(checkpoint)
    read = EpiGRAFConfig.from_json(json.loads(json.dumps(source.config)))
    assert read == network.config
    assert bool(source.assumptions) == bool(read.c_dim)
    model = FAMILY.build(source.config, {k: v.load() for k, v in source.tensors.items()}, CPU)
    assert isinstance(model, EpiGRAF)
    reference = EpiGRAF(network, CPU)
    w = reference.map(z_of(), psi=0.6)
    assert torch.equal(model.map(z_of(), psi=0.6), w)
    camera = model.capabilities.default_pose.camera()
    assert torch.equal(model.render(w, camera).rgb, reference.render(w, camera).rgb)


@pytest.mark.parametrize("kind", ["plain", "easydict", "omegaconf"])
def test_the_configuration_may_be_of_any_kind(kind: str) -> None:
    def easy(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        items = {key: easy(item) for key, item in value.items()}
        return Node("src.dnnlib.util.EasyDict", (), {"[items]": items})

    wrap = {"plain": lambda value: value, "easydict": easy, "omegaconf": as_omegaconf}[kind]
    source = FAMILY.source(pickled(tiny_network(), cfg=wrap(generator_options())))
    assert EpiGRAFConfig.from_json(source.config) == CONFIG
    assert source.assumptions == ()


def test_older_files() -> None:
    """``dataset.sampling``, ``view_hid_dim`` and no ``density_shift``."""
    network = tiny_network(replace(CONFIG, density_shift=0.0))
    options = generator_options(network.config)
    options["dataset"]["sampling"] = options["dataset"].pop("camera")
    options["tri_plane"] = {"view_hid_dim": 0}
    del options["density_shift"], options["camera_cond"]
    checkpoint = pickled(network, cfg=as_omegaconf(options), _init_kwargs={})
    assert EpiGRAFConfig.from_json(FAMILY.source(checkpoint).config) == network.config


def test_what_the_file_does_not_state_is_said() -> None:
    options = {"cbase": 64, "cmax": 6}
    checkpoint = pickled(tiny_network(), cfg=options)
    inner = checkpoint.root["G_ema"].state["_modules"]["synthesis"]
    del inner.state["test_resolution"]
    source = FAMILY.source(checkpoint)
    read = EpiGRAFConfig.from_json(source.config)
    assert (read.cube_scale, read.fov, read.radius) == (0.2, 12.0, 1.0)
    assert (read.ray_start, read.ray_end, read.img_resolution) == (0.88, 1.12, 256)
    assert any("fov, radius, ray_start, ray_end, cube_scale" in s for s in source.assumptions)
    assert any("256 pixels" in s for s in source.assumptions)


def test_views_and_positions_are_refused() -> None:
    for planes, words in (
        ({"has_view_cond": True}, "depend on the view"),
        ({"view_hid_dim": 32}, "depend on the view"),
        ({"posenc_period_len": 8}, "positions"),
    ):
        options = generator_options() | {"tri_plane": planes}
        with pytest.raises(CheckpointError, match=words):
            FAMILY.source(pickled(tiny_network(), cfg=options))


@pytest.mark.parametrize("stated", ["plane", "sphere"])
def test_a_background_that_is_not_there_is_told(stated: str) -> None:
    options = generator_options() | {"bg_model": {"type": stated}}
    with pytest.raises(CheckpointError, match=f"states the background '{stated}'"):
        FAMILY.source(pickled(tiny_network(), cfg=options))


def test_labels_that_do_not_fit_are_told() -> None:
    network = tiny_network(replace(CONFIG, c_dim=3))
    with pytest.raises(CheckpointError, match="its mapping takes 3 numbers"):
        FAMILY.source(pickled(network, c_dim=1))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("", "density_shift", "much"), ("", "num_ray_steps", 3.5), ("", "clamp_mode", "exp"), ("", "bg_model", {"type": "cube"}),
     ("dataset", "cube_scale", math.inf), ("dataset", "cube_scale", -1.0),
     ("camera", "fov", [12]), ("camera", "ray_end", 0.1)],
)  # fmt: skip
def test_unusable_options_in_a_file_are_told(section: str, key: str, value: Any) -> None:
    options = generator_options()
    place = {"": options, "dataset": options["dataset"], "camera": options["dataset"]["camera"]}
    place[section][key] = value
    with pytest.raises(CheckpointError) as caught:
        FAMILY.source(pickled(tiny_network(), cfg=options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "root", [None, [], {}, {"G_ema": 3}, {"G_ema": Node("EpiGRAF")}, Node("x")]
)
def test_other_files_are_not_taken(root: Any) -> None:
    assert not FAMILY.matches(Checkpoint(Path("x"), "pickle", root))


def test_other_families_are_not_taken() -> None:
    files = [
        path
        for path in GOLDENS.rglob("*")
        if path.suffix in (".pkl", ".pth", ".pt") and not path.parent.name.startswith("epigraf")
    ]
    assert len(files) >= 5
    assert [path for path in files if FAMILY.matches(read_checkpoint(path))] == []


# ---- tensors ------------------------------------------------------------------------------


def test_missing_extra_and_misshapen_tensors_are_named() -> None:
    tensors = tensors_of(tiny_network())
    del tensors["mapping.mean_camera_pose"]
    tensors["synthesis.bg_model.blocks.0.conv1.bias"] = torch.zeros(1)
    tensors["mapping.w_avg"] = torch.zeros(7)
    with pytest.raises(CheckpointError) as caught:
        FAMILY.build(CONFIG.to_json(), tensors, CPU)
    sentence = str(caught.value)
    assert "lacks mapping.mean_camera_pose" in sentence
    assert "synthesis.bg_model.blocks.0.conv1.bias" in sentence
    assert "mapping.w_avg (7 instead of 6)" in sentence and "\n" not in sentence


def test_damaged_and_foreign_numbers_are_told() -> None:
    name = "synthesis.tri_plane_mlp.model.0.bias"
    tensors = tensors_of(tiny_network())
    tensors[name][2] = math.nan
    with pytest.raises(CheckpointError, match=r"tri_plane_mlp\.model\.0\.bias"):
        FAMILY.build(CONFIG.to_json(), tensors, CPU)
    with pytest.raises(CheckpointError, match="other than numbers"):
        FAMILY.build(CONFIG.to_json(), tensors | {name: torch.zeros(8, dtype=torch.int64)}, CPU)
    with pytest.raises(CheckpointError, match="block widths"):
        FAMILY.build(CONFIG.to_json() | {"block_channels": [3]}, tensors, CPU)


def test_a_model_without_noise_has_no_noise_tensors() -> None:
    network = tiny_network()
    checkpoint = pickled(network)
    generator = checkpoint.root["G_ema"]

    def strip(node: Node) -> None:
        for group in ("_parameters", "_buffers"):
            for name in [n for n in node.state[group] if n.startswith("noise_")]:
                del node.state[group][name]
        for child in node.state["_modules"].values():
            strip(child)

    strip(generator)
    source = FAMILY.source(checkpoint)
    assert source.config["use_noise"] is False
    tensors = {k: v.load() for k, v in source.tensors.items()}
    model = FAMILY.build(source.config, tensors, CPU)
    for name, tensor in network.state_dict().items():
        if name.endswith("noise_strength"):
            tensor.zero_()
    w, camera = model.map(z_of()), model.capabilities.default_pose.camera()
    assert torch.equal(model.render(w, camera).rgb, EpiGRAF(network, CPU).render(w, camera).rgb)
    with pytest.raises(CheckpointError, match="noise_const"):
        FAMILY.build(source.config | {"use_noise": True}, tensors, CPU)


# ---- memory -------------------------------------------------------------------------------

#: Writes snapshots as the authors' code does: persistent modules, tensors inside the pickle.
_WRITER = """
import pickle, sys, types
import torch
from engine.generators.epigraf import EpiGRAFConfig, EpiGRAFNetwork
from tests.generators.tiny_epigraf import CONFIG, generator_options

def _reconstruct_persistent_obj(meta):
    raise AssertionError

name = "src.torch_utils.persistence"
for part in ("src", "src.torch_utils", name):
    sys.modules[part] = types.ModuleType(part)
sys.modules[name]._reconstruct_persistent_obj = _reconstruct_persistent_obj
_reconstruct_persistent_obj.__module__ = name

class Persistent:
    def __init__(self, module, **state):
        self.module, self.state = module, state
    def __reduce__(self):
        children = {k: Persistent(v) for k, v in self.module.named_children()}
        state = {
            "_parameters": dict(self.module.named_parameters(recurse=False)),
            "_buffers": dict(self.module.named_buffers(recurse=False)),
            "_modules": children,
        } | self.state
        meta = {"type": "class", "version": 6, "module_src": "raise SystemExit(1)",
                "class_name": type(self.module).__name__, "state": state}
        return _reconstruct_persistent_obj, (meta,)

def write(path, network, megabytes):
    options = generator_options(network.config)
    moments = {i: {"exp_avg": torch.ones(1 << 20)} for i in range(megabytes // 4)}
    whole = {"training_set_kwargs": {}, "G": Persistent(network, cfg=options),
             "D": Persistent(torch.nn.Linear(1024, 1024 * megabytes // 4)),
             "G_ema": Persistent(network, cfg=options), "G_opt": {"state": moments}}
    with open(path, "wb") as file:
        pickle.dump(whole, file, protocol=4)

write(sys.argv[1], EpiGRAFNetwork(CONFIG), 4)
write(sys.argv[2], EpiGRAFNetwork(EpiGRAFConfig(plane_resolution=32, img_resolution=16)), 150)
"""

_READER = """
import sys
from pathlib import Path
import torch
from engine.checkpoints import read_checkpoint
from engine.generators.epigraf import FAMILY

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

def opened(path):
    source = FAMILY.source(read_checkpoint(path))
    tensors = {name: lazy.load() for name, lazy in source.tensors.items()}
    return FAMILY.build(source.config, tensors, torch.device("cpu"))

opened(sys.argv[1])
before = peak()
model = opened(sys.argv[2])
print(peak() - before, sum(t.nbytes for t in model.network.state_dict().values()))
"""


def test_only_the_averaged_generator_is_read(tmp_path: Path) -> None:
    """A snapshot four times as large as its generator opens in 1.5 times the generator."""
    root = Path(__file__).parents[2]
    helper = "from tests.generators.test_epigraf_source import generator_options"
    writer = _WRITER.replace("CONFIG, generator_options", f"CONFIG\n{helper}")
    files = [str(tmp_path / "small.pkl"), str(tmp_path / "large.pkl")]
    outputs = []
    for code in (writer, _READER):
        done = forks.run(["-c", code, *files], cwd=root)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    peak, needed = (int(number) for number in outputs[1].split())
    size = Path(files[1]).stat().st_size
    assert needed > 50 << 20 and size > 4 * needed
    assert 0.8 * needed < peak < 1.5 * needed


def test_lazy_tensors_of_a_snapshot_load_on_their_own() -> None:
    """Nothing of the file's other parts is asked for, not even when they cannot be read."""
    checkpoint = pickled(tiny_network())

    def fail() -> Tensor:
        raise AssertionError("read")

    unread = replace(lazy(torch.zeros(3)), load=fail)
    checkpoint.root["G_opt"] = {"state": unread}
    checkpoint.root["D"] = Node("Discriminator", (), {"_parameters": {"weight": unread}})
    source = FAMILY.source(checkpoint)
    assert set(source.tensors) == set(tiny_model().network.state_dict())
