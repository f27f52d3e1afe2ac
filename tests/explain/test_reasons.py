"""reasons.py: the right features, what was usual for the user before, and what is not known."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from synthetic import lives_of

from tschurn.config import WindowShape
from tschurn.contracts import REASONS
from tschurn.explain.reasons import before, by_feature, described, reasons, where_known
from tschurn.features.history import at_anchors, history_features
from tschurn.features.labels import Activity
from tschurn.features.lives import Lives
from tschurn.features.windows import WindowSet

NAN = float("nan")


def windows_of(ids: np.ndarray | list) -> pd.DataFrame:
    days = pd.Series([date(2024, 1, 7)] * len(ids), dtype=object)
    return pd.DataFrame({"user_id": ids, "anchor_day": days})


def features_of(names: list[str]) -> pd.DataFrame:
    count = range(len(names))
    return pd.DataFrame(
        {"feature": names, "kind": "history", "side": None, "event_name": None, "measure": "odd",
         "lookback": pd.array([pd.NA] * len(names), "Int64"), "label_en": [f"Label {i}" for i in count],
         "label_ko": [f"이름 {i}" for i in count], "place": -1}
    )  # fmt: skip


def reasons_of(contributions: np.ndarray, values: np.ndarray, ids: np.ndarray | list, **how: object) -> pd.DataFrame:
    n, f = contributions.shape
    given = {"before": np.full((n, f), NAN), "reliable": np.ones(n, dtype=bool), "typical": np.zeros(f)} | how
    return reasons(contributions, values, features_of([f"f{i}" for i in range(f)]), windows_of(ids), **given)


def plain_reasons(contributions: np.ndarray, top: int) -> list[tuple[int, int, int]]:
    """(row, feature, rank), window by window."""
    found = []
    for row, values in enumerate(contributions):
        best = sorted((f for f in range(len(values)) if values[f] > 0), key=lambda f, values=values: (-values[f], f))
        found += [(row, feature, rank) for rank, feature in enumerate(best[:top], start=1)]
    return found


@pytest.mark.parametrize("top", [1, 3, 20])
def test_same_as_window_by_window(top: int) -> None:
    rng = np.random.default_rng(0)
    contributions, values = rng.normal(size=(40, 12)).round(1), rng.normal(size=(40, 12))
    usual, typical, holds = rng.normal(size=(40, 12)), rng.normal(size=12), rng.random(40) < 0.5
    usual[rng.random((40, 12)) < 0.3] = NAN
    contributions[7] = -1
    contributions[8] = 0
    table = reasons_of(
        contributions, values, np.arange(40) + 100, top=top, before=usual, typical=typical, reliable=holds
    )
    expected = plain_reasons(contributions, top)
    found = list(zip(table["user_id"] - 100, table["feature"], table["rank"], strict=True))
    assert found == [(row, f"f{feature}", rank) for row, feature, rank in expected]
    for column, of in (("contribution", contributions), ("value", values), ("before", usual)):
        np.testing.assert_array_equal(table[column], [of[row, feature] for row, feature, _ in expected])
    assert table["typical"].tolist() == [typical[feature] for _, feature, _ in expected]
    assert table["reliable"].tolist() == [holds[row] for row, *_ in expected]
    assert not set(table["user_id"]) & {107, 108}
    REASONS.check(table.assign(target="churn"))


def test_the_days_of_a_feature_push_together() -> None:
    """Two weak days make a strong feature; a day that pushes back counts as well."""
    contributions = np.array([[0.3, 0.5, 0.3], [0.9, 0.5, -0.8]])
    assert by_feature(contributions, pd.Series(["a", "b", "a"])) == pytest.approx(np.array([[0.6, 0.5], [0.1, 0.5]]))
    rng = np.random.default_rng(1)
    names = pd.Series(rng.choice(list("abcd"), 9))
    contributions = rng.normal(size=(5, 9))
    expected = pd.DataFrame(contributions.T).groupby(names.to_numpy(), sort=False).sum().T.to_numpy()
    assert by_feature(contributions, names) == pytest.approx(expected)


@pytest.mark.parametrize(("target", "raises"), [("churn", "raises the risk"), ("sticker", "raises the chance")])
def test_sentences_have_the_numbers_of_their_row(target: str, raises: str) -> None:
    values, usual = np.array([[5.0, 3.0], [1.0, NAN]]), np.array([[NAN, 3.1], [2.0, NAN]])
    table = reasons_of(
        np.array([[0.7, 0.1], [0.2, 0.4]]), values, ["kim", "lee"], before=usual, typical=np.array([1.234, 3.0]),
        target=target,
    )  # fmt: skip
    assert table["sentence_en"].tolist() == [
        "Label 0: 5, more than the average of 1.2",
        f"Label 1: 3, about their usual 3.1 and as on average, but {raises} together with other signs",
        "Label 1: not known",
        "Label 0: 1, less than their usual 2 and the average of 1.2",
    ]
    assert table["sentence_ko"].tolist()[0] == "이름 0: 5, 평균(1.2)보다 많습니다"
    assert table["user_id"].tolist() == ["kim", "kim", "lee", "lee"]
    REASONS.check(table.assign(target=target))


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (4, 3)])
@pytest.mark.parametrize("ids", [np.arange(4), np.array(list("abcd"))])
def test_nobody_or_nothing(shape: tuple[int, int], ids: np.ndarray) -> None:
    table = reasons_of(np.zeros(shape), np.zeros(shape), ids[: shape[0]])
    assert len(table) == 0
    REASONS.check(table.assign(target="churn"))


# --- of real windows ------------------------------------------------------------------------------
USERS, DAYS = 12, 70
LATE, ONCE, GIVEN_TO_BEFORE = 3, 4, 5  # users: who comes on day 40, who acts once, whom others act towards first


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    """Panel [users × days × (own post, received like)] with its real history, anchors every five days."""
    rng = np.random.default_rng(2)
    panel = rng.poisson(0.8, (USERS, DAYS, 2)).astype(np.float32)
    panel[LATE, :40] = 0
    panel[LATE, 40, 0] = 1
    panel[ONCE, :, 0] = 0
    panel[ONCE, 66, 0] = 2
    panel[GIVEN_TO_BEFORE, :50, 0] = 0
    panel[GIVEN_TO_BEFORE, 50, 0] = 1
    active = panel[:, :, 0] > 0
    stickers = np.where(rng.random(panel.shape[:2]) < 0.05, 1.0, 0.0).astype(np.float32)
    stickers[:2] = 0
    hours = np.where(active, 9, -1).astype(np.int8)
    activity = Activity(active, panel[:, :, 0], panel[:, :, 1], stickers, stickers * 100, hours, hours)
    daily = pd.DataFrame(
        [(f"{side}:{event}:count", "daily", side, event, "count", None, f"{side} {event}", event)
         for side, event in (("own", "post"), ("received", "like"))],
        columns=["feature", "kind", "side", "event_name", "measure", "lookback", "label_en", "label_ko"],
    )  # fmt: skip
    features = pd.concat([daily, history_features(daily, True, True)], ignore_index=True)
    anchors = np.arange(6, DAYS, 5)
    history = np.stack(list(at_anchors(panel, activity, anchors, 0, True, True)), axis=1)
    user, place = np.nonzero(np.ones((USERS, len(anchors))))
    index = pd.DataFrame({"user_id": user + 100, "user": user, "anchor_day": anchors[place], "anchor": anchors[place]})
    return WindowSet(
        index, features, panel, history[user, place], 7, Lives(active, stickers, WindowShape(), 0)
    )  # fmt: skip


def columns_of(windows: WindowSet) -> pd.DataFrame:
    flat = windows.flat_columns()
    more = pd.DataFrame(
        {"column": ["window:recency", "window:active_days"], "feature": ["window:recency", "window:active_days"],
         "day_offset": pd.array([pd.NA] * 2, "Int32"), "kind": "history", "label_en": "x", "label_ko": "x"}
    )  # fmt: skip
    return pd.concat([flat, more], ignore_index=True)


def values_of(windows: WindowSet, rows: np.ndarray, features: pd.DataFrame) -> np.ndarray:
    history = pd.DataFrame(
        windows.history(rows), columns=windows.features.loc[windows.features["kind"] == "history", "feature"]
    )
    sums, active = windows.batch(rows).sum(axis=1), windows.batch(rows)[:, :, 0] > 0
    recency = np.where(active.any(axis=1), active[:, ::-1].argmax(axis=1), 7)
    own = {"window:recency": recency, "window:active_days": active.sum(axis=1)}
    return np.stack(
        [sums[:, f.place] if f.place >= 0 else own[f.feature] if f.feature in own else history[f.feature]
         for f in features.itertuples()], axis=1,
    ).astype(float)  # fmt: skip


def test_features_are_described_by_first_appearance(windows: WindowSet) -> None:
    columns = columns_of(windows)
    features = described(windows, columns.iloc[::-1])
    assert features["feature"].tolist() == list(dict.fromkeys(columns["feature"][::-1]))
    by = features.set_index("feature")
    assert by.loc["own:post:count", ["place", "lookback", "side", "event_name", "measure", "label_en"]].tolist() == [
        0, 7, "own", "post", "count", "own post"
    ]  # fmt: skip
    assert by.loc["received:like:count", "place"] == 1
    assert by.loc["history:active_days:28", ["place", "lookback", "measure"]].tolist() == [-1, 28, "active_days"]
    assert by.loc["window:recency", ["measure", "lookback"]].tolist() == ["recency", 7]
    assert by.loc["window:active_days", ["measure", "lookback"]].tolist() == ["active_days", 7]
    assert pd.isna(by.loc["history:recency", "lookback"])


def test_usual_before_is_the_mean_of_the_days_before(windows: WindowSet) -> None:
    features, rows = described(windows, columns_of(windows)), np.arange(len(windows.index))
    usual = pd.DataFrame(before(windows, rows, features), columns=features["feature"])
    panel = windows.days(np.arange(USERS), np.tile(np.arange(DAYS), (USERS, 1)))
    acts = {
        "own:post:count": (panel[:, :, 0], 7, 28, False), "received:like:count": (panel[:, :, 1], 7, 28, True),
        "history:active_days:7": (windows.lives.active, 7, 28, False),
        "history:active_days:14": (windows.lives.active, 14, 28, False),
        "history:active_days:28": (windows.lives.active, 28, 56, False),
        "history:own_acts:14": (panel[:, :, 0], 14, 28, False),
        "history:received_acts:7": (panel[:, :, 1], 7, 28, True),
        "history:stickers:28": (windows.lives.stickers, 28, 56, True),
    }  # fmt: skip
    known = 0
    for i, (user, anchor) in enumerate(windows.index[["user", "anchor"]].itertuples(index=False)):
        first = int(np.flatnonzero(windows.lives.active[user])[0])
        for feature, (of, days, longer, others) in acts.items():
            start, end = max(0, anchor - longer + 1), anchor - days + 1
            there = of[user, max(start, first) : max(end, start)]
            if len(there) < days or (others and first > start):
                assert np.isnan(usual.loc[i, feature]), (feature, user, anchor)
            else:
                known += 1
                assert usual.loc[i, feature] == pytest.approx(there.mean() * days), (feature, user, anchor)
        gaps = np.diff(np.flatnonzero(windows.lives.active[user, : anchor + 1]))
        for feature in ("history:recency", "window:recency"):
            assert usual.loc[i, feature] == pytest.approx(gaps.mean() if len(gaps) else NAN, nan_ok=True)
    assert known > 300
    rest = usual.drop(columns=[*acts, "history:recency", "window:recency", "history:own_acts:7", "history:own_acts:28",
                               "history:received_acts:14", "history:received_acts:28", "history:stickers:7",
                               "history:stickers:14"])  # fmt: skip
    assert rest.isna().all(axis=None)


def test_what_rounding_leaves_of_a_sum_is_nothing(windows: WindowSet) -> None:
    features = described(windows, columns_of(windows))
    spent = np.random.default_rng(3).random((USERS, DAYS, 2)).astype(np.float32)
    spent[:, :35] = 0  # of the 28 days up to anchor 41, only the observed ones hold anything
    sums = [f"history:sum:{name}:28" for name in ("own:post:count", "received:like:count")]
    index = windows.index[(windows.index["anchor"] == 41)].reset_index(drop=True)
    history = pd.DataFrame(0.0, index=index.index, columns=windows.features["feature"][2:])
    history[sums] = spent[:, 14:42].astype(np.float64).sum(axis=1) * (1 + 1e-7)
    of = WindowSet(index, windows.features, spent, history.to_numpy(np.float32), 7, windows.lives)
    usual = before(of, np.arange(USERS), features)[:, features["place"] >= 0]
    assert np.nanmax(np.abs(usual)) == 0 and np.isfinite(usual).any()


def test_what_is_not_known_is_not_a_number(windows: WindowSet) -> None:
    features, rows = described(windows, columns_of(windows)), np.arange(len(windows.index))
    values = values_of(windows, rows, features)
    given = values.copy()
    known = pd.DataFrame(where_known(windows, rows, features, values), columns=features["feature"])
    np.testing.assert_array_equal(values, given)  # what was given stays as it was
    was = pd.DataFrame(values, columns=features["feature"])
    asked = ["history:recency", "history:sticker_recency", "history:mean_gap", "history:overdue", "history:first_hour",
             "history:last_hour", "window:recency", *(f"history:week:{k}" for k in range(1, 9))]  # fmt: skip
    for i, (user, anchor) in enumerate(windows.index[["user", "anchor"]].itertuples(index=False)):
        active = np.flatnonzero(windows.lives.active[user, : anchor + 1])
        first = int(np.flatnonzero(windows.lives.active[user])[0])
        unknown = {
            "history:recency": not len(active),
            "history:sticker_recency": not windows.lives.stickers[user, : anchor + 1].any(),
            "history:mean_gap": len(active) < 2,
            "history:overdue": len(active) < 2,
            "history:first_hour": not (active > anchor - 28).any(),
            "history:last_hour": not (active > anchor - 28).any(),
            "window:recency": not (active > anchor - 7).any(),
            **{f"history:week:{k}": first > anchor - 7 * (k - 1) for k in range(1, 9)},
        }
        for feature in asked:
            assert np.isnan(known.loc[i, feature]) == unknown[feature], (feature, user, anchor)
    found = known[asked].isna()
    assert (found.any() & ~found.all()).all()
    pd.testing.assert_frame_equal(known.where(~known.isna(), was), was)
    assert not known.drop(columns=asked).isna().any(axis=None)


def test_a_fact_that_is_not_known_and_a_supporter_who_never_was(windows: WindowSet) -> None:
    names = ["history:fact:age", "history:fact:age:unknown", "history:supporters:top_recency"]
    features = features_of(names).assign(measure=["fact", "fact", "top_recency"])
    anchor = windows.index["anchor"].to_numpy(float)
    missing = np.arange(len(anchor)) % 2
    with_facts = WindowSet(
        windows.index, features, np.zeros((USERS, DAYS, 0), np.float32),
        np.stack([3 * (1 - missing), missing, anchor + missing], axis=1).astype(np.float32), 7, windows.lives,
    )  # fmt: skip
    values = with_facts.history(np.arange(len(anchor)))
    known = where_known(with_facts, np.arange(len(anchor)), features, values)
    np.testing.assert_array_equal(np.isnan(known[:, 0]), missing == 1)
    np.testing.assert_array_equal(known[:, 1], missing)
    np.testing.assert_array_equal(np.isnan(known[:, 2]), missing == 1)


def test_without_history_nothing_was_before(planted: type) -> None:
    bare = planted(users=5, anchors=8)
    bare.lives = lives_of(np.ones((5, 60, 1)))
    features, rows = described(bare, bare.flat_columns()), np.arange(20)
    assert np.isnan(before(bare, rows, features)).all()
    values = np.ones((20, len(features)))
    np.testing.assert_array_equal(where_known(bare, rows, features, values), values)
