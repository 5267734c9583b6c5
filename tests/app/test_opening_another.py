"""What the engine lets go of when another model takes the place of the one that is open."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from app.messages import ModelLoaded
from app.wire import Opened, OpenModel, ProcessOptions
from app.worker import Engine
from engine.kernels import graphs
from tests.kernels.emulator import emulated
from tests.kernels.emulator.graph import recorded

GOLDEN = str(Path(__file__).parents[1] / "data" / "goldens" / "stylesdf" / "checkpoint.pt")


class Mailbox:
    """Nobody asks for anything else meanwhile."""

    opening = request = None
    received = 0.0

    def __init__(self) -> None:
        self.sent: list[object] = []

    def send(self, message: object) -> None:
        self.sent.append(message)

    def forget_earlier_request(self) -> None: ...


def test_recordings_go_with_the_model_before(tmp_path: Path) -> None:
    """Each holds memory of the card, and a generator that is closed never asks for its own again."""
    mailbox = Mailbox()
    engine = Engine(mailbox, ProcessOptions(device="cpu"))  # type: ignore[arg-type]
    opening = OpenModel(1, GOLDEN)
    engine._open(opening)
    part, x = nn.Linear(3, 3), torch.ones(1, 3)
    with torch.inference_mode(), emulated(orders=(1,)), recorded():
        for _ in range(2):
            graphs.replayed("part", part, part, [x])
        assert graphs.kept() == 1
        # A model that cannot be opened leaves the present one as it is.
        engine._open(OpenModel(2, str(tmp_path / "none.pkl")))
        assert graphs.kept() == 1
        engine._open(OpenModel(3, GOLDEN))
        assert graphs.kept() == 0
    loaded = [message for message in mailbox.sent if isinstance(message, Opened)]
    assert [isinstance(message.result, ModelLoaded) for message in loaded] == [True, False, True]
