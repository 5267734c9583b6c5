"""What a text-led training run is asked for. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from engine.edits import name_of, tidy
from engine.errors import UserError
from engine.training.gan.options import SHAPES, TrainingOptions
from engine.training.plain import option_values

#: The group of a family's parameters that colour what others shape, where the two lie side by side.
COLOURS = "colours"
#: The group that decides who is who, and how much faster than published it learns alone.
MAPPING, MAPPING_RATE = SHAPES[0], 3.0
#: The group of the layers that the text moves most (:mod:`.adaptive`).
ADAPTIVE = "adaptive"
#: Most letters of a text.
MAX_TEXT = 200
#: What is not as in any other run: nobody judges, so that nothing is augmented or waited for.
DEFAULTS = TrainingOptions(
    preset="text", batch=2, steps=200, judge_first=0, augmentation="none", average_share=0.1,
    snapshot_minutes=2.0,
)  # fmt: skip


def _price(default: float, low: float = 0.0, high: float = 1000.0) -> Any:
    """A number with its range, that ``--loss`` may change."""
    return field(default=default, metadata={"range": (low, high)})


@dataclass(frozen=True)
class ShiftOptions:
    """A text, what reads it, and what is asked of the pictures.

    Attributes:
        text: what should be seen. neutral: what is seen now; empty for a person of whom nothing
            is said.
        encoder: as :func:`engine.text.encoder.load` takes it; empty is the bundled one.
        encoder_sha256: hash of its weights; empty until it is known.
        freeze_shape: leave densities, and with them depths and who is who, to the last bit.
        chosen: the parameters of the group ``adaptive``, once they are known; rows: of how many rows of w
            (:mod:`.adaptive`).
        strength: how far the pictures should go: 1 is all that lies between the two texts.
        direction: price of going elsewhere than the text's direction. reach: of falling short of
            ``strength``. still: of changes that the text does not ask for. whole: of pictures
            that are unlike the text itself (CLIP's plain loss). shape: of depths and outlines that
            move.
        yaw, pitch: the cameras go so many degrees around the default pose at most.
        crops: random cuts that a picture is looked at in.
        side: rays along a side of a picture at most, pixels.
    """

    text: str = ""
    neutral: str = ""
    encoder: str = ""
    encoder_sha256: str = ""
    freeze_shape: bool = False
    chosen: tuple[str, ...] = ()
    strength: float = _price(1.0, 0.05, 10.0)
    direction: float = _price(1.0)
    reach: float = _price(1.0)
    still: float = _price(1.0)
    whole: float = _price(0.0)
    shape: float = _price(0.0)
    yaw: float = _price(30.0, 0.0, 180.0)
    pitch: float = _price(10.0, 0.0, 80.0)
    crops: int = _price(2, 1, 64)
    side: int = _price(64, 4, 1024)
    rows: int = _price(4, 1, 64)

    @property
    def against(self) -> str:
        """The neutral text in words for people."""
        return self.neutral or "a person"

    def checked(self) -> Self:
        """These options with texts tidied up.

        Raises:
            UserError: a text is missing or too long, or a number is out of range.
        """
        plain = replace(self, text=tidy(self.text), neutral=tidy(self.neutral))
        if not name_of(plain.text):
            raise UserError("The text is empty; write what should be seen, such as 'an old man'.")
        for text in (plain.text, plain.neutral):
            if len(text) > MAX_TEXT:
                raise UserError(
                    f"A text has {len(text)} letters; {MAX_TEXT} are the most that can be read."
                )
        for one in fields(self):
            value = getattr(self, one.name)
            low, high = one.metadata.get("range", (None, None))
            if low is not None and not (math.isfinite(value) and low <= value <= high):
                raise UserError(f"{one.name} must be {low:g} to {high:g}, not {value:g}.")
        if not any((self.direction, self.reach, self.whole)):
            raise UserError("direction, reach and whole are all 0, so that no text leads.")
        return plain

    def with_prices(self, prices: Mapping[str, float]) -> Self:
        """These options with numbers by name, as ``--loss`` gives them.

        Raises:
            UserError: a name that is no number here, or a fraction where a whole one is wanted.
        """
        known = {one.name: one.default for one in fields(self) if "range" in one.metadata}
        values: dict[str, Any] = {}
        for name, value in prices.items():
            if name not in known:
                raise UserError(
                    f"A text-led run has no option {name!r}; it has {', '.join(known)}."
                )
            whole = isinstance(known[name], int)
            if whole and value != int(value):
                raise UserError(f"{name} must be a whole number, not {value:g}.")
            values[name] = int(value) if whole else float(value)
        return replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Options of plain data; what is left out has its default.

        Raises:
            UserError: an unknown name, or a value of another kind or out of range.
        """
        return cls(**option_values(cls, plain, "a text-led run")).checked()


def shift_training(
    shift: ShiftOptions, groups: Iterable[str], chosen: tuple[str, ...] = ()
) -> TrainingOptions:
    """The options of training for a model with these layer groups, as far as nothing else is
    asked for.

    Where shapes are to stay, what colours only trains. Else it is who is who with the bundled
    encoder, which knows nothing that heads cannot be anyway and takes paint for glasses; and with
    another encoder all but that, as in StyleGAN-NADA, since the text may say what no latent does.

    Args:
        chosen: groups that are asked for.

    Raises:
        UserError: shapes are to stay, and are asked to train, or every layer of the model makes some.
    """
    there = tuple(group for group in groups if group != ADAPTIVE)
    if shift.freeze_shape:
        for name in chosen:
            if name in SHAPES:
                raise UserError(
                    f"--freeze-shape keeps the layers {name!r} as they are; leave it out, or them."
                )
        layers = chosen or tuple(group for group in there if group not in SHAPES)
        if not layers:
            raise UserError(
                "This model's layers all shape heads; its shapes cannot be kept as they are."
            )
    elif shift.encoder:
        layers = chosen or tuple(group for group in there if group != MAPPING)
    else:
        layers = chosen or (MAPPING,)
    rate = MAPPING_RATE if layers == (MAPPING,) else DEFAULTS.rate
    return replace(DEFAULTS, layers=layers, rate=rate)
