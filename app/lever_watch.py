"""When the engine tries what the open model's previews can do without (:mod:`engine.lever_trials`):
one small drawing at a time, while a full picture is shown and nothing else is wanted."""

from __future__ import annotations

import time

from app.adaptive import AdaptiveQuality, Preview, measured_ladder
from app.faults import sentence
from app.mailboxes import EngineMailbox
from app.wire import Draw
from engine.capabilities import SettingValue
from engine.draw import Painter
from engine.errors import Cancelled
from engine.frame import Frame
from engine.generators.base import CancelToken, Quality
from engine.lever_trials import LeverTrials
from engine.levers import Levers
from engine.recipe import Recipe

#: What decides what a model's levers cost: its settings, and full quality.
_Key = tuple[tuple[tuple[str, SettingValue], ...], int, float]


#: Seconds without anything new to draw before something is tried: hands that pause go on sooner.
REST = 3.0


def while_wanted(mailbox: EngineMailbox, request: Draw) -> CancelToken:
    """Gives up as soon as something newer than a request is there."""
    return CancelToken(lambda: mailbox.request is not request or mailbox.opening is not None)


class LeverWatch:
    """Levers of the open model, as far as they were tried."""

    def __init__(self) -> None:
        self._key: _Key | None = None
        self._trials: LeverTrials | None = None
        self._levers: Levers | None = None
        self._cancel = CancelToken()

    def drawn(self, painter: Painter, recipe: Recipe, seconds: float, budget: float) -> None:
        """A full picture was drawn in so many seconds; ``budget`` is what a preview may take. Where
        full pictures do not take longer, nothing is tried."""
        facts = painter.generator.capabilities
        side = recipe.neural_resolution or facts.neural_resolution
        key = (recipe.settings, side, recipe.samples)
        slow = seconds > budget and recipe.view == "picture"
        if key == self._key or not slow or facts.why_not("neural_resolution"):
            return

        def draw(quality: Quality) -> Frame:
            return painter.frame(recipe, self._cancel, quality)

        self._key, self._levers = key, None
        self._trials = LeverTrials(facts, side, recipe.samples, draw)

    def idle(self, mailbox: EngineMailbox, request: Draw) -> None:
        """Nothing is to be drawn for a request: try one thing, once it has rested for :data:`REST`."""
        left = REST - (time.monotonic() - mailbox.received)
        if left > 0.0:
            mailbox.wait(left, request)
        else:
            self.attempt(while_wanted(mailbox, request))

    @property
    def due(self) -> bool:
        """Whether there is something to try."""
        return self._trials is not None

    def attempt(self, cancel: CancelToken) -> None:
        """Try one thing. What was given up because ``cancel`` was set is tried again the next time; after
        anything else that fails previews stay as they are."""
        if self._trials is None:
            return
        self._cancel = cancel
        try:
            self._trials.step()
            if self._trials.done:
                self._levers, self._trials = self._trials.levers(), None
        except Cancelled:
            pass
        except Exception as error:
            sentence("trying what previews can go without", error, "engine")
            self._trials = None

    def apply(self, controller: AdaptiveQuality, recipe: Recipe, resolution: int) -> None:
        """Give the controller of a recipe's pictures, ``resolution`` pixels at full quality, the rungs
        that were found for them, if they were."""
        rungs = self.ladder(recipe, resolution)
        if rungs is not None:
            controller.use(rungs)

    def ladder(self, recipe: Recipe, resolution: int) -> tuple[Preview, ...] | None:
        """Rungs for previews of a recipe of so many pixels, if this model was tried."""
        key = (recipe.settings, resolution, recipe.samples)
        if self._levers is None or key != self._key or recipe.view != "picture":
            return None
        return measured_ladder(self._levers, resolution, recipe.samples)
