"""A pi-GAN as its authors' scripts pickle it: whole objects of their classes, by name.

``generator.pth`` and ``ema.pth`` are what they draw with; ``discriminator.pth`` and the rest is what their
training goes on from. The classes are named and not known here; the layers inside are torch's own.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from engine.generators.pigan_config import BOXED, PiGANConfig
from engine.generators.pigan_network import PiGANNetwork
from engine.training.gan.authors_pickles import Made, Named
from engine.training.gan.contract import Moments
from engine.training.gan.discriminator_coord import CoordBlock, CoordLayer, PlainConv
from engine.training.gan.discriminator_growing import GrowingDiscriminator

_CONTAINERS = "torch.nn.modules.container"
_JUDGES = "discriminators.discriminators"
#: Numbers of a latent that the authors' discriminator reads off a picture, for losses of weight 0.
_LATENT = 256
#: Gradients are scaled so at first, as torch's own scaler begins.
_SCALER = {
    "scale": 65536.0,
    "growth_factor": 2.0,
    "backoff_factor": 0.5,
    "growth_interval": 2000,
    "_growth_tracker": 0,
}

_Part: TypeAlias = Made | nn.Module


def drawing_files(
    network: PiGANNetwork, state: Mapping[str, Tensor], judge: GrowingDiscriminator, steps: int = 0
) -> dict[str, object]:
    """The networks.

    Args:
        network: the generator as it is. state: its average.
        judge: left out if it compares the pictures of a batch, which the authors' does not.
        steps: of training so far.
    """
    files: dict[str, object] = {
        "generator.pth": _generator(network, steps),
        "ema.pth": _average(network, state, 0.999, steps),
    }
    if not judge.group:
        files["discriminator.pth"] = _discriminator(judge, steps)
    return files


def resuming_files(
    network: PiGANNetwork,
    state: Mapping[str, Tensor],
    judge: GrowingDiscriminator,
    moments: Moments,
) -> dict[str, object]:
    """The same at a step of training, and the states of both optimisers, of the slower average
    (which begins at the only one that there is) and of the scaler of gradients."""
    files = drawing_files(network, state, judge, moments.steps)
    files["ema2.pth"] = _average(network, state, 0.9999, moments.steps)
    learnt = dict(moments.optimisers)
    if "generator" in learnt:
        files["optimizer_G.pth"] = learnt["generator"]
    if "discriminator" in learnt and not judge.group:
        files["optimizer_D.pth"] = _reordered(judge, learnt["discriminator"])
    files["scaler.pth"] = dict(_SCALER)
    return files


def _made(module: str, name: str, parts: Mapping[str, _Part], **attributes: Any) -> Made:
    """A module of the authors', with what every module of torch has."""
    own = {**vars(nn.Module()), "_modules": dict(parts)}
    return Made(Named(module, name), {**own, **attributes})


def _listed(parts: Sequence[_Part], kind: str = "ModuleList") -> Made:
    return _made(_CONTAINERS, kind, {str(index): part for index, part in enumerate(parts)})


def _generator(network: PiGANNetwork, steps: int) -> Made:
    config: PiGANConfig = network.config
    # Torch's own layers out of a copy, so that nothing of the network's is shared.
    siren = copy.deepcopy(network.siren).to("cpu").requires_grad_(True)
    device = torch.device("cpu")

    def film(layer: nn.Module) -> Made:
        return _made("siren.siren", "FiLMLayer", {"layer": layer})

    sees = siren.color_layer_linear
    boxed = config.siren == BOXED
    parts: dict[str, _Part] = {
        "network": _listed([film(one.layer) for one in siren.network]),  # type: ignore[arg-type]
        "final_layer": siren.final_layer,
        "color_layer_sine": film(siren.color_layer_sine.layer),
        # Where colours end within 0 and 1: in the class for faces, in this layer of the other one.
        "color_layer_linear": sees if boxed else nn.Sequential(sees[0], nn.Sigmoid()),
        "mapping_network": _made(
            "siren.siren", "CustomMappingNetwork", {"network": siren.mapping_network.network}
        ),
    }
    if boxed:
        warp = _made("siren.siren", "UniformBoxWarp", {}, scale_factor=config.point_scale)
        parts["gridwarper"] = warp
    field = _made(
        "siren.siren",
        config.siren,
        parts,
        device=device,
        input_dim=3,
        z_dim=config.z_dim,
        hidden_dim=config.hidden,
        output_dim=4,
    )
    return _made(
        "generators.generators",
        "ImplicitGenerator3d",
        {"siren": field},
        z_dim=config.z_dim,
        device=device,
        epoch=0,
        step=steps,
    )


def _average(network: PiGANNetwork, state: Mapping[str, Tensor], decay: float, steps: int) -> Made:
    """``torch_ema``'s: a list in the order of the parameters."""
    listed = [state[n].detach().to("cpu", copy=True) for n, _ in network.named_parameters()]
    return Made(
        Named("torch_ema.ema", "ExponentialMovingAverage"),
        {"decay": decay, "num_updates": steps, "shadow_params": listed, "collected_params": []},
    )


def _discriminator(judge: GrowingDiscriminator, steps: int) -> Made:
    """The one of theirs that halves pictures by means. Of its layers those are there that ours has."""
    blocks: list[Made] = []
    reads: list[Made] = []
    for side in judge.sides:
        block = judge.blocks[str(side)]
        assert isinstance(block, CoordBlock)
        blocks.append(_block(block))
        reads.append(_reads(judge, side, block.conv1.conv.conv.in_channels - 2))
    reads.append(_reads(judge, 2, judge.final.conv.in_channels))
    sides = {side: index for index, side in enumerate([*judge.sides, 2])}
    parts: dict[str, _Part] = {
        "layers": _listed(blocks),
        "fromRGB": _listed(reads),
        "final_layer": _last(judge.final),
    }
    return _made(
        _JUDGES,
        "ProgressiveEncoderDiscriminator",
        parts,
        img_size_to_layer=sides,
        epoch=0,
        step=steps,
    )


def _block(block: CoordBlock) -> Made:
    def told(layer: CoordLayer) -> Made:
        where = _made(_JUDGES, "AddCoords", {}, with_r=False)
        conv = _conv(layer.conv.conv.weight, layer.activation.bias, 1)
        return _made(_JUDGES, "CoordConv", {"addcoords": where, "conv": conv})

    active = nn.LeakyReLU(0.2, inplace=True)
    layers = _listed([told(block.conv1), active, told(block.conv2), active], "Sequential")
    skip = getattr(block, "skip", None)
    proj = None if skip is None else _conv(skip.conv.weight, skip.conv.bias, 0)
    parts: dict[str, Any] = {"network": layers, "proj": proj}
    return _made(_JUDGES, "ResidualCoordConvBlock", parts, downsample=True)


def _reads(judge: GrowingDiscriminator, side: int, channels: int) -> Made:
    """The layer that a picture enters at. Where none has, nothing does: theirs adds it, times nought, to
    what the next larger side has found."""
    name = str(side)
    weight, bias = torch.zeros(channels, 3, 1, 1), torch.zeros(channels)
    if name in judge.from_rgb:
        layer = judge.from_rgb[name]
        assert isinstance(layer, PlainConv)
        weight, bias = layer.conv.weight, layer.activation.bias
    conv = nn.Sequential(_conv(weight, bias, 0), nn.LeakyReLU(0.2))
    return _made(_JUDGES, "AdapterBlock", {"model": conv})


def _last(layer: PlainConv) -> nn.Conv2d:
    assert layer.conv.bias is not None
    bias = _widened(layer.conv.bias, -1.0)
    bias[1 + _LATENT :] += torch.pi / 2.0
    return _conv(_widened(layer.conv.weight, -1.0), bias, 0)


def _widened(rows: Tensor, sign: float) -> Tensor:
    """``[3, ...]`` logit, yaw and pitch -> ``[259, ...]``: logit, a latent that nothing reads, pitch, yaw.

    Theirs are from the pole down and from +x, ours upwards and from the front: each is a quarter turn
    less the other, hence the sign.
    """
    found = torch.zeros(3 + _LATENT, *rows.shape[1:])
    logit, yaw, pitch = rows.detach()
    found[0], found[1 + _LATENT], found[2 + _LATENT] = logit, sign * pitch, sign * yaw
    return found


def _reordered(judge: GrowingDiscriminator, learnt: Mapping[str, Any]) -> dict[str, Any]:
    """The optimiser's state over the parameters of :func:`_discriminator`, in theirs' order."""
    order: list[Tensor | None] = []
    for side in judge.sides:
        block = judge.blocks[str(side)]
        assert isinstance(block, CoordBlock)
        for layer in (block.conv1, block.conv2):
            order += [layer.conv.conv.weight, layer.activation.bias]
        if hasattr(block, "skip"):
            order += [block.skip.conv.weight, block.skip.conv.bias]
    for side in [*judge.sides, 2]:
        enters = dict(judge.from_rgb.items()).get(str(side))
        assert enters is None or isinstance(enters, PlainConv)
        order += [None, None] if enters is None else [enters.conv.weight, enters.activation.bias]
    last = len(order)
    order += [judge.final.conv.weight, judge.final.conv.bias]
    own = {id(parameter): index for index, parameter in enumerate(judge.parameters())}
    state: dict[int, Any] = {}
    for index, parameter in enumerate(order):
        moments = None if parameter is None else learnt["state"].get(own[id(parameter)])
        if moments and index >= last:
            state[index] = {
                "step": moments["step"],
                "exp_avg": _widened(moments["exp_avg"], -1.0),
                "exp_avg_sq": _widened(moments["exp_avg_sq"], 1.0),
            }
        elif moments:
            state[index] = dict(moments)
    group = {**learnt["param_groups"][0], "params": list(range(len(order)))}
    return {"state": state, "param_groups": [group]}


def _conv(weight: Tensor, bias: Tensor | None, padding: int) -> nn.Conv2d:
    outputs, inputs, size, _ = weight.shape
    conv = nn.Conv2d(inputs, outputs, size, padding=padding, bias=bias is not None)
    with torch.no_grad():
        conv.weight.copy_(weight)
        if bias is not None and conv.bias is not None:
            conv.bias.copy_(bias)
    return conv
