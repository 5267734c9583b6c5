"""How much there is to draw before all scores are known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine.generators.base import Generator
from engine.metrics.evaluate import EvaluationPlan
from engine.metrics.sampling import latent


@dataclass(frozen=True)
class Stage:
    """A part of the work, as :func:`~engine.metrics.evaluate.evaluate` tells of it.

    Attributes:
        what: its name. count: how many times. each: pictures that are drawn each time.
    """

    what: str
    count: int
    each: int


def stages(plan: EvaluationPlan, real: int) -> tuple[Stage, ...]:
    """The work of a plan in its order.

    Args:
        real: pictures of the data that are compared with.
    """
    found = []
    if "distances" in plan.scores:
        found += [Stage("real pictures", real, 0), Stage("samples", plan.samples, 1)]
    # Two views of everybody; for the speed one that warms up, then somebody new and another view.
    if "depth" in plan.scores:
        found.append(Stage("depths", plan.identities, 2))
    if "views" in plan.scores:
        found.append(Stage("views", plan.identities, 2))
    if "speed" in plan.scores:
        found.append(Stage("speed", 1, 1 + 2 * plan.repeats))
    return tuple(found)


def drawn(work: Sequence[Stage], what: str = "", done: int = 0) -> int:
    """Pictures drawn when ``done`` of the stage ``what`` is done; those of all stages without one."""
    total = 0
    for stage in work:
        if stage.what == what:
            return total + done * stage.each
        total += stage.count * stage.each
    return total


@torch.inference_mode()
def seconds_a_picture(generator: Generator) -> float:
    """Seconds for a picture of somebody new at the model's own size, once it is warm: two are drawn."""
    facts, took = generator.capabilities, 0.0
    for number in range(2):
        begin = time.perf_counter()
        w = generator.map(latent(facts, 0, number))
        # Copied, since a GPU answers before it has drawn.
        generator.render(w, facts.default_pose.camera()).cpu()
        took = time.perf_counter() - begin
    return took
