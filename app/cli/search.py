"""``maquette search``: faces in the order in which they fit a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from app.cli.describe import encoder_source
from app.cli.parsing import Flag, parse, parse_seeds
from app.cli.subject import DrawingOptions, check_one_face, open_subject, read_subject
from app.cli.terminal import progress, say, show_json, warn
from engine.errors import UserError
from engine.recipe import Recipe


@dataclass(frozen=True)
class SearchOptions(DrawingOptions):
    """Order seeds by how well their faces fit a text, the best first."""

    text: Annotated[str, tyro.conf.arg(metavar="TEXT")] = ""
    """What should be seen: "an elderly man with a beard"."""
    neutral: Annotated[
        str, tyro.conf.arg(metavar="TEXT", help_behavior_hint="(default: any person)")
    ] = ""
    """What the text is compared with."""
    seeds: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SEEDS", aliases=["--seed"])] = (
        "0-99",
    )
    """Whose faces: 0-99 or 1,5,20-24."""
    top: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 12
    """How many are told."""
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: no picture)")
    ] = None
    """A sheet of those (.png)."""
    encoder: Annotated[
        str | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: the one of the settings)"),
    ] = None
    """CLIP weights, as for describe."""
    json: Flag = False
    """Print them as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(SearchOptions, words, "maquette search")
    if not options.text.strip():
        raise UserError("Say what to look for with --text.")
    if options.top < 1:
        raise UserError(f"--top must be 1 or more, not {options.top}.")
    check_one_face(options)
    seeds = list(dict.fromkeys(parse_seeds(options.seeds)))
    base = read_subject(options)
    if options.out is not None:
        from engine.export.files import check_writable
        from engine.export.sheet_options import check_sheet_name

        check_writable(check_sheet_name(options.out.expanduser()))
    generator, base = open_subject(options, base)

    from engine.draw import Painter
    from engine.editing.encoders import open_encoder
    from engine.editing.search import ordered, scores
    from engine.editing.texts import weakness

    encoder = open_encoder(encoder_source(options.encoder), generator.device).encoder
    painter = Painter(generator)

    def face(seed: int) -> Callable[[], Any]:
        return lambda: painter.latent(base.of_seed(seed))

    if note := weakness(encoder, options.text, options.neutral):
        warn(note)
    found = []
    with progress("Looking at faces", quiet=options.json) as report:
        for one in scores(
            generator, [face(s) for s in seeds], encoder, options.text, options.neutral
        ):
            found.append(one)
            report(len(found), len(seeds))
    best = ordered(found)[: options.top]
    if options.out is not None:
        _sheet(painter, base, [seeds[one.place] for one in best], options.out.expanduser())
    if options.json:
        show_json([{"seed": seeds[one.place], "score": round(one.score, 6)} for one in best])
    else:
        for one in best:
            say(f"{one.score:+.3f}  seed {seeds[one.place]}")
        if options.out is not None:
            say(str(options.out.expanduser()))
    return 0


def _sheet(painter: object, base: Recipe, seeds: list[int], out: Path) -> None:
    import io
    import math

    from PIL import Image

    from engine.export.files import write_bytes
    from engine.export.sheet import draw_sheet
    from engine.export.sheet_options import SheetCell, SheetPlan

    side = base.size or 128
    columns = math.ceil(math.sqrt(len(seeds)))
    cells = tuple(
        SheetCell(replace(base.of_seed(seed), size=side), *divmod(place, columns), f"seed {seed}")
        for place, seed in enumerate(seeds)
    )
    plan = SheetPlan(replace(base, size=side), cells, -(-len(seeds) // columns), columns, side)
    stream = io.BytesIO()
    Image.fromarray(draw_sheet(painter, plan)).save(stream, "PNG")  # type: ignore[arg-type]
    write_bytes(out, stream.getvalue())
