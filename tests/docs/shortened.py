"""How the commands of the documents are made short enough to be run.

Every command is read by its real parser as it stands, so that a wrong option or value fails. What is then
run differs from it only as this file says, and why.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Words that stand for something of the reader's, and what the workplace has for them.
STAND_INS = {
    "MODEL": "face.pkl", "FILE": "face.pkl", "FOLDER": "tests/data/goldens/stylesdf",
    "FOLDER...": "tests/data/goldens/stylesdf",
    # Eight sets take half a minute; tests/generators draws all of them.
    "tests/data/goldens/*": "tests/data/goldens/stylesdf",
    # Networks whose weights are hundreds of megabytes: one of a few thousand numbers.
    "ViT-B-32": "~/models/clip",
    "ViT-B-32=weights.safetensors": "~/models/clip",
    "ViT-B-32-quickgelu=clip.safetensors": "~/models/clip",
    # Steps of long runs; the workplace's run has two.
    "1200": "1", "3000/0": "2/0", "400": "3",
    # Most machines have no NVIDIA GPU.
    "cuda": "cpu",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """What is added to a command.

    Attributes:
        why: the reason.
        add: words that go behind the command's own; a later option takes the place of an
            earlier one of the same name.
        unless: options with which nothing is added.
        only: options or values without which nothing is added.
    """

    why: str
    add: tuple[str, ...]
    unless: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def applies(self, words: list[str]) -> bool:
        """Whether it is for this command."""
        return not self.unless & set(words) and (not self.only or bool(self.only & set(words)))


def _options(*names: str) -> frozenset[str]:
    return frozenset(f"--{name}" for name in names)


_SMALL = ("--neural-resolution", "16", "--size", "32")
_BY_TEXT = "the text encoder of a few thousand numbers, and one step: this is no test of learning"
RULES: dict[str, tuple[Rule, ...]] = {
    "render": (
        Rule("small pictures", _SMALL, unless=_options("from")),
        Rule("two people", ("--seed", "0-1"), only=frozenset({"0-63", "0-9", "1-8"})),
        Rule("the model that the latent is of", ("--model", "face.pkl"), only=_options("latent")),
    ),
    "video": (
        Rule("small pictures", _SMALL),
        Rule("three of them", ("--seconds", "0.3", "--fps", "10"), unless=_options("timeline")),
    ),
    "mesh": (Rule("a coarse grid", ("--resolution", "20")),),
    "sheet": (
        Rule("small pictures", ("--cell", "16", "--neural-resolution", "16"), unless=_options("from")),
        Rule("two rows of two", ("--rows", "0-1", "--columns", "6-7"), only=_options("rows")),
    ),
    "edit": (
        Rule("small pictures", _SMALL),
        Rule("the small model, which the encoder looks at often", ("--model", "face.pkl")),
        Rule("one step", ("--steps", "1"), only=_options("method")),
        Rule(_BY_TEXT, ("--encoder", "~/models/clip")),
    ),
    "directions": (Rule("one of each, drawn small", ("--pca", "1", "--sefa", "1", "--cell", "16")),),
    "search": (
        Rule("two people of the small model", ("--seeds", "0-1", "--model", "face.pkl")),
        Rule(_BY_TEXT, ("--encoder", "~/models/clip")),
    ),
    "describe": (Rule(_BY_TEXT, ("--encoder", "~/models/clip"), unless=_options("encoder")),),
    "train": (
        Rule("a small model and one step", ("--model", "face.pkl", "--steps", "1", "--samples", "0", "--batch", "2"),
             unless=_options("resume", "from-nothing", "list-layers", "text")),
        Rule("pictures of 16 pixels, and one step", ("--resolution", "16", "--steps", "1", "--samples", "0", "--batch", "2"),
             only=_options("from-nothing")),
        Rule(_BY_TEXT, ("--encoder", "~/models/clip", "--model", "face.pkl", "--steps", "1", "--samples", "0",
                        "--loss", "side=16", "--loss", "crops=1"),
             only=_options("text")),
        Rule("one more step", ("--steps", "3"), only=_options("resume"),
             unless=_options("back-to", "delete-aside", "export-authors")),
        Rule("no more than going back", ("--steps", "3"), only=_options("back-to")),
    ),
    "prepare": (
        Rule("a small set", ("--resolution", "32"), unless=_options("install-finder")),
        Rule("the finder that every machine has", ("--finder", "cascade", "--accept-guesses"),
             unless=_options("install-finder", "points", "framing")),
        Rule("angles by hand, which that finder does not know", ("--finder", "none", "--points", "maquette-points.json"),
             only=_options("framing")),
    ),
    "evaluate": (
        Rule("few people of the small model", ("--samples", "4", "--identities", "1")),
        Rule(_BY_TEXT, ("--features", "~/models/clip"), unless=_options("features", "scores")),
    ),
    "bench": (Rule("only named: the released sizes take minutes on a processor, and tests/cli measures one", ("--list",)),),
}  # fmt: skip


def shortened(words: list[str]) -> list[str]:
    """The words of a ``maquette`` command, its name first, as they are run."""
    name, rest = words[0], [STAND_INS.get(word, word) for word in words[1:]]
    if name == "evaluate" and (not rest or rest[0].startswith("--")):
        rest = ["face.pkl", *rest]
    added = [word for rule in RULES.get(name, ()) if rule.applies(words) for word in rule.add]
    return [name, *rest, *added]
