"""Which Maquette this is."""

from __future__ import annotations


def version() -> str:
    """The installed version."""
    # Every process of ours imports this module; only who asks pays for the library.
    from importlib import metadata

    try:
        return metadata.version("maquette")
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"
