"""The joint rate against a slow plain version, and against populations whose joint rate is known."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from tschurn.config import parse
from tschurn.contracts import JOINT, PREDICTIONS
from tschurn.segments.joint import joint_rate

USED = pd.DataFrame({"target": ["churn", "sticker"], "used": ["gru", "recency"]})


def experiment(side="received", events=("gift",), activity=None):
    churn = {} if activity is None else {"events": list(activity)}
    targets = {"churn": churn, "sticker": {"events": list(events), "side": side}}
    return parse({"experiment": {"name": "test"}, "log": {"path": "x"}, "targets": targets}, "test")


def predictions(n=2000, seed=0, together=0.0, ties=False):
    """Of each target two models; the used one's p is right, what happens goes `together` beyond it."""
    rng = np.random.default_rng(seed)
    p = rng.beta(2, 3, (2, n))
    p = np.round(p, 1) if ties else p
    luck = rng.random((2, n))
    luck[1] = np.where(rng.random(n) < together, luck[0], luck[1])
    y = (luck < p).astype(np.int8)
    days = [date(2024, 1, 1) + timedelta(days=7 * week) for week in range(5)]
    keys = pd.DataFrame({"user_id": np.arange(n) // 5, "anchor_day": [days[i % 5] for i in range(n)]})
    keys["split"] = np.where(np.arange(n) < n // 10, "calibration", "test")
    parts = []
    for i, (target, used) in enumerate(USED.itertuples(index=False)):
        parts.append(keys.assign(target=target, model=used, p=p[i], y=y[i]))
        parts.append(keys.assign(target=target, model="other", p=rng.random(n), y=y[i]))
    table = pd.concat(parts).sample(frac=1, random_state=1)
    PREDICTIONS.check(table)
    return table


def slow(table):
    """The rows of JOINT by loops."""
    found = {}
    for r in table.itertuples():
        if r.split == "test" and r.model == dict(USED.to_numpy())[r.target]:
            found.setdefault((r.user_id, r.anchor_day), {})[r.target] = r
    windows = sorted((w["churn"].p * w["sticker"].p, w["churn"], w["sticker"]) for w in found.values())
    products = [w[0] for w in windows]
    edges = sorted({float(np.quantile(products, k / 10)) for k in range(1, 10)})
    groups = {}
    for window in windows:
        groups.setdefault(sum(edge <= window[0] for edge in edges), []).append(window)
    rows = []
    for place, key in enumerate(sorted(groups)):
        group = groups[key]
        n, both = len(group), sum(c.y * s.y for _, c, s in group)
        bounds = binomtest(int(both), n).proportion_ci(method="wilson")
        mean = [sum(v) / n for v in zip(*((q, c.p, s.p, c.y, s.y) for q, c, s in group), strict=True)]
        rows.append((place, n, *mean, both / n, bounds.low, bounds.high))
    return pd.DataFrame(rows, columns=list(JOINT.columns))


@pytest.mark.parametrize("ties", [False, True])
def test_it_equals_a_slow_version(ties):
    table = predictions(400, ties=ties)
    found = joint_rate(table, USED, experiment())
    JOINT.check(found)
    pd.testing.assert_frame_equal(found, slow(table), check_dtype=False, rtol=1e-9)


def test_where_the_targets_are_independent_the_product_is_the_joint_rate():
    found = joint_rate(predictions(40_000), USED, experiment())
    assert len(found) == 10 and found["windows"].sum() == 36_000
    inside = (found["low"] <= found["product"]) & (found["product"] <= found["high"])
    assert inside.sum() >= 8
    np.testing.assert_allclose(found["both"], found["product"], atol=0.02)


def test_where_they_go_together_it_is_not():
    found = joint_rate(predictions(20_000, together=0.6), USED, experiment())
    assert (found["low"] > found["product"]).sum() >= 9


@pytest.mark.parametrize(
    ("side", "events", "activity", "possible"),
    [
        ("received", ["gift"], None, True),
        ("received", ["gift"], ["gift"], True),
        ("own", ["gift"], None, False),
        ("own", ["gift"], ["post", "gift"], False),
        ("own", ["gift"], ["post"], True),
        ("own", ["gift", "badge"], ["post", "gift"], True),  # who has a badge only may have churned
    ],
)
def test_an_own_sticker_that_counts_as_activity_excludes_churn(side, events, activity, possible):
    rule = experiment(side, events, activity)
    assert rule.targets.exclusive != possible
    found = joint_rate(predictions(300), USED, rule)
    JOINT.check(found)
    assert (len(found) > 0) == possible


def test_one_target_or_no_test_windows_give_an_empty_table():
    table = predictions(300)
    for part in (table[table["target"] == "churn"], table[table["split"] != "test"]):
        JOINT.check(joint_rate(part, USED[USED["target"].isin(part["target"])], experiment()))
        assert joint_rate(part, USED, experiment()).empty


def test_windows_that_one_target_lacks_do_not_count():
    table = predictions(300)
    missing = (table["target"] == "sticker") & (table["user_id"] == 50)
    found = joint_rate(table[~missing], USED, experiment())
    assert found["windows"].sum() == 270 - 5
    assert (found["product"].diff().dropna() > 0).all()


def test_no_sticker_target_excludes_nothing():
    assert not parse({"experiment": {"name": "test"}, "log": {"path": "x"}}, "test").targets.exclusive
