"""A direction made better by looking: moved by gradients until its edits of many people do what the
text says and nothing else.

What a regression finds is straight in w and as noisy as its few hundred people; what pictures do
along it is neither. So the same descent that edits one face (:mod:`engine.editing.optimise`) moves
the direction, every step with another person, another view and another strength. StyleCLIP's
mapper (Patashnik et al. 2021) is trained in the same way; here it is one offset for all.

What looks right to an encoder need not look right to anybody else. So each picture is shown several
times, cropped, mirrored, blurred and in another light, as in CLIPDraw (Frans et al. 2021, section
3): what fools an encoder seldom survives that, and what a face has does.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.editing.aim import axes_of, crops
from engine.editing.optimise import learning_look
from engine.editing.pca import Doubles, flat_rows, principal
from engine.editing.samples import Progress, SeenSamples, silent
from engine.editing.texts import Others
from engine.errors import UserError
from engine.generators.base import NEVER, CancelToken, Generator
from engine.generators.evaluation import gradients
from engine.text.encoder import TextImageEncoder

#: Moves, and their length in standard deviations of w along each component.
STEPS, RATE = 40, 0.04
#: Strengths that are tried, and the one at which the text shall be said.
WEAKEST, STRONGEST, MEANT = 2.5, 4.0, 3.0
#: How far the pictures should go then, as a share of the way from the neutral text to the text.
GOAL = 0.7
#: Price of what the text does not ask for, and of the length of the way in w.
STILL, CLOSE = 2.5, 0.02
#: Yaws of the cameras that take turns, degrees.
VIEWS = (0.0, 18.0, 0.0, -18.0)
#: How often each picture is shown; the first time only cropped, perhaps mirrored.
TIMES = 3
#: People are drawn as they are shown: nearer to the mean than the mapping gives them.
PSI = 0.8
_COMPONENTS = 256


def refined(
    generator: Generator,
    encoder: TextImageEncoder,
    people: SeenSamples,
    direction: Doubles,
    delta: Tensor,
    rest: Others,
    progress: Progress = silent,
    cancel: CancelToken = NEVER,
) -> Doubles:
    """The direction after :data:`STEPS` moves; the same on every call.

    Args:
        people: who is edited.
        direction: ``[D]`` to begin with, of :func:`~engine.editing.pca.flat_rows`.
        delta: ``[D_e]`` of the text in the encoder's space. rest: what is held still.
        progress: how many moves are made, of how many.

    Raises:
        UserError: the model's pictures are no numbers.
        Cancelled: ``cancel`` was set.
    """
    facts, device = generator.capabilities, generator.device
    vectors, spread, _ = principal(flat_rows(people.w.numpy()), _COMPONENTS)
    basis = torch.from_numpy((vectors * spread[:, None]).astype(np.float32)).to(device)
    length = float(delta.norm())
    aim = (delta / length).float().to(encoder.device)
    others = axes_of(rest, aim)
    middle = people.w.mean(0)
    draw = torch.Generator().manual_seed(0)
    with torch.inference_mode(False):
        u = torch.from_numpy((vectors @ direction / spread).astype(np.float32)).to(device)
        u = u.clone().requires_grad_()
        descent = torch.optim.Adam([u], lr=RATE, betas=(0.8, 0.98))
    for number in range(STEPS):
        progress(number, STEPS)
        who = people.w[int(torch.randint(len(people.w), (), generator=draw))]
        w = (middle + PSI * (who - middle)).to(device)
        yaw = VIEWS[number % len(VIEWS)]
        strength = WEAKEST + (STRONGEST - WEAKEST) * float(torch.rand((), generator=draw))
        with torch.no_grad():
            plain = learning_look(generator, w, yaw, cancel).picture.clone()
        for group in descent.param_groups:
            group["lr"] = RATE * min(1.0, 1.5 * (1.0 - number / STEPS) + 0.05)
        with gradients():
            offset = (u @ basis).reshape(-1, facts.w_dim)
            picture = learning_look(generator, w + strength * offset, yaw, cancel).picture
            seen = encoder.encode_image(
                shown_anew(torch.cat([picture, plain]), draw).to(encoder.device)
            )
            moved = seen[0::2] - seen[1::2]
            along = moved @ aim / (length * GOAL * strength / MEANT)
            loss = (
                F.relu(1.0 - along).square().mean()
                + STILL * (moved @ others.T).square().sum(-1).mean() / length**2
                + CLOSE * u.square().sum()
            )
            (slope,) = torch.autograd.grad(loss, u)
        if not bool(torch.isfinite(slope).all()):
            raise UserError("The model's pictures hold values that are no numbers.")
        u.grad = slope
        descent.step()
    progress(STEPS, STEPS)
    found: Doubles = (u.detach() @ basis).cpu().double().numpy()
    return found


def shown_anew(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """``[TIMES * N, 3, S, S]`` of ``[N, 3, S, S]`` in [0, 1]: all pictures changed alike, again and
    again. Differentiable."""
    count, side = len(pictures), pictures.shape[-1]

    def chance() -> float:
        return float(torch.rand((), generator=draw))

    cut, found = crops(pictures, draw, TIMES), []
    for time in range(TIMES):
        part = cut[time * count : (time + 1) * count]
        if time:
            small = max(4, int(side * (0.4 + 0.6 * chance())))
            part = F.interpolate(part, (small, small), mode="area")
            part = F.interpolate(part, (side, side), mode="bilinear")
            curve, gain = 0.8 + 0.45 * chance(), 0.88 + 0.24 * chance()
            part = (part.clamp(1e-4, 1.0) ** curve * gain).clamp(0.0, 1.0)
        found.append(part.flip(-1) if chance() < 0.5 else part)
    return torch.cat(found)
