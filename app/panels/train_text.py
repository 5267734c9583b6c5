"""What is asked for where a text leads the training: the text, what it is set against, how far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dearpygui.dearpygui as dpg

from app.kit import Kit
from app.training import Training
from engine.training.shift.options import MAX_TEXT

TEXT = "What everybody should be seen as; the text encoder of the settings reads it"
NEUTRAL = "What is seen now; a person of whom nothing is said where this is empty"
STRENGTH = "How far the pictures should go: 1 is all that lies between the two texts"
STEPS = "Of training, two people each; 0 goes on until it is stopped"
FREEZE = "Only colours change: depths and meshes stay as they are, to the last bit"


class TrainText:
    """Part of the form for training.

    Args:
        kit: what every panel is given.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    @property
    def _training(self) -> Training:
        return self._kit.studio.training

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.group() as group:
            self._text = self._box("text", "train_text", "an old man with a grey beard", TEXT)
            with kit.row("Instead of", NEUTRAL):
                self._neutral = self._box("neutral", "train_neutral", "a person", NEUTRAL)
            self._reader = kit.text("", theme=kit.themes.muted, font=kit.fonts.small, wrap=0)
        self._group = int(group)

    def build_numbers(self) -> None:
        """Create those that stand further below."""
        kit = self._kit
        with dpg.group() as group:
            with kit.row("Strength", STRENGTH):
                self._strength = kit.number(
                    lambda value: self._shift(strength=round(value, 2)), "train_strength",
                    0.05, 10.0, 0.01, "%.2f",
                )  # fmt: skip
            with kit.row("Steps", STEPS):
                self._steps = kit.number(
                    lambda value: self._edit(steps=round(value)), "train_steps", 0, 1_000_000, 1.0,
                    "%.0f",
                )  # fmt: skip
            self._freeze = int(
                dpg.add_checkbox(
                    label="Keep shapes as they are",
                    callback=lambda _sender, on: self._freezes(bool(on)),
                )
            )
            kit.tip(kit.name("train_freeze", self._freeze), FREEZE)
        self._numbers = int(group)

    @property
    def parts(self) -> dict[str, int]:
        """Its two parts by name."""
        return {"text": self._group, "strength": self._numbers}

    def _box(self, field: str, name: str, hint: str, tip: str) -> int:
        box = self._kit.box(name, hint=hint, tip=tip, auto_select_all=True)

        def told() -> None:
            self._shift(**{field: str(dpg.get_value(box)).strip()[: MAX_TEXT + 1]})

        self._kit.on_release(box, told)
        return box

    def update(self) -> None:
        """Show the present state."""
        kit, plan = self._kit, self._training.plan
        kit.show(self._group, plan.by_text)
        kit.show(self._numbers, plan.by_text)
        kit.show_value(self._text, plan.shift.text)
        kit.show_value(self._neutral, plan.shift.neutral)
        kit.show_value(self._strength, plan.shift.strength)
        kit.show_value(self._steps, float(plan.steps))
        kit.show_value(self._freeze, plan.shift.freeze_shape)
        own = kit.studio.settings.text_encoder
        kit.show_value(self._reader, f"Read by {own or 'the bundled text encoder'}")

    def _freezes(self, on: bool) -> None:
        self._shift(freeze_shape=on)
        # Which layers colour only the model knows.
        self._edit(layers=())

    def _shift(self, **changes: object) -> None:
        self._training.change(lambda p: replace(p, shift=replace(p.shift, **changes)))  # type: ignore[arg-type]

    def _edit(self, **changes: object) -> None:
        self._training.change(lambda plan: replace(plan, **changes))  # type: ignore[arg-type]


def leads(kit: Kit, told: Callable[[bool], None]) -> int:
    """Add the choice of what leads: pictures, or a text; returns its item."""
    item = int(
        dpg.add_combo(
            list(LEADS), width=-1, callback=lambda _sender, title: told(title == LEADS[1])
        )
    )
    kit.name("train_leads", item)
    return kit.explain(item, "What training learns from")


#: The titles of what can lead.
LEADS = ("Pictures", "A text")
