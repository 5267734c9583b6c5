"""numpy's types, numbers and arrays in a pickle, as plain data."""

from __future__ import annotations

import codecs
import struct
from typing import Any

import torch

from engine.checkpoints.context import Context, counted
from engine.checkpoints.faults import Damaged
from engine.checkpoints.plain import ClassRef, Node
from engine.checkpoints.source import BytesSource, LazyBytes
from engine.checkpoints.tensors import MAX_DIMS, Storage, view, whole


def make_dtype(context: Context, code: Any, *_: Any) -> Node:
    """``numpy.dtype(code, ...)``: a node with the code and the byte order."""
    if isinstance(code, ClassRef):
        code = {"builtins.float": "f8", "builtins.int": "i8", "builtins.bool": "b1"}.get(code.name)
    if not isinstance(code, str):
        raise Damaged("a numpy type in it has no code")
    context.budget.text(len(code))
    order, code = (code[0], code[1:]) if code[:1] in "<>|=" and code else ("<", code)
    return Node("numpy.dtype", (code,), {"byteorder": order})


def set_dtype_state(node: Node, state: Any) -> None:
    """The byte order comes as a state."""
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


def make_scalar(context: Context, dtype: Any, data: Any = b"") -> Any:
    """The number (or text) itself."""
    if not isinstance(dtype, Node) or dtype.kind != "numpy.dtype":
        raise Damaged("a numpy number in it has no type")
    if isinstance(data, (str, bytes)):
        context.budget.text(len(data))
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
        # Not bytes.decode, which imports these codecs at their first use.
        decode = codecs.utf_32_be_decode if order == ">" else codecs.utf_32_le_decode
        return decode(data, "replace", True)[0].rstrip("\0")
    if code[:1] == "S":
        return data.rstrip(b"\0")
    return Node("numpy.scalar", (code, data))


def make_array(context: Context, *_: Any) -> Node:
    """An array before its state has come."""
    return Node("numpy.ndarray")


def make_array_of_buffer(
    context: Context, data: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any
) -> Node:
    """How protocol 5 writes an array."""
    node = Node("numpy.ndarray")
    set_array_state(context, node, (1, shape, dtype, order == "F", data))
    return node


def set_array_state(context: Context, node: Node, state: Any) -> None:
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
        context.budget.text(len(data))
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
        node.state["tensor"] = counted(context, view(storage, 0, tuple(sides), tuple(steps)))
