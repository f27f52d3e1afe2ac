"""What the report says of a model that was asked itself, and of what would help."""

from __future__ import annotations

import runpy
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn import contracts as c
from tschurn.report.attribution import attribution_summary, draw_attribution
from tschurn.report.figures import draw
from tschurn.report.render import content
from tschurn.report.summary import summarise
from tschurn.report.words import Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
DAYS = ["before", *(str(d) for d in range(-6, 1))]
GROUPS = ["own:<b>post</b>", "received:like"]
USERS = [3, 1, 2]
DAY = date(2024, 5, 1)


def tables(gap: float = 1e-12, levers: bool = True) -> dict[str, pd.DataFrame]:
    """Users 1 to 3; of each the parts weigh as much as their place."""
    rows = []
    for user in USERS:
        for game, players in (("days", DAYS), ("groups", GROUPS), ("cells", ["before", "-6|own:<b>post</b>"])):
            for k, player in enumerate(players):
                rows.append(
                    {"target": "churn", "game": game, "user_id": user, "anchor_day": DAY, "player": player,
                     "log_odds": float(k) * user, "probability": 0.01 * k * user, "error": None, "base": 0.0,
                     "full": 1.0}
                )  # fmt: skip
    players = [
        {"target": "churn", "game": game, "player": player, "label_en": f"{player} en", "label_ko": f"{player} ko",
         "importance": float(k + 1), "importance_probability": 0.1, "mean": 0.0}
        for game, names in (("days", DAYS), ("groups", GROUPS)) for k, player in enumerate(names)
    ]  # fmt: skip
    games = [
        {"target": "churn", "game": game, "model": "gru", "background": "typical", "references": 4, "windows": 3,
         "players": 8, "gap": gap, "unfaithful": 0.0}
        for game in c.GAMES
    ]  # fmt: skip
    moved = [
        {"target": "churn", "user_id": user, "anchor_day": DAY, "event": "like", "label_en": "<i>like</i>",
         "label_ko": "좋아요", "value": 0.0, "typical": 2.0, "p": 0.5, "p_moved": 0.5 - 0.1 * user}
        for user in USERS
    ]  # fmt: skip
    found = {
        "attribution": pd.DataFrame(rows).astype({"error": "float64"}), "attribution_games": pd.DataFrame(games),
        "players": pd.DataFrame(players),
        "levers": pd.DataFrame(moved if levers else [], columns=list(c.LEVERS.columns)),
    }  # fmt: skip
    for name, contract in (("attribution", c.ATTRIBUTION), ("attribution_games", c.ATTRIBUTION_GAMES),
                           ("players", c.PLAYERS)):  # fmt: skip
        contract.check(found[name])
    return found


def test_users_stand_in_the_order_of_the_list_and_days_in_theirs() -> None:
    about = attribution_summary(tables(), [2, 9, 3], "en")["churn"]
    assert about["users"]["users"] == ["2", "3"]
    assert about["users"]["days"] == DAYS
    np.testing.assert_allclose(about["users"]["values"][1], [0.03 * k for k in range(8)])
    assert about["past"] == pytest.approx(1 / 36)
    assert about["holds"]
    (lever,) = about["levers"]
    assert (lever["users"], lever["lower"]) == (3, 3)
    assert lever["change"] == pytest.approx(-0.2)
    assert [row["user_id"] for row in lever["most"]] == [3, 2, 1]


def test_values_that_do_not_add_up_are_called_so() -> None:
    about = attribution_summary(tables(gap=0.1), USERS, "en")["churn"]
    assert not about["holds"]


def test_figures_show_what_the_tables_hold() -> None:
    summary, texts = attribution_summary(tables(), USERS, "ko"), Texts.load("ko")
    figures = draw_attribution(tables(), summary, texts)
    assert set(figures) == {"days-churn", "groups-churn", "user-days-churn", "cells-churn"}
    assert list(figures["days-churn"].data[0].x) == [float(k + 1) for k in range(8)]
    grid = figures["user-days-churn"]
    assert grid.data[0].z[0][-1] == pytest.approx(0.21)
    assert grid.layout.xaxis.ticktext[:2] == ("이전", "\N{MINUS SIGN}6")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_says_it_and_names_stay_names(language: str) -> None:
    given = made["tables"]() | tables()
    summary = summarise(given, [], made["experiment"](language=language), made["manifest"]())
    texts = Texts.load(language)
    html = content(summary, draw(given, summary, texts), texts)
    assert texts.plain("attribution.holds") in html
    assert str(texts("levers.title")) in html
    assert "<i>like</i>" not in html and "<b>post</b>" not in html


def test_a_run_that_asked_nothing_says_so() -> None:
    given = made["tables"]()
    summary = summarise(given, [], made["experiment"](), made["manifest"]())
    texts = Texts.load("en")
    assert summary["attribution"] == {}
    assert texts.plain("attribution.none") in content(summary, draw(given, summary, texts), texts)
