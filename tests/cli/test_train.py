"""``maquette train``: a run from the command line, its mistakes, and Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from app.cli.train_look import Looking
from engine.generators.registry import open_model
from engine.training.gan.events import StepDone
from engine.training.gan.logs import read_journal
from tests import forks
from tests.cli.conftest import Run
from tests.cli.test_bad_input import one_sentence
from tests.training.gan.pictures import write_pictures

NEW = ("--from-nothing", "eg3d", "--resolution", "16", "--batch", "2", "--samples", "0",
       "--device", "cpu", "--log-steps", "1")  # fmt: skip


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "discs")


def steps(folder: Path) -> list[int]:
    return [event.step for event in read_journal(folder) if isinstance(event, StepDone)]


def test_a_run_its_resumption_and_what_it_leaves(
    run: Run, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.train_look.EVERY", 0.0)
    done = run("train", pictures, "--out", "run", *NEW, "--steps", 2, "--loss", "r1_gamma=2")
    assert done.status == 0, done.err
    assert f"{tmp_path / 'run' / 'model.json'}: step 2, 4 pictures" in done.out
    assert open_model(tmp_path / "run" / "model.json", "cpu").capabilities.resolution == 16
    stated = json.loads((tmp_path / "run" / "run.json").read_text())["plan"]["family_options"]
    assert stated["r1_gamma"] == 2 and stated["density_weight"] == 0.25
    assert "Only 6 pictures are there" in done.out
    assert "Looking at the pictures: 6 of 6" in done.out
    pictures.rename(tmp_path / "moved")
    assert "discs" in one_sentence(run("train", "--resume", "run", "--steps", 3))
    more = run("train", "moved", "--resume", "run", "--steps", 3, "--json")
    kinds = [json.loads(line)["kind"] for line in more.out.splitlines()]
    assert more.status == 0 and kinds == ["returned", "step", "snapshot", "finished"]
    back = run(
        "train", "--resume", "run", "--back-to", 0, "--steps", 1, "--export-authors", "theirs"
    )
    assert back.status == 0 and steps(tmp_path / "run") == [1]
    # What came after it was set aside, and is there again.
    again = run("train", "--resume", "run", "--back-to", "3/0", "--steps", 4, "--json")
    assert again.status == 0 and steps(tmp_path / "run") == [1, 2, 3, 4], again.err
    missing = one_sentence(run("train", "--resume", "run", "--back-to", 9))
    assert "there are: 0, 2, 3, 4; set aside: 1/1." in missing
    one = run("train", "--resume", "run", "--delete-aside")
    assert "A snapshot that was set aside is deleted." in one.out
    assert not (tmp_path / "run" / "snapshots" / "step-000000001-1.safetensors").exists()
    assert open_model(tmp_path / "theirs" / "network.pkl", "cpu").capabilities.family == "eg3d"


def test_looking_at_many_pictures_is_told_of(capfd: pytest.CaptureFixture[str]) -> None:
    now = iter([0.0, 1.0, 11.0, 12.0, 22.0])
    looking = Looking(quiet=False, clock=lambda: next(now))
    for done in (64, 128, 192, 256):
        looking(done, 70_000)
    assert capfd.readouterr().out.splitlines() == [
        "Looking at the pictures: 128 of 70000", "Looking at the pictures: 256 of 70000",
    ]  # fmt: skip


def test_the_layers_of_a_model_are_named(run: Run) -> None:
    named = run("train", "--list-layers", "--from-nothing", "eg3d")
    assert named.status == 0
    assert [line.partition(":")[0] for line in named.out.splitlines()] == [
        "mapping", "geometry", "upsampler",
    ]  # fmt: skip


BAD = {
    "": "pictures to train on",
    "discs": "--out",
    "nowhere --out run": "nowhere",
    "discs --out discs": "not empty",
    "discs --out run --batch 0": "1 to 65536",
    "discs --out run --batch 1.5": "--batch",
    "discs --out run --rate nan": "--rate",
    "discs --out run --rate 0": "--rate",
    "discs --out run --preset slow": "'slow'",
    "discs --out run --precision half": "--precision",
    "discs --out run --augmentation much": "--augmentation",
    "discs --out run --model nowhere.pkl": "nowhere.pkl",
    "discs --out run --layers hair": "hair",
    "discs --out run --loss r1_gamma": "NAME=NUMBER",
    "discs --out run --loss r9=1": "r9",
    "discs --out run --loss r1_gamma=inf": "--loss",
    "discs --out run --loss pace=-1": "'pace' must be",
    "discs --out run --seed -1": "0 to 4294967295",
    "discs --out run --device tpu": "tpu",
    "discs --out run --resolution 32": "--resolution",
    "discs --out run --from-nothing dalle": "dalle",
    "discs --out run --from-nothing eg3d --model bundled": "give one",
    "discs --out run --from-nothing eg3d --resolution 20": "16, 32, 64",
    "discs --out run --back-to 3": "--resume",
    "discs --out run --delete-aside": "--delete-aside needs --resume",
    "--resume nowhere --back-to 3/b": "such as 1200/1",
    "discs --out run --score-samples 2": "--score-samples",
    "discs --out run --export-authors discs/img0000.png": "img0000.png is no folder",
    "discs --out run --export-authors theirs": "Maquette's own file only",
    "discs --out run --export-authors discs": "discs is not empty and no earlier export",
    "--resume nowhere": "no training run",
    "--resume run --out run": "--out",
    "--hat": "--hat",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_sentence_and_leaves_no_run(
    run: Run, tmp_path: Path, pictures: Path, words: str
) -> None:
    assert BAD[words] in one_sentence(run("train", *words.split()))
    assert not (tmp_path / "run").exists()


def test_ctrl_c_stops_and_keeps(tmp_path: Path, pictures: Path) -> None:
    folder = tmp_path / "run"
    words = ["-m", "app", "train", str(pictures), "--out", str(folder), *NEW]
    running = forks.start(
        words, modules=forks.TRAINING, cwd=forks.ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    while not steps(folder):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.stdout is not None
    out = running.stdout.read()
    assert running.wait() == 0 and "what was learnt is kept" in out
    last = steps(folder)[-1]
    assert (folder / "snapshots" / f"step-{last:09d}.safetensors").is_file()
    assert open_model(folder / "model.json", "cpu").capabilities.family == "eg3d"
