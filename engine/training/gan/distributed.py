"""Several processes that train one model: torch's own DistributedDataParallel under ``torchrun``.

    torchrun --nproc-per-node 4 -m app train PICTURES --out RUN --batch 32

Every process holds the whole model and computes some of the passes of a step; gradients are
averaged by DistributedDataParallel, over NCCL between GPUs and over gloo between CPUs. A single
process is a team of one, without any of this.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine.errors import UserError

#: How long a process waits for the others: while one waits for its pictures, and while the leader writes,
#: draws samples and scores them. With torch's ten minutes the run would end. One that has died is noticed by
#: torchrun, which ends all of them.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Team:
    """Who trains together.

    Attributes:
        rank: number of this process, 0 leads: it alone writes files and decides.
        size: how many processes. device: where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and decides."""
        return self.rank == 0

    def shared(self, module: nn.Module) -> nn.Module:
        """``module`` so that gradients of its trained parameters are averaged over the team.

        Parameters that do not require gradients now are left out for good.
        """
        if self.size == 1:
            return module
        # Losses such as R1 reach only some parameters, so unused ones are looked for.
        with warnings.catch_warnings():
            # The option's new name is not known to older versions.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(
                module, broadcast_buffers=False, find_unused_parameters=True
            )

    def apart(self, module: nn.Module) -> AbstractContextManager[None]:
        """A block in which gradients only add up in this process."""
        if isinstance(module, DistributedDataParallel):
            together: AbstractContextManager[None] = module.no_sync()
            return together
        return contextlib.nullcontext()

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over the team, in place."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)
                tensor /= self.size

    def decide(self, value: int) -> int:
        """What the leader says; the other processes' values do not count."""
        if self.size == 1:
            return value
        said = torch.tensor([value], dtype=torch.int64, device=self.device)
        dist.broadcast(said, 0)
        return int(said.item())

    def any(self, flag: bool) -> bool:
        """Whether one of the processes says so; all of them must ask."""
        if self.size == 1:
            return flag
        said = torch.tensor([flag], dtype=torch.int64, device=self.device)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return bool(said.item())

    def leave(self) -> None:
        """Part, at the end. What :meth:`shared` returned must have been let go of."""
        if self.size > 1:
            # Whoever still refers to the group keeps its threads, and one that lets go of a tensor
            # while Python shuts down ends the process with an abort, or never.
            gc.collect()
            dist.barrier()
            dist.destroy_process_group()


def team(device: str = "auto") -> Team:
    """The team of this process: what ``torchrun`` says in the environment, else one alone.

    Raises:
        UserError: there is no such device, or the processes cannot find each other.
    """
    from engine.generators.registry import pick_device

    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Team(0, 1, pick_device(device))
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    where = pick_device(device)
    if where.type == "cuda":
        if local >= torch.cuda.device_count():
            raise UserError(
                f"Process {local} has no GPU of its own: there are {torch.cuda.device_count()}; "
                "start fewer processes with --nproc-per-node."
            )
        where = torch.device("cuda", local)
        torch.cuda.set_device(where)
    # DistributedDataParallel brings it; imported after the group, it would hold on to it for good.
    importlib.import_module("torch._dynamo")
    try:
        dist.init_process_group(
            "nccl" if where.type == "cuda" else "gloo",
            rank=rank,
            world_size=size,
            timeout=_PATIENCE,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The {size} processes cannot find each other ({' '.join(str(error).split())[:120]}); "
            "check the addresses given to torchrun."
        ) from error
    return Team(rank, size, where)
