"""Encoders by name: weights that other programs left on this machine, found without a network."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from app.cli.main import main
from app.settings import load_settings
from engine.editing.encoders import open_encoder
from engine.errors import UserError
from engine.text.encoder import load
from engine.text.library import open_clip
from engine.text.spec import find_spec
from tests.text.conftest import TINY, tiny_weights

PREPARED = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
HUB = "models--maker--tiny-clip/snapshots"


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """open_clip knows a network of a few numbers; every cache is below the test's own folder, and
    whoever calls the network is told off."""
    library = open_clip()
    known = {
        "one": {**PREPARED, "hf_hub": "maker/tiny-clip/", "url": ""},
        "two": {**PREPARED, "hf_hub": "", "url": "https://example.org/a/tiny-two.pt"},
        "quick": {**PREPARED, "hf_hub": "maker/quick/tiny.bin", "url": "", "quick_gelu": True},
    }
    monkeypatch.setitem(library.pretrained._PRETRAINED, "tiny-clip", known)
    monkeypatch.setitem(library.factory._MODEL_CONFIGS, "tiny-clip", TINY)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))

    def never(*_: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", never)
    monkeypatch.setattr(socket, "getaddrinfo", never)
    return tmp_path / ".cache"


def hub(caches: Path, name: str = f"{HUB}/aa/open_clip_model.safetensors") -> Path:
    """Weights as the Hugging Face hub keeps them: a link to a blob."""
    path = caches / "huggingface" / "hub" / name
    path.parent.mkdir(parents=True)
    blob = path.parents[2] / "blobs" / f"of-{path.parent.name}"
    blob.parent.mkdir(exist_ok=True)
    save_file(tiny_weights(), blob)
    path.symlink_to(Path("../../blobs") / blob.name)
    return path


def single(folder: Path, weights: dict[str, torch.Tensor] | None = None) -> Path:
    """Weights in a file of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(weights or tiny_weights(), folder / "tiny-two.pt")
    return folder / "tiny-two.pt"


def test_weights_of_the_hub_are_found_by_both_names(caches: Path) -> None:
    path = hub(caches)
    for name in ("tiny-clip", "tiny-clip/one"):
        spec = find_spec(name)
        assert spec.weights == path and spec.name == "tiny-clip/one"
    encoder = load("tiny-clip")
    expected = tiny_weights()
    assert all(torch.equal(v, expected[k]) for k, v in encoder.network.state_dict().items())
    assert encoder.mean.flatten().tolist() == [0.5] * 3
    assert open_encoder("tiny-clip").encoder.name == "tiny-clip/one"


def test_the_hubs_main_version_goes_first(caches: Path) -> None:
    hub(caches)
    newer = hub(caches, f"{HUB}/bb/open_clip_model.safetensors")
    refs = newer.parents[2] / "refs"
    refs.mkdir()
    for version in ("aa", "bb"):
        (refs / "main").write_text(version + "\n")
        assert find_spec("tiny-clip").weights.parent.name == version
    # What "main" names was not fetched whole: the other version serves.
    newer.unlink()
    assert find_spec("tiny-clip").weights.parent.name == "aa"


@pytest.mark.parametrize("place", ["clip", "torch/hub/checkpoints"])
def test_single_files_of_open_clip_and_torch_are_found(caches: Path, place: str) -> None:
    path = single(caches / place)
    assert find_spec("tiny-clip/two").weights == path
    assert load("tiny-clip/two").name == "tiny-clip/two"


def test_the_caches_may_lie_elsewhere(
    caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = single(tmp_path / "torch" / "hub" / "checkpoints")
    with pytest.raises(UserError):
        find_spec("tiny-clip/two")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert find_spec("tiny-clip/two").weights == path
    inside = hub(caches)
    inside.parents[4].rename(tmp_path / "faces")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "faces"))
    assert find_spec("tiny-clip/one").weights.is_file()


def test_the_activation_is_that_of_the_weights(caches: Path) -> None:
    hub(caches, "models--maker--quick/snapshots/aa/tiny.safetensors")
    hub(caches)
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    plain, quick = (load(f"tiny-clip/{n}").encode_image(picture) for n in ("one", "quick"))
    assert find_spec("tiny-clip/quick").model["quick_gelu"] and not torch.equal(plain, quick)


def test_several_weights_are_not_guessed_among(caches: Path) -> None:
    hub(caches)
    single(caches / "clip")
    with pytest.raises(UserError, match=r"Several weights of tiny-clip .* tiny-clip/one"):
        find_spec("tiny-clip")
    assert find_spec("tiny-clip/two").weights.name == "tiny-two.pt"


def test_missing_weights_say_where_was_looked(caches: Path) -> None:
    (caches / "huggingface/hub" / HUB / "aa").mkdir(parents=True)
    for name in ("tiny-clip", "tiny-clip/one"):
        with pytest.raises(UserError) as told:
            find_spec(name)
        assert f"no CLIP weights of {name} on this machine" in str(told.value)
        for place in ("huggingface/hub", "clip", "torch/hub/checkpoints"):
            assert str(caches / place) in str(told.value)
    with pytest.raises(UserError, match="knows no weights 'three' of tiny-clip; it knows one, two"):
        find_spec("tiny-clip/three")
    with pytest.raises(UserError, match=r"There are no CLIP weights at nowhere; .* a name of"):
        find_spec("nowhere")


def test_wrong_weights_are_told_in_a_sentence(caches: Path) -> None:
    weights = tiny_weights()
    weights.pop("visual.conv1.weight")
    path = single(caches / "clip", weights)
    with pytest.raises(UserError, match="do not fit tiny-clip/two") as told:
        load("tiny-clip")
    assert str(path) in str(told.value)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"tiny-two\.pt"):
        load("tiny-clip")


def test_weights_that_would_execute_something_are_refused(caches: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (caches / "touched",))

    single(caches / "clip", {"a": Evil()})  # type: ignore[dict-item]
    with pytest.raises(UserError):
        load("tiny-clip")
    assert not (caches / "touched").exists()


def test_openais_spelling_and_the_command_that_keeps_a_name(caches: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no CLIP weights of ViT-B-32 on this machine"):
        find_spec("ViT-B/32")
    hub(caches)
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    assert main(["describe", str(tmp_path / "a.png"), "--encoder", "tiny-clip", "--keep"]) == 0
    assert load_settings().settings.text_encoder == "tiny-clip"
