"""``maquette describe``: words for pictures, by the encoder that was asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from app.settings import Settings, load_settings, save_settings
from tests.cli.conftest import Run
from tests.cli.test_bad_input import one_sentence
from tests.text.conftest import TINY, tiny_weights


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """The user's own CLIP: a folder that is called "own"."""
    path = tmp_path / "own"
    path.mkdir()
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    save_file(tiny_weights(), path / "open_clip_model.safetensors")
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    path = tmp_path / "face.png"
    Image.fromarray(pixels).save(path)
    return path


def test_every_attribute_has_a_best_word(run: Run, encoder: Path, picture: Path) -> None:
    result = run("describe", picture, "--encoder", encoder)
    assert result.status == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == str(picture)
    assert any(line.split()[:2] == ["hair", "colour"] for line in lines)
    facts = json.loads(run("describe", picture, "--encoder", encoder, "--json").out)
    assert facts["encoder"] == "own"
    (one,) = facts["pictures"]
    gender = one["attributes"]["gender"]
    assert gender["best"] == max(gender["shares"], key=gender["shares"].get)
    assert any(f"  {gender['best']}  (" in line for line in lines if "gender" in line)


def test_texts_are_ranked(run: Run, encoder: Path, picture: Path) -> None:
    words = ("--text", "a smiling woman", "--text", "a man", "--encoder", encoder)
    facts = json.loads(run("describe", picture, *words, "--json").out)["pictures"][0]["texts"]
    assert [one["text"] for one in facts] == ["a smiling woman", "a man"]
    assert sum(one["share"] for one in facts) == pytest.approx(1.0, abs=1e-5)
    shown = run("describe", picture, *words).out.splitlines()
    best = max(facts, key=lambda one: one["similarity"])
    assert shown[1].endswith(best["text"]) and len(shown) == 3


def test_several_pictures(run: Run, encoder: Path, picture: Path) -> None:
    clear = picture.with_name("clear.png")
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(clear)
    grey = picture.with_name("grey.png")
    Image.new("L", (20, 20), round(0.9 * 255)).save(grey)
    words = ("--text", "a", "--encoder", encoder, "--json")
    facts = json.loads(run("describe", picture, clear, grey, *words).out)["pictures"]
    first, second, third = (one["texts"][0]["similarity"] for one in facts)
    assert second == pytest.approx(third, abs=1e-2) and first != pytest.approx(third, abs=1e-3)


def test_the_setting_is_used_unless_an_encoder_is_given(
    run: Run, encoder: Path, picture: Path
) -> None:
    save_settings(Settings(text_encoder=str(encoder)))
    facts = json.loads(run("describe", picture, "--json").out)
    assert facts["encoder"] == "own"
    save_settings(Settings(text_encoder="/nowhere/clip.safetensors"))
    assert "/nowhere/clip.safetensors" in one_sentence(run("describe", picture))
    assert json.loads(run("describe", picture, "--encoder", encoder, "--json").out) == facts


def test_an_encoder_can_be_kept(run: Run, encoder: Path, picture: Path, tmp_path: Path) -> None:
    save_settings(Settings(ui_scale=2.0))
    assert run("describe", picture, "--encoder", "own", "--keep").status == 0
    settings = load_settings().settings
    assert settings == Settings(ui_scale=2.0, text_encoder=str(encoder.resolve()))
    os.chdir("/")
    assert json.loads(run("describe", picture, "--json").out)["encoder"] == "own"
    assert "nowhere" in one_sentence(run("describe", picture, "--encoder", "nowhere", "--keep"))
    assert load_settings().settings == settings, "what does not load is not kept"


def test_mistakes_are_told_in_one_sentence(run: Run, encoder: Path, picture: Path) -> None:
    assert "PICTURE" in one_sentence(run("describe")) or "picture" in one_sentence(run("describe"))
    assert "nowhere.png" in one_sentence(run("describe", "nowhere.png"))
    assert "--text" in one_sentence(run("describe", picture, "--text", " "))
    assert "--encoder" in one_sentence(run("describe", picture, "--keep"))
    words = picture.with_name("words.png")
    words.write_text("no picture")
    said = one_sentence(run("describe", words, "--encoder", encoder))
    assert "words.png" in said and "picture" in said


def test_an_unsafe_encoder_is_refused(run: Run, picture: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'executed'}",)

    torch.save({"state_dict": {"x": Hostile()}}, tmp_path / "bad.pt")
    said = one_sentence(run("describe", picture, "--encoder", tmp_path / "bad.pt"))
    assert "not opened, to be safe" in said and not (tmp_path / "executed").exists()
