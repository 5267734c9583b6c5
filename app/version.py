"""Which Maquette this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed version."""
    try:
        return metadata.version("maquette")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"
