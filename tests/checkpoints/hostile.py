"""Pickles that a well-meaning program never writes, assembled opcode by opcode."""

from __future__ import annotations

import io
import struct
import zipfile

import torch


def text(value: str) -> bytes:
    """SHORT_BINUNICODE."""
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def long_text(value: str) -> bytes:
    """BINUNICODE."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def binbytes(data: bytes) -> bytes:
    """BINBYTES."""
    return b"B" + struct.pack("<I", len(data)) + data


def calls(command: str) -> dict[str, bytes]:
    """``os.system(command)`` by every way that a pickle has to call or find something."""
    arg = long_text(command)
    code = long_text(f"__import__('os').system({command!r})")
    system = b"cos\nsystem\n"
    stack_system = text("os") + text("system") + b"\x93"
    getattr_system = (
        b"cbuiltins\ngetattr\n(cimportlib\nimport_module\n" + text("os") + b"\x85R"
        + text("system") + b"tR" + arg + b"\x85R"
    )  # fmt: skip
    return {
        "global reduce": b"\x80\x02" + system + arg + b"\x85R.",
        "protocol 0": b"cos\nsystem\n(S'" + command.encode() + b"'\ntR.",
        "posix": b"\x80\x02cposix\nsystem\n" + arg + b"\x85R.",
        "stack global reduce": b"\x80\x04" + stack_system + arg + b"\x85R.",
        "inst": b"\x80\x02(" + arg + b"ios\nsystem\n.",
        "obj": b"\x80\x02(" + system + arg + b"o.",
        "newobj": b"\x80\x02" + system + arg + b"\x85\x81.",
        "newobj_ex": b"\x80\x04" + stack_system + arg + b"\x85}\x92.",
        "subprocess newobj": b"\x80\x02csubprocess\nPopen\n" + arg + b"\x85\x81.",
        "eval": b"\x80\x02cbuiltins\neval\n" + code + b"\x85R.",
        "exec of python 2": b"\x80\x02c__builtin__\nexec\n" + code + b"\x85R.",
        "import": b"\x80\x02c__builtin__\n__import__\n" + text("os") + b"\x85R.",
        "getattr chain": b"\x80\x04" + getattr_system + b".",
        "dotted name": b"\x80\x04" + text("torch.serialization") + text("os.system") + b"\x93"
        + arg + b"\x85R.",
        "dotted name in torch.nn": b"\x80\x04" + text("torch.nn.modules.module")
        + text("torch.os.system") + b"\x93" + arg + b"\x85R.",
        "module path in torch.nn": b"\x80\x02ctorch.nn.modules.module.torch.os\nsystem\n" + arg
        + b"\x85R.",
        "function of an allowed package": b"\x80\x02ctorch.nn.functional\nhandle_torch_function\n"
        + arg + b"\x85R.",
        "torch.load": b"\x80\x02ctorch\nload\n" + arg + b"\x85R.",
        "torch hub": b"\x80\x02ctorch.hub\nload\n" + arg + b"\x85R.",
        "numpy load": b"\x80\x02cnumpy\nload\n" + arg + b"\x85R.",
        "numpy runstring": b"\x80\x02cnumpy.testing._private.utils\nrunstring\n" + arg
        + b"}\x86R.",
        "unallowed class": b"\x80\x02cmultiprocessing.util\nFinalize\n)R.",
        "build with setstate": b"\x80\x02" + system + b"}" + text("__setstate__") + system + b"sb.",
        "build on a node, then call it": b"\x80\x02ctraining.networks\nX\n)\x81}"
        + text("__call__") + system + b"sb" + arg + b"\x85R.",
        "build of a class": b"\x80\x02ctraining.networks\nX\n}" + text("f") + b"K\x01sb.",
        "reconstructor": b"\x80\x02ccopyreg\n_reconstructor\n(" + system + b"cbuiltins\nobject\n"
        + b"NtR.",
        "newobj helper": b"\x80\x02ccopyreg\n__newobj__\n(" + system + arg + b"tR.",
        "newobj of newobj": b"\x80\x02ccopyreg\n__newobj__\n(ccopyreg\n__newobj__\n" + arg + b"tR.",
        "reduce of the helper's name": b"\x80\x02ccopyreg\n__reduce_ex__\n)R.",
        "default factory": b"\x80\x02ccollections\ndefaultdict\n" + system + b"\x85R.",
        "partial": b"\x80\x02cfunctools\npartial\n(" + system + arg + b"tR.",
        "map": b"\x80\x02cbuiltins\nmap\n(" + system + b"(" + arg + b"ltR.",
        "operator": b"\x80\x02coperator\nmethodcaller\n" + text("system") + b"\x85R.",
        "ext1": b"\x80\x02\x82\x01)R.",
        "ext2": b"\x80\x02\x83\x01\x00)R.",
        "ext4": b"\x80\x02\x84\x01\x00\x00\x00)R.",
        "persid": b"Pos.system\n.",
        "binpersid": b"\x80\x02" + arg + b"Q.",
        "binpersid with a class": b"\x80\x02(" + text("storage") + system + text("0") + text("cpu")
        + b"K\x04tQ.",
        "call of text": b"\x80\x02" + text("os.system") + arg + b"\x85R.",
        "call of a tuple": b"\x80\x02)" + arg + b"\x85R.",
        "call of a node": b"\x80\x02ctraining.networks\nX\n)R" + arg + b"\x85R.",
        "code of a persistent object": b"\x80\x02ctorch_utils.misc\n_reconstruct_persistent_obj\n}"
        + b"\x85R.",
        "persistence module import": b"\x80\x02ctorch_utils.persistence\n_src_to_module\n" + arg
        + b"\x85R.",
        "next buffer": b"\x80\x05\x97.",
    }  # fmt: skip


def persistent_with_source(source: str) -> bytes:
    """A sound persistent object whose embedded source would do harm if it were run."""
    meta = b"".join(
        (
            b"}(", text("type"), text("class"), text("version"), b"K\x06",
            text("module_src"), long_text(source), text("class_name"), text("Harmless"),
            text("state"), b"}", text("x"), b"K\x01s", b"u",
        )
    )  # fmt: skip
    return b"\x80\x04ctorch_utils.persistence\n_reconstruct_persistent_obj\n" + meta + b"\x85R."


def legacy(payload: bytes) -> bytes:
    """A legacy torch stream whose data pickle is ``payload``."""
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    version = b"\x80\x02M\xe9\x03."
    system = b"\x80\x02}" + long_text("little_endian") + b"\x88s."
    return magic + version + system + payload + b"\x80\x02]."


def in_storage(payload: bytes) -> bytes:
    """A pickle with a nested storage whose own stream holds ``payload``."""
    return b"\x80\x02ctorch.storage\n_load_from_bytes\n" + binbytes(legacy(payload)) + b"\x85R."


def in_zip(payload: bytes) -> bytes:
    """A zip archive like torch's whose data pickle is ``payload``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", payload)
        archive.writestr("m/byteorder", b"little")
        archive.writestr("m/data/0", b"\0" * 64)
        archive.writestr("m/version", b"3\n")
    return buffer.getvalue()


def tensor(offset: int, size: str, stride: str, count: int = 4, key: str = "0") -> bytes:
    """A data pickle for :func:`in_zip` with one tensor; ``size`` and ``stride`` are opcodes."""
    pid = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    return (
        b"\x80\x02}" + text("a") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid
        + number(count) + b"tQ" + number(offset) + size.encode("latin-1")
        + stride.encode("latin-1") + b"\x89}tRs."
    )  # fmt: skip


def number(value: int) -> bytes:
    """LONG1."""
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def sides(*values: int) -> str:
    """A tuple of whole numbers, as opcodes."""
    return (b"(" + b"".join(number(value) for value in values) + b"t").decode("latin-1")


def sound_files() -> dict[str, bytes]:
    """Small sound files of every container, to be damaged."""
    import pickle

    value = {
        "g": {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2).half()},
        "n": [1, 2.5, "x", (None, True)],
    }
    files = {}
    for name, options in (("zip", {}), ("legacy", {"_use_new_zipfile_serialization": False})):
        buffer = io.BytesIO()
        torch.save(value, buffer, **options)  # type: ignore[arg-type]
        files[name] = buffer.getvalue()
    files["pickle"] = pickle.dumps(value, protocol=4)
    return files
