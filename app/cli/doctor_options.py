"""The words of ``maquette doctor``, and the parser: a package that may be missing, which the doctor then has to tell."""

from __future__ import annotations

from dataclasses import dataclass

from app.cli.parsing import Flag, parse

__all__ = ["DoctorOptions", "parse"]


@dataclass(frozen=True)
class DoctorOptions:
    """Look at everything that Maquette needs: Python and packages, CUDA, display and OpenGL, FFmpeg,
    fonts, models, folders and room on the disk. Each line says ok, or what to do. The exit status is 1
    where something does not work."""

    json: Flag = False
    """Print all of it as JSON."""
