"""Finds controls without a tooltip, inside the running window."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app.parts import Parts
from app.state_hook import VARIABLE, StateHook

#: What can be clicked, dragged or typed in.
CONTROLS = {
    "mvButton", "mvInputText", "mvInputInt", "mvInputFloat", "mvSliderInt", "mvSliderFloat",
    "mvDragInt", "mvDragFloat", "mvCombo", "mvCheckbox", "mvRadioButton", "mvSelectable",
    "mvMenuItem", "mvTab", "mvListbox", "mvCollapsingHeader", "mvImageButton", "mvKnobFloat",
    "mvColorButton", "mvColorEdit",
}  # fmt: skip


def without_tip() -> list[str]:
    """Every control of the window, shown or not, that no tooltip follows."""
    return [
        line for window in dpg.get_windows() for line in _walk(window, dpg.get_item_label(window))
    ]


def _walk(item: int, where: str) -> list[str]:
    children = dpg.get_item_children(item, 1) or []
    missing: list[str] = []
    for place, child in enumerate(children):
        kind = _kind(child)
        following = children[place + 1] if place + 1 < len(children) else 0
        tipped = bool(following) and _kind(following) == "mvTooltip"
        # A button without a callback is a label that stands on the line of the controls.
        is_label = kind == "mvButton" and dpg.get_item_callback(child) is None
        if kind in CONTROLS and not tipped and not is_label:
            label = dpg.get_item_label(child) or dpg.get_item_alias(child)
            missing.append(f"{where}: {kind} {label!r}")
        if kind != "mvTooltip":
            missing += _walk(child, where)
    return missing


def _parts() -> str:
    gc.collect()
    return str(sum(isinstance(thing, Parts) for thing in gc.get_objects()))


def _stale() -> str:
    gc.collect()  # what a change of scale has left, and nobody holds any more
    kits = {id(one.kit): one.kit for one in gc.get_objects() if isinstance(one, Parts)}
    there = set(dpg.get_all_items())
    return "\n".join(
        name for kit in kits.values() for name, item in kit.named.items() if item not in there
    )


def _live_textures() -> str:
    return str(sorted(i for i in dpg.get_all_items() if _kind(i) == "mvRawTexture"))


def _kind(item: int) -> str:
    return str(dpg.get_item_type(item)).rpartition("::")[2]


def answer_questions() -> None:
    """Have the window write the list to ``tips`` beside its state when ``ask-tips`` is there, how
    many items it is made of to ``items`` when ``ask-items`` is, how many times over its parts are
    in memory to ``parts`` when ``ask-parts`` is, the names of widgets that are gone to
    ``stale`` when ``ask-stale`` is, and the items of pictures that change to ``textures`` when
    ``ask-textures`` is."""
    folder = Path(os.environ[VARIABLE]).parent
    write: Any = StateHook.write
    answers = {
        "tips": lambda: "\n".join(without_tip()),
        "items": lambda: str(len(dpg.get_all_items())),
        "parts": _parts,
        "stale": _stale,
        "textures": _live_textures,
    }

    def and_answer(hook: StateHook, *args: Any) -> None:
        write(hook, *args)
        for name, answer in answers.items():
            question, written = folder / f"ask-{name}", folder / f"{name}.tmp"
            if question.exists():
                question.unlink()
                written.write_text(answer())
                written.replace(folder / name)

    StateHook.write = and_answer  # type: ignore[method-assign]
