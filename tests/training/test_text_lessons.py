"""What the picture tower is taught before texts are: the pictures, the questions, the order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engine.training.heads.attributes import attributes_from_latent
from engine.training.heads.captions import KIND_NAMES, codes
from engine.training.heads.wording import KINDS, facts
from engine.training.heads.world import head_latent
from engine.training.text_encoder.lessons import OF_FACES, Lessons, every_answer
from engine.training.text_encoder.model import AT_THE_END, HALF_WAY, SIZE, CaptionModel
from engine.training.text_encoder.pictures import REGIONS, Pictures, middle, varied
from engine.training.text_encoder.training import Training
from tests.training.test_text_encoder import shard, small_run


def known_heads(count: int) -> np.ndarray:
    heads = [facts(attributes_from_latent(head_latent(0, i))) for i in range(count)]
    return np.stack([codes(one) for one in heads])


def test_regions_go_where_the_pictures_go() -> None:
    layers = torch.zeros(12, 6, 64, 64, dtype=torch.uint8)
    layers[:, 3] = 255
    layers[:, 0, 20:30, 8:24] = 255
    layers[:, 4, 20:30, 8:24] = 255
    for seed in range(4):
        made = varied(layers, np.random.default_rng(seed))
        assert made.shape == (12, 5, 64, 64)
        red = made[:, 0] > 0.4 * made[:, 0].amax((1, 2), keepdim=True)
        assert bool(((made[:, 3] > 0.5) == red).float().mean((1, 2)).min() > 0.98)
        assert not made[:, 4].any() and float(made.max()) <= 1.0


def test_the_middle_of_a_face() -> None:
    regions = torch.zeros(2, 32, 32, dtype=torch.uint8)
    assert middle(regions) == (-1, -1)
    regions[0, 10, 4:20] = 200
    regions[1, 20, 8] = 1
    assert middle(regions) == (15, 11)


def pictures_of(folder: Path, heads: int, side: int = 32, views: int = 1) -> Pictures:
    shard(folder / "heads", 0, heads, side=side, views=views)
    pictures = Pictures(folder / "heads", side, heads * views)
    pictures.refresh()
    return pictures


def test_faces_from_near_are_squares_of_half_the_side(tmp_path: Path) -> None:
    pictures = pictures_of(tmp_path, 8)
    pictures._layers[:, 4:] = 0
    pictures._layers[:, 4, 18:22, 8:12] = 255
    pictures._faces[:8] = [middle(one) for one in pictures._layers[:8, 4:]]
    pictures._faces[3] = -1
    batch = pictures.sample(8, np.random.default_rng(0), near=True)
    assert batch.pictures.shape == (7, 3, 16, 16) and 3 not in batch.numbers
    assert batch.regions.shape == (7, len(REGIONS), 16, 16)
    assert float(batch.regions[:, 0].amax((1, 2)).min()) > 0.9, "the face is in the square"


def test_rare_traits_are_drawn_more_often(tmp_path: Path) -> None:
    pictures = pictures_of(tmp_path, 100)
    chances = pictures.chances()
    assert len(chances) == 100 and chances.sum() == pytest.approx(1.0)
    hats = pictures.codes(np.arange(100))[:, KIND_NAMES.index("hat")]
    worn = hats != KINDS["hat"].index("none")
    assert 0 < worn.sum() < 20
    assert chances[worn].mean() > 1.25 * chances[~worn].mean()
    shard(tmp_path / "heads", 100, 4, views=1)
    more = Pictures(tmp_path / "heads", 32, 104)
    more.refresh(1)
    assert len(more.chances()) == 100
    more.refresh(1)
    assert len(more.chances()) == 104, "new heads are drawn too"


def test_views_that_show_more_are_drawn_more_often(tmp_path: Path) -> None:
    pictures = pictures_of(tmp_path, 20, views=2)
    for number in range(0, 40, 2):
        pictures.known[number] = dict(list(pictures.known[number].items())[:4])
    drawn = [pictures.sample(20, np.random.default_rng(s)).numbers % 2 for s in range(5)]
    assert np.mean(drawn) > 0.9


def test_the_features_make_open_clips_vectors() -> None:
    model = CaptionModel().eval()
    pictures = torch.rand(2, 3, SIZE, SIZE)
    with torch.no_grad():
        half_way, at_the_end = model.features(pictures)
        assert half_way.shape == (2, HALF_WAY, SIZE // 8, SIZE // 8)
        assert at_the_end.shape == (2, AT_THE_END, SIZE // 32, SIZE // 32)
        vectors = model.network.encode_image((pictures - 0.5) / 0.25)
        assert torch.allclose(model.pooled(at_the_end), F.normalize(vectors, dim=-1), atol=1e-5)
        assert torch.equal(model.encode_image(pictures), model.pooled(at_the_end))


def test_pictures_near_what_they_show_cost_nothing() -> None:
    known = known_heads(40)
    lessons = Lessons(300, 4, 4)
    with torch.no_grad():
        lessons.values.copy_(torch.eye(len(lessons.values), 300))
    images, first = torch.zeros(40, 300), 0
    for kind, answers in lessons.asked:
        told = known[:, KIND_NAMES.index(kind)]
        for row, code in enumerate(told):
            if code >= 0:
                images[row, first + code] = 1.0
        first += len(answers)
    scale = torch.tensor(50.0)
    assert lessons.answers(images, scale, known).item() < 1e-4
    assert lessons.answers(images.roll(1, 0), scale, known).item() > 5.0
    said = [(kind, int(code)) for kind, codes_ in lessons.asked[:3] for code in codes_]
    right = lessons.vectors()[: len(said)].detach()
    assert lessons.words(right, said).item() == pytest.approx(0.0, abs=1e-6)
    assert lessons.words(right.roll(1, 0), said).item() == pytest.approx(1.0)


def test_regions_are_read_where_they_are() -> None:
    known = known_heads(24)
    eyes = known[:, KIND_NAMES.index("eye")]
    lessons = Lessons(8, 5, 4)
    features = torch.zeros(24, 5, 4, 4)
    regions = torch.zeros(24, 2, 32, 32)
    for row, code in enumerate(eyes):
        if code >= 0:
            features[row, code, 1, 2] = 1.0
            regions[row, 0, 8:16, 16:24] = 1.0
    (_, answers), *_ = every_answer(("eye",))
    with torch.no_grad():
        for reader in lessons.readers:
            reader.weight.zero_()
            reader.bias.zero_()
        lost = lessons.regions(features, regions, known)
        lessons.readers[0].weight[: len(answers)] = 30.0 * torch.eye(5)
        found = lessons.regions(features, regions, known)
        elsewhere = lessons.regions(features, regions.roll(8, -1), known)
        nowhere = lessons.regions(features, regions * 0.0, known)
    assert found < lost - 0.3 and elsewhere == pytest.approx(lost.item())
    assert nowhere.item() == 0.0


def test_a_face_from_near_is_not_asked_about_its_hat() -> None:
    known = known_heads(10)
    lessons = Lessons(8, 4, 4)
    features = torch.rand(10, 4, 2, 2)
    both = []
    for faces in (True, False):
        lessons.zero_grad()
        lessons.everywhere(features, known, faces).backward()  # type: ignore[no-untyped-call]
        assert lessons.reader.bias.grad is not None
        both.append(lessons.reader.bias.grad.clone())
    first = 0
    for kind, answers in lessons.asked:
        part = slice(first, first + len(answers))
        first += len(answers)
        asked = known[:, KIND_NAMES.index(kind)].max() >= 0
        assert bool(both[0][part].any()) == (asked and kind in OF_FACES), kind
        assert bool(both[1][part].any()) == asked, kind


def gradients(run: Training, progress: float, step: int) -> set[str]:
    run.step = step
    run.model.zero_grad()
    losses = run.losses(np.random.default_rng(0), progress)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    network = run.model.network
    parts = {"pool": network.visual.attnpool.c_proj, "eyes": network.visual.layer1,
             "texts": network.transformer}  # fmt: skip
    return {
        name
        for name, part in parts.items()
        if any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
    }


def test_faces_then_pictures_then_texts_and_pictures_together(tmp_path: Path) -> None:
    run = small_run(tmp_path, near=0.2, alone=0.5, seldom=3)
    assert gradients(run, 0.1, 0) == {"eyes"}
    assert gradients(run, 0.3, 1) == {"eyes", "pool"}
    assert gradients(run, 0.3, 3) == {"eyes", "pool", "texts"}
    assert gradients(run, 0.6, 4) == {"eyes", "pool", "texts"}


def test_texts_teach_pictures_only_in_the_end(tmp_path: Path) -> None:
    run = small_run(tmp_path, near=0.0, alone=0.5, seldom=1)
    for progress, teaches in ((0.1, False), (0.7, True)):
        losses = run.losses(np.random.default_rng(0), progress)
        run.model.zero_grad()
        of_texts = sum(losses[name] for name in ("find", "name", "part", "ask"))
        of_texts.backward()  # type: ignore[union-attr]
        taught = run.model.network.visual.conv1.weight.grad
        assert (taught is not None and bool(taught.any())) == teaches
