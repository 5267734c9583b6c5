"""Scores of a generator on heads that it was never trained on: it is told their z and cameras.

Pictures are compared at the truth's side and at half of it. A model's pictures are brought there
by the mean of pixels, or by bilinear enlargement where they are smaller, so that models of
different sizes can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch import Tensor

from engine.camera import Camera
from engine.errors import UserError
from engine.frame import Frame
from engine.generators.base import Generator
from engine.training.bundled.losses import (
    depth_error,
    mask_iou,
    psnr,
    region_weight,
    shrunk,
    shrunk_depth,
)
from engine.training.bundled.pool import HeadPool, Patch
from engine.training.heads.mesh import Label
from engine.training.heads.world import UNIT_DM

#: Height of an average head in world units (2.15 decimetres).
HEAD_HEIGHT = 2.15 / UNIT_DM

#: Small parts that a face is known by.
EYE_LABELS = (int(Label.EYE), int(Label.BROW), int(Label.GLASSES))
MOUTH_LABELS = (int(Label.MOUTH), int(Label.LIPS))
FINE_LABELS = EYE_LABELS + MOUTH_LABELS

#: Names of the regions whose sharpness is told, and their labels.
REGIONS = {"": FINE_LABELS, "_eyes": EYE_LABELS, "_mouth": MOUTH_LABELS}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Stat:
    """A score over many heads.

    Attributes:
        mean, low, high: the mean, the 5th and the 95th percentile.
        count: of the heads that it could be measured on.
    """

    mean: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: list[float], mean: float | None = None) -> Stat:
        """Of one value a head, those that are not numbers left out; ``mean`` overrides theirs."""
        known = np.array([value for value in values if np.isfinite(value)])
        if not len(known):
            return cls(float("nan"), float("nan"), float("nan"), 0)
        low, high = np.percentile(known, (5, 95))
        return cls(
            float(known.mean() if mean is None else mean), float(low), float(high), len(known)
        )


@dataclass(frozen=True)
class Scores:
    """What :func:`measure` finds.

    Attributes:
        stats: by name. ``psnr``, ``psnr_half``, ``psnr_raw``: decibels over the backdrop at the
            truth's side, at half of it, and of the volume rendering at its own side. ``ssim``: at
            the truth's side. ``iou``: of the masks, at the raw side. ``depth``: median absolute
            error where both are solid, in heights of an average head. ``sharpness``,
            ``sharpness_half``: gradient energy around eyes, brows, glasses and mouth as a share
            of the truth's, all heads together, at both sides; ``sharpness_eyes`` and
            ``sharpness_mouth``: the parts.
        seconds: that a whole picture took, the median.
    """

    stats: dict[str, Stat]
    seconds: float


def at_side(images: Tensor, side: int) -> Tensor:
    """``[N, C, H, H]`` -> ``[N, C, side, side]``: area means, or bilinear enlargement."""
    if images.shape[-1] > side:
        return F.interpolate(images, (side, side), mode="area")
    if images.shape[-1] < side:
        return F.interpolate(images, (side, side), mode="bilinear", align_corners=False)
    return images


def ssim(predicted: Tensor, truth: Tensor) -> float:
    """Structural similarity of two pictures ``[3, H, W]`` in ``[-1, 1]``, as its authors compute
    it (Wang et al. 2004: Gaussian window of 1.5 pixels), the mean over the colours."""
    a, b = (((x.clamp(-1, 1) + 1) / 2).double().cpu().numpy() for x in (predicted, truth))
    return float(
        structural_similarity(
            a,
            b,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def edge_energy(image: Tensor, region: Tensor) -> Tensor:
    """Sum of squared finite differences of ``[1, C, H, W]`` inside ``region`` ``[1, 1, H, W]``."""
    across = image.diff(dim=-1)[..., :-1, :].square()
    along = image.diff(dim=-2)[..., :-1].square()
    return ((across + along) * region[..., :-1, :-1]).sum()


def check_fit(generator: Generator, pool: HeadPool) -> None:
    """Whether a model can be judged on these heads.

    Raises:
        UserError: latents of another length, or views that are no multiple of its raw side.
    """
    known, patch = generator.capabilities, pool.whole(np.array([0]), 0)
    if patch.z.shape[1] != known.z_dim:
        raise UserError(
            f"The heads in {pool.folder} have latents of {patch.z.shape[1]} numbers, the model takes "
            f"{known.z_dim}; render heads with the code that it was trained with."
        )
    if pool.resolution % known.neural_resolution:
        raise UserError(
            f"The views in {pool.folder} have {pool.resolution} pixels, no multiple of the model's "
            f"{known.neural_resolution}; render them at 256."
        )


def draw(generator: Generator, z: Tensor, cam2world: Tensor) -> tuple[Frame, float]:
    """One picture as the window would draw it, and the seconds it took.

    Args:
        z: ``[z_dim]``. cam2world: ``[4, 4]``, looked through with the model's own lens, which must
            show what the heads' does.
    """
    started = time.perf_counter()
    camera = Camera(cam2world.double().cpu().numpy(), generator.capabilities.default_pose.fov_y)
    frame = generator.render(generator.map(z), camera)
    if frame.rgb.is_cuda:
        torch.cuda.synchronize(frame.rgb.device)
    return frame, time.perf_counter() - started


def picture(frame: Frame, raw: bool = False) -> Tensor:
    """``[1, 3, H, W]`` in ``[-1, 1]``."""
    return (frame.raw if raw else frame.rgb).permute(2, 0, 1)[None] * 2.0 - 1.0


@torch.inference_mode()
def measure(
    generator: Generator, pool: HeadPool, count: int, view: int = 0, say: Progress | None = None
) -> Scores:
    """Scores of the first ``count`` heads of ``pool``, one view of each.

    Raises:
        UserError: see :func:`check_fit`.
    """
    check_fit(generator, pool)
    rows: dict[str, list[float]] = {}
    seconds = []
    for head in range(count):
        patch = pool.whole(np.array([head]), view)
        frame, took = draw(generator, patch.z[0], patch.cam2world[0])
        seconds.append(took)
        for name, value in _of_head(frame, patch).items():
            rows.setdefault(name, []).append(value)
        if say and (head + 1) % 50 == 0:
            say(f"{head + 1} of {count} heads are measured.")
    stats = {name: Stat.of(values) for name, values in rows.items() if "energy" not in name}
    for name in [f"sharpness{region}" for region in REGIONS] + ["sharpness_half"]:
        ours, theirs = (np.array(rows[f"{name} {whose}"]) for whose in ("energy", "true energy"))
        each = [float(a / b) if b > 0 else float("nan") for a, b in zip(ours, theirs, strict=True)]
        total = float(ours.sum() / theirs.sum()) if theirs.sum() > 0 else float("nan")
        stats[name] = Stat.of(each, total)
    return Scores(stats, float(np.median(seconds)))


def _of_head(frame: Frame, patch: Patch) -> dict[str, float]:
    """The scores of one head; energies are summed up over all heads before they are compared."""
    side = patch.rgb.shape[-1]
    times = side // frame.raw.shape[0]
    ours, raw, half = at_side(picture(frame), side), picture(frame, raw=True), side // 2
    ours_half = at_side(picture(frame), half)
    alpha, depth = frame.alpha[None, None], frame.depth[None, None]
    truth_depth = shrunk_depth(patch.depth, times)
    solid = bool(((truth_depth > 0) & (alpha > 0.5)).any())
    error = depth_error(depth, truth_depth, alpha).item() / HEAD_HEIGHT
    found = {
        "psnr": psnr(ours, patch.rgb).item(),
        "psnr_half": psnr(ours_half, at_side(patch.rgb, half)).item(),
        "psnr_raw": psnr(raw, shrunk(patch.rgb, times)).item(),
        "ssim": ssim(ours[0], patch.rgb[0]),
        "iou": mask_iou(alpha, shrunk(patch.alpha, times)).item(),
        "depth": error if solid else float("nan"),
    }
    pairs = {
        f"sharpness{name}": (ours, patch.rgb, patch.segmentation, labels)
        for name, labels in REGIONS.items()
    }
    smaller = patch.segmentation[..., ::2, ::2]
    pairs["sharpness_half"] = (ours_half, at_side(patch.rgb, half), smaller, FINE_LABELS)
    for name, (drawn, truth, segmentation, labels) in pairs.items():
        region = region_weight(segmentation, labels, 2.0) - 1.0
        found[f"{name} energy"] = edge_energy(drawn, region).item()
        found[f"{name} true energy"] = edge_energy(truth, region).item()
    return found
