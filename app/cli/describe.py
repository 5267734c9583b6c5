"""``maquette describe``: what a text encoder sees in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from app.cli.parsing import Flag, parse
from app.cli.terminal import progress, say, show_json
from engine.errors import UserError

if TYPE_CHECKING:
    from engine.text.encoder import TextImageEncoder


@dataclass(frozen=True)
class DescribeOptions:
    """Say which words fit pictures of heads best: for each attribute the nearest of a few
    answers, or how well your own texts fit. The bundled encoder knows heads as the bundled
    generator makes them; --encoder takes a CLIP model that knows more."""

    pictures: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="PICTURE...")]
    """Pictures (PNG, JPEG, WebP, ...); the middle square is looked at."""
    text: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="TEXT", help_behavior_hint="(default: questions about a head)"),
    ] = ()
    """A text to compare with, such as "a smiling woman"; give it several times to compare texts."""
    encoder: Annotated[
        str | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: the one of the settings)"),
    ] = None
    """CLIP weights: a folder as open_clip saves it, a file, NAME=FILE with the name of open_clip's
    configuration (ViT-B-32=weights.safetensors), such a name alone where its weights are on this
    machine (ViT-B-32/laion2b_s34b_b79k), or the word 'bundled'."""
    keep: Flag = False
    """Keep --encoder in the settings, so that it is used from now on."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to compute; 'cuda:1' names the second GPU."""
    json: Flag = False
    """Print all of it as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(DescribeOptions, words, "maquette describe")
    paths = [path.expanduser() for path in options.pictures]
    if not paths:
        raise UserError("Name at least one picture; see maquette describe --help.")
    if not all(text.strip() for text in options.text):
        raise UserError("A --text is empty; write what should be seen, or leave it out.")
    if options.keep and options.encoder is None:
        raise UserError("--keep needs --encoder, which is what it keeps.")
    for path in paths:
        if not path.is_file():
            raise UserError(f"There is no picture {path}; check the path.")
    source = encoder_source(options.encoder)

    from engine.generators.registry import pick_device
    from engine.text.encoder import load

    encoder = load(source, pick_device(options.device))
    if options.keep:
        _keep(source)
    facts = []
    with progress("Looking at pictures", quiet=options.json) as bar:
        for number, path in enumerate(paths):
            bar(number, len(paths))
            facts.append({"path": str(path), **_seen(encoder, path, options.text)})
    if options.json:
        show_json({"encoder": encoder.name, "pictures": facts})
    else:
        for one in facts:
            _show(one)
    return 0


def encoder_source(given: str | None) -> str:
    """Where the encoder lies; empty for the bundled one.

    Args:
        given: what the command line says; ``None`` takes the settings' encoder.
    """
    if given is None:
        from app.settings import load_settings

        return load_settings().settings.text_encoder
    return "" if given == "bundled" else given


def lasting_source(source: str) -> str:
    """A name of an encoder, or its path such that it means the same in every folder."""
    name, mark, file = source.rpartition("=")
    if source and Path(source).expanduser().exists():
        return str(Path(source).expanduser().resolve())
    # Without a mark it is a name of open_clip's.
    return f"{name}{mark}{Path(file).expanduser().resolve()}" if mark else source


def _keep(source: str) -> None:
    """Remember the encoder."""
    from dataclasses import replace

    from app.settings import load_settings, save_settings

    kept = lasting_source(source)
    before = load_settings().settings
    save_settings(replace(before, text_encoder=kept), base=before)


def _seen(encoder: TextImageEncoder, path: Path, texts: Sequence[str]) -> dict[str, Any]:
    """What is printed of one picture."""
    from engine.text.answers import describe, fits
    from engine.text.pictures import read_picture

    picture = read_picture(path).to(encoder.device)
    if texts:
        return {"texts": fits(encoder, picture, texts)}
    return {"attributes": describe(encoder, picture)}


def _show(facts: dict[str, Any]) -> None:
    """One picture for people."""
    say(facts["path"])
    if "texts" in facts:
        ranked = sorted(facts["texts"], key=lambda one: -one["similarity"])
        for one in ranked:
            say(f"  {one['similarity']:+.3f}  {100 * one['share']:5.1f} %  {one['text']}")
        return
    width = max(len(name) for name in facts["attributes"])
    for name, one in facts["attributes"].items():
        share = one["shares"][one["best"]]
        say(f"  {name.ljust(width)}  {one['best']}  ({100 * share:.0f} %)")
