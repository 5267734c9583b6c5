"""Which families can be trained, and that an unfit discriminator is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints import read_checkpoint
from engine.checkpoints.modules import network_of
from engine.checkpoints.plain import LazyTensor, Node, module_tensors
from engine.errors import UserError
from engine.generators.registry import families, open_model
from engine.generators.stylegan2 import FullyConnected
from engine.training.gan.adversarial import Step
from engine.training.gan.contract import Batch, Phase, Progress
from engine.training.gan.discriminator_equal import EqualConv
from engine.training.gan.families import (
    MODULES,
    fresh,
    judge_tensors,
    kind_of,
    options_taken,
    training_of,
)
from engine.training.gan.poses import angles_of, orbit
from engine.training.gan.ranges import RANGES, check_ranges
from engine.training.gan.result import export_authors
from tests.generators.tiny_eg3d import tiny_model
from tests.training.gan.checks import (
    batch_of,
    check_groups,
    losses_of,
    moved_state,
    same_tensors,
    seeded,
)

GOLDENS = Path(__file__).parents[2] / "data" / "goldens"
FILES = {
    "eg3d": "eg3d_ffhq/checkpoint.pkl",
    "epigraf": "epigraf/checkpoint.pkl",
    "cips3d": "cips3d/checkpoint.pth",
    "pigan": "pigan/CelebA/generator.pth",
    "stylenerf": "stylenerf_default/checkpoint.pkl",
    "stylesdf": "stylesdf/checkpoint.pt",
}
#: Options and sizes with which every phase takes a moment.
SMALL_STEPS = {"stylesdf": {"sphere_steps": 10}, "eg3d": {"density_points": 10}}
SMALL: dict[str, dict[str, int]] = {
    "stylesdf": {"width": 12, "samples_per_ray": 4},
    "pigan": {"hidden": 12, "steps": 4},
    "cips3d": {"nerf_width": 12, "inr_width": 12, "samples_per_pass": 4},
    "stylenerf": {"fg_hidden": 12, "n_ray_samples": 4},
}
#: What holds the generator of what is written for the authors' scripts.
WRITTEN = {
    "cips3d": "G_ema.pth", "pigan": "generator.pth", "stylesdf": "model.pt",
    "eg3d": "network.pt", "epigraf": "network.pkl", "stylenerf": "network.pkl",
}  # fmt: skip
SIDED = {"cips3d": {"side": 16}, "pigan": {"side": 16}}


def test_every_family_that_is_drawn_can_be_trained() -> None:
    assert set(MODULES) == set(families())


@pytest.mark.parametrize("family", sorted(MODULES))
def test_authors_models_are_trained_on(family: str) -> None:
    """From the authors' file: the same tensors to start with, both networks get gradients."""
    path = GOLDENS / FILES[family]
    model = open_model(path, "cpu")
    options = {"judge_channels": 8, **SIDED.get(family, {})}
    training = training_of(model, options)
    state = {n: t.clone() for n, t in training.generator.state_dict().items()}
    own = model.network.state_dict()  # type: ignore[attr-defined]
    assert set(state) <= set(own)
    assert all(torch.equal(state[name], own[name]) for name in state)
    check_groups(training)
    batch = batch_of(training.resolution, count=2)
    for phase in training.phases(Progress(0, 0))[:1]:
        losses_of(training, phase, batch, Progress(0, 0))
        grown = [p for p in training.generator.parameters() if p.grad is not None]
        assert grown
    same_tensors(training.drawable(moved_state(training)), moved_state(training))


def stored(root: Any) -> dict[str, LazyTensor]:
    """The generator's tensors in an authors' file, as they are named there."""
    if isinstance(root, Node):
        return dict(module_tensors(root))
    for name in ("G_ema", "g_ema"):
        if name in root:
            network = network_of(root[name])
            return root[name] if network is None else dict(module_tensors(network))
    return dict(root)


@pytest.mark.parametrize("family", sorted(MODULES))
def test_what_is_written_for_authors_has_their_names_and_shapes(
    family: str, tmp_path: Path
) -> None:
    """A model of theirs, opened and written again untrained: tensor for tensor what it was, so
    that a strict ``load_state_dict`` of theirs takes it."""
    path = GOLDENS / FILES[family]
    model = open_model(path, "cpu")
    theirs = stored(read_checkpoint(path).root)
    training = training_of(model, {"judge_channels": 8, **SIDED.get(family, {})})
    export_authors(training, training.generator.state_dict(), tmp_path)
    ours = stored(read_checkpoint(tmp_path / WRITTEN[family]).root)
    assert set(ours) == set(theirs)
    for name, lazy in theirs.items():
        assert ours[name].shape == lazy.shape, name
        if family != "pigan":  # drawn with the averages beside the file
            assert torch.equal(ours[name].load(), lazy.load().float()), name


@pytest.mark.parametrize("family", sorted(MODULES))
def test_small_models_have_the_weights_of_their_seed(family: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = fresh(family, 32, seed=1), fresh(family, 32, seed=1)
    other = fresh(family, 32, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name
    assert any(
        not torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items()
    )
    # A snapshot's state is all there is.
    two.load_state_dict(other.state_dict())
    for name, value in other.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name


@pytest.mark.parametrize("family", ["eg3d", "stylenerf", "stylesdf", "cips3d"])
def test_a_discriminator_that_does_not_fit_is_left_out(family: str) -> None:
    """Of another family's file: a new one is made, and training begins."""
    strange = judge_tensors(read_checkpoint(GOLDENS / FILES["epigraf"]))
    assert strange is not None
    model = open_model(GOLDENS / FILES[family], "cpu")
    options = {"judge_channels": 8, **SIDED.get(family, {})}
    training = training_of(model, options, strange)
    batch = batch_of(training.resolution, count=2)
    phase = Phase("discriminator", "discriminator")
    found = losses_of(training, phase, batch, Progress(0, 0))
    assert bool(torch.isfinite(found["real"]))


@pytest.mark.parametrize("family", sorted(MODULES))
def test_mixed_precision_is_the_discriminators_alone(family: str) -> None:
    """Drawn pictures are the same to the last bit; logits come out of bfloat16."""
    training = fresh(family, 16, SMALL_STEPS.get(family, {}), SMALL.get(family))
    batch, progress = batch_of(16, count=2), Progress(50, 10**8)
    step = Step(batch, progress, seeded(), lambda x: x)
    seen = training._drawn(step, "generator").pictures
    inside: set[torch.dtype] = set()
    for layer in training.discriminator.modules():
        if isinstance(layer, (torch.nn.Conv2d, FullyConnected, EqualConv)):
            layer.register_forward_hook(lambda module, given, found: inside.add(found.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = Step(batch, progress, seeded(), lambda x: x)
        again = training._drawn(mixed, "generator").pictures
        for one, two in zip(seen, again, strict=True):
            assert torch.equal(one, two)
        for phase in training.phases(progress):
            found = losses_of(training, phase, batch, progress)
            assert all(bool(torch.isfinite(value)) for value in found.values()), phase.name
            assert all(value.dtype == torch.float32 for value in found.values())
    assert torch.bfloat16 in inside


@pytest.mark.parametrize("family", sorted(MODULES))
def test_options_that_were_taken_make_the_same_training(family: str) -> None:
    model = open_model(GOLDENS / FILES[family], "cpu")
    training = training_of(model, SIDED.get(family, {}))
    taken = options_taken(training)
    assert taken["judge_channels"] == 64 and taken["fine_tuning"] is True
    again = training_of(model, json.loads(json.dumps(taken)))
    assert again.common == training.common
    small = fresh(family, 16)
    assert fresh(family, 16, options_taken(small)).common == small.common


@pytest.mark.parametrize("family", ["cips3d", "epigraf", "pigan", "stylenerf", "stylesdf"])
def test_poses_are_the_pictures_own_where_they_are_known(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def noted(angles: torch.Tensor, radius: float, name: str) -> torch.Tensor:
        seen.append(angles)
        return orbit(angles, radius, name)

    monkeypatch.setattr(f"{MODULES[family]}.orbit", noted)
    batch = batch_of(16, count=2)
    assert batch.cameras is not None
    for data_poses, cameras in ((True, batch.cameras), (True, None), (False, batch.cameras)):
        options = {**SMALL_STEPS.get(family, {}), "data_poses": data_poses}
        training = fresh(family, 16, options, SMALL.get(family))
        step = Step(Batch(batch.images, cameras), Progress(50, 0), seeded(), lambda x: x)
        with torch.no_grad():
            training.drawn(step, "discriminator")
    own = angles_of(batch.cameras)
    assert torch.equal(seen[0], own)
    assert not torch.equal(seen[1], own) and torch.equal(seen[1], seen[2])


def test_sharp_surfaces_are_not_made_soft() -> None:
    sharp, published = tiny_model(latent_steps=((0, 0.5, 1, 1),)), tiny_model()
    assert training_of(sharp).common.density_weight == 0.25 / 30.0  # type: ignore[attr-defined]
    assert training_of(published).common.density_weight == 0.25  # type: ignore[attr-defined]


def test_published_options_are_in_range_and_every_range_is_of_an_option() -> None:
    defaults = [vars(kind_of(family).options()) for family in MODULES]
    for options in defaults:
        check_ranges(options)
    assert RANGES.keys() <= {name for options in defaults for name in options}


def test_options_are_checked_by_name_kind_and_range() -> None:
    with pytest.raises(UserError, match="no option 'gamma'"):
        fresh("pigan", 32, {"gamma": 1.0})
    with pytest.raises(UserError, match="cannot be True"):
        fresh("pigan", 32, {"r1_gamma": True})
    with pytest.raises(UserError, match=r"cannot be 8\.5"):
        fresh("pigan", 32, {"least_side": 8.5})
    with pytest.raises(UserError, match="cannot be nan"):
        fresh("pigan", 32, {"r1_gamma": float("nan")})
    for family, name, wrong in (
        ("pigan", "pace", -1), ("eg3d", "judge_channels", -7), ("epigraf", "beta_to", 0),
        ("stylenerf", "mixing", 1.5), ("stylesdf", "path_shrink", 0), ("cips3d", "auxiliary", 2),
    ):  # fmt: skip
        with pytest.raises(UserError, match=f"'{name}' must be .* not {wrong}"):
            fresh(family, 32, {name: wrong})
    given = {"least_side": 8.0, "data_poses": 0, "r1_gamma": 3}
    taken = options_taken(fresh("pigan", 32, given))
    assert {name: taken[name] for name in given} == {
        "least_side": 8,
        "data_poses": False,
        "r1_gamma": 3.0,
    }
    assert isinstance(taken["least_side"], int) and taken["data_poses"] is False
    with pytest.raises(UserError, match="do not fit"):
        fresh("pigan", 32, config={"colour": "red"})
