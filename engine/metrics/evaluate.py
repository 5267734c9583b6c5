"""All scores of a model, as plain data: what ``maquette evaluate`` prints and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from engine.benchmark import machine
from engine.errors import UserError
from engine.generators.base import NEVER, CancelToken, Generator
from engine.metrics.depth import depth_consistency, sample_step, side_yaw
from engine.metrics.distances import FEWEST, set_distances
from engine.metrics.features import features_of
from engine.metrics.sampling import cameras_for, drawn_pictures, latent, real_pictures
from engine.metrics.speed import measure_speed
from engine.metrics.views import view_consistency
from engine.training.bundled.kid import FeatureNetwork
from engine.training.bundled.scores import Stat
from engine.training.data.cameras import angles_of
from engine.training.data.training_data import TrainingData

Score = Literal["distances", "depth", "views", "speed"]
SCORES: tuple[Score, ...] = get_args(Score)

#: (what is done, done, of how many).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class EvaluationPlan:
    """What to measure.

    Attributes:
        scores: which. ``distances`` (FID and KID) needs data and a feature network.
        samples: pictures drawn, and at most as many real ones, for the distances.
        identities: for depth and views. psi: truncation of all of them.
        seed: of people, poses and subsets.
        repeats: pictures that are timed.
    """

    scores: tuple[Score, ...] = SCORES
    samples: int = 1000
    identities: int = 25
    psi: float = 1.0
    seed: int = 0
    repeats: int = 5

    def __post_init__(self) -> None:
        if not self.scores:
            raise UserError(f"There is nothing to measure; the scores are {', '.join(SCORES)}.")
        if unknown := sorted(set(self.scores) - set(SCORES)):
            raise UserError(
                f"There is no score {unknown[0]!r}; the scores are {', '.join(SCORES)}."
            )
        if self.samples < FEWEST:
            raise UserError(f"The distances need at least {FEWEST} samples, not {self.samples}.")
        if self.identities < 1 or self.repeats < 1:
            raise UserError("At least one identity and one repeat are needed.")


def evaluate(
    generator: Generator,
    plan: EvaluationPlan,
    data: TrainingData | None = None,
    network: FeatureNetwork | None = None,
    progress: Progress | None = None,
    cancel: CancelToken = NEVER,
) -> dict[str, Any]:
    """Measure a model.

    Args:
        data: real pictures at the model's resolution; also says from where to look.

    Returns:
        plain data with a part for each score; no score is ``nan`` (``None`` stands for it).

    Raises:
        UserError: distances are asked for without data or network, or there are too few pictures.
        Cancelled: ``cancel`` was set.
    """
    say = progress or (lambda what, done, total: None)
    facts: dict[str, Any] = {"machine": machine(), "psi": plan.psi, "seed": plan.seed}
    labels = None
    if data is not None:
        facts["data"] = data.summary.to_json()
        cameras = data.all_cameras()
        labels = None if cameras is None else cameras.numpy()
    if "distances" in plan.scores:
        if data is None or network is None:
            raise UserError("FID and KID need real pictures; name them with --data.")
        facts["distances"] = _distances(generator, plan, data, labels, network, say, cancel)
    if "depth" in plan.scores:
        facts["depth"] = _depth(generator, plan, labels, say, cancel)
    if "views" in plan.scores:
        facts["views"] = _views(generator, plan, say, cancel)
    if "speed" in plan.scores:
        say("speed", 0, 1)
        speed = measure_speed(generator, plan.repeats)
        facts["speed"] = {**vars(speed), "device": str(generator.device)}
    return facts


def _distances(
    generator: Generator,
    plan: EvaluationPlan,
    data: TrainingData,
    labels: np.ndarray[Any, np.dtype[np.float32]] | None,
    network: FeatureNetwork,
    say: Progress,
    cancel: CancelToken,
) -> dict[str, Any]:
    check_count(data)
    count = min(plan.samples, len(data))
    real = _told(
        real_pictures(data, count, plan.seed), "real pictures", count, say, network, cancel
    )
    cameras = cameras_for(generator.capabilities, labels, plan.samples, plan.seed)
    pictures = drawn_pictures(generator, cameras, plan.seed, plan.psi, cancel)
    drawn = _told(pictures, "samples", plan.samples, say, network, cancel)
    found = set_distances(drawn, real, plan.seed)
    return {
        "fid": found.fid,
        "kid": vars(found.kid),
        "kid_of_real_halves": None if found.floor is None else vars(found.floor),
        "drawn": found.drawn,
        "real": found.real,
        "features": {"name": network.name, "sha256": network.sha256, "numbers": real.shape[1]},
        "poses": "the data's cameras" if labels is not None else "the model's ranges of angles",
    }


def check_count(data: TrainingData) -> None:
    """Make sure that a data set has enough pictures for FID and KID.

    Raises:
        UserError: it has not.
    """
    if len(data) < FEWEST:
        has = "1 picture" if len(data) == 1 else f"{len(data)} pictures"
        raise UserError(
            f"{data.path} has {has}; FID and KID need at least {FEWEST}: choose a larger set."
        )


def _told(
    pictures: Any,
    what: str,
    count: int,
    say: Progress,
    network: FeatureNetwork,
    cancel: CancelToken,
) -> Tensor:
    def counted() -> Any:
        for number, picture in enumerate(pictures):
            cancel.check()
            say(what, number, count)
            yield picture

    return features_of(network, counted())


def _people(
    generator: Generator, plan: EvaluationPlan, what: str, say: Progress, cancel: CancelToken
) -> Any:
    for number in range(plan.identities):
        cancel.check()
        say(what, number, plan.identities)
        with torch.inference_mode():
            yield generator.map(latent(generator.capabilities, plan.seed, number), plan.psi)


def _depth(
    generator: Generator,
    plan: EvaluationPlan,
    labels: np.ndarray[Any, np.dtype[np.float32]] | None,
    say: Progress,
    cancel: CancelToken,
) -> dict[str, Any]:
    deviation = None
    if labels is not None:
        # The one of the normal distribution with the same median of |yaw|: a few views from
        # behind are not to make the side view one from behind.
        yaws = [angles_of(label)[0] for label in labels]
        deviation = float(np.median(np.abs(yaws))) / 0.6744897501960817
    yaw = side_yaw(generator.capabilities, deviation)
    values = [
        depth_consistency(generator, w, yaw)
        for w in _people(generator, plan, "depths", say, cancel)
    ]
    return {
        "chamfer": _stat(values),
        "side_yaw": yaw,
        "step": sample_step(generator.capabilities),
    }


def _views(
    generator: Generator, plan: EvaluationPlan, say: Progress, cancel: CancelToken
) -> dict[str, Any]:
    pairs = [view_consistency(generator, w) for w in _people(generator, plan, "views", say, cancel)]
    return {
        "error": _stat([error for error, _ in pairs]),
        "share": _stat([share for _, share in pairs]),
    }


def _stat(values: Sequence[float]) -> dict[str, Any]:
    """Mean and percentiles as JSON can hold them."""
    stat = Stat.of(list(values))
    plain = {name: (None if np.isnan(value) else value) for name, value in vars(stat).items()}
    return {**plain, "of": len(values)}
