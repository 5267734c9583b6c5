"""The bundled encoder's network: a CLIP of open_clip's, 7 million numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.text.library import open_clip
from engine.text.spec import build
from engine.training.heads.captions import caption
from engine.training.heads.wording import BEFORE, HAIR, HAIR_COLOURS, KINDS, WITH, WORN

#: Pixels along a side: of eyes and lips there are few even so.
SIZE = 128
#: open_clip's description: a small residual network with attention pooling sees details of a
#: face after far fewer pictures than a transformer of patches; half of the size is the table
#: of 49,408 words.
MODEL: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": SIZE, "layers": [2, 2, 2, 1], "width": 24, "patch_size": None},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 4,
        "layers": 3,
    },
}
#: Channels of :meth:`CaptionModel.features`.
HALF_WAY, AT_THE_END = (times * int(MODEL["vision_cfg"]["width"]) for times in (8, 32))
PREPROCESS: dict[str, Any] = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "size": SIZE}


class CaptionModel(nn.Module):
    """The network in training: pictures in [0, 1] and texts to unit vectors.

    Args:
        config: open_clip's description.
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        super().__init__()
        network: Any = build(config or MODEL, "the bundled text encoder")
        self.network: Any = network
        self.tokenizer = open_clip().SimpleTokenizer(context_length=network.context_length)
        with torch.no_grad():
            # Words that no caption holds are and stay zero: they say nothing.
            known = torch.zeros(network.vocab_size, 1)
            known[self.words()] = 1.0
            network.token_embedding.weight.mul_(known)

    def words(self) -> list[int]:
        """Tokens that captions are made of, the marks of a text's ends and ``.`` included."""
        tables = [
            w for t in (BEFORE, WITH, WORN) for v in t.values() for ws in v.values() for w in ws
        ]
        tables += [w for t in (HAIR, HAIR_COLOURS) for ws in t.values() for w in ws]
        tables += [value for values in KINDS.values() for value in values]
        random = np.random.default_rng(0)
        person = {kind: values[0] for kind, values in KINDS.items()}
        for gender in KINDS["gender"]:
            tables += [caption({**person, "gender": gender}, random).text for _ in range(400)]
            tables += [caption({"gender": gender}, random).text for _ in range(200)]
        tables += [caption({"mouth": "open"}, random).text for _ in range(200)]
        cleaned = (text.replace("{}", " ").replace("{their}", "their") for text in tables)
        found = {token for text in cleaned for token in self.tokenizer.encode(text)}
        found |= set(self.tokenizer.all_special_ids)
        return sorted(found | set(self.tokenizer.encode(". , a an the and or is are with")))

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """``[N, context]``."""
        tokens: Tensor = self.tokenizer(list(texts))
        return tokens

    def encode_text(self, tokens: Tensor) -> Tensor:
        """``[N, D]`` unit vectors. The same as open_clip's ``encode_text``, which also computes
        the empty places after the longest text: no word can see those that come after it."""
        network = self.network
        length = int((tokens != 0).sum(1).max())
        tokens = tokens[:, :length]
        x = network.token_embedding(tokens) + network.positional_embedding[:length]
        x = network.transformer(x, attn_mask=network.attn_mask[:length, :length])
        x = network.ln_final(x)
        x = x[torch.arange(len(x)), tokens.argmax(-1)] @ network.text_projection
        return F.normalize(x, dim=-1)

    def encode_image(self, pictures: Tensor) -> Tensor:
        """``[N, D]`` unit vectors of ``[N, 3, S, S]`` in [0, 1]."""
        return self.pooled(self.features(pictures)[1])

    def features(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """What the picture tower sees before it is gathered in one vector.

        Returns:
            ``[N, HALF_WAY, S / 8, S / 8]`` and ``[N, AT_THE_END, S / 32, S / 32]``. The pictures
            may be of any size here.
        """
        mean, std = (
            torch.tensor(PREPROCESS[k], device=pictures.device).view(1, 3, 1, 1)
            for k in ("mean", "std")
        )
        visual = self.network.visual
        half_way: Tensor = visual.layer2(visual.layer1(visual.stem((pictures - mean) / std)))
        return half_way, visual.layer4(visual.layer3(half_way))

    def pooled(self, features: Tensor) -> Tensor:
        """``[N, D]`` unit vectors of the features at the end."""
        vectors: Tensor = self.network.visual.attnpool(features)
        return F.normalize(vectors.float(), dim=-1)

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied by, at most 100."""
        scale: Tensor = self.network.logit_scale.exp()
        return scale.clamp(max=100.0)
