"""Daily usage in the report: its strengths, what is drawn of it, and where the log fails."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from tschurn.contracts import EVENT_NAMES, SEASONALITY
from tschurn.report.render import compact, environment
from tschurn.report.usage import KINDS_DRAWN, MOST_BANDS, MOST_DAYS, MOST_DAYS_SMALL, draw_usage, usage_summary
from tschurn.report.values import plain
from tschurn.report.words import LANGUAGES, Texts

FIRST = date(2024, 1, 1)
EN, KO = Texts.load("en"), Texts.load("ko")


def series(
    name: str, days: int, kind: tuple[str, str] | None = None, noise: float = 1.0, outage=(), slope: float = 0.0
):
    """A series around 100 with a week of ±10, with rows of SEASONALITY as their model has them."""
    at = np.arange(days)
    seasonal = 10 * np.sin(2 * np.pi * at / 7)
    remainder = noise * np.random.default_rng(0).normal(size=days)
    trend = 100 + slope * at
    observed = trend + seasonal + remainder
    lost = np.isin(at, list(outage))
    frame = pd.DataFrame({
        "series": name, "side": kind and kind[0], "event_name": kind and kind[1],
        "day": [FIRST + timedelta(days=int(d)) for d in at], "observed": np.where(lost, 0, observed), "trend": trend,
        "seasonal": seasonal, "remainder": np.where(lost, -trend - seasonal, remainder), "outage": lost, "robust": True,
    })  # fmt: skip
    SEASONALITY.check(frame)
    return frame


def both(table: pd.DataFrame, **others: pd.DataFrame):
    tables = {"seasonality": table, **others}
    summary = plain(usage_summary(tables))
    return summary, draw_usage(tables, summary, EN)


def test_strength_is_that_of_wang_smith_and_hyndman():
    summary, _ = both(pd.concat([series("own_events", 140, noise=1e-3), series("active_users", 140, noise=4.0)]))
    active, own = summary["totals"]
    assert own["strength"]["seasonal"] > 0.999 and own["strength"]["trend"] == pytest.approx(0, abs=1e-9)
    part = series("active_users", 140, noise=4.0)
    expected = 1 - np.var(part["remainder"]) / np.var(part["remainder"] + part["seasonal"])
    assert active["strength"]["seasonal"] == pytest.approx(expected)
    assert [row["mean"] for row in (own, active)] == pytest.approx([100, 100], abs=1)


def test_outage_days_enter_neither_strength_nor_average():
    whole, broken = (both(series("own_events", 140, outage=days))[0]["totals"][0] for days in ((), range(60, 68)))
    assert broken["strength"]["seasonal"] == pytest.approx(whole["strength"]["seasonal"], abs=0.01)
    assert broken["mean"] == pytest.approx(whole["mean"], abs=0.6)
    assert both(series("own_events", 140, outage=range(60, 68)))[0]["outages"] == 8


def test_change_is_that_of_the_trend_over_four_weeks():
    table = pd.concat([series("a", 100, slope=1.0), series("b", 28, slope=1.0), series("c", 60).assign(trend=0.0)])
    changes = [row["change"] for row in both(table)[0]["totals"]]
    assert changes == [pytest.approx(199 / 171 - 1), None, None]


def test_a_constant_series_has_no_strength():
    flat = series("own_events", 30).assign(observed=0.0, trend=0.0, seasonal=0.0, remainder=0.0)
    row = both(flat)[0]["totals"][0]
    assert row["strength"] == {"trend": None, "seasonal": None} and row["change"] is None


def test_what_has_no_series_of_its_own_is_counted_and_named():
    names = pd.DataFrame([("own", n, rows, 1, 1.0, FIRST, FIRST) for n, rows in (("a", 60), ("b", 30), ("c", 10))],
                         columns=list(EVENT_NAMES.columns))  # fmt: skip
    summary, _ = both(series("own:a", 30, ("own", "a")), event_names=names)
    left = summary["left_out"]
    assert (left["kinds"], left["share"], [n["event_name"] for n in left["names"]]) == (2, 0.4, ["b", "c"])
    summary, _ = both(series("own_events", 30), event_names=names)
    assert summary["left_out"] == {"kinds": 0, "share": None, "names": []}  # no kind was decomposed at all


def test_each_run_of_outage_days_is_one_band():
    _, found = both(series("own_events", 100, outage=[10, 11, 12, 40]))
    shapes = found["season-own_events"].layout.shapes
    assert [(s.x0, s.x1) for s in shapes] == [
        ("2024-01-10T12:00", "2024-01-13T12:00"), ("2024-02-09T12:00", "2024-02-10T12:00")
    ]  # fmt: skip
    assert "the log fails" in {trace.name for trace in found["season-own_events"].data}
    _, found = both(series("own_events", 700, outage=range(0, 700, 2)))
    assert len(found["season-own_events"].layout.shapes) == MOST_BANDS


def test_long_series_are_drawn_by_week():
    days = MOST_DAYS + 6
    summary, found = both(series("own_events", days, slope=0.01))
    observed, trend, swing, _ = found["season-own_events"].data
    assert summary["by_week"] and len(observed.x) == len(trend.y) == -(-days // 7)
    assert observed.x[1] == "2024-01-08"
    table = series("own_events", days, slope=0.01)
    assert observed.y[3] == pytest.approx(table["observed"].iloc[21:28].mean(), rel=1e-4)
    assert swing.y[3] == pytest.approx(np.ptp(table["seasonal"].iloc[21:28]), rel=1e-4)
    _, found = both(series("own_events", MOST_DAYS))
    assert len(found["season-own_events"].data[0].x) == MOST_DAYS


def test_ten_years_of_many_kinds_stay_small():
    kinds = [series(f"own:{i}", 3650, ("own", f"event {i}")) for i in range(30)]
    totals = [series(name, 3650, outage=range(0, 3650, 9)) for name in ("active_users", "own_events")]
    summary, found = both(pd.concat([*totals, *kinds]))
    assert len(compact({name: figure.to_plotly_json()["data"] for name, figure in found.items()})) < 450_000
    assert len(summary["kinds"]) == 30 and len(found["kinds"].layout.annotations) == KINDS_DRAWN


@pytest.mark.parametrize("kinds", [1, 2, 3, 4, KINDS_DRAWN + 5])
def test_event_kinds_are_multiples_on_their_own_axes(kinds):
    table = pd.concat([series(f"own:{i}", MOST_DAYS_SMALL, ("own", f"<b>{i}</b>")) for i in range(kinds)])
    summary, found = both(table)
    figure = found["kinds"]
    drawn = min(kinds, KINDS_DRAWN)
    assert summary["drawn"] == drawn
    assert len({trace.xaxis for trace in figure.data}) == drawn and len(figure.data) == 2 * drawn
    first = sorted(str(i) for i in range(kinds))[:drawn]  # equally frequent: by name
    assert [a.text for a in figure.layout.annotations] == [f"own · &lt;b&gt;{i}&lt;/b&gt;" for i in first]
    assert len(figure.data[0].x) == MOST_DAYS_SMALL


def test_the_most_frequent_kinds_come_first_however_the_rows_lie():
    table = pd.concat([series(f"own:{i}", 30, ("own", str(i))).assign(observed=float(i % 5)) for i in range(20)])
    summaries = [both(t)[0] for t in (table, table.sample(frac=1, random_state=2))]
    order = [row["event_name"] for row in summaries[1]["kinds"]]
    assert order == sorted(map(str, range(20)), key=lambda i: (-(int(i) % 5), i))
    assert order == [row["event_name"] for row in summaries[0]["kinds"]]


def test_nothing_to_tell_is_empty():
    summary = plain(usage_summary({}))
    assert summary["totals"] == summary["kinds"] == [] and draw_usage({}, summary, EN) == {}


def test_both_languages_have_the_same_figures_but_for_words():
    tables = {"seasonality": pd.concat([series("own_events", 60, outage=[5]), series("own:a", 60, ("own", "a"))])}
    summary = plain(usage_summary(tables))
    en, ko = (draw_usage(tables, summary, texts) for texts in (EN, KO))
    assert list(en) == list(ko) == ["season-own_events", "kinds"]
    for name, figure in en.items():
        one, other = (f.to_plotly_json() for f in (figure, ko[name]))
        for trace, translated in zip(one["data"], other["data"], strict=True):
            assert trace.pop("name") != translated.pop("name")
        assert compact(one["data"]) == compact(other["data"])
        assert one["layout"].keys() == other["layout"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_from_the_log_stand_in_the_page_as_they_are(language):
    summary, figures = both(pd.concat([series("own_events", 60, outage=[5]), series("own:a", 60, ("own", "<b>a</b>"))]))
    page = environment().get_template("usage.html.j2").render(s={"usage": summary}, t=Texts.load(language),
                                                              figures=figures)  # fmt: skip
    assert "&lt;b&gt;a&lt;/b&gt;" in page and "<b>a</b>" not in page
    assert "None" not in page and "nan" not in page
