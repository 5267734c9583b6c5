"""What a run's optimisers have learnt, as torch itself writes it down."""

from __future__ import annotations

from typing import Any

from torch import nn

from engine.training.gan.contract import Moments, Network
from engine.training.gan.loop import TrainingLoop


def moments_of(loop: TrainingLoop) -> Moments:
    """The states of all optimisers, between two steps.

    They are over all parameters of a network in their order, as the authors' optimisers are; those that were
    not trained have no state, which torch takes as one that begins.
    """
    phases = loop.training.phases(loop.position.progress)
    networks: dict[Network, nn.Module] = {
        "generator": loop.training.generator,
        "discriminator": loop.training.discriminator,
    }
    states = {}
    for network, optimiser in loop.optimisers.items():
        # A run that was only resumed has not set them yet.
        loop.set_rate(network, phases)
        kept: dict[int, dict[str, Any]] = {}
        parameters = list(networks[network].parameters())
        for index, parameter in enumerate(parameters):
            moments = optimiser.state.get(parameter)
            if moments:
                kept[index] = {
                    name: moments[name].detach().to("cpu", copy=True)
                    for name in ("step", "exp_avg", "exp_avg_sq")
                }
        group = {k: v for k, v in optimiser.param_groups[0].items() if k != "params"}
        states[network] = {
            "state": kept,
            "param_groups": [{**group, "params": list(range(len(parameters)))}],
        }
    return Moments(loop.position.step, loop.position.images, states)
