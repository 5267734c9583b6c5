"""The calls that a checkpoint may make, and the functions of ours that answer them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.checkpoints import numpy_values
from engine.checkpoints.budget import checked_key
from engine.checkpoints.context import Context, counted
from engine.checkpoints.faults import Damaged, Refused, Unsupported
from engine.checkpoints.plain import ClassRef, LazyTensor, Node
from engine.checkpoints.source import BytesSource, LazyBytes
from engine.checkpoints.tensors import DTYPES, Storage, view, whole


def _sequence(value: Any, what: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise Damaged(f"{what} is not a list")
    return value


def _dict(context: Context, *args: Any) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    if args and args[-1] is not None and not isinstance(args[-1], ClassRef):
        pairs = args[-1]
        if isinstance(pairs, dict):
            context.budget.step(len(pairs))
            result.update(pairs)
            return result
        for pair in _sequence(pairs, "a dictionary's content"):
            context.budget.step()
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise Damaged("a dictionary in it has a key without a value")
            result[checked_key(pair[0], context.budget)] = pair[1]
    return result


def _list(context: Context, items: Any = ()) -> list[Any]:
    context.budget.step(len(_sequence(items, "a list's content")))
    return list(items)


def _tuple(context: Context, items: Any = ()) -> tuple[Any, ...]:
    context.budget.step(len(_sequence(items, "a tuple's content")))
    return tuple(items)


def _set(context: Context, items: Any = ()) -> set[Any]:
    context.budget.step(len(_sequence(items, "a set's content")))
    return {checked_key(item, context.budget) for item in items}


def _frozenset(context: Context, items: Any = ()) -> frozenset[Any]:
    return frozenset(_set(context, items))


def _bytearray(context: Context, data: Any = b"", encoding: Any = None) -> bytes | LazyBytes:
    if encoding is not None:
        return _encode(context, data, encoding)
    if not isinstance(data, (bytes, LazyBytes)):
        raise Damaged("a byte array's content is not bytes")
    return data


def _slice(context: Context, *args: Any) -> Node:
    return Node("builtins.slice", args)


def _encode(context: Context, text: Any, encoding: Any = "utf-8") -> bytes:
    # How protocol 2 writes bytes.
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8", "utf8"):
        raise Damaged("a byte string in it is not written as one")
    context.budget.text(len(text))
    return text.encode(encoding)


def _reconstructor(context: Context, kind: Any, base: Any = None, state: Any = None) -> Any:
    # copyreg._reconstructor(cls, base, state): how protocols 0 and 1 make objects.
    if not isinstance(kind, ClassRef):
        raise Refused(f"it tries to make an object of a {type(kind).__name__}")
    if not isinstance(base, ClassRef) or base.name == "builtins.object":
        return context.construct(kind, (), {})
    made = context.construct(kind, (), {})
    if isinstance(made, Node) and isinstance(state, dict):
        made.state["[items]"] = state
    elif isinstance(made, Node) and isinstance(state, list):
        made.state["[list]"] = state
    elif isinstance(made, dict) and isinstance(state, dict):
        context.budget.step(len(state))
        made.update(state)
    return made


def _newobj(context: Context, kind: Any, *args: Any) -> Any:
    if not isinstance(kind, ClassRef):
        raise Refused(f"it tries to make an object of a {type(kind).__name__}")
    if kind.name.startswith("copyreg."):
        raise Refused("its objects are made of each other without end")
    return context.construct(kind, args, {})


def _persistent_object(context: Context, meta: Any) -> Node:
    # StyleGAN's torch_utils.persistence: the class's source travels in the file as text. It is
    # not even kept: only the class's name and the object's state are.
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise Damaged("a persistent object in it has no class name")
    state = meta.get("state")
    if state is None:
        state = {}
    if not isinstance(state, dict):
        raise Damaged("a persistent object in it has no state")
    context.budget.step(len(state))
    return Node(meta["class_name"], (), dict(state), persistent=True)


def _storage(value: Any) -> Storage:
    if not isinstance(value, Storage):
        raise Damaged("a tensor in it has no storage")
    return value


def _tensor(
    context: Context, storage: Any, offset: Any, size: Any, stride: Any, *_: Any
) -> LazyTensor:
    return counted(context, view(_storage(storage), offset, size, stride))


def _tensor_v3(
    context: Context, storage: Any, offset: Any, size: Any, stride: Any,
    requires_grad: Any, hooks: Any, dtype: Any, *_: Any,
) -> LazyTensor:  # fmt: skip
    if not isinstance(dtype, ClassRef) or dtype.name not in DTYPES:
        raise Damaged("a tensor in it has an unknown element type")
    return counted(context, view(_storage(storage), offset, size, stride, DTYPES[dtype.name]))


def _parameter(context: Context, data: Any, *_: Any) -> LazyTensor:
    if not isinstance(data, LazyTensor):
        raise Damaged("a parameter in it is not a tensor")
    return data


def _from_type(
    context: Context, function: Any, kind: Any, args: Any, state: Any = None
) -> LazyTensor:
    # A tensor with attributes of its own, or a subclass of torch.Tensor.
    if not isinstance(function, ClassRef) or function.name not in _TENSOR_FUNCTIONS:
        raise Unsupported("it holds a kind of tensor that Maquette does not read")
    if not isinstance(args, tuple):
        raise Damaged("a tensor in it has no proper description")
    context.budget.step(len(args))
    result: LazyTensor = CONSTRUCTORS[function.name](context, *args)
    return result


def _exotic_tensor(context: Context, *_: Any) -> LazyTensor:
    raise Unsupported(
        "it holds sparse, quantized or otherwise special tensors, which Maquette does not read; "
        "save it with plain tensors"
    )


def _nested_storage(context: Context, data: Any) -> Storage:
    if isinstance(data, LazyBytes):
        return context.load_nested(data.source, data.offset, data.length)
    if isinstance(data, bytes):
        return context.load_nested(BytesSource(data), 0, len(data))
    raise Damaged("a storage in it is not made of bytes")


def _size(context: Context, sides: Any = ()) -> tuple[int, ...]:
    context.budget.step(len(_sequence(sides, "a shape")))
    return tuple(whole(side, "a shape's side") for side in sides)


def _layout(context: Context, name: Any) -> str:
    return str(name) if isinstance(name, str) else "torch.strided"


def _device(context: Context, kind: Any, index: Any = None) -> str:
    if not isinstance(kind, str):
        raise Damaged("a device in it has no name")
    context.budget.text(len(kind))
    return kind if index is None else f"{kind}:{whole(index, 'a device index')}"


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
    "numpy.dtype": numpy_values.make_dtype,
    "numpy.core.multiarray.scalar": numpy_values.make_scalar,
    "numpy.core.multiarray._reconstruct": numpy_values.make_array,
    "numpy.core.numeric._frombuffer": numpy_values.make_array_of_buffer,
}
