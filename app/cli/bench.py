"""``maquette bench``: how fast each family draws at its released size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from app.cli.parsing import Flag, parse
from app.cli.terminal import progress, say, show_json
from engine.errors import UserError

if TYPE_CHECKING:
    from engine.benchmark import Measurement


@dataclass(frozen=True)
class BenchOptions:
    """Measure every family at its authors' released sizes, with random weights: seconds of each
    stage, pictures a second while orbiting, and memory. Nothing else should run meanwhile."""

    models: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="[FAMILY[/MODEL]...]", help_behavior_hint="(default: all)"),
    ] = ()
    """Which: a family, or one of its models as --list names them."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to compute."""
    threads: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 2
    """Threads on a CPU."""
    repeats: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 3
    """Pictures of each kind; the median counts."""
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """Save the table as .json or .md as well."""
    compare: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """A .json that an earlier run saved: how many times as fast each model is now."""
    list: Flag = False
    """Only name what can be measured."""
    json: Flag = False
    """Print the measurements as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status: 1 where a model could not be measured."""
    options = parse(BenchOptions, words, "maquette bench")
    if not (1 <= options.repeats <= 1000 and 1 <= options.threads <= 1024):
        raise UserError("--repeats must be 1 to 1000 and --threads 1 to 1024.")
    out = options.out.expanduser() if options.out is not None else None
    if out is not None:
        from engine.export.files import check_writable

        if out.suffix not in (".json", ".md"):
            raise UserError(f"The table's name {out.name} must end in .json or .md.")
        check_writable(out)
    earlier = None if options.compare is None else read_earlier(options.compare.expanduser())

    from engine.benchmark import Plan, load, machine, measure_all, released_models
    from engine.generators.registry import pick_device

    chosen = _chosen(options.models, released_models())
    if options.list:
        for family, model in chosen:
            say(f"{family}/{model}")
        return 0
    device = str(pick_device(options.device))
    plans = [Plan(f, m, device, options.threads, options.repeats) for f, m in chosen]
    rows: list[Measurement] = []
    busy = load()
    with progress("Measuring") as bar:
        for row in measure_all(plans, lambda done, total, _name: bar(done, total)):
            rows.append(row)
            if not options.json:
                say(line(row))
    facts = {
        "machine": machine(),
        "load": busy,
        "date": datetime.now(UTC).date().isoformat(),
        "measurements": [row.to_json() for row in rows],
    }
    tables = [table(rows)]
    if earlier is not None:
        tables.append(ratios(rows, earlier))
    if options.json:
        show_json(facts)
    else:
        wanted = "" if busy is None else f", {busy:g} programs wanted a processor before"
        say("\n" + "\n\n".join(tables) + f"\n{facts['machine']}, {facts['date']}{wanted}")
    if out is not None:
        from engine.export.files import atomic_path

        text = json.dumps(facts, indent=2) if out.suffix == ".json" else "\n\n".join(tables)
        with atomic_path(out) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return 1 if any(row.error for row in rows) else 0


def _chosen(words: Sequence[str], known: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the words name, in the registry's order.

    Raises:
        UserError: a word that names nothing.
    """
    for word in words:
        if not any(word in (family, f"{family}/{model}") for family, model in known):
            names = ", ".join(f"{family}/{model}" for family, model in known)
            raise UserError(f"There is nothing named {word!r} to measure; there are {names}.")
    if not words:
        return known
    return [(f, m) for f, m in known if f in words or f"{f}/{m}" in words]


def read_earlier(path: Path) -> Sequence[Measurement]:
    """What an earlier run saved.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    from engine.benchmark import from_json

    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The earlier measurements {path} cannot be read: {error}.") from error
    except ValueError as error:
        raise UserError(f"The earlier measurements {path} are not JSON.") from error
    return from_json(facts)


def ratios(rows: Sequence[Measurement], earlier: Sequence[Measurement]) -> str:
    """How many times as fast each model is as it was, as a Markdown table; what one of the runs
    lacks is left out."""
    before = {(row.family, row.model): row for row in earlier if not row.error}
    head = ["model", "picture", "processor's time", "orbit", "threads"]
    body = []
    for row in rows:
        old = before.get((row.family, row.model))
        if old is None or row.error:
            continue
        threads = (
            str(row.threads) if row.threads == old.threads else f"{old.threads}, {row.threads}"
        )
        pairs = (
            (old.picture_seconds, row.picture_seconds),
            (old.processor_seconds, row.processor_seconds),
            (row.orbit_fps, old.orbit_fps),
        )
        times = (f"{a / b:.2f} x" if a > 0.0 and b > 0.0 else "" for a, b in pairs)
        body.append([f"{row.family}/{row.model}", *times, threads])
    return markdown(head, body)


def line(row: Measurement) -> str:
    """One measurement in words."""
    if row.error:
        return f"{row.family}/{row.model}: failed ({row.error})"
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in (row.stages or {}).items())
    return f"{row.family}/{row.model}: {row.picture_seconds:.2f} s a picture ({stages})"


def table(rows: Sequence[Measurement]) -> str:
    """All measurements as a Markdown table."""
    stages = list(dict.fromkeys(name for row in rows for name in row.stages or {}))
    head = ["model", "pixels", "volume", "samples", *(f"{s}, s" for s in stages),
            "picture, s", "spread, s", "processor, s", "orbit, 1/s", "tensors, MB", "peak to open", "peak to draw, MB"]  # fmt: skip
    body = []
    for row in rows:
        name = f"{row.family}/{row.model}"
        if row.error:
            body.append([name, *["-"] * (len(head) - 1)])
            continue
        each = row.stages or {}
        body.append(
            [
                name,
                str(row.resolution),
                str(row.neural_resolution),
                str(row.samples),
                *(f"{each[s]:.3f}" if s in each else "" for s in stages),
                f"{row.picture_seconds:.2f}",
                f"{row.spread_seconds:.2f}",
                f"{row.processor_seconds:.2f}",
                f"{row.orbit_fps:.2f}",
                f"{row.tensor_bytes / 1e6:.0f}",
                f"{row.open_peak:.2f} x",
                f"{row.draw_peak_bytes / 1e6:.0f}",
            ]
        )
    return markdown(head, body)


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    widths = [max(len(cells[i]) for cells in [head, *body]) for i in range(len(head))]
    rule = ["-" * width for width in widths]

    def text(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return "| " + " | ".join(padded) + " |"

    return "\n".join(text(cells) for cells in [head, rule, *body])
