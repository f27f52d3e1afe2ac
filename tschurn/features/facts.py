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
            rows.append(_row(f"{fact}:unknown", f"{fact} not known", f"{fact} 알 수 없음"))
            columns.append((~known).astype(np.float32))
    matrix = np.stack(columns, axis=1) if columns else np.zeros((len(users), 0), dtype=np.float32)
    return pd.DataFrame(rows), matrix


def _row(name: str, label_en: str, label_ko: str) -> dict[str, object]:
    return {"feature": f"history:fact:{name}", "kind": "history", "side": None, "event_name": None, "measure": "fact",
            "lookback": None, "label_en": label_en, "label_ko": label_ko}  # fmt: skip
