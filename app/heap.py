"""Memory that is free again goes back to the system.

When every panel is deleted and made anew, what stays is spread over all of the heap, and an hour of such
changes leaves tens of megabytes of holes.
"""

from __future__ import annotations

from engine.memory import give_back

__all__ = ["give_back"]
