"""References of omegaconf's configurations."""

from __future__ import annotations

from typing import Any

import pytest

from engine.checkpoints import Node, resolve_omegaconf
from engine.errors import CheckpointError


def _value(value: Any) -> Node:
    return Node("omegaconf.nodes.AnyNode", state={"_val": value})


def _section(parent: Node | None = None, **content: Any) -> Node:
    node = Node("omegaconf.dictconfig.DictConfig", state={"_content": {}, "_parent": parent})
    for key, value in content.items():
        if isinstance(value, Node) and "_content" in value.state:
            value.state["_parent"] = node
        node.state["_content"][key] = value if isinstance(value, Node) else _value(value)
    return node


def test_references_are_looked_up_from_the_root() -> None:
    inner = _section(patch="${training.patch}", name="run-${spec.map}-${spec.map}", far=1.12)
    _section(
        model=inner, training=_section(patch=_section(size=64)), spec=_section(map="${n}"), n=8
    )
    assert resolve_omegaconf(inner) == {"patch": {"size": 64}, "name": "run-8-8", "far": 1.12}


def test_what_points_nowhere_stays() -> None:
    texts = {"a": "${no.such}", "b": "${oc.env:HOME}", "c": "${a}", "d": "${d}", "e": "x${"}
    found = resolve_omegaconf(_section(**texts))
    assert found["a"] == "${no.such}" and found["b"] == "${oc.env:HOME}"
    assert found["c"] == "${no.such}" and found["d"] == "${d}" and found["e"] == "x${"


def test_plain_data_passes() -> None:
    assert resolve_omegaconf({"a": [1, "${b}"], "b": 2}) == {"a": [1, 2], "b": 2}


def test_a_bomb_of_references_is_refused() -> None:
    bomb: dict[str, Any] = {f"k{i}": [f"${{k{i + 1}}}"] * 10 for i in range(20)}
    with pytest.raises(CheckpointError, match="without end"):
        resolve_omegaconf(bomb)


def test_a_bomb_of_text_stays_short() -> None:
    bomb = {f"k{i}": f"${{k{i + 1}}}" * 10 + "x" for i in range(20)}
    assert len(str(resolve_omegaconf(bomb))) < 500_000
