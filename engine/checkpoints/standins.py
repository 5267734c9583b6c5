"""The names that a checkpoint may ask for, and the plain data each of them becomes.

Two lists decide everything:

- :data:`CONSTRUCTORS`: functions and classes whose call we know how to answer (rebuild a tensor,
  make a dictionary). The answer is given by a function of ours in this file.
- :data:`CLASS_PACKAGES`: packages whose classes may appear as *types* of objects. They become
  :class:`~engine.checkpoints.plain.Node` records: a name, arguments and a state.

Any other name is refused, whatever the file wants to do with it. Nothing is ever imported by a
name from a file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import torch

from engine.checkpoints.faults import Damaged, Refused, Unsupported
from engine.checkpoints.pickle_vm import Budget, checked_key
from engine.checkpoints.plain import ClassRef, LazyTensor, Node
from engine.checkpoints.source import BytesSource, LazyBytes, Source
from engine.checkpoints.tensors import DTYPES, MAX_DIMS, STORAGE_DTYPES, Storage, view, whole

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
_IDENTIFIER = re.compile(r"^[A-Za-z_]\w*$", re.ASCII)
_MODULE = re.compile(r"^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*$", re.ASCII)
_CLASS_NAME = re.compile(r"^_{0,2}[A-Z]\w*$", re.ASCII)
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


class StandIns:
    """Answers a pickle machine with plain data.

    Args:
        budget: what the file may still ask for.
        load_nested: reads the legacy torch stream inside a pickle (source, start, length) and
            returns its storage.
        persistent: answers persistent ids; ``None`` refuses them.
    """

    def __init__(
        self,
        budget: Budget,
        load_nested: Callable[[Source, int, int], Storage],
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.budget = budget
        self.load_nested = load_nested
        self._persistent = persistent
        self._known: dict[tuple[str, str], ClassRef] = {}

    def find(self, module: str, name: str) -> ClassRef:
        """See :class:`~engine.checkpoints.pickle_vm.Builder`."""
        known = self._known.get((module, name))
        if known is None:
            if not _MODULE.match(module) or not _MODULE.match(name):
                raise Damaged(f"it asks for {shown(f'{module} {name}')!r}, which is not a name")
            full = canonical_name(module, name)
            if full is None:
                raise Refused(
                    f"it asks for {shown(f'{module}.{name}')!r}, which is no part of "
                    "a model and could run code on this computer"
                )
            known = self._known[module, name] = ClassRef(full)
        return known

    def construct(self, ref: ClassRef, args: tuple[Any, ...], kwargs: dict[Any, Any]) -> Any:
        """See :class:`~engine.checkpoints.pickle_vm.Builder`."""
        constructor = CONSTRUCTORS.get(ref.name)
        if constructor is not None:
            if kwargs:
                raise Damaged(f"{shown(ref.name)} is given named arguments")
            try:
                return constructor(self, *args)
            except TypeError as error:
                raise Damaged(f"{shown(ref.name)} is given arguments that do not fit") from error
        if ref.name in REFERENCES or ref.name.startswith("torch.nn.functional."):
            raise Refused(f"it tries to call {shown(ref.name)!r}, which no model file needs")
        return Node(ref.name, args, dict(kwargs))

    def set_state(self, target: Any, state: Any) -> None:
        """See :class:`~engine.checkpoints.pickle_vm.Builder`."""
        if isinstance(target, Node):
            if target.kind == "numpy.dtype":
                _set_dtype_state(target, state)
            elif target.kind == "numpy.ndarray":
                _set_array_state(self, target, state)
            else:
                self._update(target, state)
        elif isinstance(target, (ClassRef, Storage)) or not isinstance(target, (dict, LazyTensor)):
            raise Refused(f"it tries to alter a {type(target).__name__}, as no model file does")
        # Attributes of dictionaries (such as a state dict's _metadata) and of tensors are dropped.

    def persistent(self, pid: Any) -> Any:
        """See :class:`~engine.checkpoints.pickle_vm.Builder`."""
        if self._persistent is None:
            raise Refused("it refers to objects outside of the file")
        return self._persistent(pid)

    def _update(self, node: Node, state: Any) -> None:
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        if not all(part is None or isinstance(part, dict) for part in parts):
            node.state["[state]"] = state
            return
        for part in parts:
            if part:
                self.budget.step(len(part))
                node.state.update(part)


def canonical_name(module: str, name: str) -> str | None:
    """The name under which we know ``module.name``, or ``None`` if it is not allowed.

    A dotted ``name`` would reach through a module (``torch.serialization`` + ``os.system``), so
    only simple names are known. Authors keep ``torch_utils`` and ``dnnlib`` at different depths;
    what stands before them is dropped.
    """
    if not _MODULE.match(module) or not _IDENTIFIER.match(name):
        return None
    module = _ALIASES.get(module, module)
    full = f"{_PREFIX.sub('', module)}.{name}"
    if full in CONSTRUCTORS or full in REFERENCES or full in DTYPES or full in STORAGE_DTYPES:
        return full
    full = f"{module}.{name}"
    if full in CONSTRUCTORS or full in REFERENCES:
        return full
    if module == "torch.storage" and f"torch.{name}" in STORAGE_DTYPES:
        return f"torch.{name}"
    if module == "torch.cuda" and f"torch.{name}" in STORAGE_DTYPES:
        return f"torch.{name}"
    if module == "torch.nn.functional":
        return full
    package = module.removeprefix("src.")
    listed = any(package == known or package.startswith(f"{known}.") for known in CLASS_PACKAGES)
    return full if listed and _CLASS_NAME.match(name) else None


# What the known constructors become. Each takes the stand-ins and the call's arguments.


def _sequence(value: Any, what: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise Damaged(f"{what} is not a list")
    return value


def _dict(self: StandIns, *args: Any) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    if args and args[-1] is not None and not isinstance(args[-1], ClassRef):
        pairs = args[-1]
        if isinstance(pairs, dict):
            self.budget.step(len(pairs))
            result.update(pairs)
            return result
        for pair in _sequence(pairs, "a dictionary's content"):
            self.budget.step()
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise Damaged("a dictionary in it has a key without a value")
            result[checked_key(pair[0], self.budget)] = pair[1]
    return result


def _list(self: StandIns, items: Any = ()) -> list[Any]:
    self.budget.step(len(_sequence(items, "a list's content")))
    return list(items)


def _tuple(self: StandIns, items: Any = ()) -> tuple[Any, ...]:
    self.budget.step(len(_sequence(items, "a tuple's content")))
    return tuple(items)


def _set(self: StandIns, items: Any = ()) -> set[Any]:
    self.budget.step(len(_sequence(items, "a set's content")))
    return {checked_key(item, self.budget) for item in items}


def _frozenset(self: StandIns, items: Any = ()) -> frozenset[Any]:
    return frozenset(_set(self, items))


def _bytearray(self: StandIns, data: Any = b"", encoding: Any = None) -> bytes | LazyBytes:
    if encoding is not None:
        return _encode(self, data, encoding)
    if not isinstance(data, (bytes, LazyBytes)):
        raise Damaged("a byte array's content is not bytes")
    return data


def _slice(self: StandIns, *args: Any) -> Node:
    return Node("builtins.slice", args)


def _encode(self: StandIns, text: Any, encoding: Any = "utf-8") -> bytes:
    # How protocol 2 writes bytes.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8", "utf8"):
        raise Damaged("a byte string in it is not written as one")
    self.budget.text(len(text))
    return text.encode(encoding)


def _reconstructor(self: StandIns, kind: Any, base: Any = None, state: Any = None) -> Any:
    # copyreg._reconstructor(cls, base, state): how protocols 0 and 1 make objects.
    if not isinstance(kind, ClassRef):
        raise Refused(f"it tries to make an object of a {type(kind).__name__}")
    if not isinstance(base, ClassRef) or base.name == "builtins.object":
        return self.construct(kind, (), {})
    made = self.construct(kind, (), {})
    if isinstance(made, Node) and isinstance(state, dict):
        made.state["[items]"] = state
    elif isinstance(made, Node) and isinstance(state, list):
        made.state["[list]"] = state
    elif isinstance(made, dict) and isinstance(state, dict):
        self.budget.step(len(state))
        made.update(state)
    return made


def _newobj(self: StandIns, kind: Any, *args: Any) -> Any:
    if not isinstance(kind, ClassRef):
        raise Refused(f"it tries to make an object of a {type(kind).__name__}")
    if kind.name.startswith("copyreg."):
        raise Refused("its objects are made of each other without end")
    return self.construct(kind, args, {})


def _persistent_object(self: StandIns, meta: Any) -> Node:
    # StyleGAN's torch_utils.persistence: the class's source travels in the file as text. It is
    # not even kept: only the class's name and the object's state are.
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise Damaged("a persistent object in it has no class name")
    state = meta.get("state")
    if state is None:
        state = {}
    if not isinstance(state, dict):
        raise Damaged("a persistent object in it has no state")
    self.budget.step(len(state))
    return Node(meta["class_name"], (), dict(state), persistent=True)


def _storage(value: Any) -> Storage:
    if not isinstance(value, Storage):
        raise Damaged("a tensor in it has no storage")
    return value


def _counted(self: StandIns, tensor: LazyTensor) -> LazyTensor:
    self.budget.tensor(tensor.nbytes)
    return tensor


def _tensor(
    self: StandIns, storage: Any, offset: Any, size: Any, stride: Any, *_: Any
) -> LazyTensor:
    return _counted(self, view(_storage(storage), offset, size, stride))


def _tensor_v3(
    self: StandIns, storage: Any, offset: Any, size: Any, stride: Any,
    requires_grad: Any, hooks: Any, dtype: Any, *_: Any,
) -> LazyTensor:  # fmt: skip
    if not isinstance(dtype, ClassRef) or dtype.name not in DTYPES:
        raise Damaged("a tensor in it has an unknown element type")
    return _counted(self, view(_storage(storage), offset, size, stride, DTYPES[dtype.name]))


def _parameter(self: StandIns, data: Any, *_: Any) -> LazyTensor:
    if not isinstance(data, LazyTensor):
        raise Damaged("a parameter in it is not a tensor")
    return data


def _from_type(
    self: StandIns, function: Any, kind: Any, args: Any, state: Any = None
) -> LazyTensor:
    # A tensor with attributes of its own, or a subclass of torch.Tensor.
    if not isinstance(function, ClassRef) or function.name not in _TENSOR_FUNCTIONS:
        raise Unsupported("it holds a kind of tensor that Maquette does not read")
    if not isinstance(args, tuple):
        raise Damaged("a tensor in it has no proper description")
    result: LazyTensor = CONSTRUCTORS[function.name](self, *args)
    return result


def _exotic_tensor(self: StandIns, *_: Any) -> LazyTensor:
    raise Unsupported(
        "it holds sparse, quantized or otherwise special tensors, which Maquette does not read; "
        "save it with plain tensors"
    )


def _nested_storage(self: StandIns, data: Any) -> Storage:
    if isinstance(data, LazyBytes):
        return self.load_nested(data.source, data.offset, data.length)
    if isinstance(data, bytes):
        return self.load_nested(BytesSource(data), 0, len(data))
    raise Damaged("a storage in it is not made of bytes")


def _size(self: StandIns, sides: Any = ()) -> tuple[int, ...]:
    return tuple(whole(side, "a shape's side") for side in _sequence(sides, "a shape"))


def _layout(self: StandIns, name: Any) -> str:
    return str(name) if isinstance(name, str) else "torch.strided"


def _device(self: StandIns, kind: Any, index: Any = None) -> str:
    if not isinstance(kind, str):
        raise Damaged("a device in it has no name")
    return kind if index is None else f"{kind}:{whole(index, 'a device index')}"


# numpy


def _numpy_dtype(self: StandIns, code: Any, *_: Any) -> Node:
    if isinstance(code, ClassRef):
        code = {"builtins.float": "f8", "builtins.int": "i8", "builtins.bool": "b1"}.get(code.name)
    if not isinstance(code, str):
        raise Damaged("a numpy type in it has no code")
    order, code = (code[0], code[1:]) if code[:1] in "<>|=" and code else ("<", code)
    return Node("numpy.dtype", (code,), {"byteorder": order})


def _set_dtype_state(node: Node, state: Any) -> None:
    if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
        raise Damaged("a numpy type in it has no byte order")
    node.state["byteorder"] = state[1]


_STRUCT_CODES = {
    "f2": "e", "f4": "f", "f8": "d", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
}  # fmt: skip
_ARRAY_DTYPES = {
    "f2": torch.float16, "f4": torch.float32, "f8": torch.float64, "b1": torch.bool,
    "i1": torch.int8, "i2": torch.int16, "i4": torch.int32, "i8": torch.int64,
    "u1": torch.uint8, "u2": torch.uint16, "u4": torch.uint32, "u8": torch.uint64,
    "c8": torch.complex64, "c16": torch.complex128,
}  # fmt: skip


def _numpy_scalar(self: StandIns, dtype: Any, data: Any = b"") -> Any:
    """The number (or text) itself."""
    if not isinstance(dtype, Node) or dtype.kind != "numpy.dtype":
        raise Damaged("a numpy number in it has no type")
    if isinstance(data, str):  # written by Python 2
        data = data.encode("latin-1")
    if not isinstance(data, bytes):
        raise Damaged("a numpy number in it is not made of bytes")
    code = str(dtype.args[0])
    order = ">" if dtype.state.get("byteorder") == ">" else "<"
    if code in _STRUCT_CODES:
        if len(data) != struct.calcsize(order + _STRUCT_CODES[code]):
            raise Damaged("a numpy number in it has the wrong size")
        return struct.unpack(order + _STRUCT_CODES[code], data)[0]
    if code[:1] == "U":
        text = data.decode("utf-32-be" if order == ">" else "utf-32-le", "replace")
        return text.rstrip("\0")
    if code[:1] == "S":
        return data.rstrip(b"\0")
    return Node("numpy.scalar", (code, data))


def _numpy_array(self: StandIns, *_: Any) -> Node:
    return Node("numpy.ndarray")


def _numpy_frombuffer(
    self: StandIns, data: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any
) -> Node:
    node = Node("numpy.ndarray")
    _set_array_state(self, node, (1, shape, dtype, order == "F", data))
    return node


def _set_array_state(self: StandIns, node: Node, state: Any) -> None:
    """An array's node holds ``shape``, ``dtype`` (numpy's code) and, for plain numbers, its
    content as a :class:`LazyTensor` under ``tensor``."""
    if not isinstance(state, tuple) or len(state) not in (4, 5):
        raise Damaged("a numpy array in it has no proper description")
    shape, dtype, fortran, data = state[-4:]
    if not isinstance(dtype, Node) or dtype.kind != "numpy.dtype" or not isinstance(shape, tuple):
        raise Damaged("a numpy array in it has no type or shape")
    if len(shape) > MAX_DIMS:
        raise Damaged("a numpy array in it has no proper shape")
    sides = [whole(side, "a numpy array's side") for side in shape]
    code = str(dtype.args[0])
    node.state.clear()
    node.state.update(shape=tuple(sides), dtype=code)
    if isinstance(data, str):
        data = data.encode("latin-1")
    if isinstance(data, list):
        node.state["list"] = data
    elif code in _ARRAY_DTYPES and dtype.state.get("byteorder") != ">":
        kind = _ARRAY_DTYPES[code]
        steps, step = [0] * len(sides), 1
        for axis in range(len(sides)) if fortran else reversed(range(len(sides))):
            steps[axis], step = step, step * max(sides[axis], 1)
        if isinstance(data, LazyBytes):
            storage = Storage(kind, data.length // kind.itemsize, "cpu", data.source, data.offset)
        elif isinstance(data, bytes):
            storage = Storage(kind, len(data) // kind.itemsize, "cpu", BytesSource(data), 0)
        else:
            raise Damaged("a numpy array in it is not made of bytes")
        node.state["tensor"] = _counted(self, view(storage, 0, tuple(sides), tuple(steps)))


_TENSOR_FUNCTIONS = (
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
)

#: Every call that a file may make, and the function of ours that answers it.
CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "builtins.dict": _dict,
    "builtins.list": _list,
    "builtins.tuple": _tuple,
    "builtins.set": _set,
    "builtins.frozenset": _frozenset,
    "builtins.bytearray": _bytearray,
    "builtins.slice": _slice,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstructor,
    "copyreg.__newobj__": _newobj,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
    "dnnlib.util.EasyDict": _dict,
    "dnnlib.EasyDict": _dict,
    "easydict.EasyDict": _dict,
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent_object,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._rebuild_from_type_v2": _from_type,
    "torch._utils._rebuild_sparse_tensor": _exotic_tensor,
    "torch._utils._rebuild_qtensor": _exotic_tensor,
    "torch._utils._rebuild_nested_tensor": _exotic_tensor,
    "torch._utils._rebuild_meta_tensor_no_storage": _exotic_tensor,
    "torch._utils._rebuild_wrapper_subclass": _exotic_tensor,
    "torch._utils._rebuild_device_tensor_from_numpy": _exotic_tensor,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _exotic_tensor,
    "torch.storage._load_from_bytes": _nested_storage,
    "torch.Size": _size,
    "torch.device": _device,
    "torch.serialization._get_layout": _layout,
    "numpy.dtype": _numpy_dtype,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy.core.multiarray._reconstruct": _numpy_array,
    "numpy.core.numeric._frombuffer": _numpy_frombuffer,
}
