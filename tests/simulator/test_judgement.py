"""Every figure against a slow plain version on random runs, and against values worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn import contracts as c
from tschurn.contracts import CAUSES
from tschurn.errors import ContractError, LogError
from tschurn.features.history import history_features
from tschurn.models import evaluation as ev
from tschurn.simulator import judgement
from tschurn.simulator.causes import CAUSE_FEATURES, CHANNELS
from tschurn.simulator.judgement import judge

WITH_FEATURES = [cause for cause in CAUSES if CAUSE_FEATURES[cause]]
GROUPS = ("distractor", "independent", "user_constant")
START = date(2024, 1, 1)
DAYS = 7
ONE_OF_EACH_ROLE = (
    ("own", "post"), ("own", "night_live"), ("own", "fee_page_view"), ("own", "draft_save"),
    ("received", "badge_visit"), ("received", "first_comment"), ("received", "recommended"), ("received", "share"),
    ("received", "ad_slot"), ("received", "cdn_refresh"),
)  # fmt: skip


@dataclass
class FakeWindows:
    """The Windows protocol over plain arrays: days [n × 7 × daily features], past [n × history features]."""

    index: pd.DataFrame
    features: pd.DataFrame
    days: np.ndarray
    past: np.ndarray

    def batch(self, rows: np.ndarray) -> np.ndarray:
        return self.days[rows]

    def history(self, rows: np.ndarray) -> np.ndarray:
        return self.past[rows]

    def names(self, kind: str) -> list[str]:
        return self.features.loc[self.features["kind"] == kind, "feature"].to_list()

    def flat_columns(self) -> pd.DataFrame:
        columns = [(f"{f}@{-ago}", f) for ago in range(DAYS) for f in self.names("daily")]
        columns += [(f, f) for f in self.names("history")]
        return pd.DataFrame(columns, columns=["column", "feature"], dtype=object)


def features_of(channels: tuple[tuple[str, str], ...], history: bool = True) -> pd.DataFrame:
    """FEATURES of these channels' counts and of the number of actors, with the project's own history."""
    rows = [(f"{s}:{e}:count", "daily", s, e, "count", None, "", "") for s, e in channels]
    rows.append(("received:actors", "daily", "received", None, "actors", None, "", ""))
    daily = pd.DataFrame(rows, columns=list(c.FEATURES.columns))
    return pd.concat([daily, history_features(daily, False, False)], ignore_index=True) if history else daily


def a_run(
    seed: int, *, users: int = 9, history: bool = True, sticker: bool = True, windows: int = 60
) -> dict[str, Any]:
    """A run of random numbers → the arguments of `judge`; some windows are not of test, some not judged."""
    random = np.random.default_rng(seed)
    places = random.choice(users * 20, windows, replace=False)
    index = pd.DataFrame({"user_id": places // 20 + 1, "anchor_day": [START + timedelta(int(p) % 20) for p in places]})
    index["split"] = random.choice(["train", "test", "open"], windows, p=[0.2, 0.7, 0.1])
    features = features_of(ONE_OF_EACH_ROLE, history)
    kinds = features["kind"].value_counts()
    fake = FakeWindows(
        index, features,
        random.poisson(0.5, (windows, DAYS, kinds["daily"])).astype(np.float32),
        random.poisson(5.0, (windows, kinds.get("history", 0))).astype(np.float32),
    )  # fmt: skip
    targets = ["churn", "sticker"] if sticker else ["churn"]
    test = np.flatnonzero(index["split"] == "test")
    return {
        "truth": _truth(random, users),
        "windows": fake,
        "judged": random.permutation(test)[: max(1, len(test) - 3)],
        **_predictions(random, index, targets),
        "target_summary": pd.DataFrame([(t, "gru") for t in targets], columns=["target", "used"]),
        **_explanation(random, fake, targets),
    }


def _truth(random: np.random.Generator, users: int) -> pd.DataFrame:
    rows = [
        (user, START + timedelta(day), 0.0, random.random(), random.random(),
         random.choice([*CAUSES, None, None]), 0.2)
        for user in range(1, users + 1) for day in range(20)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(c.TRUTH.columns)).sample(frac=1, random_state=1)


def _predictions(random: np.random.Generator, index: pd.DataFrame, targets: list[str]) -> dict[str, pd.DataFrame]:
    closed = index[index["split"] != "open"]
    parts = [
        closed.assign(
            target=target,
            model=model,
            p=np.round(random.random(len(closed)), 1),  # with ties
            y=random.integers(0, 2, len(closed)).astype(np.int8),
        )
        for target in targets
        for model in ("gru", "recency")
    ]
    predictions = pd.concat(parts).sample(frac=1, random_state=2)
    used = predictions[(predictions["model"] == "gru") & (predictions["split"] == "test")]
    ends = used[["user_id", "anchor_day", "target"]].sample(frac=1, random_state=3)
    ends = ends.assign(p_low=random.random(len(ends)) / 2, p_high=(1 + random.random(len(ends))) / 2)
    return {"predictions": predictions, "test_intervals": ends}


def _explanation(random: np.random.Generator, windows: FakeWindows, targets: list[str]) -> dict[str, pd.DataFrame]:
    flat = windows.flat_columns()
    sums = pd.DataFrame({"feature": windows.names("daily")})  # a direct explanation has columns of its own
    sums["column"] = sums["feature"] + "@sum"
    columns = pd.concat([flat, sums], ignore_index=True)
    collinearity = pd.DataFrame({"column": flat["column"], "kept": random.random(len(flat)) < 0.4})
    kept = collinearity.loc[collinearity["kept"], "column"].to_numpy()
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in ("selection", "importance", "surrogates", "reasons")}
    for target in targets:
        decision = random.choice(["accepted", "tentative", "rejected"], len(kept), p=[0.1, 0.1, 0.8])
        hits = random.integers(0, 21, len(kept))
        parts["selection"].append(
            pd.DataFrame({"target": target, "column": kept, "decision": decision, "hits": hits, "trials": 20})
        )
        for model in ("gru", "other"):
            named = random.choice(columns["column"], 30, replace=False)
            direction = np.where(random.random(30) < 0.2, np.nan, random.uniform(-1, 1, 30))
            weight = random.random(30) ** 4
            table = {"target": target, "model": model, "column": named, "importance": weight, "direction": direction}
            parts["importance"].append(pd.DataFrame(table))
            parts["surrogates"].append(pd.DataFrame([(target, model, model == "gru")], columns=_SURROGATE_COLUMNS))
        reasons = [
            (target, user, day, rank, str(feature))
            for user, day in windows.index[["user_id", "anchor_day"]].itertuples(index=False)
            for rank, feature in enumerate(
                random.choice(columns["feature"].unique(), random.integers(0, 5), replace=False), 1
            )
        ]
        parts["reasons"].append(pd.DataFrame(reasons, columns=_REASON_COLUMNS))
    tables = {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    return tables | {"collinearity": collinearity, "flat_columns": columns}


_SURROGATE_COLUMNS = ["target", "model", "explained"]
_REASON_COLUMNS = ["target", "user_id", "anchor_day", "rank", "feature"]
Figures = dict[tuple[str, str, str], tuple[float | None, int]]


def told(figures: pd.DataFrame) -> Figures:
    """TRUTH_FIGURES → (value or None, n) by (target, figure, about)."""
    return {
        (r.target, r.figure, r.about): (None if np.isnan(r.value) else r.value, r.n)
        for r in figures.itertuples(index=False)
    }


def mean(values: list) -> float | None:
    return sum(values) / len(values) if values else None


# --- the slow versions --------------------------------------------------------------------------


def slow(run: dict[str, Any]) -> Figures:
    """All figures of a run by loops over windows, columns and draws."""
    truth = {(r.user_id, r.day): r for r in run["truth"].itertuples()}
    feature_of = dict(zip(run["flat_columns"]["column"], run["flat_columns"]["feature"], strict=True))
    found: Figures = {}
    for target in run["target_summary"]["target"]:
        found |= slow_probabilities(run["predictions"], truth, target)
        found |= slow_intervals(run, truth, target)
    test = [r for r in run["predictions"].itertuples() if (r.target, r.model, r.split) == ("churn", "gru", "test")]
    causes = [cause_of(truth, r.user_id, r.anchor_day) or "none" for r in test]
    for about in (*CAUSES, "none"):
        n = causes.count(about)
        found["churn", "cause_share", about] = (n / len(test) if test else None), n
    return found | slow_selection(run, feature_of) | slow_directions(run, feature_of) | slow_reasons(run, truth)


def cause_of(truth: dict, user: int, day: date) -> str | None:
    cause = truth[user, day].cause
    return cause if isinstance(cause, str) else None


def slow_probabilities(predictions: pd.DataFrame, truth: dict, target: str) -> Figures:
    test = [r for r in predictions.itertuples() if (r.target, r.model, r.split) == (target, "gru", "test")]
    test.sort(key=lambda r: r.p)
    y, p = np.array([r.y for r in test], float), np.array([r.p for r in test])
    p_true = np.array([getattr(truth[r.user_id, r.anchor_day], f"p_{target}_true") for r in test])
    ap, ceiling, base = ev.average_precision(y, p), ev.average_precision(y, p_true), y.mean()
    inside, start = [], 0
    for row in ev.reliability(y, p, p, p):  # bins hold the windows in the order of p
        inside.append(row["low"] <= p_true[start : start + row["windows"]].mean() <= row["high"])
        start += row["windows"]
    values = {
        "base_rate": base, "ap_ceiling": ceiling, "auc_ceiling": ev.auc(y, p_true), "ap_used": ap,
        "auc_used": ev.auc(y, p), "ap_share": (ap - base) / (ceiling - base) if ceiling > base else None,
        "p_error": mean([abs(a - b) for a, b in zip(p, p_true, strict=True)]),
        "p_spearman": pd.Series(p).rank().corr(pd.Series(p_true).rank()), "bins_covered": mean(inside),
    }  # fmt: skip
    return {(target, figure, ""): (value, len(test)) for figure, value in values.items()}


def slow_intervals(run: dict[str, Any], truth: dict, target: str) -> Figures:
    p = {
        (r.user_id, r.anchor_day): r.p
        for r in run["predictions"].itertuples()
        if (r.target, r.model, r.split) == (target, "gru", "test")
    }
    windows = sorted(
        (p[r.user_id, r.anchor_day], r.p_low, getattr(truth[r.user_id, r.anchor_day], f"p_{target}_true"), r.p_high)
        for r in run["test_intervals"].itertuples() if r.target == target
    )  # fmt: skip
    edges = sorted({float(np.quantile([w[0] for w in windows], k / 10)) for k in range(1, 10)})
    bins: dict[int, list] = {}
    for window in windows:
        bins.setdefault(sum(edge <= window[0] for edge in edges), []).append(window)
    means = [[mean([w[i] for w in of_bin]) for i in (1, 2, 3)] for of_bin in bins.values()]
    values = {
        "interval_covered": mean([low <= true <= high for _, low, true, high in windows]),
        "interval_bins_covered": mean([low <= true <= high for low, true, high in means]),
        "interval_width": mean([high - low for _, low, _, high in windows]),
    }
    return {(target, figure, ""): (value, len(windows)) for figure, value in values.items()}


def slow_selection(run: dict[str, Any], feature_of: dict[str, str]) -> Figures:
    kept = set()
    for r in run["selection"].itertuples():
        if r.target == "churn" and (r.decision == "accepted" or (r.decision == "tentative" and r.hits > r.trials / 2)):
            kept.add(r.column)
    columns: dict[str, list] = {}
    for r in run["collinearity"].itertuples():
        columns.setdefault(feature_of[r.column], []).append(r)
    found: Figures = {}
    for about in ("", *WITH_FEATURES, *GROUPS):
        gone, selected = [], []
        for f in run["windows"].features.itertuples():
            role = next(((h.role, h.cause) for h in CHANNELS if (h.side, h.event) == (f.side, f.event_name)), None)
            if role is None or not (role[0] == about or (role[0] == "cause" and about in ("", role[1]))):
                continue
            gone.append(not any(r.kept for r in columns[f.feature]))
            if not gone[-1]:
                selected.append(any(r.column in kept for r in columns[f.feature]))
        found["churn", "selected", about] = mean(selected), len(selected)
        found["churn", "collinear", about] = mean(gone), len(gone)
    return found


def explained(run: dict[str, Any], feature_of: dict[str, str]) -> dict[str, list]:
    """feature → its rows of IMPORTANCE in the explained model of churn."""
    of_feature: dict[str, list] = {}
    for r in run["importance"].itertuples():
        if (r.target, r.model) == ("churn", "gru"):
            of_feature.setdefault(feature_of[r.column], []).append(r)
    return of_feature


def slow_directions(run: dict[str, Any], feature_of: dict[str, str]) -> Figures:
    rows = explained(run, feature_of)
    total = {f: sum(r.importance for r in of) for f, of in rows.items()}
    found, all_right = {}, []
    for cause in WITH_FEATURES:
        right = []
        for feature, sign in CAUSE_FEATURES[cause].items():
            pushes = [r.importance * r.direction for r in rows.get(feature, []) if not np.isnan(r.direction)]
            if pushes and total[feature] >= 0.01 * max(total.values()):
                right.append(sum(pushes) * sign > 0)
        all_right += right
        found["churn", "direction_right", cause] = mean(right), len(right)
    return found | {("churn", "direction_right", ""): (mean(all_right), len(all_right))}


def slow_reasons(run: dict[str, Any], truth: dict) -> Figures:
    windows = run["windows"]
    feature_of = dict(zip(run["flat_columns"]["column"], run["flat_columns"]["feature"], strict=True))
    rows = explained(run, feature_of)
    ranked = sorted(rows, key=lambda f: (-sum(r.importance for r in rows[f]), f))
    reasons: dict[tuple, set] = {}
    for r in run["reasons"].itertuples():
        if r.target == "churn" and r.rank <= 3:
            reasons.setdefault((r.user_id, r.anchor_day), set()).add(r.feature)
    changed = slow_changes(windows, run["judged"])
    recency = {"history:recency", "history:overdue", "history:active_days:7"}
    scores: dict[str, list] = {}
    for i, place in enumerate(run["judged"]):
        user, day = windows.index.iloc[place]["user_id"], windows.index.iloc[place]["anchor_day"]
        cause = cause_of(truth, user, day)
        if cause not in WITH_FEATURES:
            continue
        right = set(CAUSE_FEATURES[cause])
        draws, named = (
            list(combinations([f in right for f in names], 3)) for names in (windows.features["feature"], rows)
        )
        marks = {
            "at_3": bool(reasons.get((user, day), set()) & right), "chance": mean([any(draw) for draw in draws]),
            "chance_named": mean([any(draw) for draw in named]),
            "recency": bool(recency & right), "same": bool(set(ranked[:3]) & right),
        }  # fmt: skip
        if changed is not None:
            marks["change"] = any(f in right or f"history:sum:{f}:28" in right for f in changed[i])
        for name, mark in marks.items():
            scores.setdefault(f"precision_{name}", []).append((cause, mark))
    found: Figures = {}
    for figure in ("at_3", "chance", "chance_named", "recency", "same", "change"):
        figure = f"precision_{figure}"
        for about in ("", *WITH_FEATURES):
            here = [mark for cause, mark in scores.get(figure, []) if about in ("", cause)]
            found["churn", figure, about] = mean(here), len(here)
    return found


def slow_changes(windows: FakeWindows, judged: np.ndarray) -> list[list[str]] | None:
    """For each judged window the daily features that changed most; None without history."""
    past = windows.names("history")
    if not past:
        return None
    table = pd.DataFrame(index=range(len(judged)))
    for i, feature in enumerate(windows.names("daily")):
        recent = [sum(windows.days[j, :, i].tolist()) for j in judged]
        month = [float(windows.past[j, past.index(f"history:sum:{feature}:28")]) for j in judged]
        difference = pd.Series([a - (b - a) / 3 for a, b in zip(recent, month, strict=True)])
        if difference.std(ddof=0) > 0:
            table[feature] = difference.abs() / difference.std(ddof=0)
    ranked = [sorted(((-v, i, f) for i, (f, v) in enumerate(row.items())))[:3] for _, row in table.iterrows()]
    return [[f for size, _, f in row if size < 0] for row in ranked]


# --- tests --------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), history=st.booleans(), sticker=st.booleans())
def test_every_figure_equals_its_slow_version(seed: int, history: bool, sticker: bool) -> None:
    run = a_run(seed, history=history, sticker=sticker)
    figures = judge(**run)
    c.TRUTH_FIGURES.check(figures)
    found, expected = told(figures), slow(run)
    assert found.keys() == expected.keys()
    for key, (value, n) in expected.items():
        assert found[key] == (pytest.approx(value) if value is not None else None, n), key
    assert figures.loc[figures["figure"] != "precision_at_3", ["low", "high"]].isna().all(axis=None)


def test_blocks_of_windows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(4)
    whole = judge(**run)
    monkeypatch.setattr(judgement, "BLOCK", 7)
    pd.testing.assert_frame_equal(judge(**run), whole)


def test_the_names_it_looks_for_are_those_of_the_history() -> None:
    features = set(features_of(ONE_OF_EACH_ROLE)["feature"])
    assert set(judgement.RECENCY) <= features
    assert "history:sum:own:post:count:28" in features


# --- by hand ------------------------------------------------------------------------------------


def by_hand() -> dict[str, Any]:
    """Four test windows of three users, with three daily features: posts, night lives, first comments."""
    days = [START + timedelta(40)] * 3 + [START + timedelta(41)]
    index = pd.DataFrame({"user_id": ["a", "b", "c", "a"], "anchor_day": days, "split": "test"})
    names = ("own:post:count", "own:night_live:count", "received:first_comment:count")
    features = features_of((("own", "post"), ("own", "night_live"), ("received", "first_comment")))
    windows = FakeWindows(
        index, features, np.zeros((4, 7, 4), np.float32), np.zeros((4, len(features) - 4), np.float32)
    )
    windows.days[:, 0, 1] = (3, 0, 0, 0)  # a burst of night lives by the first user, none before
    month = [windows.names("history").index(f"history:sum:{name}:28") for name in names]
    windows.past[:, month[1]] = (3, 0, 0, 0)
    windows.past[:, month[2]] = (0, 21, 0, 0)  # the second got a comment a day, and none this week
    truth = pd.DataFrame(
        [("a", days[0], 0.9, "burnout"), ("b", days[0], 0.6, "unanswered_posts"), ("c", days[0], 0.2, None),
         ("a", days[3], 0.4, "chance"), ("z", days[0], 0.5, "burnout")],
        columns=["user_id", "day", "p_churn_true", "cause"],
    ).assign(engagement=0.0, p_sticker_true=0.5, drop=0.2)  # fmt: skip
    flat = windows.flat_columns()
    kept = ["own:night_live:count@0", "received:first_comment:count@-3", "own:post:count@0"]
    importance = [("own:night_live:count@0", 1.0, -0.5), ("own:night_live:count@-1", 0.5, 0.9),
                  ("received:first_comment:count@-3", 2.0, -0.1), ("own:post:count@0", 3.0, -0.8),
                  ("history:recency", 0.9, 1.0), ("history:sum:own:night_live:count:28", 0.029, 0.3)]  # fmt: skip
    reasons = [("a", days[0], 1, "own:post:count"), ("a", days[0], 2, "own:night_live:count"),
               ("a", days[3], 1, "own:night_live:count"), ("b", days[0], 1, "own:post:count")]  # fmt: skip
    return {
        "truth": truth,
        "windows": windows,
        "judged": np.arange(4),
        "predictions": index.assign(target="churn", model="gru", p=[0.7, 0.3, 0.4, 0.1], y=[1, 1, 0, 0]),
        "test_intervals": index[["user_id", "anchor_day"]].assign(
            target="churn", p_low=[0.5, 0.2, 0.3, 0.0], p_high=[0.8, 0.55, 0.5, 0.4]
        ),
        "target_summary": pd.DataFrame({"target": ["churn"], "used": ["gru"]}),
        "collinearity": pd.DataFrame({"column": flat["column"], "kept": flat["column"].isin(kept)}),
        "selection": pd.DataFrame(
            {"column": kept, "decision": ["tentative", "tentative", "rejected"], "hits": [11, 10, 0], "trials": 20}
        ).assign(target="churn"),
        "importance": pd.DataFrame(importance, columns=["column", "importance", "direction"]).assign(
            target="churn", model="gru"
        ),
        "surrogates": pd.DataFrame([("churn", "gru", True)], columns=_SURROGATE_COLUMNS),
        "reasons": pd.DataFrame(reasons, columns=_REASON_COLUMNS[1:]).assign(target="churn"),
        "flat_columns": flat,
    }


BY_HAND: dict[tuple[str, str], tuple[float | None, int]] = {
    ("base_rate", ""): (0.5, 4),
    ("ap_ceiling", ""): (1.0, 4),  # p_true: a and b, who churned, before the others
    ("auc_ceiling", ""): (1.0, 4),
    ("ap_used", ""): ((1 + 2 / 3) / 2, 4),  # churned ones at places 1 and 3
    ("auc_used", ""): (0.75, 4),
    ("ap_share", ""): ((5 / 6 - 1 / 2) / (1 / 2), 4),
    ("p_error", ""): ((0.2 + 0.3 + 0.2 + 0.3) / 4, 4),
    ("p_spearman", ""): (0.4, 4),  # ranks 4 2 3 1 against 4 3 1 2: 1 - 6 · (0 + 1 + 4 + 1) / 60
    ("bins_covered", ""): (1.0, 4),  # a bin each: [0.21, 1] after a 1, [0, 0.79] after a 0
    # a 0.9 not in [0.5, 0.8], b 0.6 not in [0.2, 0.55], c 0.2 not in [0.3, 0.5], a's second 0.4 at the end of [0, 0.4]
    ("interval_covered", ""): (0.25, 4),
    ("interval_bins_covered", ""): (0.25, 4),
    ("interval_width", ""): ((0.3 + 0.35 + 0.2 + 0.4) / 4, 4),
    ("cause_share", "burnout"): (0.25, 1),
    ("cause_share", "chance"): (0.25, 1),
    ("cause_share", "none"): (0.25, 1),
    ("cause_share", "falling_reach"): (0.0, 0),
    # of night lives and first comments the daily feature has a column left, the sum of 28 days has none;
    # 11 of 20 trials are more than half of them, 10 are not
    ("selected", ""): (0.5, 2),
    ("selected", "burnout"): (1.0, 1),
    ("selected", "unanswered_posts"): (0.0, 1),
    ("selected", "falling_reach"): (None, 0),
    ("selected", "distractor"): (None, 0),
    ("collinear", ""): (0.5, 4),
    ("collinear", "burnout"): (0.5, 2),
    ("collinear", "independent"): (None, 0),
    # night lives: -0.5 + 0.45 < 0 is wrong, their sum has less than 1 % of 3.0; comments: -0.2 is right
    ("direction_right", ""): (0.5, 2),
    ("direction_right", "burnout"): (0.0, 1),
    ("direction_right", "unanswered_posts"): (1.0, 1),
    ("direction_right", "price_change"): (None, 0),
    ("precision_at_3", ""): (0.5, 2),  # a: yes. b: only posts. c: no cause; a's second day: chance
    ("precision_at_3", "burnout"): (1.0, 1),
    ("precision_at_3", "unanswered_posts"): (0.0, 1),
    ("precision_at_3", "seasonal_leave"): (None, 0),
    # five features can be named: two are of burnout, one of unanswered posts
    ("precision_chance_named", "burnout"): (1 - 1 / 10, 1),
    ("precision_chance_named", "unanswered_posts"): (3 / 5, 1),
    ("precision_chance_named", ""): (0.75, 2),
    ("precision_recency", ""): (0.0, 2),
    ("precision_same", "burnout"): (1.0, 1),  # posts 3.0, comments 2.0, night lives 1.5
    ("precision_same", ""): (1.0, 2),
    ("precision_change", ""): (1.0, 2),
    ("precision_change", "unanswered_posts"): (1.0, 1),
}


@pytest.mark.parametrize("key", BY_HAND, ids=":".join)
def test_by_hand(key: tuple[str, str]) -> None:
    value, n = BY_HAND[key]
    assert told(judge(**by_hand()))["churn", *key] == (pytest.approx(value) if value is not None else None, n)


def test_a_bin_whose_true_mean_is_outside_is_not_covered() -> None:
    run = by_hand()
    run["truth"]["p_churn_true"] = [0.9, 0.6, 0.9, 0.1, 0.5]  # c did not churn: 0.9 is above 0.79
    assert told(judge(**run))["churn", "bins_covered", ""] == (0.75, 4)
    run["truth"]["p_churn_true"] = [0.9, 0.6, 0.5, 0.1, 0.5]
    assert told(judge(**run))["churn", "bins_covered", ""] == (1.0, 4)


def test_what_has_not_changed_is_no_reason() -> None:
    run = by_hand()
    run["windows"].past[:] = 0
    run["windows"].days[:] = 0
    assert told(judge(**run))["churn", "precision_change", ""] == (0.0, 2)


def test_the_sum_of_a_changed_feature_is_a_hit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CAUSE_FEATURES, "burnout", {"history:sum:own:night_live:count:28": 1})
    assert told(judge(**by_hand()))["churn", "precision_change", "burnout"] == (1.0, 1)


def test_observations_of_other_lengths_are_scaled() -> None:
    run = by_hand()
    half = run["windows"]
    half.days = np.zeros((4, 14, 4), np.float32)
    half.days[:, 0, :3] = ((2, 3, 0), (2, 0, 0), (2, 0, 0), (2, 0, 0))
    half.past[:, half.names("history").index("history:sum:own:post:count:28")] = 4  # as many before: no change
    names, change = judgement._changes(half, np.arange(4))
    assert (change[:, names.index("own:post:count")] == 0).all()
    half.days = np.zeros((4, 28, 4), np.float32)
    assert told(judge(**run))["churn", "precision_change", ""] == (None, 0)


# --- the interval -------------------------------------------------------------------------------


def test_the_interval_is_as_wide_as_the_spread_between_users_says() -> None:
    random = np.random.default_rng(1)
    user = np.repeat(np.arange(300), 5)
    rate = random.beta(2, 2, 300)
    score = (random.random(1500) < rate[user]).astype(float)
    low, high = judgement._interval(score, pd.Series(user))
    means = score.reshape(300, 5).mean(axis=1)
    assert low < score.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * means.std(ddof=1) / np.sqrt(300), rel=0.15)


def test_more_windows_of_the_same_users_do_not_narrow_the_interval() -> None:
    score, user = np.array([1.0, 0, 1, 1, 0, 1, 0, 0]), pd.Series(list("aabbccdd"))
    once = judgement._interval(score, user)
    assert once == pytest.approx(judgement._interval(np.tile(score, 9), pd.concat([user] * 9)))
    assert judgement._interval(score[:2], user[:2]) == (None, None)
    assert judgement._interval(np.ones(8), pd.Series(list("abbcccdd"))) == (1, 1)


def test_the_interval_stands_beside_precision_at_3_and_is_the_same_each_time() -> None:
    run = a_run(3, users=30, windows=200)
    first, again = judge(**run), judge(**run)
    pd.testing.assert_frame_equal(first, again)
    row = first[(first["figure"] == "precision_at_3") & (first["about"] == "")].iloc[0]
    assert 0 <= row["low"] < row["value"] < row["high"] <= 1


# --- nothing to measure, and the wrong truth ----------------------------------------------------


def test_no_test_window_gives_nulls() -> None:
    run = a_run(5)
    run["predictions"] = run["predictions"][run["predictions"]["split"] != "test"]
    run["judged"] = np.array([], dtype=int)
    figures = judge(**run)
    c.TRUTH_FIGURES.check(figures)
    of_windows = figures[~figures["figure"].isin(["selected", "collinear", "direction_right"])]
    assert of_windows["value"].isna().all() and (of_windows["n"] == 0).all()


@pytest.mark.parametrize("name", ["reasons", "importance", "selection", "surrogates", "collinearity"])
def test_an_empty_table_of_the_explanation_is_no_error(name: str) -> None:
    run = a_run(6)
    run[name] = pd.DataFrame(columns=run[name].columns)
    found = told(judge(**run))
    judged = found["churn", "precision_at_3", ""][1]
    expected = {
        "reasons": {"precision_at_3": (0.0, judged)},
        "importance": {"precision_chance_named": (None, 0), "precision_same": (None, 0), "direction_right": (None, 0)},
        "selection": {"selected": (0.0, found["churn", "selected", ""][1])},
        "surrogates": {"precision_chance_named": (None, 0), "precision_same": (None, 0), "direction_right": (None, 0)},
        "collinearity": {"selected": (None, 0), "collinear": (None, 0)},
    }[name]
    assert judged > 0
    for figure, value in expected.items():
        assert found["churn", figure, ""] == value


def test_one_class_and_constants_give_nulls_without_a_warning() -> None:
    run = a_run(7)
    run["predictions"] = run["predictions"].assign(y=0, p=0.5)
    found = told(judge(**run))
    nulls = {"ap_ceiling", "ap_used", "auc_ceiling", "auc_used", "ap_share", "p_spearman"}
    assert {f for t, f, _ in found if t == "sticker" and found[t, f, ""][0] is None} == nulls
    run["predictions"] = run["predictions"].assign(y=1)
    found = told(judge(**run))
    assert found["churn", "ap_used", ""][0] == 1 and found["churn", "ap_share", ""][0] is None


def test_the_truth_of_another_log_is_refused() -> None:
    run = a_run(8)
    run["truth"] = run["truth"][run["truth"]["user_id"] != 3]
    with pytest.raises(LogError, match=r"nothing of \d+ of \d+ windows \(the first: user 3 on 2024-01-"):
        judge(**run)


def test_a_column_that_nobody_knows_is_our_fault() -> None:
    run = a_run(9)
    run["flat_columns"] = run["flat_columns"].iloc[5:]
    with pytest.raises(ContractError, match="not in flat_columns"):
        judge(**run)
