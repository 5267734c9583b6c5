"""Which names a checkpoint may ask for.

Two lists decide everything:

- the constructors (:data:`engine.checkpoints.constructors.CONSTRUCTORS`): functions and classes
  whose call we know how to answer (rebuild a tensor, make a dictionary). The answer is given by
  a function of ours.
- :data:`CLASS_PACKAGES`: packages whose classes may appear as *types* of objects. They become
  :class:`~engine.checkpoints.plain.Node` records: a name, arguments and a state.

Any other name is refused, whatever the file wants to do with it. Nothing is ever imported by a
name from a file.
"""

from __future__ import annotations

import re
from collections.abc import Container

from engine.checkpoints.tensors import DTYPES, STORAGE_DTYPES

#: Packages whose classes may be the types of objects: torch's modules and optimizers, omegaconf,
#: and the packages of the families' authors and of those who built on them.
CLASS_PACKAGES = (
    "torch.nn.modules", "torch.nn.parameter", "torch.nn.utils", "torch.optim",
    "torchvision.models", "torchvision.ops", "omegaconf", "dnnlib", "torch_utils", "training",
    "networks", "models", "model", "nerf", "generators", "discriminators", "siren", "exp",
    "torch_ema", "options", "metrics", "easydict", "argparse", "pathlib", "camera_utils",
    "legacy", "loss", "utils",
)  # fmt: skip

#: Names outside of those packages that may be referred to but never called.
REFERENCES = frozenset(
    {
        "builtins.bool", "builtins.float", "builtins.int", "builtins.str", "builtins.bytes",
        "builtins.complex", "builtins.object", "builtins.NoneType", "typing.Any",
        "typing.Union", "typing.Optional", "numpy.ndarray", "torch.Tensor", "torch.strided",
        "torch.contiguous_format", "torch.preserve_format", "torch.channels_last",
    }
)  # fmt: skip

_PREFIX = re.compile(r"^(?:[A-Za-z_]\w*\.)*?(?=(?:torch_utils|dnnlib)\.|dnnlib$)")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_CLASS_NAME = re.compile(r"_{0,2}[A-Z]\w*", re.ASCII)
_ALIASES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "torch._tensor": "torch",
}


def shown(text: str, limit: int = 100) -> str:
    """``text`` from a file made fit for a sentence: printable, on one line, not too long."""
    clean = "".join(char if char.isprintable() else "?" for char in text)
    return clean if len(clean) <= limit else clean[:limit] + "…"


def is_name(text: str) -> bool:
    """Whether ``text`` is a plain or dotted Python name."""
    return _MODULE.fullmatch(text) is not None


def canonical_name(module: str, name: str, constructors: Container[str]) -> str | None:
    """The name under which we know ``module.name``, or ``None`` if it is not allowed.

    A dotted ``name`` would reach through a module (``torch.serialization`` + ``os.system``), so
    only simple names are known. Authors keep ``torch_utils`` and ``dnnlib`` at different depths;
    what stands before them is dropped.
    """
    if not _MODULE.fullmatch(module) or not _IDENTIFIER.fullmatch(name):
        return None
    module = _ALIASES.get(module, module)
    full = f"{_PREFIX.sub('', module)}.{name}"
    if full in constructors or full in REFERENCES or full in DTYPES or full in STORAGE_DTYPES:
        return full
    full = f"{module}.{name}"
    if full in constructors or full in REFERENCES:
        return full
    if module in ("torch.storage", "torch.cuda") and f"torch.{name}" in STORAGE_DTYPES:
        return f"torch.{name}"
    if module == "torch.nn.functional":
        return full
    package = module.removeprefix("src.")
    listed = any(package == known or package.startswith(f"{known}.") for known in CLASS_PACKAGES)
    return full if listed and _CLASS_NAME.fullmatch(name) else None
