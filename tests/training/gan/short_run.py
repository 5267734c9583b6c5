"""``-m tests.training.gan.short_run FOLDER OPTIONS PHASE LIMIT``: a run of the toy in which the
last process alone has too little memory.

It runs out in the backward of PHASE whenever a pass holds more than LIMIT pictures; OPTIONS are those of
``TrainingOptions`` as JSON. The last process tells of each time in FOLDER/short, a line each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import UserError
from engine.training.gan.distributed import team
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.options import TrainingOptions
from engine.training.gan.run import Run
from tests.training.gan.toy import Squares, Toy, noisy


def starve(toy: Toy, place: Path, phase: str, limit: int) -> None:
    """Have the toy run out of memory while gradients are on their way."""
    now = [("", 0)]

    def watch(name: str, pictures: Tensor) -> None:
        now[0] = name, len(pictures)

    def full(gradient: Tensor) -> None:
        name, count = now[0]
        if name == phase and count > limit:
            with place.open("a") as file:
                file.write(f"{count}\n")
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    toy.watch = watch
    for network in (toy.generator, toy.discriminator):
        # The first of its parameters is reached last: others may be waited for by then.
        next(network.parameters()).register_hook(full)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, phase, limit = Path(sys.argv[1]), sys.argv[3], int(sys.argv[4])
    together = team("cpu")
    toy = Toy()
    if together.rank == together.size - 1:
        starve(toy, folder / "short", phase, limit)
    options = TrainingOptions.from_json(json.loads(sys.argv[2]))
    run = Run(folder, TrainingLoop(toy, Squares(), options, together, noisy))
    try:
        run.resume()
        run.train()
    except UserError as error:
        if together.leads:
            (folder / "sentence").write_text(str(error))
    run.loop.leave()
