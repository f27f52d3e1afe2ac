"""What the report says of experiments and searches: means, spread, and whether the best was good or lucky."""

from __future__ import annotations

import pandas as pd
import pytest

from tschurn.contracts import EXPERIMENTS, TRIALS
from tschurn.report.search import experiments_figure, experiments_summary, search_summary, trials_figure
from tschurn.report.words import Texts


def trials(ap: list[float], again: list[float]) -> dict[str, pd.DataFrame]:
    rows = [("churn", "gru", i, 0, "{}", v, 0.4, 4, False, v == max(ap)) for i, v in enumerate(ap)]
    rows += [
        ("churn", "gru", ap.index(max(ap)), i, "{}", v, 0.4, 4, False, False) for i, v in enumerate(again, start=1)
    ]
    return {"trials": pd.DataFrame(rows, columns=list(TRIALS.columns))}


@pytest.mark.parametrize(
    ("ap", "again", "code"),
    [
        ([0.50, 0.52, 0.60], [0.59, 0.61], "stable"),  # lead 0.08, kept 0.08
        ([0.50, 0.52, 0.60], [0.53, 0.54], "lucky"),  # kept 0.015
        ([0.50, 0.52, 0.53], [0.51, 0.54], "level"),  # lead 0.01, spread 0.03
        ([0.50, 0.60], [0.60, 0.60], "unknown"),
        ([0.50, 0.52, 0.60], [], "unknown"),
    ],
)
def test_the_best_trial_is_good_or_lucky(ap: list[float], again: list[float], code: str) -> None:
    (found,) = search_summary(trials(ap, again), "churn")
    assert found["code"] == code
    assert found["lead"] == pytest.approx(max(ap) - sorted(ap)[len(ap) // 2 if len(ap) % 2 else 0], abs=0.051)
    assert found["again"] == again and found["trials"] == len(ap)


def test_a_pair_has_the_mean_and_the_spread_of_its_seeds() -> None:
    rows = [("churn", "none", "gru", seed, ap, 0.8, 0.4, 3, True) for seed, ap in enumerate((0.5, 0.6, 0.7))]
    rows += [("churn", "none", "bilstm", 0, 0.9, 0.8, 0.4, 3, False)]
    found = experiments_summary({"experiments": pd.DataFrame(rows, columns=list(EXPERIMENTS.columns))}, "churn")
    assert found["seeds"] == 3 and found["fits"] == 4
    one, two = found["cells"]
    assert one["architecture"] == "gru" and one["ap"] == pytest.approx(0.6) and one["sd"] == pytest.approx(0.1)
    assert one["chosen"] and not two["chosen"] and pd.isna(two["sd"])
    figure = experiments_figure(found, Texts.load("en"))
    assert figure.data[0].text[0][1] == "0.600 ± 0.100<br>3 seeds" and figure.data[0].text[0][0] == "0.900"


def test_nothing_tried_is_nothing_to_show() -> None:
    assert experiments_summary({}, "churn") is None and search_summary({}, "churn") == []
    assert experiments_figure(None, Texts.load("ko")) is None
    assert trials_figure(trials([0.5], [])["trials"].head(0), Texts.load("ko")) is None
