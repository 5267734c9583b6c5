"""``maquette train --text``: a run that a text leads, and what does not go with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.generators.registry import open_model
from engine.training.gan.events import StepDone
from engine.training.gan.logs import read_journal
from tests.cli.conftest import Run
from tests.cli.test_bad_input import one_sentence
from tests.generators.test_every_family import GOLDENS, checkpoint
from tests.text.conftest import folder

__all__ = ["folder"]
NEW = (
    "--samples",
    0,
    "--device",
    "cpu",
    "--log-steps",
    1,
    "--loss",
    "side=16",
    "--loss",
    "crops=1",
)


def test_a_text_leads_from_the_first_step_to_the_model(
    run: Run, tmp_path: Path, folder: Path
) -> None:
    model = checkpoint(GOLDENS / "eg3d_ffhq")
    words = ("train", "--model", model, "--text", "an old man", "--from-text", "a man")
    done = run(*words, "--encoder", "tiny", "--freeze-shape", "--strength", 0.5, "--out", "run",
               "--steps", 2, *NEW)  # fmt: skip
    assert done.status == 0, done.err
    assert f"{tmp_path / 'run' / 'model.json'}: step 2, 4 pictures" in done.out
    assert open_model(tmp_path / "run" / "model.json", "cpu").capabilities.family == "eg3d"
    shift = json.loads((tmp_path / "run" / "run.json").read_text())["plan"]["shift"]
    assert (shift["text"], shift["neutral"], shift["strength"]) == ("an old man", "a man", 0.5)
    assert (
        shift["freeze_shape"] is True and shift["side"] == 16 and len(shift["encoder_sha256"]) == 64
    )
    assert (
        "the text 'an old man' against 'a man' led" in (tmp_path / "run" / "model.md").read_text()
    )
    more = run("train", "--resume", "run", "--steps", 3, "--json")
    kinds = [json.loads(line)["kind"] for line in more.out.splitlines()]
    assert more.status == 0 and kinds == ["returned", "step", "snapshot", "finished"]
    steps = [e.step for e in read_journal(tmp_path / "run") if isinstance(e, StepDone)]
    assert steps == [1, 2, 3]
    theirs = run("train", "--resume", "run", "--export-authors", "theirs")
    assert theirs.status == 0
    assert open_model(tmp_path / "theirs" / "network.pkl", "cpu").capabilities.family == "eg3d"


def test_layers_by_the_texts_choice_are_those_that_the_card_names(
    run: Run, tmp_path: Path, folder: Path, tiny: Path
) -> None:
    model = tiny / "face.json"
    words = ("train", "--model", model, "--text", "an old man", "--encoder", "tiny", "--out", "run")
    done = run(*words, "--layers", "adaptive", "--loss", "rows=1", "--steps", 1, *NEW)
    assert done.status == 0, done.err
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    chosen = told["plan"]["shift"]["chosen"]
    assert chosen and told["options"]["layers"] == ["adaptive"]
    assert ", ".join(chosen) in (tmp_path / "run" / "model.md").read_text()
    # Whoever goes on trains the same ones, without looking for them again.
    assert run("train", "--resume", "run", "--steps", 2).status == 0
    after = json.loads((tmp_path / "run" / "run.json").read_text())["plan"]["shift"]
    assert after["chosen"] == chosen
    before, now = (
        open_model(place, "cpu").network.state_dict()  # type: ignore[attr-defined]
        for place in (model, tmp_path / "run" / "model.json")
    )
    moved = {name for name in before if not torch.equal(before[name], now[name])}
    assert moved and moved <= set(chosen)


BAD = {
    "--text= --out run": "The text is empty",
    "--text old": "--out",
    "--text old --out run discs": "give one of them",
    "--text old --out run --preset quick": "--preset belongs to pictures",
    "--text old --out run --no-mirror": "--no-mirror belongs to pictures",
    "--text old --out run --from-nothing eg3d": "--from-nothing belongs to pictures",
    "--text old --out run --strength 0": "strength must be",
    "--text old --out run --strength nan": "--strength",
    "--text old --out run --loss r1_gamma=5": "'r1_gamma'; it has strength",
    "--text old --out run --loss crops=1.5": "crops must be a whole number",
    "--text old --from-text old --out run": "say the same",
    "--text old --out run --encoder nowhere": "There are no CLIP weights at",
    "--text old --out run --encoder discs": "holds no CLIP weights",
    "--text old --out run --layers hair": "hair",
    "discs --out run --layers adaptive": "not 'adaptive'",
    "--text old --out run --freeze-shape --layers geometry": "--freeze-shape keeps",
    "--text old --out run --score-samples 8": "--score-samples",
    "--text old --out run --model nowhere.pkl": "nowhere.pkl",
    "--freeze-shape discs --out run": "--freeze-shape needs --text",
    "--encoder discs discs --out run": "--encoder needs --text",
    "--text old --resume run": "--text belongs to a new run",
}


@pytest.mark.parametrize("words", sorted(BAD))
def test_bad_input_is_one_sentence_and_leaves_no_run(run: Run, tmp_path: Path, words: str) -> None:
    (tmp_path / "discs").mkdir()
    assert BAD[words] in one_sentence(run("train", *words.split()))
    assert not (tmp_path / "run").exists()
