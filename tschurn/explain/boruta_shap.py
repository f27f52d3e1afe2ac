"""training windows and what happened → SELECTION: which features carry more than chance would.

Boruta (Kursa & Rudnicki 2010, J. Stat. Software 36/11) with mean |SHAP| as importance (Keany 2020,
BorutaShap). In each trial every feature gets a shadow, the same values shuffled; a feature scores a hit
when its importance beats that of the best shadow. Hits over the trials decide by a binomial test.

The columns of one feature, the days of the window, are one thing that is tested as one: they are
shuffled together, and the importance is the mean |sum of their SHAP values|. A feature that pushes a
little on every day is lost where each day must beat the best shadow alone.

Shuffling rows is right only if rows are exchangeable, and the windows of one user are not: a value that
is constant per user looks useful merely by telling users apart. So a trial draws few windows per user,
and a shadow takes each user's values, whole, from another user.
"""

from __future__ import annotations

from collections.abc import Sequence

import lightgbm
import numpy as np
import pandas as pd
from scipy import sparse, stats

from tschurn.contracts import Progress, silent

ACCEPTED, TENTATIVE, REJECTED = "accepted", "tentative", "rejected"
ALPHA = 0.05
# Rows that a trial wants, and the most windows per user it takes to get them when users are few.
TRIAL_ROWS = 4_000
MOST_SLOTS = 8
# Values in a trial at most, its shadows not counted: a trial sees up to as many users as fit, and FEWEST_USERS
# even of thousands of columns. Weak features are told from chance by the number of users.
MOST_VALUES = 8_000_000
FEWEST_USERS = 5_000
# Windows of the trial whose SHAP values are taken; the trees have learned from all of them.
SHAP_ROWS = 300
# Users with the same number of drawn windows trade values; with fewer partners there is no shuffle.
FEWEST_PARTNERS = 20
# Kursa & Rudnicki keep five shadows at least. The luck of a column that is constant per user is much
# the same in every trial, though, and late in the race five shadows are too low a bar for the luckiest.
FEWEST_SHADOWS = 30
# As the package's model (100 trees of 31 leaves, learning rate 0.1) but fewer and smaller: columns win about as often,
# for a sixth of the TreeSHAP. Trees that see all columns take LightGBM a quarter of the time of those that see half.
TREES = 40
PARAMETERS = {
    "learning_rate": 0.2,
    "num_leaves": 16,
    "min_data_in_leaf": 20,
    "max_bin": 63,
    "bin_construct_sample_cnt": 5_000,
    "feature_pre_filter": False,
    # each set of columns is learned from once: looking for sparse ones would not pay
    "enable_bundle": False,
    "is_enable_sparse": False,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def select(
    matrix: np.ndarray,
    columns: list[str],
    y: np.ndarray,
    users: np.ndarray,
    *,
    trials: int,
    seed: int,
    features: Sequence[str] | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> pd.DataFrame:
    """[n × p] values, p names, y [n] (0/1: classification; else regression), user of each row [n] → SELECTION.

    Without the `target` column; one row per column, in the order given; the columns of a feature share
    its verdict. features: the feature of each column; absent: each column is one.

    After each trial every undecided feature is tested, two-sided at p = 0.5 and alpha = 0.05, with
    Bonferroni over all features that entered (as in the authors' R package, not over those still
    undecided); an accepted feature stays in the race, a rejected one leaves it. Ends early when none is
    undecided. With 5 trials or so the test cannot decide: `kept` then goes by the majority of trials.

    A trial draws one window per user at random, of at most as many users as give 8 million values (5,000 at
    least). With fewer than 4,000 users it draws up to 8 distinct ones per user, since trees need rows; a shadow
    trades the whole draws of users who have equally many, so that what is constant or alike within a user stays so.
    NaN is a value like any other. Where there is nothing to learn, no rows or a y that does not vary, no trial is
    held and all stay tentative, without a hit.
    """
    matrix = np.asarray(matrix, dtype=np.float32)
    y = np.asarray(y, dtype=np.float64)
    feature, names = pd.factorize(np.asarray(columns if features is None else features, dtype=object))
    count = len(names)
    objective = "binary" if is_classification(y) else "regression"
    decision = np.full(count, TENTATIVE, dtype=object)
    hits, took = np.zeros(count, dtype=int), np.zeros(count, dtype=int)
    importance, shadow = np.zeros(count), np.zeros(count)
    for trial in range(trials if len(y) and np.ptp(y) > 0 else 0):
        undecided = decision == TENTATIVE
        if not undecided.any():
            break
        progress("selection", trial, trials, f"{undecided.sum()} of {count} features undecided")
        rng = np.random.default_rng([seed, trial])
        live = np.flatnonzero(decision != REJECTED)
        own, best = _trial(matrix, feature, live, y, users, rng, objective, threads)
        took[live] += 1
        hits[live] += own > best
        importance[live] += own
        shadow[live] += best
        decision[undecided] = _decide(hits[undecided], trial + 1, count)
    progress("selection", trials, trials)
    took_part = np.maximum(took, 1)
    verdict = pd.DataFrame(
        {
            "decision": decision,
            "hits": hits.astype(np.int32),
            "trials": took.astype(np.int32),
            "importance": importance / took_part,
            "shadow_max": shadow / took_part,
        }
    )
    table = verdict.iloc[feature].reset_index(drop=True)
    table.insert(0, "column", columns)
    return table


def kept(selection: pd.DataFrame) -> list[str]:
    """SELECTION → the columns to go on with: accepted, and tentative ones that won most of their trials.

    The authors' rough fix for what is left undecided compares medians over the trials; paired, the
    median of (column - best shadow) is above 0 exactly when more than half of the trials are hits.
    """
    majority = (selection["decision"] == TENTATIVE) & (selection["hits"] * 2 > selection["trials"])
    return selection.loc[(selection["decision"] == ACCEPTED) | majority, "column"].tolist()


def is_classification(y: np.ndarray) -> bool:
    """Whether y holds nothing but 0 and 1."""
    return bool(np.isin(y, (0, 1)).all())


def _decide(hits: np.ndarray, trials: int, tests: int) -> np.ndarray:
    """Hits of undecided features after `trials` trials → decisions, `tests` tests being made."""
    level = ALPHA / (2 * tests)  # two-sided: half on each side
    accept = stats.binom.sf(hits - 1, trials, 0.5) < level
    reject = stats.binom.cdf(hits, trials, 0.5) < level
    return np.where(accept, ACCEPTED, np.where(reject, REJECTED, TENTATIVE))


def _trial(
    matrix: np.ndarray,
    feature: np.ndarray,
    live: np.ndarray,
    y: np.ndarray,
    users: np.ndarray,
    rng: np.random.Generator,
    objective: str,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """One race of the live features → (their importances, what each had to beat); `feature`: of each column."""
    columns = np.flatnonzero(np.isin(feature, live))
    rows, owner, slot, slots = draw_windows(users, rng, max(FEWEST_USERS, MOST_VALUES // len(columns)))
    place = np.searchsorted(live, feature[columns])
    copies = -(-FEWEST_SHADOWS // len(live))
    # column by column, which is how values are shuffled and binned
    values = np.empty((len(rows), (copies + 1) * len(columns)), dtype=np.float32, order="F")
    real, *shadows = np.split(values, copies + 1, axis=1)
    real[:] = matrix[np.ix_(rows, columns)]
    for shadow in shadows:
        _shuffle(real, shadow, place, owner, slot, slots, rng)
    places = np.concatenate([place + copy * len(live) for copy in range(copies + 1)])
    importances = _importances(values, places, y[rows], rng, objective, threads)
    size = np.bincount(place, minlength=len(live))
    return importances[: len(live)], _bars(size, importances[len(live) :], np.tile(size, copies))


def _bars(size: np.ndarray, shadows: np.ndarray, shadow_size: np.ndarray) -> np.ndarray:
    """Columns of each feature, importances and columns of the shadows → the importance that each feature has to beat.

    That of the best shadow with no more columns than the feature has: more columns are more luck. Where
    these are fewer than FEWEST_SHADOWS, the next larger ones count as well.
    """
    order = np.argsort(shadow_size, kind="stable")
    best_so_far = np.maximum.accumulate(shadows[order])
    among = np.searchsorted(shadow_size[order], size, side="right")
    return best_so_far[np.clip(among, min(FEWEST_SHADOWS, len(shadows)), None) - 1]


def draw_windows(
    users: np.ndarray, rng: np.random.Generator, most_users: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """User of each row [n] → a draw of windows: rows, their owner (0, 1, ... per drawn user), slot; slots per owner.

    Of at most `most_users` users; of one at least. The rows of an owner are adjacent, slot 0 first.
    """
    rows = np.lexsort((rng.random(len(users)), users))
    _, start, count = np.unique(users[rows], return_index=True, return_counts=True)
    if len(start) > most_users:
        chosen = np.sort(rng.choice(len(start), most_users, replace=False))
        start, count = start[chosen], count[chosen]
    slots = np.minimum(count, np.clip(-(-TRIAL_ROWS // len(start)), 1, MOST_SLOTS))
    for size in range(slots.max(), 1, -1):  # too few partners: draw one window less
        if (slots == size).sum() < FEWEST_PARTNERS:
            slots[slots == size] -= 1
    owner = np.repeat(np.arange(len(start)), slots)
    slot = np.arange(slots.sum()) - np.repeat(np.cumsum(slots) - slots, slots)
    return rows[start[owner] + slot], owner, slot, slots


def _shuffle(
    real: np.ndarray, shadow: np.ndarray, feature: np.ndarray, owner: np.ndarray, slot: np.ndarray, slots: np.ndarray,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Fills `shadow` with the values of `real`, traded among users with equally many drawn windows: per feature anew,
    its columns together."""
    first = np.cumsum(slots) - slots
    equal = [np.flatnonzero(slots == size) for size in np.unique(slots)]
    partner = np.empty(len(slots), dtype=np.intp)
    for columns in np.split(np.argsort(feature, kind="stable"), np.cumsum(np.bincount(feature))[:-1]):
        for users in equal:
            partner[users] = rng.permutation(users)
        from_row = partner if len(owner) == len(slots) else first[partner[owner]] + slot  # one slot each: row = owner
        for column in columns:
            shadow[:, column] = real[from_row, column]


def _importances(
    values: np.ndarray, feature: np.ndarray, y: np.ndarray, rng: np.random.Generator, objective: str, threads: int
) -> np.ndarray:
    """Mean |SHAP| of each feature, its columns summed, in a small LightGBM model of y; `feature`: of each column.

    The model learns from all rows; the mean is over SHAP_ROWS of them, drawn at random.
    """
    count = feature.max(initial=-1) + 1
    parameters = PARAMETERS | {"objective": objective, "num_threads": threads, "seed": int(rng.integers(2**31))}
    if np.ptp(y) == 0:
        return np.zeros(count)
    booster = lightgbm.train(parameters, lightgbm.Dataset(values, y, params=parameters), num_boost_round=TREES)
    some = values if len(values) <= SHAP_ROWS else values[rng.choice(len(values), SHAP_ROWS, replace=False)]
    contributions = booster.predict(some, pred_contrib=True, num_threads=threads)[:, :-1]
    by_feature = sparse.csr_array((np.ones(len(feature)), (np.arange(len(feature)), feature)), (len(feature), count))
    return np.abs(contributions @ by_feature).mean(axis=0)
