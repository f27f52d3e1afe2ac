"""a run and the truth of its log → TRUTH_FIGURES: how good the run's probabilities and reasons are, in numbers.

Of both targets, on all test windows (about = "", n = windows); p is of the used model:
  base_rate         share of windows in which the target happened
  ap_ceiling        average precision with p_true as the score, against what happened: nobody can do better, luck aside
                    (of stickers it is a little low, their p_true being a mean over simulated futures)
  auc_ceiling       the same, area under the ROC curve
  ap_used           average precision of p; null, as ap_ceiling is, where the target never happened
  auc_used          area under the ROC curve of p; null, as auc_ceiling is, with one class only
  ap_share          (ap_used - base_rate) / (ap_ceiling - base_rate); null where the ceiling is not above the base rate
  p_error           mean |p - p_true|
  p_spearman        rank correlation of p and p_true; null where one of them is constant
  bins_covered      of the equal-mass bins of p (ten, fewer where p has ties; the bins of RELIABILITY), the share in
                    which the mean p_true lies inside the Wilson 95 % interval of the share that happened
  interval_covered  share of windows whose p_true lies in their interval. The interval is of the share that happens
                    among windows of this score, so far fewer than 95 % are to be expected: p_true also moves by what
                    no score shows
  interval_bins_covered  share of the same bins in which the mean p_true lies between the mean ends of the intervals:
                    what a calibrated probability does promise
  interval_width    mean width of the intervals

Of churn only. The true cause of a window is TRUTH.cause at its anchor day.
  cause_share       about each cause and "none": share of all test windows with this true cause; n = those windows

Selection, about "" (all channels that carry a cause), each cause with channels, "distractor", "independent" and
"user_constant". A feature is of a channel if its side and event are the channel's: all measures, daily and history.
  collinear         share of the features in the run all of whose columns were removed as collinear; n = features
  selected          of the other features, the share of which the selection kept a column (accepted, or tentative with
                    more than half of its trials won); n = the other features

Direction, about "" (all causes) and each cause with features in CAUSE_FEATURES:
  direction_right   of the cause's features that the explained model's IMPORTANCE names with a direction, the share with
                    the sign of CAUSE_FEATURES. A feature's sign is that of the sum of importance × direction over its
                    columns. Features with less than 1 % of the importance of the most important feature (sums over
                    columns) do not count; n = features that do

Reasons, about "" and each cause with features; n = windows. Marked are the `judged` windows whose true cause has
features: a window without any reason is a miss.
  precision_at_3    share of windows with one of the cause's features among the features of their up to three reasons;
                    low, high: 95 % percentile bootstrap over users, null with fewer than two
  precision_chance  expected share for three different features drawn at random from all of the run (exact,
                    hypergeometric)
  precision_chance_named  the same, drawn from those that the explained model's IMPORTANCE names: what is left of
                    chance when the selection has been made
  precision_recency share for the same three reasons everywhere: recency, overdue, active days of the last seven
  precision_same    share for the same three reasons everywhere: the explained model's most important features (sums
                    over columns)
  precision_change  share for a rule without a model. The change of a daily feature is its sum over the observation
                    minus its sum over the rest of the last 28 days, the latter scaled to as many days (a third of it
                    for seven days), divided by the standard deviation of that difference over all judged windows. The
                    reasons are the up to three features of largest absolute change, 0 being none; a hit if such a
                    feature or its history sum is one of the cause's. Null without history
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tschurn.contracts import CAUSES, MOST_REASONS, NO_CAUSE, TRUTH_FIGURES, Windows
from tschurn.errors import ContractError, LogError
from tschurn.simulator.causes import CAUSE_FEATURES, CHANNELS

RECENCY = ("history:recency", "history:overdue", "history:active_days:7")
LEAST_IMPORTANCE = 0.01  # of the most important feature's; a direction below it is noise
BINS = 10
REPLICATES = 400
SEED = 3
LOOKBACK = 28  # days of the history sums
BLOCK = 8_192  # windows whose days are in memory at once
_SIDE_ROLES = ("distractor", "independent", "user_constant")
_WITH_FEATURES = tuple(cause for cause in CAUSES if CAUSE_FEATURES[cause])


def judge(
    truth: pd.DataFrame,
    windows: Windows,
    *,
    judged: np.ndarray,
    predictions: pd.DataFrame,
    test_intervals: pd.DataFrame,
    target_summary: pd.DataFrame,
    collinearity: pd.DataFrame,
    selection: pd.DataFrame,
    importance: pd.DataFrame,
    surrogates: pd.DataFrame,
    reasons: pd.DataFrame,
    flat_columns: pd.DataFrame,
) -> pd.DataFrame:
    """TRUTH, the windows, and a run's tables (all targets together) → TRUTH_FIGURES.

    judged: positions in windows.index of the test windows that reasons were asked for; reasons of other
    windows are not looked at. flat_columns: FLAT_COLUMNS, of the explained model's own columns as well.
    Raises LogError when a window is missing from the truth, ContractError when a column is missing from
    flat_columns.
    """
    feature_of = flat_columns.set_index("column")["feature"]
    rows: list[dict] = []
    for target, used in target_summary[["target", "used"]].itertuples(index=False):
        mine = (predictions["target"] == target) & (predictions["model"] == used) & (predictions["split"] == "test")
        tested = predictions[mine].merge(test_intervals, on=["user_id", "anchor_day", "target"], validate="one_to_one")
        test = with_truth(tested, truth)
        p, p_true = (test[c].to_numpy(float) for c in ("p", f"p_{target}_true"))
        rows += _of_probabilities(target, test["y"].to_numpy(float), p, p_true)
        rows += _of_intervals(target, p, p_true, *(test[c].to_numpy(float) for c in ("p_low", "p_high")))
        if target == "churn":
            rows += _of_causes(test["cause"].to_numpy())

    selection = selection[selection["target"] == "churn"]
    rows += _of_selection(windows.features, collinearity, selection, feature_of)
    weights = _weights(importance, surrogates, feature_of)
    rows += _of_directions(weights)
    marked = with_truth(windows.index.iloc[judged], truth)
    rows += _of_reasons(marked, reasons[reasons["target"] == "churn"], windows.features["feature"], weights)
    rows += by_cause("precision_change", marked, _hits_of_change(marked["cause"].to_numpy(), windows, judged))
    figures = pd.DataFrame(rows, columns=list(TRUTH_FIGURES.columns))
    return figures.astype(dict.fromkeys(("value", "low", "high"), "float64") | {"n": "int64"})


def _row(
    figure: str, about: str, value: float | None, n: int, *, target: str = "churn",
    low: float | None = None, high: float | None = None,
) -> dict[str, object]:  # fmt: skip
    return {"target": target, "figure": figure, "about": about, "value": value, "low": low, "high": high, "n": n}


def with_truth(windows: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Rows with user_id and anchor_day → the same rows with the columns of TRUTH on that day; no cause is NO_CAUSE."""
    known = truth[["user_id", "day", "p_churn_true", "p_sticker_true", "cause"]]
    known = known.assign(day=pd.to_datetime(known["day"]), cause=known["cause"].astype(object).fillna(NO_CAUSE))
    asked = windows.assign(day=pd.to_datetime(windows["anchor_day"]))
    joined = asked.merge(known, on=["user_id", "day"], how="left", validate="many_to_one")
    missing = joined[joined["p_churn_true"].isna()]
    if len(missing):
        raise LogError(
            f"the truth knows nothing of {len(missing)} of {len(joined)} windows (the first: user "
            f"{missing['user_id'].iloc[0]} on {missing['anchor_day'].iloc[0]}): it is of another log; simulate "
            "the log and its truth again, together"
        )
    return joined


def _of_probabilities(target: str, y: np.ndarray, p: np.ndarray, p_true: np.ndarray) -> Iterator[dict]:
    """What happened, p and p_true of the test windows [n] → the figures of both targets."""
    from scipy.stats import spearmanr
    from sklearn.metrics import average_precision_score, roc_auc_score

    ap, auc = {}, {}
    happens, both = bool(y.any()), 0 < y.sum() < len(y)
    for name, score in (("ceiling", p_true), ("used", p)):
        ap[name] = float(average_precision_score(y, score)) if happens else None
        auc[name] = float(roc_auc_score(y, score)) if both else None
    base_rate = float(y.mean()) if len(y) else None
    room = ap["ceiling"] - base_rate if happens else 0.0
    varied = len(y) > 1 and np.ptp(p) > 0 and np.ptp(p_true) > 0
    values = {
        "base_rate": base_rate,
        "ap_ceiling": ap["ceiling"],
        "auc_ceiling": auc["ceiling"],
        "ap_used": ap["used"],
        "auc_used": auc["used"],
        "ap_share": (ap["used"] - base_rate) / room if room > 0 else None,
        "p_error": float(np.abs(p - p_true).mean()) if len(y) else None,
        "p_spearman": float(spearmanr(p, p_true).statistic) if varied else None,
        "bins_covered": _bins_covered(y, p, p_true) if len(y) else None,
    }
    for figure, value in values.items():
        yield _row(figure, "", value, len(y), target=target)


def _of_intervals(target: str, p: np.ndarray, p_true: np.ndarray, low: np.ndarray, high: np.ndarray) -> Iterator[dict]:
    """p, p_true and the ends of the intervals of the test windows [n] → the figures about intervals."""
    values = dict.fromkeys(("interval_covered", "interval_bins_covered", "interval_width"))
    if len(p):
        place = _bins(p)
        bottom, middle, top = (np.bincount(place, ends) / np.bincount(place) for ends in (low, p_true, high))
        values["interval_covered"] = float(((low <= p_true) & (p_true <= high)).mean())
        values["interval_bins_covered"] = float(((bottom <= middle) & (middle <= top)).mean())
        values["interval_width"] = float((high - low).mean())
    for figure, value in values.items():
        yield _row(figure, "", value, len(p), target=target)


def _bins(p: np.ndarray) -> np.ndarray:
    """→ equal-mass bin of each window, from 0 on without a gap."""
    edges = np.unique(np.quantile(p, np.arange(1, BINS) / BINS))
    return np.unique(np.searchsorted(edges, p, side="right"), return_inverse=True)[1]


def _bins_covered(y: np.ndarray, p: np.ndarray, p_true: np.ndarray) -> float:
    from scipy.stats import binomtest

    place = _bins(p)
    windows, happened, expected = (np.bincount(place, weights) for weights in (None, y, p_true))
    covered = []
    for n, k, mean in zip(windows, happened, expected / windows, strict=True):
        bounds = binomtest(int(k), int(n)).proportion_ci(method="wilson")
        covered.append(bounds.low <= mean <= bounds.high)
    return float(np.mean(covered))


def _of_causes(cause: np.ndarray) -> Iterator[dict]:
    """True causes of the test windows [n] → cause_share."""
    for about in (*CAUSES, NO_CAUSE):
        n = int((cause == about).sum())
        yield _row("cause_share", about, n / len(cause) if len(cause) else None, n)


def _of_selection(
    features: pd.DataFrame, collinearity: pd.DataFrame, selection: pd.DataFrame, feature_of: pd.Series
) -> Iterator[dict]:
    """FEATURES, COLLINEARITY and the SELECTION of churn → selected and collinear."""
    won = (selection["decision"] == "tentative") & (selection["hits"] * 2 > selection["trials"])
    accepted = selection.loc[(selection["decision"] == "accepted") | won, "column"]
    columns = pd.DataFrame(
        {
            "feature": _features(collinearity["column"], feature_of),
            "independent": collinearity["kept"].to_numpy(bool),
            "accepted": collinearity["column"].isin(accepted).to_numpy(),
        }
    )
    found = features.merge(columns.groupby("feature").any(), left_on="feature", right_index=True)
    channel = pd.MultiIndex.from_frame(found[["side", "event_name"]])
    for about in ("", *CAUSES, *_SIDE_ROLES):
        wanted = [(c.side, c.event) for c in CHANNELS if _is_about(about, c.role, c.cause)]
        if not wanted:
            continue
        here = found[channel.isin(wanted)]
        left = here[here["independent"]]
        yield _row("selected", about, _share(left["accepted"]), len(left))
        yield _row("collinear", about, _share(~here["independent"]), len(here))


def _is_about(about: str, role: str, cause: str | None) -> bool:
    """Whether a channel with this role and cause is in the group of features `about`."""
    return role == about if about in _SIDE_ROLES else role == "cause" and about in ("", cause)


def _share(happens: pd.Series) -> float | None:
    return float(happens.mean()) if len(happens) else None


def _features(columns: pd.Series, feature_of: pd.Series) -> np.ndarray:
    """Names of columns → the features they are of."""
    features = columns.map(feature_of)
    if features.isna().any():
        raise ContractError(f"the column {columns[features.isna()].iloc[0]!r} is not in flat_columns")
    return features.to_numpy(dtype=object)


def _weights(importance: pd.DataFrame, surrogates: pd.DataFrame, feature_of: pd.Series) -> pd.DataFrame:
    """→ feature, total (importance), signed (importance × direction; null without any), of the explained model of
    churn, summed over columns; most important first."""
    explained = surrogates.loc[(surrogates["target"] == "churn") & surrogates["explained"].astype(bool), "model"]
    mine = importance[(importance["target"] == "churn") & importance["model"].isin(explained)]
    total = mine["importance"].to_numpy(float)
    columns = pd.DataFrame(
        {
            "feature": _features(mine["column"], feature_of),
            "total": total,
            "signed": total * mine["direction"].to_numpy(float, na_value=np.nan),
        }
    )
    return columns.groupby("feature").sum(min_count=1).reset_index().sort_values(
        ["total", "feature"], ascending=[False, True], ignore_index=True
    )  # fmt: skip


def _of_directions(weights: pd.DataFrame) -> Iterator[dict]:
    """The explained model's weights → direction_right."""
    least = max(LEAST_IMPORTANCE * weights["total"].max(), np.finfo(float).tiny) if len(weights) else 0.0
    counted = weights[(weights["total"] >= least) & weights["signed"].notna()]
    sign = dict(zip(counted["feature"], np.sign(counted["signed"]), strict=True))
    right = {
        cause: [sign[feature] == wanted for feature, wanted in CAUSE_FEATURES[cause].items() if feature in sign]
        for cause in _WITH_FEATURES
    }
    for about, found in {"": [r for of_cause in right.values() for r in of_cause], **right}.items():
        yield _row("direction_right", about, float(np.mean(found)) if found else None, len(found))


def _of_reasons(
    marked: pd.DataFrame, reasons: pd.DataFrame, features: pd.Series, weights: pd.DataFrame
) -> Iterator[dict]:
    """Judged windows with their truth, REASONS of churn, features, the explained model's weights → the precisions."""
    from scipy.stats import hypergeom

    cause = marked["cause"].to_numpy()
    window = marked.assign(window=np.arange(len(marked)))[["user_id", "day", "window"]]
    given = reasons[reasons["rank"] <= MOST_REASONS]
    given = given.assign(day=pd.to_datetime(given["anchor_day"])).merge(window, on=["user_id", "day"])
    hits = _hits(cause, given["window"].to_numpy(), given["feature"].to_numpy(dtype=object))
    yield from by_cause("precision_at_3", marked, hits, intervals=True)

    for figure, names in (("precision_chance", features), ("precision_chance_named", weights["feature"])):
        known = set(names)
        chance = {
            c: float(hypergeom.sf(0, len(known), len(known & set(CAUSE_FEATURES[c])), min(MOST_REASONS, len(known))))
            for c in _WITH_FEATURES
        }
        yield from by_cause(figure, marked, pd.Series(cause).map(chance).to_numpy() if known else None)
    yield from by_cause("precision_recency", marked, _hits_of_all(cause, RECENCY))
    same = weights["feature"].head(MOST_REASONS)
    yield from by_cause("precision_same", marked, _hits_of_all(cause, same) if len(same) else None)


def _hits(cause: np.ndarray, window: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """True causes [n], and features named (window, feature), → whether one is the window's cause's [n]."""
    hit = np.zeros(len(cause), dtype=bool)
    for name in _WITH_FEATURES:
        of_cause = (cause[window] == name) & np.isin(feature.astype(str), list(CAUSE_FEATURES[name]))
        hit[window[of_cause]] = True
    return hit


def _hits_of_all(cause: np.ndarray, features: pd.Series | tuple[str, ...]) -> np.ndarray:
    """As `_hits`, the same features named for every window."""
    caught = [name for name in _WITH_FEATURES if set(features) & set(CAUSE_FEATURES[name])]
    return np.isin(cause.astype(str), caught)


def _hits_of_change(cause: np.ndarray, windows: Windows, judged: np.ndarray) -> np.ndarray | None:
    """As `_hits`, for the features that changed most in each window; None without history or windows."""
    names, change = _changes(windows, judged)
    if not names or not len(judged):
        return None
    spread = change.std(axis=0)
    size = np.divide(np.abs(change), spread, out=np.zeros_like(change), where=spread > 0)
    largest = np.argsort(-size, axis=1, kind="stable")[:, :MOST_REASONS]
    window, place = np.nonzero(np.take_along_axis(size, largest, axis=1) > 0)
    feature = np.array(names, dtype=object)[largest[window, place]]
    sums = np.array([_sum_of(name) for name in names], dtype=object)[largest[window, place]]
    return _hits(cause, np.tile(window, 2), np.concatenate([feature, sums]))


def _changes(windows: Windows, judged: np.ndarray) -> tuple[list[str], np.ndarray]:
    """→ daily features that have a history sum, and by how much each differs from before, [judged × features]."""
    daily, past = (windows.features.loc[windows.features["kind"] == kind, "feature"] for kind in ("daily", "history"))
    place = {feature: i for i, feature in enumerate(past)}
    known = [i for i, feature in enumerate(daily) if _sum_of(feature) in place]
    names = [daily.iloc[i] for i in known]
    sums = [place[_sum_of(name)] for name in names]
    parts = [np.zeros((0, len(names)))]
    for start in range(0, len(judged), BLOCK):
        days = windows.batch(judged[start : start + BLOCK])[:, :, known]
        observed = days.shape[1]
        if observed >= LOOKBACK:
            return [], parts[0]
        recent = days.sum(axis=1, dtype=np.float64)
        before = windows.history(judged[start : start + BLOCK])[:, sums] - recent
        parts.append(recent - before * observed / (LOOKBACK - observed))
    return names, np.concatenate(parts)


def _sum_of(feature: str) -> str:
    """The history feature that sums a daily one."""
    return f"history:sum:{feature}:{LOOKBACK}"


def by_cause(figure: str, marked: pd.DataFrame, hits: np.ndarray | None, *, intervals: bool = False) -> Iterator[dict]:
    """Hits (or their probabilities) of the judged windows → a figure's rows; None: nothing to measure."""
    for about in ("", *_WITH_FEATURES):
        here = marked["cause"].isin(_WITH_FEATURES if about == "" else [about]).to_numpy()
        if hits is None or not here.any():
            yield _row(figure, about, None, 0)
            continue
        scores = hits[here].astype(float)
        low, high = _interval(scores, marked.loc[here, "user_id"]) if intervals else (None, None)
        yield _row(figure, about, float(scores.mean()), len(scores), low=low, high=high)


def _interval(scores: np.ndarray, users: pd.Series) -> tuple[float | None, float | None]:
    """Scores of windows and their users → 95 % interval of the mean when users are drawn anew."""
    place, distinct = pd.factorize(users)
    if len(distinct) < 2:
        return None, None
    share = np.full(len(distinct), 1 / len(distinct))
    drawn = np.random.default_rng(SEED).multinomial(len(distinct), share, size=REPLICATES)
    means = drawn @ np.bincount(place, scores) / (drawn @ np.bincount(place))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
