"""What is empty around the faces of an export, found out by the export itself.

The window's engine looks around a face while nothing else is to be drawn, and previews are drawn faster for
it (:mod:`engine.rendering.occupancy`). An export asks none of those grids: its pixels would depend on what was
on the screen before. It looks for itself, once for each face of which enough pictures follow one another
(``Generator.survey_pays_after``): for a video of a turning head, not for one that becomes another with
every frame. Whether it does follows from its recipes alone, and so do its pixels, on the command line as in
the window. A picture that was drawn so differs from the one drawn by itself by no more than the view does: by one
step of 255 in a few values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from engine.capabilities import SettingValue
from engine.generators.base import CancelToken, Generator
from engine.rendering.occupancy import Grids


class Drawn(NamedTuple):
    """A finished picture.

    Attributes:
        pixels: ``[S, S, 3 or 4]`` uint8 on the CPU.
        surveyed: whether a grid was asked where its face is empty.
    """

    pixels: Tensor
    surveyed: bool


class Surveys:
    """The grids of one export: of the last few faces of one model."""

    def __init__(self) -> None:
        self._of: tuple[Generator, Mapping[str, SettingValue]] | None = None
        self._grids = Grids()

    @contextmanager
    def known(
        self, model: Generator, w: Tensor, wanted: bool, cancel: CancelToken
    ) -> Iterator[bool]:
        """Draw by these grids, ``w`` ``[num_ws, w_dim]`` having been looked at if that is ``wanted``; tells
        whether there is a grid of it.

        Raises:
            Cancelled: ``cancel`` was set; checked between slices of looking.
        """
        if self._of is None or self._of[0] is not model or self._of[1] != model.settings:
            self._of, self._grids = (model, model.settings), Grids()
        with model.asking(self._grids):
            while wanted and not model.explore(w):
                cancel.check()
            with torch.inference_mode():
                found = self._grids.find(model.checked_rows(w)) is not None
            yield found
