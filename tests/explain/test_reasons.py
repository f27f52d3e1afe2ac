"""reasons.py: the right features, in words and numbers for people."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import REASONS
from tschurn.explain.reasons import by_feature, for_people, reasons


def windows_of(ids: np.ndarray | list) -> pd.DataFrame:
    days = pd.Series([date(2024, 1, 7)] * len(ids), dtype=object)
    return pd.DataFrame({"user_id": ids, "anchor_day": days})


def features_of(names: list[str]) -> pd.DataFrame:
    count = range(len(names))
    return pd.DataFrame(
        {"feature": names, "label_en": [f"Label {i}" for i in count], "label_ko": [f"이름 {i}" for i in count]}
    )


def plain_reasons(contributions: np.ndarray, top: int) -> list[tuple[int, int, int]]:
    """(row, feature, rank), window by window."""
    found = []
    for row, values in enumerate(contributions):
        best = sorted((f for f in range(len(values)) if values[f] > 0), key=lambda f, values=values: (-values[f], f))
        found += [(row, feature, rank) for rank, feature in enumerate(best[:top], start=1)]
    return found


@pytest.mark.parametrize("top", [1, 3, 20])
def test_same_as_window_by_window(top: int) -> None:
    rng = np.random.default_rng(0)
    features = features_of([f"f{i}" for i in range(12)])
    contributions, values = rng.normal(size=(40, 12)).round(1), rng.normal(size=(40, 12))
    contributions[7] = -1
    contributions[8] = 0
    table = reasons(contributions, values, features, windows_of(np.arange(40) + 100), np.zeros(12), top)
    expected = plain_reasons(contributions, top)
    found = list(zip(table["user_id"] - 100, table["feature"], table["rank"], strict=True))
    assert found == [(row, f"f{feature}", rank) for row, feature, rank in expected]
    assert table["contribution"].tolist() == [contributions[row, feature] for row, feature, _ in expected]
    assert table["value"].tolist() == [values[row, feature] for row, feature, _ in expected]
    assert not set(table["user_id"]) & {107, 108}
    REASONS.check(table.assign(target="churn"))


def test_the_days_of_a_feature_push_together() -> None:
    """Two weak days make a strong feature; a day that pushes back counts as well."""
    contributions = np.array([[0.3, 0.5, 0.3], [0.9, 0.5, -0.8]])
    assert by_feature(contributions, pd.Series(["a", "b", "a"])) == pytest.approx(np.array([[0.6, 0.5], [0.1, 0.5]]))
    rng = np.random.default_rng(1)
    names = pd.Series(rng.choice(list("abcd"), 9))
    contributions = rng.normal(size=(5, 9))
    expected = pd.DataFrame(contributions.T).groupby(names.to_numpy(), sort=False).sum().T.to_numpy()
    assert by_feature(contributions, names) == pytest.approx(expected)


def test_sentences_fit_the_target() -> None:
    features = features_of(["recency"]).assign(
        label_en="Days since last own act", label_ko="마지막 본인 활동 후 경과일"
    )
    given = np.array([[0.7]]), np.array([[5.0]]), features, windows_of(["kim"]), np.array([1.234])
    churn = reasons(*given, target="churn").iloc[0]
    assert churn["sentence_en"] == "Days since last own act: 5 (average 1.2), raises the risk of going quiet"
    assert churn["sentence_ko"] == "마지막 본인 활동 후 경과일: 5 (평균 1.2), 이탈 위험을 높임"
    sticker = reasons(*given, target="sticker").iloc[0]
    assert sticker["sentence_en"].endswith("raises the chance of a sticker")
    assert sticker["sentence_ko"].endswith("스티커 가능성을 높임")
    assert (churn["user_id"], churn["typical"]) == ("kim", 1.234)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5, "5"), (0, "0"), (-0.0, "0"), (1234567.8, "1,234,568"), (99.96, "100"), (12.34, "12.3"), (3.04, "3"),
        (0.374, "0.37"), (0.0421, "0.042"), (0.0034, "0.0034"), (0.0004, "<0.001"), (-0.0004, ">-0.001"),
        (-2.54, "-2.5"), (100.4, "100"), (1e9, "1,000,000,000"), (float("nan"), "–"), (2e-9, "<0.001"),
    ],
)  # fmt: skip
def test_numbers_for_people(number: float, text: str) -> None:
    assert for_people(np.array([number, 7.0])).tolist() == [text, "7"]


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (4, 3)])
@pytest.mark.parametrize("ids", [np.arange(4), np.array(list("abcd"))])
def test_nobody_or_nothing(shape: tuple[int, int], ids: np.ndarray) -> None:
    zeros, features = np.zeros(shape), features_of(["a", "b", "c"][: shape[1]])
    table = reasons(zeros, zeros, features, windows_of(ids[: shape[0]]), np.zeros(shape[1]))
    assert len(table) == 0
    REASONS.check(table.assign(target="churn"))
