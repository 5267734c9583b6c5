"""Who is shown: seed, truncation psi and cutoff."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import document as edits
from app.commands import tip
from app.kit import Kit
from app.studio import Studio
from engine.errors import UserError

DEFAULT_PSI = 0.7
TRUNCATION = (
    "How far from the average face: 0 is the average, 1 the sample as it is. "
    "Lower is tidier, higher more varied."
)


def read_seed(text: str) -> int:
    """The seed that a person typed.

    Raises:
        UserError: it is no whole number from 0 to 4294967295.
    """
    try:
        seed = int(text.strip())
    except ValueError:
        seed = -1
    if not 0 <= seed <= edits.MAX_SEED:
        raise UserError(
            f"The seed must be a whole number from 0 to {edits.MAX_SEED}, not {text.strip()!r}."
        )
    return seed


class IdentityPanel:
    """Seed, truncation psi, cutoff."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        what = "The number that the face is drawn from; the same seed is the same face"
        with kit.row("", what):
            kit.label("Seed", what, width=36)
            self._seed = kit.box("seed", width=kit.px(66), auto_select_all=True)
            self._arrow(dpg.mvDir_Left, self.previous, "seed_previous")
            self._arrow(dpg.mvDir_Right, self.next, "seed_next")
            kit.button("Random", self.random, "seed_random", tip("seed_random"), width=-1)
        kit.on_release(self._seed, self._seed_typed)
        with kit.row("Truncation ψ", TRUNCATION):
            self._psi_number = kit.number(
                self._set_psi, "psi_number", -1.0, 2.0, 0.005, "%.2f", width=-kit.px(66)
            )
            kit.button("Reset", self.reset_psi, "psi_reset", f"Back to {DEFAULT_PSI}", width=-1)
        self._psi = kit.slider(self._set_psi, "psi", -1.0, 2.0, tip=TRUNCATION)
        with kit.row(
            "Cutoff",
            "Only so many of the first layers are pulled towards the average; "
            "the later ones keep the colours of the sample.",
        ):
            self._cutoff_text = kit.label("", width=150)
        self._cutoff = kit.slider(self._cutoff_moved, "cutoff", 0, 1, whole=True)
        self._cutoff_why = kit.name("cutoff_tip", kit.tip(self._cutoff, ""))

    def _arrow(self, direction: int, action: Callable[[], None], name: str) -> None:
        item = int(dpg.add_button(arrow=True, direction=direction, callback=lambda: action()))
        self._kit.tip(self._kit.name(name, item), tip(name))

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, recipe, capabilities = self._kit, studio.document.recipe, studio.capabilities
        kit.show_value(self._seed, "" if recipe.latent is not None else str(recipe.seed))
        kit.show_value(self._psi, recipe.psi)
        kit.show_value(self._psi_number, recipe.psi)
        layers = capabilities.num_ws if capabilities else 14
        why = capabilities.why_not("cutoff") if capabilities else "A model has to be open first."
        every = recipe.cutoff is None or recipe.cutoff >= layers
        dpg.configure_item(self._cutoff, max_value=layers)
        words = cutoff_words(recipe.cutoff, capabilities.num_ws if capabilities else None)
        if capabilities and why:
            words = "not for this model"
        dpg.configure_item(self._cutoff_text, label=words)
        kit.enable(self._cutoff, not why)
        kit.show_value(self._cutoff_why, why or "Ctrl + click to type a number of layers")
        kit.show_value(self._cutoff, layers if every else recipe.cutoff)

    @property
    def seed_box(self) -> int:
        """Where the seed is typed."""
        return self._seed

    def previous(self) -> None:
        """The seed before this one."""
        self._kit.studio.edit("Previous seed", edits.previous_seed)

    def next(self) -> None:
        """The seed after this one."""
        self._kit.studio.edit("Next seed", edits.next_seed)

    def random(self) -> None:
        """A seed at random."""
        self._kit.studio.edit("Random seed", edits.random_seed)

    def _seed_typed(self) -> None:
        studio, text = self._kit.studio, dpg.get_value(self._seed)
        if studio.document.recipe.latent is not None and not text.strip():
            return
        try:
            seed = read_seed(text)
        except UserError:
            dpg.set_value(self._seed, str(studio.document.recipe.seed))
            raise
        studio.edit("Seed", lambda d: edits.set_seed(d, seed))

    def _set_psi(self, psi: float) -> None:
        self._kit.studio.edit("Truncation", lambda d: edits.set_psi(d, round(psi, 3)), "psi")

    def reset_psi(self) -> None:
        """The usual truncation."""
        self._kit.studio.edit("Truncation", lambda d: edits.set_psi(d, DEFAULT_PSI))

    def _cutoff_moved(self, value: float) -> None:
        capabilities = self._kit.studio.capabilities
        if capabilities is None:
            return
        cutoff = None if value >= capabilities.num_ws else int(value)
        self._kit.studio.edit("Cutoff", lambda d: edits.set_cutoff(d, cutoff), "cutoff")


def cutoff_words(cutoff: int | None, layers: int | None) -> str:
    """How many layers are truncated, of how many there are, if that is known."""
    if cutoff is None or (layers is not None and cutoff >= layers):
        return "all layers" if layers is None else f"all {layers} layers"
    return f"first {cutoff} layers" if layers is None else f"first {cutoff} of {layers} layers"
