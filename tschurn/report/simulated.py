"""Tables of a simulated log → the numbers of its section: the founding project, the truth, a portrait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tschurn.contracts import CAUSES, LABELS, NO_CAUSE
from tschurn.report import founding
from tschurn.report.values import Tables, first, number, records, table_of

if TYPE_CHECKING:
    from tschurn.config import Experiment

# Groups of features that carry no cause, by what it means when one is accepted.
OTHER_FEATURES = ("independent", "user_constant", "distractor")
# What the models of the founding project's comparison are called here.
COMPARED = ("most_frequent", "lightgbm_7days", "lightgbm_history")
GOAL, TIMES_CHANCE = 0.9, 2.0
RIVALS = tuple(f"precision_{rival}" for rival in ("chance", "chance_named", "recency", "same", "change"))
TRUTH = (
    *("base_rate", "ap_ceiling", "ap_used", "ap_share", "auc_ceiling", "auc_used"),
    *("p_error", "p_spearman", "bins_covered"),
    *("interval_bins_covered", "interval_covered", "interval_width"),
)
TOP_USERS = 0.1  # of all, by rows, whose share of the rows is told
SIDES = ("own", "received")


def simulated_summary(tables: Tables, experiment: Experiment, summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tables and what the summary has so far → the section's numbers; null where the log is not simulated."""
    if not experiment.log.simulated:
        return None
    figures = _figures(table_of(tables, "truth_figures"))
    judged = _precisions(figures)
    return {
        "founding": {
            "rows": _beside(summary),
            "differs": [
                {"setting": key, "there": there, "here": summary["setting"][key]}
                for key, there in founding.PROTOCOL.items()
                if summary["setting"][key] != there
            ],
            "models": {t: _models(t, about) for t, about in summary["targets"].items()},
        },
        "truth": {t: _truth(figures, t) for t in summary["targets"] if (t, "base_rate", "") in figures},
        "goal": _goal(judged),
        "reasons": judged,
        "itself": _itself(figures),
        "causes": _causes(figures),
        "other_features": [_selected(figures, about) for about in OTHER_FEATURES if _known(figures, about)],
        "all_features": _selected(figures, "") if _known(figures, "") else None,
        "rhythm": _rhythm(table_of(tables, "weekly_rhythm")),
        "activity": _activity(table_of(tables, "user_activity")),
        "paths": table_of(tables, "engagement_paths")["user_id"].nunique(),
    }


# --- beside the founding project ------------------------------------------------------------------
def _beside(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Size and rates: there, here, and by what share this run is off; `unit` says how to write a row."""
    log, splits = summary["log"], {row["split"]: row for row in summary["splits"]}
    closed = ("train", "validation", "calibration", "purged", "test")
    parts = {"all": closed, "train": ("train",), "validation": ("validation", "calibration"), "test": ("test",)}
    counts = {name: sum(splits[s]["windows"] for s in of) for name, of in parts.items()}
    rows = [
        _row("rows", "count", founding.ROWS, summary["rows"] or None),
        {
            **_row("days", "days", founding.DAYS, log.get("days")),
            "period_there": [founding.FIRST_DAY, founding.LAST_DAY],
            "period_here": [log["first_day"], log["last_day"]] if log else None,
        },
        *(_row(f"windows_{p}", "count", founding.WINDOWS[p], n or None) for p, n in counts.items()),
    ]
    if splits["purged"]["windows"]:
        rows.append(_row("windows_purged", "count", None, splits["purged"]["windows"]))
    for rate, there in founding.RATES.items():
        for part, share in there.items():
            rows.append(_row(f"{rate}_{part}", "share", share, _rate([splits[s] for s in parts[part]], rate)))
    return rows


def _row(figure: str, unit: str, there: float | None, here: float | None) -> dict[str, Any]:
    missing = there is None or here is None
    return {"figure": figure, "unit": unit, "there": there, "here": here, "off": None if missing else here / there - 1}


def _rate(splits: list[dict[str, Any]], rate: str) -> float | None:
    """The rate over several splits together."""
    known = [(s["windows"], s[rate]) for s in splits if s["windows"] and not pd.isna(s[rate])]
    return float(np.average([r for _, r in known], weights=[n for n, _ in known])) if known else None


def _models(target: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """The founding project's model of a target, and the models that stand for those of its comparison."""
    models = about.get("models", [])
    wanted = [m for m in models if m["used"]]
    wanted += [m for name in COMPARED for m in models if m["name"] == name and not m["used"]]
    keys = ("name", "used", "accuracy", "micro_ap", "ap", "base_rate")
    there = founding.MODELS[target] | {"base_rate": founding.RATES[LABELS[target]]["test"]}
    return {"there": there, "here": [{k: m[k] for k in keys} for m in wanted]}


# --- what the truth says --------------------------------------------------------------------------
Figures = Mapping[tuple[str, str, str], dict[str, Any]]


def _figures(table: pd.DataFrame) -> Figures:
    """TRUTH_FIGURES → value, interval and n by (target, figure, about)."""
    return {
        (row["target"], row["figure"], row["about"]): {
            **{key: number(row[key], None) for key in ("value", "low", "high")},
            "n": int(row["n"]),
        }
        for row in records(table)
    }


def _value(figures: Figures, figure: str, about: str = "", target: str = "churn") -> float | None:
    return figures.get((target, figure, about), {}).get("value")


def _truth(figures: Figures, target: str) -> dict[str, Any]:
    """How near the used model comes to what can be known at all."""
    found = {figure: _value(figures, figure, target=target) for figure in TRUTH}
    return found | {"windows": figures[target, "base_rate", ""]["n"]}


def _in_order(causes: set[str]) -> list[str]:
    return [*(c for c in CAUSES if c in causes), *sorted(causes - {*CAUSES, NO_CAUSE, ""})]


def _precisions(figures: Figures) -> list[dict[str, Any]]:
    """Per cause with features, all of them first: precision of the reasons, and of what they must surpass."""
    about = {a for t, f, a in figures if (t, f) == ("churn", "precision_at_3")}
    return [
        {
            "about": one,
            **figures["churn", "precision_at_3", one],
            **{rival.removeprefix("precision_"): _value(figures, rival, one) for rival in RIVALS},
        }
        for one in ([""] if "" in about else []) + _in_order(about)
    ]


def _itself(figures: Figures) -> dict[str, Any] | None:
    """How often the model itself names the true cause's act, and what chance would; null where nothing was marked."""
    found = figures.get(("churn", "precision_itself", ""))
    if found is None or found["value"] is None:
        return None
    return {**found, "chance": _value(figures, "precision_itself_chance", "")}


def _goal(judged: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether the reasons reach the goal: code "met", "short" with what is short, or "unmeasured".

    not_above: what knows no model's reasons for this user (the same three for everybody, the rule
    "largest change") and does as well all the same.
    """
    every = next((row for row in judged if not row["about"]), None)
    if every is None or every["value"] is None:
        return {"code": "unmeasured", "goal": GOAL, "times_chance": TIMES_CHANCE}
    value, chance, recency = (every[k] for k in ("value", "chance", "recency"))
    short = [] if value >= GOAL else ["goal"]
    short += ["chance"] if chance is not None and value < TIMES_CHANCE * chance else []
    short += ["recency"] if recency is not None and value <= recency else []
    return {
        "code": "short" if short else "met",
        "short": short,
        "not_above": [k for k in ("same", "change") if every[k] is not None and value <= every[k]],
        "goal": GOAL,
        "times_chance": TIMES_CHANCE,
        "distance": max(0.0, GOAL - value),
        "ratio": value / chance if chance else None,
        **{k: every[k] for k in ("value", "low", "high", "n", "chance", "chance_named", "recency", "same", "change")},
    }


def _known(figures: Figures, about: str) -> bool:
    return any(("churn", figure, about) in figures for figure in ("selected", "collinear"))


def _selected(figures: Figures, about: str) -> dict[str, Any]:
    """Of a group's features: how many were selected, went as collinear before, and point the right way."""
    counted = {"selected": "selected", "collinear": "collinear", "direction": "direction_right"}
    return {"about": about} | {key: _counted(figures, figure, about) for key, figure in counted.items()}


def _counted(figures: Figures, figure: str, about: str) -> dict[str, Any]:
    one = figures.get(("churn", figure, about), {"value": None, "n": 0})
    count = None if one["value"] is None else round(one["value"] * one["n"])
    return {"share": one["value"], "features": one["n"], "count": count}


def _causes(figures: Figures) -> list[dict[str, Any]]:
    """Per cause, and for windows without one: its share of the windows, and its features."""
    of_causes = ("cause_share", "selected", "direction_right", "precision_at_3")
    abouts = {a for t, f, a in figures if t == "churn" and f in of_causes} - set(OTHER_FEATURES)
    rows = []
    for cause in [*_in_order(abouts), *([NO_CAUSE] if NO_CAUSE in abouts else [])]:
        windows = figures.get(("churn", "cause_share", cause), {"value": None, "n": 0})
        rows.append({**_selected(figures, cause), "share": windows["value"], "windows": windows["n"]})
    return rows


# --- the platform's portrait ----------------------------------------------------------------------
def _rhythm(table: pd.DataFrame) -> dict[str, Any]:
    """Per side: the busiest hour of the week, and the weekend's share of the rows (two days of seven: 0.286)."""
    result = {}
    for side in SIDES:
        part = table[table["side"] == side]
        total = part["rows"].sum()
        if not total:
            continue
        busiest = first(part.sort_values(["rows", "weekday", "hour"], ascending=[False, True, True], kind="stable"))
        result[side] = {
            "rows": total,
            "weekday": busiest["weekday"],
            "hour": busiest["hour"],
            "share": busiest["rows"] / total,
            "weekend_share": part.loc[part["weekday"] >= 5, "rows"].sum() / total,
        }
    return result


def _activity(table: pd.DataFrame) -> dict[str, Any]:
    """Per side: how unequal users are in rows."""
    result = {}
    for side in SIDES:
        rows = table[f"{side}_rows"].astype("float64").sort_values(ascending=False).to_numpy()
        if not rows.sum():
            continue
        top = max(1, round(TOP_USERS * len(rows)))
        result[side] = {
            "users": len(rows),
            "without": int((rows == 0).sum()),
            "median": float(np.median(rows)),
            "most": rows[0],
            "top_share": rows[:top].sum() / rows.sum(),
        }
    return result
