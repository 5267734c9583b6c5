"""A generator that learns from a text: what it draws should move as the text says.

The idea is that of StyleGAN-NADA (Gal et al. 2022, section 4): beside the generator stands a frozen
copy of it; both draw the same people from the same cameras, and what separates their pictures in
an encoder's space should point where the text points from the neutral one. As in the edits of one
face, movements that the text does not ask for cost something, and pictures that have gone all the
way are left alone; without the latter a run has no end but its last step.

Everything else (steps, averages, snapshots, faults) is the trainer's: this is a family's training
with another judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.camera import Camera
from engine.editing.aim import Aim, crops
from engine.editing.encoders import open_encoder
from engine.editing.optimise import SAMPLES, Look, look_at
from engine.editing.texts import encoder_name, mean_vector, sentences, weakness
from engine.errors import UserError
from engine.generators.base import Generator, Quality
from engine.generators.evaluation import gradients
from engine.text.encoder import TextImageEncoder
from engine.training.data.summary import DataWarning
from engine.training.gan.adversarial import Adversarial, NetworkConfig, unmixed
from engine.training.gan.contract import (
    Augment,
    Batch,
    FamilyTraining,
    Network,
    OptimiserOptions,
    Phase,
    Progress,
)
from engine.training.gan.options import SHAPES
from engine.training.shift.adaptive import chosen_layers, moved_rows
from engine.training.shift.options import ADAPTIVE, COLOURS, MAPPING, ShiftOptions
from engine.training.shift.without_pictures import NoPictures, TextSummary

#: Depths that move by this share of half the model's room cost as much as an outline that is gone.
_DEPTH = 0.05


class TextShift(FamilyTraining):
    """See the module.

    Args:
        inner: the family's training, at its start; its generator learns, its discriminator does
            not take part.
        options: what is asked for.
        encoder: of texts and pictures, on the generator's device.

    Raises:
        UserError: a text is empty, or the two say the same.
    """

    def __init__(
        self, inner: Adversarial, options: ShiftOptions, encoder: TextImageEncoder
    ) -> None:
        super().__init__()
        self.family, self.common, self.shift = inner.family, inner.common, options
        self.resolution, self.generator = inner.resolution, inner.generator
        self.discriminator = nn.Module()
        # Not as modules: neither belongs into a snapshot.
        self._inner, self._encoder = (inner,), (encoder,)
        state = inner.generator.state_dict()
        self._before, self._after = inner.drawable(state), inner.drawable(state)
        self._after.network = inner.generator  # type: ignore[attr-defined]
        self._aim = Aim(encoder, options.text, options.neutral, options.strength)
        text = mean_vector(encoder, sentences(options.text))
        self._text = F.normalize(text, dim=0).float().to(encoder.device)
        facts = self._before.capabilities
        side = min(options.side, facts.neural_resolution)
        self._quality = Quality(side, SAMPLES)
        self._room = max(abs(side) for corner in facts.bounds for side in corner)
        if options.freeze_shape:
            self._keep_densities()

    def _keep_densities(self) -> None:
        """No gradients for rows that make densities, of parameters that also make colours."""
        rows = self._inner[0].colour_rows()
        for name, parameter in self.generator.named_parameters():
            if name in rows:
                mask = torch.zeros_like(parameter)
                mask[rows[name]] = 1.0
                parameter.register_hook(partial(torch.mul, mask))  # type: ignore[no-untyped-call]

    def choose_layers(self) -> None:
        """Make the layers that the text moves most a group of their own, ``adaptive``; the same ones on
        every call. They are kept in the options.

        Raises:
            UserError: no layer that may train reads w.
        """
        camera = self._before.capabilities.default_pose.camera()

        def cost(start: Tensor, moved: Tensor) -> Tensor:
            with torch.no_grad():
                before = look_at(self._before, start, camera, self._quality).clone()
            after = look_at(self._before, moved, camera, self._quality)
            costs = self._costs([before], [after], torch.Generator().manual_seed(0))
            return torch.stack([value for name, value in costs.items() if "/" not in name]).sum()

        self.shift = replace(self.shift, chosen=())
        left = SHAPES if self.shift.freeze_shape else (MAPPING,)
        groups = self.layer_groups().items()
        starts = tuple(start for name, many in groups if name not in left for start in many)
        allowed = [name for name, _ in self.generator.named_parameters() if name.startswith(starts)]
        with unmixed(self._before.device):
            far = moved_rows(self._before, cost)
        found = chosen_layers(self._after, far, self.shift.rows, allowed)
        self.shift = replace(self.shift, chosen=tuple(found))

    # ------------------------------------------------------------------------ a step

    def phases(self, progress: Progress) -> Sequence[Phase]:
        """The generator's only."""
        return (Phase("generator", "generator"),)

    def losses(
        self,
        phase: Phase,
        batch: Batch,
        progress: Progress,
        random: torch.Generator,
        augment: Augment,
    ) -> Mapping[str, Tensor]:
        """See :meth:`FamilyTraining.losses`; of the batch only its length counts."""
        # On the CPU, so that every device draws the same people from the same cameras.
        seed = torch.randint(1 << 62, (), generator=random, device=random.device)
        draw = torch.Generator().manual_seed(int(seed))
        with unmixed(self._before.device):
            pairs = [self._pair(draw) for _ in range(batch.images.shape[0])]
            return self._costs([one for one, _ in pairs], [two for _, two in pairs], draw)

    def _pair(self, draw: torch.Generator) -> tuple[Look, Look]:
        """One person from one camera, as drawn at the start and now."""
        facts = self._before.capabilities
        z = torch.randn(facts.z_dim, generator=draw)
        yaw, pitch = (torch.rand(2, generator=draw) * 2.0 - 1.0).tolist()
        pose = facts.default_pose.turned(yaw * self.shift.yaw, pitch * self.shift.pitch)
        camera = pose.camera()
        with torch.no_grad():
            before = self._seen(self._before, z, camera)
        with gradients():
            return before.clone(), self._seen(self._after, z, camera)

    def _seen(self, generator: Generator, z: Tensor, camera: Camera) -> Look:
        return look_at(generator, generator.map(z), camera, self._quality)

    def _costs(
        self, before: list[Look], after: list[Look], draw: torch.Generator
    ) -> dict[str, Tensor]:
        shift, aim, encoder, count = self.shift, self._aim, self._encoder[0], len(before)
        pictures = torch.cat([look.picture for look in (*before, *after)]).to(encoder.device)
        vectors = encoder.encode_image(crops(pictures, draw, shift.crops))
        was, now = vectors.view(shift.crops, 2, count, -1).unbind(1)
        moved = (now - was).flatten(0, 1)
        along = aim.along(moved)
        found = {
            "direction": shift.direction * aim.astray(moved),
            "reach": shift.reach * aim.short(along),
            "still": shift.still * aim.aside(moved),
            "whole": shift.whole * (1.0 - now @ self._text).mean(),
        }
        if shift.shape:
            pairs = zip(before, after, strict=True)
            costs = [self._moved_shape(one, two) for one, two in pairs]
            found["shape"] = shift.shape * torch.stack(costs).mean().to(encoder.device)
        kept = {name: value for name, value in found.items() if getattr(shift, name)}
        return kept | {"score/reached": along.detach().mean()}

    def _moved_shape(self, before: Look, after: Look) -> Tensor:
        """What moved of a head: its outline, and the depths where there is one in both."""
        there = (before.alpha > 0.5) & (after.alpha.detach() > 0.5)
        depths = (after.depth - before.depth) / (_DEPTH * self._room)
        inside = (depths.square() * there).sum() / there.sum().clamp(min=1)
        return inside + (after.alpha - before.alpha).square().mean()

    # ------------------------------------------------------------------------- facts

    def places(self) -> NoPictures:
        """What the loop is given in the place of pictures."""
        encoder, shift = self._encoder[0], self.shift
        weak = weakness(encoder, shift.text, shift.neutral)
        warnings = (DataWarning("text", weak),) if weak else ()
        return NoPictures(TextSummary(shift, encoder_name(encoder)), warnings)

    def optimiser(self, network: Network) -> OptimiserOptions:
        """The family's."""
        return self._inner[0].optimiser(network)

    def ema_half_life(self, progress: Progress) -> float:
        """The family's."""
        return self._inner[0].ema_half_life(progress)

    def layer_groups(self) -> Mapping[str, Sequence[str]]:
        """The family's, but that all mappings are one group. Where shapes are to stay, only those of
        shapes are, and what colours where others shape is a group of its own. What
        :meth:`choose_layers` has found is a group, too."""
        groups = self._named_groups()
        chosen = self.shift.chosen
        if not chosen:
            return groups
        names = [name for name, _ in self.generator.named_parameters() if name not in chosen]
        rest = {
            group: tuple(name for name in names if name.startswith(tuple(starts)))
            for group, starts in groups.items()
        }
        return {group: starts for group, starts in rest.items() if starts} | {ADAPTIVE: chosen}

    def _named_groups(self) -> dict[str, tuple[str, ...]]:
        groups = {name: tuple(starts) for name, starts in self._inner[0].layer_groups().items()}
        if not self.shift.freeze_shape:
            every = {start for starts in groups.values() for start in starts}
            mappings = {start for start in every if start.startswith("mapping")}
            others = {name: set(starts) - mappings for name, starts in groups.items()}
            whole = {**others, "mapping": others["mapping"] | mappings}
            return {name: tuple(sorted(whole[name])) for name in groups if whole[name]}
        colours = tuple(self._inner[0].colour_rows())
        if not colours:
            return groups
        names = [name for name, _ in self.generator.named_parameters() if name not in colours]
        geometry = groups["geometry"]
        groups["geometry"] = tuple(name for name in names if name.startswith(geometry))
        return groups | {COLOURS: colours}

    def drawable(self, state: Mapping[str, Tensor]) -> Generator:
        """See :meth:`FamilyTraining.drawable`."""
        return self._inner[0].drawable(state)

    def drawing_config(self) -> NetworkConfig:
        """See :meth:`Adversarial.drawing_config`."""
        return self._inner[0].drawing_config()

    def drawing_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See :meth:`Adversarial.drawing_state`."""
        return self._inner[0].drawing_state(state)

    def authors_files(self, state: Mapping[str, Tensor]) -> Mapping[str, object]:
        """See :meth:`FamilyTraining.authors_files`; the discriminator is that of the start."""
        return self._inner[0].authors_files(state)


def led_by(inner: Adversarial, options: ShiftOptions) -> TextShift:
    """A family's training with a text in the discriminator's place. Opens the text encoder.

    Raises:
        UserError: a text is empty, or the two say the same; the encoder's weights are missing or
            damaged, or are others than those that the options name, which the run was started with.
    """
    opened = open_encoder(options.encoder, next(inner.generator.parameters()).device)
    if options.encoder_sha256 not in ("", opened.identity):
        raise UserError(
            f"The text encoder {options.encoder or 'that ships'} is not the one that the run was "
            "started with; restore its weights, or start a new run."
        )
    return TextShift(inner, replace(options, encoder_sha256=opened.identity), opened.encoder)
