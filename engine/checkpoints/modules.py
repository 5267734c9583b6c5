"""Networks that were saved as plain state dicts, as the nodes that pickled ones are read into.

NVIDIA's lineage pickles whole modules, code and all. A network that was trained here is saved as its
state dict under the authors' names, beside the few attributes that options are read from, and is
read back by the same code as the authors' pickles. Where it is pickled for their programs
(:mod:`engine.training.gan.persistent`), this dictionary is the object's state.
"""

from __future__ import annotations

from typing import Any

from engine.checkpoints.plain import LazyTensor, Node

#: Entries of a saved module.
CLASS, STATE, ATTRIBUTES, PARTS = "class", "state_dict", "attributes", "modules"


def is_saved_module(value: Any) -> bool:
    """Whether it is such a dictionary."""
    return (
        isinstance(value, dict)
        and isinstance(value.get(CLASS), str)
        and all(isinstance(value.get(key), dict) for key in (STATE, ATTRIBUTES, PARTS))
    )


def network_of(value: Any) -> Node | None:
    """The network that a value of a file is, however it was saved; ``None`` if it is none."""
    state = value.state if isinstance(value, Node) and value.persistent else value
    if is_saved_module(state):
        return saved_module(state)
    return value if isinstance(value, Node) else None


def saved_module(value: dict[str, Any]) -> Node:
    """The node of a dictionary that :func:`is_saved_module` accepts.

    Its tensors stand in the nested modules that their names say; ``modules`` gives further
    attributes of modules by path, ``""`` being the whole, and a module's class under ``class``.
    """
    root = _module(value[CLASS])
    for name, tensor in value[STATE].items():
        if isinstance(name, str) and isinstance(tensor, LazyTensor):
            path, _, last = name.rpartition(".")
            _inside(root, path).state["_parameters"][last] = tensor
    for path, attributes in value[PARTS].items():
        if isinstance(path, str) and isinstance(attributes, dict):
            node = _inside(root, path)
            kind = attributes.get(CLASS)
            node.kind = kind if isinstance(kind, str) else node.kind
            node.state.update({k: v for k, v in attributes.items() if k not in _OWN})
    root.state.update({k: v for k, v in value[ATTRIBUTES].items() if k not in _OWN})
    return root


_OWN = {"_parameters", "_buffers", "_modules", CLASS}


def _module(kind: str) -> Node:
    return Node(kind, (), {"_parameters": {}, "_buffers": {}, "_modules": {}}, True)


def _inside(node: Node, path: str) -> Node:
    for part in filter(None, path.split(".")):
        children = node.state["_modules"]
        node = children.setdefault(part, _module("Module"))
    return node
