"""The encoder that ships: small, loaded through open_clip, and able to tell heads apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from engine.assets import asset
from engine.text.answers import answer, describe
from engine.text.encoder import TextImageEncoder, load
from engine.text.library import open_clip
from engine.text.prompts import QUESTIONS
from tests.cli.conftest import Run, run  # noqa: F401

DATA = Path(__file__).parent / "data"
SIDE = 128


@pytest.fixture(scope="module")
def encoder() -> TextImageEncoder:
    return load()


@pytest.fixture(scope="module")
def heads() -> tuple[torch.Tensor, list[dict[str, str]]]:
    """Heads that it was not trained on, and what is true of each, by question."""
    with Image.open(DATA / "heads.png") as image:
        sheet = torch.from_numpy(np.asarray(image.convert("RGB")).astype(np.float32) / 255.0)
    rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    tiles = sheet.view(rows, SIDE, columns, SIDE, 3).permute(0, 2, 4, 1, 3)
    truth: list[dict[str, str]] = json.loads((DATA / "heads.json").read_text())
    return tiles.reshape(-1, 3, SIDE, SIDE)[: len(truth)], truth


def test_it_is_small_and_in_half_precision() -> None:
    folder = asset("text_encoder")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 15_000_000
    with safe_open(folder / "model.safetensors", "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert kinds <= {torch.float16, torch.int64}
    assert "MakeHuman" in (folder / "README.md").read_text()


def test_it_is_a_model_of_open_clips_with_its_words(encoder: TextImageEncoder) -> None:
    assert isinstance(encoder.network, open_clip().CLIP)
    assert encoder.network.vocab_size == 49408 and encoder.network.context_length == 77
    assert {value.dtype for value in encoder.parameters()} == {torch.float32}
    assert encoder.device.type == "cpu"


def test_it_tells_heads_apart(
    encoder: TextImageEncoder, heads: tuple[torch.Tensor, list[dict[str, str]]]
) -> None:
    pictures, truth = heads
    images = encoder.encode_image(pictures)
    right: dict[str, list[bool]] = {}
    for question in QUESTIONS:
        given = answer(encoder, images, question)
        right[question.name] = [
            one.best == known[question.name]
            for one, known in zip(given, truth, strict=True)
            if question.name in known
        ]
    together = [hit for hits in right.values() for hit in hits]
    assert len(together) > 90 and np.mean(together) > 0.9
    for name in ("gender", "smiling", "eye colour", "glasses", "lipstick"):
        assert np.mean(right[name]) > 0.85, name


def test_texts_of_different_answers_are_different(encoder: TextImageEncoder) -> None:
    """A young text tower says the same of every eye colour, and all answers are guesses."""
    for question in QUESTIONS:
        vectors = torch.stack([encoder.encode_text(t).mean(0) for t in question.answers.values()])
        unit = torch.nn.functional.normalize(vectors, dim=-1)
        alike = (unit @ unit.T).fill_diagonal_(-1.0)
        assert float(alike.max()) < 0.9, question.name


def test_unknown_words_change_little(encoder: TextImageEncoder) -> None:
    plain, strange = encoder.encode_text(["a smiling woman", "a smiling spreadsheet woman"])
    other = encoder.encode_text(["an angry man"])[0]
    assert float(plain @ strange) > float(plain @ other) + 0.2


def test_a_picture_can_be_pulled_towards_a_text(
    encoder: TextImageEncoder, heads: tuple[torch.Tensor, list[dict[str, str]]]
) -> None:
    picture = heads[0][:1].clone().requires_grad_()
    text = ["a person with blue hair"]
    before = encoder.similarity(picture, text)
    before.sum().backward()  # type: ignore[no-untyped-call]
    assert picture.grad is not None
    step = picture + 0.02 * picture.grad.sign()
    assert float(encoder.similarity(step, text).item()) > float(before.item())


def test_describe_uses_it_by_itself(
    run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoder: TextImageEncoder,
    heads: tuple[torch.Tensor, list[dict[str, str]]],
) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    pixels = (heads[0][0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "head.png")
    facts = json.loads(run("describe", "head.png", "--json").out)
    assert facts["encoder"] == "text_encoder"
    found = {name: one["best"] for name, one in facts["pictures"][0]["attributes"].items()}
    expected = describe(encoder, heads[0][:1])
    assert found == {name: one["best"] for name, one in expected.items()}
    assert [path.name for path in tmp_path.iterdir()] == ["head.png"]
