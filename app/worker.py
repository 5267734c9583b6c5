"""The engine process: opens models, draws the newest request, adapts while things move.

One thread draws; the mailbox's thread listens. Between ray chunks the drawing looks into the
mailbox and stops when it has become pointless:

- a full-quality frame stops for any newer request;
- a preview stops when the next request is to be drawn at full quality, or when it takes
  more than twice the time that the target rate allows. Otherwise it finishes although newer
  requests wait: if every movement of the mouse stopped it, no picture would ever be shown
  while dragging.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace

import torch

from app.adaptive import AdaptiveQuality, Preview, default_fps
from app.delivery import Delivery, Picture
from app.engine_pictures import (
    PictureTaker,
    give_back_memory,
    preview_quality,
    thumbnail,
)
from app.faults import sentence
from app.frames import SlotRef
from app.frugality import Frugality
from app.joins import Joins
from app.lever_watch import LeverWatch, while_wanted
from app.mailboxes import EngineMailbox
from app.messages import MemoryShort, ModelFailed, ModelLoaded, RenderFailed
from app.opening import open_generator, reference
from app.processor import preview_threads
from app.survey_watch import SurveyWatch
from app.tidying import Tidying
from app.turns import Shot, Turns
from app.wire import (
    Draw,
    DrawThumbnail,
    DropThumbnails,
    FrameInSlot,
    Opened,
    OpenModel,
    ProcessOptions,
    ReadSecond,
    ReleaseSlot,
    SetTarget,
    ThumbnailDrawn,
    UseRing,
)
from engine.capabilities import SettingValue
from engine.draw import Painter, full_quality
from engine.errors import Cancelled
from engine.frame import Frame
from engine.generators.base import CancelToken, Quality
from engine.generators.blending import swappable_layers
from engine.kernels import graphs
from engine.memory import is_memory_full
from engine.recipe import Recipe

#: Stages of ``Frame.timings`` whose cost depends on the neural resolution and the samples;
#: everything else that a frame took is the same at every quality.
SCALING_STAGES = ("volume", "normals")
UPSAMPLE_STAGE = "upsample"


class Engine:
    """The loop of the engine process.

    Args:
        mailbox: the pipe.
        options: device and target rate.
    """

    def __init__(self, mailbox: EngineMailbox, options: ProcessOptions) -> None:
        self._mailbox = mailbox
        self._options = options
        self._target_fps = options.target_fps
        self._painter: Painter | None = None
        self._device = "cpu"
        #: Threads that torch computes with by itself.
        self._threads = torch.get_num_threads()
        self._controllers: dict[tuple[object, ...], AdaptiveQuality] = {}
        #: The model's settings that the controllers have measured.
        self._measured: tuple[tuple[str, SettingValue], ...] = ()
        self._frugality = Frugality(options.frugal)
        self._levers, self._surveys = LeverWatch(), SurveyWatch()
        self._delivery, self._pictures = Delivery(mailbox), PictureTaker()
        self._sha256 = ""
        #: Small pictures to draw while nothing else is to be drawn, and whether some were.
        self._thumbnails: deque[DrawThumbnail] = deque()
        self._strayed = False
        #: Second models whose layers are joined to the open one.
        self._joins = Joins(mailbox)
        #: Which picture comes next, and which requests have been answered.
        self._turns = Turns(options.settle_seconds)
        self._tidying = Tidying()

    def run(self) -> None:
        """Serve until the process ends."""
        while True:
            self._apply_controls()
            opening = self._mailbox.take_opening()
            if opening is not None:
                self._open(opening)
                continue
            request = self._mailbox.request
            if self._painter is None:
                self._mailbox.wait(None, request)
            elif request is None:
                self._idle(self._painter, None)
            else:
                self._answer(self._painter, request)

    def _answer(self, painter: Painter, request: Draw) -> None:
        """Draw what is due of a request, or wait until something is."""
        resting = time.monotonic() - self._mailbox.received
        shot, rest = self._turns.next(request, resting), self._turns.rest(request, resting)
        if shot is not None and not self._joins.is_ready(shot.recipe):
            self._joins.want(shot.recipe)
            if shot.full:
                self._mailbox.wait(None, request)
                return
            shot = replace(shot, recipe=self._joins.meanwhile(shot.recipe))
        if shot is not None:
            self._draw(painter, request, shot)
        elif rest is not None:
            self._mailbox.wait(rest, request)
        else:
            self._idle(painter, request)

    def _idle(self, painter: Painter, request: Draw | None) -> None:
        """Nothing is to be drawn at once: a thumbnail, what makes the next pictures faster, or rest."""
        if self._thumbnails:
            self._draw_thumbnail(painter, self._thumbnails.popleft(), request)
        elif self._strayed and request is not None:
            self._return_to(painter, request)
        elif request is not None and self._surveys.due(request):
            self._use_threads(False)
            self._surveys.step(painter, request)
        elif self._levers.due and request is not None:
            self._use_threads(False)
            self._levers.idle(self._mailbox, request)
        else:
            self._mailbox.wait(self._tidying.rest(), request)

    def _apply_controls(self) -> None:
        for message in self._mailbox.take_controls():
            if isinstance(message, ReleaseSlot):
                self._delivery.release(message.ring, message.slot)
            elif isinstance(message, UseRing):
                self._delivery.use(message.info)
            elif isinstance(message, SetTarget):
                self._target_fps = message.fps
                self._controllers.clear()
            elif isinstance(message, ReadSecond):
                self._joins.read(message)
            elif isinstance(message, DrawThumbnail):
                self._thumbnails.append(message)
            elif isinstance(message, DropThumbnails):
                self._thumbnails.clear()

    # Models ---------------------------------------------------------------------------------

    def _open(self, opening: OpenModel) -> None:
        started = time.monotonic()
        try:
            generator = open_generator(opening.path, self._options)
            ref = reference(opening.path)
        except Exception as error:
            if self._mailbox.opening is None:
                message = sentence(f"opening {opening.path}", error, "engine")
                self._mailbox.send(Opened(opening.serial, ModelFailed(opening.path, message)))
            return
        if self._mailbox.opening is not None:
            return  # a newer wish has come: this model is not wanted any more
        if self._painter is not None and self._frugality.is_lowered:
            # Another model needs another amount of memory.
            self._frugality = Frugality()
            self._mailbox.send(MemoryShort(""))
        if self._painter is not None:
            graphs.forget()  # they hold the memory of the model before
        self._painter, self._sha256 = Painter(generator), ref.sha256
        self._joins.attend(self._painter)
        self._device = str(generator.device)
        self._controllers.clear()
        self._levers, self._surveys = LeverWatch(), SurveyWatch()
        self._mailbox.forget_earlier_request()
        self._turns.forget()
        took = time.monotonic() - started
        able, assumed = generator.capabilities, generator.assumptions
        layers = tuple(swappable_layers(generator.source)) if generator.source else ()
        loaded = ModelLoaded(ref, able, self._device, took, assumed, layers)
        self._mailbox.send(Opened(opening.serial, loaded))

    # Drawing --------------------------------------------------------------------------------

    def _controller(
        self, painter: Painter, recipe: Recipe, shared: bool = False
    ) -> AdaptiveQuality:
        """Every view costs differently and keeps its own measure; so does a picture that shares
        its time with a second one."""
        full = recipe.neural_resolution or painter.generator.capabilities.neural_resolution
        key = (recipe.view, full, recipe.samples, shared)
        if key not in self._controllers:
            fps = (self._target_fps or default_fps(self._device)) * (2 if shared else 1)
            self._controllers[key] = AdaptiveQuality(full, recipe.samples, fps)
        self._levers.apply(self._controllers[key], recipe, full)
        return self._controllers[key]

    def _measure_anew(self, recipe: Recipe) -> None:
        """Other settings of the model may cost anything (samples a ray): what was timed with
        the old ones counts no more. While a slider moves, previews tell by themselves."""
        if recipe.settings != self._measured:
            self._measured = recipe.settings
            for controller in self._controllers.values():
                controller.unlearn()

    def _draw(self, painter: Painter, request: Draw, shot: Shot) -> None:
        recipe, full, shared = shot.recipe, shot.full, self._turns.shares(request)
        self._tidying.worked()
        started = time.monotonic()
        try:
            self._joins.check(recipe.checked())
            if full and shot.part == "present":
                self._measure_anew(recipe)
            controller = self._controller(painter, recipe, shared)
            rung = controller.quality
            own = recipe in (request.recipe, request.reference)
            complete = full or (controller.at_top and own)
            quality = full_quality(recipe) if complete else preview_quality(recipe, controller)
            cancel = CancelToken(lambda: self._pointless(request, full, started, controller))
            self._use_threads(complete)
            frame, image, whole = self._paint(painter, recipe, cancel, quality)
        except Cancelled:
            newest = self._mailbox.request
            if not full and newest is not None and newest.moving and not self._mailbox.opening:
                controller.too_slow(rung, time.monotonic() - started)
            return
        except Exception as error:
            self._turns.drawn(shot, request, complete=True)
            message = sentence("drawing", error, "engine")
            self._mailbox.send(RenderFailed(message, request.generation, shot.part))
            return
        seconds = time.monotonic() - started
        if whole:
            self._learn(controller, rung, frame, seconds, full)
            self._levers.drawn(painter, recipe, seconds if full else 0.0, controller.budget)
        if whole and full and request.reference is not None:
            other = self._controller(painter, recipe, not shared)
            self._learn(other, rung, frame, seconds, full)
        side, number = int(frame.raw.shape[0]), request.generation

        def announce(ref: SlotRef) -> FrameInSlot:
            size, took = (side, ref.height), seconds * 1000.0
            return FrameInSlot(ref, recipe, size, took, complete, number, shot.part)

        self._delivery.send(image, announce, self._apply_controls)
        self._turns.drawn(shot, request, complete)

    def _paint(
        self, painter: Painter, recipe: Recipe, cancel: CancelToken, quality: Quality
    ) -> tuple[Frame, Picture, bool]:
        """Draw a recipe, smaller where memory is short: the frame, the picture, is it as asked."""
        self._frugality.ease(time.monotonic())
        while True:
            allowed = self._frugality.of(quality, painter.generator.capabilities)
            try:
                frame = painter.frame(recipe, cancel, allowed)
                image = self._pictures.take(frame, recipe)
            except (MemoryError, RuntimeError) as error:
                if not (is_memory_full(error) and self._frugality.less(time.monotonic())):
                    raise
            else:
                news = self._frugality.news(int(frame.raw.shape[0]))
                if news is not None:
                    self._mailbox.send(MemoryShort(news))
                return frame, image, allowed == quality
            # Only now is what the failed drawing held let go.
            give_back_memory()

    def _use_threads(self, all_of_them: bool) -> None:
        """All threads, or those that a preview is drawn with."""
        wanted = self._threads if all_of_them else preview_threads(self._threads, self._device)
        if torch.get_num_threads() != wanted:
            torch.set_num_threads(wanted)

    def _draw_thumbnail(
        self, painter: Painter, wanted: DrawThumbnail, request: Draw | None
    ) -> None:
        """Draw a small picture unless something else comes; then it waits for its turn again."""
        mailbox, pixels = self._mailbox, None
        self._tidying.worked()
        mine = wanted.recipe.model.sha256 == self._sha256
        drops = mailbox.drops

        def stop() -> bool:
            newer = mailbox.request is not request or mailbox.opening is not None
            return newer or mailbox.drops != drops

        try:
            if mine:
                self._strayed = True
                pixels = thumbnail(painter, wanted.recipe, wanted.side, CancelToken(stop))
        except Cancelled:
            self._thumbnails.appendleft(wanted)
            return
        except Exception as error:
            # The picture of the same face tells why, once somebody looks at it.
            sentence("drawing a thumbnail", error, "engine")
        mailbox.send(ThumbnailDrawn(wanted.key, pixels, mine))

    def _return_to(self, painter: Painter, request: Draw) -> None:
        """Make ready again what the live picture needs: a model keeps only the last faces."""
        self._strayed = False
        cancel = while_wanted(self._mailbox, request)
        shown = (request.reference if request.seen else None, request.recipe)
        try:
            for recipe in (recipe for recipe in shown if recipe is not None):
                quality = preview_quality(recipe, self._controller(painter, recipe))
                painter.frame(recipe, cancel, quality)
        except Cancelled:
            pass
        except Exception as error:
            sentence("drawing", error, "engine")

    def _pointless(
        self, request: Draw, full: bool, started: float, controller: AdaptiveQuality
    ) -> bool:
        """Whether a drawing that is under way shall stop (see the module's docstring)."""
        mailbox = self._mailbox
        if mailbox.opening is not None:
            return True
        newest = mailbox.request
        if newest is request:
            return False
        if full and newest is not None and newest.asks_the_same_as(request):
            return False
        if full or newest is None or not newest.moving:
            return True
        return time.monotonic() - started > 2 * controller.budget and not controller.at_floor

    def _learn(
        self,
        controller: AdaptiveQuality,
        rung: Preview,
        frame: Frame,
        seconds: float,
        full: bool,
    ) -> None:
        scaling = sum(frame.timings.get(stage, 0.0) for stage in SCALING_STAGES)
        fixed = max(seconds - scaling, 0.0) if scaling else 0.0
        upsample = frame.timings.get(UPSAMPLE_STAGE, 0.0)
        if full:
            controller.prime(seconds, fixed, upsample)
        else:
            controller.record(rung, seconds, fixed, upsample)
