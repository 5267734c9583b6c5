"""What a pi-GAN model lets its user choose."""

from __future__ import annotations

from engine.capabilities import ModelSetting
from engine.generators.pigan_config import BOXED, DATA_SETS, MAX_STEPS, PiGANConfig


def settings_of(config: PiGANConfig) -> tuple[ModelSetting, ...]:
    """What the authors choose on the command line or by the name of a data set."""
    ranges = ("celeba", "cats") if config.siren == BOXED else ("carla",)
    if config.data_set not in ranges:
        ranges = (*ranges, config.data_set)
    said = "; ".join(
        f"{DATA_SETS[name].title} {DATA_SETS[name].near:g} to {DATA_SETS[name].far:g}"
        for name in ranges
    )
    return (
        ModelSetting(
            "range",
            "Depth range",
            "choice",
            config.data_set,
            f"Where rays start and end for a camera at distance 1: {said}.",
            choices=ranges,
        ),
        ModelSetting(
            "steps",
            "Steps along a ray",
            "integer",
            config.steps,
            "Even samples on a ray, and as many again where the first found something; trained "
            "with 12 (CelebA), 24 (Cats) and 48 (CARLA), drawn by the authors with twice as many.",
            low=4,
            high=MAX_STEPS,
        ),
        ModelSetting(
            "last_back",
            "Close the back",
            "flag",
            config.last_back,
            "Light that passes all samples takes the colour of the last one.",
        ),
        ModelSetting(
            "lock_view_dependence",
            "Lock view dependence",
            "flag",
            config.lock_view_dependence,
            "Colours are those seen straight from the front: steadier while turning (eyebrows stay "
            "in place), a little softer.",
        ),
    )
