"""The report's files, the card, and that worse weights do not take an asset's place."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from engine.errors import UserError
from engine.generators.registry import open_model
from engine.hashing import file_sha256
from engine.training.bundled import __main__ as command
from engine.training.bundled.card import model_card, pack_asset, worse_scores
from engine.training.bundled.field import FieldOptions, FieldRun
from engine.training.bundled.kid import FeatureNetwork
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.report import make_report, read_report, score_table
from engine.training.bundled.subject import Subject, open_subject
from tests.training.painted import small_config, write_balls

NETWORK = FeatureNetwork("mean colours", "ab" * 32, lambda pictures: pictures.mean((2, 3)))


@pytest.fixture
def held(tmp_path):
    return write_balls(tmp_path / "held", 9)


@pytest.fixture
def run(held, tmp_path):
    """A folder with a state, as training leaves it."""
    torch.manual_seed(0)
    pool = HeadPool(held, 9, torch.device("cpu"))
    pool.refresh()
    folder = tmp_path / "run"
    folder.mkdir()
    model = HeadGenerator(small_config(), pool.attributes)
    field = FieldRun(model, pool, FieldOptions(heads=2, rays=32, seed=5), folder)
    for _ in range(3):
        field.train_step(0.5)
    field.save()
    return folder


@pytest.fixture
def report(run, held):
    pool = HeadPool(held, 9, torch.device("cpu"))
    pool.refresh()
    return make_report(open_subject(run, pool.device), pool, 9, NETWORK)


def test_one_command_writes_data_a_table_and_pictures(run, held, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "bundled_features", lambda device: None)
    out = tmp_path / "new" / "report"
    words = ["report", "--held-out", held, "--model", run, "--out", out, "--device", "cpu"]
    assert command.main([str(w) for w in [*words, "--count", "500"]]) == 0
    report = read_report(out / "report.json")
    assert report["held_out"]["heads"] == 9 and report["held_out"]["side"] == 32
    assert report["model"]["sha256"] == file_sha256(run / "state.pt")
    assert report["model"]["name"] == "run" and report["history"][0]["stage"] == "field"
    assert report["kid"] is None
    table = (out / "report.md").read_text()
    assert (
        "KID was not measured: there was no bundled text encoder" in table
        and "| PSNR at 32 px |" in table
    )
    assert f"{report['scores']['psnr']['mean']:.2f} dB" in table
    assert Image.open(out / "samples.png").size == (8 * 32, 8 * 32)
    assert Image.open(out / "heads.png").size == (7 * 32, 8 * 32)
    assert "Measured on 9 rendered heads" in capsys.readouterr().out


def test_the_report_is_the_same_again_but_for_the_time(run, held, report):
    pool = HeadPool(held, 9, torch.device("cpu"))
    pool.refresh()
    again = make_report(open_subject(run, pool.device), pool, 9, NETWORK)
    assert again["speed"].pop("seconds") > 0 and report["speed"].pop("seconds") > 0
    assert again == report
    assert report["speed"] == {"threads": torch.get_num_threads(), "device": "cpu"}


def test_the_feature_network_is_named_with_its_weights(report):
    assert report["kid"]["network"] == {"name": "mean colours", "sha256": "ab" * 32}
    assert report["kid"]["size"] == 4 and report["kid"]["pictures"] == 9
    text = score_table(report)
    assert "mean colours (sha256 abab" in text and "not measured" not in text


@pytest.mark.parametrize(("white_back", "backdrop"), [(True, 1.0), (True, 0.6), (False, 0.0)])
def test_the_truth_is_laid_over_the_models_own_backdrop(
    run, held, tmp_path, monkeypatch, white_back, backdrop
):
    monkeypatch.setattr(command, "bundled_features", lambda device: None)
    facts = json.loads((run / "run.json").read_text())
    settings = facts["stages"][-1]["network"]["rendering"]
    settings |= {"white_back": white_back, "backdrop": backdrop}
    (run / "run.json").write_text(json.dumps(facts))
    words = ["report", "--held-out", held, "--model", run, "--out", tmp_path, "--count", "1"]
    assert command.main([str(w) for w in [*words, "--device", "cpu"]]) == 0
    assert read_report(tmp_path / "report.json")["held_out"]["backdrop"] == backdrop
    truth = np.asarray(Image.open(tmp_path / "heads.png"))[0, 0]
    assert truth.tolist() == [round(backdrop * 255)] * 3


def test_no_heads_and_no_model_are_one_sentence(run, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    words = ["report", "--held-out", empty, "--model", run, "--out", tmp_path / "out"]
    assert command.main([str(w) for w in words]) == 2
    assert "render some first" in capsys.readouterr().err
    words[4] = empty
    assert command.main([str(w) for w in words]) == 2
    assert "no training state" in capsys.readouterr().err


def test_a_packed_asset_carries_its_report_and_card_and_opens(run, report, tmp_path, capsys):
    (tmp_path / "report.json").write_text(json.dumps(report))
    target = tmp_path / "assets" / "heads"
    target.parent.mkdir()
    words = ["pack", "--out", run, "--report", tmp_path / "report.json", "--to", target]
    assert command.main([str(w) for w in [*words, "--device", "cpu"]]) == 0
    names = {path.name for path in target.parent.iterdir()}
    assert names == {"heads.json", "heads.safetensors", "report.json", "README.md"}
    assert read_report(target.parent / "report.json") == report
    generator = open_model(target.with_suffix(".json"), "cpu")
    assert generator.capabilities.z_dim == 4
    # What was packed can be judged in its turn, and remembers how it was trained.
    packed = open_subject(target, torch.device("cpu"))
    assert packed.history == tuple(report["history"]) and packed.name == "heads"
    # A run that goes on from it tells of both.
    later = SimpleNamespace(
        resume=lambda: False, pool=SimpleNamespace(count=1), device="cpu", before=[]
    )
    command._begin(later, target.with_suffix(".json"))
    assert later.before == report["history"]
    assert command.main([str(w) for w in [*words, "--device", "cpu"]]) == 0


def test_the_card_says_what_it_is_from_what_how_good_and_what_not(report):
    card = model_card(report, 4)
    for words in (
        "a latent vector of 4 numbers",
        "pictures of 32 pixels",
        "CC0 1.0",
        "creativecommons.org/publicdomain/zero/1.0",
        "Apache-2.0",
        "`field`: 3 steps in",
        "9 heads, 2 a batch",
        "seed 5",
        "No real person",
        score_table(report),
    ):
        assert words in card
    report["history"] = []
    assert "earlier trainer" in model_card(report, 4)


def with_scores(report, **means):
    changed = copy.deepcopy(report)
    for name, mean in means.items():
        changed["scores"][name]["mean"] = mean
    return changed


def test_which_score_is_worse_follows_its_sense(report):
    good = with_scores(report, psnr=20.0, ssim=0.8, iou=0.9, depth=0.01, sharpness=0.9)
    assert worse_scores(good, good) == []
    for name, mean in {
        "psnr": 19,
        "ssim": 0.7,
        "iou": 0.8,
        "depth": 0.02,
        "sharpness": 0.5,
    }.items():
        assert len(worse_scores(with_scores(good, **{name: mean}), good)) == 1
        assert worse_scores(good, with_scores(good, **{name: mean})) == []
    # Too much is as wrong as too little, and a hundredth is noise.
    assert len(worse_scores(with_scores(good, sharpness=1.3), good)) == 1
    assert worse_scores(with_scores(good, psnr=19.9), good) == []
    worse = copy.deepcopy(good)
    worse["kid"]["mean"] = good["kid"]["mean"] + 1.0
    assert worse_scores(worse, good)[0].startswith("KID")
    worse["kid"]["network"]["sha256"] = "cd" * 32
    assert worse_scores(worse, good) == []
    assert worse_scores(good | {"kid": None}, good) == []


def test_a_better_asset_is_not_replaced_unless_told(run, report, tmp_path):
    model = HeadGenerator(small_config(), torch.zeros(2, 3))
    weights = file_sha256(run / "state.pt")
    target = tmp_path / "asset" / "heads"
    target.parent.mkdir()
    better = with_scores(report, iou=0.99)
    pack_asset(model, better, weights, target)
    before = {path.name: path.read_bytes() for path in target.parent.iterdir()}
    with pytest.raises(UserError, match=r"better scores \(Mask IoU at 16 px 0\.99, now"):
        pack_asset(model, with_scores(report, iou=0.5), weights, target)
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == before
    pack_asset(model, with_scores(report, iou=0.5), weights, target, replace=True)
    assert read_report(target.parent / "report.json")["scores"]["iou"]["mean"] == 0.5
    pack_asset(model, better, weights, target)
    assert read_report(target.parent / "report.json") == better


def test_an_asset_without_scores_and_a_report_on_other_weights_are_refused(run, report, tmp_path):
    model = HeadGenerator(small_config(), torch.zeros(2, 3))
    weights = file_sha256(run / "state.pt")
    target = tmp_path / "heads"
    with pytest.raises(UserError, match="other weights"):
        pack_asset(model, report, "0" * 64, target)
    assert not target.with_suffix(".json").exists()
    model.pack(target)
    with pytest.raises(UserError, match="no recorded scores"):
        pack_asset(model, report, weights, target)


def test_what_is_no_report_is_refused(tmp_path):
    for text in ("nonsense", "[]", '{"format": "other"}'):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(UserError, match="report"):
            read_report(tmp_path / "report.json")


def test_a_model_in_training_is_judged_without_being_touched():
    torch.manual_seed(0)
    model = HeadGenerator(small_config(), torch.zeros(2, 3)).train()
    generator = model.generator()
    subject = Subject(generator, "run", "0" * 64)
    assert model.network.training and all(p.requires_grad for p in model.network.parameters())
    assert subject.backdrop == 1.0
    z = torch.randn(4)
    camera = generator.capabilities.default_pose.camera()
    frame = generator.render(generator.map(z), camera)
    cam2world = torch.tensor(camera.cam2world).float()[None]
    with torch.no_grad():
        drawn = model.whole(z[None], cam2world, 32)
    expected = ((drawn.picture[0].permute(1, 2, 0) + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(frame.rgb, expected, atol=1e-4, rtol=0)
