"""Snapshots of anybody's making: what does not belong is refused, and no byte of it is run."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from engine.errors import UserError
from engine.training.gan.lines import Lines
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.options import TrainingOptions
from engine.training.gan.snapshots import read_snapshot, write_snapshot
from tests.training.gan.test_gan_loop import ALONE
from tests.training.gan.toy import Squares, Toy

OPTIONS = TrainingOptions(batch=4, augmentation="none")
ran: list[str] = []


def loop_of(options: TrainingOptions = OPTIONS, seed: int = 0) -> TrainingLoop:
    return TrainingLoop(Toy(seed), Squares(), options, ALONE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    loop = loop_of()
    for _ in range(3):
        loop.step()
    return write_snapshot(loop, Lines(tmp_path))


def everything(loop: TrainingLoop) -> list[torch.Tensor]:
    state = [*loop.training.state_dict().values(), *loop.average.values()]
    return [value.clone() for value in state]


def test_a_snapshot_is_the_whole_state(path: Path) -> None:
    loop = loop_of()
    for _ in range(3):
        loop.step()
    other = loop_of(seed=1)  # other weights at first
    read_snapshot(other, path)
    assert other.position == loop.position
    assert [loop.step() for _ in range(5)] == [other.step() for _ in range(5)]
    assert all(map(torch.equal, everything(loop), everything(other)))


class Evil:
    """Pickled: what a hostile file would have us call."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return ran.append, ("it ran",)


def test_a_pickle_in_a_snapshots_place_is_not_run(path: Path) -> None:
    for data in (pickle.dumps(Evil()), b"\x80\x04", b""):
        path.write_bytes(data)
        loop = loop_of()
        before = everything(loop)
        with pytest.raises(UserError, match=r"is damaged .* go back to an earlier one"):
            read_snapshot(loop, path)
        assert all(map(torch.equal, before, everything(loop)))
    torch.save({"training": Evil()}, path)
    with pytest.raises(UserError, match="is damaged"):
        read_snapshot(loop_of(), path)
    assert not ran


def test_any_cut_off_file_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in (1, 7, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="is damaged"):
            read_snapshot(loop_of(), path)


def altered(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    with safe_open(path, "pt") as file:
        facts = json.loads(file.metadata()["maquette"])
    tensors = load_file(path)
    change(tensors, facts)
    save_file(tensors, path, metadata={"maquette": json.dumps(facts)})


def drop(name: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda tensors, facts: tensors.pop(name)


def put(name: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda tensors, facts: tensors.update({name: value})


def place(name: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda tensors, facts: facts["position"].update({name: value})


PAINT = "training/generator.paint.weight"
HOSTILE = {
    "a tensor is missing": (drop(PAINT), "lacks 'training/generator.paint.weight'"),
    "half of Adam's state is missing": (
        drop("adam/generator/paint.weight/exp_avg"),
        "lacks 'adam/generator/paint.weight/exp_avg'",
    ),
    "one too many": (put("training/more", torch.zeros(3)), "holds 'training/more'"),
    "another shape": (put(PAINT, torch.zeros(2, 2)), "should be torch.float32"),
    "another type": (put(PAINT, torch.zeros(48, 6, dtype=torch.int64)), "is torch.int64"),
    "not finite": (put(PAINT, torch.full((48, 6), torch.nan)), "not finite"),
    "a negative step": (place("step", -1), "out of range"),
    "a step that is a text": (place("step", "3"), "is no number"),
    "a flag for a step": (place("step", True), "is no number"),
    "passes that do not divide": (place("pass_size", 3), "do not divide this run's batch"),
    "no passes": (place("pass_size", 0), "do not divide this run's batch"),
    "an infinite number": (place("strength", float("inf")), "out of range"),
    "an unknown place": (place("more", 1), "does not say where"),
    "another seed": (lambda tensors, facts: facts.update(seed=7), "another seed"),
    "another format": (lambda tensors, facts: facts.update(format="x/1"), "no snapshot"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_does_not_belong_is_refused_and_changes_nothing(path: Path, what: str) -> None:
    change, sentence = HOSTILE[what]
    altered(path, change)
    loop = loop_of()
    before = everything(loop)
    with pytest.raises(UserError, match=sentence):
        read_snapshot(loop, path)
    assert all(map(torch.equal, before, everything(loop)))
    assert loop.position.step == 0 and not loop.optimisers["generator"].state


def test_metadata_that_is_no_description_is_refused(path: Path) -> None:
    tensors = load_file(path)
    for text in ("[" * 100_000, "[]", "{", '{"format": NaN}', "x" * (2 << 20)):
        save_file(tensors, path, metadata={"maquette": text})
        with pytest.raises(UserError, match="is damaged"):
            read_snapshot(loop_of(), path)


def test_other_layers_are_another_run(path: Path) -> None:
    with pytest.raises(UserError, match="resume with the model and the layers"):
        read_snapshot(loop_of(replace(OPTIONS, layers=("mapping",))), path)


def test_what_is_pruned(tmp_path: Path) -> None:
    loop = loop_of()
    lines = Lines(tmp_path)
    for step in (0, 5, 10, 15, 20):
        loop.position.step = step
        write_snapshot(loop, lines)
    (tmp_path / "step-5.safetensors").write_bytes(b"of somebody else")
    lines.prune(2)
    assert [one.step for one in lines.every()] == [0, 15, 20]
    assert (tmp_path / "step-5.safetensors").exists()
