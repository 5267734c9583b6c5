"""Between two faces: the other one, how far towards it, and along which way."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app import mixing_edits as mixing
from app.commands import tip
from app.kit import Kit
from app.panels.identity import read_seed
from app.studio import Studio
from engine.errors import UserError
from engine.identity import BlendSpace

#: Space -> title of its button and what it is.
WAYS: dict[BlendSpace, tuple[str, str]] = {
    "w": ("Straight", "A straight line between the extended latents w: even and tidy"),
    "z": ("Spherical", "Along a great circle between the input latents z: every face on the way "
          "is as typical as the ends"),
}  # fmt: skip

AMOUNT = "0 % is the face above, 100 % the other one"


class BlendPanel:
    """A button while there is one face; the controls of the blend once there are two."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._start = kit.button(
            "Blend with another face", self.start, "blend_start",
            tip("blend_start"), width=-1,
        )  # fmt: skip
        with dpg.group(show=False) as controls:
            with kit.row("Towards", "The seed of the face at the other end"):
                self._seed = kit.box("blend_seed", width=-kit.px(76), auto_select_all=True)
                kit.arrows(self._step, "blend", "seed")
            kit.on_release(self._seed, self._typed)
            with kit.row("Amount", AMOUNT):
                self._number = kit.number(
                    self._move, "blend_amount_number", 0, 100, 0.5, "%.0f %%", width=-1
                )
            self._amount = kit.slider(self._move, "blend_amount", 0, 100, tip=AMOUNT)
            with kit.row("Way"):
                self._ways = {
                    space: kit.button(
                        title, lambda space=space: self._choose(space),  # type: ignore[misc]
                        f"blend_{title.lower()}", way, width=kit.px(74),
                    )
                    for space, (title, way) in WAYS.items()
                }  # fmt: skip
            with kit.row():
                kit.button(
                    "Random", self._random, "blend_random", "Another face at the other end",
                    width=kit.px(78),
                )  # fmt: skip
                kit.button("Swap", self.swap, "blend_swap", tip("blend_swap"), width=kit.px(78))
                kit.button("Clear", self.clear, "blend_clear", tip("blend_clear"), width=-1)
            self._note = kit.text("", theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        self._controls = int(controls)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, partner = self._kit, mixing.partner(studio.document)
        kit.show(self._start, partner is None)
        kit.enable(self._start, studio.model is not None)
        kit.show(self._controls, partner is not None)
        if partner is None:
            return
        kit.show_value(self._seed, str(partner.seed))
        for item in (self._amount, self._number):
            kit.show_value(item, 100 * partner.amount)
        for space, item in self._ways.items():
            themes = kit.themes
            dpg.bind_item_theme(item, themes.chosen if space == partner.space else themes.segment)
        many = partner.others > 1
        kit.show(self._note, many)
        if many:
            text = f"A blend of {partner.others + 1} faces; a change here makes it one of two."
            kit.show_value(self._note, text)

    @property
    def seed_box(self) -> int:
        """The box of the other face's seed."""
        return self._seed

    def start(self) -> None:
        """Half-way to a face at random."""
        self._kit.studio.edit("Blend", mixing.new_blend)

    def _typed(self) -> None:
        studio, partner = self._kit.studio, mixing.partner(self._kit.studio.document)
        if partner is None:
            return
        try:
            seed = read_seed(dpg.get_value(self._seed))
        except UserError:
            dpg.set_value(self._seed, str(partner.seed))
            raise
        if seed != partner.seed:
            studio.edit("Blend towards", lambda d: mixing.set_blend(d, seed))

    def _step(self, by: int) -> None:
        partner = mixing.partner(self._kit.studio.document)
        if partner is not None:
            seed = partner.seed + by
            self._kit.studio.edit("Blend towards", lambda d: mixing.set_blend(d, seed))

    def _move(self, percent: float) -> None:
        share = round(percent / 100, 4)
        self._kit.studio.edit(
            "Blend amount", lambda d: mixing.set_blend(d, amount=share), "blend-amount"
        )

    def _choose(self, space: BlendSpace) -> None:
        self._kit.studio.edit("Way of the blend", lambda d: mixing.set_blend(d, space=space))

    def _random(self) -> None:
        self._kit.studio.edit("Blend towards", mixing.random_partner)

    def swap(self) -> None:
        """Exchange the two faces."""
        self._kit.studio.edit("Swap faces", mixing.swap)

    def clear(self) -> None:
        """The face above alone."""
        self._kit.studio.edit("Clear the blend", mixing.clear_blend)
