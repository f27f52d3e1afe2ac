"""FACTS → history features that do not change: numbers as they are, texts as one column for each common one."""

from __future__ import annotations

import numpy as np
import pandas as pd

MOST_TEXTS = 12  # of a fact, that get a column of their own


def encode(facts: pd.DataFrame, users: pd.Index, learned: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """FACTS → FEATURES rows of kind 'history', and [users × features] float32.

    learned: the users that may be learned from; the texts that get a column are the most common ones among
    them. A fact that is not known is 0, with a column `:unknown` where that happens.
    """
    rows, columns = [], []
    for fact, part in facts.groupby("fact", sort=True):
        user = users.get_indexer(part["user_id"])
        part, user = part[user >= 0], user[user >= 0]
        known = np.zeros(len(users), dtype=bool)
        known[user] = True
        if part["text"].isna().all():
            number = np.zeros(len(users), dtype=np.float32)
            number[user] = part["number"].to_numpy(np.float32)
            rows.append(_row(f"{fact}", f"{fact}", f"{fact}"))
            columns.append(number)
        else:
            text = part["text"].to_numpy()
            counts = pd.Series(text[learned[user]]).value_counts()
            for value in sorted(counts.index[:MOST_TEXTS], key=lambda t: (-counts[t], t)):
                column = np.zeros(len(users), dtype=np.float32)
                column[user[text == value]] = 1
                rows.append(_row(f"{fact}={value}", f"{fact}: {value}", f"{fact}: {value}"))
                columns.append(column)
        if not known.all():
            rows.append(_row(f"{fact}{_UNKNOWN}", f"{fact} not known", f"{fact} 알 수 없음"))
            columns.append((~known).astype(np.float32))
    matrix = np.stack(columns, axis=1) if columns else np.zeros((len(users), 0), dtype=np.float32)
    return pd.DataFrame(rows), matrix


def encode_as(facts: pd.DataFrame, users: pd.Index, columns: pd.DataFrame) -> np.ndarray:
    """FACTS and the FEATURES rows that `encode` gave for others → [users × those rows] float32, learned from nobody.

    A text without a column of its own is 0 in all of its fact's; so is what is not known, but in `:unknown`.
    """
    place = {feature.removeprefix(_PREFIX): i for i, feature in enumerate(columns["feature"])}
    matrix = np.zeros((len(users), len(place)), dtype=np.float32)
    for fact, part in facts.groupby("fact", sort=True):
        user = users.get_indexer(part["user_id"])
        part, user = part[user >= 0], user[user >= 0]
        if fact in place:
            matrix[user, place[fact]] = pd.to_numeric(part["number"]).fillna(0).to_numpy(np.float32)
        else:
            at = (f"{fact}=" + part["text"].astype("str")).map(place)
            found = at.notna().to_numpy()
            matrix[user[found], at[found].astype(int)] = 1
        if (unknown := place.get(f"{fact}{_UNKNOWN}")) is not None:
            matrix[:, unknown] = 1
            matrix[user, unknown] = 0
    return matrix


def missing(facts: pd.DataFrame, columns: pd.DataFrame) -> list[str]:
    """FACTS and the FEATURES rows of a run → names of those rows whose fact is not known of anybody here."""
    known = tuple(facts["fact"].unique())
    names = columns["feature"].str.removeprefix(_PREFIX)
    return [name for name in names if not any(name == f or name.startswith((f"{f}=", f"{f}{_UNKNOWN}")) for f in known)]


_PREFIX, _UNKNOWN = "history:fact:", ":unknown"


def _row(name: str, label_en: str, label_ko: str) -> dict[str, object]:
    return {"feature": f"{_PREFIX}{name}", "kind": "history", "side": None, "event_name": None, "measure": "fact",
            "lookback": None, "label_en": label_en, "label_ko": label_ko}  # fmt: skip
