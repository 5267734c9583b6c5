"""What a run is asked to be, before anything is opened. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from engine.errors import UserError
from engine.export.files import write_bytes
from engine.json_text import json_text
from engine.training.gan.options import TrainingOptions

#: File of a run's folder that says what was started.
NAME = "run.json"
FORMAT = "maquette-run/1"
_MOST = 4 << 20


@dataclass(frozen=True)
class RunPlan:
    """What is to be trained, on what, and where the run is kept.

    Attributes:
        folder: of the run; made if it is not there.
        data: folder or archive of pictures; empty where a text leads.
        model: a checkpoint, or what stands for a model that ships.
        family: train a small model of this family from nothing, instead of ``model``.
        resolution: side of that model's pictures, pixels.
        preset: a name of :data:`.options.PRESETS`.
        changes: options that are not as in the preset, by name.
        family_options: of the family's losses, by name, where they are not the published ones.
        mirror: show every picture mirrored, too.
        name: title of the model; empty makes one.
        shift: what is asked for where a text leads instead of pictures
            (:class:`engine.training.shift.options.ShiftOptions` as plain data); else empty.
    """

    folder: str
    data: str
    model: str = "bundled"
    family: str = ""
    resolution: int = 64
    preset: str = "quick"
    changes: Mapping[str, Any] = field(default_factory=dict)
    family_options: Mapping[str, Any] = field(default_factory=dict)
    mirror: bool = True
    name: str = ""
    shift: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFacts:
    """What ``run.json`` holds.

    Attributes:
        plan: what was asked for. options: every option, complete.
        title: of the model that is made. base: of the model that it was made from, or empty.
        assumptions: what the base could not tell.
        judge: whether the discriminator came from the model's file (``judge.safetensors``).
        data: the data's summary.
    """

    plan: RunPlan
    options: TrainingOptions
    title: str
    base: str = ""
    assumptions: tuple[str, ...] = ()
    judge: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)

    def write(self) -> None:
        """Write ``run.json``.

        Raises:
            ExportError: it cannot be written.
        """
        plain = {"format": FORMAT, **asdict(self), "options": self.options.to_json()}
        text = json_text(plain, 2, allow_nan=True) + "\n"
        write_bytes(Path(self.plan.folder) / NAME, text.encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The facts of a run's folder, wherever it lies now.

        Raises:
            UserError: there is no run, or its ``run.json`` is not sound.
        """
        path = folder / NAME
        if not path.is_file():
            raise UserError(f"{folder} holds no training run; name the folder that --out made.")
        try:
            if path.stat().st_size > _MOST:
                raise ValueError("it is too large")
            plain = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(plain, dict) or plain.get("format") != FORMAT:
                raise ValueError("it is of another version")
            plan = _plan({**plain["plan"], "folder": str(folder)})
            words = {name: plain[name] for name in ("title", "base")}
            if not all(isinstance(word, str) for word in words.values()):
                raise ValueError("a name is no text")
            assumptions = tuple(str(one) for one in plain["assumptions"])
            options = TrainingOptions.from_json(plain["options"])
            data = plain["data"]
            if not isinstance(data, dict) or not isinstance(plain["judge"], bool):
                raise ValueError("a value is of the wrong kind")
        except UserError as error:
            raise UserError(f"{path} is damaged: {error}") from error
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            what = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
            raise UserError(
                f"{path} cannot be read as the facts of a run ({what}); restore it from a copy."
            ) from error
        return cls(plan, options, assumptions=assumptions, judge=plain["judge"], data=data, **words)


def _plan(plain: Mapping[str, Any]) -> RunPlan:
    kinds: dict[str, type] = {
        "resolution": int, "mirror": bool, "changes": dict, "family_options": dict,
        "shift": dict,
    }  # fmt: skip
    # Runs from before there was one.
    plain = {"shift": {}, **plain}
    for one in fields(RunPlan):
        if not isinstance(plain[one.name], kinds.get(one.name, str)):
            raise ValueError(f"its {one.name} is of the wrong kind")
    return RunPlan(**plain)
