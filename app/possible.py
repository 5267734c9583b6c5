"""Why commands cannot be done now: each function gives the reason, empty where there is none."""

from __future__ import annotations

from collections.abc import Callable

from app.engine_state import EngineState
from app.studio import Studio
from engine.capabilities import ViewMode


def model(studio: Studio) -> str:
    return "" if studio.model is not None else "No model is open yet."


def undo(studio: Studio) -> str:
    return "" if studio.history.can_undo else "There is nothing to undo."


def redo(studio: Studio) -> str:
    return "" if studio.history.can_redo else "There is nothing to redo."


def blended(studio: Studio) -> str:
    return "" if studio.document.recipe.blend else "There is no blend; begin one first."


def mixed(studio: Studio) -> str:
    return "" if studio.document.recipe.mixes else "No other face is mixed in."


def swapped(studio: Studio) -> str:
    return "" if studio.document.recipe.swap else "No second model is chosen."


def edited(studio: Studio) -> str:
    return "" if studio.document.recipe.edits else "The face has no edits yet."


def tried(studio: Studio) -> str:
    return "" if studio.editing.trial else "No edit is being tried out."


def sought(studio: Studio) -> str:
    return "" if studio.editing.seeking else "No edit is being looked for."


def own_settings(studio: Studio) -> str:
    facts = studio.capabilities
    return "" if facts and facts.settings else "The open model has no settings of its own."


def keyed(studio: Studio) -> str:
    return "" if studio.document.timeline.keys else "The timeline has no keys yet; add one first."


def stopped(studio: Studio) -> str:
    return "" if studio.engine is EngineState.DEAD else "The engine is running."


def finished(studio: Studio) -> str:
    over = len(studio.jobs.entries) > len(studio.jobs.active)
    return "" if over else "No job is over."


def exported(studio: Studio) -> str:
    return "" if studio.jobs.newest else "Nothing was exported yet."


def told(studio: Studio) -> str:
    return "" if studio.notices.last else "Nothing was said yet."


def seen(mode: ViewMode) -> Callable[[Studio], str]:
    return lambda s: s.capabilities.why_not(mode) if s.capabilities else ""


def pinned(studio: Studio) -> str:
    return studio.compare.why_not_shown


def reference(studio: Studio) -> str:
    return "" if studio.document.reference else studio.compare.why_not_shown


def before(studio: Studio) -> str:
    return studio.compare.why_not_held
