"""Comparing the present state with another one: the split, its divider, the before/after key.

Which state is compared is the document's :class:`~app.reference.Reference`; how it is looked at
(split or not, where the divider stands) is a matter of the window and no step of the history.
Knows neither the toolkit nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from app import reference_edits as edits
from app.favourites import identity_of, title
from app.messages import FrameReady
from app.reference import Reference, same_model, seen_like
from engine.errors import UserError
from engine.recipe import Recipe

if TYPE_CHECKING:
    from app.studio import Studio

Mode = Literal["present", "split", "reference"]
NOW = "Now"
NO_EARLIER = (
    "There is no earlier state of this model to show yet; change the face, or pin a reference."
)
#: The divider stays so far from the picture's edges, as a share of its width.
EDGE = 0.02


class Comparison:
    """What is compared, and how it is shown.

    Args:
        studio: the state behind the window.

    Attributes:
        split: whether the reference is shown beside the present picture.
        share: where the divider stands, as a share of the picture's width.
        frame: the newest picture of the reference, of whatever state it is.
        frames: how many have come so far.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.split = True
        self.share = 0.5
        self.frame: FrameReady | None = None
        self.frames = 0
        self._held: Reference | None = None
        self._asked: tuple[Recipe | None, bool] = (None, False)

    # What is shown ----------------------------------------------------------------------

    @property
    def pinned(self) -> Reference | None:
        """The document's reference."""
        return self._studio.document.reference

    @property
    def why_apart(self) -> str:
        """Why the reference cannot be shown; empty if it can, or if there is none."""
        return edits.why_apart(self._studio.document)

    @property
    def is_held(self) -> bool:
        """Whether the before/after key is down."""
        return self._held is not None

    @property
    def mode(self) -> Mode:
        """What the viewport shows."""
        if self._held is not None:
            return "reference"
        if self.pinned is not None and self.split and not self.why_apart:
            return "split"
        return "present"

    @property
    def wanted(self) -> tuple[Recipe | None, bool]:
        """What is drawn beside the present picture, and whether it is seen."""
        present, shown = self._studio.document.recipe, self._held
        if shown is None and not self.why_apart:
            shown = self.pinned
        if shown is None:
            return None, False
        return shown.beside(present), self.mode != "present"

    @property
    def why_not_shown(self) -> str:
        """Why no reference can be shown or swapped; empty if one can."""
        return edits.NOTHING_PINNED if self.pinned is None else self.why_apart

    @property
    def why_not_held(self) -> str:
        """Why the before/after key can show nothing; empty if it can, or does so already."""
        if self._held is not None or self.pinned is not None:
            return "" if self._held is not None else self.why_apart
        return "" if self._before_last_edit() is not None else NO_EARLIER

    @property
    def picture(self) -> FrameReady | None:
        """The newest picture of what is compared; ``None`` while there is none yet."""
        frame, (wanted, _) = self.frame, self.wanted
        if frame is None or wanted is None:
            return None
        drawn = frame.recipe
        same = identity_of(drawn) == identity_of(wanted) and drawn.settings == wanted.settings
        return frame if same and same_model(drawn.model, wanted.model) else None

    @property
    def labels(self) -> tuple[str, str]:
        """What stands above the present picture and above the reference."""
        shown = self._held or self.pinned
        if shown is None:
            return NOW, ""
        what = "Reference" if self.pinned is not None else "Before"
        waits = "" if self.picture is not None else " (drawing ...)"
        return NOW, f"{what}: {shown.name}{waits}"

    # What the studio calls --------------------------------------------------------------

    def ask(self) -> None:
        """Tell the engine what the next request is compared with."""
        wanted = self.wanted
        if wanted != self._asked:
            self._asked = wanted
            recipe, seen = wanted
            self._studio.client.compare(recipe, seen=seen)

    def take(self, frame: FrameReady) -> None:
        """A picture of a reference has come."""
        self.frame = frame
        self.frames += 1

    def model_opened(self) -> None:
        """Another model draws from now on: say so if the reference does not belong to it."""
        if why := self.why_apart:
            self._studio.say(why, key="reference")
        else:
            self._studio.notices.close_key("reference")

    # What the person does ---------------------------------------------------------------

    def pin(self) -> None:
        """Keep the present state as the reference, and show the two side by side."""
        self.split = True
        self._studio.edit("Pin reference", edits.pin)

    def pin_step(self, place: int) -> None:
        """Keep the state at a place of the history, as :meth:`History.go_to` counts them."""
        state = self._studio.history.document_at(place).recipe
        name = f"Step {place}, {title(state)}" if place else f"Start, {title(state)}"
        self.split = True
        self._studio.edit("Pin step as reference", lambda d: edits.pin(d, state, name))
        if why := self.why_apart:
            self._studio.say(why, key="reference")

    def pin_favourite(self, index: int) -> None:
        """Keep one of the favourites as the reference."""
        chosen = self._studio.document.favourites[index]
        self.split = True
        self._studio.edit(
            "Pin favourite as reference", lambda d: edits.pin_face(d, chosen.who, chosen.name)
        )

    def unpin(self) -> None:
        """Compare no more."""
        self._studio.edit("Unpin reference", edits.unpin)

    def swap(self) -> None:
        """Exchange the reference and the present state.

        Raises:
            UserError: nothing is pinned, or it belongs to another model.
        """
        self._studio.edit("Swap with reference", edits.swap)

    def keep_camera(self, own: bool) -> None:
        """Let the reference keep its own camera, or follow the present one.

        Raises:
            UserError: nothing is pinned.
        """
        name = "Reference keeps its camera" if own else "Reference follows the camera"
        self._studio.edit(name, lambda d: edits.keep_camera(d, own))

    def toggle_camera(self) -> None:
        """As :meth:`keep_camera`, the other way round than it is."""
        self.keep_camera(self.pinned is not None and not self.pinned.own_camera)

    def toggle_split(self) -> None:
        """Show the reference beside the present picture, or put it away.

        Raises:
            UserError: there is none that could be shown.
        """
        if why := self.why_not_shown:
            raise UserError(why)
        self.split = not self.split
        self._studio.redraw()

    def divide(self, share: float) -> None:
        """Move the divider to a share of the picture's width."""
        self.share = min(max(share, EDGE), 1.0 - EDGE)
        self._studio.touch()

    def hold(self) -> None:
        """The before/after key went down: the whole picture shows the reference or, where
        nothing is pinned, the state before the last edit.

        Raises:
            UserError: there is nothing to show.
        """
        if self._held is not None:
            return
        if why := self.why_not_held:
            raise UserError(why)
        self._held = self.pinned or self._before_last_edit()
        self._studio.redraw()

    def let_go(self) -> None:
        """The key went up."""
        if self._held is not None:
            self._held = None
            self._studio.redraw()

    def described(self) -> dict[str, Any]:
        """The state as plain data, for the tests."""
        frame = self.picture
        return {
            "pinned": None if self.pinned is None else self.pinned.to_json(),
            "mode": self.mode,
            "share": self.share,
            "labels": list(self.labels),
            "apart": self.why_apart,
            "frames": self.frames,
            "recipe": None if frame is None else frame.recipe.to_json(),
            "full_quality": frame is not None and frame.full_quality,
        }

    def _before_last_edit(self) -> Reference | None:
        """The latest state of this model whose face or settings differ from the present ones:
        turning the camera is not what is compared."""
        present = self._studio.document.recipe
        for step in reversed(self._studio.history.past):
            state = step.document.recipe
            if not same_model(state.model, present.model):
                return None
            if seen_like(state, present) != present:
                return Reference(title(state)[:60], state)
        return None
