"""The model itself marked by the truth, by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tschurn import contracts as c
from tschurn.simulator.judged_attribution import judge_attribution

DAY = date(2024, 3, 1)
GROUPS = ["own:night_live", "received:first_comment", "received:like", "own:post", "own:*"]


def attribution(values: dict[str, list[float]], game: str = "groups", target: str = "churn") -> pd.DataFrame:
    rows = [
        {"target": target, "game": game, "user_id": user, "anchor_day": DAY, "player": group, "log_odds": value,
         "probability": 0.0, "error": np.nan, "base": 0.0, "full": 0.0}
        for user, of in values.items() for group, value in zip(GROUPS, of, strict=True)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    c.ATTRIBUTION.check(frame)
    return frame


def truth(causes: dict[str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {"user_id": list(causes), "day": DAY, "engagement": 0.0, "p_churn_true": 0.5, "p_sticker_true": 0.5,
         "cause": list(causes.values()), "drop": 0.2}
    )  # fmt: skip


def figures(values: dict[str, list[float]], causes: dict[str, str | None]) -> pd.DataFrame:
    others = [attribution({"a": [9.0] * 5}, target="sticker"), attribution({"a": [9.0] * 5}, game="cells")]
    found = judge_attribution(truth(causes), pd.concat([attribution(values), *others], ignore_index=True))
    c.TRUTH_FIGURES.check(found)
    return found.set_index(["figure", "about"])


def test_the_cause_counts_among_the_three_that_add_most() -> None:
    values = {
        "a": [0.1, 0.5, 0.4, 0.3, -1.0],  # burnout is fourth
        "b": [0.2, 0.5, 0.4, 0.1, -1.0],  # burnout is third
        "c": [-0.1, 0.3, -0.2, -0.3, -1.0],  # the comments, alone above 0
        "d": [-0.1, 0.0, 0.2, 0.1, 0.0],  # nothing of the comments
        "e": [1.0, 1.0, 1.0, 0.0, 0.0],  # chance has no features
    }
    causes = {"a": "burnout", "b": "burnout", "c": "unanswered_posts", "d": "unanswered_posts", "e": "chance"}
    found = figures(values, causes)
    assert found.loc[("precision_itself", ""), ["value", "n"]].tolist() == [0.5, 4]
    assert found.loc[("precision_itself", "burnout"), ["value", "n"]].tolist() == [0.5, 2]
    assert found.loc[("precision_itself", "price_change"), "n"] == 0
    assert found.loc[("precision_itself_chance", "burnout"), "value"] == pytest.approx(3 / 5)
    low, high = found.loc[("precision_itself", ""), ["low", "high"]]
    assert low <= 0.5 <= high


def test_a_cause_without_a_group_of_its_own_is_a_miss() -> None:
    found = figures({"a": [1.0, 0.5, 0.4, 0.3, 2.0]}, {"a": "price_change"})
    assert found.loc[("precision_itself", "price_change"), "value"] == 0.0
    assert found.loc[("precision_itself_chance", "price_change"), "value"] == 0.0


def test_nobody_was_asked() -> None:
    empty = attribution({"a": [0.0] * 5}).iloc[:0]
    found = judge_attribution(truth({"a": "burnout"}), empty)
    assert found["n"].eq(0).all() and found["value"].isna().all()
