"""The file of the open model is deleted or replaced: nothing else is drawn in its name."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from app.client import EngineClient
from app.exporter import Exporter
from app.messages import EngineRestored, ModelFailed, ModelLoaded
from app.opening import reference
from app.wire import Opened, OpenModel, ProcessOptions
from engine.errors import UserError
from engine.generators.base import Generator
from engine.model_ref import ModelRef
from tests.app.fake import FakeGenerator
from tests.app.harness import OPENER

#: How often :func:`open_model` was called.
opened: list[str] = []


def open_model(path: str, _device: str) -> Generator:
    """Like the registry: a file that is gone is a sentence."""
    if not Path(path).exists():
        raise UserError(f"There is no file at {path}; choose another one.")
    opened.append(path)
    return FakeGenerator({})


@pytest.fixture
def model(tmp_path: Path) -> ModelRef:
    opened.clear()
    path = tmp_path / "face.bin"
    path.write_bytes(b"a face")
    return reference(str(path))


@pytest.fixture
def exporter() -> Exporter:
    return Exporter(None, ProcessOptions("cpu", f"{__name__}:open_model"))  # type: ignore[arg-type]


def test_the_reference_is_the_files(model: ModelRef) -> None:
    assert model.sha256 == hashlib.sha256(b"a face").hexdigest()


def test_a_model_that_is_kept_outlives_its_file(exporter: Exporter, model: ModelRef) -> None:
    first = exporter._open(model)
    Path(model.path).unlink()
    assert exporter._open(model) is first and len(opened) == 1
    Path(model.path).write_bytes(b"another face")
    assert exporter._open(model) is first and len(opened) == 1
    # Opened anew in the window, it is opened anew here.
    other = reference(model.path)
    assert exporter._open(other) is not first and len(opened) == 2


def test_another_file_in_its_place_is_not_exported(exporter: Exporter, model: ModelRef) -> None:
    Path(model.path).write_bytes(b"another face")
    with pytest.raises(UserError, match=r"was replaced since it was opened.*Open it again"):
        exporter._open(model)
    # It was not kept either.
    with pytest.raises(UserError, match="was replaced"):
        exporter._open(model)
    assert exporter._open(reference(model.path)).generator is not None


def test_a_file_that_is_gone_is_a_sentence(exporter: Exporter, model: ModelRef) -> None:
    Path(model.path).unlink()
    with pytest.raises(UserError, match="There is no file"):
        exporter._open(model)


def test_a_recipe_that_knows_no_hash_takes_what_is_there(
    exporter: Exporter, model: ModelRef
) -> None:
    assert exporter._open(replace(model, sha256="")).generator is not None


def loaded(ref: ModelRef) -> ModelLoaded:
    return ModelLoaded(ref, FakeGenerator({}).capabilities, "cpu", 0.1)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_new_engine_tells_that_it_found_another_file(model: ModelRef, is_replaced: bool) -> None:
    """After the engine's death the model is opened by its path: the same one is no news."""
    client = EngineClient("cpu", opener=OPENER)
    client._opening = OpenModel(1, model.path)
    client._take(Opened(1, loaded(model)))
    assert client._events == [loaded(model)]
    client._events.clear()
    client._restoring, client._opening = True, OpenModel(2, model.path)
    if is_replaced:
        Path(model.path).write_bytes(b"another face")
    back = loaded(reference(model.path))
    client._take(Opened(2, back))
    if not is_replaced:
        assert client._events == [EngineRestored()]
        return
    told, restored = client._events
    assert told == back and isinstance(restored, EngineRestored)
    assert restored.severity == "warning" and "was replaced meanwhile" in restored.message
    client.close()


def test_a_new_engine_tells_that_the_model_is_gone(model: ModelRef) -> None:
    client = EngineClient("cpu", opener=OPENER)
    client._opening = OpenModel(1, model.path)
    client._take(Opened(1, loaded(model)))
    client._events.clear()
    client._restoring, client._opening = True, OpenModel(2, model.path)
    client._take(Opened(2, ModelFailed(model.path, "There is no file.")))
    (told,) = client._events
    assert isinstance(told, ModelFailed) and told.path == model.path
    assert told.message == (
        "The engine is back without its model; your work is as it was. There is no file."
    )
    assert client.model is None
    # Asked for by a person it is as it was.
    client._opening = OpenModel(3, model.path)
    client._take(Opened(3, ModelFailed(model.path, "There is no file.")))
    assert client._events[-1] == ModelFailed(model.path, "There is no file.")
    client.close()
