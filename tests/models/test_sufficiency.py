"""SUFFICIENCY: the same windows in all cells, nothing of test or of the future, planted signals where they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import lives_of

from tschurn.config import Split, WindowShape
from tschurn.contracts import LOOKS, OUTCOMES, SUFFICIENCY, silent
from tschurn.errors import TooShortError
from tschurn.features import splits
from tschurn.features.windows import WindowSet
from tschurn.models import quick
from tschurn.models import sufficiency as s

FIRST, SHAPE = date(2024, 1, 1), WindowShape()


def index_of(users: int, days: int, split: Split, stride: int = 7, seed: int = 1) -> pd.DataFrame:
    """WINDOWS of users who are eligible at every anchor, without labels."""
    shape = WindowShape(stride_days=stride)
    anchors = splits.anchors(days, shape)
    anchor, user = (grid.ravel() for grid in np.meshgrid(anchors, np.arange(users), indexing="ij"))
    return pd.DataFrame(
        {"user_id": user, "user": user.astype(np.int32), "anchor": anchor.astype(np.int32),
         "anchor_day": [FIRST + timedelta(days=int(a)) for a in anchor],
         "split": splits.assign(user, anchor, days, shape, split, seed)}
    )  # fmt: skip


class World:
    """A log in which what happens after an anchor depends on the acts of `signal` days before it."""

    def __init__(self, signal: int, users: int = 150, days: int = 260, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.index = index_of(users, days, Split())
        self.panel = random.poisson(1.0, (users, days, 2)).astype(np.float32)
        user, anchor = self.index["user"].to_numpy(), self.index["anchor"].to_numpy()
        before = self.panel[user, np.maximum(anchor - signal, 0), 0]
        quiet = 1.2 * (before - 1) + random.logistic(size=len(user)) * 0.3 > 0
        until = np.where(quiet, random.integers(29, 60, len(user)), random.integers(1, 8, len(user)))
        self.next_acts = self.index[["user_id", "anchor_day"]].assign(next_act=until, next_sticker=until)

    def map(self, targets: tuple[str, ...] = ("churn",), of_staying: frozenset[str] = frozenset()) -> pd.DataFrame:
        history, lives = np.zeros((len(self.index), 0)), replace(lives_of(self.panel), of_staying=of_staying)
        windows = WindowSet(self.index, pd.DataFrame(), self.panel, history, 7, lives)
        return s.sufficiency(windows.looking_back(s.LONGEST), self.next_acts, SHAPE, list(targets), 7, 1, silent)


@pytest.fixture(scope="module")
def world() -> World:
    return World(signal=10)


@pytest.fixture(scope="module")
def found(world: World) -> pd.DataFrame:
    return world.map(("churn", "sticker"))


def test_a_signal_ten_days_back_needs_fourteen_days_and_no_more(found: pd.DataFrame) -> None:
    SUFFICIENCY.check(found)
    auc = found[found["target"] == "churn"].pivot(index="observe_days", columns="outcome_days", values="auc")
    assert auc.index.to_list() == list(LOOKS) and auc.columns.to_list() == list(OUTCOMES)
    assert (auc.loc[[3, 7]] - 0.5).abs().to_numpy().max() < 0.06
    assert auc.loc[[14, 28]].to_numpy().min() > 0.75
    assert set(found.loc[found["recommended"], "observe_days"]) == {14}


def test_a_signal_on_the_last_days_is_seen_by_every_look() -> None:
    cells = World(signal=1).map()
    assert cells["auc"].min() > 0.75
    assert (cells["behind"] < 0.02).all() and cells.groupby("outcome_days")["recommended"].sum().eq(1).all()


def test_all_cells_stand_on_the_same_windows(found: pd.DataFrame, world: World) -> None:
    assert found[["train_windows", "windows", "users", "anchors"]].drop_duplicates().shape[0] == 1
    plan = s.plan(world.index, SHAPE)
    assert found["windows"].iloc[0] == len(plan.measured) and found["train_windows"].iloc[0] == len(plan.train)
    by_outcome = found[found["target"] == "churn"].groupby("outcome_days")["base_rate"]
    assert (by_outcome.nunique() == 1).all()


def test_the_error_of_being_behind_is_that_of_the_difference(found: pd.DataFrame) -> None:
    best = found["behind"] == 0
    assert (found.loc[best, "behind_se"] == 0).all() and (found.loc[~best, "behind_se"] > 0).all()
    far = found[found["observe_days"] == 3]
    assert (far["behind"] > 5 * far["behind_se"]).all()
    width = (far["auc_high"] - far["auc_low"]) / 4
    assert (far["behind_se"] < 2 * width).all()
    assert ((found["auc_low"] <= found["auc"]) & (found["auc"] <= found["auc_high"])).all()


def test_nothing_of_test_or_of_the_days_after_an_anchor_enters(found: pd.DataFrame, world: World) -> None:
    """Everything that the map may not see is changed; the map is not."""
    other = World(signal=10)
    plan = s.plan(other.index, SHAPE)
    used = np.union1d(plan.train, plan.measured)
    random = np.random.default_rng(9)
    unused = np.setdiff1d(np.arange(len(other.index)), used)
    for column in ("next_act", "next_sticker"):
        other.next_acts.loc[unused, column] = random.integers(1, 50, len(unused))
    last = other.index["anchor"].to_numpy()[used].max()
    other.panel[:, last + 1 :] = random.poisson(5.0, other.panel[:, last + 1 :].shape)
    between = slice(other.index["anchor"].to_numpy()[plan.train].max() + 1,
                    other.index["anchor"].to_numpy()[plan.measured].min() - s.LONGEST + 1)  # fmt: skip
    other.panel[:, between] = 77.0  # outcomes of training only
    pd.testing.assert_frame_equal(other.map(("churn", "sticker")), found)


def test_of_a_target_given_that_users_stay_the_others_do_not_count() -> None:
    """Whether those who leave had a sticker changes nothing, in no cell; churn is told as ever."""
    other, given_stays = World(signal=10), frozenset({"sticker"})
    random = np.random.default_rng(2)
    acts = other.next_acts["next_act"].to_numpy()
    other.next_acts["next_sticker"] = np.where(acts <= 7, random.integers(1, 30, len(acts)), 50)
    found = other.map(("churn", "sticker"), given_stays)
    stay = [int((acts[s.plan(other.index, SHAPE).measured] <= days).sum()) for days in OUTCOMES]
    of_sticker = found[(found["target"] == "sticker") & (found["observe_days"] == 7)].sort_values("outcome_days")
    assert of_sticker["windows"].to_list() == stay and stay[0] < found.loc[found["target"] == "churn", "windows"].min()
    gone = (acts > 28) & (random.random(len(acts)) < 0.5)
    other.next_acts.loc[gone, "next_sticker"] = 1
    pd.testing.assert_frame_equal(other.map(("churn", "sticker"), given_stays), found)
    assert not other.map(("sticker",)).equals(found[found["target"] == "sticker"].reset_index(drop=True))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 400), st.sampled_from([1, 3, 7]), st.sampled_from(["time", "rolling", "random", "user"]),
    st.integers(5, 60), st.floats(0.1, 0.5),
)  # fmt: skip
def test_blocks_are_clear_of_each_other_and_of_test(
    days: int, stride: int, kind: str, users: int, share: float
) -> None:
    try:
        index = index_of(users, days, Split(kind=kind, test_share=share, origins=2), stride)
    except TooShortError:
        return
    plan = s.plan(index, SHAPE)
    if plan is None:
        return
    look, outcome = plan.looks[-1], plan.outcomes[-1]
    anchor = index["anchor"].to_numpy()
    train, measured = anchor[plan.train], anchor[plan.measured]
    test = (index["split"] == "test").to_numpy()
    assert train.max() + outcome < measured.min() - look + 1
    assert measured.max() + outcome <= days - 1
    if kind == "user":
        assert not set(index["user"][test]) & set(index["user"].iloc[np.union1d(plan.train, plan.measured)])
    else:
        assert measured.max() + outcome <= anchor[test].min()
    assert min(train.min(), measured.min()) - look + 1 >= 0
    assert not index["split"].iloc[np.union1d(plan.train, plan.measured)].isin(["test", "open", "purged"]).any()
    assert min(len(train), len(measured)) >= 200


def test_a_short_log_loses_its_longest_days_and_a_very_short_one_its_map() -> None:
    long, short, tiny = (s.plan(index_of(150, days, Split(), 1), SHAPE) for days in (300, 150, 60))
    assert (long.looks, long.outcomes) == (LOOKS, OUTCOMES)
    assert (short.looks, short.outcomes) == (LOOKS[:3], OUTCOMES[:2])
    assert tiny is None
    world = World(signal=1, days=70)
    assert world.map().empty and list(world.map().columns) == list(SUFFICIENCY.columns)


@pytest.mark.parametrize("kind", ["time", "rolling", "random", "user"])
def test_every_way_to_split_has_a_map(kind: str) -> None:
    plan = s.plan(index_of(150, 365, Split(kind=kind)), SHAPE)
    assert (plan.looks, plan.outcomes) == (LOOKS, OUTCOMES)


def test_the_experiments_own_days_join_the_map_where_they_fit() -> None:
    index = index_of(150, 300, Split())
    plan = s.plan(index, WindowShape(observe_days=10, outcome_days=5))
    assert plan.looks == (3, 7, 10, 14, 28) and plan.outcomes == (5, 7, 14, 28)
    plan = s.plan(index, WindowShape(observe_days=60, outcome_days=60))
    assert plan.looks == LOOKS and plan.outcomes == OUTCOMES


def test_a_target_with_one_class_has_no_cell() -> None:
    world = World(signal=1)
    world.next_acts["next_sticker"] = pd.array([pd.NA] * len(world.index), dtype="Int32")
    cells = world.map(("churn", "sticker"))
    assert set(cells["target"]) == {"churn"} and len(cells) == len(LOOKS) * len(OUTCOMES)


def test_many_windows_come_down_to_whole_users(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(50, 300, Split())
    rows = np.flatnonzero(index["split"] == "train")
    monkeypatch.setattr(quick, "MOST_WINDOWS", 200)
    kept = quick.sample_of_users(index, rows, 3)
    counts = index.iloc[kept].groupby("user").size()
    assert len(kept) <= 200 and (counts == index.iloc[rows].groupby("user").size().loc[counts.index]).all()
    assert len(kept) + counts.max() > 200
    monkeypatch.setattr(quick, "MOST_WINDOWS", 10**6)
    assert (quick.sample_of_users(index, rows, 3) == rows).all()
