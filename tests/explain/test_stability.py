"""STABILITY: what is strong comes out the same again, noise does not; where there is nothing to compare, it says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import STABILITY
from tschurn.explain import stability as s
from tschurn.explain.surrogate import fit_surrogate

COLUMNS = 24


class World:
    """Columns of noise, of which the first `causes` move the log-odds, each less than the one before."""

    def __init__(self, causes: int = 0, columns: int = COLUMNS, users: int = 100, anchors: int = 14) -> None:
        random = np.random.default_rng(3)
        self.users = np.repeat(np.arange(users), anchors)
        self.anchors = np.tile(np.arange(anchors) * 7, users)
        self.matrix = random.normal(size=(len(self.users), columns)).astype(np.float32)
        habit = random.normal(size=users)[self.users]
        self.log_odds = habit + self.matrix[:, :causes] @ (4.0 * 0.75 ** np.arange(causes))
        self.features = [f"feature_{i}" for i in range(columns)]
        self.early = np.flatnonzero(self.anchors < 49)
        self.held = np.flatnonzero(self.anchors >= 49)
        self.fitted_on: list[np.ndarray] = []

    def fit(self, rows: np.ndarray, seed: int) -> s.Contributions:
        self.fitted_on.append(rows)
        here = np.ones(len(rows), dtype=bool)
        surrogate = fit_surrogate(
            self.matrix[rows], self.features, self.log_odds[rows], self.users[rows], here, ~here, seed=seed
        )
        return lambda held: surrogate.contributions(self.matrix[held])[0]

    def found(self, explanation: s.Contributions | None = None, **options: object) -> pd.DataFrame:
        given = {"fit": self.fit, "fit_rows": self.early} | options
        explanation = explanation or self.fit(self.early, 1)
        table = s.stability(
            explanation, self.features, self.users, self.anchors, self.held, **{"apart": 7, "seed": 1} | given
        )
        STABILITY.check(table.assign(target="churn", model="gru"))
        return table.set_index(["over", "measure"])


@pytest.fixture(scope="module")
def strong() -> pd.DataFrame:
    return World(causes=10).found()


@pytest.fixture(scope="module")
def noise() -> pd.DataFrame:
    return World(causes=0).found()


def test_what_is_strong_comes_out_the_same_again(strong: pd.DataFrame) -> None:
    assert (strong["mean"].xs("top_overlap", level="measure") >= 0.9).all()
    assert (strong["mean"].xs("spearman", level="measure") >= 0.75).all()
    assert strong["note"].isna().all() and (strong["features"] == COLUMNS).all() and (strong["top"] == 10).all()


def test_an_explanation_of_noise_does_not(noise: pd.DataFrame, strong: pd.DataFrame) -> None:
    """On other users, that is: who fits the same noise again under another seed finds much of it again."""
    assert noise.loc[("folds", "spearman"), "mean"] < 0.6
    assert noise.loc[("folds", "top_overlap"), "mean"] < 0.75
    assert (strong["mean"] - noise["mean"]).loc["folds"].min() > 0.2


def test_rows_tell_their_pairs_range_and_chance(strong: pd.DataFrame) -> None:
    assert strong["pairs"].to_dict() == {
        (over, m): n for over, n in (("seeds", 10), ("folds", 10), ("anchors", 6)) for m in s.MEASURES
    }
    assert ((strong["low"] <= strong["mean"]) & (strong["mean"] <= strong["high"])).all()
    assert (strong["low"] < strong["high"]).any()
    assert strong["chance"].xs("top_overlap", level="measure").unique() == pytest.approx([10 / COLUMNS])


def test_folds_leave_out_each_user_once_and_wholly() -> None:
    world = World(causes=10)
    world.found()
    folds = world.fitted_on[-s.FITS :]
    everyone = set(world.users)
    left_out = [everyone - set(world.users[rows]) for rows in folds]
    assert sorted(u for gone in left_out for u in gone) == sorted(everyone)
    assert all(len(rows) == 7 * (len(everyone) - len(gone)) for rows, gone in zip(folds, left_out, strict=True))
    assert not any(np.isin(rows, world.held).any() for rows in world.fitted_on)


def test_an_explanation_that_changes_from_anchor_to_anchor_is_seen() -> None:
    world = World(causes=10)

    def turns(rows: np.ndarray) -> np.ndarray:
        weight = np.linspace(1, 2, COLUMNS)
        odd = (world.anchors[rows] // 7 % 2 == 1)[:, None]
        return np.where(odd, weight, weight[::-1])

    direct = {"fit": None, "fit_rows": None}
    found = world.found(turns, **direct)
    assert found.index.get_level_values("over").unique().tolist() == ["anchors"]
    assert found["mean"].to_list() == pytest.approx([-1.0, 0.0])
    every_other = world.found(turns, apart=14, **direct)
    assert every_other["mean"].to_list() == pytest.approx([1.0, 1.0])
    assert every_other["pairs"].to_list() == [3, 3]


def test_the_columns_of_a_feature_are_one() -> None:
    """Days that push against each other cancel before their size is taken."""
    world = World(columns=4)
    world.features = ["a", "a", "b", "c"]

    def push(rows: np.ndarray) -> np.ndarray:
        late = (world.anchors[rows] > 70)[:, None]
        return np.where(late, [0.0, 0.0, 1.0, 2.0], [5.0, -5.0, 1.0, 2.0])

    found = world.found(push, fit=None, fit_rows=None)
    assert found["features"].unique().tolist() == [3]
    assert found.loc[("anchors", "spearman"), "low"] == 1.0


def test_what_has_no_importance_is_in_no_top() -> None:
    first, second = np.zeros(20), np.zeros(20)
    first[[1, 2]], second[[2, 3]] = (2, 1), (2, 1)
    assert s._overlap(first, second, 10) == 0.5
    assert s._overlap(np.zeros(20), np.zeros(20), 10) is None
    assert s._overlap(first, np.zeros(20), 10) == 0.0


@pytest.mark.parametrize(
    ("columns", "constant", "note"),
    [(0, False, "one_feature"), (1, False, "one_feature"), (6, False, "few_features"), (20, True, "constant")],
)
def test_few_features_or_none_and_constant_importance(columns: int, constant: bool, note: str) -> None:
    world = World(causes=min(columns, 6), columns=columns)
    if constant:
        world.log_odds[:] = 1.0
    found = world.found()
    assert (found["note"] == note).all() and (found["features"] == columns).all()
    if note == "few_features":
        assert (found["top"] == 3).all() and found["mean"].notna().all()
    else:
        assert found[["mean", "low", "high", "chance"]].isna().all(axis=None) and (found["pairs"] == 0).all()


def test_one_anchor_few_users_and_no_windows_are_told() -> None:
    world = World(causes=10)
    one = world.found(apart=1000)
    assert one.loc["anchors", "note"].tolist() == ["few_anchors"] * 2 and one.loc["seeds", "note"].isna().all()
    few = World(causes=10, users=3, anchors=30).found()
    assert few.loc["folds", "note"].tolist() == ["few_users"] * 2
    world.held = world.held[:0]
    nothing = world.found()
    assert nothing["mean"].isna().all() and (nothing["note"] == "no_windows").all() and len(nothing) == 6


def test_anchors_with_few_windows_are_passed_over() -> None:
    world = World(causes=10)
    gone = (world.anchors == 77) & (world.users >= s.LEAST_WINDOWS - 1)
    world.held = world.held[~gone[world.held]]
    assert world.found(fit=None, fit_rows=None)["pairs"].tolist() == [5, 5]


def test_it_repeats_itself() -> None:
    pd.testing.assert_frame_equal(World(causes=10).found(), World(causes=10).found())
