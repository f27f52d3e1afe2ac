"""Errors by subgroup, against scikit-learn, slow counts, and what users drawn anew would show."""

import warnings
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, roc_auc_score

from tschurn.config import Experiment
from tschurn.contracts import FACTS, MONEY, PREDICTIONS, SUBGROUPS, TARGET_SUMMARY, USER_DAYS
from tschurn.segments import subgroups

FIRST = date(2024, 3, 1)
ERRORS = ["tpr", "precision", "specificity", "npv", "fpr", "fdr", "fnr", "for"]


def experiment(**segments):
    log = {"path": "log.parquet"}
    return Experiment.model_validate({"experiment": {"name": "x", "seed": 3}, "log": log, "segments": segments})


def made(users=120, anchors=6, seed=0, targets=("churn", "sticker")):
    """Tables of a run: windows of users who come back each week, unalike in their chances."""
    rng = np.random.default_rng(seed)
    keys = pd.MultiIndex.from_product([range(users), range(anchors)], names=["user_id", "week"]).to_frame(index=False)
    keys = keys[rng.random(len(keys)) < 0.8].reset_index(drop=True)
    keys["anchor_day"] = [FIRST + timedelta(days=40 + 7 * w) for w in keys["week"]]
    keys["split"] = np.where(keys["week"] < anchors // 2, "calibration", "test")
    level = rng.normal(size=users)
    parts = []
    for target in targets:
        p = 1 / (1 + np.exp(-level[keys["user_id"]] - rng.normal(size=len(keys)) + (target == "sticker")))
        y = (rng.random(len(p)) < p).astype("int8")
        part = keys[["user_id", "anchor_day", "split"]].assign(target=target, p=p.round(3), y=y)
        parts += [part.assign(model="net"), part.assign(model="other", p=0.5)]
    summary = {"target": targets, "used": "net", "best_network": "net", "best_baseline": "other", "calibration": "none",
               "refit_spearman": 1.0, "epochs": pd.array([None] * len(targets), dtype="Int32"),
               "test_evaluations": 1}  # fmt: skip
    value = np.where(rng.random(len(keys)) < 0.6, 0.0, rng.lognormal(3, 1, len(keys)))
    money = keys[["user_id", "anchor_day"]].assign(
        recency=np.int32(1), stickers_7=0.0, stickers_28=0.0, value_28=value, value_next=0.0
    )
    days = pd.DataFrame([(u, FIRST + timedelta(days=int(d))) for u in range(users)
                         for d in np.flatnonzero(rng.random(80) < 0.3)], columns=["user_id", "day"])  # fmt: skip
    own = rng.integers(0, 4, len(days))
    days = days.assign(active=own > 1, own=own, received=1, stickers=0, sticker_value=0.0, actors=0,
                       first_hour=pd.array([None] * len(days), dtype="Int8"),
                       last_hour=pd.array([None] * len(days), dtype="Int8"))  # fmt: skip
    facts = [
        (u, "city", None, ["Seoul", "Busan", "other", "Jeju"][min(u % 7, 3) if u > 3 else 3]) for u in range(users)
    ]
    facts += [(u, "age", float(20 + u % 40), None) for u in range(users - 10)]
    tables = {
        "predictions": pd.concat(parts, ignore_index=True)[list(PREDICTIONS.columns)],
        "target_summary": pd.DataFrame(summary),
        "facts": pd.DataFrame(facts, columns=list(FACTS.columns)),
        "money": money,
        "user_days": days[list(USER_DAYS.columns)],
    }
    for contract in (PREDICTIONS, TARGET_SUMMARY, FACTS, MONEY, USER_DAYS):
        contract.check(tables[contract.name])
    return tables


def found(tables, **segments):
    """The table as it is written, with the promise of no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = subgroups.subgroup_errors(**tables, experiment=experiment(**segments))
    SUBGROUPS.check(table)
    return table


def windows_of(tables, target="churn"):
    rows = tables["predictions"]
    rows = rows[(rows["split"] == "test") & (rows["model"] == "net") & (rows["target"] == target)]
    return rows.sort_values(["user_id", "anchor_day"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def tables():
    return made()


@pytest.mark.parametrize("target", ["churn", "sticker"])
def test_errors_agree_with_scikit_learn(tables, target):
    table, test = found(tables, likely_sticker=0.3, likely_churn=0.6), windows_of(tables, target)
    groups = subgroups.attributes(
        test[["user_id", "anchor_day"]], tables["facts"], tables["money"], tables["user_days"]
    )
    groups = {"all": pd.Categorical(["all"] * len(test)), **groups}
    table = table[table["target"] == target]
    assert list(table["attribute"].unique()) == ["all", "tenure", "activity", "value_28", "fact:age", "fact:city"]
    for row in table.to_dict("records"):
        part = test[np.asarray(groups[row["attribute"]] == row["group"])]
        cut = {"churn": 0.6, "sticker": 0.3}[target]
        tn, fp, fn, tp = confusion_matrix(part["y"], part["p"] >= cut, labels=[0, 1]).ravel()
        ratios = {"tpr": (tp, tp + fn), "precision": (tp, tp + fp), "specificity": (tn, tn + fp), "npv": (tn, tn + fn),
                  "fpr": (fp, fp + tn), "fdr": (fp, tp + fp), "fnr": (fn, tp + fn), "for": (fn, tn + fn)}  # fmt: skip
        expected = [a / b if b else np.nan for a, b in (ratios[name] for name in ERRORS)]
        np.testing.assert_allclose([row[name] for name in ERRORS], expected)
        assert (row["windows"], row["users"], row["cut"]) == (len(part), part["user_id"].nunique(), cut)
        assert row["accuracy"] == pytest.approx((tp + tn) / len(part))
        assert row["prevalence"] == pytest.approx(part["y"].mean())
        assert row["predicted"] == pytest.approx((part["p"] >= cut).mean())
        assert row["calibration"] == pytest.approx(part["p"].mean() - part["y"].mean())
        assert row["auc"] == pytest.approx(roc_auc_score(part["y"], part["p"]))
        for name in ("tpr", "precision"):
            assert np.isnan(row[f"{name}_low"]) or 0 <= row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] <= 1
    for rate in ("tpr", "fpr"):
        rest = table.iloc[1:]
        np.testing.assert_allclose(rest[f"{rate}_gap"], rest[rate] - table.iloc[0][rate])
        assert np.isnan(table.iloc[0][f"{rate}_gap"])
    for _, part in table.groupby("attribute"):
        assert part["windows"].sum() == len(test)


def test_days_are_those_of_a_slow_count(tables):
    test = windows_of(tables)
    days = subgroups._days(test[["user_id", "anchor_day"]], tables["user_days"])
    acts = tables["user_days"]
    for place in range(0, len(test), 7):
        user, anchor = test.loc[place, ["user_id", "anchor_day"]]
        mine = acts[acts["user_id"] == user]
        active = mine.loc[mine["active"], "day"]
        assert days["activity"][place] == ((active > anchor - timedelta(days=28)) & (active <= anchor)).sum()
        assert days["tenure"][place] == (anchor - mine.loc[(mine["own"] > 0) | mine["active"], "day"].min()).days


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 0.0, 1.0, np.nan])), max_size=40))
def test_bands_keep_equals_together_and_cover_everybody(values):
    values = np.array(values, dtype=float)
    groups = subgroups.bands(values)
    assert len(groups) == len(values) and groups.codes.min(initial=0) >= 0
    known = np.isfinite(values)
    assert (groups[~known] == "unknown").all()
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(groups.codes[known][order]) >= 0).all()
    by_value = pd.Series(np.asarray(groups.codes[known])).groupby(values[known]).nunique()
    assert (by_value == 1).all() and len(np.unique(groups.codes[known])) <= 4


def test_bands_are_named_by_their_ends():
    assert list(subgroups.bands(np.array([0.0] * 7 + [1.25, 130_000.0])).categories) == [
        "0", "1.25–130000", "unknown"]  # fmt: skip
    close = subgroups.bands(np.array([1.00001, 1.00002, 1.00003, 1.00004]))
    assert close.categories.is_unique


def test_rare_levels_are_folded():
    texts = ["a"] * 30 + ["b"] * 25 + ["c"] * 19 + [None] * 5 + ["other"] * 40
    users = pd.Series(texts, index=range(len(texts)), dtype="str")
    often = pd.concat([users, *[users[users == "c"]] * 3])  # many windows of few users are still few users
    groups = subgroups.levels(often)
    assert list(groups.categories) == ["a", "b", "other", "unknown"]
    counts = pd.Series(groups).value_counts()
    assert counts.to_dict() == {"a": 30, "b": 25, "other": 40 + 19 * 4, "unknown": 5}


def test_the_cut_of_stickers_names_as_many_as_there_were(tables):
    rows = tables["predictions"]
    used = rows[(rows["model"] == "net") & (rows["target"] == "sticker")]
    cut = subgroups.likely(used, "sticker", experiment())
    known = used[used["split"] == "calibration"]
    n = known["y"].sum()
    assert (known["p"] > cut).sum() < n <= (known["p"] >= cut).sum()
    assert subgroups.likely(used, "sticker", experiment(likely_sticker=0.2)) == 0.2
    assert subgroups.likely(used, "churn", experiment(likely_churn=0.7)) == 0.7
    only = used.assign(split="validation")
    assert subgroups.likely(only[only["anchor_day"].isin(known["anchor_day"])], "sticker", experiment()) == cut
    assert subgroups.likely(used[used["split"] == "test"], "sticker", experiment()) is None
    assert subgroups.likely(used.assign(y=np.int8(0)), "sticker", experiment()) is None


def simulated(rng, users=400, anchors=6, extra=0.0, parts=2):
    """Windows whose user decides much of whether they are found: [users × anchors], true TPR 0.6 (+ extra in half).

    Groups: the users by turns, in so many parts."""
    half = np.arange(users) % 2
    center = 0.6 + extra * half
    skill = rng.beta(3 * center, 3 * (1 - center))
    user = np.repeat(np.arange(users), anchors)
    y = rng.random(len(user)) < 0.3
    found_there = np.where(y, rng.random(len(user)) < skill[user], rng.random(len(user)) < 0.2)
    days = [FIRST + timedelta(days=7 * w) for w in range(anchors)] * users
    test = pd.DataFrame(
        {"user_id": user, "anchor_day": days, "p": np.where(found_there, 0.9, 0.1), "y": y.astype("int8")}
    )
    return test, {"part": pd.Categorical((np.arange(users) % parts)[user])}


def test_intervals_cover_although_windows_of_a_user_are_alike():
    rng = np.random.default_rng(4)
    inside, naive, false = 0, 0, 0
    for draw in range(200):
        test, groups = simulated(rng, users=600, parts=8)
        table = subgroups._errors(test, groups, 0.5, [draw]).set_index("group")
        row = table.loc["1"]
        inside += row["tpr_low"] <= 0.6 <= row["tpr_high"]
        n = (test["y"].to_numpy() * (groups["part"].codes == 1)).sum()
        naive += abs(row["tpr"] - 0.6) <= 1.96 * (0.24 / n) ** 0.5
        gaps = table.drop("all")
        false += ((gaps["tpr_gap_low"] > 0) | (gaps["tpr_gap_high"] < 0)).any()
    assert inside >= 0.92 * 200  # 95 %, less two standard errors
    assert naive < 0.92 * 200  # as if all windows were independent
    assert false <= 18  # 99 % of a binomial with 5 %


def test_a_planted_gap_is_found():
    rng = np.random.default_rng(5)
    seen = 0
    for draw in range(30):
        table = subgroups._errors(*simulated(rng, extra=0.2), 0.5, [draw]).set_index("group")
        seen += table.loc["1", "tpr_gap_low"] > 0 > table.loc["0", "tpr_gap_high"]
    assert seen >= 27


def test_a_rate_of_one_is_not_certain():
    rng = np.random.default_rng(6)
    test, groups = simulated(rng, users=60)
    test.loc[(groups["part"].codes == 1) & (test["y"] == 1), "p"] = 0.9
    row = subgroups._errors(test, groups, 0.5, [0]).set_index("group").loc["1"]
    assert row["tpr"] == 1 == row["tpr_high"] and 0.8 < row["tpr_low"] < 0.93
    # everybody's error alone would not reach so far
    assert row["tpr_gap_high"] - row["tpr_gap"] > 1.5 * (row["tpr_high"] - row["tpr_low"])


def test_few_users_have_rates_without_intervals(tables):
    table = found({**tables, "predictions": tables["predictions"][tables["predictions"]["user_id"] < 9]})
    assert len(table) and table[["tpr_low", "precision_high", "tpr_gap_low", "fpr_gap_high"]].isna().all(axis=None)
    assert table["tpr"].notna().any()


def test_the_order_of_the_rows_does_not_matter(tables):
    shuffled = {name: frame.sample(frac=1, random_state=1) for name, frame in tables.items()}
    shuffled["target_summary"] = tables["target_summary"]
    pd.testing.assert_frame_equal(found(shuffled), found(tables))


def test_ids_may_be_texts(tables):
    named = {
        n: f.assign(user_id=f["user_id"].map("u{:04d}".format)) if "user_id" in f else f for n, f in tables.items()
    }
    pd.testing.assert_frame_equal(found(named), found(tables))


def none_of(frame):
    return frame.iloc[:0]


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"predictions": none_of}, False),
        ({"predictions": lambda p: p[p["split"] != "test"]}, False),
        ({"target_summary": none_of}, False),
        ({"facts": none_of}, True), ({"money": none_of}, True), ({"user_days": none_of}, True),
        ({"facts": none_of, "money": none_of, "user_days": none_of}, True),
        ({"money": lambda m: m.assign(value_28=np.nan)}, True),
        ({"predictions": lambda p: p.assign(y=np.int8(0))}, True),
        ({"predictions": lambda p: p.assign(y=np.int8(1))}, True),
        ({"predictions": lambda p: p.assign(p=0.5)}, True),
        ({"predictions": lambda p: p[p["user_id"] == 3]}, True),
        ({"predictions": lambda p: p[p["anchor_day"] == p["anchor_day"].max()]}, True),
        ({"predictions": lambda p: p[p["target"] == "churn"]}, True),
        ({"facts": lambda f: f.assign(number=np.nan, text="same")}, True),
    ],
)  # fmt: skip
def test_bad_input_gives_no_number_that_is_not_one(tables, change, rows):
    table = found({**tables, **{name: f(tables[name]) for name, f in change.items()}})
    assert bool(len(table)) == rows
    assert not np.isinf(table.select_dtypes("number").to_numpy(dtype=float)).any()
    assert list(table.columns) == list(SUBGROUPS.columns)
