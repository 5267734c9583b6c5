"""The same heads in other colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.errors import UserError
from engine.training.bundled import __main__ as command
from engine.training.bundled.card import model_card
from engine.training.bundled.cips3d import HeadCIPS3D
from engine.training.bundled.looks import bronze, look_of
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.report import make_report
from engine.training.bundled.run import read_history
from engine.training.bundled.subject import open_subject
from tests.training.painted import write_balls
from tests.training.test_bundled_cips3d import CPU, toy_config


def test_brightness_decides_what_bronze_looks_like():
    """The ramp's own points, one half-way, and red of the brightness 0.2126."""
    rgb = torch.tensor([[0.0] * 3, [0.4] * 3, [1.0] * 3, [0.29] * 3, [1.0, 0.0, 0.0]])
    found = bronze(rgb, torch.ones(5, 1))
    expected = torch.tensor([[0.05, 0.03, 0.03], [0.55, 0.34, 0.17], [1.0, 0.93, 0.74]])
    torch.testing.assert_close(found[:3], expected)
    torch.testing.assert_close(found[3], torch.tensor([0.385, 0.23, 0.12]))
    share = (0.2126 - 0.18) / 0.22
    torch.testing.assert_close(found[4, 0], torch.tensor(0.22 + share * 0.33))


def test_a_half_covered_pixel_is_half_as_much_bronze():
    own = torch.tensor([[0.2, 0.6, 0.4]])
    whole, half = bronze(own, torch.ones(1, 1)), bronze(own / 2, torch.full((1, 1), 0.5))
    torch.testing.assert_close(half, whole / 2)
    assert bronze(torch.zeros(1, 3), torch.zeros(1, 1)).abs().max() == 0


def test_a_pool_shows_its_look_and_the_backdrop_as_it_was(tmp_path):
    folder = write_balls(tmp_path / "balls", 2)
    plain, made = HeadPool(folder, 2, CPU), HeadPool(folder, 2, CPU, look=bronze)
    for pool in (plain, made):
        pool.refresh()
    ours, theirs = (pool.whole(np.array([0, 1]), 1) for pool in (plain, made))
    assert torch.equal(ours.alpha, theirs.alpha) and torch.equal(ours.depth, theirs.depth)
    black = (ours.rgb + 1) / 2 - (1 - ours.alpha)
    expected = bronze(black.permute(0, 2, 3, 1), ours.alpha.permute(0, 2, 3, 1))
    shown = ((theirs.rgb + 1) / 2 - (1 - theirs.alpha)).permute(0, 2, 3, 1)
    torch.testing.assert_close(shown, expected, atol=1e-5, rtol=0)
    rays = [pool.rays(2, 50, 3.0, np.random.default_rng(3)) for pool in (plain, made)]
    assert torch.equal(rays[0].depth, rays[1].depth)
    assert not torch.allclose(rays[0].rgb, rays[1].rgb)


def test_colours_alone_are_learnt_and_the_report_judges_by_them(tmp_path, monkeypatch):
    folder = write_balls(tmp_path / "balls", 4)
    toy = {"of": classmethod(lambda cls, attributes, *_, **__: cls(toy_config(), attributes))}
    monkeypatch.setitem(command.MODELS, "cips3d", type("Toy", (HeadCIPS3D,), toy))

    def call(*words: object) -> int:
        return command.main([str(word) for word in (*words, "--device", "cpu")])

    field = ("field", "--family", "cips3d", "--heads", folder, "--pairs", 0, "--minutes", 0.001)
    assert call(*field, "--out", tmp_path / "plain") == 0
    told = ("--start", tmp_path / "plain", "--look", "bronze", "--only-colours")
    assert call(*field, *told, "--out", tmp_path / "bronze") == 0
    ours, theirs = (
        torch.load(tmp_path / name / "state.pt", weights_only=True)["average"]
        for name in ("plain", "bronze")
    )
    changed = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert changed and all(name.startswith("network.inr_net.") or "aux_to_rbg" in name
                           for name in changed)  # fmt: skip
    assert read_history(tmp_path / "bronze")[-1]["options"]["look"] == "bronze"
    subject = open_subject(tmp_path / "bronze", CPU)
    assert subject.look == "bronze" and open_subject(tmp_path / "plain", CPU).look == ""
    pool = HeadPool(folder, 2, CPU, backdrop=1.0, look=look_of(subject.look))
    pool.refresh()
    assert "made of bronze" in model_card(make_report(subject, pool, 2, None), 4)


def test_an_unknown_look_is_told(tmp_path, capsys):
    assert look_of("") is None
    with pytest.raises(UserError, match="there are bronze"):
        look_of("marble")
    folder = write_balls(tmp_path / "balls", 1)
    words = ["field", "--heads", folder, "--out", tmp_path / "x", "--look", "marble", "--pairs", 0]
    assert command.main([*map(str, words), "--device", "cpu"]) == 2
    assert "no look 'marble'" in capsys.readouterr().err
