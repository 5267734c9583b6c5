"""``python -m tests.training.gan.toy_run FOLDER OPTIONS``: a run of the toy, to be killed by tests.

OPTIONS are those of ``TrainingOptions`` as JSON. Where FOLDER holds snapshots, it goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from engine.training.gan.distributed import team
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.options import TrainingOptions
from engine.training.gan.run import Run
from tests.training.gan.toy import Squares, Toy, noisy

if __name__ == "__main__":
    torch.set_num_threads(1)
    together = team("cpu")
    options = TrainingOptions.from_json(json.loads(sys.argv[2]))
    run = Run(Path(sys.argv[1]), TrainingLoop(Toy(), Squares(), options, together, noisy))
    run.resume()
    run.train()
    run.loop.leave()
    names = (task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm"))
    left = [name for name in names if "gloo" in name]
    if left:
        sys.exit(f"Threads of the team are left, which may end this process by an abort: {left}")
