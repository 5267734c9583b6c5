"""``maquette verify``: compare our pictures with those of the authors' own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from app.cli.parsing import Flag, parse
from app.cli.terminal import progress, say, show_json

if TYPE_CHECKING:
    from engine.verify import VerifyReport


@dataclass(frozen=True)
class VerifyOptions:
    """Draw every case of golden sets and compare with what the authors' released code drew.
    Ends with status 1 where one case misses its tolerance."""

    folders: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FOLDER...")]
    """Folders with a golden.json, a golden.npz and a checkpoint. Files among them, as a shell's
    * gives, are passed over."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "cpu"
    """Where to compute. The tolerances are those of 32-bit floats on a CPU."""
    json: Flag = False
    """Print the tables as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns 0 where everything passed, else 1."""
    options = parse(VerifyOptions, words, "maquette verify")
    from engine.errors import UserError

    folders = [path.expanduser() for path in options.folders]
    if len(folders) > 1:
        folders = [path for path in folders if not path.is_file()]
    if not folders:
        raise UserError("Name at least one folder with a golden set; see maquette verify --help.")
    from engine.verify import verify_folder

    reports = []
    for folder in folders:
        with progress(f"Drawing {folder.name}") as bar:
            report = verify_folder(
                folder, options.device, lambda done, total, _case: bar(done, total)
            )
        reports.append(report)
        if not options.json:
            _show(folder, report)
    if options.json:
        show_json([report.to_json() for report in reports])
    return 0 if all(report.passed for report in reports) else 1


def _show(folder: Path, report: VerifyReport) -> None:
    """One table. Plain text, so that it reads the same in a log."""
    head = ("case", "output", "median", "p99", "max", "tolerance (median, p99, max)", "")
    rows = [
        (
            row.case,
            row.output,
            f"{row.median:.2e}",
            f"{row.p99:.2e}",
            f"{row.max:.2e}",
            ", ".join(f"{limit:.1e}" for limit in row.tolerance),
            "pass" if row.passed else f"FAIL {row.note}".rstrip(),
        )
        for row in report.rows
    ]
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    failed = sum(not row.passed for row in report.rows)
    say(f"{folder}")
    for line in [head, *rows]:
        say(
            "  "
            + "  ".join(
                cell.ljust(width) for cell, width in zip(line, widths, strict=True)
            ).rstrip()
        )
    say(f"  {len(rows)} compared, {failed} failed\n")
