"""The scores of :func:`engine.metrics.evaluate.evaluate` as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rows_of(facts: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(score, value, what it is) of what was measured."""
    rows: list[tuple[str, str, str]] = []
    if found := facts.get("distances"):
        features = found["features"]
        sets = f"{found['drawn']} samples against {found['real']} pictures"
        rows.append(("FID", _number(found["fid"], 2), f"{sets}, {features['numbers']} features"))
        kid = found["kid"]
        rows.append((
            "KID × 1000", f"{1e3 * kid['mean']:.2f} ± {1e3 * kid['spread']:.2f}",
            f"{kid['subsets']} subsets of {kid['size']}",
        ))  # fmt: skip
        if floor := found["kid_of_real_halves"]:
            rows.append((
                "KID × 1000 of the pictures' halves",
                f"{1e3 * floor['mean']:.2f} ± {1e3 * floor['spread']:.2f}",
                "what a perfect model would get",
            ))  # fmt: skip
    if found := facts.get("depth"):
        stat = found["chamfer"]
        rows.append((
            "depth consistency", _number(stat["mean"], 3),
            f"modified Chamfer, steps of {found['step']:.4g}, side view at {found['side_yaw']:.1f} "
            f"degrees, {stat['count']} of {stat['of']} people",
        ))  # fmt: skip
    if found := facts.get("views"):
        error, share = found["error"], found["share"]
        compared = "nothing could be compared"
        if share["mean"] is not None:
            compared = f"{share['mean']:.0%} of the head compared"
        rows.append((
            "view consistency", _number(error["mean"], 4),
            f"mean colour difference of 1, {compared}, {error['count']} of {error['of']} people",
        ))  # fmt: skip
    if found := facts.get("speed"):
        where = f"{found['device']}, {found['threads']} threads"
        rows.append(("seconds a person", _number(found["person"], 3), where))
        rows.append(("seconds a view", _number(found["view"], 3), "of the same person"))
    return rows


def notes_of(facts: Mapping[str, Any]) -> list[str]:
    """What the numbers depend on, one sentence each."""
    notes = []
    if found := facts.get("distances"):
        features = found["features"]
        notes.append(
            f"FID and KID compare features of {features['name']} (SHA-256 "
            f"{features['sha256'][:12]}), drawn from {found['poses']}; numbers from other features "
            "or other counts cannot be compared with them."
        )
    if data := facts.get("data"):
        notes.append(f"Data: {data['name']}, {data['pictures']} pictures at {data['resolution']}.")
    notes.append(f"Truncation psi {facts['psi']:g}, seed {facts['seed']}. {facts['machine']}.")
    return notes


def markdown(facts: Mapping[str, Any]) -> str:
    """The table with its notes."""
    model = facts.get("model", {})
    lines = [f"# Scores of {model['name']}", ""] if model else []
    lines += ["| score | value | |", "|---|---|---|"]
    lines += [f"| {name} | {value} | {about} |" for name, value, about in rows_of(facts)]
    return "\n".join([*lines, "", *notes_of(facts), ""])


def _number(value: float | None, places: int) -> str:
    return "not to be told" if value is None else f"{value:.{places}f}"
