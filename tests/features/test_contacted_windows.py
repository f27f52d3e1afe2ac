"""Windows of contacted users teach and measure nothing, unless asked for; and outcomes of lists are the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import FIRST, build, experiment, make_log

from tschurn import events, features
from tschurn.contracts import EXCLUSIONS, LIST_OUTCOMES, silent
from tschurn.models.training import Blocks
from tschurn.segments.resting import resting

STICKER = {"sticker": {"events": ["sticker"]}}


def built(folder: Path, contacts: pd.DataFrame | None, include: bool = False, **sections: dict):
    """`build` of the fixtures, with contacts."""
    folder.mkdir()
    make_log().assign(timestamp=lambda f: f["timestamp"].dt.tz_localize("UTC")).to_parquet(folder / "log.parquet")
    exp = experiment(log={"path": str(folder / "log.parquet")}, targets=STICKER,
                     contacts={"path": "c.csv", "include": include}, **sections)  # fmt: skip
    known = events.read_log(exp, folder)
    known["log_summary"] = known["log_summary"].assign(first_day=FIRST.date(), days=84)
    if contacts is not None:
        known["contacts"] = contacts
    with events.open_log(exp, folder) as event_log, events.open_daily(exp, folder) as acts:
        tables, _ = features.build_windows(event_log, acts, known, exp, folder, silent)
    return tables


def contacts_of(*rows: tuple[int, int]) -> pd.DataFrame:
    days = [(FIRST + pd.Timedelta(days=day)).date() for _, day in rows]
    return pd.DataFrame({"user_id": [user for user, _ in rows], "contacted_on": days})


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return built(tmp_path_factory.mktemp("x") / "plain", None)["windows"]


def test_windows_with_a_contact_are_excluded_and_counted(tmp_path: Path, plain: pd.DataFrame) -> None:
    a, b, c = plain["user_id"].value_counts().index[:3]
    rows = [(a, 20), (a, 27), (b, 34), (b, 60), (c, 83), (c, -3), (c, 500), (4242, 30)]
    tables = built(tmp_path / "c", contacts_of(*rows))
    index = tables["windows"]
    touched = np.zeros(len(index), bool)
    for user, day in rows:  # anchor − observe_days < day ≤ anchor + outcome_days
        touched |= (index["user_id"] == user) & (index["anchor"] - 7 < day) & (day <= index["anchor"] + 7)
    touched &= index["closed"]
    assert touched.sum() > 5
    assert (index.loc[touched, "split"] == "excluded").all()
    pd.testing.assert_frame_equal(index[~touched], plain[~touched])
    pd.testing.assert_frame_equal(index.drop(columns="split"), plain.drop(columns="split"))
    counted = EXCLUSIONS.check(tables["exclusions"]).to_pylist()
    users = index.loc[touched, "user_id"].nunique()
    assert counted == [{"reason": "contact", "windows": int(touched.sum()), "users": users}]


def test_open_windows_are_scored_whoever_was_contacted(tmp_path: Path) -> None:
    tables = built(tmp_path / "c", contacts_of((1, 82), *((u, 83) for u in range(2, 60))))
    newest = tables["windows"].query("anchor == anchor.max()")
    assert len(newest) and (newest["split"] == "open").all()
    assert set(tables["windows"].query("split == 'excluded'")["anchor"]) == {76}  # whose outcome ends on the 83rd day


def test_include_keeps_them(tmp_path: Path, plain: pd.DataFrame) -> None:
    tables = built(tmp_path / "c", contacts_of(*((u, 34) for u in range(1, 60))), include=True)
    pd.testing.assert_frame_equal(tables["windows"], plain)


def test_nothing_is_learned_or_calibrated_from_them(tmp_path: Path) -> None:
    """Not by the refit either, nor is anything measured on them."""
    rows = [(u, d) for u in range(1, 40) for d in (20, 41, 62)]
    index = built(tmp_path / "c", contacts_of(*rows))["windows"]
    windows = type("W", (), {"index": index, "lives": type("L", (), {"of_staying": frozenset()})})
    blocks = Blocks.of(windows, "churn")
    excluded = np.flatnonzero(index["split"] == "excluded")
    assert len(excluded)
    for name in ("train", "validation", "calibration", "test", "learnable", "test_period"):
        assert not np.isin(excluded, getattr(blocks, name)).any(), name
    assert np.isin(excluded, blocks.closed).all()


def test_who_rests() -> None:
    contacts = contacts_of((1, 30), (2, 58), (3, 59), (3, 59), (4, 90), (1, 85))
    anchor = (FIRST + pd.Timedelta(days=86)).date()
    assert sorted(resting(contacts, anchor, 28)) == [1, 3, 4]  # the 58th day is 28 days before
    assert sorted(resting(contacts, anchor, 29)) == [1, 2, 3, 4]
    assert len(resting(contacts, anchor, 0)) == len(resting(None, anchor, 28)) == 0


def test_outcomes_of_a_list_are_the_labels(tmp_path: Path) -> None:
    """Of every window, open ones and strangers too."""
    windows, _ = build(make_log(), tmp_path / "w", experiment())
    exp = experiment(log={"path": str(tmp_path / "w" / "log.parquet")})
    index = windows.index
    others = pd.DataFrame(
        {"user_id": [999_999, 5], "anchor_day": [index["anchor_day"].iloc[0], (FIRST + pd.Timedelta(days=3)).date()]}
    )
    listed = pd.concat([index[["user_id", "anchor_day"]], others], ignore_index=True)
    summary = pd.DataFrame({"first_day": [FIRST.date()], "days": [84]})
    with events.open_daily(exp, tmp_path / "w") as acts:
        found = features.outcomes_of(acts, listed, summary, exp)
        alone = features.outcomes_of(acts, others.iloc[:1], summary, exp)
        churn = features.outcomes_of(acts, listed, summary, experiment(targets={}, log={"path": "x"}))
    LIST_OUTCOMES.check(found)
    LIST_OUTCOMES.check(alone)
    mine = found.iloc[: len(index)]
    assert (mine["status"] == np.where(index["closed"], "closed", "open")).all()
    for label in ("churned", "sticker"):
        np.testing.assert_array_equal(mine[label].fillna(-1).to_numpy(int), index[label].fillna(-1).to_numpy(int))
    assert found["status"].to_list()[-2:] == ["unknown", "before"] and alone["status"].to_list() == ["unknown"]
    assert churn["sticker"].isna().all()
    user = index.query("anchor == 76")["user_id"].iloc[0]
    days = [(FIRST + pd.Timedelta(days=day)).date() for day in (76, 77)]
    with events.open_daily(exp, tmp_path / "w") as acts:
        last = features.outcomes_of(acts, pd.DataFrame({"user_id": user, "anchor_day": days}), summary, exp)
    assert last["status"].to_list() == ["closed", "open"]
    none = listed.iloc[:1].assign(anchor_day=(FIRST + pd.Timedelta(days=6)).date(), user_id=_absent(index, 6))
    with events.open_daily(exp, tmp_path / "w") as acts:
        assert features.outcomes_of(acts, none, summary, exp)["status"].to_list() == ["inactive"]


def _absent(index: pd.DataFrame, anchor: int) -> int:
    """A user without a window at an anchor that others have."""
    return int(np.setdiff1d(index["user_id"], index.loc[index["anchor"] == anchor, "user_id"])[0])
