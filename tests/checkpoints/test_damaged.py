"""Truncated and bit-flipped files: opened to sound data, or one clear sentence."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.checkpoints import LazyTensor, Node, read_checkpoint
from engine.errors import CheckpointError
from tests.checkpoints import hostile

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"
SOUND = hostile.sound_files()


def _opens(path: Path, data: bytes) -> bool:
    """Read damaged data and every tensor in it; only a CheckpointError may come out."""
    path.write_bytes(data)
    modules = set(sys.modules)
    try:
        root = read_checkpoint(path).root
        for tensor in _tensors(root):
            assert tuple(tensor.load().shape) == tensor.shape
    except CheckpointError as error:
        sentence = str(error)
        assert str(path) in sentence and sentence.endswith(".") and "\n" not in sentence
        opened = False
    else:
        opened = True
    assert set(sys.modules) == modules
    return opened


def _tensors(root: Any) -> list[LazyTensor]:
    found, seen, waiting = [], set(), [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, LazyTensor):
            found.append(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, (list, tuple, set)):
            waiting.extend(value)
        elif isinstance(value, Node):
            waiting.extend((value.state, value.args))
    return found


@pytest.mark.parametrize("name", SOUND)
def test_truncated_anywhere(tmp_path: Path, name: str) -> None:
    data = SOUND[name]
    assert _opens(tmp_path / "x", data)
    for length in range(0, len(data), max(1, len(data) // 400)):
        assert not _opens(tmp_path / "x", data[:length]), length
    assert not _opens(tmp_path / "x", data[:-1])


@pytest.mark.parametrize("name", SOUND)
def test_every_byte_flipped(tmp_path: Path, name: str) -> None:
    data = bytearray(SOUND[name])
    chance = random.Random(1)
    opened = 0
    for place in range(0, len(data), max(1, len(data) // 600)):
        kept = data[place]
        data[place] ^= 1 << chance.randrange(8)
        opened += _opens(tmp_path / "x", bytes(data))
        data[place] = kept
    assert opened > 0  # flips in weights and in padding cannot be told


@pytest.mark.parametrize("file", ["stylenerf_default/checkpoint.pkl", "stylesdf/checkpoint.pt"])
def test_golden_truncated_and_flipped(tmp_path: Path, file: str) -> None:
    data = (GOLDENS / file).read_bytes()
    chance = random.Random(2)
    for _ in range(40):
        assert not _opens(tmp_path / "x", data[: chance.randrange(len(data))])
    for _ in range(40):
        flipped = bytearray(data)
        for _ in range(20):
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        _opens(tmp_path / "x", bytes(flipped))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=200), kind=st.sampled_from(["plain", "zip", "nested", "legacy"]))
def test_random_programs(tmp_path_factory: pytest.TempPathFactory, body: bytes, kind: str) -> None:
    wrap = {
        "plain": bytes,
        "zip": hostile.in_zip,
        "nested": hostile.in_storage,
        "legacy": hostile.legacy,
    }[kind]
    _opens(tmp_path_factory.getbasetemp() / "program", wrap(b"\x80\x04" + body + b"."))


_OPCODES = st.lists(
    st.one_of(
        st.sampled_from(
            [bytes([code]) for code in b"N]})(0123tlaesudbRoQ."]
            + [bytes([code]) for code in (0x81, 0x85, 0x86, 0x87, 0x88, 0x8F, 0x90, 0x91, 0x92)]
            + [b"\x93", b"\x94", b"K\x02", b"q\x00", b"h\x00", b"q\x01", b"h\x01", b"C\x04abcd"]
        ),
        st.sampled_from(
            [
                "collections OrderedDict",
                "torch._utils _rebuild_tensor_v2",
                "builtins set",
                "torch._utils _rebuild_parameter",
                "torch FloatStorage",
                "numpy dtype",
                "torch.storage _load_from_bytes",
                "numpy.core.multiarray scalar",
                "torch Size",
                "numpy.core.multiarray _reconstruct",
                "training.networks Net",
                "torch float32",
                "torch_utils.persistence _reconstruct_persistent_obj",
                "copyreg _reconstructor",
                "copyreg __newobj__",
                "builtins object",
                "torch device",
                "_codecs encode",
                "torch._tensor _rebuild_from_type_v2",
                "collections defaultdict",
                "omegaconf.dictconfig DictConfig",
                "numpy ndarray",
                "builtins bytearray",
            ]
        ).map(lambda names: b"c" + names.replace(" ", "\n").encode() + b"\n"),
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=_OPCODES)
def test_random_programs_of_known_parts(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    """Allowed names and opcodes in senseless order reach every constructor of ours."""
    _opens(tmp_path_factory.getbasetemp() / "program", b"\x80\x04" + b"".join(parts) + b".")
