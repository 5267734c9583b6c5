"""Training of the text encoder: its losses, its data, and going on after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engine.errors import UserError
from engine.text.encoder import load
from engine.text.prompts import QUESTIONS
from engine.training.heads.attributes import attributes_from_latent
from engine.training.heads.captions import KIND_NAMES, codes
from engine.training.heads.dataset import write_shard
from engine.training.heads.mesh import Label
from engine.training.heads.visible import turn, visible
from engine.training.heads.wording import KINDS, facts
from engine.training.heads.world import head_latent, orbit_camera
from engine.training.text_encoder.__main__ import main
from engine.training.text_encoder.losses import (
    ASKED_OF,
    agreement,
    question_loss,
    questions,
)
from engine.training.text_encoder.model import SIZE, CaptionModel
from engine.training.text_encoder.pictures import Pictures, varied
from engine.training.text_encoder.score import KIND_OF, score
from engine.training.text_encoder.training import Training, TrainOptions


def shard(folder: Path, first: int, count: int, side: int = 32, views: int = 2) -> None:
    """Heads whose picture is a colour that depends on their gender."""
    folder.mkdir(exist_ok=True)
    z = np.stack([head_latent(0, first + i) for i in range(count)])
    rgba = np.zeros((count, views, side, side, 4), np.uint8)
    rgba[..., 3] = 255
    rgba[..., 0] = np.where(z[:, 0] > 0, 220, 30)[:, None, None, None]
    rgba[..., 1] = np.arange(first, first + count)[:, None, None, None]
    rgba[:, :, :4] = 0  # nothing there: the backdrop shows
    empty = np.zeros((count, views, side, side))
    labels = np.full((count, views, side, side), int(Label.EYE), np.uint8)
    labels[:, :, : side // 2] = int(Label.LIPS)
    cameras = np.stack([orbit_camera(30.0 * (views - v - 1), 0.0).cam2world for v in range(views)])
    write_shard(
        folder / f"heads-{first:08d}-{first + count - 1:08d}.npz",
        {"index": np.arange(first, first + count), "z": z, "a": np.zeros((count, 1)),
         "cam2world": np.broadcast_to(cameras, (count, views, 4, 4)), "fov_y": np.float32(18.0), "rgba": rgba,
         "depth": empty, "seg": labels},
    )  # fmt: skip


def test_rows_are_drawn_to_what_is_true_of_them() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0]])
    true = torch.tensor([[True, False, False]])
    expected = -F.log_softmax(logits, dim=1)[0, 0]
    assert agreement(logits, true, ~true).item() == pytest.approx(expected.item())
    both = torch.tensor([[True, False, True]])
    likely = F.log_softmax(logits, dim=1)[0]
    assert agreement(logits, both, ~both).item() == pytest.approx(
        -(likely[0] + likely[2]).item() / 2
    )


def test_what_nobody_can_tell_counts_for_nothing() -> None:
    logits = torch.tensor([[2.0, 50.0, 1.0], [3.0, 2.0, 1.0]], requires_grad=True)
    true = torch.tensor([[True, False, False], [False, False, False]])
    false = torch.tensor([[False, False, True], [True, True, True]])
    loss = agreement(logits, true, false)
    assert loss.item() == pytest.approx(float(np.log1p(np.exp(-1.0))), rel=1e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0 and not logits.grad[1].any()
    assert agreement(logits, true & False, false).item() == 0.0


def test_questions_have_their_answers_in_order() -> None:
    texts, asked = questions(np.random.default_rng(0))
    assert len(texts) == sum(len(answers) for _, answers in asked)
    first = 0
    for kind, answers in asked:
        assert len(answers) > 1 and max(answers) < len(KINDS[kind])
        if kind == "gender":
            assert any(w in texts[first] for w in ("woman", "lady", "female"))
        first += len(answers)
    assert questions(np.random.default_rng(0))[0] == texts
    assert questions(np.random.default_rng(1))[0] != texts


def test_the_loss_of_questions() -> None:
    """Right answers cost nothing, wrong ones much; those not asked nothing."""
    _, asked = questions(np.random.default_rng(0))
    heads = [facts(attributes_from_latent(head_latent(0, i))) for i in range(60)]
    known = np.stack([codes(one) for one in heads])
    right = np.zeros((60, sum(len(answers) for _, answers in asked)), np.float32)
    first = 0
    for kind, answers in asked:
        for i, code in enumerate(answers):
            right[known[:, KIND_NAMES.index(kind)] == code, first + i] = 30.0
        first += len(answers)
    good = torch.from_numpy(right)
    assert question_loss(good, asked, known).item() < 1e-4
    assert question_loss(-good, asked, known).item() > 10
    women = known[:, KIND_NAMES.index("gender")] == KINDS["gender"].index("female")
    start = sum(len(a) for k, a in asked[: [k for k, _ in asked].index("beard")])
    spoilt = good.clone()
    spoilt[torch.from_numpy(women), start : start + len(KINDS["beard"])] = 0.0
    assert question_loss(spoilt, asked, known).item() < 1e-4 and ASKED_OF["beard"][1] == "male"


def test_pictures_are_shrunk_and_new_shards_are_taken_up(tmp_path: Path) -> None:
    shard(tmp_path / "heads", 0, 6, side=64)
    pictures = Pictures(tmp_path / "heads", 32, capacity=18)
    assert pictures.refresh() == 12 and pictures.refresh() == 0
    shard(tmp_path / "heads", 6, 6)
    assert pictures.refresh() == 6, "no more than the capacity"
    assert pictures.heads == 9 and len(pictures.known) == 18
    assert pictures.frontal == [2 * head + 1 for head in range(9)]
    batch = pictures.sample(5, np.random.default_rng(0))
    assert batch.pictures.shape == (5, 3, 32, 32) and len(set(batch.numbers // 2)) == 5
    plain = pictures.plain()
    assert plain.shape == (18, 3, 32, 32)
    assert torch.allclose(plain[:, 1, -1, 5], torch.arange(18) // 2 / 255.0)
    assert pictures.codes(np.array([2])).tolist() == [codes(pictures.known[2]).tolist()]


def test_only_what_a_view_shows_is_known() -> None:
    known = facts(attributes_from_latent(head_latent(0, 2)))
    assert {"smile", "eye", "style", "gender", "lipstick"} <= set(known)
    labels = np.full((64, 64), int(Label.SKIN), np.uint8)
    labels[:4], labels[4:8] = int(Label.EYE), int(Label.LIPS)
    angles = [turn(orbit_camera(yaw, 20.0).cam2world) for yaw in (0.0, -40.0, 85.0, 170.0)]
    assert angles == pytest.approx([0.0, 40.0, 85.0, 170.0], abs=1e-3)
    front, side, profile, behind = (visible(known, labels, angle) for angle in angles)
    assert front == side == known
    assert not {"smile", "expression", "eye", "lipstick"} & set(profile)
    assert {"gender", "eyewear", "style"} <= set(profile)
    assert {"style", "hat"} <= set(behind) and not {"gender", "age", "eyewear"} & set(behind)
    labels[:8] = int(Label.HAIR)
    covered = visible(known, labels, 0.0)
    assert set(known) - set(covered) == {"eye", "iris", "lipstick"}


def test_variation_keeps_pictures_in_range_and_shows_backdrops() -> None:
    rgba = torch.zeros(16, 4, 32, 32, dtype=torch.uint8)
    rgba[:, :, 8:24, 8:24] = 255
    for seed in range(5):
        made = varied(rgba, np.random.default_rng(seed))
        assert made.shape == (16, 3, 32, 32)
        assert float(made.min()) >= 0.0 and float(made.max()) <= 1.0
        corners = made[:, :, 0, 0]
        assert len({tuple(c) for c in corners.tolist()}) > 12, "some are cut to white"
        assert torch.equal(made, varied(rgba, np.random.default_rng(seed)))


def test_unknown_words_say_nothing() -> None:
    model = CaptionModel()
    table = model.network.token_embedding.weight
    known = set(model.words())
    assert 200 < len(known) < 2000
    unknown = [t for t in model.tokenizer.encode("quarterly spreadsheet") if t not in known]
    assert unknown and not table[unknown].any()
    assert all(bool(table[t].any()) for t in model.tokenizer.encode("a smiling woman in glasses"))


def test_the_shorter_way_through_the_text_tower_is_the_same() -> None:
    model = CaptionModel().eval()
    tokens = model.tokens(["a woman", "a smiling man with a long red beard", "blue eyes"])
    with torch.no_grad():
        whole = F.normalize(model.network.encode_text(tokens), dim=-1)
        assert torch.allclose(model.encode_text(tokens), whole, atol=1e-5)


def small_run(tmp_path: Path, **changes: float) -> Training:
    shard(tmp_path / "heads", 0, 12, side=SIZE, views=1)
    pictures = Pictures(tmp_path / "heads", SIZE, 12)
    pictures.refresh()
    options = TrainOptions(**{"batch": 8, "warmup": 1, **changes})  # type: ignore[arg-type]
    (tmp_path / "run").mkdir(exist_ok=True)
    return Training(pictures, options, tmp_path / "run")


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = small_run(tmp_path)
    for step in range(4):
        whole.train_step(step / 4)
    first = small_run(tmp_path)
    assert not first.resume()
    for step in range(2):
        first.train_step(step / 4)
    first.elapsed = 12.5
    first.save()
    second = small_run(tmp_path)
    assert second.resume() and second.step == 2 and second.elapsed == 12.5
    for step in range(2, 4):
        second.train_step(step / 4)
    for name, value in whole.model.network.state_dict().items():
        assert torch.allclose(second.model.network.state_dict()[name], value, atol=1e-5), name
    for name, value in whole.average.network.state_dict().items():
        assert torch.allclose(second.average.network.state_dict()[name], value, atol=1e-5), name


def test_a_kill_while_saving_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run(tmp_path)
    run.save()
    before = (tmp_path / "run" / "state.pt").read_bytes()

    def killed(_state: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        run.save()
    assert (tmp_path / "run" / "state.pt").read_bytes() == before
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["state.pt"]


def test_train_score_and_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shard(tmp_path / "heads", 0, 12, side=64)
    shard(tmp_path / "held", 100, 30, side=64)
    out, to = tmp_path / "run", tmp_path / "packed"
    assert main(["score", "--held-out", str(tmp_path / "held"), "--out", str(out)]) == 2
    words = ["--heads", str(tmp_path / "heads"), "--out", str(out), "--minutes", "0.02"]
    assert main(["train", *words, "--batch", "6"]) == 0
    assert main(["score", "--held-out", str(tmp_path / "held"), "--out", str(out)]) == 0
    assert main(["pack", "--out", str(out), "--to", str(to)]) == 0
    assert "hair colour" in capsys.readouterr().out
    scores = json.loads((out / "scores.json").read_text())
    assert scores["heads"] == scores["among"] == 30 and scores["trained_heads"] == 12
    assert set(scores["attributes"]) == {q.name for q in QUESTIONS}
    card = (to / "README.md").read_text()
    assert "{" not in card and f"{100 * scores['mean']:.1f} %" in card and "MakeHuman" in card
    assert sum(path.stat().st_size for path in to.iterdir()) < 15_000_000
    encoder = load(to)
    assert encoder.size == (SIZE, SIZE)
    assert encoder.encode_text(["a smiling woman"]).shape == (1, 128)
    assert main(["score", "--held-out", str(tmp_path / "held"), "--out", str(out),
                 "--encoder", str(to)]) == 0  # fmt: skip


def test_nothing_to_train_on(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, 32, 10)
    with pytest.raises(UserError, match=r"engine\.training\.heads render"):
        pictures.wait_for(1, 0.0)


def test_scores_of_an_encoder_that_knows() -> None:
    """One that sees the truth is right everywhere, and one that sees nothing is not."""
    heads = [facts(attributes_from_latent(head_latent(0, i))) for i in range(60)]

    class Knowing:
        logit_scale = 1.0

        def encode_image(self, pictures: torch.Tensor) -> torch.Tensor:
            vectors = torch.zeros(len(pictures), 400)
            for row, number in zip(vectors, pictures[:, 0, 0, 0].round().int(), strict=True):
                for name, kind in KIND_OF.items():
                    if kind in heads[number]:
                        row[self.place(name, heads[number][kind])] = 1.0
            return F.normalize(vectors, dim=1)

        def place(self, name: str, value: str) -> int:
            keys = [(q.name, a) for q in QUESTIONS for a in q.answers]
            return keys.index((name, value))

        def encode_text(self, texts: list[str]) -> torch.Tensor:
            vectors = torch.zeros(len(texts), 400)
            for row, text in zip(vectors, texts, strict=True):
                for question in QUESTIONS:
                    for value, asked in question.answers.items():
                        if text in asked:
                            row[self.place(question.name, value)] = 1.0
            return vectors

    pictures = torch.arange(60.0).view(60, 1, 1, 1).expand(60, 3, 2, 2)
    front = list(range(0, 60, 2))
    scores = score(Knowing(), pictures, heads, front, draws=2)  # type: ignore[arg-type]
    assert scores.mean == 1.0 and scores.mean_balanced == 1.0
    assert (scores.among, scores.heads, scores.pictures) == (30, 30, 60)
    assert scores.attributes["beard"].asked < 60 and scores.attributes["gender"].asked == 60
    assert scores.attributes["gender"].chance == 0.5
    assert "hair colour" in scores.table()
    turned = score(Knowing(), pictures.flip(0), heads, front, draws=2)  # type: ignore[arg-type]
    assert turned.mean < 0.8 and turned.attributes["gender"].confusions
