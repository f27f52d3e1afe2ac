"""DAILY and EVENT_LOG → which events tell of a user's day: VOCABULARY; and the day in all: USER_DAYS.

Which events get a feature of their own is learned on the training days; the rest is folded into `other`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from tschurn.blocks import Days, within
from tschurn.config import Targets

OTHER = "other"
_WORD_BITS = 31  # events told apart by the bits of one integer: the smaller, the faster
_SIDES = {"own": ("own {}", "본인 {}"), "received": ("received {}", "받은 {}")}
_MEASURES = {
    "count": ("{}: count", "{} 횟수"),
    "value": ("{}: value", "{} 금액·값"),
    "actors": ("{}: people", "{} 보낸 사람 수"),
}


def vocabulary(acts: ir.Table, last_training_day: pd.Timestamp, most: int, keep: set[tuple[str, str]]) -> pd.DataFrame:
    """DAILY → VOCABULARY, the largest events of a side first.

    At most `most` events a side have features of their own, by rows on the training days; those in `keep`
    (side, name) always, if they occur there. An event that the training days do not hold is folded.
    """
    early = acts.day <= last_training_day.date()
    counted = (
        acts.group_by("side", "event_name")
        .agg(rows=ibis.ifelse(early, acts.n, 0).sum(), valued=ibis.ifelse(early, acts.valued, 0).sum())
        .to_pyarrow()
        .to_pandas()
        .sort_values(["side", "rows", "event_name"], ascending=[True, False, True], ignore_index=True)
    )
    wanted = pd.MultiIndex.from_frame(counted[["side", "event_name"]]).isin(list(keep))
    own = (counted["rows"] > 0) & ((counted.groupby("side").cumcount() < most) | wanted)
    return counted.assign(has_value=counted["valued"] > 0, folded=~own).drop(columns="valued")


def user_days(acts: ir.Table, targets: Targets) -> ir.Table:
    """DAILY → per user and day: whether there was activity, own and received rows, stickers, hours of own acts."""
    own = acts.side == "own"
    activity = own & acts.event_name.isin(targets.churn.events) if targets.churn.events else own
    if targets.sticker:
        sticker = (acts.side == targets.sticker.side) & acts.event_name.isin(targets.sticker.events)
    else:
        sticker = own & ibis.literal(False)  # a column, all false
    exact = acts.value.cast("decimal(38, 6)")  # whose sum does not depend on the order of the rows
    return (
        acts.group_by("user_id", "day")
        .agg(
            active=activity.any(),
            own=ibis.ifelse(own, acts.n, 0).sum(),
            received=ibis.ifelse(own, 0, acts.n).sum(),
            stickers=ibis.ifelse(sticker, acts.n, 0).sum(),
            sticker_value=ibis.ifelse(sticker, exact, 0).sum().cast("float64"),
            first_hour=acts.first_hour.min(where=own),
            last_hour=acts.last_hour.max(where=own),
        )
        .order_by("user_id", "day")
    )


def actors(event_log: ir.Table, blocks: Iterable[Days], names: list[str] | None = None) -> Iterator[pa.Table]:
    """EVENT_LOG → user_id, day, actors: how many different people acted towards the user that day; a table a block.

    names: received events (the last one stands for all others) for which people are counted as well, in columns
    actors_0, actors_1, ... Each person's events of a day become the bits of an integer first, so that the log is
    grouped once for all of them. Done in the engine, block by block of days.
    """
    for first, last in blocks:
        part = within(event_log, first, last)
        part = part.filter(part.user_id != part.actor_id)
        part = part.mutate(**_masks(part.event_name, names)) if names else part
        masks = [column for column in part.columns if column.startswith("mask_")]
        met = part.group_by("user_id", "day", "actor_id").agg(**{m: _bits(part[m]) for m in masks})
        counts = {
            f"actors_{k}": ((met[f"mask_{k // _WORD_BITS}"] >> (k % _WORD_BITS)) & 1).sum()
            for k in range(len(names or []))
        }
        yield met.group_by("user_id", "day").agg(actors=met.count(), **counts).to_pyarrow()


@ibis.udf.agg.builtin(name="bit_or")
def _bits(mask: int) -> int: ...


def _masks(event_name: ir.StringColumn, names: list[str]) -> dict[str, ir.IntegerColumn]:
    """One integer for each _WORD_BITS names, with the bit of the row's event set.

    The bits are literals, since engines shift differently.
    """
    masks = {}
    for first in range(0, len(names), _WORD_BITS):
        here = names[first : first + _WORD_BITS]
        last = first + len(here) == len(names)
        cases = [
            (event_name == name, ibis.literal(1 << k, "int32")) for k, name in enumerate(here[:-1] if last else here)
        ]
        other = ibis.literal(1 << (len(here) - 1) if last else 0, "int32")
        if last and first:
            other = ibis.ifelse(event_name.isin(names[:first]), ibis.literal(0, "int32"), other)
        masks[f"mask_{first // _WORD_BITS}"] = ibis.cases(*cases, else_=other) if cases else other
    return masks


def daily_features(words: pd.DataFrame, people: str) -> pd.DataFrame:
    """VOCABULARY → the FEATURES rows of kind 'daily', in the order of the panel; `other` last of a side.

    people: 'day' or 'event', as [features] actors.
    """
    rows = []
    for side, part in words.groupby("side", sort=True):
        rare = part["folded"] | (part["event_name"] == OTHER)
        known = part[~rare].sort_values("event_name")
        has_value = dict(zip(known["event_name"], known["has_value"], strict=True))
        has_value |= {OTHER: True} if rare.any() else {}
        rows += [_feature(side, name, "count") for name in has_value]
        rows += [_feature(side, name, "value") for name, has in has_value.items() if has]
        if side == "received":
            rows += [_feature(side, name, "actors") for name in has_value if people == "event"]
            rows.append(
                {"feature": "received:actors", "kind": "daily", "side": "received", "event_name": None,
                 "measure": "actors", "lookback": None, "label_en": "people who acted towards the user",
                 "label_ko": "행동을 보낸 사람 수"}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _feature(side: str, name: str, measure: str) -> dict[str, object]:
    labels = [
        measure_text.format(side_text.format(name))
        for side_text, measure_text in zip(_SIDES[side], _MEASURES[measure], strict=True)
    ]
    return {"feature": f"{side}:{name}:{measure}", "kind": "daily", "side": side, "event_name": name,
            "measure": measure, "lookback": None, "label_en": labels[0], "label_ko": labels[1]}  # fmt: skip
