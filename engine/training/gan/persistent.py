"""Networks as NVIDIA's lineage pickles them: with source that makes them.

``torch_utils.persistence`` of those programs reads an object as a dictionary: the source of a module, the
name of a class in it, and the state that the class is given. The source is run when they open the
file. Theirs is the authors' own. Ours is a few lines that import the authors' class from the program that opens
the file, call its constructor and load the state dict; nothing of the authors' travels in it, and
our own reader does not even keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from engine.checkpoints.modules import CLASS, is_saved_module
from engine.training.gan.authors_pickles import Called, Named
from engine.training.gan.pickled import ARGUMENTS, MODULE

#: The protocol's version, of StyleGAN2-ADA and all that descends from it.
_VERSION = 6
_SOURCE = """\
# Written by Maquette: makes this program's own {name} and puts trained weights into it.
from {module} import {name} as Theirs


class {name}(Theirs):
    def __setstate__(self, saved):
        # From here on an object of theirs and nothing else, also when it is pickled again.
        self.__class__ = Theirs
        arguments = dict(saved["arguments"])
        if "cfg" in arguments:
            from omegaconf import OmegaConf

            arguments["cfg"] = OmegaConf.create(arguments["cfg"])
        Theirs.__init__(self, **arguments)
        parts = dict(self.named_modules())
        given = [(parts.get(path), found) for path, found in saved["modules"].items()]
        for part, found in given + [(self, saved["attributes"])]:
            for name, value in found.items():
                if part is not None and name not in ("class", "cfg") and name[0] != "_":
                    setattr(part, name, value)
        known = self.state_dict()
        for name, tensor in saved["state_dict"].items():
            if name not in known and "." not in name:
                # What their training adds to a network that is there already.
                self.register_buffer(name, tensor)
        self.load_state_dict(saved["state_dict"])
        self.eval().requires_grad_(False)
"""


def snapshot(networks: Mapping[str, Any]) -> dict[str, Any]:
    """What a training snapshot of the lineage holds.

    Args:
        networks: by name, as :func:`~engine.training.gan.pickled.module_state` describes them. Of one that
            the authors' class cannot be, an empty module is written: their programs want one there,
            and those that go on training begin it anew.

    Returns:
        for :func:`~engine.training.gan.authors_pickles.write_pickle`.
    """
    found = {name: _persistent(saved) for name, saved in networks.items()}
    return {"training_set_kwargs": None, "augment_pipe": None, **found}


def is_snapshot(content: object) -> bool:
    """Whether the networks that a file is to hold can be written in this way."""
    return isinstance(content, Mapping) and all(
        is_saved_module(saved) and MODULE in saved for saved in content.values()
    )


def persistent(source: str, name: str, state: Mapping[str, Any], package: str = "") -> Called:
    """An object whose class comes with it.

    Args:
        source: of a module. name: of the class in it.
        state: that its ``__setstate__`` is given.
        package: in which the program's ``torch_utils`` stands, with a dot at its end.
    """
    meta = {
        "type": "class",
        "version": _VERSION,
        "module_src": source,
        "class_name": name,
        "state": dict(state),
    }
    function = Named(f"{package}torch_utils.persistence", "_reconstruct_persistent_obj")
    return Called(function, (meta,))


def _persistent(saved: Mapping[str, Any]) -> Called | nn.Module:
    if saved.get(ARGUMENTS) is None:
        return nn.Identity()
    module, name = saved[MODULE], saved[CLASS]
    # EpiGRAF's packages stand in one of their own.
    package = module.partition("training.")[0]
    return persistent(_SOURCE.format(module=module, name=name), name, saved, package)
