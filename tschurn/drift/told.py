"""drift tables → sentences for people (English, Korean), and plain values for drift.json."""

from __future__ import annotations

import math
import tomllib
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from tschurn import contracts as c
from tschurn.drift.advice import far
from tschurn.drift.scores import alpha

SHOWN = 3  # features that a sentence names
LISTED = 10  # features of a target in drift.json, besides those beyond their range
LANGUAGES = ("en", "ko")
_SMALL = 0.005  # of a move in log-odds: not worth naming


def sentences(tables: dict[str, pd.DataFrame], language: str, features: pd.DataFrame | None = None) -> list[str]:
    """TABLES by name → sentences in "en" or "ko": the advice for all, each target's with its figures, what has moved
    the score where it is not as usual, and warnings. features: FEATURES, for names that people read."""
    texts = _texts()[language]
    names = {} if features is None else dict(zip(features["feature"], features[f"label_{language}"], strict=True))
    advice, figures, moved = (tables[t.name] for t in (c.ADVICE, c.DRIFT_FIGURES, c.DRIFT))
    found = [texts["all"][_overall(advice)]]
    targets = advice[advice["target"] != ""]
    for row in targets.itertuples():
        at = figures[figures["target"] == row.target].set_index("figure")
        part = moved[moved["target"] == row.target]
        known = {"target": texts["targets"].get(row.target, row.target)}
        known |= _known(at, row.reason, texts["words"])
        known |= _out_of_range(far(part, alpha(len(targets))), names)
        found.append(texts["reasons"][row.reason].format(**known))
        strongest = part[part["move"].abs() > _SMALL].head(SHOWN)
        if len(strongest) and (row.advice in ("recalibrate", "retrain") or _figure(at, "log_odds", "beyond")):
            moves = [f"{_name(m.feature, names)} ({m.move:+.2f})" for m in strongest.itertuples()]
            whole = _figure(at, "log_odds", "difference")
            found.append(texts["moves"]["score"].format(**known | {"move": whole, "features": ", ".join(moves)}))
    for warning in tables[c.DRIFT_WARNINGS.name].to_dict("records"):
        found.append(texts["warnings"][warning["warning"]].format(**warning))
    return found


def told(tables: dict[str, pd.DataFrame], features: pd.DataFrame | None = None) -> dict[str, Any]:
    """TABLES by name → plain values for drift.json: the advice, each target's advice, reason and figures, the features
    that matter most or have left their range, warnings, and the sentences."""
    advice, figures, moved = (tables[t.name] for t in (c.ADVICE, c.DRIFT_FIGURES, c.DRIFT))
    targets = {}
    for row in advice[advice["target"] != ""].itertuples():
        at = figures[figures["target"] == row.target].drop(columns="target").set_index("figure")
        part = moved[moved["target"] == row.target].drop(columns="target")
        listed = part[part["beyond"] | (part["rank"] <= LISTED)]
        targets[row.target] = {
            "advice": row.advice,
            "reason": row.reason,
            "figures": {name: _plain(values) for name, values in at.to_dict("index").items()},
            "features": [_plain(values) for values in listed.to_dict("records")],
        }
    return {
        "advice": _overall(advice),
        "targets": targets,
        "warnings": [_plain(values) for values in tables[c.DRIFT_WARNINGS.name].to_dict("records")],
        "sentences": {language: sentences(tables, language, features) for language in LANGUAGES},
    }


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads((resources.files("tschurn.drift") / "sentences.toml").read_text(encoding="utf-8"))


def _overall(advice: pd.DataFrame) -> str:
    return advice.loc[advice["target"] == "", "advice"].iloc[0]


def _name(feature: str, names: dict[str, str]) -> str:
    return names.get(feature, f"`{feature}`")


def _figure(at: pd.DataFrame, name: str, column: str = "now") -> float:
    return float(at.loc[name, column]) if name in at.index else math.nan


def _known(at: pd.DataFrame, reason: str, words: dict[str, str]) -> dict[str, Any]:
    """DRIFT_FIGURES of one target → what the sentences fill in."""
    areas = {when: _figure(at, "auc", when) for when in ("now", "then")}
    chance = _figure(at, {"ranking": "auc"}.get(reason, reason), "p")
    return {
        "windows": int(_figure(at, "rate", "windows")) if "rate" in at.index else 0,
        "rate": _figure(at, "rate"),
        "predicted": _figure(at, "predicted"),
        "slope": _figure(at, "slope"),
        "sure": words["sure" if _figure(at, "slope") < 1 else "careful"],
        "p_now": _figure(at, "p_mean"),
        "p_then": _figure(at, "p_mean", "then"),
        "p_beyond": words["beyond"] if _figure(at, "p_mean", "beyond") == 1 else "",
        "p": "p < 0.001" if chance < 0.001 else f"p = {chance:.3f}",
        **{f"auc_{when}": words["unknown"] if math.isnan(area) else f"{area:.3f}" for when, area in areas.items()},
    }


def _out_of_range(out: pd.DataFrame, names: dict[str, str]) -> dict[str, Any]:
    heaviest = out.sort_values("weight", ascending=False, kind="stable").head(SHOWN)
    shown = [f"{_name(f.feature, names)} (PSI {f.psi:.2f})" for f in heaviest.itertuples()]
    return {"weight": float(out["weight"].sum()), "features": ", ".join(shown)}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON has them: no NaN, no NumPy."""
    plain = {}
    for key, value in values.items():
        value = value.item() if hasattr(value, "item") else value
        plain[key] = None if isinstance(value, float) and not math.isfinite(value) else value
    return plain
