"""FEATURES → Groups: which daily features, and facts, are taken from one life or another as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tschurn.features.daily import OTHER

SOME_PEOPLE = ("supporters_active", "supporters_new", "supporters_returning")  # of all who acted on a day


@dataclass(frozen=True)
class Record:
    """What the panel does not hold of users' days, [users × days] each, and what counts as activity and as a sticker.

    levels: [users × days × the supporters' levels]. churn_events: None for all own events. sticker: its side and
    events, None without that target.
    """

    sticker_value: np.ndarray
    first_hour: np.ndarray
    last_hour: np.ndarray
    levels: np.ndarray
    churn_events: tuple[str, ...] | None
    sticker: tuple[str, tuple[str, ...]] | None


@dataclass(frozen=True)
class Groups:
    """Daily features and facts in groups that are taken from one life or another as a whole.

    table: group, label_en, label_ko; of_feature: the group of each daily feature, by its place in `table`; people: the
    daily features that count all people of a day, or some of them; facts, supporters, stickers: the places of these
    groups, None where there is none.
    """

    table: pd.DataFrame
    of_feature: np.ndarray
    people: np.ndarray
    facts: int | None
    supporters: int | None
    stickers: int | None

    def __len__(self) -> int:
        return len(self.table)

    @property
    def of_people(self) -> np.ndarray:
        """The groups of `people`."""
        return self.of_feature[self.people]


def groups_of(features: pd.DataFrame, record: Record, order: Sequence[str], most: int) -> Groups:
    """FEATURES → at most `most` groups: an event's features together, stickers, supporters, people, and facts.

    order: features whose events have groups of their own, the first ones first; the events for which nothing is
    left come together, by side.
    """
    daily = features[features["kind"] == "daily"].reset_index(drop=True)
    keys = np.array([_key(row, record) for row in daily.itertuples(index=False)], dtype=object)
    past = features[features["kind"] == "history"]
    has_facts = bool((past["measure"] == "fact").any())
    own_place = [k for k in ("stickers", "supporters", "people") if (keys == k).any()]
    if "supporters" not in own_place and past["feature"].str.startswith("history:supporters:").any():
        own_place.append("supporters")
    own_place += ["facts"] if has_facts else []
    rank = {feature: i for i, feature in enumerate(order)}
    events = daily.assign(key=keys, rank=[rank.get(f, len(rank)) for f in daily["feature"]])
    events = events[~events["key"].isin(own_place)].groupby("key", sort=False)["rank"].min().sort_values(kind="stable")
    room = most - len(own_place)
    alone = list(events.index)
    if len(alone) > room:
        alone = alone[: max(0, room - 2)]
        keys = np.array(
            [k if k in alone or k in own_place else f"{k.split(':')[0]}:*" for k in keys], dtype=object
        )  # fmt: skip
    names = [k for k in dict.fromkeys([*alone, *keys, *own_place]) if k not in own_place] + own_place
    place = {name: i for i, name in enumerate(names)}
    table = pd.DataFrame({"group": names, **dict(zip(("label_en", "label_ko"), _labels(names), strict=True))})
    everybody = (daily["measure"] == "actors") & daily["event_name"].isna()
    return Groups(
        table, np.array([place[k] for k in keys], dtype=int),
        np.flatnonzero(everybody | daily["measure"].isin(SOME_PEOPLE)),
        *(place.get(name) for name in ("facts", "supporters", "stickers")),
    )  # fmt: skip


def _key(feature: tuple, record: Record) -> str:
    """A daily feature → the group it would be in if there were room for all."""
    if feature.measure.startswith("supporters_"):
        return "supporters"
    if not isinstance(feature.event_name, str):
        return "people"
    if record.sticker and feature.side == record.sticker[0] and feature.event_name in record.sticker[1]:
        return "stickers"
    return f"{feature.side}:{feature.event_name}"


def _labels(names: Sequence[str]) -> tuple[list[str], list[str]]:
    fixed = {
        "stickers": ("stickers", "스티커"),
        "supporters": ("supporters", "서포터"),
        "people": ("how many people acted towards the user", "행동을 보낸 사람 수"),
        "facts": ("known facts", "알려진 정보"),
        "own:*": ("all other own acts", "그 외 본인 활동"),
        "received:*": ("all other received acts", "그 외 받은 활동"),
        f"own:{OTHER}": ("rare own acts", "드문 본인 활동"),
        f"received:{OTHER}": ("rare received acts", "드문 받은 활동"),
    }
    sides = {"own": ("own {}", "본인 {}"), "received": ("received {}", "받은 {}")}
    english, korean = [], []
    for name in names:
        side, _, event = name.partition(":")
        labels = fixed.get(name) or tuple(text.format(event) for text in sides[side])
        english.append(labels[0])
        korean.append(labels[1])
    return english, korean
