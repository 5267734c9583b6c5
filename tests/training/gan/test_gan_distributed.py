"""How a process finds its team."""

from __future__ import annotations

import sys
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.distributed as dist

from engine.errors import UserError
from engine.training.gan.distributed import Team, team


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "torch._dynamo", ModuleType("torch._dynamo"))


def test_it_waits_for_the_others_longer_than_pictures_may_be_away(
    second_of_two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        dist, "init_process_group", lambda *words, **more: asked.append((words, more))
    )
    assert team("cpu") == Team(1, 2, torch.device("cpu"))
    ((words, more),) = asked
    assert words == ("gloo",) and (more["rank"], more["world_size"]) == (1, 2)
    assert more["timeout"] >= timedelta(hours=6)


def test_who_finds_nobody_is_told(second_of_two: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_words: object, **_more: object) -> None:
        raise RuntimeError("connect() timed out.\n Original timeout was 60 ms")

    monkeypatch.setattr(dist, "init_process_group", nobody)
    with pytest.raises(
        UserError, match=r"The 2 processes cannot find each other .*; check the addr"
    ):
        team("cpu")


def test_more_processes_than_gpus_are_told(
    second_of_two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr("engine.generators.registry.pick_device", lambda _name: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="Process 1 has no GPU of its own: there are 1"):
        team("cuda")
