"""log-odds and outcomes of the newest closed windows → the run's calibration, moved to where they say, or kept.

Nothing is trained again. Kept, moved in level, or in level and slope (Cox 1958; the steps of Steyerberg et al.
2004, the simplest first): chosen by cross-fitting over users, the simplest whose loss is within noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import logit

from tschurn.errors import TooShortError
from tschurn.models.calibration import FOLDS, Calibration, bounded
from tschurn.models.evaluation import (
    auc,
    average_precision,
    expected_calibration_error,
    interval,
    resampled,
    two_way_weights,
)
from tschurn.models.venn_abers import ERROR, REPLICATES, Intervals

CHOICES = ("keep", "level", "slope")  # the simplest first; slope: level and slope
LEAST = 20  # of each outcome: with fewer, chance alone moves a level by half a log-odds
LEAST_FOR_SLOPE = 100  # of each outcome (Collins, Ogundimu & Altman 2016)
_LEAST_ANCHORS = 3  # to tell how much anchors differ
_STEPS = 25
_CERTAIN = 1e-9  # probabilities nearer to 0 or 1 have no usable log-odds


@dataclass(frozen=True)
class Recalibration:
    """What came of it.

    choice: one of CHOICES. moved: slope and level, (1, 0) where kept. tried: of each choice that could be learned its
    cross-fitted log_loss, brier, ece and p_mean, "keep" being what the run said. rate: what happened.
    """

    calibration: Calibration
    intervals: Intervals
    choice: str
    moved: tuple[float, float]
    windows: int
    positives: int
    rate: float
    tried: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """→ plain values, for a file beside the scores."""
        return {
            "choice": self.choice, "slope": self.moved[0], "level": self.moved[1], "windows": self.windows,
            "positives": self.positives, "rate": self.rate, "tried": list(self.tried),
            "calibration": self.calibration.to_dict(), "intervals": self.intervals.to_dict(),
        }  # fmt: skip


def recalibrate(
    log_odds: np.ndarray, y: np.ndarray, user: np.ndarray, anchor: np.ndarray, calibration: Calibration,
    intervals: Intervals, seed: int,
) -> Recalibration:  # fmt: skip
    """The refit's log-odds, outcomes, users and anchors of closed windows that it never learned from, [n] each; the
    run's calibration and intervals → Recalibration.

    A step is taken only where it lowers the log loss of users left out by more than one standard error of that gain
    (windows of a user together; with three anchors or more, those of an anchor as well): for a right calibration
    that is a chance of some 3 % a step. The slope is learned from 100 of each outcome on. Raises
    TooShortError where there are fewer than 20 of either outcome, or fewer than 5 users.
    """
    y = np.asarray(y, dtype=np.float64)
    few, users = int(min(y.sum(), len(y) - y.sum())), len(np.unique(user))
    if few < LEAST or users < FOLDS:
        raise TooShortError(
            f"the newest closed windows hold {int(y.sum()):,} that came true and {int(len(y) - y.sum()):,} that did "
            f"not, of {users:,} users; to recalibrate, at least {LEAST} of each are needed: wait for more closed weeks"
        )
    t = _logit(calibration(log_odds))
    steps = CHOICES if few >= LEAST_FOR_SLOPE and np.ptp(t) > 0 else CHOICES[:2]
    p = _out_of_fold(t, y, user, steps, seed)
    losses = {step: -np.log(np.where(y == 1, q, 1 - q)) for step, q in p.items()}
    tried = tuple(_evidence(step, y, p[step], losses[step]) for step in steps)
    choice = _simplest(losses, user, anchor)
    moved = _fit(choice, t, y, np.ones((1, len(y))))[0]
    if choice != "keep":
        weights = two_way_weights(user, anchor, seed, REPLICATES).astype(np.float64)
        intervals = _moved_intervals(intervals, moved, _fit(choice, t, y, weights[_both(weights, y)]))
        calibration = replace(_moved(calibration, moved), tried=tried)
    return Recalibration(
        calibration, intervals, choice, (float(moved[0]), float(moved[1])), len(y), int(y.sum()), float(y.mean()), tried
    )


def ranking_change(
    then: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    now: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    seed: int,
) -> dict[str, dict[str, float | None]]:
    """Outcomes, scores, users and anchors of the run's test windows, and of the newest closed ones → of "auc" and "ap"
    then, now, difference, and its 95 % interval low to high (None where it cannot be said).

    Two-way bootstrap on either side, as for all metrics, each side drawn by itself: users who are on both make this
    a little too wide. A single anchor on one side says nothing of how much weeks differ: drift.drift judges that.
    """
    found: dict[str, dict[str, float | None]] = {}
    drawn = [resampled(y, s, two_way_weights(u, a, seed + i)) for i, (y, s, u, a) in enumerate((then, now))]
    for name, metric in (("auc", auc), ("ap", average_precision)):
        before, after = (metric(side[0], side[1]) for side in (then, now))
        low, high = interval(drawn[1][name] - drawn[0][name])
        values = {"then": before, "now": after, "difference": after - before}
        found[name] = {k: v if np.isfinite(v) else None for k, v in values.items()} | {"low": low, "high": high}
    return found


def _logit(p: np.ndarray) -> np.ndarray:
    return bounded(logit(np.clip(p, _CERTAIN, 1 - _CERTAIN)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.clip(expit(x), _CERTAIN, 1 - _CERTAIN)


def _evidence(step: str, y: np.ndarray, p: np.ndarray, losses: np.ndarray) -> dict[str, Any]:
    return {
        "method": step, "log_loss": float(losses.mean()), "brier": float(((p - y) ** 2).mean()),
        "ece": expected_calibration_error(y, p), "p_mean": float(p.mean()),
    }  # fmt: skip


def _out_of_fold(
    t: np.ndarray, y: np.ndarray, user: np.ndarray, steps: tuple[str, ...], seed: int
) -> dict[str, np.ndarray]:
    """→ per step the probability of each window under what the other users taught."""
    place, users = np.unique(user, return_inverse=True)[1], len(np.unique(user))
    fold = np.random.default_rng([seed, 10]).permutation(users)[place] % FOLDS
    found = {step: np.empty(len(t)) for step in steps}
    for k in range(FOLDS):
        learned, held = fold != k, fold == k
        for step in steps:
            a, b = _fit(step, t[learned], y[learned], np.ones((1, learned.sum())))[0]
            found[step][held] = _sigmoid(a * t[held] + b)
    return found


def _simplest(losses: dict[str, np.ndarray], user: np.ndarray, anchor: np.ndarray) -> str:
    """Losses [n] per step → the first whose excess over the best is at most one standard error of the excess."""
    best = min(losses.values(), key=np.mean)
    return next(
        step for step, loss in losses.items() if (loss - best).mean() <= _standard_error(loss - best, user, anchor)
    )


def _standard_error(values: np.ndarray, user: np.ndarray, anchor: np.ndarray) -> float:
    """Of the mean of values [n], windows of a user together; with enough anchors those of an anchor as well (two-way:
    Cameron, Gelbach & Miller 2011, each user having one window at an anchor)."""
    centred = values - values.mean()

    def squared(groups: np.ndarray) -> float:
        return float((np.bincount(np.unique(groups, return_inverse=True)[1], centred) ** 2).sum())

    total = squared(user)
    if len(np.unique(anchor)) >= _LEAST_ANCHORS:
        total = max(total, total + squared(anchor) - float((centred**2).sum()))
    return float(np.sqrt(total)) / len(values)


def _fit(step: str, t: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Log-odds t [n], labels y [n], weights [r × n] → slope (at least 0) and level of each weighting, [r × 2].

    Newton's method on the log likelihood of σ(slope · t + level), the slope fixed at 1 where only the level moves.
    """
    found = np.tile([1.0, 0.0], (len(weights), 1))
    if step == "keep":
        return found
    for _ in range(_STEPS):
        p = _sigmoid(found[:, :1] * t + found[:, 1:])
        error, curve = weights * (y - p), weights * p * (1 - p)
        level, h_level = error.sum(axis=1), curve.sum(axis=1)
        if step == "level":
            move = np.stack([np.zeros(len(found)), level / h_level], axis=1)
        else:
            slope, h_slope, h_both = error @ t, curve @ t**2, curve @ t
            determinant = np.maximum(h_slope * h_level - h_both**2, 1e-12)
            move = np.stack([h_level * slope - h_both * level, h_slope * level - h_both * slope], axis=1)
            move /= determinant[:, None]
        move = np.clip(move, -1.0, 1.0)
        found += move
        if np.abs(move).max() < 1e-10:
            break
    turned = found[:, 0] < 0  # a falling map would turn the ranking round: then all that is learned is the rate
    if turned.any():
        flat = logit((weights[turned] @ y) / weights[turned].sum(axis=1))
        found[turned] = np.stack([np.zeros(len(flat)), flat], axis=1)
    return found


def _both(weights: np.ndarray, y: np.ndarray) -> np.ndarray:
    """→ the replicates in which both outcomes happen."""
    positives = weights @ y
    return (positives > 0) & (positives < weights.sum(axis=1))


def _moved(calibration: Calibration, moved: np.ndarray) -> Calibration:
    """The map whose log-odds are slope · those of `calibration` + level: of the same method, with other numbers."""
    slope, level = moved
    if calibration.method == "isotonic":
        p = _sigmoid(slope * _logit(np.array(calibration.p)) + level)
        return Calibration("isotonic", calibration.x, tuple(p.tolist()))
    x = tuple(float(slope * value) for value in calibration.x)
    return Calibration(calibration.method, x, (float(slope * calibration.p[0] + level),))


def _moved_intervals(intervals: Intervals, moved: np.ndarray, drawn: np.ndarray) -> Intervals:
    """The run's steps, moved as the probabilities are: to the 2.5th percentile of the drawn moves [r × 2] below, and to
    the 97.5th above, so that what neither the run nor the new windows can tell adds up."""

    def ends(p: tuple[float, ...], share: float) -> tuple[float, ...]:
        every = _sigmoid(np.vstack([drawn, moved])[:, :1] * _logit(np.array(p)) + np.vstack([drawn, moved])[:, 1:])
        # steps rise, whatever was drawn
        return tuple(np.maximum.accumulate(np.quantile(every, share, axis=0)).tolist())

    return replace(intervals, low_p=ends(intervals.low_p, ERROR), high_p=ends(intervals.high_p, 1 - ERROR))
