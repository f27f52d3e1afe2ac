"""an explanation, and how to fit it again → STABILITY: would it come out the same?

Three questions. Fitted again under other seeds, or on other users, does it name the same features? And do the windows
of one test anchor need the same features to be explained as those of the next? Two rankings are compared by Spearman's
correlation and by the overlap of their tops (Kalousis, Prados & Hilario 2007). It is what was not changed that limits
the answer: the selection of columns stays as it was; four fifths of the users share three quarters with four other
fifths; and under another seed the same windows are fitted, so that even noise is found again: seeds tell luck from the
rest, it is the folds that tell what other users would say. Where there are many windows, fits see a sample of them,
which makes them a little less stable than the explanation is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
from scipy import stats

from tschurn.contracts import STABILITY

TOP = 10
FITS = 5  # under other seeds, and on other users
# At most, at random: to fit on, to compare anchors by, to compare fits by. The last are the same windows for all fits;
# TreeSHAP on them is what takes the time.
FIT_ROWS, HELD_ROWS, COMPARED_ROWS = 10_000, 3_000, 600
LEAST_WINDOWS = 20  # of an anchor: importances from fewer are noise
MEASURES = ("spearman", "top_overlap")

Contributions = Callable[[np.ndarray], np.ndarray]  # positions of windows → SHAP values [n × p] in log-odds
Fit = Callable[[np.ndarray, int], Contributions]  # positions of windows to fit on, seed → what that explains


def stability(
    explanation: Contributions, feature: Sequence[str], users: np.ndarray, anchors: np.ndarray, held: np.ndarray, *,
    apart: int, seed: int, fit: Fit | None = None, fit_rows: np.ndarray | None = None,
) -> pd.DataFrame:  # fmt: skip
    """An explanation and test windows → STABILITY without target and model.

    feature: of each of the p columns. users, anchors (days): of all windows. held: positions of the test windows.
    apart: days between two anchors whose observations share none. fit, fit_rows: how the explanation is fitted, and
    the positions it is fitted on; without them the model explains itself, and only anchors can be compared.
    """
    place, names = pd.factorize(np.asarray(feature, dtype=object))
    random = np.random.default_rng([seed, 15])
    held = _some(held, HELD_ROWS, random)
    compared = _some(held, COMPARED_ROWS, random)

    def importance(contributions: np.ndarray) -> np.ndarray:
        """SHAP values [n × p] → mean |SHAP| [features]."""
        return np.abs(np.asarray(contributions, dtype=np.float64) @ np.eye(len(names))[place]).mean(axis=0)

    rows = []
    if fit is not None and fit_rows is not None:
        seeded, folded = [], []
        if len(held):
            seeded = [
                importance(fit(_some(fit_rows, FIT_ROWS, random), seed + k)(compared)) for k in range(1, FITS + 1)
            ]
            some = _some(fit_rows, FIT_ROWS, random)
            others = _folds(users[some], random)
            folded = [importance(fit(some[rest], seed)(compared)) for rest in others]
        rows += _compared("seeds", len(names), combinations(seeded, 2), "no_windows")
        rows += _compared("folds", len(names), combinations(folded, 2), "few_users" if len(held) else "no_windows")
    explained = explanation(held) if len(held) else np.zeros((0, len(place)))
    weeks = [importance(explained[places]) for places in _apart(anchors[held], apart)]
    rows += _compared("anchors", len(names), pairwise(weeks), "few_anchors" if len(held) else "no_windows")
    return pd.DataFrame(rows, columns=[c for c in STABILITY.columns if c not in ("target", "model")])


def _compared(
    over: str, features: int, pairs: Iterable[tuple[np.ndarray, np.ndarray]], without: str = ""
) -> list[dict[str, object]]:
    """Pairs of importances [features] → a row for each measure; without: the note where there is no pair."""
    pairs = list(pairs)
    top = TOP if features >= TOP else features // 2
    chances = {"spearman": 0.0, "top_overlap": top / max(features, 1)}
    note = (
        without if not pairs
        else "one_feature" if features < 2
        else "constant" if not any(np.any(importance > 0) for pair in pairs for importance in pair)
        else "few_features" if features < TOP
        else None
    )  # fmt: skip
    rows = []
    for measure, compare in (("spearman", _spearman), ("top_overlap", lambda a, b: _overlap(a, b, top))):
        known = [value for pair in pairs if features > 1 and (value := compare(*pair)) is not None]
        mean, low, high = (np.mean(known), min(known), max(known)) if known else (None, None, None)
        rows.append(
            {"over": over, "measure": measure, "features": features, "top": top, "pairs": len(known),
             "mean": mean, "low": low, "high": high, "chance": chances[measure] if known else None, "note": note}
        )  # fmt: skip
    return rows


def _spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Rank correlation of two importances; None where one of them tells no feature from another."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(stats.spearmanr(first, second).statistic)


def _overlap(first: np.ndarray, second: np.ndarray, top: int) -> float | None:
    """Share of the most important features that both have. What has no importance at all is in no top."""
    best = [
        {int(f) for f in np.argsort(-importance, kind="stable")[:top] if importance[f] > 0}
        for importance in (first, second)
    ]
    longest = max(map(len, best))
    return len(best[0] & best[1]) / longest if longest else None


def _folds(users: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """User of each row → for each fold of users the rows of the others; none for fewer users than folds."""
    everyone, user = np.unique(users, return_inverse=True)
    fold = (random.permutation(len(everyone)) % FITS)[user]
    return [np.flatnonzero(fold != k) for k in range(FITS)] if len(everyone) >= FITS else []


def _apart(anchors: np.ndarray, apart: int) -> list[np.ndarray]:
    """Anchor of each row → positions of the rows of every anchor, from the first on, that is `apart` after the last."""
    found: list[np.ndarray] = []
    last = -np.inf
    for anchor, count in zip(*np.unique(anchors, return_counts=True), strict=True):
        if anchor - last >= apart and count >= LEAST_WINDOWS:
            found.append(np.flatnonzero(anchors == anchor))
            last = anchor
    return found


def _some(rows: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    """At most `most` of these rows, drawn at random, in their order."""
    return rows if len(rows) <= most else np.sort(random.choice(rows, most, replace=False))
