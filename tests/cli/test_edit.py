"""``maquette edit``, ``directions`` and ``search``: pictures, files and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from app.document import Document
from app.edit_finder import Finder
from app.edit_stack import add
from app.edit_wire import EditTask, FindDirection, Optimise, TaskDone
from app.project import Project, write_project
from app.wire import ProcessOptions
from engine.draw import Painter
from engine.editing import optimise, pca, refine, samples, sefa, strength
from engine.editing.cache import Cache
from engine.editing.directions import read_direction
from engine.export.picture import read_recipe
from engine.generators.registry import open_model
from tests.cli.conftest import Run
from tests.cli.test_bad_input import one_sentence
from tests.text.conftest import TINY, tiny_weights


@pytest.fixture(autouse=True)
def _few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    for module, name, number in (
        (samples, "COUNT", 30), (samples, "SIDE", 16), (pca, "SAMPLES", 40), (sefa, "SAMPLES", 40),
        (optimise, "SPREAD_SAMPLES", 30), (optimise, "SIDE", 12), (refine, "STEPS", 3), (strength, "PEOPLE", 3),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, number)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    path = tmp_path / "own"
    path.mkdir()
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    save_file(tiny_weights(), path / "open_clip_model.safetensors")
    return path


def pixels(path: Path | str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_text_becomes_a_picture_a_direction_and_the_windows_picture(
    run: Run, encoder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    same = ("--model", checkpoint, "--seed", 3, "--size", 48)
    words = ("edit", "--text", "smiling", "--strength", 2, "--encoder", encoder, *same)
    made = run(*words, "--out", "a.png", "--save-direction", "smile")
    assert made.status == 0 and made.out.strip() == "a.png", made.err
    recipe = read_recipe("a.png")
    assert [(e.name, e.strength) for e in recipe.edits] == [("smiling", 2.0)]
    assert run("render", *same, "--out", "plain.png").status == 0
    assert np.abs(pixels("a.png") - pixels("plain.png")).mean() > 0.2

    # By the saved direction, by the picture, and as the window draws the same document.
    along = run("edit", "--direction", "smile.json", "--strength", 2, *same, "--out", "b.png")
    assert along.status == 0 and not along.err, along.err
    assert run("render", "--from", "a.png", "--out", "c.png").status == 0
    generator = open_model(checkpoint, "cpu")
    plain = read_recipe("plain.png")
    edit = read_direction("smile").edit(2.0)
    document = add(Document(plain), edit, generator.capabilities)
    drawn = Painter(generator).picture(document.recipe).numpy()
    for name in ("b.png", "c.png"):
        assert np.array_equal(pixels(name), pixels("a.png"))
    assert np.array_equal(drawn, pixels("a.png"))
    write_project(tmp_path / "p.maquette", Project(document))
    assert run("render", "--from", tmp_path / "p.maquette", "--out", "d.png").status == 0
    assert np.array_equal(pixels("d.png"), pixels("a.png"))

    # Again from the cache, and the same edit of somebody else.
    again = run(*words, "--out", "e.png", "--json")
    assert json.loads(again.out)["recipe"]["edits"] == recipe.to_json()["edits"]
    assert run("edit", "--from", "a.png", "--seed", 4, "--direction", "smile", "--strength", -1,
               "--layers", "shape", "--out", "f.png").status == 0  # fmt: skip
    stack = read_recipe("f.png")
    assert stack.seed == 4 and [e.strength for e in stack.edits] == [2.0, -1.0]
    assert stack.edits[1].rows == (0, 1, 2, 3)
    assert "smiling, +2 on all layers" in run("inspect", "f.png").out


def test_enough_is_what_the_encoder_sees_in_this_face(
    run: Run, encoder: Path, checkpoint: Path
) -> None:
    words = ("edit", "--text", "smiling", "--enough", "--encoder", encoder, "--model", checkpoint)
    strengths = []
    for seed in range(6):
        made = run(*words, "--seed", seed, "--json", "--out", "a.png")
        assert made.status == 0, made.err
        told = json.loads(made.out)
        (edit,) = told["recipe"]["edits"]
        strengths.append(edit["strength"])
        # Who shows it already, or never does, is told of; nobody else.
        if edit["strength"] == 0.0:
            assert "already" in told["notes"][0] or "not quite" in told["notes"][0]
        elif told["notes"]:
            assert "not quite" in told["notes"][0]
    assert len(set(strengths)) > 1 and all(0.0 <= s <= strength.MOST for s in strengths)


def test_an_optimised_face_is_drawn_and_kept(run: Run, encoder: Path, checkpoint: Path) -> None:
    words = ("edit", "--text", "smiling", "--method", "optimise", "--steps", 3, "--encoder", encoder,
             "--model", checkpoint, "--layers", "0-3", "--save-direction", "found")  # fmt: skip
    first = run(*words, "--out", "a.png")
    assert first.status == 0, first.err
    assert run(*words, "--out", "b.png").status == 0
    assert np.array_equal(pixels("a.png"), pixels("b.png"))
    direction = read_direction("found")
    assert direction.kind == "optimised" and (direction.offset.numbers[4:] == 0).all()
    assert (direction.offset.numbers[:4] != 0).all()
    # Each of these counts by itself.
    found = [direction.offset]
    for more in (("--draw", 1), ("--free-pose",), ("--free-background",)):
        assert run(*words, *more, "--out", "c.png").status == 0
        found.append(read_direction("found").offset)
    assert len({offset.sha256 for offset in found}) == 4
    # It was made for this face, so that once is enough.
    assert read_recipe("a.png").edits[0].strength == 1.0
    assert run("edit", "--direction", "found", "--model", checkpoint).status == 0
    assert read_recipe("edit.png").edits[0].strength == 1.0


def test_the_windows_process_finds_what_the_command_finds(
    run: Run, encoder: Path, checkpoint: Path
) -> None:
    """Both ways to a text's edit, of one face with one edit already, from nothing kept."""
    start = ("--encoder", encoder, "--model", checkpoint, "--seed", 3, "--psi", 0.6)
    assert run("edit", "--text", "old", *start, "--out", "a.png").status == 0
    recipe = read_recipe("a.png")
    told: list[object] = []
    mailbox = SimpleNamespace(stopped=False, send=told.append)
    finder = Finder(mailbox, ProcessOptions("cpu"))  # type: ignore[arg-type]
    finder._cache = Cache()
    text = ("smiling", "a man")
    wishes = {"direction": FindDirection(*text), "optimise": Optimise(*text, keep_pose=False)}
    for method, wish in wishes.items():
        more = ("--free-pose",) if method == "optimise" else ()
        words = ("--text", text[0], "--neutral", text[1], "--method", method, *more)
        assert run("edit", "--from", "a.png", *words, "--encoder", encoder).status == 0
        command = read_recipe("edit.png").edits[-1]
        done = finder._do(EditTask(1, wish, recipe, str(encoder)))
        assert isinstance(done, TaskDone), done
        (found,) = done.directions
        assert found.edit(found.usual) == command


def test_nonsense_is_told_and_drawn_all_the_same(run: Run) -> None:
    made = run("edit", "--text", "qwxz flurb", "--method", "optimise", "--steps", 1, "--size", 32,
               "--out", "a.png")  # fmt: skip
    assert made.status == 0 and "'qwxz flurb' says next to nothing" in made.err
    assert Path("a.png").is_file()
    found = run("search", "--text", "qwxz flurb", "--seeds", 1)
    assert found.status == 0 and "'qwxz flurb' says next to nothing" in found.err


def test_a_text_with_joiners_is_an_edit_like_any_other(
    run: Run, encoder: Path, checkpoint: Path
) -> None:
    text = "می\u200cخندد"
    words = ("edit", "--text", text, "--encoder", encoder, "--model", checkpoint)
    for method in ("direction", "optimise"):
        made = run(*words, "--method", method, "--steps", 1, "--save-direction", "kept")
        assert made.status == 0, made.err
        assert [edit.name for edit in read_recipe("edit.png").edits] == ["میخندد"]
        assert dict(read_direction("kept").details)["text"] == text


def test_directions_are_written_with_their_pictures(run: Run, checkpoint: Path) -> None:
    made = run("directions", checkpoint, "--pca", 3, "--sefa", 2, "--cell", 32, "--out", "new/d")
    assert made.status == 0, made.err
    names = sorted(path.name for path in Path("new/d").iterdir())
    kinds = [f"pca-0{n}" for n in (1, 2, 3)] + [f"sefa-0{n}" for n in (1, 2)]
    files = [f"{kind}.{ending}" for kind in kinds for ending in ("json", "safetensors")]
    assert names == sorted([*files, "pca.png", "sefa.png"])
    assert made.out.split() == [f"new/d/{kind}.json" for kind in kinds[:3]] + [
        "new/d/pca.png"] + [f"new/d/{kind}.json" for kind in kinds[3:]] + ["new/d/sefa.png"]  # fmt: skip
    with Image.open("new/d/pca.png") as sheet:
        assert sheet.width >= 3 * 32 and sheet.height >= 3 * 32
    along = run("edit", "--direction", "new/d/pca-01", "new/d/sefa-02", "--model", checkpoint)
    assert along.status == 0
    assert [edit.strength for edit in read_recipe("edit.png").edits] == [1.0, 1.0]
    facts = json.loads(run("directions", checkpoint, "--pca", 1, "--sefa", 0, "--json").out)
    assert [one["kind"] for one in facts] == ["pca", "sheet"]


def test_a_search_orders_seeds(run: Run, encoder: Path, checkpoint: Path) -> None:
    words = ("search", "--text", "an old man", "--encoder", encoder, "--model", checkpoint)
    found = run(*words, "--seeds", "0-9", "--top", 4, "--out", "found.png")
    assert found.status == 0, found.err
    lines = found.out.splitlines()
    assert len(lines) == 5 and lines[-1] == "found.png"
    assert [line.split()[1] for line in lines[:4]] == ["seed"] * 4
    best = json.loads(run(*words, "--seeds", "0-9", "--top", 100, "--json").out)
    assert sorted(one["seed"] for one in best) == list(range(10))
    numbers = [one["score"] for one in best]
    assert numbers == sorted(numbers, reverse=True) and len(set(numbers)) > 5
    assert [f"seed {one['seed']}" for one in best[:4]] == [
        line.split("  ")[1] for line in lines[:4]
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["edit"], "--text"),
        (["edit", "--text", " "], "empty"),
        (["edit", "--text", "a", "--strength", "21"], "-20 to 20"),
        (["edit", "--text", "a", "--strength", "nan"], "ordinary number"),
        (["edit", "--text", "a", "--strength", "1", "--enough"], "leave out --strength"),
        (["edit", "--direction", "x", "--enough"], "--text"),
        (["edit", "--text", "a", "--enough", "--method", "optimise"], "--method direction"),
        (["edit", "--text", "a", "--out", "a.txt"], "a.txt"),
        (["edit", "--text", "a", "--out", "no/where.png"], "no"),
        (["edit", "--text", "a", "--encoder", "nowhere"], "no CLIP weights"),
        (["edit", "--text", "a", "--method", "optimise", "--steps", "0"], "1 to 500"),
        (["edit", "--text", "a", "--layers", "99"], "no layers"),
        (["edit", "--direction", "nowhere.json"], "There is no direction"),
        (["edit", "--direction", ""], "no name"),
        (["edit", "--direction", "x", "--save-direction", "y"], "--text"),
        (["edit", "--text", "a", "--save-direction", ""], "no name"),
        (["edit", "--text", "\u200b"], "empty"),
        (["edit", "--text", "a", "--free-pose"], "--method optimise"),
        (["edit", "--text", "a", "--free-background"], "--method optimise"),
        (["edit", "--text", "a", "--method", "optimise", "--draw", "-1"], "0 to 4294967295"),
        (["edit", "--text", "a", "--encoder", "x" * 5000], "no CLIP weights"),
        (["edit", "--text", "a", "--encoder", "~nobody-here/clip.pt"], "no CLIP weights"),
        (["edit", "--text", "a", "--model", "x" * 5000], "longer than"),
        (["edit", "--text", "a", "--from", "~nobody-here/a.png"], "nobody here"),
        (["edit", "--text", "a", "--save-direction", "no/where"], "no"),
        (["directions", "bundled", "--pca", "0", "--sefa", "0"], "nothing to find"),
        (["directions", "bundled", "--pca", "101"], "0 to 100"),
        (["directions", "nowhere"], "no model"),
        (["search"], "--text"),
        (["search", "--text", "a", "--top", "0"], "--top"),
        (["search", "--text", "a", "--out", "a.jpg"], ".png"),
    ],
)
def test_mistakes_are_one_sentence(run: Run, words: list[str], says: str) -> None:
    result = run(*words)
    assert result.status == 2 and says in result.err
    one_sentence(result)
    assert not Path("edit.png").exists() and not Path("directions").exists()


def test_a_direction_of_another_model_warns_or_is_refused(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    assert run("directions", checkpoint, "--pca", 1, "--sefa", 0, "--cell", 16).status == 0
    file = Path("directions/pca-01.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model": "cd" * 32}))
    warned = run("edit", "--direction", file, "--model", checkpoint)
    assert warned.status == 0 and "another model of the same size" in warned.err
    refused = run("edit", "--direction", file)
    assert refused.status == 2 and "numbers" in refused.err
