"""Unit vectors for texts and pictures, near each other where a text describes a picture.

The bundled encoder is small and knows rendered heads only (see ``assets/text_encoder``). Any
CLIP model of open_clip's with its own tokenizer can take its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.assets import asset
from engine.errors import UserError
from engine.text import spec as specs
from engine.text.library import open_clip
from engine.text.weights import as_float, read_weights

BUNDLED = "text_encoder"
#: What open_clip's tokenizer can do to a text first.
CLEANINGS = ("lower", "canonicalize", "whitespace")


class TextImageEncoder(nn.Module):
    """A CLIP network with its tokenizer and its way of preparing pictures. Frozen.

    Args:
        network: open_clip's ``CLIP`` or ``CustomTextCLIP``.
        name: for people.
        mean, std: of the pictures' channels, as in training.
        clean: what the tokenizer does to a text first (``"lower"``, or ``"canonicalize"``, which
            also drops punctuation).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: Any,
        name: str,
        mean: Sequence[float],
        std: Sequence[float],
        clean: str = "lower",
    ) -> None:
        super().__init__()
        self.network: Any = network
        self.name = name
        size = network.visual.image_size
        self.size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)).view(1, 3, 1, 1), persistent=False)
        self._tokenizer = open_clip().SimpleTokenizer(
            context_length=network.context_length, clean=clean
        )
        self.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.mean.device

    @property
    def logit_scale(self) -> float:
        """By what cosines are multiplied before a softmax over texts."""
        return float(self.network.logit_scale.exp())

    @property
    def dimension(self) -> int:
        """D, the length of the vectors."""
        return int(self.encode_text(["a"]).shape[1])

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """``[N, context]`` tokens; what is too long is cut off."""
        tokens: Tensor = self._tokenizer(list(texts))
        return tokens.to(self.device)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """``[N, D]`` unit vectors of texts.

        Raises:
            UserError: there is no text, or one is empty.
        """
        if not texts or not all(text.strip() for text in texts):
            raise UserError("A text to compare with is empty; write what should be seen.")
        return F.normalize(self.network.encode_text(self.tokenize(texts)), dim=-1)

    def encode_image(self, pictures: Tensor) -> Tensor:
        """``[N, D]`` unit vectors of pictures ``[N, 3, H, W]`` in [0, 1], of any size.

        The middle square is taken and resized. Differentiable with respect to the pictures.
        """
        side = min(pictures.shape[-2:])
        top, left = ((length - side) // 2 for length in pictures.shape[-2:])
        square = pictures[..., top : top + side, left : left + side]
        if tuple(square.shape[-2:]) != self.size:
            square = F.interpolate(square, self.size, mode="bicubic", antialias=True)
        square = (square.clamp(0.0, 1.0) - self.mean) / self.std
        return F.normalize(self.network.encode_image(square), dim=-1)

    def similarity(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """``[N, T]`` cosines between pictures ``[N, 3, H, W]`` in [0, 1] and texts."""
        return self.encode_image(pictures) @ self.encode_text(texts).T


def load(source: str | Path | None = None, device: str | torch.device = "cpu") -> TextImageEncoder:
    """The bundled encoder, or the user's own weights, in 32-bit floats.

    Args:
        source: ``None`` or empty: the bundled one. Else a folder as open_clip saves it (JSON and
            weights), a file of weights, ``NAME=FILE`` with the name of open_clip's
            configuration, or a name alone whose weights are on this machine.
        device: where to compute.

    Raises:
        UserError: the weights are missing, damaged, unsafe, or of an unknown network.
    """
    text = str(source) if source is not None else ""
    spec = specs.find_spec(text or str(asset(BUNDLED)))
    weights = as_float(read_weights(spec.weights))
    name = spec.name
    config = spec.model
    if not config:
        name = specs.the_one(specs.fitting(weights), spec.weights)
        config = specs.model_named(name)
    network = specs.build(config, name)
    _fill(network, weights, spec.weights, name)
    library = open_clip()
    prepared = {"mean": library.OPENAI_DATASET_MEAN, "std": library.OPENAI_DATASET_STD}
    prepared.update({key: spec.preprocess[key] for key in prepared if spec.preprocess.get(key)})
    if not all(_is_colour(value) for value in prepared.values()):
        raise UserError(f"The mean or std in the configuration of {name} is not three numbers.")
    clean = (config["text_cfg"].get("tokenizer_kwargs") or {}).get("clean", "lower")
    if clean not in CLEANINGS:
        raise UserError(f"The configuration of {name} names an unknown cleaning of texts.")
    return TextImageEncoder(network, name, prepared["mean"], prepared["std"], clean).to(device)


def _is_colour(value: Any) -> bool:
    numbers = isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value)
    return numbers and len(value) == 3


def _fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Put the weights into the network; all of them must be there and fit."""
    own = network.state_dict()
    given = dict(weights)
    for scale in ("logit_scale", "logit_bias"):
        if scale in given and scale in own and given[scale].numel() == own[scale].numel():
            given[scale] = given[scale].reshape(own[scale].shape)
    wrong = [
        key for key, value in own.items() if key not in given or given[key].shape != value.shape
    ]
    wrong += [key for key in given if key not in own]
    if wrong:
        raise UserError(
            f"The weights in {path} do not fit {name} ({len(wrong)} tensors differ, {wrong[0]} "
            f"first); {specs.HOW_TO_NAME}."
        )
    network.load_state_dict(given)
