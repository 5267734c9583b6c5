"""Opening models: what it imports and how much memory it takes, for every family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.errors import CheckpointError
from engine.generators.loading import load_strictly
from tests import forks

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"
SETS = sorted(path.parent for path in GOLDENS.glob("*/golden.json"))


@pytest.mark.parametrize("folder", SETS, ids=lambda p: p.name)
def test_opening_a_model_does_not_import_torchs_compiler(folder: Path) -> None:
    """It would cost the window a second or two at every start, and 60 MB."""
    facts = json.loads((folder / "golden.json").read_text())
    code = (
        "import sys; from engine.generators.registry import open_model\n"
        f"open_model({str(folder / facts['checkpoint'])!r}, 'cpu')\n"
        "sys.exit(' '.join({'torch._dynamo', 'sympy'} & set(sys.modules)) or 0)"
    )
    done = forks.run(["-c", code])
    assert done.returncode == 0, done.stderr


class _Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2) / 0.5)
        self.inner = nn.Linear(2, 4)
        self.norm = nn.LayerNorm(4)
        self.spread = nn.Parameter(torch.normal(0.0, 2.0, (5,)))
        self.register_buffer("scale", torch.full((2,), 3.0))


def _tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(tensor.shape) for name, tensor in _Small().state_dict().items()}


def test_a_network_is_made_without_values_and_then_has_the_files() -> None:
    given = _tensors()
    network = load_strictly("Small", _Small, given, torch.device("cpu"))
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, given[name]), name
        assert tensor.data_ptr() == given[name].data_ptr(), f"{name} was copied"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("weight"), "lacks weight"),
        (lambda t: t.update(odd=torch.zeros(1)), "beyond what Small has, odd"),
        (lambda t: t.update(weight=torch.zeros(2, 2)), r"weight \(2 x 2 instead of 3 x 2\)"),
        (lambda t: t.update(weight=torch.zeros(3, 2, dtype=torch.int32)), "other than numbers"),
        (lambda t: t["spread"].fill_(float("nan")), "spread holds values"),
        (lambda t: t["spread"][0].fill_(float("inf")), "spread holds values"),
    ],
)
def test_what_does_not_fit_is_named(change, said: str) -> None:  # type: ignore[no-untyped-def]
    given = _tensors()
    change(given)
    with pytest.raises(CheckpointError, match=said):
        load_strictly("Small", _Small, given, torch.device("cpu"))


def test_large_but_finite_numbers_are_no_damage() -> None:
    given = _tensors() | {"spread": torch.full((5,), 3e38)}
    load_strictly("Small", _Small, given, torch.device("cpu"))


def test_opening_takes_little_more_memory_than_the_tensors(tmp_path: Path) -> None:
    """A released EG3D's 126 MB; the whole program must stay within 1.5 times the tensors."""
    stem = str(tmp_path / "model")
    code = (
        "import sys; from engine import benchmark as b\n"
        f"b.write_random(b.Plan('eg3d', 'ffhq512-128'), {stem!r}) if sys.argv[1] == 'write'"
        " else print(b.opened(b.Plan('eg3d', 'ffhq512-128'), "
        f"{stem!r})[1])"
    )
    for step in ("write", "read"):
        done = forks.run(["-c", code, step])
        assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 1.5
