"""An EpiGRAF's training as its authors' program goes on from it whole (``resume_whole_state``).

Beside the networks their training reads both optimisers, how far it was, and what it draws now and then for
people to look at: latents and angles of a few heads, which are chosen here once for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.training.gan.authors_pickles import Called, Made, Named
from engine.training.gan.contract import Moments
from engine.training.gan.persistent import persistent, snapshot
from engine.training.gan.pickled import ARGUMENTS

#: Heads that are drawn to be looked at, and how many of them at once: the sides of a square.
_ROWS = 4
#: Yaws that they are seen from, radians to both sides.
_YAW = 0.4
_SOURCE = """\
# Written by Maquette: rows of numbers, where this program computes.
import torch


class Rows(list):
    def __setstate__(self, saved):
        self.extend(saved["rows"].to("cuda" if torch.cuda.is_available() else "cpu"))

    def __reduce_ex__(self, protocol):
        # A plain tuple from here on, as the program makes it.
        return tuple, (list(self),)
"""


def whole_state(
    networks: Mapping[str, Any],
    generator: nn.Module,
    judge: nn.Module,
    z_dim: int,
    c_dim: int,
    moments: Moments,
) -> dict[str, object] | None:
    """What ``network.pkl`` holds then.

    Args:
        networks: as :func:`~engine.training.gan.epigraf_files.saved_networks` gives them.
        generator, judge: whose parameters the optimisers move.

    Returns:
        ``None`` where the authors' discriminator cannot be the run's, or an optimiser has learnt
        nothing: their training then begins these anew.
    """
    learnt = moments.optimisers
    if networks["D"][ARGUMENTS] is None or learnt.keys() != {"generator", "discriminator"}:
        return None
    never = math.inf
    return {
        **snapshot(networks),
        # Takes nothing from it: the strength is the one that their options say.
        "augment_pipe": nn.Identity(),
        "G_opt": _optimiser(generator, learnt["generator"]),
        "D_opt": _optimiser(judge, learnt["discriminator"]),
        "vis": _looked_at(z_dim, c_dim),
        "stats": {
            "cur_nimg": moments.images,
            "cur_tick": 1,
            "batch_idx": moments.steps,
            "best_metric_value": never,
            "best_metric_tick": 0,
            "best_metric_nimg": 0,
        },
    }


def _optimiser(network: nn.Module, learnt: Mapping[str, Any]) -> Made:
    """Torch's Adam with names in the place of parameters: it is asked for its state, and moves nothing."""
    names = [name for name, _ in network.named_parameters()]
    (group,) = learnt["param_groups"]
    # A number, as the torch of their time has it; a newer one makes a tensor of it.
    state = {
        index: {**moments, "step": int(moments["step"])}
        for index, moments in learnt["state"].items()
    }
    options = {name: value for name, value in group.items() if name != "params"}
    return Made(
        Named("torch.optim.adam", "Adam"),
        {"defaults": options, "state": state, "param_groups": [{**options, "params": names}]},
    )


def _looked_at(z_dim: int, c_dim: int) -> dict[str, object]:
    count = _ROWS * _ROWS
    latents = np.random.default_rng(0).standard_normal((count, z_dim))
    yaws = torch.linspace(-_YAW, _YAW, count)
    # Yaw, pitch from the pole, and roll.
    angles = torch.stack([yaws, torch.full_like(yaws, math.pi / 2.0), torch.zeros_like(yaws)], 1)
    classes = torch.zeros(count, c_dim)
    return {
        "grid_size": (_ROWS, _ROWS),
        "labels": classes,
        "camera_angles": angles,
        "grid_z": _rows(torch.from_numpy(latents.astype(np.float32))),
        "grid_c": _rows(classes),
        "grid_camera_angles": _rows(angles),
    }


def _rows(values: Tensor) -> Called:
    parts = values.reshape(_ROWS, _ROWS, values.shape[1])
    return persistent(_SOURCE, "Rows", {"rows": parts}, "src.")
