"""Golden sets: does a model still draw what its authors' code drew?

A golden set is a folder with ``golden.json`` (format ``golden/1``), ``golden.npz`` and a
checkpoint in its authors' own format. The JSON names cases: latents, truncation, a camera in
the authors' frame, further options, and the arrays that must come out, each with a tolerance
``[median, 99th percentile, maximum]`` of the absolute error. Cases are drawn by
:meth:`~engine.generators.base.Generator.golden_case`; nothing here knows a family.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.errors import UserError
from engine.generators.base import NEVER, CancelToken, Generator, GoldenCase
from engine.generators.registry import open_model

Tolerance = tuple[float, float, float]

FORMAT = "golden/1"
#: For a picture that has no tolerance in the set, the first of these that has one counts.
_STAND_INS = ("depth", "rgb", "raw")
#: Where a set states none at all: float32 against float32 of small networks.
DEFAULT_TOLERANCE: Tolerance = (1e-5, 5e-5, 1e-4)
#: What a case means to this module; everything else is passed on as an option.
_CASE_KEYS = frozenset({"name", "latents", "psi", "cutoff", "cam2world", "points", "expect"})
_SET_KEYS = frozenset({"format", "family", "checkpoint", "tolerance", "cases", "density"})


@dataclass(frozen=True)
class VerifyRow:
    """One output of one case against its golden array.

    Attributes:
        case: the case's name (``"density s0"`` for density cases).
        output: ``rgb``, ``raw``, ``depth``, ``xyz`` or ``density``.
        median, p99, max: absolute errors; infinite where the output is absent, of another
            shape, or not finite where the golden array is.
        tolerance: the limits of those three.
        passed: all three errors are within their limits.
        note: why the errors are infinite, else empty.
    """

    case: str
    output: str
    median: float
    p99: float
    max: float
    tolerance: Tolerance
    passed: bool
    note: str = ""


@dataclass(frozen=True)
class VerifyReport:
    """All rows of one golden folder."""

    path: str
    family: str
    device: str
    rows: tuple[VerifyRow, ...]

    @property
    def passed(self) -> bool:
        """Whether every row passed."""
        return all(row.passed for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; infinite errors become ``None``."""
        data = asdict(self) | {"passed": self.passed}
        for row in data["rows"]:
            for key in ("median", "p99", "max"):
                row[key] = row[key] if math.isfinite(row[key]) else None
        return data


@dataclass(frozen=True)
class _Expectation:
    """A case to draw and the arrays that must come out, by output name."""

    case: GoldenCase
    label: str
    arrays: dict[str, Tensor]


class GoldenSet:
    """A golden folder, read and checked.

    Args:
        path: the folder.

    Raises:
        UserError: a file is missing or damaged, or the JSON does not keep to the format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.facts = _read_facts(self.path)
        self._arrays = _read_arrays(self.path / "golden.npz")
        self.family = str(self._needed(self.facts, "family"))
        self.checkpoint = self.path / str(self._needed(self.facts, "checkpoint"))
        if not self.checkpoint.is_file():
            raise UserError(
                f"The golden set {self.path} lacks its checkpoint {self.checkpoint.name}."
            )
        self.tolerances = {
            name: self._tolerance(name, value)
            for name, value in self._mapping(self.facts.get("tolerance", {}), "tolerance").items()
        }
        self.expectations = list(self._expectations())
        if not self.expectations:
            raise UserError(f"The golden set {self.path} holds no cases.")

    def tolerance(self, output: str, expected: Tensor | None = None) -> Tolerance:
        """Limits for an output: its own, or those of the nearest thing the set states.

        Densities have no neighbour: where a set states none for them, :data:`DEFAULT_TOLERANCE`
        counts, and grows with ``expected`` values that are typically larger than one, because
        float32 rounds relatively.
        """
        if output in self.tolerances:
            return self.tolerances[output]
        if output != "density":
            for name in _STAND_INS:
                if name in self.tolerances:
                    return self.tolerances[name]
        size = 1.0
        if output == "density" and expected is not None and expected.numel():
            size = max(1.0, float(expected.abs().double().median().nan_to_num(1.0, 1.0)))
        median, p99, largest = DEFAULT_TOLERANCE
        return median * size, p99 * size, largest * size

    def _fault(self, sentence: str) -> UserError:
        return UserError(f"The golden set {self.path} cannot be used: {sentence}.")

    def _needed(self, record: Mapping[str, Any], key: str) -> Any:
        if key not in record:
            where = f"case {record['name']!r}" if "name" in record else "golden.json"
            raise self._fault(f"{where} lacks {key!r}")
        return record[key]

    def _mapping(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._fault(f"{what} is not a record of names and values")
        return value

    def _tolerance(self, name: str, value: Any) -> Tolerance:
        try:
            median, p99, largest = (float(x) for x in value)
        except (TypeError, ValueError) as error:
            raise self._fault(f"the tolerance of {name!r} is not three numbers") from error
        return median, p99, largest

    def _array(self, key: Any, case: str) -> Tensor:
        if not isinstance(key, str) or key not in self._arrays:
            raise self._fault(f"case {case!r} names {key!r}, which golden.npz does not hold")
        return self._arrays[key]

    def _expectations(self) -> Iterator[_Expectation]:
        shared = {k: v for k, v in self.facts.items() if k not in _SET_KEYS}
        for kind in ("cases", "density"):
            listed = self.facts.get(kind, [])
            if not isinstance(listed, list):
                raise self._fault(f"{kind!r} is not a list")
            for record in listed:
                yield self._expectation(
                    self._mapping(record, f"an entry of {kind!r}"), kind, shared
                )

    def _expectation(
        self, record: dict[str, Any], kind: str, shared: dict[str, Any]
    ) -> _Expectation:
        name = str(self._needed(record, "name"))
        latents = self._mapping(self._needed(record, "latents"), f"'latents' of case {name!r}")
        keys = self._needed(record, "expect")
        if kind == "density" and isinstance(keys, str):
            keys = {"density": keys}
        keys = self._mapping(keys, f"'expect' of case {name!r}")
        expected = {str(output): self._array(key, name) for output, key in keys.items()}
        cutoff, psi = record.get("cutoff"), record.get("psi", 1.0)
        if not isinstance(psi, (int, float)) or not isinstance(cutoff, (int, type(None))):
            raise self._fault(f"psi or cutoff of case {name!r} is not a number")
        is_density = kind == "density"
        camera = None if is_density else self._array(self._needed(record, "cam2world"), name)
        points = self._array(self._needed(record, "points"), name) if is_density else None
        if camera is not None and camera.shape != (4, 4):
            raise self._fault(f"the camera of case {name!r} is not 4 x 4")
        case = GoldenCase(
            name=name,
            latents={str(k): self._array(v, name) for k, v in latents.items()},
            psi=float(psi),
            cutoff=cutoff,
            cam2world=camera,
            points=points,
            options=shared | {k: v for k, v in record.items() if k not in _CASE_KEYS},
            side=expected["rgb"].shape[-1] if "rgb" in expected and expected["rgb"].ndim else None,
        )
        return _Expectation(case, f"density {name}" if is_density else name, expected)


def _read_facts(path: Path) -> dict[str, Any]:
    file = path / "golden.json"
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; a golden set is a folder with a golden.json.")
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is not a golden set: it has no golden.json.") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not valid JSON ({error}).") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else None
        raise UserError(f"{file} is not of the format {FORMAT!r} (it says {found!r}).")
    return facts


def _read_arrays(file: Path) -> dict[str, Tensor]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: torch.from_numpy(np.array(archive[name])) for name in archive.files}
    except FileNotFoundError as error:
        raise UserError(f"{file.parent} is not a golden set: it has no golden.npz.") from error
    except (OSError, ValueError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{file} is damaged and cannot be read ({error}).") from error


def compare(
    case: str, output: str, got: Tensor | None, expected: Tensor, tolerance: Tolerance
) -> VerifyRow:
    """One row: absolute errors of ``got`` against ``expected``.

    Leading sides of length one do not count (``[1, 3, H, W]`` equals ``[3, H, W]``). Values
    that are not finite must agree exactly.
    """

    def failed(note: str) -> VerifyRow:
        return VerifyRow(case, output, math.inf, math.inf, math.inf, tolerance, False, note)

    if got is None:
        return failed("this model does not give it")
    mine, theirs = (_squeezed(t.detach().cpu().double()) for t in (got, expected))
    if mine.shape != theirs.shape:
        return failed(f"shape {tuple(mine.shape)} instead of {tuple(theirs.shape)}")
    if theirs.numel() == 0:
        return failed("the golden array is empty")
    both_finite = torch.isfinite(mine) & torch.isfinite(theirs)
    same = (mine == theirs) | (torch.isnan(mine) & torch.isnan(theirs))
    error = torch.where(both_finite, (mine - theirs).abs(), torch.where(same, 0.0, torch.inf))
    ordered = error.flatten().numpy()
    median, p99, largest = (
        float(x) for x in np.quantile(ordered, (0.5, 0.99, 1.0), method="higher")
    )
    passed = median <= tolerance[0] and p99 <= tolerance[1] and largest <= tolerance[2]
    note = "" if math.isfinite(largest) else "values that are not finite"
    return VerifyRow(case, output, median, p99, largest, tolerance, passed, note)


def _squeezed(tensor: Tensor) -> Tensor:
    while tensor.ndim > 1 and tensor.shape[0] == 1:
        tensor = tensor[0]
    return tensor


def verify_generator(
    generator: Generator,
    golden: GoldenSet,
    progress: Callable[[int, int, str], None] | None = None,
    cancel: CancelToken = NEVER,
) -> tuple[VerifyRow, ...]:
    """Draw every case of a set with a model that is already open."""
    rows: list[VerifyRow] = []
    for index, expectation in enumerate(golden.expectations):
        cancel.check()
        if progress is not None:
            progress(index, len(golden.expectations), expectation.label)
        drawn = generator.golden_case(expectation.case)
        rows += [
            compare(
                expectation.label,
                output,
                drawn.get(output),
                array,
                golden.tolerance(output, array),
            )
            for output, array in expectation.arrays.items()
        ]
    if progress is not None:
        progress(len(golden.expectations), len(golden.expectations), "")
    return tuple(rows)


def verify_folder(
    path: str | Path,
    device: str | torch.device = "auto",
    progress: Callable[[int, int, str], None] | None = None,
    cancel: CancelToken = NEVER,
) -> VerifyReport:
    """Draw and compare every case of a golden folder.

    Args:
        path: the folder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` ...
        progress: called with (cases done, cases, name of the next) before each case.
        cancel: asked before each case.

    Raises:
        UserError: the folder is not a golden set, its checkpoint cannot be opened or is of
            another family than the set says.
        Cancelled: ``cancel`` was set.
    """
    golden = GoldenSet(path)
    generator = open_model(golden.checkpoint, device)
    family = generator.capabilities.family
    if family != golden.family:
        raise UserError(
            f"The golden set {golden.path} is of the family {golden.family!r}, but its checkpoint "
            f"is a model of {family!r}."
        )
    rows = verify_generator(generator, golden, progress, cancel)
    return VerifyReport(str(golden.path), family, str(generator.device), rows)
