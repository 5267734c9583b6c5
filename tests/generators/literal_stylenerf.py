"""StyleNeRF step by step in double precision, from its description and nothing else.

Everything happens in the order and the layout of the description: every sample has its features,
pictures are ``[C, H, W]``, samples ``[S, C, H, W]``; no weight is folded into another.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.stylenerf import StyleNeRFConfig


class Literal:
    """One model.

    Args:
        config: its options.
        state: its tensors by the authors' names.
    """

    def __init__(self, config: StyleNeRFConfig, state: dict[str, Tensor]) -> None:
        self.config = config
        self.t = {name: tensor.detach().double() for name, tensor in state.items()}

    # latents ------------------------------------------------------------------------------

    def _fc(self, x: Tensor, name: str, lr: float = 1.0) -> Tensor:
        weight, bias = self.t[f"{name}.weight"], self.t[f"{name}.bias"]
        return x @ (weight * lr / math.sqrt(weight.shape[1])).T + bias * lr

    def styles(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """``[style_ws, w_dim]``."""
        c = self.config
        x = z[: c.z_dim].double()
        x = x / torch.sqrt((x * x).mean() + 1e-8)
        for i in range(c.mapping_layers):
            x = _lrelu(self._fc(x, f"mapping.fc{i}", c.mapping_lr_multiplier))
        x = self.t["mapping.w_avg"] + psi * (x - self.t["mapping.w_avg"])
        return x.repeat(c.style_ws, 1)

    # fields -------------------------------------------------------------------------------

    def _modulated(self, x: Tensor, name: str, w: Tensor, demodulate: bool) -> Tensor:
        """``[S, I, H, W]`` by 1 x 1 weights."""
        weight = self.t[f"{name}.weight"]
        style = self._fc(w, f"{name}.affine")
        if not demodulate:
            style = style / math.sqrt(weight.shape[1])
        weight = weight * style[None, :, None, None]
        if demodulate:
            weight = weight / torch.sqrt((weight**2).sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        return F.conv2d(x, weight) + self.t[f"{name}.bias"][None, :, None, None]

    def head(self, points: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``[S, 3, H, W]`` points -> density ``[S, H, W]``, features, colours."""
        c = self.config
        x = _encoded(points / c.fg_downscale, c.fg_posenc)
        x = _lrelu(self._modulated(x, "synthesis.fg_nerf.fc_in", w[0], True))
        for i in range(c.fg_blocks):
            x = _lrelu(self._modulated(x, f"synthesis.fg_nerf.blocks.{i}", w[1 + i], True))
        sigma = self._modulated(x, "synthesis.fg_nerf.sigma_out", w[c.fg_blocks + 1], False)[:, 0]
        feat = self._modulated(x, "synthesis.fg_nerf.feat_out", w[c.fg_blocks + 2], False)
        rgb = self._to_rgb(feat, "fg_nerf")
        return sigma, _unit(feat) if c.fg_normalized_feat else feat, rgb

    def background(self, points: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``[S, 4, H, W]`` -> density, features, colours."""
        c = self.config
        x = _encoded(points / c.bg_downscale, c.bg_posenc)
        x = torch.cat([x, z[None, :, None, None].expand(x.shape[0], -1, *x.shape[2:])], dim=1)
        names = ["fc_in", *(f"blocks.{i}" for i in range(c.bg_blocks))]
        for name in names:
            x = F.relu(self._plain(x, f"synthesis.bg_nerf.{name}"))
        sigma = self._plain(x, "synthesis.bg_nerf.sigma_out")[:, 0]
        feat = self._plain(x, "synthesis.bg_nerf.feat_out")
        rgb = self._to_rgb(feat, "bg_nerf")
        return sigma, _unit(feat) if c.bg_normalized_feat else feat, rgb

    def _plain(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.t[f"{name}.weight"], self.t[f"{name}.bias"]
        return torch.einsum("oi,sihw->sohw", weight, x) + bias[None, :, None, None]

    def _to_rgb(self, feat: Tensor, part: str) -> Tensor:
        weight = self.t[f"synthesis.{part}.to_rgb.weight"]
        bias = self.t[f"synthesis.{part}.to_rgb.bias"]
        return F.conv2d(feat, weight / math.sqrt(feat.shape[1]), bias)

    # volume -------------------------------------------------------------------------------

    def rays(self, cam2world: Tensor, roll: float = 0.0) -> tuple[Tensor, Tensor]:
        """``[3]`` origin and ``[3, H, W]`` directions; ``roll`` turns the picture's plane."""
        c = self.config
        n = c.resolution_vol
        if c.ray_align_corner:
            line = torch.linspace(-1, 1, c.img_resolution, dtype=torch.float64)
            line = line[:: c.img_resolution // n]
        else:
            line = torch.linspace(-1 + 1 / n, 1 - 1 / n, n, dtype=torch.float64)
        y, x = torch.meshgrid(-line, line, indexing="ij")
        x, y = (
            math.cos(roll) * x - math.sin(roll) * y,
            math.sin(roll) * x + math.cos(roll) * y,
        )
        t = math.tan(math.radians(c.fov) / 2)
        local = torch.stack([x * t, y * t, -torch.ones_like(x)])
        return cam2world[:3, 3], torch.einsum("ij,jhw->ihw", cam2world[:3, :3], local)

    def volume(
        self,
        w: Tensor,
        z_bg: Tensor,
        cam2world: Tensor,
        bg_cam2world: Tensor | None = None,
        roll: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Features ``[F, H, W]`` and colours ``[3, H, W]``."""
        c, n = self.config, self.config.n_ray_samples
        o, d = self.rays(cam2world.double(), roll)
        size = d.shape[1:]

        def look(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            t = c.depth_near * (1 - u) + c.depth_far * u
            return self.head(o[None, :, None, None] + t[:, None] * d[None], w)

        u = torch.linspace(0, 1, n, dtype=torch.float64)[:, None, None].expand(n, *size)
        sigma, feat, rgb = look(u)
        weights, behind = self._weights(u, sigma, d)
        if c.hierarchical:
            new = torch.empty_like(u)
            for i in range(size[0]):
                for j in range(size[1]):
                    new[:, i, j] = _importance(u[:, i, j], weights[:, i, j], n)
            sigma2, feat2, rgb2 = look(new)
            u, order = torch.cat([u, new]).sort(dim=0)
            sigma = torch.cat([sigma, sigma2]).gather(0, order)
            deep = order[:, None]
            feat = torch.cat([feat, feat2]).gather(0, deep.expand(-1, feat.shape[1], -1, -1))
            rgb = torch.cat([rgb, rgb2]).gather(0, deep.expand(-1, 3, -1, -1))
            weights, behind = self._weights(u, sigma, d)
        features, colours = (weights[:, None] * feat).sum(0), (weights[:, None] * rgb).sum(0)
        if c.background:
            o, d = (o, d) if bg_cam2world is None else self.rays(bg_cam2world.double(), roll)
            far_features, far_colours = self._behind(o, d, z_bg.double())
            features, colours = features + behind * far_features, colours + behind * far_colours
        return features, colours

    def _weights(self, u: Tensor, sigma: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        c = self.config
        t = u if c.dists_normalized else c.depth_near * (1 - u) + c.depth_far * u
        light = torch.ones(u.shape[1:], dtype=torch.float64)
        weights = []
        for i in range(len(u)):
            if i + 1 < len(u):
                step = (t[i + 1] - t[i]) * d.norm(dim=0)
                alpha = 1 - torch.exp(-F.relu(sigma[i]) * step)
            else:
                alpha = torch.zeros_like(light) if c.background else torch.ones_like(light)
            weights.append(light * alpha)
            behind = light
            light = light * (1 - alpha + 1e-10)
        return torch.stack(weights), behind

    def _behind(self, o: Tensor, d: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        c = self.config
        d = d / d.norm(dim=0)
        along = -(o[:, None, None] * d).sum(0)
        middle = o[:, None, None] + along * d
        distance = middle.norm(dim=0)
        hit = middle + torch.sqrt(1 - distance**2) * d
        axis = torch.linalg.cross(o[:, None, None].expand_as(hit), hit, dim=0)
        axis = axis / axis.norm(dim=0)
        r = torch.linspace(-1, 0, c.n_bg_samples, dtype=torch.float64) * c.bg_start
        points = []
        for inverse in -r:
            angle = torch.asin(distance) - torch.asin(distance * inverse)
            turned = (
                hit * torch.cos(angle)
                + torch.linalg.cross(axis, hit, dim=0) * torch.sin(angle)
                + axis * (axis * hit).sum(0) * (1 - torch.cos(angle))
            )
            turned = turned / turned.norm(dim=0)
            points.append(torch.cat([turned, inverse.expand(1, *angle.shape)]))
        sigma, feat, rgb = self.background(torch.stack(points), z)
        light, features, colours = torch.ones_like(along), 0.0, 0.0
        for i in range(c.n_bg_samples):
            last = i + 1 == c.n_bg_samples
            alpha = 1 - torch.exp(-F.relu(sigma[i]) * (0.0 if last else r[i + 1] - r[i]))
            alpha = torch.ones_like(alpha) if last else alpha
            features, colours = features + light * alpha * feat[i], colours + light * alpha * rgb[i]
            light = light * (1 - alpha + 1e-10)
        assert isinstance(features, Tensor) and isinstance(colours, Tensor)
        return features, colours

    # upsampler ----------------------------------------------------------------------------

    def picture(self, features: Tensor, rgb: Tensor, w: Tensor, noise: bool = True) -> Tensor:
        """``[3, R, R]``."""
        x, img = features, rgb
        for i, side in enumerate(self.config.block_resolutions):
            x, img = self.block(x, img, w[self.config.fg_blocks + 3 + 2 * i :], side, noise)
        return img

    def block(
        self, x: Tensor, img: Tensor, w: Tensor, side: int, noise: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Features and picture so far -> both at twice the size."""
        name = f"synthesis.b{side}"
        x = self._layer(x, f"{name}.conv0", w[0], True, noise)
        x = self._layer(x, f"{name}.conv1", w[1], False, noise)
        weight = self.t[f"{name}.torgb.weight"]
        style = self._fc(w[2], f"{name}.torgb.affine") / math.sqrt(weight.shape[1])
        own = F.conv2d(x[None], weight * style[None, :, None, None])[0]
        own = self._clamped(own + self.t[f"{name}.torgb.bias"][:, None, None])
        if self.config.no_residual_img:
            return x, own
        spread = img.new_zeros(3, 2 * img.shape[1], 2 * img.shape[2])
        spread[:, ::2, ::2] = img
        return x, own + 4 * _fir(spread, self.t[f"{name}.resample_filter"])

    def _layer(self, x: Tensor, name: str, w: Tensor, up: bool, noise: bool) -> Tensor:
        c = self.config
        weight = self.t[f"{name}.weight"]
        if c.magnitude_ema:
            x = x / torch.sqrt(self.t[f"{name}.w_avg"])
        weight = weight * self._fc(w, f"{name}.affine")[None, :, None, None]
        weight = weight / torch.sqrt((weight**2).sum(dim=(1, 2, 3), keepdim=True) + 1e-8)
        if up:
            weight = weight.flip([2, 3])
        x = F.conv2d(x[None], weight, padding=c.kernel_size // 2)[0]
        if up:
            x = self._doubled(x, name)
        if c.use_noise and noise:
            x = x + self.t[f"{name}.noise_const"] * self.t[f"{name}.noise_strength"]
        return self._clamped(_lrelu(x + self.t[f"{name}.bias"][:, None, None]))

    def _adapter(self, x: Tensor, name: str, index: int) -> Tensor:
        weight = self.t[f"{name}.adapter.{index}.weight"]
        bias = self.t[f"{name}.adapter.{index}.bias"]
        return F.conv2d(x[None], weight / math.sqrt(x.shape[0]), bias)[0]

    def _doubled(self, x: Tensor, name: str) -> Tensor:
        nearest = x.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
        if self.config.upsample_mode == "pixelshuffle":
            small = self._adapter(_lrelu(self._adapter(x, name, 0)), name, 1)
            out = nearest + F.pixel_shuffle(small[None], 2)[0]
        else:
            padded = F.pad(x, (1, 1, 1, 1))
            left, right = padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]
            up, down = padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]
            halves = torch.empty_like(nearest)
            halves[:, ::2, ::2] = (left + up) / 2
            halves[:, ::2, 1::2] = (up + right) / 2
            halves[:, 1::2, ::2] = (left + down) / 2
            halves[:, 1::2, 1::2] = (right + down) / 2
            both = torch.cat([nearest, halves])
            out = nearest + self._adapter(_lrelu(self._adapter(both, name, 0)), name, 1)
        return _fir(out, self.t[f"{name}.resample_filter"])

    def _clamped(self, x: Tensor) -> Tensor:
        limit = self.config.conv_clamp
        return x if limit is None else x.clamp(-limit, limit)


def _lrelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def _encoded(p: Tensor, octaves: int) -> Tensor:
    parts = []
    for i in range(octaves):
        parts += [torch.sin(2.0**i * math.pi * p), torch.cos(2.0**i * math.pi * p)]
    return torch.cat(parts, dim=1)


def _unit(feat: Tensor) -> Tensor:
    """Over the last axis of ``[S, C, H, W]``: the picture's columns."""
    return feat / (1e-7 + torch.sqrt((feat**2).sum(dim=-1, keepdim=True)))


def _fir(x: Tensor, taps: Tensor) -> Tensor:
    """Every channel by the flipped filter, two zeros before and one behind."""
    padded = F.pad(x, (2, 1, 2, 1))
    out = torch.zeros_like(x)
    height, width = x.shape[1:]
    for a in range(4):
        for b in range(4):
            out += taps[3 - a, 3 - b] * padded[:, a : a + height, b : b + width]
    return out


def _importance(u: Tensor, weights: Tensor, count: int) -> Tensor:
    edges = (u[1:] + u[:-1]) / 2
    mass = weights[1:-1] + 1e-5
    cdf = torch.cat([torch.zeros(1, dtype=torch.float64), (mass / mass.sum()).cumsum(0)])
    out = torch.empty(count, dtype=torch.float64)
    for k in range(count):
        q = k / (count - 1)
        index = sum(bool(c < q) for c in cdf)
        below, above = max(index - 1, 0), min(index, len(mass))
        width = cdf[above] - cdf[below]
        width = width if width >= 1e-5 else torch.tensor(1.0)
        out[k] = edges[below] + (q - cdf[below]) / width * (edges[above] - edges[below])
    return out
