"""EVENT_LOG → DAILY, and DAILY → the daily panel [users × days × features].

The group-by runs in the engine. Which events get a feature of their own is learned on the training
days; the rest is folded into `other`.
"""

from __future__ import annotations

from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

OTHER = "other"
_SIDES = {"own": ("own {}", "본인 {}"), "received": ("received {}", "받은 {}")}
_MEASURES = {"count": ("{}: count", "{} 횟수"), "value": ("{}: value", "{} 금액·값")}


def vocabulary(
    event_log: ir.Table, last_training_day: pd.Timestamp, most: int, keep: set[tuple[str, str]]
) -> pd.DataFrame:
    """The events that get features of their own → side, event_name, has_value; largest first.

    At most `most` events a side, by rows on the training days; those in `keep` (side, name) always.
    has_value: whether the event's values say more than its count does.
    """
    sided = _with_side(event_log).filter(event_log.day <= last_training_day.date())
    counted = (
        sided.group_by("side", "event_name")
        .agg(rows=sided.count(), has_value=(sided.value != 1.0).any())
        .execute()
        .sort_values(["side", "rows", "event_name"], ascending=[True, False, True])
    )
    wanted = pd.MultiIndex.from_frame(counted[["side", "event_name"]]).isin(list(keep))
    place = counted.groupby("side").cumcount()
    return counted.loc[(place < most) | wanted, ["side", "event_name", "has_value"]].reset_index(drop=True)


def daily(event_log: ir.Table, words: pd.DataFrame) -> pd.DataFrame:
    """EVENT_LOG and its vocabulary → DAILY, ordered by its key."""
    sided = _with_side(event_log)
    known = ibis.memtable(words[["side", "event_name"]].rename(columns={"side": "known_side", "event_name": "known"}))
    joined = sided.left_join(known, [sided.side == known.known_side, sided.event_name == known.known])
    folded = joined.mutate(event_name=joined.known.coalesce(OTHER))
    return (
        folded.group_by("user_id", "day", "side", "event_name")
        .agg(n=folded.count(), value=folded.value.sum(), actors=folded.actor_id.nunique())
        .order_by("user_id", "day", "side", "event_name")
        .execute()
    )


def received_actors(event_log: ir.Table) -> pd.DataFrame:
    """EVENT_LOG → user_id, day, n: how many different people acted towards the user that day."""
    received = event_log.filter(event_log.user_id != event_log.actor_id)
    return received.group_by("user_id", "day").agg(n=received.actor_id.nunique()).order_by("user_id", "day").execute()


def daily_features(table: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """DAILY and its vocabulary → the FEATURES rows of kind 'daily', in the order of the panel."""
    has_value = {(s, n): v for s, n, v in words.itertuples(index=False)}
    rows = []
    for side in ("own", "received"):
        names = sorted(table.loc[table["side"] == side, "event_name"].unique(), key=lambda n: (n == OTHER, n))
        for measure in ("count", "value"):
            rows += [_feature(side, n, measure) for n in names if measure == "count" or has_value.get((side, n), True)]
        if side == "received" and names:
            rows.append(
                {"feature": "received:actors", "kind": "daily", "side": "received", "event_name": None,
                 "measure": "actors",
                 "lookback": None, "label_en": "people who acted towards the user", "label_ko": "행동을 보낸 사람 수"}
            )  # fmt: skip
    return pd.DataFrame(rows)


def write_panel(
    path: Path,
    table: pd.DataFrame,
    actors: pd.DataFrame,
    features: pd.DataFrame,
    users: pd.Index,
    first: pd.Timestamp,
    days: int,
) -> np.ndarray:
    """DAILY → the panel [users × days × daily features] float32, written to `path` and memory-mapped."""
    panel = np.lib.format.open_memmap(path, "w+", np.float32, (len(users), days, len(features)))
    place = {
        (s, n, m): i
        for i, (s, n, m) in enumerate(zip(*(features[c] for c in ("side", "event_name", "measure")), strict=True))
    }
    user, day = _positions(table, users, first)
    for measure, column in (("count", "n"), ("value", "value")):
        slot = pd.MultiIndex.from_arrays([table["side"], table["event_name"]]).map(
            lambda key, measure=measure: place.get((*key, measure), -1)
        )
        slot = np.asarray(slot, dtype=np.int64)
        has = slot >= 0
        panel[user[has], day[has], slot[has]] = table[column].to_numpy(np.float32)[has]
    if len(actors):
        user, day = _positions(actors, users, first)
        panel[user, day, int(np.flatnonzero(features["measure"] == "actors")[0])] = actors["n"].to_numpy(np.float32)
    panel.flush()
    return panel


def _positions(table: pd.DataFrame, users: pd.Index, first: pd.Timestamp) -> tuple[np.ndarray, np.ndarray]:
    return users.get_indexer(table["user_id"]), (pd.to_datetime(table["day"]) - first).dt.days.to_numpy()


def _with_side(event_log: ir.Table) -> ir.Table:
    return event_log.mutate(side=ibis.ifelse(event_log.user_id == event_log.actor_id, "own", "received"))


def _feature(side: str, name: str, measure: str) -> dict[str, object]:
    labels = [
        measure_text.format(side_text.format(name))
        for side_text, measure_text in zip(_SIDES[side], _MEASURES[measure], strict=True)
    ]
    return {"feature": f"{side}:{name}:{measure}", "kind": "daily", "side": side, "event_name": name,
            "measure": measure,            "lookback": None, "label_en": labels[0], "label_ko": labels[1]}  # fmt: skip
