"""In which precision a step computes."""

from __future__ import annotations

import torch

from engine.errors import UserError


def in_halves(device: torch.device, wanted: str) -> bool:
    """Whether training computes in bfloat16 where torch holds that to be safe. It has float32's range, so
    that no loss needs to be scaled.

    Args:
        wanted: ``"auto"`` does so on a GPU that can, ``"mixed"`` also on a CPU, ``"full"`` never.

    Raises:
        UserError: it is asked for of a GPU that cannot.
    """
    if device.type != "cuda":
        return wanted == "mixed"
    able = torch.cuda.is_bf16_supported()
    if wanted == "mixed" and not able:
        raise UserError(
            "This GPU does not compute in bfloat16, which --precision mixed asks for; choose auto or "
            "full."
        )
    return able and wanted != "full"
