"""QUALITY and PLATFORM_DAYS → the findings about the log, in figures and in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from tschurn.report.theme import BLUE, GREY, ORANGE, faint, finish, short
from tschurn.report.values import Tables, number, plain, records, table_of
from tschurn.report.words import Texts, brief, share, signed, whole

SEVERITIES = ("warning", "note", "info")
PARTS = ("text", "meaning", "action")
MOST_BANDS = 200  # shaded runs of days that a figure draws


def quality_summary(tables: Tables, texts: Texts) -> dict[str, Any]:
    """Tables → counts by severity, the findings in their order with their sentences, and the flagged days."""
    rows = [plain(row) for row in records(table_of(tables, "quality"))]
    rows.sort(key=lambda row: SEVERITIES.index(row["severity"]))
    for row in rows:
        values = words_of(row, texts)
        for part in PARTS:
            row[part] = _without_tags(texts.words[f"quality_{part}.{row['check']}"]).format(**values)
    days = table_of(tables, "platform_days").sort_values("day", kind="stable")
    flagged = days[days["flag"].notna()]
    return {
        "counts": {s: sum(row["severity"] == s for row in rows) for s in SEVERITIES},
        "findings": rows,
        "flagged_days": records(flagged[["day", "flag", "rows", "expected"]]),
    }


def words_of(finding: Mapping[str, Any], texts: Texts) -> dict[str, str]:
    """A finding → its figures as they are written, by the names that the texts use."""
    value = number(finding["value"], None)
    days = [finding[side] and date.fromisoformat(finding[side]) for side in ("first_day", "last_day")]
    subject = finding["subject"] or ""
    named = {"filter": "filters", "more": "quality_title"}.get(finding["check"])
    return {
        "subject": str(texts.name(named, subject)) if named else subject,
        "first_day": finding["first_day"] or "–",
        "last_day": finding["last_day"] or "–",
        "period": " – ".join(dict.fromkeys(str(day) for day in days if day)) or "–",
        "days": whole((days[1] - days[0]).days + 1) if all(days) else "–",
        "rows": whole(finding["rows"]),
        "percent_share": share(finding["share"]),
        "value": whole(value) if value is None or value.is_integer() else brief(value),
        "percent": share(value),
        "signed": "–" if value is None else signed(value).partition(".")[0],
    }


def cards(findings: list[dict[str, Any]], texts: Texts) -> list[dict[str, Any]]:
    """Findings of the summary → one card for each check and severity: its sentences as HTML, each said once."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in findings:
        about = {"check": row["check"], "severity": row["severity"], **{part: [] for part in PARTS}}
        card = found.setdefault((row["severity"], row["check"]), about)
        values = words_of(row, texts)
        for part in PARTS:
            sentence = texts(f"quality_{part}.{row['check']}", **values)
            if sentence not in card[part]:
                card[part].append(sentence)
    return list(found.values())


def days_figure(tables: Tables, summary: Mapping[str, Any], texts: Texts) -> go.Figure | None:
    """Rows per day with what was to be expected; flagged days shaded, and no years of emptiness around the log."""
    days = table_of(tables, "platform_days").sort_values("day", kind="stable")
    days = days[_drawn(days["day"], summary["findings"])]
    if days.empty:
        return None
    x = [str(day)[:10] for day in days["day"]]
    figure = go.Figure()
    for column, name, line in (
        ("expected", "expected", {"color": GREY, "width": 1.2, "dash": "dot"}),
        ("rows", "rows_of_day", {"color": BLUE, "width": 1.6}),
    ):
        name = texts.plain(f"figures.{name}")
        figure.add_scatter(x=x, y=short(days[column]), mode="lines", line=line, name=name)
    flagged = days["flag"].notna().to_numpy()
    run = (flagged != pd.Series(flagged).shift(fill_value=False)).cumsum().to_numpy()
    moments = pd.to_datetime(pd.Series(x))
    bands = moments[flagged].groupby(run[flagged]).agg(["min", "max"]).head(MOST_BANDS)
    half = pd.Timedelta(hours=12)
    for low, high in bands.itertuples(index=False):
        figure.add_vrect(x0=str(low - half), x1=str(high + half), fillcolor=faint(ORANGE), line_width=0, layer="below")
    figure.update_xaxes(type="date", tickformat="%y-%m-%d", hoverformat="%Y-%m-%d", nticks=8, tickangle=0)
    figure.update_yaxes(title_text=texts.plain("figures.rows_of_day"), rangemode="tozero")
    return finish(figure, 300, legend=True)


def _drawn(day: pd.Series, findings: list[dict[str, Any]]) -> pd.Series:
    """Which days lie between the plausible start and end that the findings name."""
    text = day.astype(str).str[:10]
    inside = pd.Series(True, index=day.index)
    for row in findings:
        if row["check"] == "implausible_start":
            inside &= text >= row["last_day"]
        elif row["check"] in ("implausible_end", "future"):
            inside &= text <= row["first_day"]
    return inside


def _without_tags(text: str) -> str:
    return re.sub(r"</?(b|i|code)>", "", text)
