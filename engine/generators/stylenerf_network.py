"""StyleNeRF's network: the authors' tensors, and what one identity makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.generators.stylegan2 import MappingNetwork
from engine.generators.stylenerf_config import StyleNeRFConfig
from engine.generators.stylenerf_field import BackgroundNeRF, HeadNeRF, PointNetwork
from engine.generators.stylenerf_upsampler import FoldedBlock, UpsamplerBlock

__all__ = ["Identity", "StyleNeRFNetwork"]


@dataclass(frozen=True, eq=False)
class Identity:
    """All that depends on w alone.

    Attributes:
        head: the field of the head.
        background: the field behind it, or ``None``.
        blocks: the upsampler.
    """

    head: PointNetwork
    background: PointNetwork | None
    blocks: tuple[FoldedBlock, ...]


class _Synthesis(nn.Module):
    """Both fields and the upsampler under the authors' names."""

    alpha: Tensor

    def __init__(self, config: StyleNeRFConfig) -> None:
        super().__init__()
        #: How far progressive training has come: 1 is the whole upsampler.
        self.register_buffer("alpha", torch.ones([]))
        self.fg_nerf = HeadNeRF(config)
        if config.background:
            self.bg_nerf = BackgroundNeRF(config)
        width = config.rgb_out_dim
        for side, channels, adapter in zip(
            config.block_resolutions, config.block_channels, config.adapter_channels, strict=True
        ):
            self.add_module(f"b{side}", UpsamplerBlock(config, width, channels, side, adapter))
            width = channels


class StyleNeRFNetwork(nn.Module):
    """StyleNeRF's generator as a module: random at first, ready to be loaded.

    Args:
        config: its options; every size follows from them.
    """

    def __init__(self, config: StyleNeRFConfig) -> None:
        super().__init__()
        self.config = config
        self.synthesis = _Synthesis(config)
        self.mapping = MappingNetwork(
            config.z_dim,
            config.c_dim,
            config.w_dim,
            config.style_ws,
            num_layers=config.mapping_layers,
            lr_multiplier=config.mapping_lr_multiplier,
            embed_features=config.embed_features or None,
        )

    def map(
        self, z: Tensor, label: Tensor | None = None, psi: float = 1.0, cutoff: int | None = None
    ) -> Tensor:
        """Latents to w.

        Args:
            z: ``[z_dim + z_dim_bg]``: the head's latent, then the background's.
            label: ``[c_dim]``, or ``None``.
            psi, cutoff: truncation of the styles. The background's latent stays as it is.

        Returns:
            ``[num_ws, row_width]``: a style a row, and the background's latent in the last.
        """
        config = self.config
        whole = z.to(self.mapping.w_avg)
        own, behind = whole[: config.z_dim], whole[config.z_dim :]
        labels = None if label is None else label[None]
        styles: Tensor = self.mapping(own[None], labels, psi, cutoff)[0]
        w = styles.new_zeros(config.num_ws, config.row_width)
        w[: config.style_ws, : config.w_dim] = styles
        if config.z_dim_bg:
            w[-1, : config.z_dim_bg] = behind
        return w

    def identity(self, w: Tensor, noise: bool = True) -> Identity:
        """Everything that ``w`` ``[num_ws, row_width]`` decides, with stored noise or without."""
        config = self.config
        styles = w[: config.style_ws, : config.w_dim]
        background = None
        if config.background:
            background = self.synthesis.bg_nerf.folded(w[-1, : config.z_dim_bg])
        blocks = []
        for index, side in enumerate(config.block_resolutions):
            block = self.synthesis.get_submodule(f"b{side}")
            assert isinstance(block, UpsamplerBlock)
            first = config.field_ws + 2 * index
            blocks.append(block.folded(styles[first : first + 3], noise))
        return Identity(
            self.synthesis.fg_nerf.folded(styles[: config.field_ws]), background, tuple(blocks)
        )
