"""Scores of windows and users → THRESHOLDS, THRESHOLD: from which score on a user is in the priority group.

Five rules. All are computed and shown, since where to cut is a decision and not a finding; the experiment's cuts. Knee
and mixture may find nothing. Then the quantile rule cuts, and the tables say so.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tschurn.contracts import SEGMENTS, THRESHOLDS

if TYPE_CHECKING:
    from tschurn.config import Experiment
    from tschurn.segments.priority import Scored

# The logarithm of a score is taken of no less than this, so that a score of 0 stays finite.
LOWEST_SCORE = 1e-12
# Knee and mixture: fewer scores than FEWEST have no shape; of more than MOST every so manieth in order is enough.
FEWEST, MOST = 30, 5_000
# A knee: looked for among the best half; stands out from the chord by so much of its height, and in resamples the
# group it cuts is of the same size within this factor (nine times out of ten).
KNEE_SHARES = np.linspace(0.01, 0.5, 99)
LEAST_BEND, RESAMPLES, SAME_SIZE = 0.1, 100, 2.0
# Of a normal distribution in the mixture at least this variance, in that of all: equal scores are not a population.
LEAST_VARIANCE, STARTS = 0.01, 5


class Threshold(NamedTuple):
    """What a rule found: the score from which a user is in the priority group, or why there is none.

    parameter: of the rule, in the experiment file (None: it has none). learned_on: 'out_of_time' (windows that the
    model had not seen), 'scored' (the users of the list themselves), 'given' (in the experiment file); windows: how
    many. note: a code of THRESHOLDS.
    """

    method: str
    parameter: float | None
    value: float | None
    learned_on: str
    windows: int
    note: str | None = None


def learn_thresholds(scored: Scored, experiment: Experiment) -> dict[str, Threshold]:
    """Scored → what each rule found, by rule; value and capacity only where the experiment file has them.

    "value": the value itself. "quantile": the least score among the best `share` of the out-of-time windows; of the
    scored users where there is none. "capacity": that of the last of the best `capacity` scored users. "knee" and
    "mixture": on the logs of the windows that the quantile is taken of.
    """
    rule = experiment.segments
    users, windows = (t["score"].dropna().to_numpy(np.float64) for t in (scored.users, scored.windows))
    learned = ("out_of_time", windows) if len(windows) else ("scored", users)
    found = {}
    if rule.value is not None:
        # a value of money says nothing of a probability
        fits = scored.score == rule.score
        found["value"] = Threshold("value", rule.value, rule.value if fits else None, "given", 0,
                                   None if fits else "other_score")  # fmt: skip
    found["quantile"] = _of_the_best("quantile", rule.share, *learned, max(1, round(rule.share * len(learned[1]))))
    if rule.capacity is not None:
        found["capacity"] = _of_the_best("capacity", rule.capacity, "scored", users, min(rule.capacity, len(users)))
    logs = _logs(learned[1])
    for name, shape in (("knee", knee), ("mixture", mixture)):
        cut, note = shape(logs, experiment.experiment.seed)
        value = None if cut is None else float(np.exp(cut))
        found[name] = Threshold(name, None, value, learned[0], len(learned[1]), note)
    return found


def _of_the_best(method: str, parameter: float, learned_on: str, values: np.ndarray, best: int) -> Threshold:
    if not len(values):
        return Threshold(method, float(parameter), None, learned_on, 0, "too_few")
    return Threshold(method, float(parameter), float(np.sort(values)[-best]), learned_on, len(values))


def chosen_threshold(found: Mapping[str, Threshold], experiment: Experiment) -> Threshold:
    """What the rules found → the one that cuts: the experiment's; the quantile's where it found none.

    With nobody to learn from: the largest priority there can be, 1, with its note.
    """
    asked, fallback = found[experiment.segments.threshold], found["quantile"]
    cuts = fallback if asked.value is None else asked
    return cuts._replace(value=1.0) if cuts.value is None else cuts


def in_group(ranked: pd.DataFrame, threshold: Threshold) -> np.ndarray:
    """Ranked windows (score, rank within the anchor) → which of them are in the priority group [n] bool.

    At or above the threshold; by capacity the first ranks, so that a tie cannot give people more users than they can
    call. Never who has no score.
    """
    if threshold.method == "capacity":
        return ((ranked["rank"] <= threshold.parameter) & ranked["score"].notna()).to_numpy()
    return (ranked["score"] >= threshold.value).to_numpy()


def thresholds_table(found: Mapping[str, Threshold], chosen: Threshold, users: pd.DataFrame) -> pd.DataFrame:
    """What the rules found, the one that cuts, ranked users → THRESHOLDS."""
    group = in_group(users, chosen)
    rows = []
    for one in found.values():
        row = {**one._asdict(), "chosen": one.method == chosen.method, "users": None, "jaccard": None}
        if one.value is not None:
            members = in_group(users, one)
            either = int((members | group).sum())
            row |= {"users": int(members.sum()), "jaccard": (members & group).sum() / either if either else None}
        rows.append(row)
    table = pd.DataFrame(rows).rename(columns={"value": "threshold", "windows": "learned_windows"})
    numbers = dict.fromkeys(("parameter", "threshold", "jaccard"), "float64")
    return table.astype({**numbers, "users": "Int64"})[list(THRESHOLDS.columns)]


def threshold_table(
    threshold: Threshold, score: str, favourite: float | None, priority: pd.DataFrame, experiment: Experiment
) -> pd.DataFrame:
    """The threshold that cuts, by which score, likely_sticker, PRIORITY → THRESHOLD, one row."""
    sizes = priority["segment"].value_counts()
    return pd.DataFrame(
        {
            "method": threshold.method,
            "parameter": np.nan if threshold.parameter is None else threshold.parameter,
            "threshold": threshold.value,
            "learned_on": threshold.learned_on,
            "learned_windows": threshold.windows,
            "likely_churn": experiment.segments.likely_churn,
            "likely_sticker": np.nan if favourite is None else favourite,
            "score": score,
            **{segment: int(sizes.get(segment, 0)) for segment in SEGMENTS},
        },
        index=[0],
    )


def _logs(values: np.ndarray) -> np.ndarray:
    """Scores → their logs in order; none of those at the floor, which would be a population of their own."""
    logs = np.log(np.sort(values[values > LOWEST_SCORE]))
    return logs if len(logs) <= MOST else np.quantile(logs, (np.arange(MOST) + 0.5) / MOST, method="nearest")


def knee(logs: np.ndarray, seed: int) -> tuple[float | None, str | None]:
    """Log scores in order [n] → the one at which their falling curve bends, and why there is none: a note.

    The curve: log score against the share of windows at or above it, from the best hundredth (the very best is
    chance) to the half (below it nobody is called, and the tail would bend the chord). The knee is the point farthest
    under the chord: Kneedle's (Satopää, Albrecht, Irwin and Raghavan 2011, ICDCS Workshops, 166-171) for a decreasing
    convex curve. 'no_knee': the curve is nearly straight there, or the point is not the same in resamples.
    """
    if note := _no_shape(logs):
        return None, note
    levels = np.quantile(logs, 1.0 - KNEE_SHARES)
    place, bend = _farthest(levels)
    if bend < LEAST_BEND:
        return None, "no_knee"
    rng = np.random.default_rng(seed)
    drawn = (np.quantile(rng.choice(logs, len(logs)), 1.0 - KNEE_SHARES) for _ in range(RESAMPLES))
    low, high = np.quantile([KNEE_SHARES[_farthest(levels)[0]] for levels in drawn], [0.05, 0.95])
    return (None, "no_knee") if high > SAME_SIZE * low else (float(levels[place]), None)


def _farthest(levels: np.ndarray) -> tuple[int, float]:
    """A falling curve at KNEE_SHARES → where it is farthest under its chord, and how far, in heights of the chord."""
    height = levels[0] - levels[-1]
    if height <= 0:
        return 0, 0.0
    x = (KNEE_SHARES - KNEE_SHARES[0]) / (KNEE_SHARES[-1] - KNEE_SHARES[0])
    under = 1.0 - x - (levels - levels[-1]) / height
    place = int(np.argmax(under))
    return place, float(under[place])


def mixture(logs: np.ndarray, seed: int) -> tuple[float | None, str | None]:
    """Log scores in order [n] → where the upper of two normal distributions becomes the likelier, and why it does not.

    Fitted by maximum likelihood; the threshold is the first point above the lower mean from which the posterior of the
    component with the higher mean passes 0.5. 'one_component': by BIC (Schwarz 1978) one is enough; 'overlap': the
    upper one is nowhere the likelier, or already at the lower mean.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if note := _no_shape(logs):
        return None, note
    centre, scale = logs.mean(), logs.std()
    values = ((logs - centre) / scale)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a flat likelihood: then one component does as well
        one, two = (
            GaussianMixture(k, n_init=STARTS if k > 1 else 1, max_iter=500, tol=1e-4, init_params="k-means++",
                            reg_covar=LEAST_VARIANCE, random_state=seed).fit(values)
            for k in (1, 2)
        )  # fmt: skip
    if one.bic(values) <= two.bic(values):
        return None, "one_component"
    order = np.argsort(two.means_[:, 0])
    mean, variance, weight = two.means_[order, 0], two.covariances_[order, 0, 0], two.weights_[order]
    crossing = _passes(mean, variance, weight)
    return (None, "overlap") if crossing is None else (float(centre + scale * crossing), None)


def _passes(mean: np.ndarray, variance: np.ndarray, weight: np.ndarray) -> float | None:
    """Two weighted normal densities, the lower mean first → where above it the upper one becomes the larger.

    The log of their ratio, upper to lower, is a parabola; it passes 0 upwards where its slope is positive.
    """
    terms = np.log(weight) - 0.5 * np.log(variance) - mean**2 / (2 * variance)
    (constant,), (linear,), (square,) = (np.diff(part) for part in (terms, mean / variance, -1 / (2 * variance)))
    roots = np.roots([square, linear, constant]) if abs(square) > 1e-9 else np.array([-constant / linear])
    roots = np.sort(roots[np.isreal(roots)].real)
    upwards = roots[(roots > mean[0]) & (2 * square * roots + linear > 0)]
    return float(upwards[0]) if len(upwards) else None


def _no_shape(logs: np.ndarray) -> str | None:
    """Why log scores have no shape to read a threshold from, if so."""
    if len(logs) < FEWEST:
        return "too_few"
    return "no_spread" if np.ptp(logs) < 1e-9 else None
