"""Features of a finished run, computed again: for any users, at any anchors, whatever came later, they are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import FIRST, build, experiment, make_log

from tschurn import blocks, events, features
from tschurn.config import Experiment
from tschurn.errors import LogError, ModelError
from tschurn.features.frozen import Frozen, Part, Span
from tschurn.features.windows import WindowSet

DAYS = 84
NO_FACTS = pd.DataFrame({"user_id": pd.Series(dtype="int64"), "fact": pd.Series(dtype="str"),
                         "number": pd.Series(dtype="float64"), "text": pd.Series(dtype="str")})  # fmt: skip
RICH = {
    "log": {"path": "x.csv", "post_events": ["post"], "reply_events": ["reply"]},
    "features": {"actors": "event", "max_events": 2},
}


@contextmanager
def opened(frame: pd.DataFrame, folder: Path, exp: Experiment) -> Iterator[tuple[ir.Table, ir.Table]]:
    """A raw frame → EVENT_LOG and DAILY."""
    folder.mkdir(exist_ok=True)
    frame.assign(timestamp=frame["timestamp"].dt.tz_localize("UTC")).to_parquet(folder / "log.parquet")
    exp = exp.model_copy(update={"log": exp.log.model_copy(update={"path": str(folder / "log.parquet")})})
    events.read_log(exp, folder)
    with events.open_log(exp, folder) as event_log, events.open_daily(exp, folder) as acts:
        yield event_log, acts


def span(anchors: np.ndarray, days: int = DAYS) -> Span:
    return Span(FIRST, days, anchors, only_days=False)


def same(part: Part, of: WindowSet, rows: np.ndarray) -> None:
    """The part has these windows of the run, no others, and every value of theirs."""
    keys = ["user_id", "anchor_day"]
    expected = of.index.iloc[rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(part.windows.index[keys], expected[keys])
    every = np.arange(len(rows))
    np.testing.assert_array_equal(part.windows.flat(every), of.flat(rows))
    assert part.windows.flat_columns().equals(of.flat_columns())
    assert part.windows.lives.first_weekday == of.lives.first_weekday


@pytest.fixture(scope="module", params=[{}, RICH], ids=["plain", "rich"])
def known(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A log, its experiment, and the windows that a run made of it."""
    exp, log, folder = experiment(**request.param), make_log(users=50), tmp_path_factory.mktemp("known")
    windows, tables = build(log, folder, exp)
    return log, exp, folder, windows, tables


def test_all_windows_again(known, tmp_path: Path) -> None:
    log, exp, _, windows, tables = known
    frozen = features.frozen_features(tables["features"], exp)
    anchors = np.unique(windows.index["anchor"])
    with opened(log, tmp_path / "again", exp) as (event_log, acts):
        part = frozen.part(event_log, acts, NO_FACTS, span(anchors))
    same(part, windows, np.arange(len(windows)))
    labels = ["closed", "churned", "sticker"]
    pd.testing.assert_frame_equal(part.windows.index[labels], windows.index[labels])
    pd.testing.assert_frame_equal(part.money, tables["money"])
    pd.testing.assert_frame_equal(part.unscored, tables["unscored"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_of_a_user_depends_on_the_others(known, data) -> None:
    log, exp, folder, windows, tables = known
    frozen = Frozen(tables["features"], exp)
    ids = np.sort(log["user_id"].unique())
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(ids) - 1)] * 2)))
    anchors = np.unique(data.draw(st.lists(st.sampled_from(np.unique(windows.index["anchor"])), min_size=1)))
    some = pd.Index(ids[first : last + 1])
    exp = exp.model_copy(update={"log": exp.log.model_copy(update={"path": str(folder / "log.parquet")})})
    with events.open_log(exp, folder) as event_log, events.open_daily(exp, folder) as acts:
        part = frozen.part(blocks.of_users(event_log, some), blocks.of_users(acts, some), NO_FACTS, span(anchors))
    chosen = windows.index["user_id"].isin(some) & windows.index["anchor"].isin(anchors)
    same(part, windows, np.flatnonzero(chosen))


def test_what_comes_after_the_anchor_changes_nothing(known, tmp_path: Path) -> None:
    log, exp, _, windows, tables = known
    frozen = Frozen(tables["features"], exp)
    anchor = int(np.unique(windows.index["anchor"])[-3])
    cut = log[log["timestamp"] < FIRST + pd.Timedelta(days=anchor + 1)]
    late = log[log["timestamp"] >= FIRST + pd.Timedelta(days=anchor + 1)].assign(event="unheard_of", value=-5.0)
    parts = []
    for name, frame, days in (("cut", cut, anchor + 1), ("late", pd.concat([cut, late]), DAYS)):
        with opened(frame, tmp_path / name, exp) as (event_log, acts):
            parts.append(frozen.part(event_log, acts, NO_FACTS, span(np.array([anchor]), days)))
    before = np.flatnonzero(windows.index["anchor"] == anchor)
    for part in parts:
        same(part, windows, before)
        pd.testing.assert_frame_equal(part.unscored, parts[0].unscored)


def test_an_event_that_training_did_not_know_is_no_feature(known, tmp_path: Path) -> None:
    """Folded into `other` where there is one; never in the place of another event."""
    log, exp, _, windows, tables = known
    frozen = Frozen(tables["features"], exp)
    anchor = np.unique(windows.index["anchor"])[-1:]
    strange = log.iloc[:1].assign(event="a new kind", timestamp=log["timestamp"].max(), user_id=log["user_id"].iloc[0],
                                  actor_id=log["user_id"].iloc[0])  # fmt: skip
    with opened(pd.concat([log, strange]), tmp_path / "strange", exp) as (event_log, acts):
        part = frozen.part(event_log, acts, NO_FACTS, span(anchor))
    assert part.windows.flat_columns().equals(windows.flat_columns())


def test_facts_are_told_as_the_run_knew_them(tmp_path: Path) -> None:
    log = make_log(users=30)
    ids = np.sort(log["user_id"].unique())
    facts = pd.DataFrame({"user_id": ids, "fact": "town", "number": np.nan, "text": np.where(ids % 3 == 0, "A", "B")})
    ages = pd.DataFrame({"user_id": ids[:20], "fact": "age", "number": ids[:20] * 1.5, "text": None})
    both = pd.concat([facts, ages], ignore_index=True)
    from tschurn.features import facts as f

    rows, values = f.encode(both, pd.Index(ids), np.ones(len(ids), dtype=bool))
    np.testing.assert_array_equal(f.encode_as(both, pd.Index(ids), rows), values)
    strange = both.assign(text=both["text"].where(both["text"] != "A", "never heard of"))
    told = f.encode_as(strange, pd.Index(ids), rows)
    where = rows["feature"].tolist().index("history:fact:town=A")
    assert not told[:, where].any() and told.shape == values.shape
    assert f.missing(both, rows) == []
    assert f.missing(ages, rows)[0].startswith("town")


def test_what_the_features_are_not_made_of_is_told(known) -> None:
    _, exp, _, _, tables = known
    frozen = Frozen(tables["features"], exp)
    with pytest.raises(LogError, match="days without times"):
        frozen.refuse(Span(FIRST, DAYS, np.array([20]), only_days=True), NO_FACTS)
    with pytest.raises(LogError, match="too late to observe 7 days"):
        frozen.refuse(span(np.array([3])), NO_FACTS)
    with pytest.raises(ModelError, match="other features than this version"):
        Frozen(tables["features"].iloc[::-1], exp)
