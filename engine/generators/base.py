"""The types that every generator family speaks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from engine.camera import Camera
from engine.capabilities import Capabilities, SettingValue
from engine.checkpoints.plain import ModelSource
from engine.errors import Cancelled, UserError
from engine.frame import Frame
from engine.generators.evaluation import gradients_wanted
from engine.rendering.occupancy import Grids, Survey

#: Largest side of a volume rendering or picture that is accepted, in pixels.
MAX_SIZE = 8192


@dataclass(frozen=True)
class Quality:
    """How much work a rendering may spend. Every field's default is the model's own.

    Attributes:
        neural_resolution: side of the volume rendering, pixels; ``None`` is the model's own.
        samples: multiplier on the samples per ray (coarse and fine), in ``(0, 8]``.
        upsample: run the super-resolution or decoder stage. Without it the final picture is
            the raw one.
        normals: also compute ``Frame.normal``.
        blocks: share of an implicit network's blocks that run, in ``(0, 1]``; families without one
            do not look at it (``Capabilities.fewer_blocks``).
    """

    neural_resolution: int | None = None
    samples: float = 1.0
    upsample: bool = True
    normals: bool = False
    blocks: float = 1.0

    def __post_init__(self) -> None:
        side = self.neural_resolution
        if side is not None and not (4 <= side <= MAX_SIZE):
            raise UserError(f"The neural resolution must be 4 to {MAX_SIZE} pixels, not {side}.")
        if not (0.0 < self.samples <= 8.0):
            raise UserError(
                f"The sample multiplier must be above 0 and at most 8, not {self.samples:g}."
            )
        if not (0.0 < self.blocks <= 1.0):
            raise UserError(
                f"The share of blocks must be above 0 and at most 1, not {self.blocks:g}."
            )

    def scaled(self, resolution: int, samples: float) -> Quality:
        """This quality at another neural resolution and sample multiplier."""
        return replace(self, neural_resolution=resolution, samples=samples)


class CancelToken:
    """Asked between chunks whether to stop; never stops by itself."""

    def __init__(self, is_cancelled: Callable[[], bool] | None = None) -> None:
        self._is_cancelled = is_cancelled
        self._flag = False

    def cancel(self) -> None:
        """Ask the work that holds this token to stop at its next check."""
        self._flag = True

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._flag or (self._is_cancelled is not None and self._is_cancelled())

    def check(self) -> None:
        """Raise :class:`~engine.errors.Cancelled` if somebody asked to stop."""
        if self.cancelled:
            raise Cancelled()


#: Never cancelled.
NEVER = CancelToken()


class Field(ABC):
    """A radiance field of one identity: all that meshes, occupancy and depth need.

    Points are in world units in Maquette's world (+Y up, face along +Z).
    """

    #: ``(minimum, maximum)`` corners ``[3]`` of the box outside which the field is empty.
    bounds: tuple[Tensor, Tensor]
    #: Whether a GPU has every sample of a grid sooner than the processor chooses among them.
    quick = False

    @abstractmethod
    def density(self, points: Tensor) -> Tensor:
        """``[N, 3]`` points -> ``[N]`` float32 raw density (before activation) or signed
        distance, as ``Capabilities.mesh_level_meaning`` says."""

    @abstractmethod
    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """``[N, 3]`` points (and unit view directions) -> ``[N, 3]`` RGB in ``[0, 1]``."""


class Generator(ABC):
    """A pretrained 3D-aware generator, in evaluation mode on one device.

    ``w`` is always in the extended form ``[num_ws, w_dim]`` float32. The same arguments give
    the same picture on every call: nothing is random.
    """

    capabilities: Capabilities
    device: torch.device
    #: Sentences on what its file could not tell and was assumed (``ModelSource.assumptions``).
    assumptions: tuple[str, ...] = ()
    #: What it was built from, so that layers of another model can be joined to it; ``None`` for
    #: generators without a file.
    source: ModelSource | None = None
    _adjusted: Mapping[str, SettingValue] | None = None
    _grids: Grids | None = None

    @property
    def settings(self) -> Mapping[str, SettingValue]:
        """Present value of every setting in ``capabilities.settings``."""
        if self._adjusted is None:
            self._adjusted = self.capabilities.settings_with({})
        return self._adjusted

    def adjust(self, changes: Mapping[str, Any]) -> None:
        """Set the family's own settings: their defaults, but for ``changes``.

        Everything drawn or mapped from now on follows them; a ``w`` that was mapped before
        keeps what it has.

        Raises:
            UserError: the model has no such setting, or not such a value of it.
        """
        values = self.capabilities.settings_with(changes)
        if values != self.settings:
            self._adjusted = values
            self.grids.clear()
            self.settings_changed()

    def settings_changed(self) -> None:
        """Called when a setting has changed: drop what was computed with the old one."""
        return

    @property
    def grids(self) -> Grids:
        """Where the fields of the last few faces are empty, as far as :meth:`explore` has looked."""
        if self._grids is None:
            self._grids = Grids()
        return self._grids

    def survey(self, w: Tensor) -> Survey | None:
        """What finds out where the field of ``w`` ``[num_ws, w_dim]`` is empty; ``None`` where
        drawing would not be faster for it."""
        return None

    def survey_pays_after(self, quality: Quality) -> float:
        """How many pictures of one face it takes until :meth:`survey` has saved what it cost, about;
        infinite where it never does. It follows from sizes and settings alone and from nothing that is
        measured meanwhile, so that the same pictures are drawn in the same way everywhere."""
        return math.inf

    @contextmanager
    def asking(self, grids: Grids) -> Iterator[None]:
        """Draw by other grids than those that :meth:`explore` has made so far, which are kept for later.
        No setting may change meanwhile."""
        own, self._grids = self._grids, grids
        try:
            yield
        finally:
            self._grids = own

    def explore(self, w: Tensor) -> bool:
        """Look at a part of the field of ``w`` ``[num_ws, w_dim]``, some milliseconds of work, so that
        pictures of it need not look where nothing is once all of it has been looked at.

        Returns:
            Whether nothing is left to look at.

        Raises:
            UserError: ``w`` has another shape.
        """
        if self.device.type != "cpu":
            return True
        with torch.inference_mode():
            return self.grids.advance(self.checked_rows(w), self.survey)

    def checked_latent(self, z: Tensor) -> Tensor:
        """``z`` on the model's device in float32.

        Raises:
            UserError: it is not ``[z_dim]``.
        """
        length = self.capabilities.z_dim
        if z.shape != (length,):
            raise UserError(f"This model's latent has {length} numbers, not {tuple(z.shape)}.")
        return z.to(self.device, torch.float32)

    def checked_rows(self, w: Tensor) -> Tensor:
        """``w`` on the model's device in float32, without its history unless gradients are wanted.

        Raises:
            UserError: it is not ``[num_ws, w_dim]``.
        """
        rows, columns = self.capabilities.num_ws, self.capabilities.w_dim
        if w.shape != (rows, columns):
            raise UserError(f"This model's w is {rows} x {columns}, not {tuple(w.shape)}.")
        return (w if gradients_wanted() else w.detach()).to(self.device, torch.float32)

    @abstractmethod
    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        """Latent to extended latent.

        Args:
            z: ``[z_dim]`` float64 or float32, drawn from N(0, I).
            psi: truncation psi: 1 keeps the sample, 0 gives the average identity.
            cutoff: truncate only the first so many rows; ``None`` means all.
            conditioning: the camera shown to a pose-conditioned mapping; ``None`` is the
                model's frontal default. Ignored by families without conditioning.

        Returns:
            ``[num_ws, w_dim]`` float32.
        """

    @abstractmethod
    def field(self, w: Tensor) -> Field:
        """The radiance field of ``w`` ``[num_ws, w_dim]``. Cached by the caller's ``w``
        object where computing it is expensive (tri-planes)."""

    @abstractmethod
    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        """Draw ``w`` ``[num_ws, w_dim]`` from ``camera``.

        Raises:
            Cancelled: ``cancel`` was set; checked between ray chunks.
        """

    @abstractmethod
    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        """Draw one case of a golden set in the **authors' own** value range, not clamped.

        Returns:
            output name (``rgb``, ``raw``, ``depth``, ``xyz``, ``density``) -> tensor, in the
            layout of the golden-set format: pictures ``[3, H, W]``, depth ``[1, h, w]``,
            density ``[N]``.
        """

    def mean_w(self) -> Tensor:
        """``[num_ws, w_dim]`` the average identity (truncation psi 0)."""
        return self.map(torch.zeros(self.capabilities.z_dim), psi=0.0)


@dataclass(frozen=True)
class GoldenCase:
    """One case of a golden set with its arrays looked up (see ``engine.verify``).

    Attributes:
        name: the case's name.
        latents: latent name -> array.
        psi, cutoff: truncation.
        cam2world: ``[4, 4]`` in the **authors'** frame, or ``None`` for a density case.
        points: ``[N, 3]`` in the authors' coordinates for a density case, else ``None``.
        options: everything else that the case (or the set) states.
        side: of the picture that must come out, in pixels (a ray-marched picture has any size,
            and neither file nor case may state one); ``None`` where none is expected.
    """

    name: str
    latents: dict[str, Tensor]
    psi: float
    cutoff: int | None
    cam2world: Tensor | None
    points: Tensor | None
    options: Mapping[str, Any] = field(default_factory=dict)
    side: int | None = None


def latent_from_seed(seed: int, z_dim: int) -> Tensor:
    """``[z_dim]`` float32 standard normal latent of a seed (numpy's MT19937, as StyleGAN
    tools use, so that seed numbers carry over from them).

    Raises:
        UserError: the seed is not within 0 to 2^32 - 1.
    """
    import numpy as np

    if not 0 <= seed < 2**32:
        raise UserError(f"A seed must be 0 to 4294967295, not {seed}.")
    return torch.from_numpy(np.random.RandomState(seed).randn(z_dim).astype(np.float32))
