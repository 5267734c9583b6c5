"""How far an edit has to go: levels among people, one face just so far, and a slider's unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.editing import strength, text_direction
from engine.editing.cache import Cache
from engine.editing.encoders import OpenEncoder
from engine.editing.pca import flat_rows
from engine.editing.samples import SeenSamples, seen_samples
from engine.editing.strength import (
    BEYOND,
    MEANT,
    MOST,
    SPARING,
    Level,
    enough,
    in_units,
    level_of,
)
from engine.editing.text_direction import regressed
from engine.editing.texts import others, text_delta
from engine.errors import Cancelled
from engine.generators.base import CancelToken
from engine.text.prompts import Question
from tests.editing.test_text_direction import MODEL
from tests.generators.tiny_eg3d import tiny_model

AIM = (1.0, 0.0)


class Scored:
    """An encoder whose pictures score what their w says, as :func:`looks` draws them."""

    device = torch.device("cpu")

    def __init__(self, curve: object = None) -> None:
        self.curve, self.looks = curve or (lambda s: s), 0

    def encode_image(self, pictures: Tensor) -> Tensor:
        self.looks += 1
        value = self.curve(float(pictures.flatten()[0]))  # type: ignore[operator]
        return torch.tensor([[value, 0.0]])


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is w's first number everywhere."""
    monkeypatch.setattr(
        strength, "draw_small", lambda _g, w, cancel: w.flatten()[0].expand(3, 2, 2).clone()
    )


def just(
    level: float, start: float = 0.0, encoder: Scored | None = None, slope: float = 1.0
) -> strength.Enough:
    return enough(
        None,  # type: ignore[arg-type]
        lambda s: torch.full((2, 2), start + slope * s),
        encoder or Scored(),  # type: ignore[arg-type]
        Level(AIM, level),
    )


@pytest.mark.usefixtures("looks")
@pytest.mark.parametrize("level", [0.3, 1.0, 2.9, 3.0, 4.2])
def test_a_face_goes_just_over_the_level_and_a_little_beyond(level: float) -> None:
    encoder = Scored()
    found = just(level, encoder=encoder)
    assert found.shown and level * BEYOND - 0.01 <= found.strength <= level * BEYOND * 1.15 + 0.01
    assert encoder.looks <= 7 and not found.note("smiling")


@pytest.mark.usefixtures("looks")
def test_who_shows_it_stays_and_who_never_does_goes_where_it_is_nearest() -> None:
    found = just(1.0, start=1.5)
    assert (found.strength, found.shown) == (0.0, True) and "already" in found.note("smiling")
    never = just(50.0)
    assert not never.shown and never.strength == MOST and "not quite" in never.note("smiling")
    # It only gets worse: nothing is done rather than the most.
    worse = just(1.0, slope=-1.0)
    assert (worse.strength, worse.shown) == (0.0, False)
    # It gets better, then worse: the place in between.
    bend = Scored(lambda s: s if s < 3.5 else 7.0 - s)
    between = just(4.5, encoder=bend)
    assert not between.shown and 3.0 <= between.strength / BEYOND <= 4.2


@pytest.mark.usefixtures("looks")
def test_it_can_be_stopped() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        enough(None, lambda s: torch.full((2, 2), s), Scored(), Level(AIM, 1.0), token)  # type: ignore[arg-type]


@pytest.mark.usefixtures("looks")
@pytest.mark.parametrize("length", [0.5, 1.0, 2.0])
def test_the_unit_is_what_half_of_those_without_it_need(
    length: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the length was before; those who show it do not count."""
    monkeypatch.setattr(strength, "PSI", 1.0)
    scores = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5])
    w = scores[:, None, None].expand(-1, 1, 2).clone()
    seen = torch.stack([scores, torch.zeros(len(scores))], 1)
    facts = type("G", (), {"capabilities": type("C", (), {"w_dim": 2})(), "device": "cpu"})()

    def unit() -> np.ndarray:
        people, flat = SeenSamples(w, seen), np.array([length, 0.0])
        return in_units(facts, people, flat, Scored(), Level(AIM, 2.5))  # type: ignore[arg-type]

    found = unit()
    # The middle one of 0 ... 0.8 and 3.0 needs 2.0, and a little beyond; a little less is given.
    assert MEANT * found[0] == pytest.approx(2.0 * BEYOND * SPARING, rel=0.16)
    monkeypatch.setattr(strength, "SPARING", 2.0 * SPARING)
    assert unit()[0] == pytest.approx(2.0 * found[0])


class Words:
    """An encoder of three words: "blonde" and "dark" are the answers of a question."""

    def encode_text(self, texts: list[str]) -> Tensor:
        known = {"blonde": [0.0, 1.0, 0.0], "dark": [0.0, -1.0, 0.0], "odd": [0.0, 0.0, 1.0]}
        return torch.tensor(
            [next((v for k, v in known.items() if k in text), [1.0, 0.0, 0.0]) for text in texts]
        )


@pytest.mark.parametrize(
    ("text", "blondes", "level"),
    [("blonde", 8, 0.495), ("blonde", 4, -0.99), ("blonde", 60, 0.63), ("odd", 8, -0.566)],
    ids=["few have it", "too few to tell", "one in twenty", "no answer"],
)
def test_the_level_is_that_of_those_who_fit(
    text: str, blondes: int, level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in twenty of the people, but where the text is an answer not below those who have it."""
    question = Question("hair", {"blonde": ("blonde",), "dark": ("dark",)})
    monkeypatch.setattr(strength, "QUESTIONS", (question,))
    seen = torch.tensor([[0.8, -0.6, 0.0]]).repeat(400, 1)
    seen[:blondes] = torch.tensor([0.1, 0.99, 0.0])
    seen[: blondes // 2] = torch.tensor([0.1, 0.8, 0.0])
    people = SeenSamples(torch.zeros(400, 1, 1), seen)
    found = level_of(people, Words(), text)  # type: ignore[arg-type]
    assert found.score == pytest.approx(level, abs=0.01)
    assert found.of(torch.tensor(found.aim)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.usefixtures("few")
def test_directions_are_calibrated_and_half_refined(
    opened: OpenEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, encoder = tiny_model(), opened.encoder
    cache = Cache(tmp_path)

    def found(text: str = "smiling") -> text_direction.TextDirection:
        return text_direction.text_direction(
            generator, MODEL, encoder, opened.identity, text, "", cache
        )

    first = found()
    people = seen_samples(generator, MODEL, encoder, opened.identity, cache)
    assert first.level.score == level_of(people, encoder, "smiling").score
    monkeypatch.setattr(text_direction, "_VERSION", 4)
    assert np.array_equal(found().direction.offset.numbers, first.direction.offset.numbers)
    monkeypatch.setattr(text_direction, "_VERSION", 5)
    monkeypatch.setattr(text_direction, "KEPT", 0.0)
    monkeypatch.setattr(strength, "in_units", lambda _g, _p, flat, *_: flat)
    plain = found().direction.offset.numbers
    rest = text_direction.held_still(people.seen, text_delta(encoder, "smiling"), others(encoder))
    flat = torch.from_numpy(flat_rows(people.w.numpy()))
    start = regressed(flat, people.seen, text_delta(encoder, "smiling"), rest).numpy()
    assert np.allclose(plain.reshape(-1), start, atol=1e-6)
    monkeypatch.setattr(text_direction, "_VERSION", 6)
    monkeypatch.setattr(text_direction, "KEPT", 1.0)
    whole = found().direction.offset.numbers
    monkeypatch.setattr(text_direction, "_VERSION", 7)
    monkeypatch.setattr(text_direction, "KEPT", 0.5)
    assert np.allclose(found().direction.offset.numbers, (plain + whole) / 2, atol=1e-6)
    assert not np.allclose(plain, whole, atol=1e-4)
