"""``maquette train --back-to``: where a run goes on, and what becomes of the snapshots after that."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from app.cli.parsing import Flag
from engine.errors import UserError

if TYPE_CHECKING:
    from engine.training.gan.events import Event
    from engine.training.gan.run import Run


@dataclass(frozen=True)
class GoingBack:
    """With --resume: another snapshot than the newest."""

    back_to: Annotated[
        str | None, tyro.conf.arg(metavar="STEP", help_behavior_hint="(default: the newest)")
    ] = None
    """Go on from the snapshot of that step. Later ones are set aside and can be gone to in the same way;
    where several are of one step, STEP/LINE says which."""
    delete_aside: Flag = False
    """Delete what was set aside, for good."""

    @property
    def given(self) -> str:
        """An option that was given, empty for none."""
        return "--back-to" if self.back_to is not None else "--delete-aside" * self.delete_aside

    def place(self) -> tuple[int | None, int | None]:
        """Step and line of the snapshot, ``None`` for what was not said.

        Raises:
            UserError: that is neither a step nor a step and its line.
        """
        if self.back_to is None:
            return None, None
        found = re.fullmatch(r"(\d{1,9})(?:/(\d{1,9}))?", self.back_to.strip(), re.ASCII)
        if found is None:
            raise UserError(
                f"--back-to takes a step, such as 1200, or a step and its line, such as 1200/1; not "
                f"{self.back_to[:40]!r}."
            )
        return int(found[1]), None if found[2] is None else int(found[2])

    def tidy(self, run: Run, told: Callable[[Event], None]) -> None:
        """Delete what was set aside, if that was asked for."""
        if self.delete_aside:
            from engine.training.gan.events import Notice

            what = {0: "No snapshot was", 1: "A snapshot that was"}
            count = run.delete_aside()
            begin = what.get(count, f"{count} snapshots that were")
            end = "" if count == 0 else " is deleted" if count == 1 else " are deleted"
            told(Notice(run.loop.position.step, f"{begin} set aside{end}."))
