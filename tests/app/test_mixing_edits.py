"""Mixing and blending as edits of the document."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import document as d
from app import mixing_edits as m
from app.document import Document
from app.project import Project, read_project, write_project
from engine.errors import UserError
from engine.identity import Blend, StyleSource
from engine.recipe import ModelRef, Recipe
from tests.app.test_document import capabilities

EG3D = capabilities(layer_groups={"coarse": (0, 4), "middle": (4, 8), "fine": (8, 14)})
CIPS = capabilities(
    num_ws=9, layer_groups={"shape": (0, 3), "appearance": (3, 9), "fine": (7, 9)}
)  # fmt: skip
BARE = capabilities(num_ws=5)


def mixing(*sources: StyleSource, seed: int = 1) -> Document:
    return Document(Recipe(seed=seed, mixes=sources))


def rows(document: Document) -> list[tuple[int, ...]]:
    return [source.rows for source in document.recipe.mixes]


# ------------------------------------------------------------------ painting


def test_a_row_belongs_to_one_face_at_a_time() -> None:
    document = mixing(StyleSource(5, ()), StyleSource(9, ()))
    document = m.paint(document, 0, (3, 1, 2))
    document = m.paint(document, 1, (2,))
    assert rows(document) == [(1, 3), (2,)]
    assert rows(m.paint(document, None, (1, 2))) == [(3,), ()]
    # Erasing in one column leaves the others alone.
    assert rows(m.erase(document, 0, (1, 2))) == [(3,), (2,)]
    assert [m.owner(document.recipe.mixes, row) for row in range(4)] == [None, 0, 1, 0]


STROKES = st.lists(
    st.tuples(
        st.sampled_from(["paint", "back", "erase"]),
        st.integers(0, 3),
        st.lists(st.integers(0, 30), max_size=6),
    ),
    max_size=25,
)


@given(STROKES)
def test_whatever_is_painted_every_row_has_the_owner_of_its_last_stroke(
    strokes: list[tuple[str, int, list[int]]],
) -> None:
    sources = tuple(StyleSource(10 + n, (), 0.25 * (n + 1)) for n in range(4))
    document = mixing(*sources)
    owners: dict[int, int] = {}
    for kind, index, painted in strokes:
        if kind == "paint":
            document = m.paint(document, index, painted)
            owners.update(dict.fromkeys(painted, index))
        elif kind == "back":
            document = m.paint(document, None, painted)
            owners = {row: who for row, who in owners.items() if row not in painted}
        else:
            document = m.erase(document, index, painted)
            owners = {r: who for r, who in owners.items() if r not in painted or who != index}
    mixes = document.recipe.mixes
    assert {row: m.owner(mixes, row) for row in range(31)} == {
        row: owners.get(row) for row in range(31)
    }
    assert sum(len(source.rows) for source in mixes) == len(owners)
    # Nobody is added, dropped or renamed by painting, and the rows stay in order.
    assert [(s.seed, s.weight) for s in mixes] == [(s.seed, s.weight) for s in sources]
    assert all(list(s.rows) == sorted(set(s.rows)) for s in mixes)
    assert Recipe.from_json(json.loads(json.dumps(document.recipe.to_json()))) == document.recipe


# ------------------------------------------------------------------ faces


def test_the_first_face_gives_its_look_and_later_ones_what_is_left() -> None:
    draw = random.Random(0)
    one = m.add_face(mixing(), EG3D, draw)
    assert rows(one) == [tuple(range(4, 14))]
    assert rows(m.add_face(mixing(), CIPS, draw)) == [tuple(range(3, 9))]
    assert rows(m.add_face(mixing(), BARE, draw)) == [(2, 3, 4)]
    two = m.add_face(one, EG3D, draw)
    assert rows(two) == [tuple(range(4, 14)), tuple(range(4))]
    assert rows(m.add_face(two, EG3D, draw))[2] == (), "nothing is taken from those before it"
    seeds = [s.seed for s in two.recipe.mixes]
    assert len({*seeds, two.recipe.seed}) == 3 and max(seeds) < 1_000_000


def test_eight_faces_and_no_more() -> None:
    document = mixing()
    for seed in range(8):
        document = m.add_source(document, seed, (seed,))
    assert rows(document) == [(n,) for n in range(8)]
    with pytest.raises(UserError, match="At most 8 faces"):
        m.add_source(document, 9)
    assert [m.letter(n) for n in (None, 0, 7)] == ["A", "B", "I"]
    # The rows of one that goes are A's; the others keep theirs.
    fewer = m.remove_source(document, 2)
    assert [s.seed for s in fewer.recipe.mixes] == [0, 1, 3, 4, 5, 6, 7]
    assert m.owner(fewer.recipe.mixes, 2) is None and m.owner(fewer.recipe.mixes, 3) == 2
    assert m.clear(fewer) == mixing()


def test_another_seed_and_weight_keep_the_rows() -> None:
    document = mixing(StyleSource(5, (1, 2)))
    assert m.set_source_seed(document, 0, -1).recipe.mixes[0] == StyleSource(2**32 - 1, (1, 2))
    assert m.set_weight(document, 0, 0.25).recipe.mixes[0] == StyleSource(5, (1, 2), 0.25)
    assert m.set_weight(document, 0, 99).recipe.mixes[0].weight == 8
    with pytest.raises(UserError, match="weight"):
        m.set_weight(document, 0, float("nan"))
    again = m.random_source_seed(document, 0, random.Random(1)).recipe.mixes[0]
    assert again.rows == (1, 2) and again.seed not in (1, 5)

    class Stubborn(random.Random):
        drawn = iter((1, 5, 6))

        def randrange(self, *_: object) -> int:  # type: ignore[override]
            return next(self.drawn)

    assert m.random_source_seed(document, 0, Stubborn()).recipe.mixes[0].seed == 6


# ------------------------------------------------------------------ presets


def test_presets_follow_the_groups_of_the_model() -> None:
    titles = [preset.title for preset in m.presets(CIPS, 1)]
    assert titles == [
        "Shape of A, look of C", "Shape of C, look of A", "Fine layers of C", "All layers of C",
        "Every face in turn",
    ]  # fmt: skip
    assert [p.title for p in m.presets(EG3D, 0)][:2] == [
        "Coarse layers of B", "Middle layers of B",
    ]  # fmt: skip
    assert len(m.presets(BARE, 0)) == 2


def test_presets_share_all_rows_out() -> None:
    document = mixing(StyleSource(5, (0, 8)), StyleSource(9, (1,)))
    look, shape, fine, every, turn = m.presets(CIPS, 1)

    def after(preset: m.Preset) -> list[tuple[int, ...]]:
        return rows(m.apply_preset(document, CIPS, preset, 1))

    assert after(look) == [(), (3, 4, 5, 6, 7, 8)] and after(shape) == [(), (0, 1, 2)]
    assert after(fine) == [(), (7, 8)] and after(every) == [(), tuple(range(9))]
    assert after(turn) == [(1, 4, 7), (2, 5, 8)]


# ------------------------------------------------------------------ blends


def test_a_blend_towards_another_face() -> None:
    document = m.set_blend(mixing(seed=3), seed=8)
    assert document.recipe.blend == Blend((3, 8), (0.5, 0.5))
    assert m.partner(document) == m.Partner(8, 0.5, "w", 1)
    moved = m.set_blend(m.set_blend(document, amount=0.25), space="z")
    assert moved.recipe.blend == Blend((3, 8), (0.75, 0.25), "z")
    assert m.set_blend(moved, amount=7).recipe.blend == Blend((3, 8), (0.0, 1.0), "z")
    assert m.clear_blend(moved) == mixing(seed=3)
    with pytest.raises(UserError, match="other face"):
        m.set_blend(mixing(), amount=0.3)
    assert m.partner(m.new_blend(mixing(), random.Random(2))).amount == 0.5  # type: ignore[union-attr]


def test_the_other_face_stays_when_the_first_one_changes() -> None:
    document = m.set_blend(mixing(seed=3), seed=8, amount=0.3, space="z")
    after = d.next_seed(document)
    assert after.recipe.seed == 4 and after.recipe.blend == Blend((4, 8), (0.7, 0.3), "z")
    swapped = m.swap(after)
    assert swapped.recipe.seed == 8 and swapped.recipe.blend == Blend((8, 4), (0.7, 0.3), "z")
    assert m.swap(swapped) == after and m.swap(mixing()) == mixing()


def test_a_blend_of_several_is_shown_and_made_one_of_two() -> None:
    three = replace(mixing(seed=1), recipe=Recipe(seed=1, blend=Blend((1, 2, 3), (1.0, 1.0, 2.0))))
    assert m.partner(three) == m.Partner(3, 0.5, "w", 2)
    assert m.set_blend(three, amount=0.25).recipe.blend == Blend((1, 3), (0.75, 0.25))
    alone = replace(three, recipe=Recipe(seed=1, blend=Blend((1,), (1.0,))))
    assert m.partner(alone) is None


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from(["w", "z"]))
def test_whatever_the_blend_it_begins_with_the_seed(seed: int, amount: float, space: str) -> None:
    document = m.set_blend(mixing(seed=3), seed, amount, space)  # type: ignore[arg-type]
    for change in (d.next_seed, d.random_seed, m.swap, m.random_partner):
        document = change(document)
        blend = document.recipe.blend
        assert blend is not None and blend.seeds[0] == document.recipe.seed
        assert blend.weights == (1.0 - amount, amount) and blend.space == space


# ------------------------------------------------------------------ models and files


def test_a_model_with_fewer_layers_drops_rows_and_keeps_faces() -> None:
    document = mixing(StyleSource(5, (0, 8, 13)), StyleSource(9, (12,), 0.5))
    document = m.set_blend(document, 7)
    changed = d.set_model(document, ModelRef("b.pkl"), CIPS).recipe
    assert changed.mixes == (StyleSource(5, (0, 8)), StyleSource(9, (), 0.5))
    assert changed.blend == document.recipe.blend


def test_a_project_brings_the_mix_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    document = mixing(StyleSource(5, (0, 8), 1 / 3), StyleSource(2**32 - 1, ()))
    document = m.set_blend(document, 7, 0.1, "z")
    write_project(tmp_path / "a.maquette", Project(document))
    assert read_project(tmp_path / "a.maquette").document == document
